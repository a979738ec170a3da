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

@test "dray up counts hits as hits, and runs of build scripts apart" {
  local i
  package "$WORK/app" app
  echo 'fn main() {}' >"$WORK/app/build.rs"
  export DRAY_CACHE=on DRAY_SCRIPTS=on
  for i in 1 2; do
    rm -rf "$WORK/app/target"
    (cd "$WORK/app" && "$DRAY" up --workers 1 -- cargo build) >"$LOGS/up$i" 2>&1 3>&-
  done
  grep -q " 2 here (.*, 0 from the cache (0.0 s saved), 0 passed through; 1 build scripts ran, 0 put back" "$LOGS/up1"
  grep -q " 0 here (0.0 s), 2 from the cache (.* saved), 0 passed through; 0 build scripts ran, 1 put back" "$LOGS/up2"
}

# chain: three crates, each on the one before, and one beside them that nothing needs for long.
chain() {
  package "$WORK/app" app
  dependency "$WORK/app" mid
  package "$WORK/low" low lib
  package "$WORK/side" side lib
  depends "$WORK/app/mid" low ../../low
  depends "$WORK/app" side ../side
  sed -i '/^\[workspace\]/d' "$WORK/low/Cargo.toml" "$WORK/side/Cargo.toml"
  # mid takes longer than side
  slow_before | sed 's/900_000/500_000/' >"$WORK/app/mid/src/lib.rs"
  printf 'fn main() { println!("{}", mid::SLOW); }\n' >"$WORK/app/src/main.rs"
}

# path_is_named: by explain in both forms and by the report, in the order of time.
path_is_named() {
  "$DRAY" explain --json >"$LOGS/explain"
  jq -e '[.critical[].crate] == ["low", "mid", "app"] and .critical[0].needs == "nothing" and
    .critical[2].needs == "all"' "$LOGS/explain"
  # its parts and gaps are the build's whole time
  jq -es '(map(.end_us) | max) - (map(.start_us) | min)' "$JOBS" >"$LOGS/whole"
  jq -e --argjson whole "$(cat "$LOGS/whole")" \
    '([.critical[] | .part_ms + .gap_ms] | add) * 1000 - $whole | fabs < 1000' "$LOGS/explain"
  "$DRAY" explain >"$LOGS/text"
  grep -qE '^The critical path: (\(cargo [^)]*\) )?low .* → (\([^)]*\) )?mid .* → (\([^)]*\) )?app ' "$LOGS/text"
  "$DRAY" explain mid >"$LOGS/mid"
  fails grep -q "critical path" "$LOGS/mid"
  "$DRAY" report -o "$LOGS/report.html"
  [ "$(grep -c '<g class="u [^"]* crit' "$LOGS/report.html")" -eq 3 ]
  sed -n '/<h2 id="critical"/,/<h2>/p' "$LOGS/report.html" >"$LOGS/section"
  [ "$(grep -oE 'class="name">[a-z]+' "$LOGS/section" | cut -d'>' -f2 | tr '\n' ' ')" = "low mid app " ]
}

@test "the critical path of a chain of crates, in layout v1" {
  chain
  build chain "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  path_is_named
}

@test "the critical path of a chain of crates, in layout v2, traced" {
  export RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT=true DRAY_CACHE=on
  chain
  build chain "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  path_is_named
  # the time of the metadata is known, and that is what mid waited for
  jq -e '.critical[1].needs == "metadata"' "$LOGS/explain"
  jq -es 'map(select(.crate == "low" or .crate == "mid")) | all(.[]; .rmeta_us > .start_us)' "$JOBS"
}

@test "the critical path goes through a build script's run" {
  package "$WORK/app" app
  dependency "$WORK/app" low
  # it waits for what nothing else makes
  printf 'fn main() { std::thread::sleep(std::time::Duration::from_millis(300)); }\n' >"$WORK/app/build.rs"
  build script "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  "$DRAY" explain --json >"$LOGS/explain"
  jq -e '.critical | map(.crate) == ["build_script_build", "app"] and .[1].needs == "build script" and
    .[1].gap == "build script" and .[1].gap_ms >= 300' "$LOGS/explain"
  "$DRAY" explain >"$LOGS/text"
  grep -qE "build_script_build of app 0.1.0 .* → \(build script .*\) app " "$LOGS/text"
}
