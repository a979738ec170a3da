#!/usr/bin/env bats
# A build through the farm: on a worker, linked here, equal to plain cargo's.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

@test "a program is compiled on a worker, linked here, and runs" {
  package "$WORK/hello" hello
  plain_build "$WORK/hello" build
  farm_start
  build first "$WORK/hello" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$("$WORK/hello/target/debug/hello")" = "hello from hello" ]
  same_outputs "$WORK/hello"
  same_text first
  [ "$(job hello where)" = farm ]
  [ "$(job hello worker)" = w1 ]
  [ "$(job hello linker)" = rustc ]
  jobs_all '.where == "farm" and .exit_status == 0 and .end_us > .start_us'
}

@test "a library, a proc-macro and a build script are, too" {
  package "$WORK/app" app
  package "$WORK/app/low" low lib
  package "$WORK/app/mac" mac lib
  printf '\n[lib]\nproc-macro = true\n' >>"$WORK/app/mac/Cargo.toml"
  printf '#[proc_macro]\npub fn nine(_: proc_macro::TokenStream) -> proc_macro::TokenStream { "9".parse().unwrap() }\n' \
    >"$WORK/app/mac/src/lib.rs"
  depends "$WORK/app" low low
  depends "$WORK/app" mac mac
  sed -i '/^\[workspace\]/d' "$WORK/app/low/Cargo.toml" "$WORK/app/mac/Cargo.toml"
  printf 'fn main() { println!("cargo:rustc-env=FROM_BUILD=yes"); }\n' >"$WORK/app/build.rs"
  printf 'fn main() { println!("{} {} {}", low::answer(), mac::nine!(), env!("FROM_BUILD")); }\n' \
    >"$WORK/app/src/main.rs"
  plain_build "$WORK/app" build
  farm_start 2
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$("$WORK/app/target/debug/app")" = "42 9 yes" ]
  same_outputs "$WORK/app"
  jobs_all '.where == "farm"'
  [ "$(job mac kind)" = proc-macro ]
  [ "$(job build_script_build kind)" = build-script ]
  [ "$(job low kind)" = lib ]
}

@test "directories with spaces and letters that are not ASCII" {
  local dir="$WORK/mein Gerät, größer/und « noch » eins"
  package "$dir" umlaut
  printf 'fn main() { println!("{}", include_str!("text ä.txt")); }\n' >"$dir/src/main.rs"
  printf 'gelesen' >"$dir/src/text ä.txt"
  plain_build "$dir" build
  farm_start
  build first "$dir" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$("$dir/target/debug/umlaut")" = gelesen ]
  same_outputs "$dir"
  same_text first
  [ "$(job umlaut where)" = farm ]
}

@test "a second build finds nothing to do, an edit only what it touches" {
  package "$WORK/app" app
  dependency "$WORK/app" low
  printf 'fn main() { println!("{}", low::answer()); }\n' >"$WORK/app/src/main.rs"
  farm_start
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  : >"$JOBS"
  build second "$WORK/app" build
  run ! grep -q Compiling "$LOGS/second.err"
  printf 'fn main() { println!("edited {}", low::answer()); }\n' >"$WORK/app/src/main.rs"
  build third "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$("$WORK/app/target/debug/app")" = "edited 42" ]
  [ -z "$(job low where)" ]
  [ "$(job app where)" = farm ]
}
