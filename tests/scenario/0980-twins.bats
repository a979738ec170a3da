#!/usr/bin/env bats
# One compile for all who want it at once: twins join the job that runs. Two clients, on hosts of their own as far as
# files go: a mount namespace each, with its own checkout at one path for both, its own home, cache and key.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

setup_file() {
  unshare "${MAP[@]}" true 2>/dev/null || skip "no mount namespaces here"
}
MAP=(-m)
[ "$(id -u)" -eq 0 ] || MAP=(-rm)

# The address of a variable is another one in each process: what two builds have of it alike comes of one compile.
ROLL='{ let x = 0u8; format!("{:p}", &x) }'

# crates DIR: "low" and "high", which have a rolled number each, and "plain", which has none; and a program.
crates() {
  with_macro "$1"
  echo "$ROLL" >"$1/look/src/expr.rs"
  for p in plain low high; do
    member "$1/$p" "$p" lib
    depends "$1" "$p" "$p"
  done
  depends "$1/low" look ../look
  depends "$1/high" look ../look
  depends "$1/high" low ../low
  printf 'pub fn warned() { let unused = 1; }\n' >>"$1/plain/src/lib.rs"
  printf 'pub static LOW: &str = look::look!();\n' >"$1/low/src/lib.rs"
  printf 'pub static HIGH: &str = look::look!();\npub fn low() -> &%cstatic str { low::LOW }\n' "'" >"$1/high/src/lib.rs"
  printf 'fn main() {\n    println!("{} {} {}", high::HIGH, high::low(), plain::answer());\n}\n' >"$1/src/main.rs"
}
# hosts MAKE: two of them, with what MAKE makes in a directory.
hosts() {
  local h
  PROJECT=$WORK/project
  mkdir -p "$PROJECT"
  for h in one two; do
    mkdir -p "$WORK/$h/home" "$WORK/$h/src"
    "$1" "$WORK/$h/src"
    (cd "$WORK/$h/src" && cargo generate-lockfile -q)
    allow client "$h"
  done
}
# caches: each has what is known of the toolchain.
caches() {
  local h
  for h in one two; do
    DRAY_CACHE_DIR=$WORK/$h/cache seed_client
  done
}
# here HOST: HERE is what a command needs before it, to run in the project on that host.
here() {
  HERE=(unshare "${MAP[@]}" sh -c 'mount --bind "$0" "$1" && cd "$1" && shift && exec "$@"' "$WORK/$1/src" "$PROJECT" env --default-signal=INT,QUIT
    HOME="$WORK/$1/home" CARGO_HOME="$WORK/$1/home/.cargo" DRAY_CACHE_DIR="$WORK/$1/cache" DRAY_IDENTITY="$FARM/keys/$1"
    DRAY_JOB_LOG="$WORK/$1/jobs.jsonl" PATH="$(rustc --print sysroot)/bin:$PATH")
}
# on HOST COMMAND…
on() {
  here "$1"
  "${HERE[@]}" "${@:2}" </dev/null 3>&-
}
# start HOST COMMAND…: in the background, in a process group of its own: PIDS[HOST].
declare -gA PIDS=()
start() {
  here "$1"
  (exec setsid "${HERE[@]}" "${@:2}" >"$LOGS/$1.out" 2>"$LOGS/$1.err" </dev/null 3>&-) &
  PIDS[$1]=$!
  STARTED+=("$!")
}
# done_well HOST…: those builds end well.
done_well() {
  local h
  for h; do
    gone_within 120 "${PIDS[$h]}" || { echo "$h still builds" >&2; return 1; }
    wait "${PIDS[$h]}" || { cat "$LOGS/$h.err" >&2; return 1; }
  done
}
# all_on_farm HOST
all_on_farm() {
  JOBS=$WORK/$1/jobs.jsonl jobs_all '.where == "farm"' || { jq -c '[.crate,.where,.why,.attempts]' "$WORK/$1/jobs.jsonl" >&2; return 1; }
}
# joined: how many jobs have joined another one, as the workers say.
joined() {
  cat "$LOGS"/worker-* | grep -c ' joined job=' || true
}
# made HOST GLOB: that file of the build there.
made() {
  find_made "$WORK/$1/src/target/debug" "$2"
}

@test "two builds of one project at once: each unit is compiled once, and the rest is as plain cargo makes it" {
  hosts crates
  farm_start 2
  caches
  start one cargo build
  start two cargo build
  done_well one two
  all_on_farm one
  all_on_farm two
  [ "$(joined)" -eq "$(jq -s length "$WORK/two/jobs.jsonl")" ]
  for name in liblow-*.rlib liblow-*.rmeta libhigh-*.rlib libplain-*.rlib; do
    cmp "$(made one "$name")" "$(made two "$name")"
  done
  [ "$(on one target/debug/app)" = "$(on two target/debug/app)" ]
  diff <(grep -v Finished "$LOGS/one.err" | sort) <(grep -v Finished "$LOGS/two.err" | sort)
  grep -q 'unused variable' "$LOGS/two.err"
}

# A workspace in which two hosts may differ in a source, in a file beside the members, in a variable of the user's, in
# the time of a file; of the last three no client is told before the compile asks.
states() {
  local p
  with_macro "$1"
  cat >"$1/look/src/expr.rs" <<'END_RS'
{
    let dir = std::path::PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let x = 0u8;
    let word = match std::env::var("CARGO_PKG_NAME").unwrap().as_str() {
        "by-file" => std::fs::read_to_string(dir.parent().unwrap().join("shared.txt")).unwrap(),
        "by-var" => std::env::var("TWIN_WORD").unwrap_or("none".into()),
        _ => format!("{:?}", std::fs::metadata(dir.join("Cargo.toml")).unwrap().modified().unwrap()
            .duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()),
    };
    format!("{} {:p}", word.trim(), &x)
}
END_RS
  for p in by-file by-var by-time low; do
    member "$1/$p" "$p" lib
    depends "$1" "$p" "$p"
    [ "$p" = low ] || depends "$1/$p" look ../look
    printf '#![allow(long_running_const_eval)]\npub static WORD: &str = look::look!();\n' >"$1/$p/src/lib.rs"
  done
  printf 'pub static WORD: &str = "one";\n' >"$1/low/src/lib.rs"
  printf 'fn main() {\n    println!("{} {} {} {}", low::WORD, by_file::WORD, by_var::WORD, by_time::WORD);\n}\n' >"$1/src/main.rs"
  echo first >"$1/shared.txt"
  touch -d @1000000000 "$1/by-time/Cargo.toml"
}
differed() {
  grep -c "verdict=21 what it joined was told otherwise of $1" "$LOGS/coordinator"
}

@test "two states of one crate, and of what it asks for: never each other's" {
  hosts states
  farm_start
  caches
  # as long as the other source
  sed -i 's/one/two/' "$WORK/two/src/low/src/lib.rs"
  echo other >"$WORK/two/src/shared.txt"
  touch -d @1100000000 "$WORK/two/src/by-time/Cargo.toml"
  # the one that does not have the variable has it compiled first
  slow_before | sed '/^#!/d; s/900_000/300_000/' >>"$WORK/one/src/by-var/src/lib.rs"
  cp "$WORK/one/src/by-var/src/lib.rs" "$WORK/two/src/by-var/src/lib.rs"
  start one env -u TWIN_WORD cargo build
  wait_until 30 worker_compiles "$WORKER_PID" by_var
  hold "$WORKER_PID" by_var
  start two env TWIN_WORD=there cargo build
  # all but the one whose source is another one
  wait_until 30 eval '[ "$(joined)" -eq 4 ]'
  release
  done_well one two
  all_on_farm one
  jq -es 'map(select(.where != "farm").crate) == ["by_var"]' "$WORK/two/jobs.jsonl"
  [[ "$(on one target/debug/app)" = "one first 0x"*" none 0x"*" 1000000000 0x"* ]]
  [[ "$(on two target/debug/app)" = "two other 0x"*" there 0x"*" 1100000000 0x"* ]]
  # the macro itself was the same; of the others one client each was told otherwise
  [ "$(joined)" -eq 4 ]
  [ "$(differed "a file: $PROJECT/shared.txt")" -eq 1 ]
  [ "$(differed "the variable: TWIN_WORD")" -eq 1 ]
  [ "$(differed "the attributes of: $PROJECT/by-time/Cargo.toml")" -eq 1 ]
}

# One crate that takes a while, and has a warning.
slow_project() {
  package "$1" slow lib
  slow_before | sed 's/900_000/300_000/' >"$1/src/lib.rs"
  printf 'pub fn warned() { let unused = 1; }\n' >>"$1/src/lib.rs"
}
# both_want_it: the first client's compile runs, and the other one has joined it: on WORKER.
both_want_it() {
  hosts slow_project
  farm_start "$@"
  caches
  start one cargo build
  wait_until 30 compiled_somewhere
  hold "${WORKER_PIDS[$WORKER]}" slow
  start two cargo build
  wait_until 30 eval '[ "$(joined)" -eq 1 ]'
}
compiled_somewhere() {
  for WORKER in "${!WORKER_PIDS[@]}"; do
    ! worker_compiles "${WORKER_PIDS[$WORKER]}" slow || return 0
  done
  return 1
}
# as_plain HOST: its library is what plain cargo makes, and what was said of it, too.
as_plain() {
  local lib
  on "$1" env RUSTC_WRAPPER= CARGO_TARGET_DIR="$PROJECT/plain" cargo build >"$LOGS/plain.out" 2>"$LOGS/plain.err"
  lib=$(made "$1" 'libslow-*.rlib')
  cmp "$lib" "$WORK/$1/src/plain/debug/deps/${lib##*/}"
  diff <(grep -v Finished "$LOGS/plain.err") <(grep -v Finished "$LOGS/$1.err")
}

@test "the first client is killed: its compile goes on for the other one, which gets all of it" {
  both_want_it
  kill -INT -- "-${PIDS[one]}"
  wait_until 5 group_is_gone "${PIDS[one]}"
  wait_until 5 file_has "$LOGS/worker-w1" 'goes on without its client'
  [ "$(compiler_at "$WORKER_PID" slow)" = "$HELD" ]
  release
  done_well two
  all_on_farm two
  as_plain two
  jq -es 'map(select(.crate == "slow")) | length == 1 and all(.attempts == null or .attempts == [])' "$WORK/two/jobs.jsonl"
}

# bats test_tags=long
@test "both are killed: the compile ends" {
  both_want_it
  kill -KILL -- "-${PIDS[one]}"
  wait_until 5 file_has "$LOGS/worker-w1" 'goes on without its client'
  kill -INT -- "-${PIDS[two]}"
  wait_until 1 worker_idle "$WORKER_PID" slow
  wait_until 2 eval '[ "$("$DISPATCH" --status --json | jq .running)" -eq 0 ]'
}

# bats test_tags=long
@test "the worker is killed: both go to another one, together" {
  both_want_it 2
  kill_hard "${WORKER_PIDS[$WORKER]}"
  done_well one two
  all_on_farm one
  all_on_farm two
  [ "$(joined)" -eq 2 ]
  as_plain one
  as_plain two
}

# bats test_tags=long
@test "clients of two namespaces are no twins" {
  hosts slow_project
  sed -i 's/ two$/ two namespace=other/' "$FARM/allowed"
  farm_start
  caches
  start one cargo build
  wait_until 30 compiled_somewhere
  hold "$WORKER_PID" slow
  start two cargo build
  done_well two
  release
  done_well one
  all_on_farm one
  all_on_farm two
  [ "$(joined)" -eq 0 ]
  fails grep -q 'verdict=20' "$LOGS/coordinator"
}
