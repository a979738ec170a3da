# For scenarios about the coordinator's page.

PAGE_PY=$DRAY_TOP/tests/scenario/page.py

# page_py COMMAND…: by a Python that has Prometheus's library: Debian's, where the first in PATH has none.
page_py() {
  local python
  for python in ${PAGE_PYTHON:-python3 /usr/bin/python3}; do
    if [ -n "${PAGE_PYTHON:-}" ] || "$python" -c 'import prometheus_client, jsonschema, yaml' 2>/dev/null; then
      PAGE_PYTHON=$python
      "$python" "$PAGE_PY" "$@"
      return
    fi
  done
  echo "no Python has what page.py needs (Debian: python3-prometheus-client python3-jsonschema python3-yaml)" >&2
  return 1
}

# page_start [ARGS…]: a coordinator with a page, at $PAGE (without its last slash).
page_start() {
  coordinator_start -o "coordinator.page=127.0.0.1:*" "$@" || return 1
  PAGE=$(sed -n 's|^.*page: \(http://[^ ]*\)/$|\1|p' "$LOGS/coordinator" | tail -n 1)
  [ -n "$PAGE" ]
}
# get PATH [ARGS…]: what is there; fails at 4xx and 5xx.
get() {
  curl --silent --show-error --fail --max-time $((10 * PATIENCE)) "${@:2}" "$PAGE$1"
}
# status_of PATH [ARGS…]: the status alone.
status_of() {
  curl --silent --output /dev/null --write-out '%{http_code}' --max-time $((10 * PATIENCE)) "${@:2}" "$PAGE$1"
}
# metrics [ARGS…]: as a reader sees them, in $WORK/metrics, a sample a line.
metrics() {
  get /metrics "$@" >"$WORK/metrics.raw" && page_py metrics "$WORK/metrics.raw" >"$WORK/metrics"
}
# metric NAME{…}: its value; fails where there is none.
metric() {
  awk -v name="$1" '$1 == name { print $2; found = 1 } END { exit !found }' "$WORK/metrics"
}
# metric_is NAME{…} VALUE: that line is there now.
metric_is() {
  get /metrics >"$WORK/metrics.now" && grep -qxF -- "$1 $2" "$WORK/metrics.now"
}
