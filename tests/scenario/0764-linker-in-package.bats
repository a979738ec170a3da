#!/usr/bin/env bats
# A linker that is one of the package's own files, as a project's .cargo/config.toml names one.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

@test "a script as linker, in the package: the farm compiles; what reads it is compiled here" {
  local app=$WORK/app
  package "$app" app
  mkdir "$app/.cargo"
  printf '[build]\nrustflags = ["-Clinker=%s/team-gcc"]\n' "$app" >"$app/.cargo/config.toml"
  printf '#!/bin/sh\nexec cc "$@" -Wl,--build-id=0x11111111\n' >"$app/team-gcc"
  chmod +x "$app/team-gcc"
  plain_build "$app" build
  [ "$PLAIN_STATUS" -eq 0 ]
  farm_start
  build first "$app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$app"
  jobs_all '.where == "farm"'
  echo 'fn main() { println!("{}", include_str!("../team-gcc").len()); }' >"$app/src/main.rs"
  rm -rf "$app/target"
  plain_build "$app" build
  build second "$app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$app"
  [[ "$(job app why)" = "needs the file $app/team-gcc" ]]
}
