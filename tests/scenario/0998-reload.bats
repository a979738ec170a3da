#!/usr/bin/env bats
# SIGHUP: a worker reads the limits of jobs again; of a file that is wrong nothing counts.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# loud DIR NAME: a library about which the compiler has much to say.
loud() {
  local i
  package "$1" "$2" lib
  for ((i = 0; i < 30; i++)); do
    echo "fn never_called_$i() {}"
  done >>"$1/src/lib.rs"
}
# build_loud NAME: a library of that name; $WHERE and $WHY, as the job log has it.
build_loud() {
  loud "$WORK/$1" "$1"
  build "$1" "$WORK/$1" build
  [ "$BUILD_STATUS" -eq 0 ]
  WHERE=$(job "$1" where) WHY=$(job "$1" why)
}
# reload TEXT: [worker] has this, and the worker reads it. What it says of that comes after $READ.
reload() {
  printf '[worker]\n%s\n' "$1" >"$FARM/worker.conf"
  READ=$(wc -l <"$LOGS/worker-w1")
  kill -HUP "$WORKER_PID"
}
says() {
  tail -n +$((READ + 1)) "$LOGS/worker-w1" | grep -q -- "$1"
}

farm_of() {
  allow client client
  coordinator_start
  printf '[worker]\njob_output_max = %s\n' "$1" >"$FARM/worker.conf"
  worker_start w1 --config "$FARM/worker.conf"
  client_env
}

@test "a worker takes other limits of jobs, and nothing of a file that is wrong" {
  farm_of 4K
  reload 'job_output_max = a lot'
  wait_until 10 says "the settings in use stay as they were: .*worker.conf.*line 2"
  build_loud one
  [ "$WHERE" = local ]
  [[ $WHY == *worker.job_output_max* ]]
  # the command line counts more than the file: its slots are 2, there and here
  reload $'job_output_max = 2M\nslots = 3\nstore_max = 1G'
  wait_until 10 says 'settings that count from the next start on: store_max$'
  says 'for jobs from now on: job_output_max$'
  build_loud two
  [ "$WHERE" = farm ]
  # nor are they forgotten when it goes on with other keys
  printf '[worker]\ncoordinator = %s\ncoordinator_key = %s\nidentity = %s\n' "$COORDINATOR_EP" "$FARM/keys/coordinator.pub" "$FARM/keys/w1" >"$FARM/w1.conf"
  "$WORKER" rotate --config "$FARM/w1.conf" 3>&-
  READ=$(wc -l <"$LOGS/worker-w1")
  kill -HUP "$WORKER_PID"
  wait_until 20 says 'for jobs from now on: job_output_max$'
  wait_until 20 eval '"$DRAY_BUILD/drayctl/drayctl" workers --json | jq -e --arg k "$(curve_public w1)" "any(.workers[]; .here and .key == \$k)" >/dev/null'
  build_loud three
  [ "$WHERE" = farm ]
}

# bats test_tags=long
@test "a job that runs keeps its limits, and one that comes does not find a sandbox with the old ones" {
  farm_of 1M
  build_loud one
  [ "$WHERE" = farm ]
  loud "$WORK/slow" slow
  { slow_before; cat "$WORK/slow/src/lib.rs"; } >"$WORK/slow.rs"
  mv "$WORK/slow.rs" "$WORK/slow/src/lib.rs"
  build_start slow "$WORK/slow" build
  wait_until 30 worker_compiles "$WORKER_PID" slow
  hold "$WORKER_PID" slow
  reload 'job_output_max = 4K'
  wait_until 10 says 'settings read again: for jobs from now on: job_output_max$'
  fails says 'next start'
  release
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job slow where)" = farm ]
  build_loud two
  [ "$WHERE" = local ]
  [[ $WHY == *worker.job_output_max* ]]
  reload $'job_output_max = 2M\nname_of_none = 3'
  wait_until 10 says "the settings in use stay as they were: .*name_of_none"
  build_loud three
  [ "$WHERE" = local ]
  kill -0 "$WORKER_PID"
}
