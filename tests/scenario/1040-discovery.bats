#!/usr/bin/env bats
# A coordinator is announced on the LAN, and found there: real avahi-daemons, each on a host of its own.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/lan.bash"

# exits N COMMAND…: what it printed is in $LOGS/out and $LOGS/err.
exits() {
  local status=0
  "${@:2}" >"$LOGS/out" 2>"$LOGS/err" 3>&- </dev/null || status=$?
  [ "$status" -eq "$1" ] || { echo "exit status $status of: ${*:2}"; cat "$LOGS/err"; return 1; }
}
# farm_at HOST NAME [ARGS…]: a coordinator there, with keys of that name. Sets ENDPOINTS[NAME] and PIDS[NAME].
declare -gA ENDPOINTS=() PIDS=() FINGERS=()
farm_at() {
  local h=$1 name=$2
  shift 2
  identity "$name"
  start_daemon "coordinator-$name" "$(there "$h" "$COORDINATOR")" --config "$FARM/empty.conf" \
    --listen "tcp://${ADDRESSES[$h]}:*" --identity "$FARM/keys/$name" --allowed-keys "$FARM/allowed" \
    -o coordinator.cache_dir="$FARM/shared-$name" -o coordinator.avahi=yes "$@" || return 1
  ENDPOINTS[$name]=$DAEMON_EP PIDS[$name]=$DAEMON_PID
}
# announced NAME: as the log says, since N lines (LOG_FROM).
announced() {
  wait_until 15 log_has "coordinator-$1" 'discovery: announced as'
  FINGERS[$1]=$(sed -n 's/.*announced as.* fp=\([0-9a-f:]*\).*/\1/p' "$LOGS/coordinator-$1" | tail -n 1)
}
log_has() {
  tail -n "+${LOG_FROM:-1}" "$LOGS/$1" | grep -q -- "$2"
}
log_end() {
  LOG_FROM=$(($(wc -l <"$LOGS/$1") + 1))
}
two_hosts() {
  local h
  lan_begin
  for h in one two; do
    lan_host "$h"
    bus_start "$h"
    avahi_start "$h"
  done
}
# client HOST KEYS: a client there, of the coordinators whose keys these are.
client() {
  [ -f "$FARM/keys/client" ] || allow client client
  identity ours
  mkdir -p "$WORK/crate/out"
  CLIENT=$1
  export DRAY_COORDINATOR=auto DRAY_COORDINATOR_KEY=$2 DRAY_IDENTITY=$FARM/keys/client
  export DRAY_CACHE_DIR=$FARM/cache-$1 DRAY_CONNECT_MS=2000 DRAY_OFFLOAD=always
  mkdir -p "$DRAY_CACHE_DIR"
}
# A call of the compiler, as cargo makes it; what it finds is in $DRAY_CACHE_DIR/found.
calls() {
  mkdir -p "$WORK/crate/out"
  printf 'pub fn f() { let _ = "%s"; }\n' "${WORD:-}" >"$WORK/crate/lib.rs"
  (cd "$WORK/crate" && at "$CLIENT" "$DRAY" "$(rustc --print sysroot)/bin/rustc" --crate-name hello --crate-type lib --edition 2021 \
    --error-format=json --json=diagnostic-rendered-ansi,artifacts --emit=dep-info,metadata,link -C metadata=1 -C extra-filename=-1 \
    --out-dir "$WORK/crate/out" lib.rs >>"$LOGS/calls" 2>&1 3>&-)
}
# knows TEXT: after a call, what is found has it.
knows() {
  calls && grep -qsF -- "$1" "$DRAY_CACHE_DIR/found"
}
# says JQ: dray-dispatch of a client that goes by what was found says that of the farm.
says() {
  at "$CLIENT" "$DISPATCH" --status --json >"$LOGS/status" 2>>"$LOGS/status.err" 3>&- || true
  jq -e "$1" "$LOGS/status" >/dev/null
}
lacks() {
  looks "$1" && ! grep -qF -- "$2" "$LOGS/look"
}

@test "a coordinator is announced, and found by its key" {
  lan_begin
  lan_host one
  bus_start one
  avahi_start one
  client one "$FARM/keys/ours.pub"
  farm_at one ours -o coordinator.avahi_namespace=team
  announced ours
  wait_until 15 knows "${ENDPOINTS[ours]}"
  wait_until 5 says ".reachable and .endpoint == \"${ENDPOINTS[ours]}\""
}

# bats test_tags=long
@test "two farms on one LAN: each is used by those that know its key, and by nobody else" {
  two_hosts
  lan_host three
  client two "$FARM/keys/ours.pub"
  farm_at one ours -o coordinator.avahi_namespace=team
  farm_at one theirs
  announced ours
  announced theirs
  wait_until 15 knows "${ENDPOINTS[ours]}"
  wait_until 15 eval 'finds two "${ENDPOINTS[ours]}" && grep -qF "${ENDPOINTS[theirs]}" "$LOGS/look"'
  wait_until 5 says ".reachable and .endpoint == \"${ENDPOINTS[ours]}\""
  exits 0 at two "$DRAY" discover --json
  jq -e --arg ours "${ENDPOINTS[ours]}" --arg fp "${FINGERS[ours]}" --arg key "$FARM/keys/ours.pub" \
    'any(.found[]; .endpoint == $ours and .fingerprint == $fp and .key == $key and .namespace == "team" and .name == "ours")' "$LOGS/out"
  jq -e --arg theirs "${ENDPOINTS[theirs]}" 'any(.found[]; .endpoint == $theirs and .key == null)' "$LOGS/out"
  exits 0 at two "$DRAY" discover
  file_has "$LOGS/out" "${FINGERS[theirs]} *-$"
  at two "$DRAY" doctor >"$LOGS/doctor" 2>&1 3>&- || true
  file_has "$LOGS/doctor" "discovery .*ours at ${ENDPOINTS[ours]} has the fingerprint of $FARM/keys/ours.pub"
  file_has "$LOGS/doctor" "discovery .*theirs at ${ENDPOINTS[theirs]} is not used: its key (${FINGERS[theirs]})"
  # as services are (dist/systemd): another user, in a user namespace of its own, with a read-only /run
  at two unshare -m sh -c 'mount -o remount,ro,bind /run && exec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs \
    unshare --user --map-current-user "$0" browse' "$DRAY_BUILD/discovery/dray-avahi" >"$LOGS/look" 2>&1
  grep -qF "${ENDPOINTS[ours]}" "$LOGS/look"
  # withdrawn at its end
  stop "${PIDS[theirs]}"
  wait_until 5 lacks two "${ENDPOINTS[theirs]}"
  farm_at one theirs
  announced theirs
  # the other farm's client; one that knows neither
  client two "$FARM/keys/theirs.pub"
  rm -f "$DRAY_CACHE_DIR/found"*
  wait_until 15 knows "${ENDPOINTS[theirs]}"
  wait_until 5 says ".reachable and .endpoint == \"${ENDPOINTS[theirs]}\""
  identity third
  client two "$FARM/keys/third.pub"
  says '(.reachable | not) and .endpoint == ""'
  # what is announced with our fingerprint by another, which has another key: it is not believed, and ours is used all the same
  start_daemon_at_liar
  client two "$FARM/keys/ours.pub"
  rm -f "$DRAY_CACHE_DIR/found"*
  wait_until 15 knows "$LIAR"
  wait_until 15 says ".reachable and .endpoint == \"${ENDPOINTS[ours]}\""
}
# A coordinator with a key of its own is announced with the fingerprint of ours. Sets LIAR.
start_daemon_at_liar() {
  identity liar
  start_daemon liar "$(there one "$COORDINATOR")" --config "$FARM/empty.conf" --listen "tcp://${ADDRESSES[one]}:*" \
    --identity "$FARM/keys/liar" --allowed-keys "$FARM/allowed" -o coordinator.cache_dir="$FARM/shared-liar"
  LIAR=$DAEMON_EP
  mkfifo "$FARM/liar"
  exec {LIVES}<>"$FARM/liar"
  at_exec one "$DRAY_BUILD/discovery/dray-avahi" publish --name 'a  liar' --address "${ADDRESSES[one]}" --port "${LIAR##*:}" \
    txtvers=1 "fp=${FINGERS[ours]}" ns=team <"$FARM/liar" >>"$LOGS/liar" 2>&1 3>&- {LIVES}>&- &
  STARTED+=("$!")
  wait_until 15 file_has "$LOGS/liar" 'announced as'
}

# bats test_tags=long
@test "no bus, no daemon: nothing waits, and one line says so; announced when they come, again when they are started again" {
  lan_begin
  lan_host one
  farm_at one ours
  wait_until 5 file_has "$LOGS/coordinator-ours" 'not announced: no avahi-daemon answers'
  client one "$FARM/keys/ours.pub"
  exits 1 at one "$DRAY" discover
  file_has "$LOGS/err" 'no avahi-daemon answers'
  wait_until 5 knows 'no avahi-daemon answers'
  bus_start one
  exits 1 at one "$DRAY" discover --json
  jq -e '.found == [] and (.error | contains("avahi-daemon"))' "$LOGS/out"
  avahi_start one
  announced ours
  wait_until 5 finds one "${ENDPOINTS[ours]}"
  # one line, however often it was tried
  [ "$(grep -c 'not announced' "$LOGS/coordinator-ours")" -eq 1 ]
  log_end coordinator-ours
  stop "${AVAHI_PIDS[one]}"
  wait_until 5 log_has coordinator-ours 'not announced'
  avahi_start one
  announced ours
  wait_until 5 finds one "${ENDPOINTS[ours]}"
  log_end coordinator-ours
  stop "${AVAHI_PIDS[one]}"
  stop "${BUS_PIDS[one]}"
  wait_until 5 log_has coordinator-ours 'not announced'
  bus_start one
  avahi_start one
  announced ours
  wait_until 5 finds one "${ENDPOINTS[ours]}"
  # it is killed: what it has started goes with it
  kill_hard "${PIDS[ours]}"
  wait_until 15 lacks one "${ENDPOINTS[ours]}"
}

# bats test_tags=long
@test "a name that is taken gets a number; a coordinator that is elsewhere is found there" {
  two_hosts
  client two "$FARM/keys/ours.pub"
  farm_at one ours
  announced ours
  wait_until 15 knows "${ENDPOINTS[ours]}"
  wait_until 5 says ".reachable and .endpoint == \"${ENDPOINTS[ours]}\""
  cp "$FARM/keys/ours" "$FARM/keys/ours.kept"
  mkdir -p "$FARM/keys/other"
  "$DRAY" keygen --name ours "$FARM/keys/other/ours" >>"$LOGS/keygen" 2>&1
  start_daemon other "$(there two "$COORDINATOR")" --config "$FARM/empty.conf" --listen "tcp://${ADDRESSES[two]}:*" \
    --identity "$FARM/keys/other/ours" --allowed-keys "$FARM/allowed" -o coordinator.cache_dir="$FARM/shared-other" -o coordinator.avahi=yes
  wait_until 15 file_has "$LOGS/other" 'the name "ours" is taken; trying "ours #2"'
  wait_until 15 finds two 'ours #2'
  stop "${PIDS[ours]}"
  farm_at two ours
  wait_until 15 knows "tcp://${ADDRESSES[two]}:${ENDPOINTS[ours]##*:}"
  wait_until 5 says ".reachable and .endpoint == \"${ENDPOINTS[ours]}\""
}

# bats test_tags=long
@test "a worker finds its coordinator, and follows it to another address, as clients do" {
  local from
  two_hosts
  client two "$FARM/keys/ours.pub"
  allow worker w1
  seed_take worker "$FARM/state-w1"
  # it starts before there is a coordinator
  start_daemon_unready worker-w1 "$(there two "$WORKER")" --config "$FARM/empty.conf" --name w1 --identity "$FARM/keys/w1" \
    --listen "tcp://${ADDRESSES[two]}:*" --state-dir "$FARM/state-w1" --slots 2 \
    -o worker.coordinator=auto -o worker.coordinator_key="$FARM/keys/ours.pub"
  from=$DAEMON_PID
  exec {READY}<>"$FARM/ready.worker-w1"
  farm_at one ours
  announced ours
  wait_until 40 file_has "$LOGS/worker-w1" "registered: coordinator=${ENDPOINTS[ours]} "
  wait_until 40 compiled_there one
  stop "${PIDS[ours]}"
  farm_at two ours
  wait_until 40 file_has "$LOGS/worker-w1" "registered: coordinator=${ENDPOINTS[ours]} "
  wait_until 40 compiled_there two
  # in front of it stands one that only says it has the key
  stop "${PIDS[ours]}"
  start_daemon_at_liar
  wait_until 40 file_has "$LOGS/worker-w1" "is tried at $LIAR"
  farm_at one ours
  wait_until 40 file_has "$LOGS/worker-w1" "registered: coordinator=${ENDPOINTS[ours]} "
  [ -d "/proc/$from" ]
}
# compiled_there WORD: a crate with that word in it was compiled by w1.
compiled_there() {
  WORD=$1 calls && [ "$(job hello worker)" = w1 ]
}

# token NAME ARGS…: of that coordinator. Sets TOKEN.
token() {
  TOKEN=$(DRAY_COORDINATOR_CACHE_DIR=$FARM/shared-$1 "$DRAY_BUILD/drayctl/drayctl" token create "${@:2}" 2>>"$LOGS/token.err" 3>&-)
}

# bats test_tags=long
@test "joining by hand: what is there is listed, and by a token alone the coordinator with its key is found" {
  lan_begin
  lan_host one
  bus_start one
  avahi_start one
  farm_at one ours
  farm_at one theirs
  announced ours
  announced theirs
  wait_until 15 eval 'finds one "${ENDPOINTS[ours]}" && grep -qF "${ENDPOINTS[theirs]}" "$LOGS/look"'
  exits 0 at one "$DRAY" login
  file_has "$LOGS/out" "${ENDPOINTS[ours]} .* ${FINGERS[ours]} "
  file_has "$LOGS/out" 'dray login TOKEN'
  exits 0 at one "$WORKER" join --json
  jq -e --arg fp "${FINGERS[theirs]}" 'any(.found[]; .fingerprint == $fp)' "$LOGS/out"
  token ours --role client --name ann
  # what the admin was shown
  file_has "$LOGS/token.err" "${FINGERS[ours]}"
  mkdir -p "$FARM/ann"
  exits 0 at one "$DRAY" login --config "$FARM/ann/dray.conf" --name ann "$TOKEN"
  file_has "$LOGS/out" "fingerprint ${FINGERS[ours]}"
  file_has "$FARM/ann/dray.conf" '^coordinator = auto$'
  file_has "$FARM/ann/dray.conf" "^coordinator_key = $FARM/ann/coordinator.pub$"
  # a second farm is one more key
  token theirs --role client --name ann
  exits 0 at one "$DRAY" login --config "$FARM/ann/dray.conf" --name ann "$TOKEN"
  file_has "$FARM/ann/dray.conf" '^coordinator = auto$'
  file_has "$FARM/ann/dray.conf" "^coordinator_key = $FARM/ann/coordinator.pub, $FARM/ann/coordinator-"
  token ours --role worker --name w1
  mkdir -p "$FARM/w1"
  exits 0 at one "$WORKER" join --config "$FARM/w1/dray.conf" "$TOKEN"
  file_has "$FARM/w1/dray.conf" '^coordinator = auto$'
  # one that names endpoints keeps doing so
  token ours --role client --name bob
  mkdir -p "$FARM/bob"
  printf '[client]\ncoordinator = tcp://10.0.0.1:1\ncoordinator_key = %s\n' "$FARM/keys/theirs.pub" >"$FARM/bob/dray.conf"
  exits 0 at one "$DRAY" login --config "$FARM/bob/dray.conf" --name bob "$TOKEN"
  file_has "$FARM/bob/dray.conf" "^coordinator = .*${ENDPOINTS[ours]}"
  stop "${PIDS[ours]}"
  wait_until 10 lacks one "${ENDPOINTS[ours]}"
  exits 3 at one "$DRAY" login --config "$FARM/ann/dray.conf" "$TOKEN"
  file_has "$LOGS/err" "fingerprint ${FINGERS[ours]}, is found on this network"
}
