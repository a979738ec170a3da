#!/usr/bin/env bats
# The compiler's exit status is what cargo gets, all of 0 to 255; a signal that ends the compiler ends dray; one
# that is quiet for long is alive as long as its worker is.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# A macro that ends the compiler as the file `how` says: "exit N", "raise N", or "" for not at all.
scenario_setup() {
  cd "$WORK"
  cat >mac.rs <<'EOR'
extern crate proc_macro;
extern "C" { fn raise(sig: i32) -> i32; }
#[proc_macro]
pub fn end(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let how = std::fs::read_to_string(env!("HOW")).unwrap();
    let mut words = how.split_whitespace();
    match (words.next(), words.next().and_then(|n| n.parse::<i32>().ok())) {
        (Some("exit"), Some(n)) => std::process::exit(n),
        (Some("raise"), Some(n)) => { unsafe { raise(n) }; }
        _ => {}
    }
    proc_macro::TokenStream::new()
}
EOR
  echo 'mac::end!();' >app.rs
  mkdir out
  HOW=$WORK/how rustc --edition 2021 --crate-type proc-macro --crate-name mac --out-dir . mac.rs
}

compile() {
  "$@" --crate-name app --edition 2021 --crate-type lib --emit=dep-info,metadata,link --out-dir "$WORK/out" \
    --extern "mac=$WORK/libmac.so" app.rs >>"$LOGS/compile" 2>&1 </dev/null 3>&-
}

# each_way HOW: dray's status for it is the compiler's own.
each_way() {
  local plain=0 mine=0
  echo "$1" >how
  (compile rustc) || plain=$?
  (compile "$DRAY" rustc) || mine=$?
  if [ "$plain" != "$mine" ]; then
    echo "$1: rustc $plain, dray $mine" >&2
    return 1
  fi
}
each_status() {
  local n
  for n in 0 1 2 3 100 101 126 127 128 129 130 134 137 139 143 159 192 193 254 255; do
    each_way "exit $n"
  done
  for n in 6 9 11 15; do
    each_way "raise $n"
  done
  each_way ""
}

@test "compiled here, without the cache" {
  export DRAY_OFFLOAD=never
  each_status
}

@test "compiled here, under the tracer" {
  export DRAY_OFFLOAD=never DRAY_CACHE=on
  each_status
  jq -es 'map(select(.crate == "app")) | any(.[]; .exit_status == 137 and .signal == null) and
    any(.[]; .exit_status == 137 and .signal == 9)' "$JOBS"
}

# bats test_tags=long
@test "compiled on the farm" {
  touch Cargo.toml
  farm_start
  each_status
  jq -es 'map(select(.crate == "app")) | any(.[]; .where == "farm" and .exit_status == 0)' "$JOBS"
}

@test "cargo says of an exit status and of a signal what it says without dray" {
  local how
  package app app
  package app/mac mac lib
  printf '\n[lib]\nproc-macro = true\n' >>app/mac/Cargo.toml
  sed -i '/^\[workspace\]/d' app/mac/Cargo.toml
  cp mac.rs app/mac/src/lib.rs
  depends app mac mac
  printf 'mac::end!();\nfn main() {}\n' >app/src/main.rs
  export RUSTC_WRAPPER=$DRAY DRAY_OFFLOAD=never DRAY_CACHE=on HOW=$WORK/how CARGO_INCREMENTAL=0
  for how in "exit 137" "raise 9" "exit 143" "raise 15"; do
    echo "$how" >how
    rm -rf app/target
    plain_build app build
    build mine app build
    [ "$BUILD_STATUS" = "$PLAIN_STATUS" ]
    sed -i "s|\`$DRAY |\`|" "$LOGS/mine.err"
    same_text mine
    case $how in
      exit*) grep -q "(exit status: ${how#exit })" "$LOGS/mine.err" ;;
      raise*) grep -q "(signal: ${how#raise }" "$LOGS/mine.err" ;;
    esac
  done
}

# runs_for SECONDS PID: whether the process was started so long ago.
runs_for() {
  [ "$(ps -o etimes= -p "$2")" -ge "$1" ]
}

# bats test_tags=long
@test "a compile that is quiet for longer than a worker may be: its worker says that it is alive" {
  package app app lib
  slow_before >app/src/lib.rs
  local silent=$((1 + PATIENCE))
  export DRAY_SILENT_S=$silent DRAY_WORKER_HEARTBEAT_MS=100
  farm_start
  build_start quiet app build
  wait_until 30 hold "$WORKER_PID" app
  wait_until 30 runs_for $((silent + 2)) "$HELD"
  release
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job app where)" = farm ]
  [ -z "$(job app attempts)" ]
}
