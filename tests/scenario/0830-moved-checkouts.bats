#!/usr/bin/env bats
# Where paths = shared, a checkout finds what another one made, wherever both lie. What is found is what a compile in
# its own place makes, with the same mapping: the same bytes, the same words. moved.bash has the cases.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/moved.bash"

KINDS=(build --bins --test t_exe --test t_tmp --test t_str)

# shared LABEL DIR: a build of all cases from nothing, with the cache of the test.
shared() {
  clean "$2"
  DRAY_PATHS=shared CARGO_PROFILE_DEV_DEBUG=${DEBUG:-0} cached "$1" "$2" "${KINDS[@]}"
}
# say_all DIR: what each program and test there prints, and how it ends.
say_all() {
  local p
  for p in "$(target_of "$1")"/debug/* "$(target_of "$1")"/debug/deps/t_*; do
    [ -f "$p" ] && [ -x "$p" ] && [[ "$p" != *.so ]] || continue
    echo "== ${p##*/}"
    (cd "$1" && "$p" --nocapture) 2>&1 | sed -E 's/ \([0-9]+\) panicked/ panicked/; s/finished in .*//'
    echo "-> ${PIPESTATUS[0]}"
  done
}
# words LABEL: what was said in that build, without order.
words() {
  grep -vE '^ +(Compiling|Finished) ' "$LOGS/$1.err" | LC_ALL=C sort
}
# moved LABEL DIR: a build there, which may find what others made; then one of its own, which finds nothing. They are
# equal.
moved() {
  shared "$1" "$2" || return
  cp "$JOBS" "$WORK/$1.jobs"
  say_all "$2" >"$WORK/found"
  rm -rf "$WORK/found-target"
  mv "$(target_of "$2")" "$WORK/found-target"
  DRAY_RECACHE=yes DRAY_CACHE_DIR=$WORK/own-cache shared "$1-own" "$2" || return
  diff <(words "$1") <(words "$1-own") || return
  say_all "$2" >"$WORK/made"
  diff "$WORK/found" "$WORK/made" || return
  diff -r "$WORK/found-target/debug/deps" "$(target_of "$2")/debug/deps"
  cp "$WORK/$1.jobs" "$JOBS"
}
# case_class DIR CRATE: what its first line says.
case_class() {
  local f
  for f in "$1/cases/src/bin/$2.rs" "$1/cases/tests/$2.rs" "$1/$2/src/lib.rs"; do
    [ ! -f "$f" ] || sed -n '1s#^// ##p' "$f"
  done
}
# finds DIR CLASS hit|miss: each case of that class was one.
finds() {
  local crate cache n=0 wrong=0
  while read -r crate cache; do
    [ "$(case_class "$1" "$crate")" = "$2" ] || continue
    n=$((n + 1))
    [ "$cache" = "$3" ] || { echo "$crate: $cache" >&2; wrong=1; }
  done < <(jq -r 'select(.kind != "probe" and .crate != "build_script_build") | "\(.crate) \(.cache)"' "$JOBS")
  [ "$n" -gt 0 ] && [ "$wrong" = 0 ] || { show_cache; return 1; }
}

# bats test_tags=long
@test "all cases, beside the first checkout, and deeper" {
  local from=$WORK/one/ws
  mkdir -p "$WORK/one" "$WORK/a/deep/er"
  moved_workspace "$from"
  moved_around "$WORK/one" first
  moved_around "$WORK/a/deep/er" second
  echo far >"$WORK/far-marker"
  mkdir "$WORK/far-dir"
  shared first "$from"
  all_missed
  # beside it
  cp -a "$from" "$WORK/one/other"
  moved beside "$WORK/one/other"
  finds "$from" free hit
  finds "$from" above hit
  finds "$from" place miss
  # deeper, where all that lies around is another
  cp -a "$from" "$WORK/a/deep/er/ws"
  moved deeper "$WORK/a/deep/er/ws"
  finds "$from" free hit
  finds "$from" place miss
  finds "$from" above miss
  # the first one again
  shared again "$from"
  all_hit
}

# A text that is copied or compared may be in the numbers of instructions, in pieces. Short ones are, so that the
# places are, too.
@test "an optimised program holds the place, and a file that was named by it is not the place" {
  local n top dir said=
  top=$(mktemp -d /tmp/dXXX)
  for n in one other; do
    dir=$top/$n
    package "$dir" app
    echo words >"$dir/words"
    mkdir "$dir/src/bin"
    echo 'fn main() { println!("{}", std::hint::black_box(env!("CARGO_MANIFEST_DIR").to_string())); }' >"$dir/src/main.rs"
    echo 'fn main() { println!("{}", std::env::args().nth(1).unwrap() == env!("CARGO_MANIFEST_DIR")); }' \
      >"$dir/src/bin/compares.rs"
    echo 'fn main() { print!("{}", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/words"))); }' >"$dir/src/bin/reads.rs"
    DRAY_PATHS=shared cached "$n" "$dir" build --release || break
    said+="$("$dir/target/release/app") $("$dir/target/release/compares" "$dir") $("$dir/target/release/reads") "
  done
  rm -rf "$top"
  [ "$said" = "$top/one true words $top/other true words " ] || { echo "$said" >&2; return 1; }
  misses app compares
  hit reads
}
