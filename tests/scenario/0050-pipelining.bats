#!/usr/bin/env bats
# The rmeta is announced the moment the compiler announces it.
. "$BATS_TEST_DIRNAME/lib.bash"

@test "a dependent's compile starts before its dependency's job has ended" {
  package "$WORK/top" top lib
  dependency "$WORK/top" base
  slow_after >"$WORK/top/base/src/lib.rs"
  printf 'pub fn f() -> usize { base::all(&[1]) }\n' >"$WORK/top/src/lib.rs"
  plain_build "$WORK/top" build
  farm_start
  build first "$WORK/top" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job base where)" = farm ]
  [ "$(job top where)" = farm ]
  [ "$(job base rmeta_us)" -gt 0 ]
  [ "$(job base rmeta_us)" -le "$(job top compile_start_us)" ]
  [ "$(job top compile_start_us)" -lt "$(job base end_us)" ]
  same_outputs "$WORK/top"
}
