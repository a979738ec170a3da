# Worker 1 makes the libraries of "$WORK/app"; then its slot is held, and worker 2 has what is left. For files whose
# `project` makes that package, and "$WORK/hog" (slow_before).
# keep_busy: worker 1 has no slot any more.
keep_busy() {
  build_start hog "$WORK/hog" build
  wait_until 20 worker_compiles "${WORKER_PIDS[w1]}" hog
  hold "${WORKER_PIDS[w1]}" hog
}
let_go() {
  kill -INT -- "-$BUILD_PID" 2>/dev/null || true
  kill -CONT "$HELD" 2>/dev/null || true
  gone_within 20 "$BUILD_PID"
}
# first_part [LIE] [ARGS…]: the libraries are made by worker 1, and what is left is worker 2's to make, with these
# arguments. LIE: what worker 1 does instead of giving (lyingworker.c).
first_part() {
  local lie=${1:-}
  shift || true
  project
  allow worker w2
  farm_start 0
  if [ -n "$lie" ]; then
    mkdir -p "$FARM/bin"
    cp "$DRAY_BUILD"/tests/scenario/lyingworker "$DRAY_BUILD"/worker/dray-{exec,ld} "$DRAY_BUILD/trace/dray-env.so" "$FARM/bin/"
    GIVES=$lie WORKER=$FARM/bin/lyingworker worker_start w1 --slots 1
  else
    worker_start w1 --slots 1
  fi
  FIRST_EP=$WORKER_EP
  build libs "$WORK/app" build --lib
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job big worker) $(job app worker)" = 'w1 w1' ]
  keep_busy
  DRAY_LOG=debug worker_start w2 --slots 1 -o worker.peer_wait_ms=10000 "$@"
}
# given_up TIMES SECONDS: worker 2 has given worker 1 up so often, for so long.
given_up() {
  [ "$(grep -c "peer=$FIRST_EP is not asked for blobs for $2 s" "$LOGS/worker-w2")" -eq "$1" ]
}
