#!/usr/bin/env bats
# Build scripts that run at once, and what changes while one runs.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

# waiting_script DIR: a script that reads what is there, notes its process in OUT_DIR/begun, and stops itself.
waiting_script() {
  script "$1" <<'END'
use std::{env, fs};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let words = fs::read_to_string("words.txt").unwrap();
    let more = fs::read_to_string("more.txt").unwrap_or_default();
    let n = fs::read_dir("data").unwrap().count();
    fs::write(format!("{out}/begun.new"), std::process::id().to_string()).unwrap();
    fs::rename(format!("{out}/begun.new"), format!("{out}/begun")).unwrap();
    extern "C" { fn raise(signal: i32) -> i32; }
    unsafe { raise(19) };
    println!("cargo:rerun-if-changed=words.txt");
    println!("cargo:rustc-env=MADE={},{},{n},{}", words.trim(), more.trim(), env::var("PROFILE").unwrap());
}
END
  mkdir "$1/data"
  echo one >"$1/words.txt"
}
# process TARGET: prints which script is there, and stands still; or fails.
process() {
  local pid
  pid=$(find "$1" -name begun -exec cat {} + 2>/dev/null) && grep -q '^State:[[:space:]]*T' "/proc/$pid/status" 2>/dev/null &&
    echo "$pid"
}
has_begun() {
  process "$1" >/dev/null
}
# let_go TARGET: the script there goes on.
let_go() {
  wait_until 30 has_begun "$1"
  kill -CONT "$(process "$1")"
}
# waits_for_twin: some run does.
waits_for_twin() {
  "$DRAY" status 2>/dev/null | grep -q 'another process makes the same'
}
# runs WHERE: how many there were.
runs() {
  jq -s --arg w "$1" 'map(select(.kind == "script-run" and .where == $w)) | length' "$JOBS"
}

@test "two builds of one package in two target directories: the script runs once" {
  waiting_script "$WORK/app"
  # not stopped: no twin waits for a process that stands still. It waits for a token, which is no input.
  sed -i -e '/fn raise/d' \
    -e 's|unsafe { raise(19) };|let flags = env::var("MAKEFLAGS").unwrap();\
    let fifo = flags.split("fifo:").nth(1).unwrap().split(\x27 \x27).next().unwrap();\
    let mut fifo = fs::OpenOptions::new().read(true).write(true).open(fifo).unwrap();\
    std::io::Read::read_exact(\&mut fifo, \&mut [0u8]).unwrap();|' "$WORK/app/build.rs"
  local fifo=$FARM/jobserver tokens first
  mkfifo "$fifo"
  exec {tokens}<>"$fifo"
  export MAKEFLAGS="-j3 --jobserver-auth=fifo:$fifo"
  made() {
    find "$1" -name begun | grep .
  }
  build_start one "$WORK/app" build --target-dir "$WORK/one"
  first=$BUILD_PID
  wait_until 30 made "$WORK/one"
  build_start two "$WORK/app" build --target-dir "$WORK/two"
  wait_until 30 waits_for_twin
  fails made "$WORK/two"
  printf + >&"$tokens"
  build_finish 30
  [ "$BUILD_STATUS" -eq 0 ]
  BUILD_PID=$first build_finish 30
  [ "$BUILD_STATUS" -eq 0 ]
  exec {tokens}>&-
  [ "$(runs local)" -eq 1 ]
  [ "$(runs cache)" -eq 1 ]
  [ "$("$WORK/one/debug/app")" = one,,0,debug ]
  [ "$("$WORK/two/debug/app")" = one,,0,debug ]
  # one process made both
  cmp "$(made "$WORK/one")" "$(made "$WORK/two")"
}

@test "two profiles at once in one target directory are no twins; the second build of one finds all of it fresh" {
  waiting_script "$WORK/app"
  build_start dev "$WORK/app" build
  local first=$BUILD_PID
  build_start release "$WORK/app" build --release
  local second=$BUILD_PID
  wait_until 30 has_begun "$WORK/app/target/debug"
  wait_until 30 has_begun "$WORK/app/target/release"
  build_start again "$WORK/app" build
  local third=$BUILD_PID
  let_go "$WORK/app/target/release"
  let_go "$WORK/app/target/debug"
  for BUILD_PID in "$first" "$second" "$third"; do
    build_finish 30
    [ "$BUILD_STATUS" -eq 0 ]
  done
  [ "$(runs local)" -eq 2 ]
  [ "$(runs cache)" -eq 0 ]
  nothing_done again
  [ "$("$WORK/app/target/debug/app")" = one,,0,debug ]
  [ "$("$WORK/app/target/release/app")" = one,,0,release ]
}

@test "no build waits for a run that will not be kept" {
  waiting_script "$WORK/app"
  # not stopped: nothing waits for a process that stands still. A variable, or a file of the package, would be a reason to
  # trace it again. It ends with its directory, too: after a failure nothing else ends it.
  sed -i -e 's/^    let words/    let _ = std::time::SystemTime::now();\n&/' -e '/fn raise/d' \
    -e 's|unsafe { raise(19) };|while !std::path::Path::new("../first").exists() \&\& !std::path::Path::new(\&format!("{out}/go")).exists() \&\& std::path::Path::new(\&out).exists() { std::thread::sleep(std::time::Duration::from_millis(5)) }|' "$WORK/app/build.rs"
  export DRAY_LOCAL_SLOTS=2
  begun() {
    find "$1" -name begun -printf '%h\n' 2>/dev/null | grep .
  }
  go_on() {
    touch "$(begun "$1")/go"
  }
  touch "$WORK/first"
  cached first "$WORK/app" build --target-dir "$WORK/one"
  run_not_kept app "it asked for the time: its own program"
  rm -rf "$WORK/one" "$WORK/first"
  build_start one "$WORK/app" build --target-dir "$WORK/one"
  local first=$BUILD_PID
  wait_until 30 begun "$WORK/one"
  build_start two "$WORK/app" build --target-dir "$WORK/two"
  wait_until 30 begun "$WORK/two"
  go_on "$WORK/one"
  go_on "$WORK/two"
  build_finish 30
  [ "$BUILD_STATUS" -eq 0 ]
  BUILD_PID=$first build_finish 30
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$("$WORK/two/debug/app")" = one,,0,debug ]
}

# during WORD EDIT WHAT SAID: of this word; the edit is made while the script runs: the run is not kept; from nothing the program says
# what plain cargo's would.
during() {
  echo "$1" >"$WORK/app/words.txt"
  shift
  clean "$WORK/app"
  rm -f "$JOBS"
  build_start during "$WORK/app" build
  wait_until 30 has_begun "$WORK/app/target"
  (cd "$WORK/app" && eval "$1")
  let_go "$WORK/app/target"
  build_finish 30
  [ "$BUILD_STATUS" -eq 0 ]
  run_not_kept app "$2"
  clean "$WORK/app"
  build_start after "$WORK/app" build
  let_go "$WORK/app/target"
  build_finish 30
  ran app
  run_kept app
  says "$WORK/app" "$3"
}

# bats test_tags=long
@test "what changes while the script runs: such a run is not kept, and the next one is right" {
  waiting_script "$WORK/app"
  during one 'echo two >words.txt' words.txt two,,0,debug
  during three 'echo some >more.txt' more.txt three,some,0,debug
  during four 'touch data/file' data four,some,1,debug
  clean "$WORK/app"
  cached last "$WORK/app" build
  put app
  says "$WORK/app" four,some,1,debug
}
