#!/usr/bin/env bats
# Which lines of the job log are one build, and what its place is called, in both of cargo's layouts.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

scenario_setup() {
  export DRAY_OFFLOAD=never RUSTC_WRAPPER=$DRAY CARGO_INCREMENTAL=0
}

# project: a program on a library, whose build script has something compiled on trial, once in its OUT_DIR
# and once elsewhere, by a shell.
project() {
  package "$WORK/app" app
  dependency "$WORK/app" low
  cat >"$WORK/app/build.rs" <<'EOR'
use std::process::Command;
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = std::env::var("OUT_DIR").unwrap();
    let (rustc, wrapper) = (std::env::var("RUSTC").unwrap(), std::env::var("RUSTC_WRAPPER").unwrap());
    std::fs::write(format!("{out}/trial.rs"), "pub fn f() {}").unwrap();
    for dir in [out.clone(), format!("{out}/../../elsewhere")] {
        std::fs::create_dir_all(&dir).unwrap();
        let call = format!("'{wrapper}' '{rustc}' --crate-name trial --crate-type lib --emit=metadata --out-dir '{dir}' '{out}/trial.rs'; exit $?");
        assert!(Command::new("sh").arg("-c").arg(call).status().unwrap().success());
    }
}
EOR
}

# one_build: explain and report tell of one build, with the trials in it, and name the profile's directory.
one_build() {
  "$DRAY" explain --json >"$LOGS/explain"
  jq -e --arg d "$WORK/app/target/debug" '.dir == $d and
    ([.units[] | .crate] | sort) == ["app", "build_script_build", "low", "trial", "trial"]' "$LOGS/explain"
  jq -es 'map(select(.crate == "trial")) | length == 2 and all(.[]; .trial and .cargo > 0)' "$JOBS"
  jq -es 'map(select(.crate != "trial")) | all(.[]; .trial == null) and ([.[].parent] | unique | length) == 1' "$JOBS"
  "$DRAY" report -o "$LOGS/report.html"
  grep -qF "$WORK/app/target/debug" "$LOGS/report.html"
  fails grep -qF "$WORK/app/target/debug/build" "$LOGS/report.html"
}

@test "trials belong to their cargo's build, in layout v1" {
  project
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  one_build
}

@test "units with an out-dir each are one build of one place, in layout v2" {
  export RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT=true
  project
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  one_build
}

@test "dray up counts hits as hits" {
  local i
  package "$WORK/app" app
  export DRAY_CACHE=on
  for i in 1 2; do
    rm -rf "$WORK/app/target"
    (cd "$WORK/app" && "$DRAY" up --workers 1 -- cargo build) >"$LOGS/up$i" 2>&1 3>&-
  done
  grep -q "1 here (.*, 0 from the cache (0.0 s saved), 0 passed through" "$LOGS/up1"
  grep -q "0 here (0.0 s), 1 from the cache (.* saved), 0 passed through" "$LOGS/up2"
}
