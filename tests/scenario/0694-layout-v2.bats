#!/usr/bin/env bats
# cargo's newer layout of what it makes, the only one since 1.100: an out-dir for each unit. All other
# scenarios run in it as well where DRAY_TEST_LAYOUT=2; these are about what is its own.
bats_require_minimum_version 1.5.0
DRAY_TEST_LAYOUT=2
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# project: a program with an example and a test, a macro, a build script that compiles something on trial and
# generates code, and a dylib.
project() {
  local d=$WORK/app
  with_macro "$d"
  echo '"word".to_string()' >"$d/look/src/expr.rs"
  member "$d/shared" shared lib
  printf '\n[lib]\ncrate-type = ["dylib", "rlib"]\n' >>"$d/shared/Cargo.toml"
  member "$d/made" made lib
  depends "$d" made made
  depends "$d" shared shared
  cat >"$d/made/build.rs" <<'END'
use std::{env, fs, path::Path, process::Command};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let probe = Path::new(&out).join("probe.rs");
    fs::write(&probe, "pub fn probe() -> u8 { 1 }").unwrap();
    let ok = Command::new(env::var("RUSTC_WRAPPER").unwrap_or(env::var("RUSTC").unwrap()))
        .args(env::var("RUSTC_WRAPPER").ok().map(|_| env::var("RUSTC").unwrap()))
        .args(["--crate-name=probe", "--crate-type=lib", "--emit=dep-info,metadata", "--out-dir", &out])
        .arg(&probe)
        .status()
        .unwrap()
        .success();
    fs::write(Path::new(&out).join("made.rs"), format!("pub const MADE: bool = {ok};")).unwrap();
    println!("cargo:rerun-if-changed=build.rs");
}
END
  echo 'include!(concat!(env!("OUT_DIR"), "/made.rs"));' >"$d/made/src/lib.rs"
  printf 'fn main() {\n    println!("{} {} {}", look::look!(), made::MADE, shared::answer());\n}\n' >"$d/src/main.rs"
  mkdir "$d/examples" "$d/tests"
  printf 'fn main() {\n    println!("{}", made::MADE);\n}\n' >"$d/examples/shown.rs"
  printf '#[test]\nfn it() {\n    assert!(made::MADE);\n}\n' >"$d/tests/it.rs"
  (cd "$d" && cargo generate-lockfile -q)
}

# bats test_tags=long
@test "each unit has an out-dir of its own; all hit, in another target directory too" {
  project
  both first "$WORK/app" build --all-targets
  [ -d "$WORK/app/target/debug/build" ]
  [ ! -e "$WORK/app/target/debug/deps" ]
  all_missed
  says "$WORK/app" 'word true 42'
  # the library path that cargo gives names another unit's out-dir in each run
  for i in 1 2; do
    clean "$WORK/app"
    cached "again$i" "$WORK/app" build --all-targets
    all_hit
    same_tree "$WORK/app"
    cached "nothing$i" "$WORK/app" build --all-targets
    nothing_done "nothing$i"
  done
  export CARGO_TARGET_DIR=$WORK/elsewhere
  both elsewhere "$WORK/app" build --all-targets
  hits look shared build_script_build
}

@test "a dylib comes into the graph: only what uses it is compiled" {
  project
  sed -i '/^shared = /d' "$WORK/app/Cargo.toml"
  printf 'fn main() {\n    println!("{} {}", look::look!(), made::MADE);\n}\n' >"$WORK/app/src/main.rs"
  cached before "$WORK/app" build
  clean "$WORK/app"
  depends "$WORK/app" shared shared
  cached after "$WORK/app" build
  hits look made build_script_build
}

# bats test_tags=long
@test "the farm, and a hit of what it made" {
  project
  farm_start
  both farm "$WORK/app" build --all-targets
  jq -es 'map(select(.kind != "probe" and .crate != "probe")) | length > 5 and all(.[]; .where == "farm")' "$JOBS" >/dev/null
  clean "$WORK/app"
  cached again "$WORK/app" build --all-targets
  all_hit
  same_tree "$WORK/app"
}

@test "the same tree in both layouts, and with RUSTC_BOOTSTRAP or without it: each has its own" {
  package "$WORK/app" app
  dependency "$WORK/app" low
  cached v2 "$WORK/app" build
  clean "$WORK/app"
  (unset CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT; cached v1 "$WORK/app" build)
  [ -d "$WORK/app/target/debug/deps" ]
  clean "$WORK/app"
  (unset CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT RUSTC_BOOTSTRAP; cached plain "$WORK/app" build)
  missed low 'RUSTC_BOOTSTRAP is gone'
  clean "$WORK/app"
  cached v2-again "$WORK/app" build
  all_hit
}

# bats test_tags=long
@test "what a killed build left in a unit's out-dir goes with the next one" {
  local left
  package "$WORK/app" app
  dependency "$WORK/app" slow
  slow_before >"$WORK/app/slow/src/lib.rs"
  printf 'fn main() {\n    println!("{}", slow::SLOW);\n}\n' >"$WORK/app/src/main.rs"
  farm_start
  build_start killed "$WORK/app" build
  wait_until 60 worker_compiles "$WORKER_PID" slow
  kill_all_of "$BUILD_PID"
  cached next "$WORK/app" build
  left=$(find "$WORK/app/target" -name '.dray-*')
  [ -z "$left" ] || { echo "$left" >&2; return 1; }
}
# kill_all_of PID: it and what it started, at once.
kill_all_of() {
  local p
  for p in "$1" $(descendants "$1"); do
    kill -KILL "$p" 2>/dev/null || true
  done
  wait_until 10 is_gone "$1"
}
