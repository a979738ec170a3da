#!/usr/bin/env bats
# Another wrapper between cargo and dray: cargo-llvm-cov puts itself there, and starts the one that was set.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# between ARG…: a wrapper that starts dray with these arguments added, and waits for it.
between() {
  printf '#!/bin/sh\n"%s" "$@" %s\nexit $?\n' "$DRAY" "$*" >"$WORK/between"
  chmod +x "$WORK/between"
  export RUSTC_WRAPPER=$WORK/between
}

# bats test_tags=long
@test "a macro that walks its environment: what cargo set is told from what the shell has" {
  between
  with_macro "$WORK/app"
  cat >"$WORK/app/look/src/expr.rs" <<'END'
{
    let mut all: Vec<_> = std::env::vars().filter(|(k, _)| k == "SAID" || k == "SET").map(|(_, v)| v).collect();
    all.sort();
    all.join(" ")
}
END
  echo 'fn main() { println!("cargo:rerun-if-changed=said\ncargo:rustc-env=SAID={}", std::fs::read_to_string("said").unwrap().trim()); }' \
    >"$WORK/app/build.rs"
  mkdir "$WORK/app/.cargo"
  set_to() {
    echo "$1" >"$WORK/app/said"
    printf '[env]\nSET = "%s"\n' "$2" >"$WORK/app/.cargo/config.toml"
  }
  set_to a b
  once_and_again first "$WORK/app" build
  says "$WORK/app" "a b"
  set_to c b
  both said "$WORK/app" build
  says "$WORK/app" "b c"
  set_to c d
  both set "$WORK/app" build
  says "$WORK/app" "c d"
  missed app "cargo's environment changed"
}

# What cargo-llvm-cov sets and does: the profile's name, -C instrument-coverage, and the tests are run then.
@test "coverage: instrumented by a wrapper's arguments, hits, and the counts of what is run" {
  between -C instrument-coverage --cfg=coverage
  package "$WORK/app" app
  printf 'pub fn twice(n: u32) -> u32 { 2 * n }\n#[test]\nfn works() { assert_eq!(twice(2), 4); }\n' >"$WORK/app/src/lib.rs"
  printf 'fn main() { println!("{} {}", app::twice(21), cfg!(coverage)); }\n' >"$WORK/app/src/main.rs"
  export LLVM_PROFILE_FILE=$WORK/counts/app-%p-%2m.profraw
  cached first "$WORK/app" test
  find "$WORK/counts" -name '*.profraw' -size +0 | grep -q .
  rm -r "$WORK/counts"
  clean "$WORK/app"
  cached again "$WORK/app" test
  all_hit
  find "$WORK/counts" -name '*.profraw' -size +0 | grep -q .
  cached run "$WORK/app" run
  file_has "$LOGS/run.out" '42 true'
}

# It needs llvm-profdata and llvm-cov of the compiler's LLVM: rustup's llvm-tools, or LLVM_PROFDATA and LLVM_COV.
# bats test_tags=long
@test "cargo-llvm-cov itself: the report of a build from the cache is that of a plain one" {
  command -v cargo-llvm-cov >/dev/null || skip "cargo-llvm-cov is not installed"
  package "$WORK/app" app lib
  printf 'pub fn twice(n: u32) -> u32 { if n > 9 { n } else { 2 * n } }\n#[test]\nfn works() { assert_eq!(twice(2), 4); }\n' >"$WORK/app/src/lib.rs"
  covered() {
    clean "$WORK/app"
    rm -f "$JOBS"
    (cd "$WORK/app" && "${@:2}" cargo llvm-cov -q --lcov --output-path "$WORK/$1") >"$LOGS/$1" 2>&1 3>&-
  }
  covered plain env -u RUSTC_WRAPPER || skip "cargo-llvm-cov does not work here: $(tail -n 1 "$LOGS/plain")"
  covered first
  covered again
  all_hit
  cmp "$WORK/plain" "$WORK/first"
  cmp "$WORK/plain" "$WORK/again"
}
