# Two hosts, one and two, with a network, a home, a cargo home, a cache and a key of their own each; the coordinator, the
# workers and the stores are here, and are reached at $HUB. Only root may make such. lib.bash, users.bash and vouched.bash
# come first.

declare -gA NETS=() USERS=()
HOST_ENV=()

hosts_begin() {
  local h i=0
  as_root
  command -v ip >/dev/null && command -v setpriv >/dev/null && command -v nsenter >/dev/null ||
    skip "iproute2 or util-linux is not installed"
  # others cannot look into the directory of bats
  WORLD=$(mktemp -d /tmp/dray-hosts-XXXXXX)
  chmod 755 "$WORLD"
  install -d -m 1777 "$WORLD/memcheck"
  mkdir "$WORLD/build" "$WORLD/src"
  NET=10.214.$((BASHPID % 250 + 1)) TAG=$BASHPID
  HUB=$NET.1
  for h in one two; do
    NETS[$h]=dray-$h-$TAG
    ip netns add "${NETS[$h]}" 2>"$LOGS/netns" || skip "no network namespaces here: $(cat "$LOGS/netns")"
    ip link add "d$i-$TAG" type veth peer name eth0 netns "${NETS[$h]}" 2>"$LOGS/netns" ||
      skip "no veth here: $(cat "$LOGS/netns")"
    ip addr add "$NET.$((4 * i + 1))/30" dev "d$i-$TAG"
    ip link set "d$i-$TAG" up
    ip -n "${NETS[$h]}" addr add "$NET.$((4 * i + 2))/30" dev eth0
    ip -n "${NETS[$h]}" link set eth0 up
    ip -n "${NETS[$h]}" link set lo up
    ip -n "${NETS[$h]}" route add default via "$NET.$((4 * i + 1))"
    USERS[$h]=$((61220 + i++))
  done
  COORDINATOR_EP="tcp://$HUB:*"
}

eval "lib_$(declare -f teardown)"
teardown() {
  local h bad=0 pid
  cp "${WORLD:-/nonexistent}/memcheck/"* "$MEMCHECK" 2>/dev/null || true
  for pid in $(cat "${WORLD:-/nonexistent}"/*/.cache/dray/half-*/*.start 2>/dev/null | cut -d' ' -f1); do
    [ "$pid" = 0 ] || STARTED+=("$pid")
  done
  if [ -n "${WORLD:-}" ]; then
    seed_keep hosts "$WORLD/one/.cache/dray"
    for h in one two; do
      cp "$WORLD/$h/.cache/dray/jobs.jsonl" "$LOGS/jobs-$h.jsonl" 2>/dev/null || true
    done
  fi
  lib_teardown || bad=1
  for h in "${!NETS[@]}"; do
    ip netns del "${NETS[$h]}" 2>/dev/null || true
  done
  [ -z "${WORLD:-}" ] || rm -rf "$WORLD"
  return $bad
}

# host NAME KEY MAKE [LINE…]: MAKE makes its sources, in a directory that it is given; dray.conf has these lines
# beside the farm's.
host() {
  local h=$1 key=$2 make=$3
  shift 3
  mkdir -p "$WORLD/$h/.cache/dray"
  seed_take hosts "$WORLD/$h/.cache/dray"
  "$make" "$WORLD/$h/src"
  cp "$FARM/keys/$key" "$WORLD/$h/key"
  cp "$FARM/keys/coordinator.pub" "$WORLD/$h/coordinator.pub"
  {
    printf '[client]\nidentity = %s/key\noffload = always\nlinker = rustc\n' "$WORLD/$h"
    printf 'connect_ms = 10000\nstore_wait_ms = 10000\nlocal_memory = 0\nprime = no\n'
    printf '%s\n' "$@"
  } >"$WORLD/$h/dray.conf"
  with_farm "$h"
  chown -R "${USERS[$h]}:${USERS[$h]}" "$WORLD/$h"
}
# with_farm HOST, without_farm HOST: whether it knows the coordinator.
with_farm() {
  without_farm "$1"
  printf 'coordinator = %s\ncoordinator_key = %s\n' "$COORDINATOR_EP" "$WORLD/$1/coordinator.pub" >>"$WORLD/$1/dray.conf"
}
without_farm() {
  sed -i '/^coordinator/d' "$WORLD/$1/dray.conf"
}

# on HOST COMMAND…: there, in $WORLD/src, which is $WORLD/HOST/src: the same path for both. elsewhere HOST COMMAND…: in
# $WORLD/HOST/src.
on() {
  AT=$WORLD/src on_host "$@"
}
elsewhere() {
  AT=$WORLD/$1/src on_host "$@"
}
on_host() {
  local h=$1 uid=${USERS[$1]}
  shift
  nsenter --net="/run/netns/${NETS[$h]}" unshare -m bash -c '
    mount --bind "$1" /mnt && mount --bind "$2" "$4/build" && mount --bind "$4/$3/src" "$4/src" && cd "$5" && shift 5 &&
      exec "$@"' - "$(rustc --print sysroot)" "$DRAY_BUILD" "$h" "$WORLD" "$AT" \
    setpriv --reuid="$uid" --regid="$uid" --clear-groups --no-new-privs \
    env -u DRAY_CACHE -u DRAY_CACHE_DIR -u DRAY_JOB_LOG -u DRAY_SCRIPTS -u DRAY_OFFLOAD -u DRAY_PRIME -u DRAY_LOCAL_MEMORY \
    -u DRAY_STORE_WAIT_MS -u DRAY_CONNECT_MS -u XDG_CACHE_HOME -u RUSTC -u RUSTUP_HOME -u RUSTUP_TOOLCHAIN -u TMPDIR \
    HOME="$WORLD/$h" CARGO_HOME="$WORLD/$h/.cargo" PATH=/mnt/bin:/usr/bin:/bin RUSTC_WRAPPER="$WORLD/build/client/dray" \
    DRAY_CONFIG="$WORLD/$h/dray.conf" \
    ASAN_OPTIONS="${ASAN_OPTIONS//$MEMCHECK/$WORLD/memcheck}" UBSAN_OPTIONS="${UBSAN_OPTIONS//$MEMCHECK/$WORLD/memcheck}" \
    "${HOST_ENV[@]}" "$@" </dev/null 3>&-
}
# builds WHERE HOST LABEL: cargo build there, by `on` or `elsewhere`, with a job log of its units alone.
builds() {
  JOBS=$WORLD/$2/.cache/dray/jobs.jsonl
  [ ! -f "$JOBS" ] || cat "$JOBS" >>"$LOGS/earlier-jobs.jsonl"
  rm -f "$JOBS"
  "$1" "$2" cargo build >"$LOGS/$3.out" 2>"$LOGS/$3.err" || { cat "$LOGS/$3.err" >&2; return 1; }
}
# fresh HOST: it has nothing any more but its sources and its settings.
fresh() {
  local pid
  for pid in $(cat "$WORLD/$1/.cache/dray/half-"*/*.start 2>/dev/null | cut -d' ' -f1); do
    [ "$pid" = 0 ] || is_gone "$pid" || { kill -TERM "$pid" && wait_until 10 is_gone "$pid"; }
  done
  seed_keep hosts "$WORLD/$1/.cache/dray"
  rm -rf "$WORLD/$1/src/target" "$WORLD/$1/.cache"
  mkdir -p "$WORLD/$1/.cache/dray"
  seed_take hosts "$WORLD/$1/.cache/dray"
  chown -R "${USERS[$1]}:${USERS[$1]}" "$WORLD/$1/.cache"
}
# nothing_compiled: of the last build no unit was compiled, and no script was run, here or anywhere; what is linked, is
# linked here at most.
nothing_compiled() {
  jobs_all '.where == "cache" and (.cache == "hit" or .cache == "bundle") and .tier != "local"' || {
    jq -r '[.crate, .kind, .where, .cache, .tier, .cache_why, .shared_why, .why] | map(. // "-") | join(" | ")' "$JOBS" >&2
    return 1
  }
}

# two_workers: w1 and w2, which share what they make.
two_workers() {
  local w
  for w in w1 w2; do
    worker_of --name "$w" --identity "$FARM/keys/$w" --state-dir "$PLACE/state-$w" --listen "tcp://$HUB:*" \
      -o worker.user=nobody "$@"
    start_daemon "worker-$w" "${COMMAND[@]}"
    WORKER_PIDS[$w]=$DAEMON_PID
  done
}
workers_end() {
  local w
  for w in w1 w2; do
    kill -TERM "${WORKER_PIDS[$w]}"
  done
  for w in w1 w2; do
    wait_until 10 is_gone "${WORKER_PIDS[$w]}"
  done
}
# entries: what the coordinator has of them on its disk.
entries() {
  find "$FARM/shared" -path '*/entries/*' -type f 2>/dev/null | wc -l
}
has_entries() {
  [ "$(entries)" -ge "$1" ]
}
# all_uploaded: nothing of it waits for the stores behind the disk.
all_uploaded() {
  [ -z "$(find "$FARM/shared" -path '*/behind/*' -type f)" ]
}
