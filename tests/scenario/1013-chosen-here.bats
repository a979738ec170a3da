#!/usr/bin/env bats
# Which toolchain's id a unit has, where there are several.
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/pushed.bash"

@test "rust-toolchain.toml chooses the toolchain, for the farm too: a job runs on that one and no other" {
  rustc +nightly -V >/dev/null 2>&1 || skip "rustup has no nightly here"
  unset RUSTUP_TOOLCHAIN
  package "$WORK/one" one lib
  package "$WORK/two" two lib
  printf '[toolchain]\nchannel = "nightly"\n' >"$WORK/one/rust-toolchain.toml"
  farm_start
  build one "$WORK/one" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job one where)" = farm ]
  listed '[.toolchains[] | select(.used_ms != null)] | length == 1 and (.[0].text | test("nightly"))'
  # by its name it is found as well, where it is to be given
  gives 1 +nightly
  file_has "$LOGS/push" 'toolchains = push'
  # beside it, the one of everywhere else
  build two "$WORK/two" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job two where)" = farm ]
  listed '[.toolchains[] | select(.used_ms != null)] | length == 2 and any(.[]; .text | test("nightly") | not)'
}
