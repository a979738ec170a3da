#!/usr/bin/env bats
# What leaves this machine, and what is handed on to children.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

SECRET_TEXT=correct-horse-battery-staple-4711

@test "the user's environment does not reach a worker" {
  package "$WORK/slow" slow lib
  slow_before >"$WORK/slow/src/lib.rs"
  local text=$SECRET_TEXT p found=no
  # Set after the daemons were started: what they have, they have from the client.
  farm_start
  export DRAY_TEST_SECRET=$text AWS_SECRET_ACCESS_KEY=$text
  build_start first "$WORK/slow" build
  wait_until 30 worker_compiles "$WORKER_PID" slow
  for p in $(descendants "$WORKER_PID"); do
    [ ! -r "/proc/$p/environ" ] || found=yes
    run ! grep -qa -e "$text" -e AWS_SECRET "/proc/$p/environ"
  done
  [ "$found" = yes ]
  build_finish 120
  [ "$(job slow where)" = farm ]
  run ! grep -rqa -e "$text" "$FARM/state-w1" "$LOGS"
}

@test "a proc-macro on a worker sees only what cargo set" {
  package "$WORK/app" app
  package "$WORK/app/mac" mac lib
  printf '\n[lib]\nproc-macro = true\n' >>"$WORK/app/mac/Cargo.toml"
  sed -i '/^\[workspace\]/d' "$WORK/app/mac/Cargo.toml"
  rust_variables >"$WORK/app/mac/src/lib.rs"
  cat >>"$WORK/app/mac/src/lib.rs" <<'EOF'
#[proc_macro]
pub fn all(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let mut v = variables();
    v.sort();
    format!("{:?}", v.join("\n")).parse().unwrap()
}
EOF
  depends "$WORK/app" mac mac
  printf 'fn main() { println!("{}", mac::all!()); }\n' >"$WORK/app/src/main.rs"
  farm_start
  export DRAY_TEST_SECRET=$SECRET_TEXT
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job app where)" = farm ]
  "$WORK/app/target/debug/app" >"$LOGS/seen"
  grep -q CARGO_PKG_NAME "$LOGS/seen"
  run ! grep -q -e "$SECRET_TEXT" -e '^DRAY_' -e '^SSH_' -e '^HOME=' "$LOGS/seen"
}

@test "a variable of the user's that the crate asks for: plain cargo's answer" {
  package "$WORK/app" app
  printf 'fn main() { println!("{:?} {:?}", option_env!("DRAY_TEST_WORD"), option_env!("DRAY_TEST_NONE")); }\n' \
    >"$WORK/app/src/main.rs"
  export DRAY_TEST_WORD=from-the-shell
  plain_build "$WORK/app" build
  farm_start
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$("$WORK/app/target/debug/app")" = 'Some("from-the-shell") None' ]
  same_outputs "$WORK/app"
}

@test "inherited descriptors are not held by the farm half" {
  local p fd held=no seen=no
  package "$WORK/slow" slow lib
  slow_before >"$WORK/slow/src/lib.rs"
  farm_start
  mkfifo "$FARM/held"
  exec 7<>"$FARM/held"
  build_start first "$WORK/slow" build
  wait_until 30 worker_compiles "$WORKER_PID" slow
  for p in $(descendants "$BUILD_PID"); do
    [ "$(cat "/proc/$p/comm" 2>/dev/null)" = dray-dispatch ] || continue
    seen=yes
    for fd in "/proc/$p/fd"/*; do
      [ "$(readlink "$fd")" != "$FARM/held" ] || held=yes
    done
  done
  exec 7>&-
  build_finish 120
  [ "$seen" = yes ]
  [ "$held" = no ]
}

@test "nothing is left running, and nothing is printed" {
  package "$WORK/hello" hello
  plain_build "$WORK/hello" build
  farm_start
  mkfifo "$FARM/end"
  # The writing end is inherited by all that the build starts: its end is seen when the last is gone.
  (cd "$WORK/hello" && exec cargo build) 6>"$FARM/end" >"$LOGS/first.out" 2>"$LOGS/first.err" 3>&- &
  STARTED+=($!)
  run timeout $((60 * PATIENCE)) cat "$FARM/end"
  [ "$status" -eq 0 ]
  [ -z "$output" ]
  wait_until 5 is_gone "${STARTED[-1]}"
  [ ! -s "$LOGS/first.out" ]
  same_text first
}
