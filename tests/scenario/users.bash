# Workers that root starts, as another user; for the scenarios about users.

as_root() {
  [ "$(id -u)" -eq 0 ] || skip "needs root"
}

# a_place: $PLACE, where the user nobody gets to: the programs of a worker, and its state.
a_place() {
  PLACE=$BATS_TEST_TMPDIR/place
  with_toolchain "$PLACE/toolchain"
  mkdir -p "$PLACE/bin" "$PLACE/toolchain"
  cp "$DRAY_BUILD"/worker/dray-{worker,exec,ld} "$DRAY_BUILD/trace/dray-env.so" "$PLACE/bin/"
  chmod -R a+rX "$PLACE"
  pass_to "$PLACE"
}
# worker_of ARGS…: its command line, without a user, in $COMMAND.
worker_of() {
  [ -f "$FARM/keys/w1" ] || allow worker w1 "${PRODUCES:-}"
  COMMAND=("${RUN[@]}"
    "$PLACE/bin/dray-worker" --config "$FARM/empty.conf" --name w1 --coordinator "$COORDINATOR_EP"
    --coordinator-key "$FARM/keys/coordinator.pub" --identity "$FARM/keys/w1" --listen 'tcp://127.0.0.1:*'
    --state-dir "$PLACE/state" --slots 2 -o "worker.toolchain_dirs=$PLACE/toolchain" "$@")
}
worker_begin() {
  worker_of "$@"
  start_daemon worker-w1 "${COMMAND[@]}"
  WORKER_PID=$DAEMON_PID
}
worker_end() {
  kill -TERM "$WORKER_PID"
  wait_until 10 is_gone "$WORKER_PID"
}
farm_of() {
  as_root
  a_place
  allow client client
  coordinator_start
}
