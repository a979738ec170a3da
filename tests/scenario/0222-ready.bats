#!/usr/bin/env bats
# Sandboxes that stand ready: jobs run in them, to the same bytes, and they end with their worker.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# ran_ready N: so many of its jobs ran in one that stood ready.
ran_ready() {
  [ "$(grep -c 'status=0 .*ready=1' "$LOGS/worker-w1")" -ge "$1" ]
}
ran_unready() {
  [ "$(grep -c 'status=0 .*ready=0' "$LOGS/worker-w1")" -eq "$1" ]
}
stands_ready() {
  compgen -G "$FARM/state-w1/jobs/ready-*" >/dev/null
}

# bats test_tags=long
@test "a build's second job finds one; a killed worker leaves none, one that is told to end neither" {
  local p pids
  allow client client
  coordinator_start
  DRAY_LOG=debug worker_start w1
  client_env
  package "$WORK/app" app
  dependency "$WORK/app" dep
  plain_build "$WORK/app" build
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  wait_until 10 stands_ready
  rm -rf "$WORK/app/target"
  build second "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  wait_until 10 ran_ready 1
  wait_until 10 stands_ready
  pids=$(descendants "$WORKER_PID")
  [ -n "$pids" ]
  kill_hard "$WORKER_PID"
  for p in $pids; do
    wait_until 5 is_gone "$p"
  done
  DRAY_LOG=debug worker_start w1
  fails stands_ready
  rm -rf "$WORK/app/target"
  build third "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  wait_until 10 stands_ready
  pids=$(descendants "$WORKER_PID")
  kill -TERM "$WORKER_PID"
  wait_until 10 is_gone "$WORKER_PID"
  fails stands_ready
  for p in $pids; do
    wait_until 5 is_gone "$p"
  done
}

@test "[worker] ready = no: none does" {
  allow client client
  coordinator_start
  DRAY_LOG=debug worker_start w1 -o worker.ready=no
  client_env
  package "$WORK/app" app
  build first "$WORK/app" build
  rm -rf "$WORK/app/target"
  build second "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  wait_until 10 ran_unready 2
  wait_until 10 eval '[ -z "$(ls -A "$FARM/state-w1/jobs")" ]'
}
