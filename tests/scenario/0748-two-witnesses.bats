#!/usr/bin/env bats
# Dep-info and the tracer are two witnesses of what a compile read. Where dep-info names a file that the tracer
# did not see, nothing is kept, and the log says which.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# with_tracked: the program's macro names the file "named" to the compiler as one that it depends on, and
# reads it only where there is a file "reads".
with_tracked() {
  APP=$WORK/app
  with_macro "$APP"
  sed -i '1i #![feature(proc_macro_tracked_path)]' "$APP/look/src/lib.rs"
  cat >"$APP/look/src/expr.rs" <<'END'
{
    let dir = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let named = format!("{dir}/named");
    proc_macro::tracked::path(&named);
    if std::path::Path::new(&format!("{dir}/reads")).exists() { std::fs::read_to_string(&named).unwrap() } else { "none".into() }
}
END
  echo one >"$APP/named"
  export RUSTC_BOOTSTRAP=1
  (cd "$APP/look" && cargo check -q --target-dir "$WORK/try" 2>"$LOGS/try") || skip "this compiler has no tracked paths"
}

@test "a file that dep-info names and nobody was seen to read: not kept" {
  with_tracked
  cached first "$APP" build
  [[ "$(job app not_stored)" = "dep-info names $APP/named, which it was not seen to read" ]]
  says "$APP" none
  kept look
  clean "$APP"
  cached again "$APP" build
  hit look
  [ "$(job app where)" = local ]
  # seen by both, it is an input like any other
  touch "$APP/reads"
  clean "$APP"
  once_and_again seen "$APP" build
  says "$APP" one
  echo two >"$APP/named"
  both edited "$APP" build
  missed app "$APP/named changed"
  says "$APP" two
}
