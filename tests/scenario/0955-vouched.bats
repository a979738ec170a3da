#!/usr/bin/env bats
# Whose results count is what the coordinator says: the clients of a farm have no list of keys. What they take lies in
# a store that anybody may write to.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/shared.bash"
. "$BATS_TEST_DIRNAME/vouched.bash"

# takes DIR: a build with nothing of it here takes all from the store.
takes() {
  anew takes "$1"
  from_store 2>/dev/null
}

# bats test_tags=long
@test "a client believes whom the coordinator vouches for, from the moment that its list says so" {
  local half
  project "$WORK/p"
  vouch client ann
  vouch client ci
  coordinator_start
  export DRAY_STORE=file://$STORE
  of_farm one ci readwrite
  stored one "$WORK/p"
  cp -a "$WORK/p/target" "$WORK/plain"
  clean "$WORK/p"
  # a client's line vouches for nothing
  of_farm two ann
  cached not-yet "$WORK/p" build
  all_missed
  [[ "$(job app shared_why)" = *"the coordinator vouches for nobody"* ]]
  half=$(half_pids | sort)
  # the farm half that runs is told
  revouch publisher ci
  wait_until 20 takes "$WORK/p"
  same_tree "$WORK/p"
  [ "$(half_pids | sort)" = "$half" ]
  # revoked, its results are refused, also by one whose own list names it
  export DRAY_TRUST_KEYS="publisher $(signs ci) ci"
  of_farm three ann
  vouch publisher other
  revouch publisher ci revoked
  clean "$WORK/p"
  cached revoked "$WORK/p" build
  all_missed
  jobs_all '.shared_why | contains("its key is revoked")'
}
