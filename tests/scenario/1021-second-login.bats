#!/usr/bin/env bats
# A second coordinator by `dray login` and `dray-worker join`: it is one more in the line, the last choice; a token of
# the same farm's takes the place of its own.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/several.bash"

# token_of ENDPOINT-NAME ARGS…: of the first or the second coordinator; its word is in TOKEN.
token_of() {
  TOKEN=$("$DRAYCTL" token create --socket "$FARM/shared$1/admin" "${@:2}" 2>/dev/null)
}
login() {
  "$DRAY" login --config "$FARM/home/dray.conf" "$@" >"$LOGS/out" 2>"$LOGS/err" 3>&-
}
# line KEY VALUE: what that file says, whole.
line() {
  [ "$(sed -n "s/^$1 = //p" "${3:-$FARM/home/dray.conf}")" = "$2" ]
}

@test "a second login adds its coordinator, one of the same farm replaces its own, --only leaves one" {
  mkdir "$FARM/home" "$FARM/w1"
  : >"$FARM/allowed-2"
  coordinator_start
  SECOND_ALLOWED=$FARM/allowed-2 second_start
  token_of "" --role client
  login --name ann "$COORDINATOR_EP" "$TOKEN"
  line coordinator "$COORDINATOR_EP"
  token_of -2 --role client --uses 2
  login "$SECOND_EP" "$TOKEN"
  line coordinator "$COORDINATOR_EP, $SECOND_EP"
  # the second's key has a file of its own
  line coordinator_key "$FARM/home/coordinator.pub, $(ls "$FARM"/home/coordinator-*.pub)"
  file_has "$LOGS/out" "coordinator = $COORDINATOR_EP, $SECOND_EP (it was $COORDINATOR_EP)"
  # the same once more is no third
  login "$SECOND_EP" "$TOKEN"
  line coordinator "$COORDINATOR_EP, $SECOND_EP"
  # the first has moved: it is known by its key, and stays the first choice
  sed -i "s,^coordinator = .*,coordinator = tcp://moved.example:1\, $SECOND_EP," "$FARM/home/dray.conf"
  token_of "" --role client
  login "$COORDINATOR_EP" "$TOKEN"
  line coordinator "$COORDINATOR_EP, $SECOND_EP"
  line coordinator_key "$FARM/home/coordinator.pub, $(ls "$FARM"/home/coordinator-*.pub)"
  # a worker by both; then both are used
  token_of "" --role worker --name w1
  "$WORKER" join --config "$FARM/w1/dray.conf" "$COORDINATOR_EP" "$TOKEN" >/dev/null 3>&-
  token_of -2 --role worker --name w1
  "$WORKER" join --config "$FARM/w1/dray.conf" "$SECOND_EP" "$TOKEN" >/dev/null 3>&-
  line coordinator "$COORDINATOR_EP, $SECOND_EP" "$FARM/w1/dray.conf"
  seed_worker w1 --config "$FARM/w1/dray.conf" --listen 'tcp://127.0.0.1:*' --state-dir "$FARM/state-w1"
  start_daemon worker-w1 "$WORKER" --config "$FARM/w1/dray.conf" --listen 'tcp://127.0.0.1:*' --state-dir "$FARM/state-w1"
  wait_until 20 file_has "$LOGS/coordinator" "worker=w1 registered"
  wait_until 20 file_has "$LOGS/second" "worker=w1 registered"
  kill_hard "$COORDINATOR_PID"
  export RUSTC_WRAPPER=$DRAY DRAY_CONFIG=$FARM/home/dray.conf DRAY_OFFLOAD=always DRAY_LINKER=rustc DRAY_CONNECT_MS=5000
  seed_client
  package "$WORK/app" app
  build app "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job app where)" = farm ]
  # and one alone
  login --only "$SECOND_EP" "$TOKEN"
  line coordinator "$SECOND_EP"
  line coordinator_key "$(ls "$FARM"/home/coordinator-*.pub)"
}
