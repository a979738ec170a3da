#!/usr/bin/env bats
# What a user may ask of the cache, and two builds that want the same at once.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

project() {
  package "$WORK/app" app
  (cd "$WORK/app" && cargo generate-lockfile -q)
}

@test "recache: nothing is looked up, and what is made takes the former's place" {
  project
  cached first "$WORK/app" build
  all_missed
  clean "$WORK/app"
  DRAY_RECACHE=1 cached second "$WORK/app" build
  missed app recache
  clean "$WORK/app"
  cached third "$WORK/app" build
  all_hit
}

@test "what is made under one namespace is not found under another" {
  project
  cached first "$WORK/app" build
  clean "$WORK/app"
  DRAY_NAMESPACE=other cached second "$WORK/app" build
  missed app namespace
  clean "$WORK/app"
  DRAY_NAMESPACE=other cached third "$WORK/app" build
  all_hit
  clean "$WORK/app"
  cached fourth "$WORK/app" build
  all_hit
}

@test "switched off, only read, or without dray at all" {
  project
  DRAY_CACHE=off cached first "$WORK/app" build
  jobs_all '.cache == "off" and .key == null'
  [ ! -e "$DRAY_CACHE_DIR/entries" ]
  clean "$WORK/app"
  DRAY_CACHE=read cached second "$WORK/app" build
  [ "$(job app cache)" = miss ]
  [ ! -e "$DRAY_CACHE_DIR/entries" ]
  clean "$WORK/app"
  cached third "$WORK/app" build
  all_missed
  clean "$WORK/app"
  DRAY_CACHE=read cached fourth "$WORK/app" build
  all_hit
  clean "$WORK/app"
  DRAY_DISABLE=1 cached fifth "$WORK/app" build
  [ ! -e "$JOBS" ]
}

@test "a cache directory that anybody may write to is not used" {
  project
  cached first "$WORK/app" build
  all_missed
  chmod o+w "$DRAY_CACHE_DIR"
  clean "$WORK/app"
  cached second "$WORK/app" build
  jobs_all '.cache == "off" and (.cache_why | contains("other users may write"))'
  run -1 "$DRAY" doctor
  [[ "$output" = *'chmod o-w'* ]]
  chmod o-w "$DRAY_CACHE_DIR"
  clean "$WORK/app"
  cached third "$WORK/app" build
  all_hit
}

# Both wrappers are there while the compiler runs once.
has_two_wrappers() {
  [ "$(pgrep -fc -- "^$DRAY .*--crate-name slow ")" -ge 2 ]
}

# bats test_tags=long
@test "two builds that miss the same: it is compiled once" {
  slow_dependency "$WORK/app" 3
  (cd "$WORK/app" && cargo generate-lockfile -q)
  (cd "$WORK/app" && exec cargo build --target-dir "$WORK/one") >"$LOGS/one" 2>&1 3>&- &
  one=$!
  (cd "$WORK/app" && exec cargo build --target-dir "$WORK/two") >"$LOGS/two" 2>&1 3>&- &
  two=$!
  STARTED+=("$one" "$two")
  wait_until 60 has_two_wrappers
  wait "$one"
  wait "$two"
  [ "$(jq -s 'map(select(.crate == "slow" and .cache == "hit")) | length' "$JOBS")" -eq 1 ]
  [ "$(jq -s 'map(select(.crate == "slow" and .where == "local")) | length' "$JOBS")" -eq 1 ]
  cmp "$(find_made "$WORK/one/debug" 'libslow-*.rlib')" "$(find_made "$WORK/two/debug" 'libslow-*.rlib')"
}
