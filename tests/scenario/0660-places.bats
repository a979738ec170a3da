#!/usr/bin/env bats
# No place is the system's by its name alone: sources, what they include and what macros read, and target
# directories, wherever they are. An edit is seen, and what did not change hits.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

teardown_file() {
  rm -rf "/dev/shm/dray-places-$$"
}

# at PLACE COMMAND…: with $WORK/tree as the directory PLACE, which needs not be there. All else is as it is. The clock of
# files moves on first: a link that is as young as the compile may have been replaced during it.
at() {
  local place=$1 top args=(--tmpfs /)
  for top in /*; do
    if [ -L "$top" ]; then
      args+=(--symlink "$(readlink "$top")" "$top")
    elif [ -d "$top" ]; then
      args+=(--dev-bind "$top" "$top")
    fi
  done
  # what cannot have a new directory in it
  case $place in
    /dev/* | /sys/*) args+=(--tmpfs "${place%/*}") ;;
  esac
  bwrap "${args[@]}" --bind "$WORK/tree" "$place" --die-with-parent --chdir "$place" -- \
    bash -c 'touch /before; until touch /after && [ /after -nt /before ]; do :; done; exec "$@"' - "${@:2}"
}

# rustc_at PLACE OUT PREFIX…: compiles the library there, through the program of PREFIX.
rustc_at() {
  mkdir -p "$2"
  at "$1" "${@:3}" "$RUSTC" --edition 2021 --crate-name lib --crate-type lib --emit dep-info,metadata,link \
    --error-format=json --json=artifacts -C metadata=11 --out-dir "$2" "$1/lib.rs" 2>>"$LOGS/rustc"
}

# write WORD: the library, and what it includes.
write() {
  mkdir -p "$WORK/tree/sub"
  echo "pub mod m; pub static D: &str = include_str!(\"sub/d.txt\"); pub fn f() -> &'static str { m::V }" >"$WORK/tree/lib.rs"
  echo "pub const V: &str = \"$1\";" >"$WORK/tree/m.rs"
  printf %s "$1" >"$WORK/tree/sub/d.txt"
}

last() {
  tail -n 1 "$JOBS" | jq -r "$1"
}

# bats test_tags=long
@test "sources at places that sound like the system's" {
  local place out=$WORK/out
  command -v bwrap >/dev/null || skip "no bubblewrap"
  RUSTC=$(rustup which rustc 2>/dev/null || command -v rustc)
  for place in /rustc/0123/library/std /.dray/env/m /.dray-in /dev/shm/x /dev/fd0/x /sys/tree /run/x /procedure /etc/malloc.conf; do
    write "one"
    rustc_at "$place" "$out" "$DRAY"
    # not kept for a reason of the place
    [ "$(last .not_stored)" = null ] || { echo "$place: $(last .not_stored)"; return 1; }
    rm -rf "$out"
    rustc_at "$place" "$out" "$DRAY"
    [ "$(last .cache)" = hit ] || { echo "$place: $(last .cache_why)"; return 1; }
    write "two"
    rm -rf "$out"
    rustc_at "$place" "$out" "$DRAY"
    [ "$(last .cache)" = miss ] || { echo "$place: stale"; return 1; }
    rm -rf "$WORK/first"
    mv "$out" "$WORK/first"
    rustc_at "$place" "$out"
    diff -r "$out" "$WORK/first" || { echo "$place"; return 1; }
  done
}

# The project with all kinds of reads: a source, an included file, a macro's file.
project() {
  mkdir -p "$1"
  package "$1/app" app
  package "$1/mac" mac lib
  printf '[lib]\nproc-macro = true\n' >>"$1/mac/Cargo.toml"
  cat >"$1/mac/src/lib.rs" <<'END'
use proc_macro::TokenStream;
#[proc_macro]
pub fn word(path: TokenStream) -> TokenStream {
    let path = path.to_string();
    format!("{:?}", std::fs::read_to_string(path.trim_matches('"')).unwrap().trim()).parse().unwrap()
}
END
  depends "$1/app" mac ../mac
  (cd "$1/app" && cargo generate-lockfile -q)
  words "$1" one
}
# words DIR WORD: all of it says WORD from here on.
words() {
  local app=$1/app
  printf 'mod m;\nfn main() { println!("{} {} {}", m::V, include_str!("t.txt").trim(), mac::word!("%s")); }\n' \
    "$app/w.txt" >"$app/src/main.rs"
  echo "pub const V: &str = \"$2\";" >"$app/src/m.rs"
  echo "$2" >"$app/src/t.txt"
  echo "$2" >"$app/w.txt"
}
says() {
  [ "$("$(target_of "$1")/debug/app")" = "$2 $2 $2" ] || { show_cache; return 1; }
}

@test "sources and the target directory in a RAM disk, and by a link to it" {
  local shm=/dev/shm/dray-places-$$
  [ -w /dev/shm ] || skip "no /dev/shm"
  mkdir -p "$shm"
  project "$shm/ws"
  export CARGO_INCREMENTAL=0
  once_and_again first "$shm/ws/app" build
  words "$shm/ws" two
  cached second "$shm/ws/app" build
  missed app changed
  says "$shm/ws/app" two
  ln -s "$shm/ws" "$WORK/link"
  words "$shm/ws" three
  cached third "$WORK/link/app" build
  says "$shm/ws/app" three
  # a target directory there, the sources elsewhere
  project "$WORK/ws"
  export CARGO_TARGET_DIR=$shm/target
  once_and_again fourth "$WORK/ws/app" build
  words "$WORK/ws" two
  clean "$WORK/ws/app"
  cached fifth "$WORK/ws/app" build
  says "$WORK/ws/app" two
  rm -rf "$shm"
}

@test "a target directory behind a link: what is compiled beside a build script is none of its inputs" {
  project "$WORK/ws"
  export CARGO_INCREMENTAL=0
  package "$WORK/ws/side" side lib
  depends "$WORK/ws/app" side ../side
  echo 'fn main() {}' >"$WORK/ws/app/build.rs"
  (cd "$WORK/ws/app" && cargo generate-lockfile -q)
  mkdir -p "$WORK/far/target"
  ln -s "$WORK/far/target" "$WORK/ws/app/target"
  export CARGO_TARGET_DIR=$WORK/ws/app/target
  cached first "$WORK/ws/app" build
  kept build_script_build
  rm -rf "$WORK/far/target"/*
  cached second "$WORK/ws/app" build
  all_hit
}

@test "a temporary directory holds files that are none of the compile's own" {
  local dir=$BATS_TEST_TMPDIR/tmp
  mkdir -p "$dir"
  export TMPDIR=$dir CARGO_INCREMENTAL=0
  project "$dir/ws"
  once_and_again first "$dir/ws/app" build
  words "$dir/ws" two
  clean "$dir/ws/app"
  cached second "$dir/ws/app" build
  says "$dir/ws/app" two
  # one that was there and is removed: the result says not all that happened
  echo 0 >"$dir/counter"
  sed -i 's|let path = path.to_string();|&let _ = std::fs::remove_file(std::env::temp_dir().join("counter"));|' \
    "$dir/ws/mac/src/lib.rs"
  cached third "$dir/ws/app" build
  [ ! -e "$dir/counter" ]
  [[ "$(job app not_stored)" = *"counter"* ]]
}

@test "what the kernel says is no input; the compile's own descriptors are what they lead to" {
  export CARGO_INCREMENTAL=0
  project "$WORK/ws"
  sed -i "s|\"[^\"]*w.txt\"|\"/proc/self/cwd/w.txt\"|" "$WORK/ws/app/src/main.rs"
  once_and_again first "$WORK/ws/app" build
  echo two >"$WORK/ws/app/w.txt"
  clean "$WORK/ws/app"
  cached second "$WORK/ws/app" build
  missed app 'w.txt changed'
  [ "$("$WORK/ws/app/target/debug/app")" = "one one two" ]
  sed -i "s|\"/proc/self/cwd/w.txt\"|\"/proc/uptime\"|" "$WORK/ws/app/src/main.rs"
  cached third "$WORK/ws/app" build
  [[ "$(job app not_stored)" = *"/proc/uptime"* ]]
}

# PLACE and why it stays here; nothing: it does not.
# bats test_tags=long
@test "on a farm, too: no build breaks, and edits are seen" {
  local place why
  command -v bwrap >/dev/null || skip "no bubblewrap"
  farm_start
  while read -r place why; do
    rm -rf "$WORK/tree"
    mkdir -p "$WORK/tree"
    project "$WORK/tree"
    clean "$WORK/tree/app"
    for word in one two; do
      words "$WORK/tree" "$word"
      sed -i "s|\"$WORK/tree/|\"$place/|" "$WORK/tree/app/src/main.rs"
      rm -f "$JOBS"
      at "$place" sh -c 'cd app && exec cargo build' >"$LOGS/farm.out" 2>"$LOGS/farm.err"
      says "$WORK/tree/app" "$word"
      if [ -z "$why" ]; then
        jobs_all '.where == "farm"' || { show_cache; return 1; }
      else
        jobs_all ".where == \"local\" and (.why | contains(\"$why\"))" || { show_cache; return 1; }
      fi
    done
    rm -rf "$DRAY_CACHE_DIR/objects" "$DRAY_CACHE_DIR/entries"
  done <<END
/rustc/0123/library
/run/x
/dev/shm/x /dev
/.dray/env/m /.dray
/.dray-in like the job's own
END
}
