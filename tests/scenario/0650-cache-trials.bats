#!/usr/bin/env bats
# A build script asks the compiler what it can do, by trial compiles that may well fail. A refusal of the
# source is an answer, and is kept as one; what fails for any other reason is tried again.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# with_trial DIR: a program "app" that says whether its build script could compile trial.rs.
with_trial() {
  package "$1" app
  cat >"$1/build.rs" <<'END'
use std::{env, process::Command};
fn main() {
    println!("cargo:rerun-if-changed=trial.rs");
    println!("cargo:rustc-check-cfg=cfg(able)");
    let out = env::var("OUT_DIR").unwrap();
    let mut c = match env::var_os("RUSTC_WRAPPER").filter(|w| !w.is_empty()) {
        Some(w) => { let mut c = Command::new(w); c.arg(env::var_os("RUSTC").unwrap()); c }
        None => Command::new(env::var_os("RUSTC").unwrap()),
    };
    c.args(["--edition=2021", "--crate-name=trial", "--crate-type=lib", "--emit=dep-info,metadata"]);
    c.args(env::var("TRIAL_ARGS").unwrap_or_default().split_whitespace());
    let said = c.arg("--out-dir").arg(&out).arg("trial.rs").output().unwrap();
    std::fs::write(format!("{out}/said.txt"), said.stderr).unwrap();
    std::fs::write(format!("{out}/status.txt"), format!("{:?}", said.status.code())).unwrap();
    if said.status.success() {
        println!("cargo:rustc-cfg=able");
    }
}
END
  printf 'fn main() {\n    println!("{}", if cfg!(able) { "able" } else { "unable" });\n}\n' >"$1/src/main.rs"
}

# bats test_tags=long
@test "a trial whose source is refused is not made again: the same text, status and files" {
  local app=$WORK/app
  with_trial "$app"
  printf '#![feature(no_such_feature_at_all)]\npub fn f() -> u8 { "" }\n' >"$app/trial.rs"
  both first "$app" build
  [ "$(job trial exit_status)" = 1 ]
  missed trial
  kept trial
  says "$app" unable
  both again "$app" build
  hit trial
  [ "$(job trial exit_status)" = 1 ]
  all_hit
  says "$app" unable
  # What was refused may be right the next time.
  echo 'pub fn f() -> u8 { 1 }' >"$app/trial.rs"
  both mended "$app" build
  missed trial "trial.rs changed"
  [ "$(job trial exit_status)" = 0 ]
  says "$app" able
  printf '#![feature(no_such_feature_at_all)]\npub fn f() -> u8 { "" }\n' >"$app/trial.rs"
  both back "$app" build
  hit trial
  says "$app" unable
  "$DRAY" verify --json >"$LOGS/verify.json"
  jq -e '.differ == [] and .verified == 4 and .skipped == 0' "$LOGS/verify.json" || { cat "$LOGS/verify.json" >&2; return 1; }
}

# bats test_tags=long
@test "a trial that fails for another reason is tried again" {
  local app=$WORK/app
  with_trial "$app"
  echo 'compile_error!("not today");' >"$app/trial.rs"
  both words "$app" build
  missed trial
  both words-again "$app" build
  missed trial
  # A crate that is not there is found later, without a word of it in what was read.
  echo 'extern crate absent; pub fn f() {}' >"$app/trial.rs"
  both crate "$app" build
  both crate-again "$app" build
  missed trial
  says "$app" unable
  # No place for what it would make.
  echo 'pub fn f() {}' >"$app/trial.rs"
  TRIAL_ARGS="--emit=metadata=/no/such/dir/x.rmeta" cached place "$app" build
  says "$app" unable
  cached mended "$app" build
  clean "$app"
  both mended-again "$app" build
  says "$app" able
}

@test "a crate of cargo's that is refused is compiled again" {
  local app=$WORK/app
  package "$app" app
  echo 'fn main() { let _: u8 = ""; }' >"$app/src/main.rs"
  build bad "$app" build
  [ "$BUILD_STATUS" -ne 0 ]
  build bad-again "$app" build
  [ "$BUILD_STATUS" -ne 0 ]
  [ "$(job app where)" = local ]
  file_has "$LOGS/bad-again.err" 'E0308'
}
