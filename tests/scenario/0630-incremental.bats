#!/usr/bin/env bats
# Units that cargo wants compiled incrementally: from the cache where it has them, as cargo would where
# there is a state, and with a state made ready behind one's back.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# An app with a library, both of the workspace, as cargo builds them when nobody says otherwise.
project() {
  package "$WORK/app" app
  echo 'pub fn answer() -> u32 { 42 }' >"$WORK/app/src/lib.rs"
  echo 'fn main() { println!("{}", app::answer()); }' >"$WORK/app/src/main.rs"
  (cd "$WORK/app" && cargo generate-lockfile -q)
  unset CARGO_INCREMENTAL CI
}
# How many finished states the project has.
states() {
  find "$WORK/app/target/debug/incremental" -mindepth 2 -maxdepth 2 -name 's-*' ! -name '*.lock' ! -name '*-working' 2>/dev/null | wc -l
}
has_states() {
  [ "$(states)" -eq "$1" ]
}
answer() {
  [ "$("$WORK/app/target/debug/app")" = "$1" ]
}
edit() {
  sed -i "s/u32 { .* }/u32 { $1 }/" "$WORK/app/src/lib.rs"
}

@test "without a state: compiled without one, kept, and found again" {
  project
  cached first "$WORK/app" build
  all_missed
  [ "$(states)" -eq 0 ]
  clean "$WORK/app"
  cached second "$WORK/app" build
  all_hit
  answer 42
}

@test "the state is made ready, and the next edit goes on from it" {
  project
  export DRAY_PRIME=yes
  cached first "$WORK/app" build
  all_missed
  wait_until 60 has_states 2
  # nothing of it is left beside, and cargo has nothing to do
  wait_until 10 eval '[ -z "$(find "$WORK/app/target" -name ".dray-*")" ]'
  cached nothing "$WORK/app" build
  nothing_done nothing
  edit 43
  cached edited "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  answer 43
  jobs_all '.where == "local" and .why == "incremental" and .cache == "miss"'
  [ "$(states)" -eq 2 ]
  # what was made of a state is not kept
  clean "$WORK/app"
  export DRAY_PRIME=no
  cached again "$WORK/app" build
  [ "$(job app cache)" = miss ]
  # and an exact hit wins over a state
  edit 42
  cached back "$WORK/app" build
  all_hit
  answer 42
}

@test "switched off, it is as cargo has it; or never" {
  project
  DRAY_INCREMENTAL=always cached always "$WORK/app" build
  jobs_all '.cache == "off" and .cache_why == "incremental"'
  [ "$(states)" -eq 2 ]
  clean "$WORK/app"
  DRAY_INCREMENTAL=never DRAY_PRIME=yes cached never "$WORK/app" build
  all_missed
  edit 44
  DRAY_INCREMENTAL=never cached edited "$WORK/app" build
  all_missed
  [ "$(states)" -eq 0 ]
  answer 44
}

@test "nothing is made ready in CI" {
  project
  export DRAY_PRIME=yes CI=true
  cached first "$WORK/app" build
  all_missed
  [ ! -e "$DRAY_CACHE_DIR/prime" ]
}
