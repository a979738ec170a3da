#!/usr/bin/env bats
# What a worker made is kept with its key, shown with it, and can be removed by it.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

@test "a worker's key: in the cache and the log, for explain, verify and clear" {
  local key other
  farm_start
  identity w2
  key=$(curve_public w1)
  other=$(curve_public w2)
  export DRAY_CACHE=on
  package "$WORK/app" app
  dependency "$WORK/app" dep
  dependency "$WORK/app" here
  echo 'fn main() { println!("{}", dep::answer() + here::answer()); }' >"$WORK/app/src/main.rs"
  # of one crate the result is this machine's
  DRAY_OFFLOAD=never build local "$WORK/app" build -p here
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job dep where) $(job app where)" = "farm farm" ]
  [ "$(job dep worker_key)" = "$key" ]
  [ "$(job app worker_key)" = "$key" ]
  [ -z "$(job here worker_key)" ]
  rm -rf "$WORK/app/target"
  build second "$WORK/app" build
  [ "$(job dep cache) $(job app cache) $(job here cache)" = "hit hit hit" ]
  [ "$(job dep worker_key)" = "$key" ]
  [ -z "$(job here worker_key)" ]
  run "$DRAY" explain dep
  echo "$output"
  [[ "$output" == *"whose key is $key."* ]]
  run "$DRAY" explain here
  [[ "$output" != *"whose key is"* ]]
  "$DRAY" verify --json >"$LOGS/verify"
  jq -e --arg key "$key" '.producers == {($key): 2} and .differ == []' "$LOGS/verify"
  run "$DRAY" verify
  [[ "$output" == *"by the worker $key: 2"* ]]
  "$DRAY" stats --json >"$LOGS/stats-before"
  # another worker's, and what is no key
  "$DRAY" clear --producer "$other" --json | jq -e '.results == 0 and .entries == 0'
  run "$DRAY" clear --producer w1
  [ "$status" -eq 2 ]
  DRAY_CACHE=read run "$DRAY" clear --producer "$key"
  [ "$status" -eq 1 ]
  run "$DRAY" clear --producer "$key"
  [ "$status" -eq 0 ]
  # of the program there is a bundle, too
  [[ "$output" == "removed: 3 results of $key, in 3 entries" ]]
  "$DRAY" stats --json >"$LOGS/stats-after"
  diff <(jq 'del(.cache.size)' "$LOGS/stats-before") <(jq 'del(.cache.size)' "$LOGS/stats-after")
  rm -rf "$WORK/app/target"
  build third "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job dep cache) $(job app cache) $(job here cache)" = "miss miss hit" ]
}

@test "a worker's key: of what was linked again from a bundle" {
  local key
  farm_start
  key=$(curve_public w1)
  export DRAY_CACHE=on
  package "$WORK/app" app
  build first "$WORK/app" build
  [ "$(job app where)" = farm ]
  rm -rf "$WORK/app/target"
  DRAY_LINKER=lld build second "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job app cache)" = bundle ]
  [ "$(job app worker_key)" = "$key" ]
  "$DRAY" clear --producer "$key" --json | jq -e '.results == 3'
  rm -rf "$WORK/app/target"
  DRAY_LINKER=lld build third "$WORK/app" build
  [ "$(job app cache)" = miss ]
}
