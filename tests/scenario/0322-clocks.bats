#!/usr/bin/env bats
# The wall clock of a machine jumps in the middle of a build, or is far from the others': nothing is
# given up because of it. What lasts is measured by the monotonic clock, which is left as it is.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# clock NAME SECONDS: sets that clock so far from the machine's. Written over, not anew: it is mapped.
clock() {
  printf '%+012d' "$2" 1<>"$FARM/clock.$1"
}

# by_clock NAME: the environment in which a program goes by that clock. A unit with a preloaded library does not go
# to a farm, unless it has the name of mold's.
by_clock() {
  local library=$FARM/mold-wrapper.so
  [ -f "$FARM/clock.$1" ] || clock "$1" 0
  [ -f "$library" ] || cp "$WALLCLOCK" "$library"
  CLOCK_ENV=(LD_PRELOAD="$library" WALLCLOCK_FILE="$FARM/clock.$1"
    ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0")
}

# clocked NAME PROGRAM: prints the name of a script that runs the program by that clock.
clocked() {
  local script=$FARM/clocked-$1
  by_clock "$1"
  printf '#!/bin/sh\nexec env' >"$script"
  printf " '%s'" "${CLOCK_ENV[@]}" "$2" >>"$script"
  printf ' "$@"\n' >>"$script"
  chmod +x "$script"
  printf '%s\n' "$script"
}

# Whether a program by that clock sees a time so many seconds from the machine's.
clock_is_off() {
  local there here
  by_clock "$1"
  there=$(env "${CLOCK_ENV[@]}" date +%s) here=$(date +%s)
  [ $((there - here - $2)) -ge -5 ] && [ $((there - here - $2)) -le 5 ]
}
goes_by_clock() {
  grep -q mold-wrapper.so "/proc/$1/maps"
}

# A library that takes its time, and a program on it, which asks for a worker after the jump.
slow_app() {
  slow_dependency "$WORK/app"
  plain_build "$WORK/app" build
}

# jumps NAME OFFSET: a build in whose middle that clock jumps; all of it is done by the farm.
jumps() {
  rm -rf "$WORK/app/target" "$JOBS"
  echo "// $*" >>"$WORK/app/slow/src/lib.rs"
  plain_build "$WORK/app" build
  clock "$1" 0
  [ -z "${CLIENT_ENV:-}" ] || export "${CLIENT_ENV[@]}"
  build_start "$1$2" "$WORK/app" build
  unset LD_PRELOAD
  wait_until 60 worker_compiles "$WORKER_PID" slow
  clock "$1" "$2"
  clock_is_off "$1" "$2"
  build_finish 120
  done_by_farm
}
done_by_farm() {
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  jobs_all '.where == "farm" and (.attempts | length == 0)'
}

# written_off SECONDS: the last line of the job log has the client's time.
written_off() {
  local there here
  there=$(date -d "$(job app time)" +%s) here=$(date +%s)
  [ $((there - here - $1)) -ge -120 ] && [ $((there - here - $1)) -le 120 ]
}

# bats test_tags=long
@test "the worker's clock jumps" {
  slow_app
  WORKER=$(clocked worker "$WORKER")
  farm_start
  goes_by_clock "$WORKER_PID"
  jumps worker 3600
  wait_until 20 file_has "$LOGS/worker-w1" "the coordinator's clock is 3[56][0-9][0-9] s behind this"
  jumps worker -3600
  wait_until 20 file_has "$LOGS/worker-w1" "the coordinator's clock is 3[56][0-9][0-9] s ahead of this"
}

# bats test_tags=long
@test "the coordinator's clock jumps" {
  slow_app
  COORDINATOR=$(clocked coordinator "$COORDINATOR")
  farm_start
  goes_by_clock "$COORDINATOR_PID"
  jumps coordinator 3600
  jumps coordinator -3600
}

# bats test_tags=long
@test "the client's clock jumps" {
  DRAY=$DRAY_BUILD/client/dray-shared
  slow_app
  farm_start
  by_clock client
  CLIENT_ENV=("${CLOCK_ENV[@]}")
  jumps client 3600
  written_off 3600
  jumps client -3600
  written_off -3600
}

# bats test_tags=long
@test "clocks that are a year apart" {
  slow_app
  clock coordinator 31536000
  COORDINATOR=$(clocked coordinator "$COORDINATOR")
  farm_start
  build first "$WORK/app" build
  done_by_farm
  # It is told: a person may want to know.
  wait_until 20 file_has "$LOGS/worker-w1" "the coordinator's clock is 3153[56][0-9]* s ahead of this machine's"
  # One that is started again has its new time at once.
  clock coordinator -31536000
  kill_hard "$COORDINATOR_PID"
  coordinator_start
  wait_until 20 file_has "$LOGS/worker-w1" "the coordinator's clock is 3153[56][0-9]* s behind this machine's"
  rm -rf "$WORK/app/target" "$JOBS"
  build second "$WORK/app" build
  done_by_farm
}
