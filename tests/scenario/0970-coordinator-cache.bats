#!/usr/bin/env bats
# The shared cache that a coordinator keeps: put by publishers and workers, got by all, in namespaces
# that know nothing of each other, in bounds, over restarts.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

scenario_setup() {
  SHARER=$DRAY_BUILD/tests/scenario/sharer
  KEY=$(printf '%064d' 7)
  [ -x "$SHARER" ] || { echo "not built: $SHARER" >&2; return 1; }
  head -c 3000000 /dev/urandom >"$WORK/large"
  head -c 700 /dev/urandom >"$WORK/small"
  : >"$WORK/empty"
}

# allow_in ROLE NAME NAMESPACE
allow_in() {
  identity "$2"
  printf '%s %s %s namespace=%s\n' "$1" "$(curve_public "$2")" "$2" "$3" >>"$FARM/allowed"
}
# as NAME COMMAND…: with that key.
as() {
  local name=$1
  shift
  DRAY_COORDINATOR=$COORDINATOR_EP DRAY_COORDINATOR_KEY=$FARM/keys/coordinator.pub DRAY_CONNECT_MS=10000 \
    DRAY_IDENTITY=$FARM/keys/$name "$SHARER" "$@"
}
name_of() {
  sha256sum "$1" | cut -c1-64
}
memory_kb() {
  sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"
}

@test "what a publisher puts is given to a client, a reader, a worker and a publisher; a client may not put" {
  local who
  allow publisher ci
  allow client ann
  allow reader eve
  allow worker w1
  allow admin root
  coordinator_start
  as ci put "$WORK/large" "$WORK/small" "$WORK/empty" >"$WORK/said"
  [ "$(cut -d' ' -f2 "$WORK/said" | sort -u)" = kept ]
  [ "$(head -n 1 "$WORK/said" | cut -d' ' -f1)" = "$(name_of "$WORK/large")" ]
  [[ "$(as ci put "$WORK/large")" = *' was there' ]]
  as ci put-entry "$KEY" "$WORK/small"
  cat "$WORK/small" "$WORK/large" "$WORK/empty" >"$WORK/all"
  for who in ci ann eve; do
    as $who get "$(name_of "$WORK/small")" "$(name_of "$WORK/large")" "$(name_of "$WORK/empty")" >"$WORK/got"
    cmp "$WORK/got" "$WORK/all"
    as $who get-entry "$KEY" >"$WORK/got"
    cmp "$WORK/got" "$WORK/small"
    [ "$(as $who look "$(name_of "$WORK/large")")" = 3000000 ]
    run -3 as $who get "$(printf '%064d' 9)"
  done
  for who in ann eve; do
    run -3 as $who put "$WORK/said"
    run -3 as $who put-entry "$KEY" "$WORK/large"
  done
  as ann get-entry "$KEY" >"$WORK/got"
  cmp "$WORK/got" "$WORK/small"
  run -4 as root get-entry "$KEY"
  [ -d "$FARM/shared/ns/blobs" ]
}

@test "one that puts without asking whether it may is dropped" {
  allow client ann
  coordinator_start
  # Hello of a client, then SharedPut (75) and SharedData (73) of request 1.
  run -0 "$RAWPEER" send "$COORDINATOR_EP" "$FARM/keys/coordinator.pub" "$FARM/keys/ann" --replies 2 \
    4452415900020001080210021a06636c69656e74 / \
    445241590002004b000000011220$(printf '%064d' 1)1805
  [[ "$output" = *"$(printf 'SharedPut is not for the role client' | od -An -tx1 | tr -d ' \n')"* ]]
  wait_until 5 file_has "$LOGS/coordinator" 'SharedPut is not for the role client'
}

@test "another namespace has nothing of it, and learns nothing" {
  allow_in publisher ci-a a
  allow_in client ann-a a
  allow_in publisher ci-b b
  allow publisher ci
  coordinator_start
  as ci-a put "$WORK/large"
  as ci-a put-entry "$KEY" "$WORK/small"
  as ann-a get "$(name_of "$WORK/large")" | cmp - "$WORK/large"
  for who in ci-b ci; do
    run -3 as $who get "$(name_of "$WORK/large")"
    run -3 as $who get-entry "$KEY"
    run -3 as $who look "$(name_of "$WORK/large")"
    # It has to send all of it: nothing says that it is there.
    [[ "$(as $who put "$WORK/large")" = *' kept' ]]
  done
  as ci-b put-entry "$KEY" "$WORK/empty"
  as ann-a get-entry "$KEY" | cmp - "$WORK/small"
}

@test "kill -9: what was acknowledged is there, what was not whole is not" {
  local i n=0
  allow publisher ci
  coordinator_start
  for ((i = 0; i < 60; i++)); do
    head -c $((2000000 + i)) /dev/urandom >"$WORK/blob-$i"
  done
  as ci put "$WORK"/blob-* >"$WORK/kept" 2>"$WORK/err" &
  STARTED+=($!)
  enough() {
    [ "$(wc -l <"$WORK/kept")" -ge 5 ]
  }
  wait_until 30 enough
  kill_hard "$COORDINATOR_PID"
  wait_until 30 is_gone "${STARTED[-1]}"
  n=$(wc -l <"$WORK/kept")
  [ "$n" -lt 60 ]
  coordinator_start
  while read -r name _; do
    as ci get "$name" | sha256sum | grep -q "^$name"
  done <"$WORK/kept"
  # Nothing is left of what was not whole.
  [ -z "$(ls "$FARM/shared/ns/tmp")" ]
  [ "$(find "$FARM/shared/ns/blobs" -type f | wc -l)" -le $((n + 6)) ]
}

@test "the budget: what was used least recently goes" {
  local i first
  allow publisher ci
  coordinator_start -o coordinator.cache_size=8M
  for ((i = 0; i < 12; i++)); do
    head -c 1000000 /dev/urandom >"$WORK/blob-$i"
    as ci put "$WORK/blob-$i"
    as ci get "$(name_of "$WORK/blob-0")" >/dev/null
  done
  within() {
    [ "$(find "$FARM/shared/ns/blobs" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }')" -le 8388608 ]
  }
  wait_until 10 within
  as ci look "$(name_of "$WORK/blob-0")" "$(name_of "$WORK/blob-11")" "$(name_of "$WORK/blob-6")"
  run -3 as ci look "$(name_of "$WORK/blob-1")"
  run -3 as ci look "$(name_of "$WORK/blob-3")"
  # One that would take a quarter of it, and more, is not taken.
  run -3 as ci put "$WORK/large"
}

@test "a full disk: nothing is kept, what is there is given, and jobs are placed" {
  [ "$(id -u)" -eq 0 ] || skip "root only: it mounts a file system"
  allow publisher ci
  mkdir "$FARM/shared"
  mount -t tmpfs -o size=6m,mode=0700 none "$FARM/shared" || skip "cannot mount here"
  coordinator_start
  as ci put "$WORK/small"
  head -c 5000000 /dev/urandom >"$FARM/shared/other" 2>/dev/null || true
  run -3 as ci put "$WORK/large"
  [[ "$output" = *'No space'* ]]
  as ci get "$(name_of "$WORK/small")" | cmp - "$WORK/small" || as ci put "$WORK/small"
  kill -0 "$COORDINATOR_PID"
  rm "$FARM/shared/other"
  as ci put "$WORK/large"
  kill -TERM "$COORDINATOR_PID"
  wait_until 10 is_gone "$COORDINATOR_PID"
  umount "$FARM/shared"
}

# bats test_tags=long
@test "a thousand gets at once, and those that read nothing: memory is bounded, others are served" {
  local before after i
  allow publisher ci
  allow client ann
  allow client deaf
  coordinator_start
  as ci put "$WORK/large"
  as ann many 10 "$(name_of "$WORK/large")"
  before=$(memory_kb "$COORDINATOR_PID")
  mkfifo "$WORK/end"
  exec {END}<>"$WORK/end"
  for i in 1 2 3; do
    # Neither the way by which they are told to end, nor what bats waits for.
    as deaf deaf 1000 "$(name_of "$WORK/large")" <"$WORK/end" >"$WORK/deaf-$i" {END}<&- 3>&- &
    STARTED+=($!)
  done
  for i in 1 2 3; do
    wait_until 10 file_has "$WORK/deaf-$i" asked
  done
  [ "$(as ann many 1000 "$(name_of "$WORK/large")")" = 1000 ]
  after=$(memory_kb "$COORDINATOR_PID")
  echo "from $before to $after kB"
  # 8 MiB for each key, with what libzmq and the allocator keep beside.
  [ "$after" -lt $((before + 60000)) ]
  for i in 1 2 3; do
    wait_until 45 file_has "$WORK/deaf-$i" ended
  done
  wait_until 5 file_has "$LOGS/coordinator" 'does not read what it asked for'
  as ann get "$(name_of "$WORK/large")" | cmp - "$WORK/large"
  exec {END}<&-
}

@test "a second coordinator with the same directory serves without a cache; none where it is off" {
  allow publisher ci
  coordinator_start
  as ci put "$WORK/small"
  COORDINATOR_EP=
  coordinator_start
  file_has "$LOGS/coordinator" 'another coordinator keeps its own here'
  run -4 as ci get "$(name_of "$WORK/small")"
  [[ "$output" = *'it has none'* ]]
  COORDINATOR_EP=
  coordinator_start -o coordinator.cache=no -o coordinator.cache_dir="$FARM/none"
  run -4 as ci get "$(name_of "$WORK/small")"
  fails compgen -G "$FARM/none/ns*"
}
