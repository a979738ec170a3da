# A LAN of hosts, each with a network and a mount namespace, a dbus-daemon and an avahi-daemon of its own, joined by a
# bridge. Only root may make such. lib.bash comes first.
#
# A host's /run is its own: what runs there finds the system bus of that host, and no other.

declare -gA BUS_PIDS=() AVAHI_PIDS=() ADDRESSES=()
LAN_HOSTS=()

lan_begin() {
  local p
  [ "$(id -u)" -eq 0 ] || skip "only root can make network namespaces"
  [ -x "$DRAY_BUILD/discovery/dray-avahi" ] || skip "this is a build without dray-avahi"
  for p in ip nsenter dbus-daemon avahi-daemon; do
    command -v "$p" >/dev/null || skip "$p is not installed"
  done
  LAN=dray-lan-$BASHPID TAG=$BASHPID NET=10.215.$((BASHPID % 250 + 1))
  ip netns add "$LAN" 2>"$LOGS/netns" || skip "no network namespaces here: $(cat "$LOGS/netns")"
  ip -n "$LAN" link add br0 type bridge 2>"$LOGS/netns" || skip "no bridge here: $(cat "$LOGS/netns")"
  # what is sent to a group goes to all
  ip netns exec "$LAN" sh -c 'echo 0 >/sys/class/net/br0/bridge/multicast_snooping' 2>/dev/null || true
  ip -n "$LAN" link set br0 up
}

# lan_host NAME: a host without a bus.
lan_host() {
  local h=$1 n=$((${#LAN_HOSTS[@]} + 1))
  LAN_HOSTS+=("$h")
  ip netns add "dray-$h-$TAG" 2>"$LOGS/netns" || skip "no network namespaces here: $(cat "$LOGS/netns")"
  ip -n "$LAN" link add "v$n" type veth peer name eth0 netns "dray-$h-$TAG" 2>"$LOGS/netns" ||
    skip "no veth here: $(cat "$LOGS/netns")"
  ip -n "$LAN" link set "v$n" master br0
  ip -n "$LAN" link set "v$n" up
  ADDRESSES[$h]=$NET.$n
  ip -n "dray-$h-$TAG" addr add "${ADDRESSES[$h]}/24" dev eth0
  ip -n "dray-$h-$TAG" link set eth0 up
  ip -n "dray-$h-$TAG" link set lo up
  mkdir -p "$FARM/run-$h/dbus" "$FARM/run-$h/avahi-daemon"
}
# at HOST COMMAND…: there.
at() {
  (at_exec "$@")
}
# The same in place of this shell: for what is started in the background, and ended by its process id.
at_exec() {
  local h=$1
  shift
  exec nsenter --net="/run/netns/dray-$h-$TAG" unshare -m --propagation private sh -c 'mount --bind "$0" /run && exec "$@"' \
    "$FARM/run-$h" "$@"
}
# there HOST PROGRAM: prints a program that runs it at that host, for what starts a daemon.
there() {
  local f=$FARM/at-$1-${2##*/}
  printf '#!/bin/sh\nexec nsenter --net=/run/netns/dray-%s-%s unshare -m --propagation private sh -c '\''mount --bind "$0" /run && exec "$@"'\'' %s %s "$@"\n' \
    "$1" "$TAG" "$FARM/run-$1" "$2" >"$f"
  chmod +x "$f"
  printf '%s' "$f"
}

bus_start() {
  local h=$1
  cat >"$FARM/bus-$h.conf" <<XML
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
XML
  rm -f "$FARM/run-$h/dbus/system_bus_socket"
  at_exec "$h" dbus-daemon --config-file="$FARM/bus-$h.conf" --nofork --nopidfile --nosyslog >>"$LOGS/bus-$h" 2>&1 </dev/null 3>&- &
  BUS_PIDS[$h]=$!
  STARTED+=("$!")
  wait_until 10 test -S "$FARM/run-$h/dbus/system_bus_socket"
}
avahi_start() {
  local h=$1
  printf '[server]\nhost-name=%s\nuse-ipv4=yes\nuse-ipv6=no\nallow-interfaces=eth0\n[publish]\npublish-hinfo=no\npublish-workstation=no\n' \
    "$h" >"$FARM/avahi-$h.conf"
  at_exec "$h" avahi-daemon -f "$FARM/avahi-$h.conf" --no-drop-root --no-chroot --no-rlimits >>"$LOGS/avahi-$h" 2>&1 </dev/null 3>&- &
  AVAHI_PIDS[$h]=$!
  STARTED+=("$!")
  wait_until 10 avahi_answers "$h"
}
avahi_answers() {
  at "$1" dbus-send --system --print-reply --dest=org.freedesktop.Avahi / org.freedesktop.Avahi.Server.GetState 2>/dev/null |
    grep -q 'int32 2'
}
# stop PID
stop() {
  kill -TERM "$1"
  wait_until 10 is_gone "$1"
}

eval "lan_lib_$(declare -f teardown)"
teardown() {
  local h bad=0
  lan_lib_teardown || bad=1
  for h in ${LAN_HOSTS[@]+"${LAN_HOSTS[@]}"}; do
    ip netns del "dray-$h-$TAG" 2>/dev/null || true
  done
  [ -z "${LAN:-}" ] || ip netns del "$LAN" 2>/dev/null || true
  return $bad
}

# looks HOST [ARGS…]: what is found from there is in $LOGS/look.
looks() {
  at "$1" "$DRAY_BUILD/discovery/dray-avahi" browse "${@:2}" >"$LOGS/look" 2>>"$LOGS/look.err"
}
# finds HOST TEXT: what is found from there has that line's part.
finds() {
  looks "$1" && grep -qF -- "$2" "$LOGS/look"
}
