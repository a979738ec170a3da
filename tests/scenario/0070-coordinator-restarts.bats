#!/usr/bin/env bats
# The coordinator is away for a while: what runs goes on, what comes later finds the new one.
. "$BATS_TEST_DIRNAME/lib.bash"

has_workers() {
  [ "$("$DISPATCH" --status --json 2>/dev/null | jq -r '.workers // 0')" -eq "$1" ]
}

@test "killed and started again in the middle of a build" {
  slow_dependency "$WORK/app"
  plain_build "$WORK/app" build
  farm_start
  build_start first "$WORK/app" build
  wait_until 30 hold "$WORKER_PID" slow
  kill_hard "$COORDINATOR_PID"
  coordinator_start
  wait_until 10 has_workers 1
  worker_compiles "$WORKER_PID" slow
  release
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  same_text first
  [ "$(job slow where)" = farm ]
  [ -z "$(job slow attempts | tr -d '[] \n')" ]
  [ "$(job app where)" = farm ]
}

# bats test_tags=long
@test "a worker that dies after the restart: the unit moves to another" {
  local other=w2 here=w1
  slow_dependency "$WORK/app"
  plain_build "$WORK/app" build
  farm_start 2
  build_start first "$WORK/app" build
  wait_until 30 eval 'hold "${WORKER_PIDS[w1]}" slow || hold "${WORKER_PIDS[w2]}" slow'
  worker_compiles "${WORKER_PIDS[w1]}" slow || { other=w1 here=w2; }
  kill_hard "$COORDINATOR_PID"
  coordinator_start
  wait_until 10 has_workers 2
  # The new coordinator has never heard of the job.
  kill_hard "${WORKER_PIDS[$here]}"
  wait_until 30 worker_compiles "${WORKER_PIDS[$other]}" slow
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  same_text first
  [ "$(job slow where)" = farm ]
  [ "$(job slow worker)" = "$other" ]
  [ "$(job slow attempts | jq length)" -eq 1 ]
  [ "$(job app where)" = farm ]
}

# bats test_tags=long
@test "killed for good: the running job is finished, the rest is done here" {
  slow_dependency "$WORK/app"
  plain_build "$WORK/app" build
  farm_start
  build_start first "$WORK/app" build
  wait_until 30 worker_compiles "$WORKER_PID" slow
  kill_hard "$COORDINATOR_PID"
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  [ "$(job slow where)" = farm ]
  [ "$(job app where)" = local ]
}

# bats test_tags=long
@test "jobs that wait for a slot are done after a restart" {
  local i
  package "$WORK/app" app lib
  for i in 1 2 3; do
    dependency "$WORK/app" "s$i"
    slow_before >"$WORK/app/s$i/src/lib.rs"
  done
  plain_build "$WORK/app" build
  allow client client
  coordinator_start
  worker_start w1 --slots 1
  client_env
  build_start first "$WORK/app" build -j4
  wait_until 30 eval 'worker_compiles "$WORKER_PID" s1 || worker_compiles "$WORKER_PID" s2 || worker_compiles "$WORKER_PID" s3'
  kill_hard "$COORDINATOR_PID"
  coordinator_start
  build_finish 120
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
}

@test "a key that was added a moment ago is let in" {
  local i
  coordinator_start
  # worker_start allows the key, and the worker knocks at once: the list was not read again on its own.
  for i in 1 2 3; do
    worker_start "w$i"
  done
  fails grep -q "not among the allowed keys" "$LOGS/coordinator"
}
