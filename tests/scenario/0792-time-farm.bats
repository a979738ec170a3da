#!/usr/bin/env bats
# A macro that asks for the time, or for random numbers, on a worker: its unit comes home, and is not kept.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# comes_home WHAT EXPR: for what the macro asks for.
comes_home() {
  with_macro "$WORK/app"
  echo "$2" >"$WORK/app/look/src/expr.rs"
  farm_start
  cached first "$WORK/app" build
  [ "$(job app where)" = local ]
  [ "$(job app why)" = "needs $1, in a macro" ] || { job app why >&2; false; }
  [ "$(job app not_stored)" = "a macro asked for $1" ]
}

@test "a worker says that a macro asks for the time" {
  comes_home "the time" 'format!("{:?}", std::time::SystemTime::now())'
}

@test "a worker says that a macro asks for random numbers" {
  comes_home "random numbers" '{ extern "C" { fn getrandom(p: *mut u8, n: usize, flags: u32) -> isize; }
    let mut b = [0u8; 8]; unsafe { getrandom(b.as_mut_ptr(), 8, 0) }; format!("{b:?}") }'
}
