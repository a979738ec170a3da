#!/usr/bin/env bats
# Who gets to a worker, and what one key's crowd costs another's build.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

HELLO=4452415900020001080210021a06636c69656e74
STATUS=4452415900020017

served() {
  package "$WORK/$1" "$1"
  build "$1" "$WORK/$1" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job "$1" where)" = farm ]
}

rss_kb() {
  sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"
}

@test "a worker hears no key that its coordinator has not named to it" {
  farm_start
  identity stranger
  for name in stranger client; do
    run "$RAWPEER" send "$WORKER_EP" "$FARM/keys/w1.pub" "$FARM/keys/$name" --wait 1000 "$HELLO"
    [ "$status" -eq 3 ]
  done
  served first
  run "$RAWPEER" send "$WORKER_EP" "$FARM/keys/w1.pub" "$FARM/keys/client" "$HELLO"
  [ "$status" -eq 0 ]
  [[ "${lines[0]}" =~ ^44524159....0002 ]]
  run "$RAWPEER" send "$WORKER_EP" "$FARM/keys/w1.pub" "$FARM/keys/stranger" --wait 500 "$HELLO"
  [ "$status" -eq 3 ]
}

@test "of two workers with one identity the elder stays, and the younger says why it ends" {
  farm_start
  run timeout 60 "$WORKER" --config "$FARM/empty.conf" --name w1 --coordinator "$COORDINATOR_EP" \
    --coordinator-key "$FARM/keys/coordinator.pub" --identity "$FARM/keys/w1" \
    --listen 'tcp://127.0.0.1:*' --state-dir "$FARM/state-younger" --slots 2
  echo "$output"
  [ "$status" -ne 0 ]
  [ "$status" -ne 124 ]
  [[ "$output" == *"Another worker with this key is connected: w1 at $WORKER_EP"* ]]
  served after
  [ "$(job after worker)" = w1 ]
}

@test "a crowd of one key, which says much and reads nothing, is no other key's matter" {
  allow client attacker
  farm_start
  served before
  mkfifo "$FARM/hold"
  "$RAWPEER" many "$COORDINATOR_EP" "$FARM/keys/coordinator.pub" "$FARM/keys/attacker" 600 "$HELLO" / \
    "$STATUS" / "$STATUS" / "$STATUS" / "$STATUS" <"$FARM/hold" >"$LOGS/many" &
  exec 9>"$FARM/hold"
  wait_until 30 grep -q said "$LOGS/many"
  # And frames as large as any may be, and larger.
  "$RAWPEER" send "$COORDINATOR_EP" "$FARM/keys/coordinator.pub" "$FARM/keys/attacker" --wait 300 \
    "$HELLO" / ~1000000 / ~1000000 / ~1000000 / ~2000000 || true
  served beside
  [ "$(rss_kb "$COORDINATOR_PID")" -lt 262144 ]
  [ "$(rss_kb "$WORKER_PID")" -lt 262144 ]
  exec 9>&-
  served after
}

@test "a job whose earlier try has not ended here is put off, and the worker is not blamed" {
  farm_start
  served before
  run "$DRAY_BUILD/tests/scenario/twice" "$WORKER_EP" "$FARM/keys/w1.pub" "$FARM/keys/client" "$FARM/keys/coordinator" \
    "$("$WORKER" --config "$FARM/empty.conf" --list-toolchains 2>>"$LOGS/toolchains" | awk -v at="$(rustc --print sysroot)" '$NF == at { print $1; exit }')"
  echo "$output"
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = accepted ]
  [ "${lines[1]}" = 'rejected FULL: An earlier try of this job has not ended here.' ]
  served after
}
