#!/usr/bin/env bats
# dray status: what has a slot, what waits, for what, and why.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

scenario_setup() {
  export RUSTC_WRAPPER=$DRAY DRAY_CACHE=on DRAY_LOCAL_SLOTS=1 DRAY_LOCAL_MEMORY=0 DRAY_OFFLOAD=never CARGO_INCREMENTAL=0
  seed_client
}

# gated DIR: a program whose macro says that it is expanded, by the file DIR.flag, and waits for DIR.gate.
gated() {
  with_macro "$1"
  cat >"$1/look/src/expr.rs" <<END
{
    std::fs::write("$1.flag", "").unwrap();
    while std::fs::metadata("$1.gate").is_err() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    "through".to_string()
}
END
}

# says FILTER: jq's FILTER holds for the status.
says() {
  "$DRAY" status --json | jq -e "$1" >/dev/null
}
becomes() {
  wait_until 30 says "$1" || { "$DRAY" status --json >&2; "$DRAY" status >&2; return 1; }
}
idle() {
  [ "$("$DRAY" status)" = 'nothing is running' ]
}

@test "nothing is running, and nothing is made for it" {
  DRAY_CACHE_DIR=$WORK/none run "$DRAY" status
  [ "$status" -eq 0 ]
  [ "$output" = 'nothing is running' ]
  [ ! -e "$WORK/none" ]
  says '.slots == 1 and .held == [] and .waiting == [] and .farm == [] and .lack == null'
  run "$DRAY" status --help
  [ "$status" -eq 0 ]
  run "$DRAY" status more
  [ "$status" -eq 2 ]
  DRAY_LOCAL_SLOTS=many run "$DRAY" status
  [ "$status" -eq 1 ]
}

@test "a compile, one that waits for its slot, and a command that does" {
  local first second
  gated "$WORK/gated"
  package "$WORK/other" other
  build_start gated "$WORK/gated" build
  first=$BUILD_PID
  wait_until 60 test -e "$WORK/gated.flag"
  says '.held | length == 1'
  says ".held[0] | .slot == 0 and .kind == \"compile\" and .what == \"app 0.1.0 (bin app)\" and .dir == \"$WORK/gated\" and .state == \"runs\""
  says '.held[0] | .for_ms >= 0 and .since_ms / 1000 <= (now + 1)'
  # the process is dray itself
  [ "$(readlink "/proc/$("$DRAY" status --json | jq '.held[0].pid')/exe")" = "$(readlink -f "$DRAY")" ] || [ -n "${DRAY_TEST_VALGRIND:-}" ]
  build_start other "$WORK/other" build
  second=$BUILD_PID
  becomes '.waiting | length == 1'
  becomes ".waiting[0] | .kind == \"compile\" and .what == \"other 0.1.0 (bin other)\" and .dir == \"$WORK/other\" and .why == \"slots\""
  (cd "$WORK" && exec "$DRAY" slot -- echo $'a\e[31mb' c) 3>&- >"$WORK/said" &
  STARTED+=($!)
  becomes '[.waiting[] | select(.kind == "run")] | length == 1 and .[0].why == "queue"'
  says ".waiting[1] | .what == \"echo a\u001b[31mb c\" and .dir == \"$WORK\""
  run "$DRAY" status
  [ "${lines[0]}" = 'slots: 1 of 1 in use' ]
  [[ "${lines[2]}" = *' compile app 0.1.0 (bin app)  '*"$WORK/gated" ]]
  [ "${lines[3]}" = 'waiting: 2' ]
  [[ "${lines[5]}" = *' compile other 0.1.0 (bin other)  '*"$WORK/other  all slots are taken" ]]
  [[ "${lines[6]}" = *' run echo a?[31mb c  '*"$WORK "*'others wait for a slot before it' ]]
  # aligned: each line of a table has its second column where the heading has it
  [ "$(sed -n '5,7p' <<<"$output" | sed 's/\(.*\) \(what\|compile\|run\) .*/\1/' | awk '{ print length }' | sort -u | wc -l)" -eq 1 ]
  : >"$WORK/gated.gate"
  BUILD_PID=$first
  build_finish 60
  BUILD_PID=$second
  build_finish 60
  wait_until 20 idle
  [ -s "$WORK/said" ]
}

@test "killed: nothing of it is shown" {
  gated "$WORK/gated"
  package "$WORK/other" other
  build_start gated "$WORK/gated" build
  wait_until 60 test -e "$WORK/gated.flag"
  local first=$BUILD_PID
  build_start other "$WORK/other" build
  becomes '.held != [] and .waiting != []'
  kill -KILL -- "-$BUILD_PID"
  becomes '.held != [] and .waiting == []'
  kill -KILL -- "-$first"
  wait_until 20 idle
  # its text is in the file still
  grep -aq app "$DRAY_CACHE_DIR/slots/slot-0"
}

@test "stopped; with what it started in another slot" {
  gated "$WORK/gated"
  build_start gated "$WORK/gated" build
  wait_until 60 test -e "$WORK/gated.flag"
  # the signal is sent when kill returns; each process stops a moment later
  kill -STOP -- "-$BUILD_PID"
  becomes '.held[0].state == "stopped"'
  run "$DRAY" status
  [ "${lines[0]}" = 'slots: 0 of 1 in use, and 1 lent on' ]
  [[ "${lines[2]}" = *stopped* ]]
  kill -CONT -- "-$BUILD_PID"
  : >"$WORK/gated.gate"
  build_finish 60
  mkfifo "$WORK/fifo"
  "$DRAY" slot "$DRAY" slot cat "$WORK/fifo" 3>&- &
  STARTED+=($!)
  becomes '(.held | map(.state)) == ["waits", "runs"]'
  : >"$WORK/fifo"
  wait_until 20 idle
}

@test "a twin is waited for; a build script runs" {
  gated "$WORK/gated"
  export DRAY_LOCAL_SLOTS=4
  CARGO_TARGET_DIR=$WORK/t1 build_start one "$WORK/gated" build
  local first=$BUILD_PID
  wait_until 60 test -e "$WORK/gated.flag"
  CARGO_TARGET_DIR=$WORK/t2 build_start two "$WORK/gated" build
  becomes '.waiting | length == 1 and .[0].why == "twin" and .[0].what == "app 0.1.0 (bin app)"'
  "$DRAY" status | grep -q 'another process makes the same'
  : >"$WORK/gated.gate"
  build_finish 60
  BUILD_PID=$first
  build_finish 60
  package "$WORK/script" scripted
  cat >"$WORK/script/build.rs" <<END
fn main() {
    std::fs::write("$WORK/script.flag", "").unwrap();
    while std::fs::metadata("$WORK/script.gate").is_err() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
END
  DRAY_SCRIPTS=on build_start script "$WORK/script" build
  wait_until 60 test -e "$WORK/script.flag"
  says ".held[0] | .kind == \"script\" and .what == \"scripted 0.1.0\" and (.dir | startswith(\"$WORK/script/target/\"))"
  : >"$WORK/script.gate"
  build_finish 60
  wait_until 20 idle
}

@test "too little memory for another" {
  gated "$WORK/gated"
  export DRAY_LOCAL_SLOTS=4 DRAY_LOCAL_MEMORY=1000T
  build_start gated "$WORK/gated" build
  wait_until 60 test -e "$WORK/gated.flag"
  says '.lack == "memory"'
  "$DRAY" slot true 3>&- &
  STARTED+=($!)
  becomes '.waiting | length == 1 and .[0].why == "memory"'
  "$DRAY" status | grep -q '^no other slot is opened: too little memory is free'
  : >"$WORK/gated.gate"
  build_finish 60
  wait_until 20 idle
}

# bats test_tags=long
@test "a unit on the farm" {
  slow_dependency "$WORK/app"
  farm_start
  export DRAY_CACHE=off
  build_start app "$WORK/app" build
  wait_until 30 hold "$WORKER_PID" slow
  becomes ".farm | length == 1 and .[0].what == \"slow 0.1.0 (lib slow)\" and .[0].dir == \"$WORK/app\""
  run "$DRAY" status
  [ "${lines[0]}" = 'slots: 0 of 1 in use' ]
  [ "${lines[1]}" = 'on the farm: 1' ]
  [[ "${lines[3]}" = *' compile slow 0.1.0 (lib slow)  '* ]]
  release
  build_finish 120
  [ "$BUILD_STATUS" -eq 0 ]
  wait_until 20 idle
}
