#!/usr/bin/env bats
# What happens to a cache directory: rotten files, full and read-only disks, a cleaner, crowds, sudden
# death. A build neither fails nor differs, nobody waits for a lock of the dead, and the next build is
# right.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/faults.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

CACHE_OF() { find "$DRAY_CACHE_DIR/$1" -type f; }

# A program on a library; what a plain build makes of it is kept to compare with.
project() {
  APP=$WORK/app
  package "$APP" app
  dependency "$APP" low
  printf 'fn main() {\n    println!("{}", low::answer());\n}\n' >"$APP/src/main.rs"
  both fill "$APP" build
  all_missed
  clean "$APP"
}
# survives LABEL: what is found damaged is made again, right, and is found the next time.
survives() {
  clean "$APP"
  cached "$1" "$APP" build
  same_tree "$APP"
  clean "$APP"
  cached "$1-next" "$APP" build
  all_hit
  same_tree "$APP"
}
# flip FILE: one bit in its middle.
flip() {
  local at byte
  at=$(($(stat -c %s "$1") / 2))
  byte=$(od -An -tu1 -j "$at" -N 1 "$1")
  [ -z "$byte" ] || printf "\\x$(printf %x $((byte ^ 16)))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}

# bats test_tags=long
@test "blobs: a flipped bit, a piece cut off, emptied, gone, a directory" {
  local f
  project
  for f in $(CACHE_OF blobs); do flip "$f"; done
  survives flipped
  for f in $(CACHE_OF blobs); do truncate -s -1 "$f"; done
  survives cut
  for f in $(CACHE_OF blobs); do : >"$f"; done
  survives emptied
  for f in $(CACHE_OF blobs); do rm "$f"; done
  survives gone
  for f in $(CACHE_OF blobs); do rm "$f" && mkdir "$f"; done
  clean "$APP"
  cached directories "$APP" build
  same_tree "$APP"
}

@test "a file that is shared with the cache is written to in its target directory" {
  local f
  project
  cached found "$APP" build
  all_hit
  for f in $(find_made "$APP/target/debug" '*.rlib' '*.rmeta') "$APP/target/debug/app"; do
    printf 'rubbish' | dd of="$f" bs=1 seek=100 conv=notrunc status=none
  done
  survives written
}

# bats test_tags=long
@test "entries: cut, garbage, emptied, another unit's" {
  local f entries
  project
  for f in $(CACHE_OF entries); do truncate -s -7 "$f"; done
  survives cut
  for f in $(CACHE_OF entries); do flip "$f"; done
  survives flipped
  for f in $(CACHE_OF entries); do head -c 3000 /dev/urandom >"$f"; done
  survives garbage
  for f in $(CACHE_OF entries); do : >"$f"; done
  survives emptied
  mapfile -t entries < <(CACHE_OF entries)
  [ "${#entries[@]}" -eq 2 ]
  mv "${entries[0]}" "$WORK/kept"
  mv "${entries[1]}" "${entries[0]}"
  mv "$WORK/kept" "${entries[1]}"
  survives swapped
}

@test "the LMDB files: cut, garbage, emptied, gone" {
  local f
  project
  for f in memo index; do
    [ -s "$DRAY_CACHE_DIR/$f.lmdb" ]
  done
  for f in memo index; do truncate -s 6000 "$DRAY_CACHE_DIR/$f.lmdb"; done
  survives cut
  for f in memo index; do head -c 40000 /dev/urandom >"$DRAY_CACHE_DIR/$f.lmdb"; done
  survives garbage
  for f in memo index; do : >"$DRAY_CACHE_DIR/$f.lmdb"; done
  survives emptied
  for f in memo index; do head -c 300 /dev/urandom >"$DRAY_CACHE_DIR/$f.lmdb-lock"; done
  survives locks
  rm -f "$DRAY_CACHE_DIR"/*.lmdb*
  survives gone
}

@test "a full disk" {
  local label
  small_disk "$WORK/disk" 64m
  cp -R "$DRAY_CACHE_DIR/." "$WORK/disk/"
  export DRAY_CACHE_DIR=$WORK/disk
  APP=$WORK/app
  package "$APP" app
  dependency "$APP" low
  fill "$WORK/disk"
  both full "$APP" build
  jobs_all '.cache == "miss" and .not_stored != null'
  # Room for some of it.
  fill "$WORK/disk" 1000000
  both tight "$APP" build
  misses app
  rm "$WORK/disk/filler"
  both room "$APP" build
  clean "$APP"
  fill "$WORK/disk"
  cached found "$APP" build
  all_hit
  same_tree "$APP"
}

# bats test_tags=long
@test "a cache that cannot be written" {
  local dir
  project
  RUSTC_WRAPPER=$(obedient dray "$DRAY")
  export RUSTC_WRAPPER DRAY_JOB_LOG=$WORK/jobs.jsonl
  JOBS=$DRAY_JOB_LOG
  forbid "$DRAY_CACHE_DIR"
  find "$DRAY_CACHE_DIR" -type f -exec chmod a-w {} +
  cached found "$APP" build
  all_hit
  same_tree "$APP"
  sed -i s/42/43/ "$APP/low/src/lib.rs"
  both edited "$APP" build
  misses low app
  [ -n "$(job low not_stored)" ]
  permit "$DRAY_CACHE_DIR"
  find "$DRAY_CACHE_DIR" -type f -exec chmod u+w {} +
  survives again
}

# bats test_tags=long
@test "the cache is deleted in the middle of a build" {
  APP=$WORK/app
  slow_dependency "$APP"
  dependency "$APP" quick
  clean "$APP"
  rm -f "$JOBS"
  export DRAY_JOB_LOG=$WORK/jobs.jsonl
  JOBS=$DRAY_JOB_LOG
  build_start during "$APP" build
  wait_until 60 is_made "$APP/target/debug" 'slow-*.d'
  wait_until 60 compgen -G "$DRAY_CACHE_DIR/entries/*/*"
  rm -rf "$DRAY_CACHE_DIR"
  build_finish 120
  [ "$BUILD_STATUS" -eq 0 ]
  both after "$APP" build
  hits slow app
  missed quick
}

# bats test_tags=long
@test "a killed dray holds nobody up" {
  local pid compiler p
  APP=$WORK/app
  slow_dependency "$APP"
  build_start during "$APP" build
  wait_until 60 is_made "$APP/target/debug" 'slow-*.d'
  pid=$(for p in $(descendants "$BUILD_PID"); do
    [ "$(cat "/proc/$p/comm")" != dray ] || echo "$p"
  done | head -n 1)
  compiler=$(descendants "$pid")
  [ -n "$compiler" ]
  kill -KILL "$pid"
  build_finish 60
  [ "$BUILD_STATUS" -ne 0 ]
  # Nor does its compiler go on, and write over what the next one makes.
  for p in $compiler; do
    wait_until 20 is_gone "$p"
  done
  both after "$APP" build
  all_missed
  jobs_all '.lookup_ms < 30000'
  both again "$APP" build
  all_hit
}

# ---- crowds

# crowd N COMMAND…: N of it at once, each with its number; all must end with 0.
crowd() {
  local i n=$1 pids=() failed=0
  shift
  for ((i = 1; i <= n; i++)); do
    "$@" "$i" 3>&- &
    pids+=($!)
  done
  for i in "${pids[@]}"; do
    wait "$i" || failed=$((failed + 1))
  done
  [ "$failed" -eq 0 ] || { echo "$failed of $n failed" >&2; return 1; }
}
in_own_target() {
  cd "$APP" && CARGO_TARGET_DIR=$WORK/target-$1 exec cargo build -j2 >"$LOGS/own-$1" 2>&1 </dev/null
}
in_one_target() {
  cd "$APP" && exec cargo build -j2 >"$LOGS/one-$1" 2>&1 </dev/null
}

# bats test_tags=long
@test "64 builds of one project at once, each in its own target directory" {
  local i
  APP=$WORK/app
  package "$APP" app lib
  dependency "$APP" low
  dependency "$APP" other
  # Known at once, so that all ask for the same then.
  cached lock "$APP" metadata --format-version 1
  crowd 64 in_own_target
  # One of them compiled each.
  for i in low other app; do
    [ "$(jq -rs --arg c "$i" 'map(select(.crate == $c and .where == "local")) | length' "$JOBS")" -eq 1 ] ||
      { show_cache; return 1; }
    [ "$(jq -rs --arg c "$i" 'map(select(.crate == $c and .where == "cache")) | length' "$JOBS")" -eq 63 ]
  done
  for ((i = 2; i <= 64; i++)); do
    same_made "$WORK/target-1/debug" "$WORK/target-$i/debug" -x '*.d'
  done
  fails grep -l warning "$LOGS"/own-*
}

@test "builds of one project at once in one target directory" {
  APP=$WORK/app
  package "$APP" app
  dependency "$APP" low
  crowd 8 in_one_target
  mv "$APP/target" "$WORK/crowd"
  plain_build "$APP" build
  same_made "$BATS_TEST_TMPDIR/plain-target/debug" "$WORK/crowd/debug"
}
