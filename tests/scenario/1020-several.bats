#!/usr/bin/env bats
# Several coordinators in one line of the configuration, over the same workers: tried in turn, and
# neither knows of the other.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/several.bash"

@test "the first is killed: what runs goes on, the next job is the second's" {
  local at took
  package "$WORK/app" app
  package "$WORK/next" next
  plain_build "$WORK/next" build
  mv "$BATS_TEST_TMPDIR/plain-target" "$BATS_TEST_TMPDIR/plain-next"
  slow_after 5 >"$WORK/app/src/lib.rs"
  plain_build "$WORK/app" build --lib
  both_start 1
  build_start app "$WORK/app" build --lib
  wait_until 20 worker_compiles "$WORKER_PID" app
  hold "$WORKER_PID" app
  at=$(now_ms)
  kill_hard "$COORDINATOR_PID"
  build next "$WORK/next" build
  took=$(($(now_ms) - at))
  [ "$BUILD_STATUS" -eq 0 ]
  same_made "$BATS_TEST_TMPDIR/plain-next/debug" "$WORK/next/target/debug"
  [ "$(job next where)" = farm ]
  [ "$took" -le $((5000 * PATIENCE)) ]
  release
  build_finish 20
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  [ "$(job app where)" = farm ]
  [ "$(job app attempts)" = "" ] || [ "$(job app attempts)" = "[]" ]
}

@test "the first is not there: the second is used at once" {
  both_start 1
  kill_hard "$COORDINATOR_PID"
  package "$WORK/app" app
  build app "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job app where)" = farm ]
  # by a process of its own for each unit, too
  rm -rf "$WORK/app/target"
  DRAY_FARM_HALF=no build again "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job app where)" = farm ]
  # and said
  run "$DRAY" doctor --json
  jq -e --arg at "$COORDINATOR_EP" 'any(.[]; .check == "farm" and .finding == "note" and (.text | startswith($at + " does not answer")))' <<<"$output"
  jq -e --arg at "$SECOND_EP" 'any(.[]; .check == "farm" and .finding == "good" and (.text | startswith($at + ": ")))' <<<"$output"
}

# The worker's heartbeats tell it.
serves_two() {
  "$DRAYCTL" workers --coordinator "$SECOND_EP" --json | jq -e '.workers[0].coordinators == 2' >/dev/null
}

@test "drayctl tells which one answers, and asks the one that is named" {
  allow admin boss
  both_start 1
  export DRAY_IDENTITY=$FARM/keys/boss
  "$DRAYCTL" status --remote --json |
    jq -e --arg a "$COORDINATOR_EP" '.coordinator == $a and [.coordinators[] | .answered, .reachable] == [true, true, false, true]'
  wait_until 10 serves_two
  kill_hard "$COORDINATOR_PID"
  "$DRAYCTL" status --remote --json |
    jq -e --arg b "$SECOND_EP" '.coordinator == $b and [.coordinators[] | .answered, .reachable] == [false, false, true, true]'
  run -3 "$DRAYCTL" status --coordinator "$COORDINATOR_EP"
  run -3 "$DRAYCTL" status --coordinator tcp://127.0.0.1:1
  [[ $output == *"[client] coordinator names $COORDINATOR_EP, $SECOND_EP" ]]
}

# two_packages N: one and two, each of N libraries that take a while; plain cargo's builds of both.
two_packages() {
  local p i
  for p in one two; do
    package "$WORK/$p" $p
    for ((i = 1; i <= $1; i++)); do
      dependency "$WORK/$p" "$p$i"
      slow_after 40 >"$WORK/$p/$p$i/src/lib.rs"
    done
    plain_build "$WORK/$p" build
    mv "$BATS_TEST_TMPDIR/plain-target" "$BATS_TEST_TMPDIR/plain-$p"
  done
}
# of_first ARGS…, of_second ARGS…: build_start by a client of one coordinator alone, each with a key and a cache of its own.
of_first() {
  DRAY_COORDINATOR=$COORDINATOR_EP DRAY_COORDINATOR_KEY=$FARM/keys/coordinator.pub build_start "$@"
  FIRST_BUILD=$BUILD_PID
}
of_second() {
  DRAY_COORDINATOR=$SECOND_EP DRAY_COORDINATOR_KEY=$FARM/keys/second.pub DRAY_IDENTITY=$FARM/keys/other \
    DRAY_CACHE_DIR=$FARM/other-cache DRAY_JOB_LOG=$FARM/other.jsonl build_start "$@"
}

# bats test_tags=long
@test "two clients by two coordinators, one worker of two slots: never more than two compilers" {
  local n most=0
  two_packages 4
  allow client other
  both_start 1
  of_first one "$WORK/one" build -j4
  of_second two "$WORK/two" build -j4
  until is_gone "$FIRST_BUILD" && is_gone "$BUILD_PID"; do
    n=$(compilers "$WORKER_PID")
    [ "$n" -le "$most" ] || most=$n
  done
  build_finish 120
  [ "$BUILD_STATUS" -eq 0 ]
  wait "$FIRST_BUILD"
  same_made "$BATS_TEST_TMPDIR/plain-one/debug" "$WORK/one/target/debug"
  same_made "$BATS_TEST_TMPDIR/plain-two/debug" "$WORK/two/target/debug"
  [ "$most" -eq 2 ]
  # both had some of it, and nobody was to blame
  jobs_all '.where == "farm"'
  JOBS=$FARM/other.jsonl jobs_all '.where == "farm"'
  "$DRAYCTL" workers --json --socket "$FARM/shared/admin" |
    jq -e '.workers[0] | .coordinators == 2 and .failures == 0 and .trust == "trusted"'
}

# bats test_tags=long
@test "a key that one coordinator revokes: its jobs end, the other's go on" {
  local compiler
  two_packages 1
  SECOND_ALLOWED=$FARM/allowed-2 both_start 1
  of_first one "$WORK/one" build
  wait_until 20 worker_compiles "$WORKER_PID" one1
  hold "$WORKER_PID" one1
  compiler=$HELD
  # the same key by the other one, from another cache
  DRAY_COORDINATOR=$SECOND_EP DRAY_COORDINATOR_KEY=$FARM/keys/second.pub DRAY_CACHE_DIR=$FARM/other-cache \
    DRAY_JOB_LOG=$FARM/other.jsonl build_start two "$WORK/two" build
  wait_until 20 worker_compiles "$WORKER_PID" two1
  hold "$WORKER_PID" two1
  [ "$("$DRAYCTL" workers --json --socket "$FARM/shared/admin" | jq '.workers[0].slots_used')" -eq 2 ]
  "$DRAYCTL" key revoke client --socket "$FARM/shared/admin"
  wait_until 20 is_gone "$compiler"
  release
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  same_made "$BATS_TEST_TMPDIR/plain-two/debug" "$WORK/two/target/debug"
  [ "$(JOBS=$FARM/other.jsonl job two1 where)" = farm ]
  # the first build goes on at home
  gone_within 60 "$FIRST_BUILD"
  wait "$FIRST_BUILD"
  same_made "$BATS_TEST_TMPDIR/plain-one/debug" "$WORK/one/target/debug"
  [ "$(job one1 where)" = local ]
}
