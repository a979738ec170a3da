#!/usr/bin/env bats
# dray cache export and import: what a build used goes to another cache in one file; nothing is compiled there.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# A workspace with a library, a program, a macro and a build script; with its own cache.
project() {
  export DRAY_CACHE=on DRAY_SCRIPTS=on
  mkdir -p "$WORK/p/src" "$WORK/p/low/src" "$WORK/p/mac/src"
  printf '%s\n' '[package]' 'name = "top"' 'version = "0.1.0"' 'edition = "2021"' 'build = "build.rs"' '[dependencies]' \
    'low = { path = "low" }' 'mac = { path = "mac" }' '[workspace]' >"$WORK/p/Cargo.toml"
  echo 'fn main() { println!("{} {} {}", low::one(), mac::two!(), env!("THREE")); }' >"$WORK/p/src/main.rs"
  echo 'fn main() { println!("cargo::rustc-env=THREE=3"); }' >"$WORK/p/build.rs"
  printf '%s\n' '[package]' 'name = "low"' 'version = "0.1.0"' 'edition = "2021"' >"$WORK/p/low/Cargo.toml"
  echo 'pub fn one() -> u32 { 1 }' >"$WORK/p/low/src/lib.rs"
  printf '%s\n' '[package]' 'name = "mac"' 'version = "0.1.0"' 'edition = "2021"' '[lib]' 'proc-macro = true' \
    >"$WORK/p/mac/Cargo.toml"
  echo 'use proc_macro::TokenStream; #[proc_macro] pub fn two(_: TokenStream) -> TokenStream { "2".parse().unwrap() }' \
    >"$WORK/p/mac/src/lib.rs"
}

# build CACHE: in the project, with that cache; what ran where is in $WORK/CACHE.
build() {
  rm -f "$JOBS"
  (cd "$WORK/p" && DRAY_CACHE_DIR=$WORK/cache-$1 DRAY_JOB_LOG=$JOBS RUSTC_WRAPPER=$DRAY CARGO_INCREMENTAL=0 \
    cargo build --offline >"$WORK/out" 2>&1) || { cat "$WORK/out" >&2; return 1; }
  [ "$("$WORK/p/target/debug/top")" = '1 2 3' ]
  jq -r '.cache // "none"' "$JOBS" | sort | uniq -c | awk '{ print $2, $1 }' >"$WORK/$1"
}

cache() {
  DRAY_CACHE_DIR=$WORK/cache-$1 "$DRAY" cache "${@:2}"
}

@test "a build with what another one used compiles nothing, and runs no script" {
  project
  build one
  cp "$WORK/p/target/debug/top" "$WORK/top"
  cd "$WORK/p"
  cache one export --json "$WORK/pack" >"$WORK/json"
  jq -e '.results == 5 and .outputs == 5 and .known == 0 and .lacking == 0' "$WORK/json"
  [ "$(stat -c %a "$WORK/pack")" = 600 ]
  cache two import "$WORK/pack" >"$WORK/said"
  grep -q '^imported: 5 results, with ' "$WORK/said"
  rm -rf "$WORK/p/target"
  build two
  [ "$(cat "$WORK/two")" = 'hit 5' ]
  cmp "$WORK/p/target/debug/top" "$WORK/top"
  # again it brings nothing
  cache two import --json "$WORK/pack" >"$WORK/json"
  jq -e '.results == 0 and .outputs == 0 and .known == 5' "$WORK/json"
}

@test "of what was built before, only what lies in the target directory goes along" {
  project
  build one
  echo 'pub fn one() -> u32 { 2 - 1 }' >"$WORK/p/low/src/lib.rs"
  build one
  cd "$WORK/p"
  cache one export --json "$WORK/pack" >"$WORK/json"
  jq -e '.results == 5' "$WORK/json"
  run -1 cache one export --target-dir "$WORK/elsewhere" "$WORK/other"
  [[ "$output" == *"nothing of $WORK/elsewhere was built with this cache"* ]]
  [ ! -e "$WORK/other" ]
}

@test "how results were made again does not go along, nor what a variable says" {
  project
  export SOME_TOKEN=0123456789secret
  build one
  cd "$WORK/p"
  cache one export "$WORK/pack"
  tail -c +9 "$WORK/pack" | zstd -dcq --long=27 >"$WORK/plain"
  run ! grep -q -a 0123456789secret "$WORK/plain"
  run ! grep -q -a -- '--out-dir' "$WORK/plain"
  # a result that is here already keeps it
  cache one import "$WORK/pack" >"$WORK/said"
  grep -qx '5 were here already' "$WORK/said"
  DRAY_CACHE_DIR=$WORK/cache-one "$DRAY" verify --json >"$WORK/json"
  jq -e '.verified == 5 and .differ == []' "$WORK/json"
}

@test "a pack that others may have written is not taken" {
  project
  build one
  (cd "$WORK/p" && cache one export "$WORK/pack")
  chmod g+w "$WORK/pack"
  run -1 cache two import "$WORK/pack"
  [[ "$output" == *'others may write it: what is in it would be believed as your own'* ]]
  chmod 600 "$WORK/pack"
  if [ "$(id -u)" -eq 0 ]; then
    chown 12345 "$WORK/pack"
    run -1 cache two import "$WORK/pack"
    [[ "$output" == *"is another user's"* ]]
    chown 0 "$WORK/pack"
  fi
  mkfifo "$WORK/fifo"
  run -1 cache two import "$WORK/fifo"
  [[ "$output" == *'is no file' ]]
  [ ! -e "$WORK/cache-two/entries" ]
  cache two import "$WORK/pack"
}

@test "a pack that is cut or damaged: what came before stays, and the rest is compiled" {
  project
  build one
  (cd "$WORK/p" && cache one export "$WORK/pack")
  head -c "$(($(stat -c %s "$WORK/pack") - 10))" "$WORK/pack" >"$WORK/cut"
  run -1 cache two import "$WORK/cut"
  [[ "$output" == *'is no pack, or is cut or damaged'* ]]
  echo 'no pack' >"$WORK/none"
  run -1 cache two import "$WORK/none"
  printf 'draypck2' >"$WORK/later"
  run -1 cache two import "$WORK/later"
  [[ "$output" == *'is of a later form; use a later dray'* ]]
  rm -rf "$WORK/p/target"
  build two
}

@test "a wrong command line is answered with the reason" {
  run -2 "$DRAY" cache
  run -2 "$DRAY" cache keep
  [[ "$output" == *'neither status, gc, verify, purge, export nor import: keep'* ]]
  run -2 "$DRAY" cache import
  run -2 "$DRAY" cache import --target-dir x y
  run -1 "$DRAY" cache import "$WORK/none"
  [[ "$output" == *"$WORK/none: No such file"* ]]
  run -0 "$DRAY" cache --help
  run -0 "$DRAY" cache export --help
}
