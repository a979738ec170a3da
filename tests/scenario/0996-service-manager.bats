#!/usr/bin/env bats
# What the daemons tell a service manager (sd_notify): ready, reloading, stopping, a status, and signs of life that the
# main loop itself gives.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

INTERVAL_MS=600

# managed NAME PROGRAM: sets the variable NAME to a script that starts PROGRAM as a service whose manager is the
# scenario's own.
managed() {
  local script=$FARM/managed/$1
  mkdir -p "$FARM/managed"
  printf '#!/bin/sh\nNOTIFY_SOCKET=%s WATCHDOG_USEC=%s WATCHDOG_PID=$$ exec %s "$@"\n' "'$SOCKET'" \
    "$((INTERVAL_MS * 1000))" "'$2'" >"$script"
  chmod +x "$script"
  declare -g "$1=$script"
}
scenario_setup() {
  SOCKET=$FARM/notify TOLD=$LOGS/told
}
manager_start() {
  "$BATS_TEST_DIRNAME/manager.py" "$SOCKET" "$TOLD" >"$LOGS/manager" 2>&1 </dev/null 3>&- &
  STARTED+=($!)
  wait_until 10 file_has "$TOLD" '^ready$'
  managed COORDINATOR "$COORDINATOR"
  managed WORKER "$WORKER"
}
# told PID TEXT: the manager was told a line that begins with it.
told() {
  file_has "$TOLD" "^[0-9]* $1 $2"
}
said() {
  grep -c "^[0-9]* $1 $2" "$TOLD"
}
said_more() {
  [ "$(said "$1" "$2")" -ge "$3" ]
}
# more PID N: so many signs of life, from now on.
more() {
  wait_until 30 said_more "$1" WATCHDOG=1 $(($(said "$1" WATCHDOG=1) + $2))
}
# The least and the mean time between two signs of life.
gaps() {
  awk -v pid="$1" '$2 == pid && $3 == "WATCHDOG=1" { if (n++) { g = $1 - last; sum += g; if (n == 2 || g < least) least = g }; last = $1 }
    END { print least, int(sum / (n - 1)) }' "$TOLD"
}

@test "a coordinator says when it serves, reads anew and ends, and that its loop turns" {
  local least mean
  manager_start
  allow client client
  coordinator_start
  # once it is bound, not before: who was told may connect at once
  wait_until 10 told "$COORDINATOR_PID" READY=1
  client_env
  "$DISPATCH" --status >"$LOGS/status"
  [ "$(said "$COORDINATOR_PID" READY=1)" -eq 1 ]
  wait_until 10 told "$COORDINATOR_PID" "STATUS=$COORDINATOR_EP: workers 0, slots in use 0 of 0, jobs waiting 0"
  # what is said is said by its main process
  [ -z "$(awk -v pid="$COORDINATOR_PID" 'NR > 1 && $2 != pid' "$TOLD")" ]
  more "$COORDINATOR_PID" 3
  read -r least mean < <(gaps "$COORDINATOR_PID")
  [ "$least" -gt 0 ]
  [ "$mean" -ge $((INTERVAL_MS / 2 - 50)) ]
  [ "$mean" -le $((INTERVAL_MS * PATIENCE)) ]
  kill -HUP "$COORDINATOR_PID"
  wait_until 10 said_more "$COORDINATOR_PID" READY=1 2
  told "$COORDINATOR_PID" RELOADING=1
  told "$COORDINATOR_PID" 'MONOTONIC_USEC=[1-9]'
  grep -A 1 "$COORDINATOR_PID MONOTONIC_USEC=" "$TOLD" | grep -q 'READY=1$'
  fails told "$COORDINATOR_PID" STOPPING=1
  kill -TERM "$COORDINATOR_PID"
  gone_within 10 "$COORDINATOR_PID"
  wait_until 10 told "$COORDINATOR_PID" STOPPING=1
}

@test "a worker is ready once its coordinator has taken it; a daemon that hangs gives no signs of life" {
  local worker n
  SOCKET=@dray-test-$$-$RANDOM
  allow worker w1
  coordinator_start
  worker_start w1
  kill -TERM "$COORDINATOR_PID" "$WORKER_PID"
  gone_within 10 "$COORDINATOR_PID"
  gone_within 10 "$WORKER_PID"
  manager_start
  start_daemon_unready worker-w1 "$WORKER" --config "$FARM/empty.conf" --name w1 --coordinator "$COORDINATOR_EP" \
    --coordinator-key "$FARM/keys/coordinator.pub" --identity "$FARM/keys/w1" --listen 'tcp://127.0.0.1:*' \
    --state-dir "$FARM/state-w1" --slots 2
  worker=$DAEMON_PID
  exec {READY_FD}<>"$FARM/ready.worker-w1"
  wait_until 30 told "$worker" "STATUS=no answer, coordinator $COORDINATOR_EP: slots in use 0 of 2"
  more "$worker" 1
  fails told "$worker" READY=1
  coordinator_start
  wait_until 30 told "$worker" READY=1
  exec {READY_FD}>&-
  wait_until 10 told "$worker" 'STATUS=registered'
  more "$COORDINATOR_PID" 1
  # the other one's signs are the clock
  kill -STOP "$COORDINATOR_PID"
  n=$(said "$COORDINATOR_PID" WATCHDOG=1)
  more "$worker" 3
  [ "$(said "$COORDINATOR_PID" WATCHDOG=1)" -le $((n + 1)) ]
  kill -CONT "$COORDINATOR_PID"
  more "$COORDINATOR_PID" 1
  kill -TERM "$worker"
  gone_within 10 "$worker"
  wait_until 10 told "$worker" STOPPING=1
  [ -z "$(awk -v a="$COORDINATOR_PID" -v b="$worker" 'NR > 1 && $2 != a && $2 != b' "$TOLD")" ]
}

# bats test_tags=long
@test "a worker that drains gives signs of life; its jobs' programs know nothing of the manager" {
  local n
  manager_start
  farm_start
  slow_dependency "$WORK/app"
  build_start app "$WORK/app" build
  wait_until 30 worker_compiles "$WORKER_PID" slow
  hold "$WORKER_PID" slow
  for n in $(descendants "$WORKER_PID"); do
    fails grep -qsz NOTIFY_SOCKET "/proc/$n/environ"
  done
  kill -TERM "$WORKER_PID"
  wait_until 10 told "$WORKER_PID" STOPPING=1
  wait_until 10 told "$WORKER_PID" 'STATUS=draining.*slots in use 1 of 2'
  more "$WORKER_PID" 2
  release
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  gone_within 10 "$WORKER_PID"
}

# bats test_tags=long
@test "where no coordinator answers a worker says after some seconds that it has started: its machine's boot goes on" {
  identity coordinator
  identity w1
  manager_start
  start_daemon_unready worker-w1 "$WORKER" --config "$FARM/empty.conf" --coordinator tcp://127.0.0.1:9 \
    --coordinator-key "$FARM/keys/coordinator.pub" --identity "$FARM/keys/w1" --listen 'tcp://127.0.0.1:*' \
    --state-dir "$FARM/state-w1"
  exec {READY_FD}<>"$FARM/ready.worker-w1"
  wait_until 60 told "$DAEMON_PID" 'STATUS=no answer'
  fails told "$DAEMON_PID" READY=1
  wait_until 30 told "$DAEMON_PID" READY=1
  exec {READY_FD}>&-
}

# bats test_tags=long
@test "in a container, where it is process 1: what is called before a stop has it drain, and waits for its end" {
  local n
  [ "$(id -u)" -eq 0 ] || skip "wants root, to be process 1 of a namespace"
  allow client client
  allow worker w1
  coordinator_start
  identity w1
  start_daemon worker-w1 unshare --pid --fork --kill-child --mount-proc "$WORKER" --config "$FARM/empty.conf" --name w1 \
    --coordinator "$COORDINATOR_EP" --coordinator-key "$FARM/keys/coordinator.pub" --identity "$FARM/keys/w1" \
    --listen 'tcp://127.0.0.1:*' --state-dir "$FARM/state-w1" --slots 2
  WORKER_PID=$(pgrep -P "$DAEMON_PID")
  client_env
  slow_dependency "$WORK/app"
  build_start app "$WORK/app" build
  wait_until 30 worker_compiles "$WORKER_PID" slow
  hold "$WORKER_PID" slow
  nsenter -t "$WORKER_PID" -p -m sh "$DRAY_TOP/dist/container/drain" >"$LOGS/drain" 2>&1 </dev/null 3>&- &
  n=$!
  STARTED+=("$n")
  wait_until 10 file_has "$LOGS/worker-w1" 'draining: running=1'
  fails is_gone "$n"
  release
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job slow where)" = farm ]
  gone_within 20 "$DAEMON_PID"
  gone_within 20 "$n"
}
