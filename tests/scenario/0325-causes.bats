#!/usr/bin/env bats
# A unit fails on one worker after the other, each time for another reason: it is tried on two others
# at most, then made here; and the job log and dray stats have the true causes.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/faults.bash"

# bats test_tags=long
@test "three workers that fail, each by its own fault; a fourth that would not" {
  local n
  package "$WORK/app" app
  slow_before >"$WORK/app/src/main.rs"
  echo 'fn main() { println!("{SLOW}"); }' >>"$WORK/app/src/main.rs"
  plain_build "$WORK/app" build
  farm_start 0
  small_disk "$FARM/state-w1" 64m
  for n in 1 2 3 4; do
    allow worker "w$n"
  done
  worker_start w1
  worker_start w2
  WORKER=$(obedient worker "$WORKER") worker_start w3
  worker_start w4
  fill "$FARM/state-w1"
  forbid "$FARM/state-w3"
  # Workers that are as good are taken by their names. The first has no disk, the third no directory.
  build_start first "$WORK/app" build
  wait_until 60 worker_compiles "${WORKER_PIDS[w2]}" app
  kill_hard "${WORKER_PIDS[w2]}"
  build_finish 120
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  same_text first
  [ "$(job app where)" = local ]
  jq -es 'last | .attempts | length == 3 and (.[0] | test("^w1: .*(disk is full|No space left on device)"))
    and (.[1] | test("^w2: the connection was lost")) and (.[2] | test("^w3: .*Permission denied"))' "$JOBS"
  # The coordinator's log has each, of one job.
  wait_until 10 file_has "$LOGS/coordinator" 'worker=w3 failed it: '
  grep -oE 'job=[0-9a-f]+ worker=w[1-4] failed it: .*' "$LOGS/coordinator" >"$LOGS/failures"
  [ "$(wc -l <"$LOGS/failures")" -eq 3 ]
  [ "$(cut -d' ' -f1 "$LOGS/failures" | sort -u | wc -l)" -eq 1 ]
  grep -qE 'worker=w1 .*(disk is full|No space left on device)' "$LOGS/failures"
  grep -q 'worker=w2 .*the connection was lost' "$LOGS/failures"
  grep -q 'worker=w3 .*Permission denied' "$LOGS/failures"
  wait_until 10 file_has "$LOGS/coordinator" 'worker=w2 gone: '
  # And so does each that still has a say.
  grep -qE 'crate=app failed: .*(disk is full|No space left on device)' "$LOGS/worker-w1"
  wait_until 10 file_has "$LOGS/worker-w3" 'crate=app failed: .*Permission denied'
  # Nobody asked the fourth; the next unit does.
  run ! file_has "$LOGS/failures" worker=w4
  rm -rf "$WORK/app/target"
  build second "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  [ "$(job app where)" = farm ]
  [ "$(job app worker)" = w4 ]
}
