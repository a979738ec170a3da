#!/usr/bin/env bats
# A build script's run depends on the umask, also if it does not ask for it: all that it makes has its mode by it, and
# what of that the script set itself (fs::copy does) is not seen.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

@test "the umask is an input of each run" {
  script "$WORK/app" <<'EOF'
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{out}/file"), "x").unwrap();
    if std::path::Path::new("ask").exists() {
        let said = std::process::Command::new("sh").args(["-c", "umask"]).output().unwrap();
        println!("cargo:rustc-env=MADE={}", String::from_utf8(said.stdout).unwrap().trim());
    }
}
EOF
  umask 022
  cached one "$WORK/app" build
  clean "$WORK/app"
  umask 077
  cached two "$WORK/app" build
  ran app umask
  [ "$(find "$WORK/app/target" -path '*/out/file' -printf %m)" = 600 ]
  touch "$WORK/app/ask"
  clean "$WORK/app"
  cached three "$WORK/app" build
  ran app
  [ "$("$WORK/app/target/debug/app")" = 0077 ]
  umask 022
  clean "$WORK/app"
  cached four "$WORK/app" build
  ran app umask
  [ "$("$WORK/app/target/debug/app")" = 0022 ]
}
