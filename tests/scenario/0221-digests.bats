#!/usr/bin/env bats
# A digest is no capability: a worker that has a blob uses it only for a client that has shown that it has it, too.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# sent LOG: builds $WORK/app anew as $DRAY_IDENTITY; $SENT: bytes of the unit's inputs that went to the worker.
sent() {
  rm -rf "$WORK/app/target"
  build "$1" "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job app where)" = farm ]
  SENT=$(job app bytes_sent)
  echo "$1: $SENT bytes"
}

@test "what one client sent, another one has to send again" {
  allow client client
  allow client other
  coordinator_start
  worker_start w1
  client_env
  package "$WORK/app" app
  printf '// %s\n' "$(head -c 150000 /dev/urandom | base64 -w 0)" >"$WORK/app/src/big.rs"
  echo 'mod big;' >>"$WORK/app/src/main.rs"
  sent first
  [ "$SENT" -gt 100000 ]
  # the control: nothing of it goes again
  sent again
  [ "$SENT" -lt 50000 ]
  DRAY_IDENTITY=$FARM/keys/other
  # another unit, or it would join what has just ended
  echo '// other' >>"$WORK/app/src/main.rs"
  sent other
  [ "$SENT" -gt 100000 ]
  sent other-again
  [ "$SENT" -lt 50000 ]
}
