#!/usr/bin/env bats
# What workers compiled is in the coordinator's cache, sealed by them: each entry is what its client keeps of the unit.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/users.bash"

scenario_setup() {
  unset DRAY_WORKER_USER
  export DRAY_CACHE=on
  # its line in the list has sign=
  PRODUCES=yes
  ENTRIES=$DRAY_BUILD/tests/scenario/entries
  [ -x "$ENTRIES" ] || { echo "not built: $ENTRIES" >&2; return 1; }
}
# shared [NAMESPACE]: what is in the coordinator's cache, beside what the client has, in $WORK/shared.
shared() {
  local dir=$FARM/shared/ns${1:+-$1}
  : >"$WORK/shared"
  [ ! -d "$dir/entries" ] || "$ENTRIES" "$dir/entries" "$DRAY_CACHE_DIR" "${1:-}" >"$WORK/shared"
}
# shared_are N [NAMESPACE]: so many results are there.
shared_are() {
  shared "${2:-}" && [ "$(wc -l <"$WORK/shared")" -ge "$1" ]
}
# units: how many of the last build the farm made; what a build script tries out aside.
units() {
  jq -r 'select(.where == "farm" and (.trial | not)).crate' "$JOBS" | wc -l
}
# all_shared [NAMESPACE]: each unit of the last build is there, of what is linked its bundle, and all that is there is
# what the client has.
all_shared() {
  wait_until 20 shared_are "$(units)" "${1:-}" || { cat "$WORK/shared" >&2; return 1; }
  [ "$(cut -d' ' -f1 "$WORK/shared" | sort -u)" = same ] || { grep -v '^same' "$WORK/shared" >&2; return 1; }
  [ "$(cut -d' ' -f3,4 "$WORK/shared" | sort -u)" = "worker $(sign_of w1)" ]
}
# project: a program, and two libraries of which one prints a warning.
project() {
  package "$WORK/app" app
  package "$WORK/small" small lib
  package "$WORK/other" other lib
  depends "$WORK/app" small "$WORK/small"
  depends "$WORK/app" other "$WORK/other"
  depends "$WORK/other" small "$WORK/small"
  echo 'fn unused() {}' >>"$WORK/other/src/lib.rs"
}

@test "each unit that may be shared is, as its client keeps it, and in its client's namespace" {
  as_root
  a_place
  identity client
  printf 'client %s client namespace=team\n' "$(curve_public client)" >>"$FARM/allowed"
  coordinator_start
  project
  worker_begin -o worker.user=nobody
  client_env
  export DRAY_NAMESPACE=team
  cached first "$WORK/app" build
  all_missed
  [ "$(units)" -eq 3 ]
  all_shared team
  shared
  [ ! -s "$WORK/shared" ]
  worker_end
}

# bats test_tags=long
@test "a worker that has a namespace of its own writes no other" {
  as_root
  a_place
  identity client
  identity w1
  printf 'client %s client namespace=team\n' "$(curve_public client)" >>"$FARM/allowed"
  printf 'worker %s w1 namespace=others sign=%s\n' "$(curve_public w1)" "$(sign_of w1)" >>"$FARM/allowed"
  coordinator_start
  project
  worker_begin -o worker.user=nobody
  client_env
  export DRAY_NAMESPACE=team
  cached first "$WORK/app" build
  all_missed
  wait_until 10 file_has "$LOGS/worker-w1" 'may not be put into the namespace "team"'
  worker_end
  [ -z "$(find "$FARM/shared" -path '*/entries/*' -type f)" ]
}

# bats test_tags=long
@test "what a worker makes whose line has no sign= is not taken; nor what one makes that is told so" {
  PRODUCES=''
  farm_of
  project
  worker_begin -o worker.user=nobody
  client_env
  cached first "$WORK/app" build
  all_missed
  worker_end
  sed -i '/ w1$/d' "$FARM/allowed"
  allow worker w1 sign
  wait_until 10 file_has "$LOGS/coordinator" 'allowed keys read again'
  mv "$LOGS/worker-w1" "$LOGS/worker-before"
  worker_begin -o worker.user=nobody -o worker.share=no
  file_has "$LOGS/worker-w1" '\[worker\] share is no'
  clean "$WORK/app"
  export DRAY_RECACHE=yes
  cached second "$WORK/app" build
  all_missed
  worker_end
  shared
  [ ! -s "$WORK/shared" ]
}

@test "another client finds it, byte by byte, where the list of keys names the worker as a producer" {
  as_root
  a_place
  allow client client
  allow client second
  allow worker w1 sign
  coordinator_start
  project
  plain_build "$WORK/app" build
  worker_begin -o worker.user=nobody
  client_env
  export DRAY_STORE_WAIT_MS=10000
  cached first "$WORK/app" build
  all_missed
  all_shared
  export DRAY_CACHE_DIR=$BATS_TEST_TMPDIR/second DRAY_IDENTITY=$FARM/keys/second
  export JOBS=$DRAY_CACHE_DIR/jobs.jsonl DRAY_JOB_LOG=$DRAY_CACHE_DIR/jobs.jsonl
  clean "$WORK/app"
  cached second "$WORK/app" build
  hit small
  hit other
  # it is linked here
  [ "$(job app cache) $(job app where)" = 'bundle cache' ]
  jobs_all '.tier == "coordinator"'
  same_outputs "$WORK/app"
  worker_end
}

# macros: a crate whose macros read what is listed in a directory, and what a file is like.
macros() {
  package "$WORK/mac" mac lib
  printf '[lib]\nproc-macro = true\n' >>"$WORK/mac/Cargo.toml"
  cat >"$WORK/mac/src/lib.rs" <<'END'
use proc_macro::TokenStream;
fn dir() -> String { std::env::var("CARGO_MANIFEST_DIR").unwrap() }
#[proc_macro]
pub fn words(_: TokenStream) -> TokenStream {
    let mut all: Vec<_> = std::fs::read_dir(format!("{}/words", dir())).unwrap()
        .map(|e| std::fs::read_to_string(e.unwrap().path()).unwrap()).collect();
    all.sort();
    format!("{:?}", all.concat()).parse().unwrap()
}
#[proc_macro]
pub fn made(_: TokenStream) -> TokenStream {
    use std::os::unix::fs::MetadataExt;
    format!("{}", std::fs::metadata(format!("{}/src/lib.rs", dir())).unwrap().ctime()).parse().unwrap()
}
END
  for name in listed looked; do
    package "$WORK/$name" "$name" lib
    depends "$WORK/app" "$name" "$WORK/$name"
    depends "$WORK/$name" mac "$WORK/mac"
  done
  mkdir "$WORK/listed/words"
  echo one >"$WORK/listed/words/a"
  echo two >"$WORK/listed/words/b"
  echo 'pub fn words() -> &'"'"'static str { mac::words!() }' >"$WORK/listed/src/lib.rs"
  echo 'pub fn made() -> i64 { mac::made!() }' >"$WORK/looked/src/lib.rs"
}

@test "what a macro listed is an input; what depends on when a file was made is not shared" {
  farm_of
  package "$WORK/app" app
  macros
  worker_begin -o worker.user=nobody
  client_env
  cached first "$WORK/app" build
  [ "$(job listed where) $(job looked where)" = 'farm farm' ]
  wait_until 10 shared_are 3
  [ "$(cut -d' ' -f1,5 "$WORK/shared" | sort | tr '\n' ' ')" = 'same app same listed same mac ' ]
  wait_until 5 file_has "$LOGS/worker-w1" 'crate=looked is not shared: .*when a file was made'
  worker_end
}

# bats test_tags=long
@test "a worker that is root, or whose jobs have no uids of their own, shares nothing and says so" {
  farm_of
  project
  worker_begin -o worker.user=nobody -o worker.job_users=no
  file_has "$LOGS/worker-w1" 'not shared by the coordinator.s cache: jobs have no uids of their own'
  client_env
  cached first "$WORK/app" build
  all_missed
  worker_end
  mv "$LOGS/worker-w1" "$LOGS/worker-before"
  worker_begin --allow-root --state-dir "$PLACE/other"
  file_has "$LOGS/worker-w1" 'not shared by the coordinator.s cache: this worker runs as root'
  clean "$WORK/app"
  export DRAY_RECACHE=yes
  cached second "$WORK/app" build
  all_missed
  worker_end
  shared
  [ ! -s "$WORK/shared" ]
}

# bats test_tags=long
@test "a source that is another one than what was sent: the entry says what was compiled" {
  farm_of
  package "$WORK/app" app
  package "$WORK/small" small lib
  depends "$WORK/app" small "$WORK/small"
  slow_before >"$WORK/small/src/lib.rs"
  cp "$WORK/small/src/lib.rs" "$WORK/sent"
  worker_begin -o worker.user=nobody
  client_env
  build_start first "$WORK/app" build
  wait_until 30 worker_compiles "$WORKER_PID" small
  hold "$WORKER_PID" small
  echo 'pub fn changed() {}' >>"$WORK/small/src/lib.rs"
  release
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  [[ "$(job small not_stored)" = *'small/src/lib.rs changed while it was read' ]]
  wait_until 10 shared_are 2
  [[ "$(grep -v ' app$' "$WORK/shared")" = 'lacks '*' small' ]]
  # It is of what was sent, and of nothing else.
  cp "$WORK/sent" "$WORK/small/src/lib.rs"
  clean "$WORK/app"
  export DRAY_RECACHE=yes
  cached second "$WORK/app" build
  missed small
  all_shared
  [ "$(grep -c ' small$' "$WORK/shared")" -eq 1 ]
  worker_end
}

# bats test_tags=long
@test "the coordinator is away when a job ends: it gets the result when it is back" {
  farm_of
  package "$WORK/app" app
  package "$WORK/small" small lib
  depends "$WORK/app" small "$WORK/small"
  slow_before >"$WORK/small/src/lib.rs"
  worker_begin -o worker.user=nobody
  client_env
  build_start first "$WORK/app" build
  wait_until 30 worker_compiles "$WORKER_PID" small
  hold "$WORKER_PID" small
  kill_hard "$COORDINATOR_PID"
  release
  # the rest of the build goes on meanwhile: a result is tried three times, within some ten seconds
  wait_until 60 eval '[ "$(job small where)" = farm ]'
  coordinator_start
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  wait_until 30 shared_are 1
  [[ "$(cat "$WORK/shared")" = 'same '*' small' ]]
  worker_end
}

# real_program: of a client that is set up.
real_program() {
  local dir=$WORK/people
  . "$BATS_TEST_DIRNAME/../real/programs.bash"
  export CARGO_HOME=$HOME/.cargo
  program_prepare people "$dir"
  farm_of
  worker_begin -o worker.user=nobody
  client_env
  cached first "$dir" build
  all_shared
  # There is no other reason. (Build scripts try something out in directories of their own.)
  run -1 grep 'is not shared: ' <(grep -v "shared: its out-dir is none of cargo's" "$LOGS/worker-w1")
  worker_end
}

# bats test_tags=long
@test "each unit of a real program" {
  real_program
}

# bats test_tags=long
@test "each unit of a real program, with paths = shared" {
  export DRAY_PATHS=shared
  real_program
}
