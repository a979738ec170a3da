#!/usr/bin/env bats
# Peers that speak wrongly are dropped; nobody else notices.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# A frame's first bytes: "DRAY", a version, a type (proto/wire.h).
HELLO_1=4452415900020001
HELLO_99=4452415900630001
# version_min, version_max, role (proto/link.proto).
BODY_1_CLIENT=080210021a06636c69656e74
BODY_99_CLIENT=086310631a06636c69656e74

port_of() {
  printf '%s' "${1##*:}"
}

still_served() {
  local name=after$RANDOM
  is_running "$COORDINATOR_PID"
  is_running "$WORKER_PID"
  package "$WORK/$name" "$name"
  build "$name" "$WORK/$name" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job "$name" where)" = farm ]
}
is_running() {
  fails is_gone "$1"
}

# A worker hears only keys that its coordinator has named to it: those of clients that had a job there.
named_to_worker() {
  package "$WORK/first" first
  build first "$WORK/first" build
  [ "$(job first where)" = farm ]
}

@test "a version from the future is refused with that reason" {
  farm_start
  named_to_worker
  run "$RAWPEER" send "$COORDINATOR_EP" "$FARM/keys/coordinator.pub" "$FARM/keys/client" \
    "$HELLO_99$BODY_99_CLIENT"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "${lines[0]}" =~ ^44524159....00030801 ]]
  run "$RAWPEER" send "$WORKER_EP" "$FARM/keys/w1.pub" "$FARM/keys/client" "$HELLO_99$BODY_99_CLIENT"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "${lines[0]}" =~ ^44524159....00030801 ]]
  still_served
}

@test "the same peer with the right version is welcome" {
  farm_start
  run "$RAWPEER" send "$COORDINATOR_EP" "$FARM/keys/coordinator.pub" "$FARM/keys/client" \
    "$HELLO_1$BODY_1_CLIENT"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "${lines[0]}" =~ ^44524159....00020802 ]]
}

@test "rubbish to each port" {
  local ep
  farm_start
  for ep in "$COORDINATOR_EP" "$WORKER_EP"; do
    # A program's bytes; a greeting that ends too early; nothing at all.
    head -c 100000 "$DRAY" >"/dev/tcp/127.0.0.1/$(port_of "$ep")" || true
    printf '\377\0\0\0\0\0\0\0\1\177\3\0CURVE' >"/dev/tcp/127.0.0.1/$(port_of "$ep")" || true
    : >"/dev/tcp/127.0.0.1/$(port_of "$ep")"
  done
  still_served
}

@test "rubbish inside an encrypted connection" {
  local ep key
  farm_start
  named_to_worker
  for ep in "$COORDINATOR_EP" "$WORKER_EP"; do
    key=$FARM/keys/coordinator.pub
    [ "$ep" = "$COORDINATOR_EP" ] || key=$FARM/keys/w1.pub
    # Noise; an empty frame; a header cut short; a type that is not there; a right header with a body
    # that is no protobuf; many frames; a message before Hello.
    run "$RAWPEER" send "$ep" "$key" "$FARM/keys/client" --replies 100 --wait 300 \
      ~50 / ~100000 / 00 / 445241 / 445241590002ffff / "$HELLO_1"ffffffffff / ~1 ~1 ~1 ~1 ~1 / \
      4452415900020010
    [ "$status" -eq 3 ]
  done
  still_served
}

@test "a message larger than its type allows" {
  farm_start
  run "$RAWPEER" send "$COORDINATOR_EP" "$FARM/keys/coordinator.pub" "$FARM/keys/client" --wait 500 \
    ~30000000
  still_served
}

@test "a job without a ticket" {
  farm_start
  named_to_worker
  # Hello, then JobOpen with nothing in it.
  run "$RAWPEER" send "$WORKER_EP" "$FARM/keys/w1.pub" "$FARM/keys/client" --replies 2 --wait 3000 \
    "$HELLO_1$BODY_1_CLIENT" / 445241590002003000000001
  echo "$output"
  # Whatever the words: it is not JobAccepted (49).
  [ -n "$output" ]
  run ! grep -qE '^44524159....0031' <<<"$output"
  still_served
}

@test "a client's key may not register a worker" {
  farm_start
  run "$RAWPEER" send "$COORDINATOR_EP" "$FARM/keys/coordinator.pub" "$FARM/keys/client" --wait 2000 \
    44524159000200010802100212 / 4452415900020020
  "$DISPATCH" --status --json >"$LOGS/status"
  [ "$(jq .workers "$LOGS/status")" -eq 1 ]
  still_served
}

@test "no keys, and keys that nobody knows, get no answer from the coordinator" {
  farm_start
  identity stranger
  run "$RAWPEER" send "$COORDINATOR_EP" - - --wait 500 "$HELLO_1$BODY_1_CLIENT"
  [ "$status" -eq 3 ]
  run "$RAWPEER" send "$COORDINATOR_EP" "$FARM/keys/coordinator.pub" "$FARM/keys/stranger" --wait 500 \
    "$HELLO_1$BODY_1_CLIENT"
  [ "$status" -eq 3 ]
  still_served
}

@test "complaints are throttled" {
  local i
  farm_start
  for ((i = 0; i < 40; i++)); do
    "$RAWPEER" send "$COORDINATOR_EP" "$FARM/keys/coordinator.pub" "$FARM/keys/client" --replies 0 \
      --wait 0 ~20 || true
    head -c 100 "$DRAY" >"/dev/tcp/127.0.0.1/$(port_of "$COORDINATOR_EP")" || true
  done
  still_served
  [ "$(wc -l <"$LOGS/coordinator")" -lt 60 ]
}
