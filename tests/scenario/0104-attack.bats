#!/usr/bin/env bats
# One key's attacks, all together and briefly: tests/attack/run has them one by one, and the figures.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# bats test_tags=long
@test "beside all attacks of one key another's build ends right, on the farm, and in time" {
  run "$DRAY_TOP/tests/attack/run" --quick --build "$DRAY_BUILD" --work "$WORK/attack"
  echo "$output"
  tail -n 5 "$WORK/attack/logs/"* | cut -c1-300
  [ "$status" -eq 0 ]
}
