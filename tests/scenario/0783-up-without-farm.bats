#!/usr/bin/env bats
# dray up where its farm cannot begin: it says what is missing, and its command runs all the same.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

@test "without bubblewrap: a build here, from the cache the next time" {
  local bwrap
  bwrap=$(command -v bwrap) || skip "no bubblewrap"
  bwrap --dev-bind / / true || skip "bwrap does not work here"
  package "$WORK/hello" hello
  (cd "$WORK/hello" && cargo generate-lockfile -q)
  unset RUSTC_WRAPPER
  export DRAY_OFFLOAD=always
  for time in first second; do
    rm -f "$JOBS"
    (cd "$WORK/hello" && bwrap --dev-bind / / --ro-bind /dev/null "$(readlink -f "$bwrap")" --die-with-parent -- \
      "$DRAY" up -- cargo build) >"$LOGS/$time" 2>&1 </dev/null 3>&-
    grep "The sandbox does not work here: .*bwrap: .* It needs bubblewrap" "$LOGS/$time"
    grep "^dray up: the command runs without a farm; dray doctor says what is missing" "$LOGS/$time"
    [ "$("$WORK/hello/target/debug/hello")" = "hello from hello" ]
    clean "$WORK/hello"
    [ "$time" = second ] || [ "$(job hello where)" = local ]
  done
  all_hit
}

@test "any other reason: the command's status is passed on, and without a command it is 1" {
  local long
  long=$WORK/$(printf 'x%.0s' {1..120})
  run "$DRAY" up --ipc --dir "$long" -- sh -c 'echo "wrapper=$RUSTC_WRAPPER"; exit 7' 3>&-
  echo "$output"
  [ "$status" -eq 7 ]
  [[ "$output" == *"too long a path"*"the command runs without a farm"*"wrapper=$DRAY"* ]]
  run "$DRAY" up --ipc --dir "$long" 3>&-
  [ "$status" -eq 1 ]
  [[ "$output" == *"too long a path"* ]]
}
