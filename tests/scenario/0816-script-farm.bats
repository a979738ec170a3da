#!/usr/bin/env bats
# Build scripts and a farm: workers compile their programs, runs stay here.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

# farmed: an app with a script, and a farm that compiles both.
farmed() {
  script "$WORK/app" <<'END'
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{out}/made"), out.as_bytes()).unwrap();
    println!("cargo:rerun-if-changed=words.txt");
    println!("cargo:rustc-env=MADE={}", std::fs::read_to_string("words.txt").unwrap().trim());
}
END
  echo one >"$WORK/app/words.txt"
  farm_start
}
# program_was FIELD VALUE: of the script's program.
program_was() {
  [ "$(job build_script_build "$1")" = "$2" ] || { show_cache; return 1; }
}
# has_launcher: what cargo starts is small, and the program lies beside it.
has_launcher() {
  local real
  real=$(find "$WORK/app/target" -name '.build_script_*')
  [ -n "$real" ] && [ -x "$real" ] && [ "$(stat -c %s "${real/.build_/build_}")" -lt "$(stat -c %s "$real")" ]
}

# bats test_tags=long
@test "a script that a worker compiled runs here, once, and its run is put back" {
  farmed
  as_plain one "$WORK/app" build
  [ "$(jq -rs 'map(.where) | join(" ")' "$LOGS/earlier-jobs.jsonl")" = "farm local farm" ]
  has_launcher
  says "$WORK/app" one
  echo two >"$WORK/app/words.txt"
  cached edited "$WORK/app" build
  ran app words.txt
  says "$WORK/app" two
  # the worker has it all, this cache has nothing
  clean "$WORK/app"
  "$DRAY" clear >"$LOGS/clear" 2>&1
  cached cleared "$WORK/app" build
  program_was where farm
  ran app new
  run_kept app
  says "$WORK/app" two
}

@test "a script that is only linked here, from what the farm made of it before" {
  command -v mold >/dev/null || skip "no mold"
  farmed
  cached farm "$WORK/app" build
  program_was where farm
  kill_hard "$COORDINATOR_PID"
  kill_hard "$WORKER_PID"
  export DRAY_LINKER=mold
  clean "$WORK/app"
  cached linked "$WORK/app" build
  program_was cache bundle
  has_launcher
  ran app "build script changed"
  says "$WORK/app" one
  clean "$WORK/app"
  cached again "$WORK/app" build
  put app
  has_launcher
  says "$WORK/app" one
}
