#!/usr/bin/env bats
# The line between client and worker is cut at each chunk of a job, either way: the build goes on, and
# its outputs are plain cargo's.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# A farm of one worker that is reached through a line that can be cut.
cut_farm() {
  mkfifo "$FARM/cutter.in"
  # Its standard input is held open by us, and by nobody else.
  "$CUTTER" <"$FARM/cutter.in" >"$LOGS/cutter" 2>&1 3>&- &
  STARTED+=($!)
  exec {ORDERS}>"$FARM/cutter.in"
  wait_until 5 test -s "$LOGS/cutter"
  allow client client
  allow worker w1
  coordinator_start
  worker_start w1 --advertise "tcp://127.0.0.1:$(head -n 1 "$LOGS/cutter")"
  order to "${WORKER_EP##*:}"
  client_env
}

# order WORDS…: tells the cutter, and waits until it has heard.
order() {
  local before
  before=$(grep -c '^ok ' "$LOGS/cutter") || true
  echo "$*" >&"$ORDERS"
  wait_until 5 heard "$before"
}
heard() {
  [ "$(grep -c '^ok ' "$LOGS/cutter")" -gt "$1" ]
}
cuts() {
  grep -c '^cut ' "$LOGS/cutter" || true
}
# failed N: whether the coordinator knows of so many jobs that failed.
failed() {
  [ "$(grep -c 'failed it' "$LOGS/coordinator")" -ge "$1" ]
}

# big_app SIZE: a library that holds so many bytes, which are in its rmeta, and twice in its rlib; and a
# program on it.
big_app() {
  package "$WORK/app" app
  dependency "$WORK/app" big
  echo "pub static BYTES: [u8; $1] = *include_bytes!(\"bytes\");" >"$WORK/app/big/src/lib.rs"
  head -c "$1" /dev/urandom >"$WORK/app/big/src/bytes"
  echo 'fn main() { println!("{}", big::BYTES.len()); }' >"$WORK/app/src/main.rs"
}

# cut_build WAY N MODE: a build whose N-th chunk is the last on its line ($CUT, no when no line has so
# many), and one that is not cut, so that the worker is well again, and known to be. The source is
# another one each time: all its chunks are sent.
cut_build() {
  local before
  before=$(cuts) CUT=yes
  printf '%s %d %s\n' "$@" | dd of="$WORK/app/big/src/bytes" conv=notrunc status=none
  rm -rf "$WORK/app/target"
  plain_build "$WORK/app" build
  order cut "$@"
  rm -f "$JOBS"
  build "$1-$2-$3" "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  if [ "$(cuts)" -eq "$before" ]; then
    CUT=no
    return 0
  fi
  # The one that it happened to was given back, for that reason, and made here.
  jq -es 'map(select(.attempts | length > 0)) | length == 1 and
    .[0].where == "local" and (.[0].attempts[0] | test("^w1: the connection was lost"))' "$JOBS"
  # three in a row are too many: the next one, which goes well, must come after this one
  wait_until 20 failed "$(cuts)"
  rm -rf "$WORK/app/target"
  order pass
  rm -f "$JOBS"
  build "$1-$2-$3-again" "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  jobs_all '.where == "farm"'
}

# each_chunk WAY SIZE LEAST: cuts after each chunk, and within each.
each_chunk() {
  local mode n
  big_app "$2"
  cut_farm
  for mode in after within; do
    for ((n = 1; n <= 20; n++)); do
      cut_build "$1" "$n" "$mode"
      [ "$CUT" = yes ] || break
    done
    [ "$CUT" = no ]
    [ "$n" -gt "$3" ]
  done
}

# bats test_tags=long
@test "on the way to the worker" {
  each_chunk up 1000000 4
}

# bats test_tags=long
@test "on the way back" {
  each_chunk down 500000 6
}

@test "another worker is given all of it" {
  big_app 1000000
  plain_build "$WORK/app" build
  allow worker w2
  cut_farm
  worker_start w2
  # Of two that are free, and as good, the first by name is taken.
  order cut up 2 within
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  [ "$(cuts)" -eq 1 ]
  jobs_all '.where == "farm"'
  [ "$(job big worker)" = w2 ]
  [[ "$(job big attempts)" = *'w1: the connection was lost'* ]]
}
