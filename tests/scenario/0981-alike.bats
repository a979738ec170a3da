#!/usr/bin/env bats
# paths = shared: two clients build one project at once, in two directories, with homes of their own. Each unit is compiled
# once in all; what one makes of another state of a crate is never the other's.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/users.bash"

scenario_setup() {
  unset DRAY_WORKER_USER
  export DRAY_CACHE=on DRAY_WORKER_SHARE=yes DRAY_STORE_WAIT_MS=10000 DRAY_PATHS=shared
  export DRAY_COORDINATOR_SAMPLE=0
  PRODUCES=yes
}
# farm: one worker, which shares what it makes, and two clients.
farm() {
  as_root
  a_place
  allow client one
  allow client two
  coordinator_start
  worker_begin -o worker.user=nobody
  client_env
}
# project NAME: in $WORK/NAME, a program and two libraries, one on the other, which prints a warning.
project() {
  local dir=$WORK/$1
  package "$dir" app
  member "$dir/low" low lib
  member "$dir/mid" mid lib
  depends "$dir" mid mid
  depends "$dir/mid" low ../low
  echo 'pub fn answer() -> u32 { let unused = 1; low::answer() }' >"$dir/mid/src/lib.rs"
  printf 'fn main() {\n    println!("{}", mid::answer());\n}\n' >"$dir/src/main.rs"
}
# start NAME COMMAND…: in that project, in the background, in a process group of its own: PIDS[NAME].
declare -gA PIDS=()
start() {
  local n=$1 home=$WORK/home-$1 bin
  bin=$(rustc --print sysroot)/bin
  shift
  mkdir -p "$home/.cargo"
  (
    export HOME=$home CARGO_HOME=$home/.cargo DRAY_CACHE_DIR=$home/cache DRAY_JOB_LOG=$LOGS/jobs-$n.jsonl
    export DRAY_IDENTITY=$FARM/keys/$n
    PATH=$bin:$PATH
    seed_take client "$DRAY_CACHE_DIR"
    cd "$WORK/$n" && exec setsid env --default-signal=INT,QUIT "$@"
  ) >"$LOGS/$n.out" 2>"$LOGS/$n.err" </dev/null 3>&- &
  PIDS[$n]=$!
  STARTED+=("$!")
}
# done_well NAME…: those builds end well.
done_well() {
  local n
  for n; do
    gone_within 120 "${PIDS[$n]}" || { echo "$n still builds" >&2; return 1; }
    wait "${PIDS[$n]}" || { cat "$LOGS/$n.err" >&2; return 1; }
  done
}
# plain NAME ARG…: what cargo makes in that place, with the same mapping, and says, is in $WORK/plain-NAME.
plain() {
  plain_build "$WORK/$1" build "${@:2}"
  [ "$PLAIN_STATUS" -eq 0 ]
  mv "$BATS_TEST_TMPDIR/plain-target" "$WORK/plain-$1"
  mv "$LOGS/plain.err" "$LOGS/plain-$1.err"
}
# same NAME: what was made there is what plain cargo makes, and is said as it says it.
same() {
  same_made "$WORK/plain-$1/debug" "$WORK/$1/target/debug"
  diff <(grep -v '^ *\(Compiling\|Finished\|Locking\)' "$LOGS/plain-$1.err") \
    <(grep -v '^ *\(Compiling\|Finished\|Locking\)' "$LOGS/$1.err")
}
# units FILTER: of both builds, jq's, in a list.
units() {
  jq -es "map(select(.kind != \"probe\")) | $1" "$LOGS/jobs-one.jsonl" "$LOGS/jobs-two.jsonl" >/dev/null || {
    jq -r '[.crate, .where, .cache, .tier, .cache_why, .shared_why, .why] | map(. // "-") | join(" | ")' "$LOGS"/jobs-*.jsonl >&2
    return 1
  }
}
# waited: how often a job was kept back for another one.
waited() {
  grep -c 'makes the same' "$LOGS/coordinator" || true
}

# both_build: at once; each unit was compiled once in all.
both_build() {
  start one cargo build
  start two cargo build
  done_well one two
  units 'length == 6 and (map(select(.where == "farm") | .crate) | sort) == ["app", "low", "mid"]'
  units 'map(select(.where != "farm")) | length == 3 and all(.[]; .where == "cache")'
}

@test "two builds at once in two directories: each unit is compiled once in all" {
  farm
  project one
  project two
  both_build
  for n in one two; do
    [ "$("$WORK/$n/target/debug/app")" = 42 ]
    grep -q 'unused variable' "$LOGS/$n.err"
  done
  worker_end
}

# bats test_tags=long
@test "... and is right at each place" {
  farm
  project one
  project two
  plain one
  plain two
  both_build
  same one
  same two
  worker_end
}

# bats test_tags=long
@test "two states of one crate: never each other's" {
  farm
  project one
  project two
  for n in one two; do
    member "$WORK/$n/var" var lib
    member "$WORK/$n/feat" feat lib
    depends "$WORK/$n" var var
    depends "$WORK/$n" feat feat
    printf '\n[features]\nmore = []\n' >>"$WORK/$n/feat/Cargo.toml"
    echo 'pub fn word() -> &'"'"'static str { option_env!("ALIKE_WORD").unwrap_or("none") }' >"$WORK/$n/var/src/lib.rs"
    echo 'pub fn more() -> bool { cfg!(feature = "more") }' >"$WORK/$n/feat/src/lib.rs"
    printf 'fn main() {\n    println!("{} {} {}", mid::answer(), var::word(), feat::more());\n}\n' >"$WORK/$n/src/main.rs"
  done
  echo 'pub fn answer() -> u32 { 43 }' >"$WORK/two/low/src/lib.rs"
  plain one
  ALIKE_WORD=there plain two --features feat/more
  start one cargo build
  start two env ALIKE_WORD=there cargo build --features feat/more
  done_well one two
  units 'length == 10 and all(.[]; .where != "cache")'
  same one
  same two
  [ "$("$WORK/one/target/debug/app")" = '42 none false' ]
  [ "$("$WORK/two/target/debug/app")" = '43 there true' ]
  worker_end
}

# A library that takes a while.
slow_project() {
  package "$WORK/$1" slow lib
  slow_before | sed 's/900_000/300_000/' >"$WORK/$1/src/lib.rs"
}
# both_want_it: the first one's compile runs, and lasts until release; the other one is kept back.
both_want_it() {
  slow_project one
  slow_project two
  start one cargo build
  wait_until 30 worker_compiles "$WORKER_PID" slow
  hold "$WORKER_PID" slow
  start two cargo build
  wait_until 30 eval '[ "$(waited)" -eq 1 ]'
}

# bats test_tags=long
@test "the first client dies: the other one's job is placed at once" {
  farm
  both_want_it
  kill -KILL -- "-${PIDS[one]}"
  done_well two
  jq -es 'map(select(.crate == "slow")) | length == 1 and .[0].where == "farm"' "$LOGS/jobs-two.jsonl"
  [ "$(waited)" -eq 1 ]
  worker_end
}

# bats test_tags=long
@test "what one reads beside its sources is another one there: it is compiled for each" {
  farm
  for n in one two; do
    with_macro "$WORK/$n"
    cat >"$WORK/$n/look/src/expr.rs" <<'END_RS'
{
    let dir = std::path::PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
    std::fs::read_to_string(dir.parent().unwrap().join("shared.txt")).unwrap()
}
END_RS
    member "$WORK/$n/by-file" by-file lib
    depends "$WORK/$n" by-file by-file
    depends "$WORK/$n/by-file" look ../look
    slow_before | sed 's/900_000/300_000/' >"$WORK/$n/by-file/src/lib.rs"
    printf 'pub static WORD: &str = look::look!();\n' >>"$WORK/$n/by-file/src/lib.rs"
    printf 'fn main() {\n    println!("{}", by_file::WORD.trim());\n}\n' >"$WORK/$n/src/main.rs"
    echo "$n" >"$WORK/$n/shared.txt"
  done
  start one cargo build
  wait_until 30 worker_compiles "$WORKER_PID" by_file
  hold "$WORKER_PID" by_file
  start two cargo build
  wait_until 30 eval '[ "$(waited)" -ge 1 ]'
  release
  done_well one two
  units 'map(select(.crate == "by_file")) | length == 2 and all(.[]; .where == "farm")'
  [ "$("$WORK/one/target/debug/app")" = one ]
  [ "$("$WORK/two/target/debug/app")" = two ]
  worker_end
}

# bats test_tags=long
@test "a worker that does not share: nobody is kept back" {
  export DRAY_WORKER_SHARE=no
  farm
  slow_project one
  slow_project two
  start one cargo build
  wait_until 30 worker_compiles "$WORKER_PID" slow
  hold "$WORKER_PID" slow
  start two cargo build
  done_well two
  release
  done_well one
  units 'length == 2 and all(.[]; .where == "farm")'
  [ "$(waited)" -eq 0 ]
  worker_end
}
