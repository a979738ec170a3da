#!/usr/bin/env bats
# A worker on another network: cut off in both directions and in either one, and behind a slow line. It
# lives in a network namespace of its own, which only root may make.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

scenario_setup() {
  local n=$((BASHPID % 250 + 1))
  [ "$(id -u)" -eq 0 ] || skip "only root can make network namespaces"
  command -v ip >/dev/null && command -v tc >/dev/null || skip "iproute2 is not installed"
  NS=dray-$BASHPID HOST_IF=dh$BASHPID WORKER_IF=dw$BASHPID
  HOST_IP=10.213.$n.1 WORKER_IP=10.213.$n.2
  ip netns add "$NS" 2>"$LOGS/netns" || skip "no network namespaces here: $(cat "$LOGS/netns")"
  ip link add "$HOST_IF" type veth peer name "$WORKER_IF" netns "$NS" 2>"$LOGS/netns" ||
    skip "no veth here: $(cat "$LOGS/netns")"
  ip addr add "$HOST_IP/30" dev "$HOST_IF"
  ip link set "$HOST_IF" up
  ip -n "$NS" addr add "$WORKER_IP/30" dev "$WORKER_IF"
  ip -n "$NS" link set "$WORKER_IF" up
  ip -n "$NS" link set lo up
  ip netns exec "$NS" tc qdisc add dev lo root tbf rate 512kbit burst 16kb latency 400ms 2>"$LOGS/netns" ||
    skip "no token buckets here: $(cat "$LOGS/netns")"
  ip netns exec "$NS" tc qdisc del dev lo root
  printf '#!/bin/sh\nexec nsenter --net=/run/netns/%s %s "$@"\n' "$NS" "$WORKER" >"$FARM/far-worker"
  chmod +x "$FARM/far-worker"
}

eval "lib_$(declare -f teardown)"
teardown() {
  local bad=0
  lib_teardown || bad=1
  [ -z "${NS:-}" ] || ip netns del "$NS" 2>/dev/null || true
  [ -z "${HOST_IF:-}" ] || ip link del "$HOST_IF" 2>/dev/null || true
  return $bad
}

# The coordinator and the client here, worker w1 over there.
far_farm() {
  allow client client
  allow worker w1
  COORDINATOR_EP="tcp://$HOST_IP:*"
  coordinator_start
  WORKER=$FARM/far-worker worker_start w1 --listen "tcp://$WORKER_IP:*"
  client_env
}

# Nothing gets out of an interface whose bucket never fills.
choke() {
  "$@" root tbf rate 8bit burst 1 limit 1
}

slow_app() {
  slow_dependency "$WORK/app"
  plain_build "$WORK/app" build
}

# COMMAND… happens while slow is compiled over there; the build ends all the same, and the next one, too.
# SLOW_WHERE and SLOW_ATTEMPTS say what became of slow in the first.
cut_off_by() {
  slow_app
  far_farm
  build_start first "$WORK/app" build
  wait_until 60 worker_compiles "$WORKER_PID" slow
  "$@"
  build_finish 120
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  SLOW_WHERE=$(job slow where) SLOW_ATTEMPTS=$(job slow attempts)
  rm -rf "$WORK/app/target"
  build second "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
}

@test "a worker on another network does its work" {
  package "$WORK/hello" hello
  plain_build "$WORK/hello" build
  far_farm
  build first "$WORK/hello" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/hello"
  [ "$(job hello where)" = farm ]
}

# bats test_tags=long
@test "cut off in both directions" {
  cut_off_by ip link set "$HOST_IF" down
  [ "$SLOW_WHERE" = local ]
  [[ "$SLOW_ATTEMPTS" = *w1* ]]
}

# bats test_tags=long
@test "nothing comes from it any more" {
  cut_off_by choke ip netns exec "$NS" tc qdisc add dev "$WORKER_IF"
  [ "$SLOW_WHERE" = local ]
  [[ "$SLOW_ATTEMPTS" = *w1* ]]
}

# bats test_tags=long
@test "nothing gets to it any more" {
  # What it had all it needed for may still be done, and its result still comes.
  cut_off_by choke tc qdisc add dev "$HOST_IF"
}

# bats test_tags=long
@test "a line of 64 kB/s: slow, and right" {
  package "$WORK/app" app
  head -c 200000 /dev/urandom | base64 >"$WORK/app/src/data"
  printf 'fn main() { println!("{}", include_str!("data").len()); }\n' >"$WORK/app/src/main.rs"
  plain_build "$WORK/app" build
  far_farm
  tc qdisc add dev "$HOST_IF" root tbf rate 512kbit burst 16kb latency 400ms
  ip netns exec "$NS" tc qdisc add dev "$WORKER_IF" root tbf rate 512kbit burst 16kb latency 400ms
  build_start first "$WORK/app" build
  build_finish 120
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  [ "$(job app where)" = farm ]
}
