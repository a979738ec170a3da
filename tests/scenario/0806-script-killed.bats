#!/usr/bin/env bats
# dray is killed at each step of keeping a script's run, and of putting it back: the launcher's run, or the next one, is
# right, and so is what is found afterwards.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

KILLAT=$DRAY_BUILD/tests/scenario/killat.so

# begin: a script, its launcher with the dray that can be killed, and $WORK/right: what it makes and says.
begin() {
  [ -z "${DRAY_TEST_VALGRIND:-}" ] || skip "under valgrind"
  ! ldd "$DRAY-shared" | grep -qE 'lib(asan|ubsan)' || skip "a build with sanitizers"
  script "$WORK/app" <<'RUST'
use std::{env, fs, os::unix::fs::symlink};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    // like many: what is there is taken for whole
    if fs::metadata(format!("{out}/done")).is_err() {
        fs::create_dir_all(format!("{out}/a/b")).unwrap();
        fs::write(format!("{out}/a/b/big"), vec![b'x'; 40_000]).unwrap();
        fs::write(format!("{out}/a/x.pc"), format!("libdir={out}/lib\n")).unwrap();
        let _ = fs::remove_file(format!("{out}/link"));
        symlink(format!("{out}/a"), format!("{out}/link")).unwrap();
        fs::write(format!("{out}/zz"), fs::read_to_string("words.txt").unwrap()).unwrap();
        fs::write(format!("{out}/done"), "").unwrap();
    }
    println!("cargo:rustc-env=MADE={out}");
    eprintln!("it was {}", fs::read_to_string(format!("{out}/zz")).unwrap().trim());
}
RUST
  echo one >"$WORK/app/words.txt"
  (export RUSTC_WRAPPER=$DRAY-shared; cached begin "$WORK/app" build)
  OUT=$(script_out "$WORK/app/target/debug" app)
  LAUNCHER=$(find "$WORK/app/target" -name build-script-build)
  "$DRAY" clear >/dev/null
  empty
  start
  made >"$WORK/right"
  [ "$(wc -l <"$WORK/right")" -gt 8 ]
  empty
  start
  is_right
  put app
}
empty() {
  find "$OUT" -mindepth 1 -delete
}
# start [NAME=VALUE…]: the launcher, as cargo starts it. $STATUS
start() {
  STATUS=0
  rm -f "$JOBS"
  # (bash says of each that it was killed)
  (cd "$WORK/app" && exec env CARGO_MANIFEST_DIR="$WORK/app" CARGO_PKG_NAME=app CARGO_PKG_VERSION=0.1.0 OUT_DIR="$OUT" "$@" \
    timeout $((60 * PATIENCE)) "$LAUNCHER") >"$LOGS/said.out" 2>"$LOGS/said.err" 3>&- || STATUS=$?
}
# made: all that is there and was said; nothing else may lie beside OUT_DIR.
made() {
  (cd "$OUT/.." && find out -printf '%y %m %s %l %p\n' -o -name '.dray*' -print | LC_ALL=C sort && cat out/zz out/a/x.pc out/a/b/big)
  cat "$LOGS/said.out" "$LOGS/said.err"
}
is_right() {
  [ "$STATUS" -eq 0 ] && made | diff "$WORK/right" - >&2 || { echo "step $AT: status $STATUS, $1" >&2; return 1; }
}
# killed_at STEP: fails when dray came to its end.
killed_at() {
  AT=$1
  rm -f "$WORK/count" "$DRAY_CACHE_DIR"/swept/*
  start LD_PRELOAD="$KILLAT" KILLAT="$1" KILLAT_PROGRAM=dray-shared KILLAT_CHANGES=1 KILLAT_COUNT="$WORK/count" 2>/dev/null
  [ ! -e "$WORK/count" ]
}

# bats test_tags=long
@test "while a run is put back, from nothing and over another one: the launcher runs the script, or it is there whole" {
  local n old
  begin
  for old in no yes; do
    for ((n = 1; n < 300; n++)); do
      empty
      if [ $old = yes ]; then
        mkdir -p "$OUT/a/old" "$OUT/more"
        echo old >"$OUT/a/old/file"
      fi
      killed_at $n || break
      # 137: it had begun to say what the script said
      [ "$STATUS" -eq 137 ] || { [ $old = yes ] && rm -rf "$OUT/a/old" "$OUT/more"; rm -rf "$OUT"/../.dray*; is_right "after the kill"; }
      empty
      start
      is_right "the next one"
      put app || { echo "step $AT: not put back" >&2; return 1; }
    done
    echo "# put back: killed at each of $((n - 1)) steps" >&3
    [ -s "$WORK/count" ] && [ "$n" -gt 10 ]
  done
}

# bats test_tags=long
@test "while a run is made and kept: the next one is right, and is found afterwards" {
  local n
  begin
  for ((n = 1; n < 300; n++)); do
    "$DRAY" clear >/dev/null
    empty
    killed_at $n || break
    # as cargo does after a script that failed
    start
    is_right "the next one"
    empty
    start
    is_right "from nothing"
    empty
    start
    is_right "the last one"
    put app || { echo "step $AT: not put back" >&2; return 1; }
  done
  echo "# kept: killed at each of $((n - 1)) steps" >&3
  [ -s "$WORK/count" ] && [ "$n" -gt 10 ]
}
