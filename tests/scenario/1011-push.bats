#!/usr/bin/env bats
# A client gives workers a toolchain that they lack.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

. "$BATS_TEST_DIRNAME/pushed.bash"

@test "a worker without toolchains is given one: proved in the sandbox alone, offered, kept, and dropped at an admin's word" {
  local dir
  small "$WORK/small"
  allow client client
  allow worker w1
  allow worker w2
  coordinator_start -o coordinator.toolchains=push
  bare_worker w1
  client_env
  listed '.toolchains == []'
  gives 0 --json "$WORK/small"
  jq -e '.done and .given == 1 and .workers[0].name == "w1" and .release == "9.9.9"' "$LOGS/push"
  wait_until 10 listed '[.toolchains[] | select(.pushed and .workers == ["w1"])] | length >= 1'
  dir=$(echo "$FARM"/state-w1/toolchains/*)
  [ -f "$dir/tree/bin/rustc" ] && [ "$(stat -c %a "$dir/tree/bin/rustc")" = 555 ]
  [ -z "$(find "$FARM/state-w1/toolchains" -name '.new-*')" ]
  # the next worker has its files from the first one, or from here; who has it is left alone
  bare_worker w2
  gives 0 "$WORK/small"
  file_has "$LOGS/push" 'w2 has it'
  wait_until 10 listed '[.toolchains[] | select(.workers == ["w1", "w2"])] | length >= 1'
  gives 0 "$WORK/small"
  file_has "$LOGS/push" '2 workers have it already'
  # a new start proves it again
  kill -TERM "${WORKER_PIDS[w1]}"
  gone_within 10 "${WORKER_PIDS[w1]}"
  bare_worker w1
  file_has "$LOGS/worker-w1" 'toolchain given by a client'
  wait_until 10 listed '[.toolchains[] | select(.workers == ["w1", "w2"])] | length >= 1'
  # whatever started it, no worker did outside of a sandbox: there it does not see the file
  sort -u "$SEEN"
  [ "$(sort -u "$SEEN")" = dray-dispatch ]
  ctl toolchain remove 9.9.9 >"$LOGS/remove"
  file_has "$LOGS/remove" '2 workers are told to drop it'
  wait_until 10 listed '.toolchains == []'
  wait_until 10 eval '[ ! -e "$dir" ] && [ -z "$(ls -A "$FARM/state-w1/toolchains")" ]'
  # nor is there anything of what its jobs had of the system
  [ -z "$(ls -A "$FARM/state-w1/base")" ]
}

@test "refused with the way out: by the coordinator, by a worker that takes none, and by the pins; and what is no compiler" {
  small "$WORK/small"
  allow client client
  allow worker w1
  coordinator_start
  bare_worker w1
  client_env
  gives 1 "$WORK/small"
  file_has "$LOGS/push" 'toolchains = push'
  kill -TERM "$COORDINATOR_PID"
  gone_within 10 "$COORDINATOR_PID"
  coordinator_start -o coordinator.toolchains=push
  ctl toolchain pin 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
  gives 1 "$WORK/small"
  file_has "$LOGS/push" 'not among those'
  ctl toolchain unpin 001122
  # one whose compiler makes nothing is found out in the sandbox, and not offered
  small "$WORK/idle" none
  gives 1 "$WORK/idle"
  file_has "$LOGS/push" 'it does not run: this one makes nothing'
  file_has "$LOGS/worker-w1" 'a client gave is not taken: it does not run: this one makes nothing'
  listed '.toolchains == []'
  [ -z "$(ls -A "$FARM/state-w1/toolchains")" ] && [ -z "$(ls -A "$FARM/state-w1/base")" ]
  # what says nothing of itself is not asked to be taken
  cp /bin/true "$WORK/small/bin/rustc"
  gives 1 "$WORK/small"
  file_has "$LOGS/push" 'no such toolchain'
  gives 1 "$WORK/nothing"
  file_has "$LOGS/push" 'no such toolchain'
  local status=0
  "$DRAY" toolchain 2>/dev/null || status=$?
  [ "$status" -eq 2 ]
  [ -z "$(ls -A "$FARM/state-w1/toolchains" 2>/dev/null)" ]
}

@test "what is not proved, or has no room at all, drops nothing; what is proved takes the room of the least used" {
  local first
  small "$WORK/one"
  small "$WORK/two"
  small "$WORK/idle" none
  small "$WORK/large"
  head -c 60000 /dev/zero >>"$WORK/large/lib/rustlib/small-unknown-linux/lib/libstd-1.rlib"
  allow client client
  allow worker w1
  coordinator_start -o coordinator.toolchains=push
  # room for one, and not for two
  bare_worker w1 -o worker.toolchains_max=40000
  client_env
  gives 0 "$WORK/one"
  first=$(ls "$FARM/state-w1/toolchains")
  gives 1 "$WORK/idle"
  gives 1 "$WORK/large"
  file_has "$LOGS/push" 'has no room'
  [ "$(ls "$FARM/state-w1/toolchains")" = "$first" ]
  run ! file_has "$LOGS/worker-w1" 'toolchain dropped'
  gives 0 "$WORK/two"
  wait_until 10 file_has "$LOGS/worker-w1" 'toolchain dropped'
  wait_until 10 eval '[ "$(ls -A "$FARM/state-w1/toolchains" | wc -l)" = 1 ] && [ ! -e "$FARM/state-w1/toolchains/$first" ]'
  [ "$(ls "$FARM/state-w1/base" | wc -l)" = 1 ]
}

@test "a proof without an end ends when its client goes" {
  local pid
  small "$WORK/slow" slow
  allow client client
  allow worker w1
  coordinator_start -o coordinator.toolchains=push
  bare_worker w1
  client_env
  "$DRAY" toolchain push "$WORK/slow" >"$LOGS/push" 2>&1 3>&- </dev/null &
  pid=$!
  wait_until 10 eval '[ -n "$(ls "$FARM/state-w1/toolchains" 2>/dev/null)" ]'
  kill -KILL "$pid"
  wait_until 10 eval '[ -z "$(ls -A "$FARM/state-w1/toolchains")" ] && [ -z "$(ls -A "$FARM/state-w1/base")" ]'
  run ! file_has "$LOGS/worker-w1" 'it takes longer'
}

# bats test_tags=long
@test "a proof that is never silent is ended after half a minute, all the same" {
  small "$WORK/slow" slow
  allow client client
  allow worker w1
  coordinator_start -o coordinator.toolchains=push
  bare_worker w1
  client_env
  gives 1 "$WORK/slow"
  file_has "$LOGS/worker-w1" 'it takes longer than 30 s'
}

# bats test_tags=long
@test "a build on a fresh worker that has only the toolchain it was given: bytes as plain cargo's" {
  package "$WORK/app" app
  dependency "$WORK/app" part
  plain_build "$WORK/app" build
  allow client client
  allow worker w1
  coordinator_start -o coordinator.toolchains=push
  bare_worker w1
  client_env
  build none "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  jobs_all '.where == "local" and (.why | test("has the toolchain"))'
  rm -rf "$WORK/app/target"
  gives 0 --json
  jq -e '.done and .given == 1' "$LOGS/push"
  wait_until 10 listed '[.toolchains[] | select(.pushed)] | length >= 1'
  build given "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job part where)" = farm ] && [ "$(job app where)" = farm ] || { jq -c . "$JOBS"; return 1; }
  same_outputs "$WORK/app"
  # less than half of what a tarball of the directory would be: the documentation and other tools are not sent
  [ "$(jq '.workers[0].bytes_sent' "$LOGS/push")" -lt 300000000 ]
}
