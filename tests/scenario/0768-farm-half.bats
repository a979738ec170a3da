#!/usr/bin/env bats
# One farm half for all builds of a user: what it serves, and what becomes of a build when it does not.
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/faults.bash"

scenario_setup() {
  unset DRAY_FARM_HALF
}

# half_of CRATE: the process that had that crate's unit; empty: one of its own.
half_of() {
  job "$1" half
}
is_stopped() {
  grep -qs '^State:.T' "/proc/$1/status"
}
# A library whose compile is held until release; $HALF has it. plain: what is to be made is known, too.
begin_held() {
  package "$WORK/slow" slow lib
  slow_before >"$WORK/slow/src/lib.rs"
  [ "${1:-}" != plain ] || plain_build "$WORK/slow" build
  allow client client
  coordinator_start
  worker_start w1 --slots "${SLOTS:-2}"
  client_env
  build_start first "$WORK/slow" build
  wait_until 30 worker_compiles "$WORKER_PID" slow
  hold "$WORKER_PID" slow
  HALF=$(half_pids)
  [ -n "$HALF" ]
}
is_as_plain() {
  same_as_plain "$WORK/slow"
}

@test "builds share one, whose connection to the worker stays; what is theirs is not mixed" {
  local d
  for d in one two; do
    package "$WORK/$d" "$d" lib
    echo "pub static W: &str = env!(\"OF_THE_BUILD\");" >"$WORK/$d/src/lib.rs"
    printf 'fn main() { println!("cargo:rustc-env=OF_THE_BUILD=built for %s"); }\n' "$d" >"$WORK/$d/build.rs"
  done
  farm_start
  (umask 077; build one "$WORK/one" build; [ "$BUILD_STATUS" -eq 0 ])
  (umask 002; build two "$WORK/two" build; [ "$BUILD_STATUS" -eq 0 ])
  [ "$(job one where)" = farm ] && [ "$(job two where)" = farm ]
  [ -n "$(half_of one)" ]
  [ "$(half_of one)" = "$(half_of two)" ]
  [ "$(half_pids)" = "$(half_of one)" ]
  [ "$(stat -c %a "$(find_made "$WORK/one/target/debug" 'libone-*.rlib')")" = 600 ]
  [ "$(stat -c %a "$(find_made "$WORK/two/target/debug" 'libtwo-*.rlib')")" = 664 ]
  for d in one two; do
    grep -qa "built for $d" "$(find_made "$WORK/$d/target/debug" "lib$d-*.rlib")"
  done
  # Its own place is its user's alone, and it keeps nobody's directory.
  [ "$(stat -c %a "$DRAY_CACHE_DIR/half-$(id -u)")" = 700 ]
  [ "$(readlink "/proc/$(half_pids)/cwd")" = / ]
  # Errors come where they belong.
  echo 'pub fn broken() -> u32 { "" }' >"$WORK/one/src/lib.rs"
  build broken "$WORK/one" build
  [ "$BUILD_STATUS" -ne 0 ]
  grep -q 'mismatched types' "$LOGS/broken.err"
}

@test "it is killed in the middle of a unit: the unit is compiled here" {
  begin_held plain
  kill -KILL "$HALF"
  wait_until 2 eval '! kill -0 "$HELD" 2>/dev/null'
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job slow where)" = local ]
  is_as_plain
}

# bats test_tags=long
@test "it is stopped in the middle of a unit: it is killed, and the unit compiled here" {
  begin_held plain
  kill -STOP "$HALF"
  # what is stopped is not waited for as what may be busy is
  wait_until 4 is_gone "$HALF"
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job slow where)" = local ]
  is_as_plain
}

@test "one that is stopped, or does not answer, is left alone: units go on without, then with another" {
  package "$WORK/a" a lib
  package "$WORK/b" b lib
  farm_start
  build a "$WORK/a" build
  HALF=$(half_of a)
  [ -n "$HALF" ]
  kill -STOP "$HALF"
  build b "$WORK/b" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job b where)" = farm ]
  [ -z "$(half_of b)" ]
  # It is no longer met, and leaves when it goes on.
  kill -CONT "$HALF"
  wait_until 10 is_gone "$HALF"
}

@test "Ctrl-C of one build ends its unit, and no other build's" {
  package "$WORK/other" other lib
  slow_before >"$WORK/other/src/lib.rs"
  begin_held
  local first=$BUILD_PID
  build_start second "$WORK/other" build
  wait_until 30 worker_compiles "$WORKER_PID" other
  kill -INT -- "-$first"
  wait_until 2 eval '! kill -0 "$HELD" 2>/dev/null'
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job other where)" = farm ]
  [ "$(half_of other)" = "$HALF" ]
  [ "$(half_pids)" = "$HALF" ]
}

@test "another configuration, another program, another limit: each has its own" {
  local n=0 d
  farm_start
  for d in a b c d e; do package "$WORK/$d" "$d" lib; done
  build a "$WORK/a" build
  DRAY_SILENT_S=77 build b "$WORK/b" build
  # An upgrade: the same program, as another file.
  mkdir "$FARM/libexec"
  cp "$DRAY_BUILD/client/dray-dispatch" "$FARM/libexec/"
  DRAY_LIBEXEC=$FARM/libexec build c "$WORK/c" build
  (ulimit -c 0; ulimit -St 100000; build d "$WORK/d" build)
  # Another mount namespace, as a container has; where there can be one.
  ! unshare -m true 2>/dev/null || n=1
  [ $n -eq 0 ] || (cd "$WORK/e" && unshare -m cargo build) >"$LOGS/e" 2>&1 </dev/null 3>&-
  for d in a b c d e; do
    [ $d != e ] || [ $n -eq 1 ] || continue
    [ "$(job "$d" where)" = farm ]
    [ -n "$(half_of "$d")" ]
    half_of "$d"
  done | sort -u >"$LOGS/halves"
  [ "$(wc -l <"$LOGS/halves")" -eq $((4 + n)) ]
}

@test "an upgrade under a build: that goes on, and the next one has a new farm half" {
  mkdir "$FARM/libexec"
  cp "$DRAY_BUILD/client/dray-dispatch" "$FARM/libexec/"
  export DRAY_LIBEXEC=$FARM/libexec
  package "$WORK/next" next lib
  begin_held
  cp "$DRAY_BUILD/client/dray-dispatch" "$FARM/libexec/new"
  mv "$FARM/libexec/new" "$FARM/libexec/dray-dispatch"
  build next "$WORK/next" build
  [ "$(job next where)" = farm ]
  [ -n "$(half_of next)" ]
  [ "$(half_of next)" != "$HALF" ]
  release
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job slow where)" = farm ]
  [ "$(half_of slow)" = "$HALF" ]
}

@test "the target directory is removed under a unit: nothing is left of it, and the next build is right" {
  begin_held
  # as cargo clean does, which waits for the build
  rm -rf "$WORK/slow/target"
  release
  build_finish 180
  [ "$(half_pids)" = "$HALF" ]
  [ -z "$(find "$WORK/slow" -name '.dray-*')" ]
  rm -rf "$WORK/slow/target"
  echo 'pub fn quick() {}' >"$WORK/slow/src/lib.rs"
  plain_build "$WORK/slow" build
  build again "$WORK/slow" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job slow where)" = farm ]
  [ "$(half_of slow)" = "$HALF" ]
  is_as_plain
}

# bats test_tags=long
@test "a full disk is that unit's affair: it fails as without dray, and another beside it does not" {
  small_disk "$WORK/disk" 32m
  package "$WORK/big" big lib
  head -c 2M /dev/urandom >"$WORK/big/src/bytes"
  echo 'pub static BYTES: &[u8] = include_bytes!("bytes");' >"$WORK/big/src/lib.rs"
  begin_held
  fill "$WORK/disk" 1M
  CARGO_TARGET_DIR=$WORK/disk/target build big "$WORK/big" build
  [ "$BUILD_STATUS" -ne 0 ]
  grep -q 'No space left' "$LOGS/big.err"
  [ "$(half_of big)" = "$HALF" ]
  [ -z "$(find "$WORK/disk" -name '.dray-*')" ]
  rm "$WORK/disk/filler"
  CARGO_TARGET_DIR=$WORK/disk/target build again "$WORK/big" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job big where)" = farm ]
  [ "$(half_of big)" = "$HALF" ]
  release
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job slow where)" = farm ]
}

# unit N: becomes that crate's call, as cargo's would be.
unit() {
  exec "$DRAY" "$RUSTC" --crate-name "u$1" --edition 2021 --crate-type lib --emit=dep-info,metadata,link --error-format=json \
    --json=artifacts -C metadata="$1" -C extra-filename="-$1" --out-dir "$WORK/out" "u$1.rs" </dev/null 3>&-
}
units_in_half() {
  ls "/proc/$HALF/task" | wc -l
}

# bats test_tags=long
@test "64 units at a time are one process's" {
  local i=0 pids=() own
  RUSTC=$(rustup which rustc 2>/dev/null || command -v rustc)
  SLOTS=1
  begin_held
  cd "$WORK"
  mkdir out
  own=$(units_in_half)
  # Who gets no answer in time, on a busy machine, has a process of its own: then it is one more.
  while [ "$(units_in_half)" -lt $((own + 63)) ] && [ $i -lt 150 ]; do
    i=$((i + 1))
    echo "pub static W: &str = \"unit $i;\";" >"u$i.rs"
    unit $i 2>"$LOGS/u$i" &
    pids+=($!)
    [ $((i % 8)) -ne 0 ] || tick
    [ $i -lt 63 ] || wait_until 2 eval '[ "$(units_in_half)" -ge $((own + 63)) ]' || true
  done
  STARTED+=("${pids[@]}")
  [ "$(units_in_half)" -ge $((own + 63)) ]
  release
  for ((i = 1; i <= ${#pids[@]}; i++)); do
    wait "${pids[i - 1]}"
    grep -qa "unit $i;" "out/libu$i-$i.rlib"
    [ "$(grep -c "u$i-$i\." "$LOGS/u$i")" -eq "$(wc -l <"$LOGS/u$i")" ]
  done
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  jobs_all '.where == "farm"'
  [ "$(jq -r .half "$JOBS" | grep -cx "$HALF")" -ge 64 ]
}

@test "it leaves when nobody has needed it for a while, and when the farm or the cache is gone" {
  package "$WORK/a" a lib
  farm_start
  DRAY_FARM_HALF_S=1 build a "$WORK/a" build
  HALF=$(half_of a)
  [ -n "$HALF" ]
  wait_until 5 is_gone "$HALF"
  [ -z "$(ls "$DRAY_CACHE_DIR/half-$(id -u)")" ]
  # Having left in order, it is started again at once.
  rm -rf "$WORK/a/target"
  build b "$WORK/a" build
  HALF=$(half_of a)
  [ -n "$HALF" ]
  kill -0 "$HALF"
  kill -TERM "$COORDINATOR_PID"
  wait_until 10 is_gone "$HALF"
}

@test "without a farm there is none" {
  package "$WORK/a" a lib
  RUSTC_WRAPPER=$DRAY build a "$WORK/a" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job a where)" = local ]
  [ -z "$(find "$BATS_TEST_TMPDIR" -name 'half-*')" ]
}

@test "farm_half = no: each unit has one of its own" {
  package "$WORK/a" a lib
  farm_start
  DRAY_FARM_HALF=no build a "$WORK/a" build
  [ "$(job a where)" = farm ]
  [ -z "$(half_of a)" ]
  [ -z "$(half_pids)" ]
}
