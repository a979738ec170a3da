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
  jq -es --arg a "$1" --arg r "$2" 'any(.[]; .act == $a and .result == $r)' "$FARM/shared/$([ "$2" = refused ] && echo refused || echo audit).log" >/dev/null
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

# It takes long enough to be seen, and is held then.
held_crate() {
  slow_before | sed 's/900_000/200_000/'
}
runs_on() {
  ctl_json '[.jobs[] | select(.worker == "'"$1"'" and .state == "runs")] | length == '"$2" jobs
}

@test "a worker is drained while it compiles: its job ends there, others run elsewhere, none is lost" {
  local busy other
  package "$WORK/slow" slow lib
  held_crate >"$WORK/slow/src/lib.rs"
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

# bats test_tags=long
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

@test "a client's key is revoked while it compiles: its job is ended at once, and the build goes on at home" {
  package "$WORK/slow" slow lib
  held_crate >"$WORK/slow/src/lib.rs"
  farm_start
  ctl_json '[.keys[] | select(.name == "client")][0] | .role == "client" and (.revoked | not)' key list
  fits key list
  build_start slow "$WORK/slow" build
  wait_until 30 worker_compiles "$WORKER_PID" slow
  hold "$WORKER_PID" slow
  exits 0 key revoke client
  said out 'may connect no more'
  wait_until 10 worker_idle "$WORKER_PID" slow
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job slow where)" = local ]
  file_has "$FARM/allowed" 'client revoked$'
  audited 'key revoke' done
  wait_until 10 ctl_json '.jobs == []' jobs
  ctl_json '.clients | map(select(.name == "client")) == []' clients
  # one that is new is let in without more ado
  identity newcomer
  exits 0 key add client "$FARM/keys/newcomer.pub"
  ctl_json '[.keys[] | select(.name == "newcomer")][0].role == "client"' key list
  exits 1 key add client "$FARM/keys/newcomer.pub"
  said err 'already'
  export DRAY_IDENTITY=$FARM/keys/newcomer
  package "$WORK/hello" hello lib
  rm -rf "$DRAY_CACHE_DIR"
  build hello "$WORK/hello" build
  [ "$(job hello where)" = farm ]
}

@test "what happens is told to those that follow it; the cache is looked at and purged" {
  package "$WORK/hello" hello lib
  farm_start
  "$DRAYCTL" events --follow --json >"$LOGS/events" 2>"$LOGS/events.err" 3>&- &
  FOLLOWER=$!
  STARTED+=("$FOLLOWER")
  wait_until 10 file_has "$LOGS/events" '"event":"worker"'
  build hello "$WORK/hello" build
  [ "$(job hello where)" = farm ]
  wait_until 10 file_has "$LOGS/events" '"event":"ended","good":true'
  exits 0 drain w1
  wait_until 10 file_has "$LOGS/events" 'drain w1: done'
  jq -es 'any(.[]; .event == "placed" and .crate == "hello" and .worker == "w1" and .who == "client")' "$LOGS/events"
  kill -TERM "$FOLLOWER"
  wait "$FOLLOWER"
  exits 0 events
  said out 'hello lib well after'
  fails grep -q '[[:cntrl:]]' "$LOGS/ctl.out"
  ctl_json '.toolchains | length > 0 and all(.[]; .workers == ["w1"])' toolchain list
  fits toolchain list
  fits clients
  fits cache status
  ctl_json '.namespaces[0].namespace == ""' cache status
  exits 2 cache purge
  exits 2 cache purge --older-than yesterday
  ctl_json '.results == 0' cache purge --older-than 30d
  wait_until 5 audited 'cache purge' done
}

# bats test_tags=long
@test "workers are drained and resumed in turn under load: each unit is compiled once, on the farm, and none is lost" {
  local i name
  mkdir -p "$WORK/many/src"
  package "$WORK/many" many lib
  for ((i = 1; i <= 20; i++)); do
    dependency "$WORK/many" "part$i"
    slow_after 12 >"$WORK/many/part$i/src/lib.rs"
  done
  plain_build "$WORK/many" build
  farm_start 3
  build_start many "$WORK/many" build -j8
  i=0
  until is_gone "$BUILD_PID"; do
    name=w$((i++ % 3 + 1))
    ctl drain --wait --timeout $((60 * PATIENCE)) "$name" >>"$LOGS/drains" 2>&1
    ctl resume "$name" >>"$LOGS/drains" 2>&1
  done
  build_finish 120
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$i" -ge 3 ]
  same_outputs "$WORK/many"
  # no try failed
  jobs_all '.where == "farm" and (.attempts // [] | length) == 0'
  ctl_json '[.workers[].jobs_failed] | add == 0' workers
  [ "$(grep -c 'gets no new jobs' "$LOGS/drains")" -eq "$i" ]
}

# bats test_tags=long
@test "top on a terminal: workers and jobs, keys that sort, filter, choose, drain and follow; any size; without colours" {
  local python
  . "$BATS_TEST_DIRNAME/webs.bash"
  python=$(python_tool pyte python)
  package "$WORK/slow" slow lib
  held_crate >"$WORK/slow/src/lib.rs"
  farm_start 2
  build_start slow "$WORK/slow" build
  wait_until 30 eval 'worker_compiles "${WORKER_PIDS[w1]}" slow || worker_compiles "${WORKER_PIDS[w2]}" slow'
  worker_compiles "${WORKER_PIDS[w1]}" slow && hold "${WORKER_PIDS[w1]}" slow || hold "${WORKER_PIDS[w2]}" slow
  export TERM=xterm-256color
  "$python" "$BATS_TEST_DIRNAME/pty-screen" 80x24 'wait:WORKER' 'wait:w1' 'wait:slow' 'wait:1/4' color:yes \
    keys:down keys:d 'wait:w2 gets no new jobs' 'wait:drain' keys:r 'wait:gets jobs again' \
    keys:s 'wait:sort (used)' keys:/ keys:w2 'gone:w1' keys:'\e' 'wait:w1' \
    keys:f 'wait:EVENTS' 'wait:resume w2: done' keys:f 'gone:EVENTS' \
    size:40x10 'wait:WORKER' size:120x50 'wait:arrows' "dump:$LOGS/screen" \
    size:80x24 'wait:w1' keys:q end:0 -- "$DRAYCTL" top --interval 0.2
  NO_COLOR=1 "$python" "$BATS_TEST_DIRNAME/pty-screen" 80x24 'wait:w1' color:no keys:q end:0 -- "$DRAYCTL" top
  # a coordinator that goes, and comes back
  release
  build_finish 60
  exits 1 top
  said err 'no terminal'
}

@test "what is said of workers, and is damaged, is put aside and not written over" {
  mkdir -p "$FARM/shared"
  echo 'removed  what?' >"$FARM/shared/workers"
  allow worker w1
  coordinator_start
  file_has "$LOGS/coordinator" 'a line is wrong; it is .*/workers.bad now'
  [ "$(cat "$FARM/shared/workers.bad")" = 'removed  what?' ]
  [ ! -e "$FARM/shared/workers" ]
}
