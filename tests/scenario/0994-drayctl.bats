#!/usr/bin/env bats
# An admin looks at a farm of real daemons, and tells it what to do.
. "$BATS_TEST_DIRNAME/lib.bash"

DRAYCTL=$DRAY_BUILD/drayctl/drayctl

ctl() {
  "$DRAYCTL" "$@" 3>&-
}
# ctl_json FILTER COMMAND…: whether jq's filter holds for what the command says as JSON.
ctl_json() {
  ctl "${@:2}" --json | jq -e "$1" >/dev/null
}
# exits N COMMAND…: what it printed is in $LOGS/ctl.out and $LOGS/ctl.err.
exits() {
  local status=0
  ctl "${@:2}" >"$LOGS/ctl.out" 2>"$LOGS/ctl.err" || status=$?
  [ "$status" -eq "$1" ] || { echo "exit status $status of: drayctl ${*:2}"; cat "$LOGS/ctl.err"; return 1; }
}
said() {
  file_has "$LOGS/ctl.$1" "$2"
}
# No line is wider than a terminal, and nothing in it moves a cursor.
fits() {
  ctl "$@" >"$LOGS/fits"
  [ -s "$LOGS/fits" ]
  [ "$(wc -L <"$LOGS/fits")" -le 80 ]
  fails grep -q '[[:cntrl:]]' "$LOGS/fits"
}
audited() {
  jq -es --arg a "$1" --arg r "$2" 'any(.[]; .act == $a and .result == $r)' "$FARM/shared/audit.log" >/dev/null
}

@test "what there is, in words and as JSON; how it ends where there is none" {
  farm_start
  ctl_json '.workers == 1 and .slots == 2 and .slots_used == 0' status
  ctl_json '.workers[0] | .name == "w1" and .state == "ready" and (.toolchains | length) > 0' workers
  ctl_json '.jobs == []' jobs
  fits status
  fits workers
  fits jobs
  exits 2
  exits 2 nonsense
  exits 2 drain
  exits 2 status --follow
  said err 'no option --follow'
  exits 0 --help
  said out 'drain'
  exits 1 drain nobody
  said err 'no worker nobody is here'
  audited drain refused
  exits 3 status --socket "$FARM/none"
  said err 'no coordinator listens'
  kill -TERM "$COORDINATOR_PID"
  gone_within 10 "$COORDINATOR_PID"
  DRAY_COORDINATOR='' exits 3 status
}

@test "from afar with an admin's key, and with no other" {
  allow admin boss
  farm_start
  exits 1 status --remote
  said err 'is allowed as client, not as admin'
  export DRAY_IDENTITY=$FARM/keys/boss
  exits 0 drain w1 --remote
  audited drain done
  jq -es 'any(.[]; .who == "boss" and (.from | startswith("key ")))' "$FARM/shared/audit.log"
  # whom the coordinator does not know
  identity stranger
  DRAY_IDENTITY=$FARM/keys/stranger exits 1 status --remote
  said err 'does not let this key in'
}

runs_on() {
  ctl_json '[.jobs[] | select(.worker == "'"$1"'" and .state == "runs")] | length == '"$2" jobs
}

@test "a worker is drained while it compiles: its job ends there, others run elsewhere, none is lost" {
  local busy other
  package "$WORK/slow" slow lib
  slow_before >"$WORK/slow/src/lib.rs"
  package "$WORK/hello" hello lib
  farm_start 2
  build_start slow "$WORK/slow" build
  wait_until 30 eval 'worker_compiles "${WORKER_PIDS[w1]}" slow || worker_compiles "${WORKER_PIDS[w2]}" slow'
  busy=w1 other=w2
  worker_compiles "${WORKER_PIDS[w1]}" slow || busy=w2 other=w1
  hold "${WORKER_PIDS[$busy]}" slow
  wait_until 10 runs_on "$busy" 1
  ctl_json '.jobs[0] | .crate == "slow" and .client == "client" and .tries == 1' jobs
  exits 0 drain "$busy"
  said out '1 run there'
  ctl_json '[.workers[] | select(.name == "'"$busy"'")][0].state == "draining"' workers
  # not yet
  exits 1 drain --wait --timeout 0.1 "$busy"
  said err '1 jobs still run'
  exits 1 remove "$busy"
  said err 'drain it first'
  build hello "$WORK/hello" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job hello worker)" = "$other" ]
  release
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job slow worker)" = "$busy" ]
  exits 0 drain --wait "$busy"
  said out 'nothing runs'
  exits 0 resume "$busy"
  ctl_json 'all(.workers[]; .state == "ready")' workers
}

state_is() {
  ctl_json '[.workers[] | select(.name == "'"$1"'")][0].state == "'"$2"'"' workers
}

@test "a worker is removed, and comes back when it is resumed" {
  farm_start
  exits 0 remove w1
  wait_until 10 file_has "$LOGS/worker-w1" 'An admin has removed the worker w1'
  state_is w1 removed
  ctl_json '.workers == 0 and .workers_removed == 1' status
  # also after both have begun anew
  kill -KILL "$COORDINATOR_PID"
  gone_within 10 "$COORDINATOR_PID"
  coordinator_start
  state_is w1 removed
  exits 0 resume w1
  wait_until 20 state_is w1 ready
}
