#!/usr/bin/env bats
# What may happen to machines in the middle of a build: the build goes on, and its outputs are right.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/faults.bash"

right() {
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$1"
}

# bats test_tags=long
@test "a coordinator that comes and goes, all the time" {
  local i
  package "$WORK/app" app
  for i in 1 2 3 4 5 6; do
    dependency "$WORK/app" "s$i"
    slow_before >"$WORK/app/s$i/src/lib.rs"
  done
  plain_build "$WORK/app" build
  farm_start
  build_start first "$WORK/app" build -j3
  for i in 1 2 3 4 5; do
    ! is_gone "$BUILD_PID" || break
    kill_hard "$COORDINATOR_PID"
    coordinator_start
    wait_until 20 file_has "$LOGS/coordinator" "worker=w1 registered"
    : >"$LOGS/coordinator"
  done
  build_finish 180
  right "$WORK/app"
}

@test "two users at once, each with a key" {
  package "$WORK/one" one
  package "$WORK/two" two
  plain_build "$WORK/two" build
  mv "$BATS_TEST_TMPDIR/plain-target" "$BATS_TEST_TMPDIR/plain-two"
  plain_build "$WORK/one" build
  allow client other
  farm_start
  build_start first "$WORK/one" build
  DRAY_IDENTITY=$FARM/keys/other DRAY_CACHE_DIR=$FARM/other-cache DRAY_JOB_LOG=$FARM/other.jsonl \
    build second "$WORK/two" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_made "$BATS_TEST_TMPDIR/plain-two/debug" "$WORK/two/target/debug"
  [ "$(JOBS=$FARM/other.jsonl job two where)" = farm ]
  build_finish 120
  right "$WORK/one"
  [ "$(job one where)" = farm ]
}

# bats test_tags=long
@test "64 builds at once" {
  local i pids=() bad=0
  package "$WORK/hello" hello
  plain_build "$WORK/hello" build
  farm_start
  for i in $(seq 64); do
    mkdir -p "$WORK/$i"
    (cd "$WORK/hello" && exec cargo build --target-dir "$WORK/$i/target") >"$LOGS/b$i" 2>&1 </dev/null 3>&- &
    pids+=($!)
  done
  STARTED+=("${pids[@]}")
  for i in $(seq 64); do
    wait "${pids[i - 1]}" || bad=$((bad + 1))
    # The .d files name the target directory.
    same_made "$BATS_TEST_TMPDIR/plain-target/debug" "$WORK/$i/target/debug" -x '*.d' || bad=$((bad + 1))
  done
  [ "$bad" -eq 0 ]
  wait_until 20 worker_idle "$WORKER_PID"
}

@test "a path of 200 characters" {
  local long
  long=$WORK/$(printf 'directory-%.0s' $(seq 8))/$(printf 'of a long name %.0s' $(seq 5))
  mkdir -p "$long"
  package "$long/app" app
  plain_build "$long/app" build
  farm_start
  build first "$long/app" build
  right "$long/app"
  [ "$(job app where)" = farm ]
}

@test "workspaces below /root, /usr/src and /tmp" {
  local place
  [ "$(id -u)" -eq 0 ] || skip "only root may write there"
  farm_start
  for place in /root /usr/src /tmp; do
    ELSEWHERE=$place/dray-scenario-$BASHPID
    package "$ELSEWHERE/app" app
    plain_build "$ELSEWHERE/app" build
    build first "$ELSEWHERE/app" build
    right "$ELSEWHERE/app"
    [ "$(job app where)" = farm ]
    rm -rf "$ELSEWHERE"
  done
}

@test "sources that cannot be written" {
  small_disk "$WORK/disk" 16m
  package "$WORK/disk/app" app
  (cd "$WORK/disk/app" && cargo generate-lockfile)
  mount -o remount,ro "$WORK/disk"
  export CARGO_TARGET_DIR=$WORK/target
  plain_build "$WORK/disk/app" build
  mv "$WORK/target" "$BATS_TEST_TMPDIR/plain-target"
  farm_start
  build first "$WORK/disk/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_made "$BATS_TEST_TMPDIR/plain-target/debug" "$WORK/target/debug"
  [ "$(job app where)" = farm ]
}

@test "the worker's disk is full" {
  package "$WORK/app" app
  slow_after 200 >"$WORK/app/src/lib.rs"
  plain_build "$WORK/app" build
  small_disk "$FARM/state-w1" 64m
  farm_start
  # Full from now on: what a job writes finds no room.
  fill "$FARM/state-w1"
  build first "$WORK/app" build
  right "$WORK/app"
  [ "$(job app where)" = local ]
  rm "$FARM/state-w1/filler"
  rm -rf "$WORK/app/target"
  build second "$WORK/app" build
  right "$WORK/app"
}

# bats test_tags=long
@test "a source that is edited while it is compiled: the next build sees it" {
  package "$WORK/app" app
  slow_before >"$WORK/app/src/main.rs"
  printf 'const WORD: &str = "before";\nfn main() { println!("{WORD}"); }\n' >>"$WORK/app/src/main.rs"
  farm_start
  build_start first "$WORK/app" build
  wait_until 60 worker_compiles "$WORKER_PID" app
  sed -i 's/before/after/' "$WORK/app/src/main.rs"
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  build second "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$("$WORK/app/target/debug/app")" = after ]
  mv "$WORK/app/target" "$WORK/through"
  plain_build "$WORK/app" build
  same_made "$BATS_TEST_TMPDIR/plain-target/debug" "$WORK/through/debug"
}
