#!/usr/bin/env bats
# doc/admin.md, When something is lost: a coordinator whose identity is gone, and one from an older copy.
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
token() {
  TOKEN=$(ctl token create "$@" 2>/dev/null)
}
login() {
  mkdir -p "$FARM/home-$1"
  "$DRAY" login --config "$FARM/home-$1/dray.conf" --name "$1" "${@:2}" 3>&-
}
# sees WHO FINDING: what dray doctor says of the farm to that user.
sees() {
  DRAY_CONFIG=$FARM/home-$1/dray.conf DRAY_CACHE_DIR=$FARM/cache-$1 DRAY_CONNECT_MS=$((2000 * PATIENCE)) "$DRAY" doctor --json >"$LOGS/doctor" 2>&1 3>&- || true
  jq -e --arg f "$2" 'any(.[]; .check == "farm" and .finding == $f)' "$LOGS/doctor" >/dev/null
}
coordinator_again() {
  kill_hard "$COORDINATOR_PID"
  coordinator_start
}

@test "its identity is lost: a new one, the same list, and one token for all, which nobody spends" {
  coordinator_start
  coordinator_again
  token --role client
  exits 0 login ann "$COORDINATOR_EP" "$TOKEN"
  token --role worker
  exits 0 "$WORKER" join --config "$FARM/w.conf" --name w1 "$COORDINATOR_EP" "$TOKEN"
  sees ann good || sees ann note
  kill_hard "$COORDINATOR_PID"
  rm -rf "$FARM/keys/coordinator" "$FARM/keys/coordinator.pub" "$FARM/shared"
  coordinator_start
  sees ann bad
  token --role client
  exits 0 login ann "$COORDINATOR_EP" "$TOKEN"
  said out 'no token was spent'
  fails sees ann bad
  # of another role, even: a key has its own
  token --role worker
  exits 0 "$WORKER" join --config "$FARM/w.conf" --name w1 "$COORDINATOR_EP" "$TOKEN"
  said out 'no token was spent'
  said out 'as worker w1'
  ctl token list --json | jq -e 'all(.tokens[]; .used == 0)'
  [ "$(grep -c . "$FARM/allowed")" -eq 2 ]
}

@test "from an older copy: a token that was spent since, and a key that was revoked since, are of no use" {
  coordinator_start
  coordinator_again
  token --role client
  exits 0 login eve "$COORDINATOR_EP" "$TOKEN"
  token --role client
  cp -a "$FARM/shared" "$FARM/copy-shared"
  cp -a "$FARM/allowed" "$FARM/copy-allowed"
  exits 0 login bob "$COORDINATOR_EP" "$TOKEN"
  exits 0 ctl key revoke eve
  cp "$FARM/shared/audit.log" "$FARM/audit.newest"
  kill_hard "$COORDINATOR_PID"
  # what there is of older days
  rm -rf "$FARM/shared"
  cp -a "$FARM/copy-shared" "$FARM/shared"
  cp -a "$FARM/copy-allowed" "$FARM/allowed"
  # the steps: what the newest audit.log has and this copy does not, revoked again; tokens and passes removed
  jq -r 'select(.act == "key revoke" and .result == "done").what' "$FARM/audit.newest" >"$FARM/revoked"
  [ "$(wc -l <"$FARM/revoked")" -eq 1 ]
  sed -i 's/^\(client .* eve\)$/\1 revoked/' "$FARM/allowed"
  rm -f "$FARM/shared/tokens" "$FARM/shared/passes"
  coordinator_start
  sees eve bad
  # the token that bob has spent lets nobody in; he joins with a new one
  mkdir -p "$FARM/home-mal"
  exits 1 login mal "$COORDINATOR_EP" "$TOKEN"
  fails grep -q mal "$FARM/allowed"
  token --role client
  exits 0 login bob "$COORDINATOR_EP" "$TOKEN"
  said out 'joined as client bob'
}
