#!/usr/bin/env bats
# What stats, explain, report, verify and doctor say of the runs of build scripts.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

# linked [ordered]: app, whose script gets what low-sys's script says by a DEP_ variable. Each takes a while. `ordered`:
# low-sys's run ends after both scripts were compiled, and app's after low-sys's library was, as the job log says.
linked() {
  local n=$([ "${1:-}" = ordered ] && echo 2 || echo 0) waits='
use std::{env, fs, thread::sleep, time::Duration};
fn until_logged(what: &str, times: usize) {
    if times == 0 {
        return;
    }
    let log = env::var("DRAY_JOB_LOG").unwrap();
    for _ in 0..6000 {
        if fs::read_to_string(&log).unwrap_or_default().matches(what).count() >= times {
            break;
        }
        sleep(Duration::from_millis(10));
    }
}
fn main() {'
  script "$WORK/app" <<EOF
$waits
    until_logged("\"low_sys\"", $((n > 0 ? 1 : 0)));
    sleep(Duration::from_millis(120));
    println!("cargo:rustc-env=MADE={}", env::var("DEP_LO_W_ROOT").unwrap());
}
EOF
  dependency "$WORK/app" low-sys
  sed -i '/^edition/a links = "lo-w"' "$WORK/app/low-sys/Cargo.toml"
  cat >"$WORK/app/low-sys/build.rs" <<EOF
$waits
    until_logged("\"build-script\"", $n);
    sleep(Duration::from_millis(120));
    let out = env::var("OUT_DIR").unwrap();
    fs::write(format!("{out}/low.txt"), "low").unwrap();
    println!("cargo:root={out}");
}
EOF
}

# says COMMAND… -- TEXT…: each text is in what the command prints.
says() {
  local args=()
  while [ "$1" != -- ]; do args+=("$1") && shift; done
  shift
  "$DRAY" "${args[@]}" >"$LOGS/says"
  for text; do
    grep -qF -- "$text" "$LOGS/says" || { echo "not there: $text" >&2; cat "$LOGS/says" >&2; return 1; }
  done
}
# stats FILTER: whether jq's FILTER holds for `dray stats --json`.
stats() {
  "$DRAY" stats --json >"$LOGS/stats.json" && jq -e "$1" "$LOGS/stats.json" >/dev/null ||
    { cat "$LOGS/stats.json" >&2; return 1; }
}

@test "stats counts runs apart from units, and what both saved together" {
  linked
  cached first "$WORK/app" build
  stats '.all.units == 4 and .cache.misses.units == 4 and .cache.hits.units == 0'
  stats '.script_runs | .all.runs == 2 and .misses.runs == 2 and .hits.runs == 0 and .misses.run_ms >= 240 and
         .misses_why[0].reason == "new" and .not_stored_why == []'
  clean "$WORK/app"
  build second "$WORK/app" build
  stats '.all.units == 8 and .cache.hits.units == 4 and .places.local.units == 4 and .places.cache.units == 4'
  stats '.script_runs | .all.runs == 4 and .hits.runs == 2 and .hit_rate_by_count == 0.5 and .hits.run_ms >= 240'
  stats '(.saved_ms - .cache.hits.compile_ms - .script_runs.hits.run_ms) | fabs < 0.1'
  says stats -- 'runs of build scripts: ' ' by runs of build scripts'
  # a log of runs alone
  jq -c 'select(.kind == "script-run")' "$JOBS" >"$JOBS.runs"
  mv "$JOBS.runs" "$JOBS"
  stats '.all.units == 0 and .script_runs.all.runs == 4 and .first != null'
  says stats -- 'put back '
}

@test "explain says what became of a package's run, why, and what can be done" {
  script "$WORK/app" <<'EOF'
use std::{env, fs};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    if let Ok(_) = env::var("ASK_TIME") {
        println!("cargo:rustc-env=MADE={:?}", std::time::SystemTime::now());
    }
    fs::write(format!("{out}/obj/../x.o"), format!("{out}\0")).or_else(|_| fs::write(format!("{out}/x.o"), format!("{out}\0"))).unwrap();
    fs::read("header.h").unwrap();
}
EOF
  touch "$WORK/app/header.h"
  cached first "$WORK/app" build
  says explain app -- 'app (script-run of app 0.1.0), ' 'Its run was not in the local cache: new: it was not run here before.' \
    'The script ran here.' 'What it made holds the path of its place (x.o)' ' running'
  [ "$(run_of app bound)" = x.o ]
  clean "$WORK/app"
  build second "$WORK/app" build
  says explain app -- 'Its run was in the local cache: OUT_DIR was filled from there, and no script ran.' \
    'The script had run here at '
  says explain -- '2 units and 1 run of a build script in ' 'put back, saved '
  # the first input that differs
  clean "$WORK/app"
  echo '#define X' >"$WORK/app/header.h"
  cached third "$WORK/app" build
  says explain app -- 'Its run was not in the local cache: ' "header.h changed."
  # another target directory: which file is to blame
  CARGO_TARGET_DIR=$WORK/other cached other "$WORK/app" build
  says explain app -- 'the out-dir is in the outputs, and is another' 'What it made holds the path of its place (x.o)'
  clean "$WORK/app"
  ASK_TIME=1 cached time "$WORK/app" build
  says explain app -- 'Its run was not kept: it asked for the time: ' 'name app in scripts_trust'
  says explain -- 'not kept: it asked for the time'
  stats '.script_runs.not_stored_why[0].reason == "it asked for the time" and .cache.not_stored_why == []'
}

@test "a failing script, and one that its package names otherwise, are told by their package" {
  script "$WORK/app" my-sys <<'EOF'
fn main() {
    std::process::exit(if std::path::Path::new("bad").exists() { 3 } else { 0 });
}
EOF
  mv "$WORK/app/build.rs" "$WORK/app/make.rs"
  sed -i '/^edition/a build = "make.rs"' "$WORK/app/Cargo.toml"
  touch "$WORK/app/bad"
  build bad "$WORK/app" build
  [ "$BUILD_STATUS" -ne 0 ]
  stats '.script_runs.failed.runs == 1 and .failed.units == 0'
  says explain my_sys -- 'my-sys (script-run of my-sys 0.1.0), ' 'It failed, with exit status 3.'
  rm "$WORK/app/bad"
  cached good "$WORK/app" build
  says explain my-sys -- 'its last run was not kept' 'The script ran here.' 'my_sys (bin of my-sys 0.1.0), '
  clean "$WORK/app"
  cached again "$WORK/app" build
  says explain my-sys -- 'build_script_make (build-script of my-sys 0.1.0), ' 'no script ran'
}

@test "the critical path leads through runs, and the report draws them" {
  linked ordered
  cached first "$WORK/app" build
  # low-sys's script, its run, the run of app that gets its DEP_ variable, app
  "$DRAY" explain --json >"$LOGS/explain.json"
  jq -e '[.critical[] | "\(.crate) \(.kind)"] | .[-3:] == ["low-sys script-run", "app script-run", "app bin"]' \
    "$LOGS/explain.json"
  jq -e '[.critical[].gap] | all(. != "build script")' "$LOGS/explain.json"
  jq -e '.units | map(select(.kind == "script-run")) | length == 2 and all(.says | length > 0)' "$LOGS/explain.json"
  says explain -- 'run of low-sys ' 'run of app '
  "$DRAY" report -o "$LOGS/page.html"
  [ "$(grep -c '<g class="u local run' "$LOGS/page.html")" -eq 2 ]
  grep -qF 'the run of the build script of low-sys' "$LOGS/page.html"
  # where the log has no runs, they are gaps as before
  clean "$WORK/app"
  DRAY_SCRIPTS=off cached off "$WORK/app" build
  fails grep -q script-run "$JOBS"
}

# bats test_tags=long
@test "verify runs scripts again, and drops what is not the same" {
  local before
  script "$WORK/app" <<'EOF'
use std::{collections::HashSet, env, fs, os::unix::fs::symlink};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    fs::create_dir_all(format!("{out}/a/b")).unwrap();
    fs::write(format!("{out}/a/b/c"), vec![7u8; 100_000]).unwrap();
    fs::write(format!("{out}/z.pc"), format!("prefix={out}\n")).unwrap();
    fs::write(format!("{out}/bound.o"), format!("{out}\0")).unwrap();
    symlink("a", format!("{out}/l")).unwrap();
    println!("cargo:root={out}");
    if fs::metadata("odd").is_ok() {
        let set: HashSet<u32> = (0..1000).collect();
        fs::write(format!("{out}/odd.rs"), format!("{set:?}")).unwrap();
    }
}
EOF
  cached first "$WORK/app" build
  before=$(made_by "$WORK/app/target")
  "$DRAY" verify --json >"$LOGS/verify.json"
  jq -e '.verified == 3 and .runs_verified == 1 and .differ == [] and .skipped == 0' "$LOGS/verify.json"
  [ "$(made_by "$WORK/app/target")" = "$before" ]
  says verify -- 'of these 1 run of a build script'
  # an order that differs from run to run
  touch "$WORK/app/odd"
  clean "$WORK/app"
  cached odd "$WORK/app" build
  run_kept app
  run "$DRAY" verify
  [ "$status" -eq 1 ]
  [[ "$output" == *"differs: app 0.1.0 (app, script-run): odd.rs: other bytes; dropped"* ]]
  clean "$WORK/app"
  cached dropped "$WORK/app" build
  ran app
  # nothing to compare with
  clean "$WORK/app"
  "$DRAY" verify --json >"$LOGS/verify.json"
  jq -e '[.skipped_why[].reason] | any(startswith("its script"))' "$LOGS/verify.json"
}

@test "doctor says whether runs are kept" {
  "$DRAY" doctor >"$LOGS/doctor" || true
  grep -qE '^good  scripts +runs of build scripts are kept, and put back$' "$LOGS/doctor"
  DRAY_SCRIPTS=off "$DRAY" doctor >"$LOGS/doctor" || true
  grep -qE '^note  scripts +scripts is off' "$LOGS/doctor"
}
