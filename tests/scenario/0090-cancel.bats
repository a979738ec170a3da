#!/usr/bin/env bats
# Who gives up is not worked for.
. "$BATS_TEST_DIRNAME/lib.bash"

begin() {
  package "$WORK/slow" slow lib
  slow_before | sed 's/900_000/1_900_000/' >"$WORK/slow/src/lib.rs"
  farm_start
  build_start first "$WORK/slow" build
  wait_until 30 worker_compiles "$WORKER_PID" slow
}

# The worker is well, has no job left, and does the next one.
next_is_served() {
  package "$WORK/hello" hello
  build hello "$WORK/hello" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job hello where)" = farm ]
  # The slot is free once the worker has cleaned up.
  wait_until 2 nothing_runs
}
nothing_runs() {
  [ "$("$DISPATCH" --status --json | jq '.running')" -eq 0 ]
}

@test "Ctrl-C: the worker's compiler is gone within a second" {
  begin
  kill -INT -- "-$BUILD_PID"
  wait_until 1 worker_idle "$WORKER_PID" slow
  build_stopped 5
  [ "$BUILD_STATUS" -ne 0 ]
  [ -z "$(find "$WORK/slow/target" -name 'libslow*.r*' -print -quit)" ]
  next_is_served
}

@test "the whole build is killed hard" {
  begin
  kill -KILL -- "-$BUILD_PID"
  wait_until 1 worker_idle "$WORKER_PID" slow
  next_is_served
}

left_behind() {
  find "$WORK/slow/target" -name '.dray-*' | wc -l
}

# bats test_tags=long
@test "what the killed left behind is swept" {
  # One that is resident outlives them, and cleans up.
  export DRAY_FARM_HALF=no
  begin
  wait_until 10 eval '[ "$(left_behind)" -eq 1 ]'
  kill -KILL -- "-$BUILD_PID"
  wait_until 5 worker_idle "$WORKER_PID" slow
  [ "$(left_behind)" -eq 1 ]
  # It is looked for once a minute.
  touch -d '2 minutes ago' "$DRAY_CACHE_DIR"/swept/*
  build_start second "$WORK/slow" build
  wait_until 30 worker_compiles "$WORKER_PID" slow
  # That build's own; the sweep comes before the job is opened.
  [ "$(left_behind)" -eq 1 ]
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job slow where)" = farm ]
  [ "$(left_behind)" -eq 0 ]
}

# bats test_tags=long
@test "only the farm half is killed: the unit is compiled here" {
  local p
  export DRAY_FARM_HALF=no
  begin
  for p in $(descendants "$BUILD_PID"); do
    [ "$(cat "/proc/$p/comm" 2>/dev/null)" != dray-dispatch ] || kill -KILL "$p"
  done
  wait_until 1 worker_idle "$WORKER_PID" slow
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job slow where)" = local ]
}

@test "Ctrl-C while the unit is compiled here" {
  package "$WORK/slow" slow lib
  slow_before >"$WORK/slow/src/lib.rs"
  export RUSTC_WRAPPER=$DRAY DRAY_OFFLOAD=never
  build_start first "$WORK/slow" build
  wait_until 30 worker_compiles "$BUILD_PID" slow
  local pids
  pids=$(descendants "$BUILD_PID")
  kill -INT -- "-$BUILD_PID"
  build_stopped 5
  [ "$BUILD_STATUS" -ne 0 ]
  for p in $pids; do
    wait_until 1 is_gone "$p"
  done
}
