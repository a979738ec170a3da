#!/usr/bin/env bats
# The first of two coordinators comes back: clients go back to it, and no unit fails on the way.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/several.bash"

registered_anew() {
  [ "$(grep -c "worker=w1 registered" "$LOGS/coordinator")" -ge 2 ]
}
# made_by CRATE COORDINATOR
made_by() {
  [ "$(job "$1" coordinator)" = "$2" ]
}
first_again() {
  coordinator_start
  wait_until 20 registered_anew
}

@test "the first is there again: the next build is its own, and drayctl says since when it was away" {
  allow admin boss
  both_start 1
  package "$WORK/app" app
  kill_hard "$COORDINATOR_PID"
  build app "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job app coordinator)" = "$SECOND_EP" ]
  DRAY_IDENTITY=$FARM/keys/boss "$DRAYCTL" status --remote >"$LOGS/status"
  file_has "$LOGS/status" "^one of    $COORDINATOR_EP: not reachable, for [0-9]"
  DRAY_IDENTITY=$FARM/keys/boss "$DRAYCTL" status --remote --json |
    jq -e '.coordinators | .[0].away_ms > 0 and .[1].away_ms == null'
  first_again
  # by a call of its own, for which what is known of the first is old; the resident half waits for 10 s (below)
  rm -rf "$WORK/app/target"
  DRAY_FARM_HALF=no DRAY_RETRY_S=0 build again "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job app coordinator)" = "$COORDINATOR_EP" ]
  jobs_all '.where == "farm" and (.attempts // []) == []'
}

built_by_first() {
  rm -rf "$WORK/app/target"
  build each "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ] && made_by app "$COORDINATOR_EP"
}

# bats test_tags=long
@test "the first comes back while one builds after the other: they are its own again, and none has a try that failed" {
  local i
  package "$WORK/app" app
  for ((i = 1; i <= 4; i++)); do
    dependency "$WORK/app" "u$i"
    slow_after 20 >"$WORK/app/u$i/src/lib.rs"
  done
  plain_build "$WORK/app" build
  both_start 1
  kill_hard "$COORDINATOR_PID"
  build_start app "$WORK/app" build -j2
  wait_until 60 made_by u1 "$SECOND_EP"
  first_again
  build_finish 300
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  made_by app "$SECOND_EP"
  # the resident half is the same one
  wait_until 60 built_by_first
  same_outputs "$WORK/app"
  jobs_all '.where == "farm" and (.attempts // []) == []'
}
