#!/usr/bin/env bats
# What a job needs is not there: memory and a state directory on the worker, disk and cache on the
# client. Builds go on, and end as plain cargo's would.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/faults.bash"

# workspace NAME…: an app with these libraries, whose sources are to be written.
workspace() {
  local name
  package "$WORK/app" app
  for name in "$@"; do
    dependency "$WORK/app" "$name"
  done
}
right() {
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  same_text "$1"
}

# bats test_tags=long
@test "a unit that needs more memory than the worker gives is made here; the others are not" {
  workspace hungry small
  {
    slow_before
    cat <<'END'
const fn eat() -> u64 {
    let a = [7u8; 600_000_000];
    spin(900_000) + a[8] as u64
}
pub static LARGE: u64 = eat();
END
  } | grep -v 'static SLOW' >"$WORK/app/hungry/src/lib.rs"
  echo 'fn main() { println!("{} {}", hungry::LARGE, small::answer()); }' >"$WORK/app/src/main.rs"
  plain_build "$WORK/app" build -j1
  allow client client
  allow worker w1
  coordinator_start
  worker_start w1 -o worker.job_memory=400M
  client_env
  build first "$WORK/app" build -j1
  right first
  [ "$(job hungry where)" = local ]
  [[ "$(job hungry attempts)" = *'w1: used more than 400 MiB of memory (worker.job_memory)'* ]]
  [ "$(job small where)" = farm ]
  [ "$(job app where)" = farm ]
  wait_until 10 file_has "$LOGS/worker-w1" 'crate=hungry stopped: used more than 400 MiB of memory'
}

# on_full_disk ROOM: plain cargo, and a build through dray, on a disk with that room.
on_full_disk() {
  local way
  for way in plain dray; do
    rm -rf "$WORK/app/target/"*
    fill "$WORK/app/target" "$1"
    if [ $way = dray ]; then
      build "dray-$1" "$WORK/app" build -j1
      continue
    fi
    PLAIN_STATUS=0
    (cd "$WORK/app" && exec env -u RUSTC_WRAPPER cargo build -j1) >"$LOGS/plain-$1.out" \
      2>"$LOGS/plain-$1.err" </dev/null 3>&- || PLAIN_STATUS=$?
  done
}
# Without the names that are random.
words() {
  sed -E 's/(rmeta|rustc)[A-Za-z0-9]{6}/\1XXXXXX/g' "$1"
}

@test "the client's disk is full: plain cargo's words and status; with room it goes on" {
  local room
  workspace big
  echo 'pub static BYTES: [u8; 2_000_000] = *include_bytes!("bytes");' >"$WORK/app/big/src/lib.rs"
  head -c 2000000 /dev/urandom >"$WORK/app/big/src/bytes"
  echo 'fn main() { println!("{}", big::BYTES[7]); }' >"$WORK/app/src/main.rs"
  plain_build "$WORK/app" build -j1
  farm_start
  small_disk "$WORK/app/target" 24m
  # Nothing can be written; what cargo writes, but not the first output.
  for room in 0 256K; do
    on_full_disk "$room"
    [ "$PLAIN_STATUS" -ne 0 ]
    [ "$BUILD_STATUS" -eq "$PLAIN_STATUS" ]
    diff <(words "$LOGS/plain-$room.err") <(words "$LOGS/dray-$room.err")
    diff "$LOGS/plain-$room.out" "$LOGS/dray-$room.out"
  done
  [[ "$(job big why)" = *'No space left on device'* ]]
  # Some outputs: a worker's copies need no room here, so it may come farther, not less far, and what
  # stops it in the end is said by the same compiler or linker.
  for room in 3M 7M 11M; do
    on_full_disk "$room"
    [ "$BUILD_STATUS" -eq 0 ] || [ "$BUILD_STATUS" -eq "$PLAIN_STATUS" ]
  done
  rm "$WORK/app/target/filler"
  # lld writes through a map: a full disk kills it, and its temporary file stays, in plain cargo's builds too.
  find "$WORK/app/target/debug" -name 'app*.tmp*' -delete
  build after "$WORK/app" build -j1
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  build again "$WORK/app" build -j1
  run ! grep -q Compiling "$LOGS/again.err"
}

# bats test_tags=long
@test "the worker's state directory cannot be written any more" {
  slow_dependency "$WORK/app"
  plain_build "$WORK/app" build -j1
  WORKER=$(obedient worker "$WORKER")
  farm_start
  build_start first "$WORK/app" build
  wait_until 60 worker_compiles "$WORKER_PID" slow
  forbid "$FARM/state-w1"
  build_finish 120
  right first
  [ "$(job app where)" = local ]
  [[ "$(job app attempts)" = *'w1: '*'Permission denied'* ]]
  wait_until 10 file_has "$LOGS/worker-w1" 'crate=app failed: .*Permission denied'
  wait_until 10 file_has "$LOGS/coordinator" 'worker=w1 failed it: .*Permission denied'
  # It is well as soon as its directory is.
  permit "$FARM/state-w1"
  rm -rf "$WORK/app/target" "$JOBS"
  build second "$WORK/app" build
  right second
  jobs_all '.where == "farm"'
}

# cache_goes HOW…: a build in whose middle that is done to the client's cache directory; all of it is
# done by the farm nevertheless, and one with local compiles only is right, too.
cache_goes() {
  slow_dependency "$WORK/app"
  plain_build "$WORK/app" build -j1
  JOBS=$WORK/jobs.jsonl
  export DRAY_JOB_LOG=$JOBS
  farm_start
  RUSTC_WRAPPER=$(obedient dray "$DRAY")
  build_start first "$WORK/app" build
  wait_until 60 worker_compiles "$WORKER_PID" slow
  "$@"
  build_finish 120
  right first
  jobs_all '.where == "farm"'
  rm -rf "$WORK/app/target" "$JOBS"
  DRAY_OFFLOAD=never build second "$WORK/app" build
  right second
  jobs_all '.where == "local"'
}

# bats test_tags=long
@test "the client's cache directory is removed" {
  cache_goes rm -rf "$DRAY_CACHE_DIR"
}

# bats test_tags=long
@test "the client's cache directory cannot be written any more" {
  cache_goes chmod -R a-w "$DRAY_CACHE_DIR"
  run ! touch_as_client
}
touch_as_client() {
  "$(obedient touch "$(command -v touch)")" "$DRAY_CACHE_DIR/new"
}
