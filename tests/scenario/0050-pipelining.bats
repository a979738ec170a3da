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

# Of both kinds of unit: what was sent is what was made, and less than twice of it went over.
@test "objects are sent while the compiler runs, and what is made of them is not sent again" {
  package "$WORK/top" top
  dependency "$WORK/top" base
  slow_after 80 >"$WORK/top/base/src/lib.rs"
  { slow_after 80; echo 'fn main() { println!("{}", all(&[1]) + base::all(&[2])); }'; } >"$WORK/top/src/main.rs"
  plain_build "$WORK/top" build
  DRAY_LOG=debug farm_start
  build first "$WORK/top" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job base where)" = farm ]
  [ "$(job top where)" = farm ]
  same_outputs "$WORK/top"
  grep -o 'sent ahead: .*' "$LOGS/worker-w1"
  grep -q 'sent ahead: pieces=[1-9].* same=0$' "$LOGS/worker-w1"
  grep -q 'sent ahead: pieces=[1-9].* same=[1-9][0-9]*$' "$LOGS/worker-w1"
  # the library holds its metadata and its objects
  [ "$(job base bytes_received)" -lt "$(cat "$WORK"/top/target/debug/deps/libbase-*.r* | wc -c)" ]
}
