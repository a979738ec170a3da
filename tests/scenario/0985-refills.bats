#!/usr/bin/env bats
# What was compiled at home, though there is a farm, is compiled again by an idle worker, behind the build: then others have
# it by one whom they believe. Nothing is sent that has changed since, and nothing while anybody waits for the farm.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/users.bash"

scenario_setup() {
  unset DRAY_WORKER_USER
  export DRAY_CACHE=on DRAY_STORE_WAIT_MS=10000 DRAY_REFILL=auto
}
sign_of() {
  sed -n 's/^sign-public = //p' "$FARM/keys/$1.pub"
}
# farm [ARG…]: a coordinator, and a worker with these arguments that it vouches for; all that a client builds stays at home.
farm() {
  as_root
  a_place
  allow client client
  allow client second
  identity w1
  printf 'worker %s w1 sign=%s\n' "$(curve_public w1)" "$(sign_of w1)" >>"$FARM/allowed"
  DRAY_COORDINATOR_SAMPLE=0 coordinator_start
  worker_begin -o worker.user=nobody "$@"
  client_env
  export DRAY_OFFLOAD=auto DRAY_SMALL_UNIT=1G
}
# project: a program, and a library.
project() {
  package "$WORK/app" app
  package "$WORK/small" small lib
  depends "$WORK/app" small "$WORK/small"
}
# shared_are N: so many results are in the coordinator's cache. (As inputs a worker's result has other files than one that
# was made here: its compiler's loader lies elsewhere.)
shared_are() {
  [ "$(find "$FARM/shared/ns/entries" -type f 2>/dev/null | wc -l)" -eq "$1" ]
}
# refills FILTER: jq's, of the lines of the job log that tell of refills, in a list.
refills() {
  jq -es "map(select(.where == \"refill\")) | $1" "$JOBS" >/dev/null 2>&1
}
# waiting N: so many wait.
waiting() {
  [ "$("$DRAY" status --json | jq .refills)" -eq "$1" ]
}

@test "all is compiled at home, an idle worker compiles it again, and another client has it, byte by byte" {
  farm
  project
  plain_build "$WORK/app" build
  cached first "$WORK/app" build
  jobs_all '.where == "local" and .cache == "miss"'
  waiting 2
  wait_until 120 shared_are 2
  wait_until 30 refills 'length == 2 and all(.[]; .worker == "w1" and .why == null)'
  waiting 0
  "$DRAY" stats --json | jq -e '.refills == { done: 2, dropped: 0 }' >/dev/null
  [ "$("$DRAY" stats --json | jq .all.units)" = 2 ]
  # of what the worker made nothing is here: a build has its own
  cached here "$WORK/app" build
  nothing_done here
  export DRAY_CACHE_DIR=$BATS_TEST_TMPDIR/second DRAY_IDENTITY=$FARM/keys/second
  export JOBS=$DRAY_CACHE_DIR/jobs.jsonl DRAY_JOB_LOG=$DRAY_CACHE_DIR/jobs.jsonl
  clean "$WORK/app"
  cached second "$WORK/app" build
  hit small
  [ "$(job app cache) $(job app where)" = 'bundle cache' ]
  jobs_all '.tier == "coordinator"'
  same_outputs "$WORK/app"
  worker_end
}

@test "what was changed since it was compiled is not sent" {
  farm
  package "$WORK/small" small lib
  cached first "$WORK/small" build
  waiting 1
  echo 'pub fn more() {}' >>"$WORK/small/src/lib.rs"
  wait_until 120 refills 'length == 1'
  refills '.[0].crate == "small" and .[0].worker == null and (.[0].why | startswith("changed: "))'
  waiting 0
  shared_are 0
  worker_end
}

# bats test_tags=long
@test "what a worker has shared is not compiled again" {
  farm
  project
  cached first "$WORK/app" build
  wait_until 120 refills 'length == 2'
  wait_until 30 shared_are 2
  clean "$WORK/app"
  export DRAY_RECACHE=yes
  cached again "$WORK/app" build
  jobs_all '.where == "local" or .where == "refill"'
  wait_until 120 refills 'length == 2 and all(.[]; .why == "a worker'"'"'s result is there already")'
  waiting 0
  worker_end
}

# bats test_tags=long
@test "never, on request, and not where stores are read alone by the user's word" {
  farm
  project
  DRAY_REFILL=never cached first "$WORK/app" build
  waiting 0
  clean "$WORK/app"
  rm -rf "$DRAY_CACHE_DIR"
  export DRAY_REMOTE_MODE=read
  cached second "$WORK/app" build
  jobs_all '.where == "local"'
  waiting 0
  worker_end
}
