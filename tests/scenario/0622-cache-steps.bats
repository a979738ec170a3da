#!/usr/bin/env bats
# Each step of a whole dray on the disk, while it keeps what a compiler made and while it puts that in place:
# it is killed there (killat.so), or the disk is full. The same call then succeeds at once, what it leaves and
# says is the plain compiler's, it is found the next time, and nothing is left over, neither in the out-dir
# nor in the cache.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/faults.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

KILLAT=$DRAY_BUILD/tests/scenario/killat.so

scenario_setup() {
  export DRAY_CACHE=on
  seed_client
  RUSTC=$(rustup which rustc 2>/dev/null || command -v rustc)
  SRC=$WORK/src OUT=$WORK/target/out PLAIN=$WORK/plain
  mkdir -p "$SRC" "$OUT"
}

# unit lib|bin: what is compiled, with $UNIT_MORE: one that warns. $PLAIN has what the plain compiler makes and says of it.
unit() {
  UNIT=(--edition=2021 --error-format=json --json=diagnostic-rendered-ansi,artifacts,future-incompat
    --crate-name one -C metadata=0123456789abcdef -C extra-filename=-0123456789abcdef --out-dir "$OUT")
  case $1 in
    lib)
      UNIT+=(--crate-type lib --emit=dep-info,metadata,link lib.rs)
      printf '#![no_std]\npub fn one(x: u32) -> u32 {\n    let unused = 1;\n    x + 1\n}\n' >"$SRC/lib.rs"
      ;;
    bin)
      UNIT+=(--crate-type bin --emit=dep-info,link main.rs)
      printf 'fn main() {\n    let unused = 1;\n    println!("one");\n}\n' >"$SRC/main.rs"
      ;;
  esac
  UNIT+=(${UNIT_MORE[@]+"${UNIT_MORE[@]}"})
  (cd "$SRC" && exec "$RUSTC" "${UNIT[@]}") 2>"$WORK/plain.err"
  mv "$OUT" "$PLAIN"
  mkdir "$OUT"
}

# through WORDS: the call through dray, which has to end well. Nobody is to wait for a lock of the dead.
through() {
  rm -f "$JOBS"
  (cd "$SRC" && exec timeout $((20 * PATIENCE)) "$DRAY" "$RUSTC" "${UNIT[@]}") 2>"$LOGS/through.err" 3>&- ||
    { echo "step $AT: the $1 ends with $?" >&2; return 1; }
  # What the compiler itself leaves when it is killed is its own affair.
  diff -r -x 'rustc??????' -x 'rmeta??????' -x '*.rcgu.o' -x '.tmp*.temp-archive' "$PLAIN" "$OUT" >&2 &&
    diff "$WORK/plain.err" "$LOGS/through.err" >&2 || { echo "step $AT: after the $1" >&2; return 1; }
}
found() {
  file_has "$JOBS" '"cache":"hit"' || { echo "step $AT: $1" >&2; show_cache; return 1; }
}
# killed_at STEP PROGRAM COMMAND…: the call by that command, of which PROGRAM is killed at that step. Fails
# when it came to its end: then $STEPS is how many it had, or -1 when it was not a good one.
killed_at() {
  local status=0
  AT=$1 STEPS=-1
  rm -f "$WORK/count" "$DRAY_CACHE_DIR"/swept/*
  # (bash says of each that it was killed)
  {
    (
      cd "$SRC"
      export LD_PRELOAD=$KILLAT KILLAT=$1 KILLAT_PROGRAM=$2 KILLAT_CHANGES=1 KILLAT_COUNT=$WORK/count
      exec timeout $((60 * PATIENCE)) "${@:3}" "$RUSTC" "${UNIT[@]}"
    ) >"$LOGS/killed.out" 2>"$LOGS/killed.err" 3>&- || status=$?
  } 2>/dev/null
  [ $status -ne 137 ] || return 0
  if [ $status -eq 0 ]; then
    STEPS=$(cat "$WORK/count")
  else
    echo "step $1: status $status" >&2
  fi
  return 1
}

# files: all that is in the cache, but for the job log, and what there is a bounded number of.
files() {
  find "$DRAY_CACHE_DIR" -type f ! -name 'jobs.jsonl' ! -path '*/swept/*' ! -path '*/locks/*' ! -path '*/slots/*' | LC_ALL=C sort
}
# nothing_left: gc agrees with the disk and leaves nothing that is not whole; clear leaves what $WORK/files has.
nothing_left() {
  "$DRAY" gc --json >"$LOGS/gc"
  [ -z "$(find "$DRAY_CACHE_DIR/tmp" -mindepth 1)" ] || { echo "step $AT: left in tmp" >&2; return 1; }
  [ "$(jq '.after.entries, .after.blobs' "$LOGS/gc" | xargs)" = "$(find "$DRAY_CACHE_DIR/entries" -type f | wc -l) $(
    find "$DRAY_CACHE_DIR/blobs" -type f | wc -l)" ] || { cat "$LOGS/gc" >&2; return 1; }
  "$DRAY" clear >/dev/null
  files | diff "$WORK/files" - >&2 || { echo "step $AT: left in the cache" >&2; return 1; }
}
# begin KIND: the unit, and one round that nobody disturbs.
begin() {
  unit "$1"
  AT=0
  through "first call"
  empty_out
  through "second call"
  found "the second call"
  "$DRAY" gc >/dev/null
  "$DRAY" clear >/dev/null
  files >"$WORK/files"
  empty_out
}
empty_out() {
  find "$OUT" -mindepth 1 -delete
}
# well_again: the same call, and once more from nothing.
well_again() {
  through "next call"
  empty_out
  through "call after that"
  found "what was made is not found"
  nothing_left
  empty_out
}

# its_own_steps: skipped where others' would be counted, or none.
its_own_steps() {
  [ -z "${DRAY_TEST_VALGRIND:-}" ] || skip "under valgrind"
  ! ldd "$DRAY-shared" | grep -qE 'lib(asan|ubsan)' || skip "a build with sanitizers"
}

# each_store KIND MIN PROGRAM COMMAND…
each_store() {
  local n min=$2
  its_own_steps
  begin "$1"
  for ((n = 1; n < 500; n++)); do
    killed_at $n "${@:3}" || break
    well_again
  done
  echo "# $1: killed at each of $((n - 1)) steps" >&3
  # (how many varies a little: what is said comes in pieces)
  [ "$STEPS" -gt 0 ] && [ "$n" -gt "$min" ]
}

# bats test_tags=long
@test "killed while it keeps a library" {
  each_store lib 20 dray-shared "$DRAY-shared"
}

# bats test_tags=long
@test "killed while it keeps a program" {
  # What comes before the compile is the same for all.
  export KILLAT_FROM_CHILD=1
  each_store bin 10 dray-shared "$DRAY-shared"
}

# each_restore KIND: over what a former compile left, and into an empty directory.
each_restore() {
  local n old
  its_own_steps
  begin "$1"
  through "call that keeps it"
  for old in no yes; do
    for ((n = 1; n < 500; n++)); do
      [ $old = yes ] || empty_out
      killed_at $n dray-shared "$DRAY-shared" || break
      through "next call"
      found "it is not found any more"
      "$DRAY" gc >/dev/null
      [ -z "$(find "$DRAY_CACHE_DIR/tmp" -mindepth 1)" ]
    done
    echo "# $1: killed at each of $((n - 1)) steps" >&3
    [ "$STEPS" -gt 0 ] && [ "$n" -gt 10 ]
  done
  nothing_left
}

# bats test_tags=long
@test "killed while it puts a library in place" {
  each_restore lib
}

# bats test_tags=long
@test "killed while it puts a program in place" {
  each_restore bin
}

# ---- what a killed dray leaves running

# running: $DRAY of the unit, in the background: $PID.
running() {
  (cd "$SRC" && exec "$DRAY" "$RUSTC" "${UNIT[@]}") >"$LOGS/running" 2>&1 </dev/null 3>&- &
  PID=$!
  STARTED+=("$PID")
}
is_compiling() {
  COMPILER=$(compiler_at "$PID" one)
}

@test "its compiler goes with it, traced or not" {
  unit lib
  slow_before >"$SRC/lib.rs"
  for DRAY_CACHE in on off; do
    running
    wait_until 20 is_compiling
    # It would stand here for ever.
    kill -STOP "$COMPILER"
    STARTED+=("$COMPILER")
    kill -KILL "$PID"
    wait_until 20 is_gone "$COMPILER"
  done
}

@test "dray, which traces it, is killed, and the compiler with it" {
  begin lib
  running
  # It may have ended by then: once more.
  wait_until 20 holds_compiler
  # no process stands between them
  [ "$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$COMPILER/status")" = "$PID" ]
  kill -KILL "$PID"
  wait_until 20 is_gone "$COMPILER"
  wait_until 20 is_gone "$PID"
  wait "$PID" && false
  AT="a traced compile"
  well_again
}
# holds_compiler: it stands still.
holds_compiler() {
  ! is_gone "$PID" || DRAY_RECACHE=1 running
  is_compiling && kill -STOP "$COMPILER" 2>/dev/null || return 1
  STARTED+=("$COMPILER")
  # one that has ended, but is not collected yet, takes a signal, too
  grep -qs '^State:[[:space:]]*T' "/proc/$COMPILER/status"
}

@test "its linker changes nothing that the next one makes" {
  local linker
  cat >"$WORK/slow-cc" <<END
#!/bin/sh
if mkdir "$WORK/first" 2>/dev/null; then
  echo \$\$ >"$WORK/linker"
  read -r go <"$WORK/fifo"
  [ "\$go" = go ] || echo late >>"$OUT/one-0123456789abcdef"
fi
exec cc "\$@"
END
  chmod +x "$WORK/slow-cc"
  mkdir "$WORK/first"
  mkfifo "$WORK/fifo"
  UNIT_MORE=(-C "linker=$WORK/slow-cc")
  unit bin
  for DRAY_CACHE in on off; do
    empty_out
    rm -rf "$WORK/first" "$WORK/linker"
    running
    wait_until 20 test -s "$WORK/linker"
    linker=$(cat "$WORK/linker")
    is_compiling
    kill -KILL "$PID"
    wait_until 20 is_gone "$COMPILER"
    AT=$DRAY_CACHE
    through "next call"
    stat -c '%n %i %y' "$OUT"/one* >"$WORK/before"
    # Where it is not traced it goes on as that of a killed rustc does: then its objects are gone.
    case $DRAY_CACHE in
      on) echo write >"$WORK/fifo" ;;
      off) echo go >"$WORK/fifo" ;;
    esac
    wait_until 20 is_gone "$linker"
    stat -c '%n %i %y' "$OUT"/one* | diff "$WORK/before" -
    diff -r -x 'rustc??????' -x '*.o' "$PLAIN" "$OUT"
  done
}

# ---- the disk

# full_at STEP STATE: with so much room on a disk with the cache in $WORK/STATE, in steps of STEP bytes, up to
# what one call takes.
full_at() {
  local room used
  lay "$2"
  used=$(used)
  through "call that keeps it"
  used=$(($(used) - used))
  for ((room = 0; room <= used; room += $1)); do
    AT="$2, $room of $used bytes"
    empty_out
    lay "$2"
    fill "$WORK/disk" $room
    through "call"
    empty_out
    through "second call"
    rm "$WORK/disk/filler"
    empty_out
    through "call with room again"
    empty_out
    through "call after that"
    found "what was made is not found"
    nothing_left
  done
  empty_out
  echo "# $2: with 0 to $used bytes of room" >&3
  [ "$used" -gt 20000 ]
}
used() {
  df --output=used -B1 "$WORK/disk" | tail -n 1
}
lay() {
  find "$WORK/disk" -mindepth 1 -delete
  cp -R "$WORK/$1/." "$WORK/disk/"
}

# bats test_tags=long
@test "the disk is full at any step of keeping a library" {
  small_disk "$WORK/disk" 8m
  cp -R "$DRAY_CACHE_DIR" "$WORK/new"
  cp -R "$WORK/new/." "$WORK/disk"
  export DRAY_CACHE_DIR=$WORK/disk DRAY_JOB_LOG=$WORK/jobs.jsonl
  JOBS=$DRAY_JOB_LOG
  begin lib
  cp -R "$WORK/disk" "$WORK/begun"
  # One that has no index yet; one that has had entries.
  full_at 65536 new
  full_at 4096 begun
}
