#!/usr/bin/env bats
# A worker is killed: the job goes to another one, or is done here; the result is plain cargo's.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# A library that takes its time before or after its rmeta, and a program on it.
slow_app() {
  slow_dependency "$WORK/app"
  if [ "$1" = after ]; then
    slow_after >"$WORK/app/slow/src/lib.rs"
    printf 'fn main() { println!("{}", slow::all(&[1, 2])); }\n' >"$WORK/app/src/main.rs"
  fi
  plain_build "$WORK/app" build
}

find_victim() {
  local name
  VICTIM=
  for name in "${!WORKER_PIDS[@]}"; do
    if worker_compiles "${WORKER_PIDS[$name]}" slow; then
      VICTIM=$name
      return 0
    fi
  done
  return 1
}
rmeta_at_worker() {
  compgen -G "$FARM/state-$VICTIM/*/*/*/libslow-*.rmeta" >/dev/null ||
    [ -n "$(find "$FARM/state-$VICTIM" -name 'libslow-*.rmeta' -print -quit 2>/dev/null)" ]
}
rmeta_here() {
  is_made "$WORK/app/target/debug" 'libslow-*.rmeta'
}

# outcome WHERE: the build is well, and the slow library's line tells what happened.
outcome() {
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  same_text first
  [ "$(job slow where)" = "$1" ]
  job slow attempts | grep -q "$VICTIM"
  is_gone "${WORKER_PIDS[$VICTIM]}"
}

# bats test_tags=long
@test "before the rmeta; another worker does it" {
  slow_app before
  farm_start 2
  build_start first "$WORK/app" build
  wait_until 30 find_victim
  run ! rmeta_here
  kill_hard "${WORKER_PIDS[$VICTIM]}"
  outcome farm
}

# bats test_tags=long
@test "before the rmeta; there is no other worker" {
  slow_app before
  farm_start 1
  build_start first "$WORK/app" build
  wait_until 30 find_victim
  kill_hard "${WORKER_PIDS[$VICTIM]}"
  outcome local
}

# bats test_tags=long
@test "as the rmeta has been made there" {
  slow_app after
  farm_start 2
  build_start first "$WORK/app" build
  wait_until 30 find_victim
  wait_until 30 rmeta_at_worker
  kill_hard "${WORKER_PIDS[$VICTIM]}"
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  same_text first
}

# bats test_tags=long
@test "after the rmeta was announced; another worker does the rest" {
  slow_app after
  farm_start 2
  build_start first "$WORK/app" build
  wait_until 30 find_victim
  wait_until 30 rmeta_here
  local before
  before=$(stat -c '%i %Y %Z' "$(find_made "$WORK/app/target/debug" 'libslow-*.rmeta')")
  kill_hard "${WORKER_PIDS[$VICTIM]}"
  outcome farm
  # A promise is kept, not made again.
  [ "$(stat -c '%i %Y %Z' "$(find_made "$WORK/app/target/debug" 'libslow-*.rmeta')")" = "$before" ]
  build again "$WORK/app" build
  run ! grep -q Compiling "$LOGS/again.err"
}

# bats test_tags=long
@test "after the rmeta was announced; there is no other worker" {
  slow_app after
  farm_start 1
  build_start first "$WORK/app" build
  wait_until 30 find_victim
  wait_until 30 rmeta_here
  kill_hard "${WORKER_PIDS[$VICTIM]}"
  outcome local
  build again "$WORK/app" build
  run ! grep -q Compiling "$LOGS/again.err"
}

# bats test_tags=long
@test "a worker that stands still is given up" {
  slow_app before
  farm_start 2
  build_start first "$WORK/app" build
  wait_until 30 find_victim
  kill -STOP "${WORKER_PIDS[$VICTIM]}"
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  job slow attempts | grep -q "$VICTIM"
}

@test "the sandboxes of a killed worker end with it" {
  slow_app before
  farm_start 1
  build_start first "$WORK/app" build
  wait_until 30 find_victim
  local p pids
  # it would end by itself
  hold "${WORKER_PIDS[$VICTIM]}" slow
  pids=$(descendants "${WORKER_PIDS[$VICTIM]}")
  [ -n "$pids" ]
  kill_hard "${WORKER_PIDS[$VICTIM]}"
  for p in $pids; do
    wait_until 5 is_gone "$p"
  done
  build_finish 180
}

# bats test_tags=long
@test "SIGTERM: the running job is finished, then the worker ends with status 0" {
  slow_app before
  farm_start 1
  build_start first "$WORK/app" build
  wait_until 30 find_victim
  kill -TERM "${WORKER_PIDS[$VICTIM]}"
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job slow where)" = farm ]
  [ -z "$(job slow attempts | tr -d '[] \n')" ]
  wait_until 10 is_gone "${WORKER_PIDS[$VICTIM]}"
  wait "${WORKER_PIDS[$VICTIM]}"
}
