#!/usr/bin/env bats
# What the farm made is kept here as well, and what is linked here of it.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# A library, a macro that reads a file, a build script, a binary and a warning.
project() {
  package "$WORK/app" app
  package "$WORK/small" small lib
  package "$WORK/mac" mac lib
  printf '[lib]\nproc-macro = true\n' >>"$WORK/mac/Cargo.toml"
  cat >"$WORK/mac/src/lib.rs" <<'END'
use proc_macro::TokenStream;
#[proc_macro]
pub fn word(_: TokenStream) -> TokenStream {
    let dir = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let word = std::fs::read_to_string(format!("{dir}/word.txt")).unwrap();
    format!("{:?}", word.trim()).parse().unwrap()
}
END
  depends "$WORK/app" small "$WORK/small"
  depends "$WORK/app" mac "$WORK/mac"
  echo one >"$WORK/app/word.txt"
  echo 'fn main() { println!("cargo:rustc-env=BUILT=yes"); }' >"$WORK/app/build.rs"
  cat >"$WORK/app/src/main.rs" <<'END'
fn unused() {}
fn main() { println!("{} {} {}", mac::word!(), small::answer(), env!("BUILT")); }
END
  (cd "$WORK/app" && cargo generate-lockfile -q)
}

@test "what the farm made is here after the farm is gone" {
  project
  plain_build "$WORK/app" build
  farm_start
  cached first "$WORK/app" build
  same_outputs "$WORK/app"
  all_missed
  jobs_all '.where == "farm"'
  kill_hard "$COORDINATOR_PID"
  kill_hard "$WORKER_PID"
  clean "$WORK/app"
  cached second "$WORK/app" build
  all_hit
  same_outputs "$WORK/app"
  same_text second
  [ "$("$WORK/app/target/debug/app")" = "one 42 yes" ]
  cached third "$WORK/app" build
  nothing_done third
  # what the macro read on the worker is an input
  echo two >"$WORK/app/word.txt"
  clean "$WORK/app"
  cached fourth "$WORK/app" build
  missed app 'word.txt changed'
  hit small
  hit mac
  [ "$("$WORK/app/target/debug/app")" = "two 42 yes" ]
}

# bats test_tags=long
@test "a C archive deep below changes, and the program is compiled with link-time optimization" {
  local app=$WORK/app
  sys_crate "$app" static=words
  printf '\n[profile.dev]\nlto = true\n' >>"$app/Cargo.toml"
  archive "$app/native" 2
  plain_build "$app" build
  archive "$app/native" 1
  farm_start
  cached first "$app" build
  jobs_all '.where == "farm"'
  says "$app" 1
  archive "$app/native" 2
  clean "$app"
  # the worker read the archive out of a library's rlib, and the link here never saw it
  cached second "$app" build
  missed app
  hit mid
  same_outputs "$app"
  says "$app" 2
}
