#!/usr/bin/env bats
# What a worker says of a unit by itself: its key, and what it was given of each file. Where that is not what the client
# knows, the result is used, and not kept.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/badworker.bash"

# built: by the farm, from an empty target directory.
built() {
  rm -rf "$WORK/app/target"
  build "$1" "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$("$WORK/app/target/debug/app")" = 42 ]
}

@test "a worker's word: it is what the client knows" {
  export DRAY_CACHE=on
  bad_farm
  built first
  [ "$(job dep where) $(job app where)" = "farm farm" ]
  built second
  [ "$(job dep cache) $(job app cache)" = "hit hit" ]
}

# not_kept WHY: dep was made by the farm, and is not found again.
not_kept() {
  built first
  [ "$(job dep where) $(job app where)" = "farm farm" ]
  [[ "$(job dep not_stored)" == *"$1"* ]]
  built second
  [ "$(job dep cache)" = miss ]
}

@test "a worker's word: another unit" {
  export DRAY_CACHE=on
  bad_farm "unit yes"
  not_kept "the worker compiled it with another key"
}

@test "a worker's word: another source" {
  export DRAY_CACHE=on
  bad_farm "read /src/lib.rs"
  not_kept "/dep/src/lib.rs changed after it was sent"
}
