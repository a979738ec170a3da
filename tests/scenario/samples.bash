# Workers that share, and what the coordinator says of it; for the scenarios of samples.

scenario_setup() {
  unset DRAY_WORKER_USER
  export DRAY_CACHE=on DRAY_STORE_WAIT_MS=10000
  ENTRIES=$DRAY_BUILD/tests/scenario/entries
  LIAR=$DRAY_BUILD/tests/scenario/lyingworker
  [ -x "$ENTRIES" ] && [ -x "$LIAR" ] || { echo "not built: $ENTRIES $LIAR" >&2; return 1; }
}
# farm SAMPLE: a coordinator that has one in SAMPLE compiled again. Its list has no worker yet.
farm() {
  as_root
  a_place
  allow client client
  DRAY_COORDINATOR_SAMPLE=$1 coordinator_start
}
# listed NAME: that worker's key is in the list, and the coordinator has read it.
listed() {
  identity "$1"
  if ! grep -qF "$(curve_public "$1")" "$FARM/allowed"; then
    allow worker "$1" sign
    wait_until 10 file_has "$LOGS/coordinator" "keys=$(grep -c . "$FARM/allowed")"
  fi
}
# start NAME [PROGRAM] [ARG…]: that worker; its pid is in PID_NAME. The first one that is listed is all that there is, so what
# it shares is taken.
start() {
  local name=$1 program=${2:-$PLACE/bin/dray-worker}
  listed "$name"
  start_daemon "worker-$name" "${RUN[@]}" "$program" --config "$FARM/empty.conf" --name "$name" \
    --coordinator "$COORDINATOR_EP" --coordinator-key "$FARM/keys/coordinator.pub" --identity "$FARM/keys/$name" \
    --listen 'tcp://127.0.0.1:*' --state-dir "$PLACE/state-$name" --slots 2 \
    -o "worker.toolchain_dirs=$PLACE/toolchain" -o worker.user=nobody "${@:3}" || return 1
  printf -v "PID_$name" %s "$DAEMON_PID"
}
liar() {
  mkdir "$PLACE/liar"
  cp "$PLACE"/bin/* "$PLACE/liar/"
  cp "$LIAR" "$PLACE/liar/dray-worker"
  chmod -R a+rX "$PLACE/liar"
  start "$1" "$PLACE/liar/dray-worker"
}
stop() {
  local w pid
  for w in "$@"; do
    pid=PID_$w
    kill -TERM "${!pid}"
  done
  for w in "$@"; do
    pid=PID_$w
    wait_until 10 is_gone "${!pid}"
  done
}
# project: two libraries, and a program on them.
project() {
  package "$WORK/app" app
  for p in small other; do
    package "$WORK/$p" "$p" lib
    depends "$WORK/app" "$p" "$WORK/$p"
  done
}
# status: what the coordinator says of itself.
status() {
  "$DRAY_BUILD/client/dray-dispatch" --status --json >"$LOGS/status.json"
}
# status_is FILTER: jq's, of that.
status_is() {
  status && jq -e "$1" "$LOGS/status.json" >/dev/null
}
# makers: who made what is in the coordinator's cache: a line each, "CRATE KEY".
makers() {
  "$ENTRIES" "$FARM/shared/ns/entries" "$DRAY_CACHE_DIR" "" | awk '{ print $5, $4 }' | sort
}
made_by() {
  [ -d "$FARM/shared/ns/entries" ] && there "${1%% *}" && [ "$(makers | awk '{ print $2 }' | sort -u)" = "${1##* }" ]
}
# made_are CRATE…: of these there is something, and of no others.
made_are() {
  [ "$(makers | awk '{ print $1 }' | sort -u | tr '\n' ' ')" = "$* " ]
}
# there N: so many entries, or more, are in the coordinator's cache.
there() {
  [ "$(find "$FARM/shared/ns/entries" -type f 2>/dev/null | wc -l)" -ge "$1" ]
}
none_there() {
  fails there 1
}

# lies CRATE…: packages, and a program on them, in $WORK/CLIENT; that client has it built.
lies() {
  local p client=$1
  package "$WORK/$client" "app-$client"
  for p in "${@:2}"; do
    package "$WORK/$p" "$p" lib
    depends "$WORK/$client" "$p" "$WORK/$p"
  done
  as_client "$client"
  cached "$client" "$WORK/$client" build
}
# as_client NAME: what is built now is that client's, with a cache of its own.
as_client() {
  client_env
  export DRAY_IDENTITY=$FARM/keys/$1 DRAY_CACHE_DIR=$BATS_TEST_TMPDIR/cache-$1
  export JOBS=$DRAY_CACHE_DIR/jobs.jsonl DRAY_JOB_LOG=$DRAY_CACHE_DIR/jobs.jsonl
}
said() {
  file_has "$LOGS/coordinator" "$1"
}
# withheld WORKER CLIENT: what it makes for that client is not taken, the coordinator said.
withheld() {
  grep -F " what it makes for client=$(curve_public "$2") is not taken any more" "$LOGS/coordinator" | grep -q "worker=$1 "
}
