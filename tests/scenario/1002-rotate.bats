#!/usr/bin/env bats
# Nodes have new keys while builds run: nothing is lost, and the old key ends.
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
audited() {
  jq -es --arg a "$1" --arg r "$2" --arg w "$3" \
    'any(.[]; .act == $a and .result == $r and ((.what + " " + .why) | contains($w)))' \
    "$FARM/shared/$([ "$2" = refused ] && echo refused || echo audit).log" >/dev/null
}
# as FILE COMMAND…: with the keys of that file.
as() {
  DRAY_IDENTITY=$1 "${@:2}"
}
# The time of a key that another one has come in the place of is over.
end_overlap() {
  sed -i 's/until=[0-9]*/until=1000000000/' "$FARM/allowed"
  wait_until 5 eval 'ctl key list --json | jq -e "any(.keys[]; .over)" >/dev/null'
}

# bats test_tags=long
@test "a user has new keys during a build: that goes on, the next one has the new keys, and the old ones end" {
  local old
  package "$WORK/app" app
  package "$WORK/next" next
  slow_after 5 >"$WORK/app/src/lib.rs"
  plain_build "$WORK/app" build --lib
  coordinator_start
  worker_start w1
  client_env
  cp "$FARM/keys/client" "$FARM/keys/stolen"
  old=$(curve_public client)
  build_start app "$WORK/app" build --lib
  wait_until 20 worker_compiles "$WORKER_PID" app
  hold "$WORKER_PID" app
  exits 0 "$DRAY" key rotate --json
  jq -e '.rotated and .role == "client" and .name == "client" and (.already | not)' "$LOGS/out"
  [ "$(curve_public client)" = "$(jq -r .key "$LOGS/out")" ]
  [ "$(curve_public client)" != "$old" ]
  [ "$(stat -c %a "$FARM/keys/client")" = 600 ]
  [ ! -e "$FARM/keys/client.next" ] && [ ! -e "$FARM/keys/client.next.pub" ]
  grep -qF "client $old client until=" "$FARM/allowed"
  grep -qxF "client $(curve_public client) client" "$FARM/allowed"
  audited 'key rotate' done 'client client old='
  build next "$WORK/next" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job next where)" = farm ]
  release
  build_finish 20
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  [ "$(job app where)" = farm ]
  [ "$(job app attempts)" = "" ] || [ "$(job app attempts)" = "[]" ]
  # who has the old keys has nothing more of it: neither keys in their place, nor, when their time is over, anything
  exits 1 as "$FARM/keys/stolen" "$DRAY" key rotate
  said err 'Another key has come in the place of this one'
  audited 'key rotate' refused 'Another key has come'
  exits 1 "$DRAY" key rotate
  said err 'a short time ago'
  end_overlap
  rm "$FARM/keys/client.next"* "$FARM/keys/stolen.next"*
  exits 1 as "$FARM/keys/stolen" "$DRAY" key rotate --wait 5
  said err 'does not let this key in'
  rm -rf "$WORK/next/target"
  build again "$WORK/next" build
  [ "$(job next where)" = farm ]
}

# bats test_tags=long
@test "a worker has new keys during a build: what runs there ends, and it goes on with them, as the same process" {
  local old
  package "$WORK/app" app
  package "$WORK/next" next
  slow_after 5 >"$WORK/app/src/lib.rs"
  plain_build "$WORK/app" build --lib
  coordinator_start
  worker_start w1
  client_env
  old=$(curve_public w1)
  cp "$FARM/keys/w1" "$FARM/keys/stolen"
  build_start app "$WORK/app" build --lib
  wait_until 20 worker_compiles "$WORKER_PID" app
  hold "$WORKER_PID" app
  printf '[worker]\ncoordinator = %s\ncoordinator_key = %s\nidentity = %s\n' "$COORDINATOR_EP" "$FARM/keys/coordinator.pub" "$FARM/keys/w1" >"$FARM/w1.conf"
  ctl drain w1
  exits 0 "$WORKER" rotate --config "$FARM/w1.conf"
  said out 'as worker w1'
  said out 'counts until'
  # what an admin has said of it holds
  ctl workers --json | jq -e '.workers[0].standing == "drained"'
  ctl resume w1
  kill -HUP "$WORKER_PID"
  wait_until 10 file_has "$LOGS/worker-w1" 'has other keys: running=1'
  release
  build_finish 20
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  [ "$(job app where)" = farm ]
  wait_until 20 eval 'ctl workers --json | jq -e --arg k "$(curve_public w1)" "any(.workers[]; .here and .key == \$k)" >/dev/null'
  kill -0 "$WORKER_PID"
  build next "$WORK/next" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job next where)" = farm ]
  [ "$(job next worker)" = w1 ]
  # it does not take the place of the worker that has the new ones
  exits 1 "$WORKER" --config "$FARM/empty.conf" --name w1 --coordinator "$COORDINATOR_EP" --coordinator-key "$FARM/keys/coordinator.pub" \
    --identity "$FARM/keys/stolen" --listen 'tcp://127.0.0.1:*' --state-dir "$FARM/state-thief"
  said err 'refuse'
}

@test "an admin has new keys; of a stolen key nothing counts; the last admin's key is not revoked from afar" {
  allow admin boss
  coordinator_start
  export DRAY_COORDINATOR=$COORDINATOR_EP DRAY_IDENTITY=$FARM/keys/boss DRAY_COORDINATOR_KEY=$FARM/keys/coordinator.pub
  cp "$FARM/keys/boss" "$FARM/keys/stolen"
  exits 0 ctl status --remote
  exits 1 ctl key revoke boss --remote
  said err "the last admin's key"
  exits 0 "$DRAY" key rotate
  exits 0 ctl status --remote
  exits 0 as "$FARM/keys/stolen" "$DRAYCTL" status --remote
  # as if the time had passed that has to be between two
  end_overlap
  fails as "$FARM/keys/stolen" "$DRAYCTL" status --remote
  cp "$FARM/keys/boss" "$FARM/keys/stolen"
  exits 0 "$DRAY" key rotate --stolen
  said out 'it is revoked'
  fails as "$FARM/keys/stolen" "$DRAYCTL" status --remote
  exits 0 ctl status --remote
  audited 'key rotate' done 'stolen'
  # by the socket it can be, with those that it had before
  exits 0 ctl key revoke boss
  fails as "$FARM/keys/boss" "$DRAYCTL" status --remote
}

@test "of a stolen identity the keys that lay beside it are not taken, and where they were, this is said" {
  allow client ann
  coordinator_start
  export DRAY_COORDINATOR=$COORDINATOR_EP DRAY_IDENTITY=$FARM/keys/ann DRAY_COORDINATOR_KEY=$FARM/keys/coordinator.pub
  exits 3 env DRAY_COORDINATOR=tcp://127.0.0.1:9 "$DRAY" key rotate --wait 0.3
  cp "$FARM/keys/ann" "$FARM/keys/before"
  cp "$FARM/keys/ann.next" "$FARM/keys/kept"
  # a coordinator may have them: without its word there is no other way on
  exits 3 env DRAY_COORDINATOR=tcp://127.0.0.1:9 "$DRAY" key rotate --stolen --wait 0.3
  [ ! -e "$FARM/keys/ann.next-stolen" ]
  exits 0 "$DRAY" key rotate --stolen --json
  jq -e .stolen "$LOGS/out"
  fails grep -qF "$(sed -n 's/^curve-public = //p' "$FARM/keys/kept")" "$FARM/allowed"
  grep -qF "$(curve_public ann)" "$FARM/allowed"
  [ ! -e "$FARM/keys/ann.next" ] && [ ! -e "$FARM/keys/ann.next-stolen" ]
  # one that was taken, of which the answer was lost
  allow client bob
  export DRAY_IDENTITY=$FARM/keys/bob
  cp "$FARM/keys/bob" "$FARM/keys/before"
  exits 0 "$DRAY" key rotate
  mv "$FARM/keys/bob" "$FARM/keys/bob.next"
  cp "$FARM/keys/before" "$FARM/keys/bob"
  exits 1 "$DRAY" key rotate --stolen
  said err 'may have those, too: have an admin revoke both'
  # and with --stolen it goes on with --stolen alone
  mv "$FARM/keys/bob.next" "$FARM/keys/bob.next-stolen"
  exits 1 "$DRAY" key rotate
  said err 'go on with --stolen'
}

@test "one that was interrupted goes on with the same keys, whether its answer was lost or not" {
  allow client ann
  coordinator_start
  export DRAY_COORDINATOR=$COORDINATOR_EP DRAY_IDENTITY=$FARM/keys/ann DRAY_COORDINATOR_KEY=$FARM/keys/coordinator.pub
  # nobody answers
  exits 3 env DRAY_COORDINATOR=tcp://127.0.0.1:9 "$DRAY" key rotate --wait 0.3
  said err 'is as it was'
  next=$(sed -n 's/^curve-public = //p' "$FARM/keys/ann.next")
  cp "$FARM/keys/ann" "$FARM/keys/before"
  cp "$FARM/keys/ann.next" "$FARM/keys/kept"
  exits 0 "$DRAY" key rotate
  [ "$(curve_public ann)" = "$next" ]
  # as if this machine had died before it had the answer: within the overlap, and behind it
  for i in 1 2; do
    cp "$FARM/keys/before" "$FARM/keys/ann"
    cp "$FARM/keys/kept" "$FARM/keys/ann.next"
    exits 0 "$DRAY" key rotate --json
    jq -e .already "$LOGS/out"
    [ "$(sed -n 's/^curve-public = //p' "$FARM/keys/ann")" = "$next" ]
    [ "$i" -eq 2 ] || end_overlap
  done
  [ "$(grep -c ' ann' "$FARM/allowed")" -eq 2 ]
}
