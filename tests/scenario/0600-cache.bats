#!/usr/bin/env bats
# The local cache, with no farm: what was compiled here is not compiled again, and what differs in
# anything that a compile looks at is.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

@test "after cargo clean nothing is compiled or linked again, and nothing is dirty" {
  package "$WORK/app" app
  package "$WORK/small" small lib
  depends "$WORK/app" small "$WORK/small"
  (cd "$WORK/app" && cargo generate-lockfile -q)
  plain_build "$WORK/app" build
  cached first "$WORK/app" build
  same_outputs "$WORK/app"
  all_missed
  clean "$WORK/app"
  cached second "$WORK/app" build
  all_hit
  same_outputs "$WORK/app"
  same_text second
  cached third "$WORK/app" build
  nothing_done third
  [ "$("$WORK/app/target/debug/app")" = "hello from app" ]
}
