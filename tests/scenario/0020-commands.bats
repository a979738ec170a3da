#!/usr/bin/env bats
# The command lines: help, versions, manual pages, keys, configuration errors.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

MAN=$DRAY_TOP/man

# What the programs start in their turn.
PARTS=("$DRAY_BUILD/trace/dray-trace" "$DRAY_BUILD/drayctl/drayctl" "$DRAY_BUILD/worker/dray-exec")
[ ! -x "$DRAY_BUILD/discovery/dray-avahi" ] || PARTS+=("$DRAY_BUILD/discovery/dray-avahi")

# page PROGRAM: its manual page's file.
page() {
  local f
  for f in "$MAN/$1".[0-9]; do
    [ -f "$f" ] && printf '%s' "$f" && return 0
  done
  echo "no manual page for $1" >&2
  return 1
}
# plain FILE: its text, with roff's escaped hyphens and mdoc's flags made plain.
plain() {
  sed -e 's/\\-/-/g' -e 's/\\f[BIRP]//g' -e 's/Fl \(Fl \|-\)\([a-z]\)/--\2/g' "$1"
}
options_of() {
  "$@" --help 2>&1 | grep -oE -- '(^|[^[:alnum:]-])--[a-z][a-z0-9-]*' | sed 's/^[^-]*//' | sort -u
}

@test "each program has --help and --version, on stdout, with status 0" {
  local p
  for p in "$DRAY" "$DISPATCH" "$COORDINATOR" "$WORKER" "${PARTS[@]}"; do
    "$p" --help >"$LOGS/help" 2>"$LOGS/help.err"
    grep -qi usage "$LOGS/help"
    [ ! -s "$LOGS/help.err" ]
    "$p" --version >"$LOGS/version"
    grep -qE '^dray.* [0-9]+\.[0-9]+\.[0-9]+' "$LOGS/version"
  done
}

# has OPTION TEXT: the option is in it as a whole.
has() {
  grep -qE -- "(^|[^[:alnum:]-])$1([^[:alnum:]-]|\$)" <<<"$2"
}
# section COMMAND: its part of dray's page.
section() {
  plain "$MAN/dray.1" | sed -n "/^\.Ss $1\$/,/^\.S[sh] /p"
}
commands() {
  "$DRAY" --help | sed -n '/^commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

@test "every option in --help is in the manual page, and the other way round" {
  local p o text help
  for p in "$DISPATCH" "$COORDINATOR" "$WORKER" "${PARTS[@]}"; do
    text=$(plain "$(page "${p##*/}")")
    help=$("$p" --help)
    [ -n "$(options_of "$p")" ]
    for o in $(options_of "$p"); do
      has "$o" "$text" || { echo "${p##*/}: $o is not in its page"; return 1; }
    done
    for o in $(grep -oE -- '^\.It .*' <<<"$text" | grep -oE -- '--[a-z][a-z0-9-]*'); do
      has "$o" "$help" || { echo "${p##*/}: $o is not in its --help"; return 1; }
    done
  done
}

@test "every command of dray's --help is in its manual page, with its options, and the other way round" {
  local c o text help n=0
  for c in $(commands); do
    n=$((n + 1))
    text=$(section "$c")
    [ -n "$text" ] || { echo "$c is not in dray's page"; return 1; }
    [ "$c" != help ] || continue
    help=$("$DRAY" "$c" --help)
    for o in $(options_of "$DRAY" "$c"); do
      [ "$o" = --help ] || has "$o" "$text" || { echo "$c $o is not in dray's page"; return 1; }
      [ "$o" = --help ] || grep -qE "^  .*$o" <<<"$help" || { echo "$c --help does not explain $o"; return 1; }
    done
    for o in $(grep -E -- '^\.It Cm ' <<<"$text" | grep -oE -- '--[a-z][a-z0-9-]*'); do
      has "$o" "$help" || { echo "$o is not in dray $c --help"; return 1; }
    done
  done
  [ "$n" -ge 14 ]
  for c in $(sed -n 's/^\.Ss //p' "$MAN/dray.1"); do
    commands | grep -qx "$c" || { echo "dray --help has no $c"; return 1; }
  done
}

@test "every configuration key is in dray.conf.5" {
  local key keys text
  text=$(plain "$MAN/dray.conf.5")
  keys=$(sed -nE 's/^[[:space:]]*(char \*|int |bool |uint64_t )([a-z_]+);.*/\2/p' \
    "$DRAY_TOP/common/conf/conf.h")
  [ "$(wc -l <<<"$keys")" -gt 25 ]
  for key in $keys; do
    grep -qw -- "$key" <<<"$text" || { echo "$key is not in dray.conf.5"; return 1; }
  done
}

@test "an unknown option, or none where one is needed, is refused with a hint" {
  local p
  for p in "$DRAY" "$COORDINATOR" "$WORKER"; do
    run "$p" --no-such-option
    [ "$status" -ne 0 ]
    [[ "$output" == *no-such-option* ]]
  done
}

@test "keygen makes a private file and a public one, and overwrites nothing" {
  identity somebody
  [ "$(stat -c %a "$FARM/keys/somebody")" = 600 ]
  grep -q '^curve-secret' "$FARM/keys/somebody"
  run ! grep -q secret "$FARM/keys/somebody.pub"
  [ "$(curve_public somebody | tr -d '\n' | wc -c)" -eq 40 ]
  cp "$FARM/keys/somebody" "$FARM/keys/before"
  run "$DRAY" keygen --name somebody "$FARM/keys/somebody"
  [ "$status" -ne 0 ]
  cmp "$FARM/keys/somebody" "$FARM/keys/before"
}

@test "an identity that others can read is refused" {
  identity coordinator
  chmod 644 "$FARM/keys/coordinator"
  run "$COORDINATOR" --config "$FARM/empty.conf" --listen 'tcp://127.0.0.1:*' \
    --identity "$FARM/keys/coordinator" --allowed-keys "$FARM/allowed"
  [ "$status" -ne 0 ]
  [[ "$output" == *"$FARM/keys/coordinator"* ]]
}

@test "TCP without keys is refused, on the loopback address too" {
  run "$COORDINATOR" --config "$FARM/empty.conf" --listen 'tcp://127.0.0.1:*'
  [ "$status" -ne 0 ]
  [ -n "$output" ]
}

@test "a bad configuration names file, line and what is allowed" {
  printf '[client]\n\noffload = perhaps\n' >"$FARM/bad.conf"
  run env DRAY_CONFIG="$FARM/bad.conf" "$DRAY" env
  [ "$status" -ne 0 ]
  [[ "$output" == *"$FARM/bad.conf"*3* ]]
  [[ "$output" == *auto*always*never* ]]

  printf '[client]\nno_such_key = 1\n' >"$FARM/bad.conf"
  run "$COORDINATOR" --config "$FARM/bad.conf"
  [ "$status" -ne 0 ]
  [[ "$output" == *"$FARM/bad.conf"*2*no_such_key* ]]

  run env DRAY_OFFLOAD=perhaps "$DRAY" env
  [ "$status" -ne 0 ]
  [[ "$output" == *DRAY_OFFLOAD*auto*always*never* ]]
}

@test "a bad configuration does not stop a build" {
  package "$WORK/hello" hello
  plain_build "$WORK/hello" build
  printf '[client]\nnonsense = 1\n' >"$FARM/bad.conf"
  export RUSTC_WRAPPER=$DRAY DRAY_CONFIG=$FARM/bad.conf
  build first "$WORK/hello" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/hello"
}

# bats test_tags=long
@test "doctor is content with a farm that works, and says what is wrong with none" {
  farm_start
  run "$DRAY" doctor
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"$COORDINATOR_EP"* ]]
  kill -TERM "$COORDINATOR_PID"
  wait_until 5 is_gone "$COORDINATOR_PID"
  run "$DRAY" doctor
  echo "$output"
  [ "$status" -ne 0 ]
  [[ "$output" == *"$COORDINATOR_EP"* ]]
}

@test "env and run set what cargo needs" {
  farm_start
  run "$DRAY" env
  [ "$status" -eq 0 ]
  [[ "$output" == *RUSTC_WRAPPER=*dray* ]]
  run env -u RUSTC_WRAPPER "$DRAY" run -- sh -c 'echo "$RUSTC_WRAPPER $CARGO_BUILD_JOBS"; exit 7'
  echo "$output"
  [ "$status" -eq 7 ]
  [[ "$output" == */dray\ [1-9]* ]]
}

@test "the worker lists its toolchains" {
  run "$WORKER" --config "$FARM/empty.conf" --state-dir "$FARM/state" --list-toolchains
  [ "$status" -eq 0 ]
  [[ "$output" == *"$(rustc -vV | sed -n 's/^release: //p')"* ]]
}
