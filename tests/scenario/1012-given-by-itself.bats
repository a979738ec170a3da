#!/usr/bin/env bats
# A toolchain that no worker has is given to the farm by itself, where its admin wants that.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/pushed.bash"

status_has() {
  "$DRAY" toolchain status --json | jq -e "$1" >/dev/null
}
doctor_says() {
  "$DRAY" doctor 2>&1 | grep -q "$1"
}

@test "a build with a toolchain that no worker has is compiled at home, and the toolchain is given behind it: once, however many units ask" {
  package "$WORK/one" one lib
  dependency "$WORK/one" part
  allow client client
  allow worker w1
  allow worker w2
  coordinator_start -o coordinator.toolchains=auto
  bare_worker w1
  bare_worker w2
  client_env
  export DRAY_GIVE=always
  small_cargo "$WORK/small"
  build home "$WORK/one" build
  [ "$BUILD_STATUS" -eq 0 ]
  jobs_all '.where == "local" and (.why | test("has the toolchain"))'
  wait_until 20 listed '[.toolchains[] | select(.pushed and .workers == ["w1", "w2"])] | length >= 1'
  wait_until 10 status_has 'length == 1 and .[0].state == "given" and .[0].given == 2 and .[0].release == "9.9.9"'
  # each of two units was denied; one push for both, to each worker once
  [ "$(grep -c 'is asked to give a toolchain' "$LOGS/coordinator")" = 1 ]
  [ "$(grep -c 'gives a toolchain: worker=' "$LOGS/coordinator")" = 2 ]
  wait_until 10 listed '.pushes == []'
  ctl events --json >"$LOGS/events"
  jq -es '[.[] | select(.event == "toolchain" and .good and .who == "client" and (.text | endswith(": given")))] | length == 2' "$LOGS/events"
}

@test "what could not be given is said, and not tried again soon; without the admin's word nothing is" {
  package "$WORK/one" one lib
  allow client client
  allow worker w1
  coordinator_start -o coordinator.toolchains=push
  bare_worker w1
  client_env
  export DRAY_GIVE=always
  small_cargo "$WORK/small" none
  build off "$WORK/one" build
  [ "$BUILD_STATUS" -eq 0 ]
  status_has '. == []'
  kill -TERM "$COORDINATOR_PID"
  gone_within 10 "$COORDINATOR_PID"
  coordinator_start -o coordinator.toolchains=auto
  wait_until 10 eval '[ "$(ctl status --json | jq .workers)" = 1 ]'
  rm -rf "$WORK/one/target"
  build bad "$WORK/one" build
  [ "$BUILD_STATUS" -eq 0 ]
  wait_until 20 status_has 'length == 1 and .[0].state == "failed" and .[0].failures == 1 and (.[0].why | test("this one makes nothing"))'
  wait_until 10 listed '[.pushes[] | select(.failed and .client == "client")] | length == 1'
  ctl toolchain list >"$LOGS/list"
  file_has "$LOGS/list" 'could not be given by client'
  "$DRAY" toolchain status >"$LOGS/status"
  file_has "$LOGS/status" 'failed: w1: .*makes nothing.*; not by itself again for'
  # neither the farm asks again, nor would this client give it
  rm -rf "$WORK/one/target"
  build again "$WORK/one" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(grep -c 'is asked to give a toolchain' "$LOGS/coordinator")" = 1 ]
}
