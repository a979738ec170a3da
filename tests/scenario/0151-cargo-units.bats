#!/usr/bin/env bats
# Kinds of units as cargo asks for them: profiles, targets, wrappers, directories. Each build is made twice at
# the same place, plainly and through the farm.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# A workspace with a proc-macro, a library that uses it, and in the package app a build script, a program,
# a library for others, an integration test and an example.
scenario_setup() {
  APP=$WORK/app
  mkdir -p "$APP/src" "$APP/tests" "$APP/examples" "$APP/mac/src" "$APP/low/src"
  cat >"$APP/Cargo.toml" <<'END'
[package]
name = "app"
version = "0.1.0"
edition = "2021"

[lib]
crate-type = ["rlib", "cdylib", "staticlib"]

[workspace]
members = ["mac", "low"]

[dependencies]
low = { path = "low" }
END
  printf '[package]\nname = "mac"\nversion = "0.1.0"\nedition = "2021"\n\n[lib]\nproc-macro = true\n' >"$APP/mac/Cargo.toml"
  printf '[package]\nname = "low"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\nmac = { path = "../mac" }\n' >"$APP/low/Cargo.toml"
  printf 'use proc_macro::TokenStream;\n#[proc_macro]\npub fn nine(_: TokenStream) -> TokenStream { "9u32".parse().unwrap() }\n' >"$APP/mac/src/lib.rs"
  printf 'pub fn get<T: From<u32>>() -> T { T::from(mac::nine!()) }\npub fn text() -> String { format!("{}", get::<u64>()) }\n' >"$APP/low/src/lib.rs"
  printf '#[no_mangle]\npub extern "C" fn app_len() -> usize { low::text().len() }\npub fn twice() -> String { low::text().repeat(2) }\n#[test]\nfn inner() { assert_eq!(twice(), "99"); }\n' >"$APP/src/lib.rs"
  printf 'fn main() { println!("{} {} {}", app::twice(), low::get::<u64>(), env!("FROM_BUILD")); }\n' >"$APP/src/main.rs"
  printf 'fn main() { println!("cargo:rustc-env=FROM_BUILD=yes"); }\n' >"$APP/build.rs"
  printf '#[test]\nfn outer() { assert_eq!(app::twice(), "99"); }\n' >"$APP/tests/it.rs"
  printf 'fn main() { println!("{}", low::text()); }\n' >"$APP/examples/show.rs"
  farm_start
}

# What the compiler and the linker made: every file in deps, examples, build, without what build scripts
# printed; and of cargo's copies.
made() {
  (cd "$1" && find . -type f \( -path '*/deps/*' -o -path '*/examples/*' -o -path '*/build/*' \) ! -path '*/.fingerprint/*' \
    ! -name invoked.timestamp ! -name '.cargo-*lock' ! -path '*/build/*/output' ! -path '*/build/*/stderr' \
    ! -path '*/build/*/root-output' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
}

# twice WHERE ARGS…: builds APP plainly and through dray, and compares. WHERE: a filter on the job log's lines.
twice() {
  local where=$1 dir=${OUT_DIRS:-$APP/target} d
  shift
  env -u RUSTC_WRAPPER cargo -q "$@" --manifest-path "$APP/Cargo.toml" >"$LOGS/plain.out" 2>"$LOGS/plain.err" </dev/null 3>&- ||
    { echo "the plain build failed" >&2; cat "$LOGS/plain.err" >&2; return 1; }
  for d in $dir; do made "$d"; done >"$LOGS/plain.made"
  [ -s "$LOGS/plain.made" ] || { echo "nothing was made in $dir" >&2; return 1; }
  for d in $dir "$APP/target"; do rm -rf "$d"; done
  rm -f "$JOBS"
  cargo -q "$@" --manifest-path "$APP/Cargo.toml" >"$LOGS/through.out" 2>"$LOGS/through.err" </dev/null 3>&- ||
    { echo "the build failed" >&2; cat "$LOGS/through.err" >&2; return 1; }
  for d in $dir; do made "$d"; done >"$LOGS/through.made"
  for d in $dir "$APP/target"; do rm -rf "$d"; done
  diff "$LOGS/plain.made" "$LOGS/through.made" || { echo "$*: outputs differ" >&2; return 1; }
  diff "$LOGS/plain.out" "$LOGS/through.out" || { echo "$*: stdout differs" >&2; return 1; }
  diff "$LOGS/plain.err" "$LOGS/through.err" || { echo "$*: stderr differs" >&2; return 1; }
  jobs_all "$where" || { echo "$*: not where they should be:" >&2; jq -c '[.crate, .kind, .where, .why]' "$JOBS" >&2; return 1; }
}

ALL=(--workspace --all-targets)
ON_FARM='.where == "farm"'

# bats test_tags=long
@test "profiles: dev and release, LTO thin, fat and off, strip, panic, split debug info" {
  twice "$ON_FARM" build "${ALL[@]}"
  CARGO_PROFILE_RELEASE_LTO=thin CARGO_PROFILE_RELEASE_STRIP=symbols twice "$ON_FARM" build --release --workspace
  CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_PANIC=abort CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 \
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 twice "$ON_FARM" build --release --workspace
  CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=2 CARGO_PROFILE_RELEASE_SPLIT_DEBUGINFO=packed \
    twice "$ON_FARM" build --release --workspace
  CARGO_PROFILE_DEV_SPLIT_DEBUGINFO=unpacked twice "$ON_FARM" build "${ALL[@]}"
  CARGO_PROFILE_DEV_SPLIT_DEBUGINFO=packed twice "$ON_FARM" test --no-run
}

# bats test_tags=long
@test "flags: prefer-dynamic, static, target CPU, linker plugin LTO" {
  RUSTFLAGS='-C prefer-dynamic' twice "$ON_FARM" build
  RUSTFLAGS='-C target-feature=+crt-static' twice "$ON_FARM" build --target x86_64-unknown-linux-gnu
  RUSTFLAGS='-C target-cpu=native' twice "$ON_FARM" build --release
  RUSTFLAGS='-C linker-plugin-lto' CARGO_PROFILE_RELEASE_PANIC=abort \
    twice '.where == "farm" or .why == "-C linker-plugin-lto"' build --release --target x86_64-unknown-linux-gnu
}

# bats test_tags=long
@test "coverage: what loads an instrumented proc-macro is compiled here" {
  export LLVM_PROFILE_FILE=$WORK/prof/%p-%m.profraw
  RUSTFLAGS='-C instrument-coverage' twice '.where == "farm" or ((.crate == "low" or .crate == "app") and (.why | test("writes profiles")))' build
  RUSTFLAGS='-C instrument-coverage' twice "$ON_FARM" build --target x86_64-unknown-linux-gnu
}

# bats test_tags=long
@test "another target with a std, and a build directory of its own" {
  [ ! -d "$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-musl" ] ||
    twice "$ON_FARM" build --bins --target x86_64-unknown-linux-musl
  export CARGO_BUILD_BUILD_DIR=$WORK/elsewhere
  OUT_DIRS=$WORK/elsewhere twice "$ON_FARM" build "${ALL[@]}"
}

@test "a workspace wrapper: what it is asked is its own affair, the others go to the farm" {
  package "$WORK/out" out lib
  depends "$APP" out ../out
  printf '#!/bin/sh\nexec "$@"\n' >"$WORK/wrap"
  chmod +x "$WORK/wrap"
  RUSTC_WORKSPACE_WRAPPER=$WORK/wrap twice '(.crate == "out" and .where == "farm") or
    (.crate != "out" and .where == "passthrough" and (.why | test("program that dray does not know")))' build
}

# bats test_tags=long
@test "nightly: an address sanitizer, and cargo's own unstable options" {
  rustup which --toolchain nightly rustc >/dev/null 2>&1 || skip "no nightly compiler"
  export RUSTUP_TOOLCHAIN=nightly
  RUSTFLAGS='-Z sanitizer=address' twice "$ON_FARM" build --target x86_64-unknown-linux-gnu
  RUSTFLAGS='-Z share-generics=y -Z threads=2' twice "$ON_FARM" build
  CARGO_PROFILE_DEV_PANIC=abort twice "$ON_FARM" test --no-run -Z panic-abort-tests
}
