#!/usr/bin/env bats
# Much of it: many files, long texts; a script that panics, that warns, that a signal ends.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

# bats test_tags=long
@test "10,000 files" {
  script "$WORK/app" <<'RUST'
use std::{env, fs};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    for d in 0..100 {
        fs::create_dir(format!("{out}/d{d}")).unwrap();
        for f in 0..100 {
            fs::write(format!("{out}/d{d}/f{f}"), format!("pub const N{d}_{f}: u32 = {};\n", f % 50).repeat(1 + f)).unwrap();
        }
    }
    println!("cargo:rustc-env=MADE={}", fs::read_to_string("words.txt").unwrap().trim());
}
RUST
  echo one >"$WORK/app/words.txt"
  as_plain one "$WORK/app" build
  [ "$(find "$WORK/app/target" -path '*/out/d*/f*' | wc -l)" -eq 10000 ]
  cat "$LOGS/earlier-jobs.jsonl" "$JOBS" | jq -r 'select(.kind == "script-run") |
    "\(.cache): ran \(.compile_ms // 0) ms, kept in \(.store_ms // 0) ms, looked up in \(.lookup_ms // 0) ms, put back in \(.restore_ms // 0) ms"' |
    sed 's/^/# /' >&3
  # over what is there, with one that was edited and one that is gone
  local out
  out=$(script_out "$WORK/app/target/debug" app)
  echo edited >"$out/d3/f3"
  rm "$out/d4/f4"
  touch "$WORK/app/build.rs"
  cached over "$WORK/app" build
  put app
  made_by "$WORK/app/target" | diff "$LOGS/made.plain" -
}

@test "10 MB on both streams" {
  script "$WORK/app" <<'RUST'
use std::io::Write;
fn main() {
    let line = "a line of text that says nothing at all, and no more than that, over and over again ......";
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    for i in 0..110_000 {
        writeln!(out, "{i} {line}").unwrap();
        if i % 2 == 0 {
            writeln!(err, "{i} {line}").unwrap();
        }
    }
    println!("cargo:rustc-env=MADE={}", std::env::var("OUT_DIR").unwrap().len());
    println!("cargo:warning=this much");
}
RUST
  as_plain one "$WORK/app" build
  local n
  n=$(find "$WORK/app/target" \( -path '*/build/*/output' -o -path '*/build/*/run/stdout' \) -size +9M | wc -l)
  [ "$n" -eq 1 ]
  turn "$WORK/app"
  put app
}

# bats test_tags=long
@test "a script that panics, that warns, that fails by its status, that a signal ends: as plain, and kept only if it ends well" {
  script "$WORK/app" <<'RUST'
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:warning=it begins");
    match std::fs::read_to_string("how.txt").unwrap().trim() {
        "panic" => panic!("no more"),
        "status" => std::process::exit(3),
        "abort" => std::process::abort(),
        "error" => println!("cargo::error=as it says"),
        how => println!("cargo:rustc-env=MADE={how}"),
    }
}
RUST
  local how
  for how in panic status abort error; do
    echo $how >"$WORK/app/how.txt"
    clean "$WORK/app"
    plain_build "$WORK/app" build
    [ "$PLAIN_STATUS" -ne 0 ]
    clean "$WORK/app"
    build "$how" "$WORK/app" build
    [ "$BUILD_STATUS" -eq "$PLAIN_STATUS" ]
    # (the script's process has another number each time)
    diff <(said_without_order "$LOGS/plain.err" | sed -E "s/(thread 'main' \()[0-9]+/\1/") \
      <(said_without_order "$LOGS/$how.err" | sed -E "s/(thread 'main' \()[0-9]+/\1/")
  done
  echo well >"$WORK/app/how.txt"
  turn_says well "$WORK/app"
  ran app
  turn_says well "$WORK/app"
  put app
  grep -q 'warning: app@0.1.0: it begins' "$LOGS/turn.err"
}
