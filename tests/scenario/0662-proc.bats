#!/usr/bin/env bats
# A /proc that is another PID namespace's, or hides processes, or is not there, as in sandboxes: what it says
# of a process by its number is of another one. Every build is as without dray, and what is kept in there
# is not wrong outside.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

scenario_setup() {
  export RUSTC_WRAPPER=$DRAY DRAY_CACHE=on CARGO_INCREMENTAL=0
  seed_client
  RUSTC=$(rustup which rustc 2>/dev/null || command -v rustc)
  TURN=0
}
# stale_proc COMMAND…: in a new PID namespace that still has the /proc of the old one.
stale_proc() {
  bwrap --dev-bind / / --unshare-pid --die-with-parent -- "$@"
}
# no_proc COMMAND…: the loader finds the compiler's libraries by /proc, too.
no_proc() {
  bwrap --dev-bind / / --tmpfs /proc --die-with-parent --setenv LD_LIBRARY_PATH "${RUSTC%/bin/rustc}/lib" -- "$@"
}
# hiding_proc COMMAND…: only this user's processes are seen there; root sees all.
hiding_proc() {
  unshare --mount --pid --fork --kill-child sh -c 'mount -t proc -o hidepid=2 proc /proc && exec "$@"' sh "$@"
}

# A program and its library, with each kind of read.
project() {
  package "$1" app
  printf 'fn main() { println!("{} {} {}", app::A, app::m::V, app::D); }\n' >"$1/src/main.rs"
  echo 'pub mod m; pub const A: &str = m::V; pub const D: &str = include_str!("d.txt");' >"$1/src/lib.rs"
}
# words DIR WORD: all of it says WORD from here on. Its time is another each time.
words() {
  echo "pub const V: &str = \"$2\";" >"$1/src/m.rs"
  printf %s "$2" >"$1/src/d.txt"
  TURN=$((TURN + 1))
  touch -d "+$TURN seconds" "$1/src/m.rs" "$1/src/d.txt"
}
# built DIR WORD PREFIX…: cargo build there, through the function of PREFIX; the program says WORD.
built() {
  (cd "$1" && "${@:3}" cargo build -q 3>&-) >"$LOGS/built" 2>&1 || { cat "$LOGS/built" >&2; return 1; }
  [ ! -s "$LOGS/built" ] || { cat "$LOGS/built" >&2; return 1; }
  says "$1" "$2 $2 $2" || { show_cache; return 1; }
}
# as_plain PREFIX…: builds, edits, cleans and checks, in there and outside in turn.
as_plain() {
  local app=$WORK/app
  project "$app"
  words "$app" one
  built "$app" one "$@"
  words "$app" two
  built "$app" two "$@"
  clean "$app"
  words "$app" three
  built "$app" three "$@"
  clean "$app"
  words "$app" four
  built "$app" four
  clean "$app"
  words "$app" three
  built "$app" three
  clean "$app"
  words "$app" five
  built "$app" five "$@"
  (cd "$app" && "$@" cargo check -q 3>&-)
  clean "$app"
  echo 'pub const V: u8 = "six";' >"$app/src/m.rs"
  (cd "$app" && fails "$@" cargo check -q 3>&-) 2>"$LOGS/error"
  file_has "$LOGS/error" 'mismatched types'
}

not_kept_for_proc() {
  jobs_all '.cache == "hit" or (.not_stored // "" | contains("/proc is not of this PID namespace"))' ||
    { show_cache; return 1; }
  # and the log says why
  jq -se 'any(.[]; .not_stored == "it was not traced: /proc is not of this PID namespace")' "$JOBS" >/dev/null ||
    { show_cache; return 1; }
}

@test "a /proc of another PID namespace" {
  command -v bwrap >/dev/null || skip "no bubblewrap"
  as_plain stale_proc
  rm -f "$JOBS"
  clean "$WORK/app"
  words "$WORK/app" seven
  built "$WORK/app" seven stale_proc
  not_kept_for_proc
}

# A process that changes its directory: only /proc could say where it is.
@test "a relative path that a program of the compile opens elsewhere" {
  local app=$WORK/app
  command -v bwrap >/dev/null || skip "no bubblewrap"
  with_macro "$app"
  mkdir -p "$WORK/data"
  cat >"$app/look/src/expr.rs" <<END
{
    let out = std::process::Command::new("sh").args(["-c", "cd $WORK/data && cat word.txt"]).output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_string()
}
END
  for word in one two; do
    echo "$word" >"$WORK/data/word.txt"
    clean "$app"
    (cd "$app" && stale_proc cargo build -q 3>&-)
    says "$app" "$word"
  done
  echo three >"$WORK/data/word.txt"
  clean "$app"
  cached outside "$app" build
  says "$app" three
  # outside, it is an input
  kept app
  clean "$app"
  cached again "$app" build
  hit app
  echo four >"$WORK/data/word.txt"
  clean "$app"
  (cd "$app" && stale_proc cargo build -q 3>&-)
  says "$app" four
}

# Cargo does not start there; a compiler by itself does.
@test "no /proc at all" {
  local word
  command -v bwrap >/dev/null || skip "no bubblewrap"
  cd "$WORK"
  compiled() {
    rm -rf out
    mkdir out
    "$@" "$RUSTC" --edition 2021 --crate-name lib --crate-type lib --emit dep-info,metadata,link -C metadata=11 \
      --error-format=json --json=artifacts --out-dir out lib.rs 2>err </dev/null 3>&-
  }
  echo 'mod m; pub fn f() -> &'"'"'static str { m::V }' >lib.rs
  echo 'pub const V: &str = "zero";' >m.rs
  compiled no_proc || skip "the compiler does not work without /proc"
  for word in one two; do
    echo "pub const V: &str = \"$word\";" >m.rs
    compiled no_proc
    rm -rf plain
    mv out plain
    mv err plain.err
    compiled no_proc "$DRAY"
    diff err plain.err && diff -r out plain
    compiled "$DRAY"
    diff err plain.err && diff -r out plain
  done
}

# bats test_tags=long
@test "a /proc that hides other users' processes" {
  [ "$(id -u)" = 0 ] || skip "needs root, to mount a /proc"
  hiding_proc true || skip "no /proc can be mounted here"
  as_plain hiding_proc
  # it is this namespace's, so all is kept
  rm -f "$JOBS"
  clean "$WORK/app"
  words "$WORK/app" seven
  built "$WORK/app" seven hiding_proc
  jobs_all '.not_stored == null'
  clean "$WORK/app"
  rm -f "$JOBS"
  built "$WORK/app" seven
  all_hit
}
