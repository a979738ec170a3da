#!/usr/bin/env bats
# A store over HTTP that fails, in each way that it can: the right error, within its bound, and never a wrong
# byte.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/places.bash"
. "$BATS_TEST_DIRNAME/webs.bash"

scenario_setup() {
  unset http_proxy https_proxy all_proxy no_proxy HTTPS_PROXY ALL_PROXY NO_PROXY
  A=$WORK/a B=$WORK/b
  # does not shrink
  head -c 200000 /dev/urandom >"$A"
  echo other >"$B"
  A_NAME=$(digest_of "$A")
  bad_start
}

# The content as it is at a good server, for a mode.
fill() {
  place "http://127.0.0.1:$BAD_PORT/ok/x" <<END
put $A
put $B
END
}

# ask MODE PARAMS LINE…: in the background; what is said goes to $WORK/said-MODE.
ask() {
  local mode=$1 params=$2
  shift 2
  mkdir -p "$WORK/tmp"
  { printf '%s\nwait\n' "$@" why; } |
    PLACE="http://127.0.0.1:$BAD_PORT/$mode/x?$params" timeout $((60 * PATIENCE)) "$PLACE_PROGRAM" "$WORK/tmp" \
      >"$WORK/said-$mode" 2>&1 3>&- &
  ASKED+=("$!")
}
answered() {
  wait "${ASKED[@]}"
  ASKED=()
  head -v "$WORK"/said-*
}
# expect MODE REGEX MS: the first line of it, and in less time.
expect() {
  local line ms
  line=$(head -n 1 "$WORK/said-$1")
  ms=${line##* }
  [[ $line =~ $2 ]] || { echo "$1: $line" >&2; return 1; }
  [ "$ms" -lt $(($3 * PATIENCE)) ] || { echo "$1 took $ms ms" >&2; return 1; }
}

@test "a get: cut, hanging, slow, garbage, another's content, too large" {
  local mode ASKED=()
  fill
  for mode in hang_after_head hang_mid_body slow; do
    ask "$mode" 'request_s=2&low_speed_s=1' "get $A_NAME $WORK/got-$mode"
  done
  for mode in garbage nothing part part_untold part_as_whole half_length flipped swapped page endless huge many_headers; do
    ask "$mode" 'request_s=20' "get $A_NAME $WORK/got-$mode"
  done
  answered
  for mode in hang_after_head hang_mid_body slow; do
    expect "$mode" '^get .* error ETIMEDOUT ' 3000
  done
  expect garbage '^get .* error EPROTO ' 5000
  expect many_headers '^get .* error EPROTO ' 5000
  expect nothing '^get .* error ECONNRESET ' 5000
  for mode in part part_untold part_as_whole half_length flipped swapped page endless huge; do
    expect "$mode" '^get .* error EBADMSG ' 5000
  done
  [ -z "$(find "$WORK" -name 'got-*')" ]
  # nothing is left of what was not whole
  [ -z "$(ls -A "$WORK/tmp")" ]
}

@test "a directory that another one makes in the same moment" {
  local ASKED=()
  ask raced request_s=20 "put $A" wait "get $A_NAME $WORK/got"
  answered
  expect raced '^put [01] ' 5000
  cmp "$A" "$WORK/got"
}

@test "each status means what it should" {
  local status ASKED=()
  for status in 400 401 403 404 405 409 413 429 500 502 503 504 507; do
    ask "$status" 'request_s=20' "get $A_NAME $WORK/got"
  done
  answered
  for status in 401 403 404; do
    expect "$status" '^get .* error ENOENT ' 3000
  done
  for status in 429 503; do
    expect "$status" '^get .* error EBUSY ' 5000
  done
  for status in 400 405 409 413 500 502 504 507; do
    expect "$status" '^get .* error EREMOTEIO ' 5000
  done
  # what may be a bad moment is tried three times, and the others once
  for status in 429 500 502 503 504; do
    [ "$(grep -c "GET	/$status/" "$FARM/bad")" -eq 3 ]
  done
  for status in 400 401 403 404 405 409 413 507; do
    [ "$(grep -c "GET	/$status/" "$FARM/bad")" -eq 1 ]
  done
  for status in 401 403 404 405 413 429 501 507; do
    ask "$status" 'request_s=20' "put $A"
  done
  answered
  expect 401 '^put .* error EACCES ' 5000
  expect 403 '^put .* error EACCES ' 5000
  expect 404 '^put .* error ENOTDIR ' 5000
  expect 405 '^put .* error EROFS ' 5000
  expect 413 '^put .* error EFBIG ' 5000
  expect 429 '^put .* error EBUSY ' 5000
  expect 501 '^put .* error EROFS ' 5000
  expect 507 '^put .* error ENOSPC ' 5000
}

@test "a bad moment passes; who asks for patience has it, within bounds" {
  local mode ASKED=()
  fill
  ask '2-503' 'request_s=20' "get $A_NAME $WORK/got-1"
  ask '2-nothing' 'request_s=20' "get $A_NAME $WORK/got-2"
  ask '1-part' 'request_s=20' "get $A_NAME $WORK/got-3"
  ask '1-retry_after_1' 'request_s=20' "get $A_NAME $WORK/got-4"
  ask 'retry_after_9' 'request_s=20' "get $A_NAME $WORK/got-5"
  ask '2-500' 'request_s=20' "put $A"
  ask '2-closes' 'request_s=20' "get $A_NAME $WORK/got-6" wait "get $A_NAME $WORK/got-7"
  answered
  for mode in '2-503' '2-nothing' '1-part' '1-retry_after_1' '2-closes'; do
    expect "$mode" "^get $A_NAME 200000 " 5000
  done
  expect '1-retry_after_1' ' [0-9]{4,}$' 5000
  for mode in 1 2 3 4 6 7; do
    cmp "$A" "$WORK/got-$mode"
  done
  expect 'retry_after_9' '^get .* error EBUSY ' 1000
  expect '2-500' "^put [01] $A_NAME 200000 " 5000
}

@test "refused, not taken, no such host; a put that hangs; an error without an end" {
  local ASKED=()
  place "http://127.0.0.1:1/x" <<END
get $A_NAME $WORK/got
END
  said '^get .* error ECONNREFUSED'
  took_less 1000 '^get'
  place "http://127.0.0.1:$FULL_PORT/x?connect_ms=300" <<END
get $A_NAME $WORK/got
put $A
END
  said '^get .* error ETIMEDOUT'
  said '^put .* error ETIMEDOUT'
  took_less 1500 '^get'
  took_less 1500 '^put'
  place "http://no-such-host.invalid/x" <<END
has $A_NAME
END
  said '^has .* error EHOSTUNREACH'
  ask hang_after_head 'request_s=1' "put $A"
  ask endless_error 'request_s=5' "get $A_NAME $WORK/got"
  # the limit is one for all that a put takes: with directories it would be ten seconds
  ask late_404 'request_s=2' "put $A"
  answered
  expect late_404 '^put .* error ETIMEDOUT ' 3500
  expect hang_after_head '^put .* error ETIMEDOUT ' 2500
  expect endless_error '^get .* error ENOENT ' 4000
}

@test "create-only where the server can; no word of Expect; one that cannot is not asked again" {
  place "http://127.0.0.1:$BAD_PORT/ok/x" <<END
put $A
wait
put $A
put-entry $A_NAME $B
wait
put-entry $A_NAME $B
END
  said "^put 0 $A_NAME 200000"
  said "^put 1 $A_NAME 200000"
  said "^put-entry $A_NAME 6" 2
  [ "$(grep -c 'PUT.*blobs.*if-none-match=\*' "$FARM/bad")" -eq 2 ]
  fails grep -q 'PUT.*entries.*if-none-match' "$FARM/bad"
  fails grep -q 'expect=' "$FARM/bad"
  fails grep -q 'transfer-encoding=' "$FARM/bad"
  : >"$FARM/bad"
  place "http://127.0.0.1:$BAD_PORT/no_conditions/x" <<END
put $A
wait
put $B
END
  said "^put 0 $A_NAME 200000"
  [ "$(grep -c 'PUT' "$FARM/bad")" -eq 3 ]
  [ "$(grep -c 'if-none-match=' "$FARM/bad")" -eq 1 ]
}

@test "a damaged blob is written over by who met it" {
  fill
  place "http://127.0.0.1:$BAD_PORT/flipped/x" <<END
get $A_NAME $WORK/none
wait
put $A
put $B
END
  said '^get .* error EBADMSG'
  said "^put 0 $A_NAME"
  said '^put 1 '
  [ "$(grep "PUT	/flipped/.*$A_NAME" "$FARM/bad" | grep -c 'if-none-match')" -eq 0 ]
}

@test "thousands at once: few descriptors, few connections; questions before uploads" {
  fill
  (
    ulimit -n 100
    place "http://127.0.0.1:$BAD_PORT/ok/x" <<END
many-get 2000 100
many 60 100
has $A_NAME
wait
many-get 60 100
END
  )
  said '^many-get failed 2000 there 0 bytes 0 last ENOENT'
  said '^many failed 0'
  said '^many-get failed 0 there 0 bytes 6000'
  said "^has $A_NAME 0"
  [ "$(cut -f 1 "$FARM/bad" | sort -u | wc -l)" -le 20 ]
}
