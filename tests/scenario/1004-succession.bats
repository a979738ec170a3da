#!/usr/bin/env bats
# The coordinator has other keys, while people build: those that heard of it go on, those that were away join anew.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

DRAYCTL=$DRAY_BUILD/drayctl/drayctl

ctl() {
  "$DRAYCTL" "$@" 3>&-
}
# exits N COMMAND…: what it printed is in $LOGS/out and $LOGS/err.
exits() {
  local status=0
  "${@:2}" >"$LOGS/out" 2>"$LOGS/err" 3>&- || status=$?
  [ "$status" -eq "$1" ] || { echo "exit status $status of: ${*:2}"; cat "$LOGS/err"; return 1; }
}
said() {
  file_has "$LOGS/$1" "$2"
}
# It has a port of its own, which stays when it begins anew.
coordinator_at_port() {
  coordinator_start
  kill_hard "$COORDINATOR_PID"
  coordinator_start
}
next_key() {
  sed -n 's/^curve-public = //p' "$FARM"/shared/identity-*
}
served() {
  [ "$(grep -c 'serving: endpoint' "$LOGS/coordinator")" -ge "$1" ]
}
registered() {
  ctl workers --json | jq -e '[.workers[] | select(.here)] | length == 1' >/dev/null
}

# bats test_tags=long
@test "it has other keys during a build: what runs goes on, all that were there follow, and the old keys are of no use" {
  local began
  package "$WORK/app" app
  package "$WORK/next" next
  slow_after 5 >"$WORK/app/src/lib.rs"
  plain_build "$WORK/app" build --lib
  allow admin boss
  coordinator_at_port
  worker_start w1
  client_env
  began=$(grep -c 'serving: endpoint' "$LOGS/coordinator")
  build_start app "$WORK/app" build --lib
  wait_until 20 worker_compiles "$WORKER_PID" app
  hold "$WORKER_PID" app
  export DRAY_CACHE_DIR=$FARM/boss-cache
  exits 0 env DRAY_IDENTITY="$FARM/keys/boss" "$DRAYCTL" status --remote
  exits 0 ctl key rotate --overlap $((4 * PATIENCE))s
  said out 'keep a copy'
  # the admin's own program hears of it, too
  exits 0 env DRAY_IDENTITY="$FARM/keys/boss" "$DRAYCTL" status --remote
  [ -s "$FARM/keys/coordinator.pub.successors" ]
  wait_until 20 served $((began + 1))
  wait_until 20 registered
  exits 0 env DRAY_IDENTITY="$FARM/keys/boss" "$DRAYCTL" status --remote
  export DRAY_CACHE_DIR=$BATS_TEST_TMPDIR/cache
  release
  build_finish 30
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  [ "$(job app where)" = farm ]
  # by the farm half that runs, or by another one
  wait_until 30 eval 'rm -rf "$WORK/next/target"; build next "$WORK/next" build; [ "$BUILD_STATUS" -eq 0 ] && [ "$(job next where)" = farm ]'
  # a new process of each goes on with them, though the configuration names the old ones
  kill -TERM "$WORKER_PID"
  gone_within 10 "$WORKER_PID"
  worker_start w1
  wait_until 20 registered
  kill_hard "$COORDINATOR_PID"
  coordinator_start
  wait_until 20 registered
  # who was away joins anew, by a token that is not spent
  rm "$FARM/keys/coordinator.pub.successors"
  allow client late
  mkdir -p "$FARM/home-late"
  printf '[client]\ncoordinator = %s\ncoordinator_key = %s\nidentity = %s\n' "$COORDINATOR_EP" "$FARM/keys/coordinator.pub" "$FARM/keys/late" >"$FARM/home-late/dray.conf"
  (unset DRAY_COORDINATOR DRAY_COORDINATOR_KEY DRAY_IDENTITY
    export DRAY_CONFIG=$FARM/home-late/dray.conf DRAY_CACHE_DIR=$FARM/late-cache DRAY_CONNECT_MS=$((1500 * PATIENCE))
    run "$DRAY" doctor --json
    jq -e 'any(.[]; .check == "farm" and .finding == "bad")' <<<"$output"
    TOKEN=$(ctl token create --role client 2>/dev/null)
    exits 0 "$DRAY" login --config "$FARM/home-late/dray.conf" "$COORDINATOR_EP" "$TOKEN"
    said out 'no token was spent'
    run "$DRAY" doctor --json
    jq -e 'any(.[]; .check == "farm" and .finding == "good")' <<<"$output")
}

@test "what is said of it is taken back, or cannot be; a directory that does not have the keys any more" {
  coordinator_at_port
  exits 1 ctl key rotate --cancel
  said err 'is to have no other keys'
  exits 0 ctl key rotate --overlap 1d
  exits 1 ctl key rotate
  said err 'already'
  exits 0 ctl key rotate --cancel
  exits 2 ctl key rotate --overlap soon
  exits 1 ctl key rotate --overlap 100d
  said err '90 days at most'
  exits 0 ctl key rotate --overlap 1s
  wait_until 20 served 3
  kill_hard "$COORDINATOR_PID"
  rm "$FARM"/shared/identity-*
  run ! "$COORDINATOR" --config "$FARM/empty.conf" --listen "$COORDINATOR_EP" --identity "$FARM/keys/coordinator" --allowed-keys "$FARM/allowed"
  [[ "$output" = *"drayctl key rotate"* ]]
  jq -es 'any(.[]; .act == "key rotate" and .what == "coordinator" and .result == "done")' "$FARM/shared/audit.log"
}
