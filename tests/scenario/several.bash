# Two coordinators over the same workers. Sourced after lib.bash.

DRAYCTL=$DRAY_BUILD/drayctl/drayctl

# second_start [ARGS…]: as coordinator_start, of another one, which knows the same keys.
second_start() {
  identity second
  start_daemon second "$COORDINATOR" --config "$FARM/empty.conf" \
    --listen "${SECOND_EP:-tcp://127.0.0.1:*}" --identity "$FARM/keys/second" \
    --allowed-keys "${SECOND_ALLOWED:-$FARM/allowed}" -o coordinator.cache_dir="$FARM/shared-2" "$@" || return 1
  SECOND_PID=$DAEMON_PID
  SECOND_EP=$DAEMON_EP
}

both() {
  printf '%s, %s' "$COORDINATOR_EP" "$SECOND_EP"
}
both_keys() {
  printf '%s, %s' "$FARM/keys/coordinator.pub" "$FARM/keys/second.pub"
}

# both_workers N [ARGS…]: workers w1 to wN, registered with both.
both_workers() {
  local n=$1 i
  shift
  for ((i = 1; i <= n; i++)); do
    worker_start "w$i" --coordinator "$(both)" --coordinator-key "$(both_keys)" "$@"
    wait_until 20 file_has "$LOGS/coordinator" "worker=w$i registered"
    wait_until 20 file_has "$LOGS/second" "worker=w$i registered"
  done
}

# both_start N: two coordinators, workers, and a client that has both in one line.
both_start() {
  local i
  allow client client
  for ((i = 1; i <= $1; i++)); do
    allow worker "w$i"
  done
  [ -z "${SECOND_ALLOWED:-}" ] || cp "$FARM/allowed" "$SECOND_ALLOWED"
  coordinator_start
  second_start
  both_workers "$1"
  client_env
  export DRAY_COORDINATOR DRAY_COORDINATOR_KEY
  DRAY_COORDINATOR=$(both)
  DRAY_COORDINATOR_KEY=$(both_keys)
}

# compilers PID: how many compile below that worker.
compilers() {
  local p n=0
  for p in $(descendants "$1"); do
    [ "$(cat "/proc/$p/comm" 2>/dev/null)" != rustc ] || n=$((n + 1))
  done
  printf '%s\n' "$n"
}
