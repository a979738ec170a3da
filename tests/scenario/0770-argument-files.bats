#!/usr/bin/env bats
# Where an argument is longer than an exec takes (a package with thousands of features), cargo writes all of them into
# a file, under another name each time, and calls the wrapper with `rustc @FILE`.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

@test "arguments in a file: plain cargo's bytes and text, hits, and an edit is seen" {
  package "$WORK/app" app
  { echo '[features]'; printf 'feature_with_a_name_that_is_rather_long_and_longer_%d = []\n' {1..3000}; } >>"$WORK/app/Cargo.toml"
  both first "$WORK/app" build
  clean "$WORK/app"
  cached again "$WORK/app" build
  all_hit
  # another word in that file is another unit
  clean "$WORK/app"
  cached feature "$WORK/app" build --features feature_with_a_name_that_is_rather_long_and_longer_7
  misses app
  clean "$WORK/app"
  echo 'fn main() { println!("edited"); }' >"$WORK/app/src/main.rs"
  cached edited "$WORK/app" build
  [ "$("$WORK/app/target/debug/app")" = edited ]
}

@test "a file that the caller keeps: what is in it counts, its name and its times do not" {
  local name
  mkdir "$WORK/lib"
  cd "$WORK/lib"
  echo 'pub fn seven() -> u8 { 7 }' >lib.rs
  for name in one two; do
    rm -f one
    printf '%s\n' --crate-name lib --crate-type lib --emit=dep-info,metadata --out-dir out lib.rs >"$name"
    rm -rf out "$JOBS"
    mkdir out
    "$DRAY" rustc "@$name"
    [ -f out/liblib.rmeta ]
    [ "$name" = one ] || hit lib
  done
  echo --cap-lints=allow >>two
  rm -rf out "$JOBS"
  mkdir out
  "$DRAY" rustc @two
  missed lib
}
