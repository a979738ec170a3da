#!/usr/bin/env bats
# Build scripts that run rustc, or cargo: what they compile is a part of the run.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

# trials DIR: a script that tries with the compiler what it can, as autocfg does: with the wrapper, and without.
trials() {
  script "$1" <<'END'
use std::{env, fs, io::Write, process::{Command, Stdio}};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let rustc = env::var("RUSTC").unwrap();
    let wrapper = env::var("RUSTC_WRAPPER").ok().filter(|w| !w.is_empty());
    let mut made = String::new();
    let more = fs::read_to_string("trial.txt").unwrap();
    for (i, code) in ["pub use std::convert::TryFrom;", "pub use std::Nothing;", more.as_str()].iter().enumerate() {
        for with in [false, true] {
            let mut c = match (&wrapper, with) {
                (Some(w), true) => { let mut c = Command::new(w); c.arg(&rustc); c }
                _ => Command::new(&rustc),
            };
            let mut child = c.args(["--crate-name", &format!("trial{i}"), "--crate-type=lib", "--emit=metadata", "--out-dir"])
                .arg(&out).arg("-").stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(code.as_bytes()).unwrap();
            made += if child.wait().unwrap().success() { "y" } else { "n" };
        }
    }
    let v = Command::new(&rustc).arg("-vV").output().unwrap();
    let version = String::from_utf8(v.stdout).unwrap();
    println!("cargo:rustc-env=MADE={made} {}", version.lines().find(|l| l.starts_with("release")).unwrap());
}
END
  echo 'pub fn one() -> u8 { 1 }' >"$1/trial.txt"
}

@test "trials with rustc, with the wrapper and without: put back, and made again where one would end otherwise" {
  trials "$WORK/app"
  as_plain one "$WORK/app" build
  says "$WORK/app" "yynnyy release: $(rustc -vV | sed -n 's/^release: //p')"
  # what it compiles is an input
  echo 'pub fn one() -> u8 { nothing }' >"$WORK/app/trial.txt"
  clean "$WORK/app"
  cached edited "$WORK/app" build
  ran app trial.txt
  says "$WORK/app" "yynnnn release: $(rustc -vV | sed -n 's/^release: //p')"
}

# nested DIR TARGET: a script that builds the package DIR/inner with cargo, in the target directory TARGET (Rust text).
nested() {
  script "$1" <<END
use std::{env, fs, process::Command};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let mut c = Command::new(env::var("CARGO").unwrap());
    for (k, _) in env::vars().filter(|(k, _)| k.starts_with("CARGO_") && k != "CARGO_HOME" && k != "CARGO_NET_OFFLINE" && k != "CARGO_TERM_COLOR") {
        c.env_remove(k);
    }
    let target: String = $2;
    let s = c.args(["build", "-q"]).current_dir("inner").env("CARGO_TARGET_DIR", &target).status().unwrap();
    assert!(s.success());
    let said = Command::new(format!("{target}/debug/inner")).output().unwrap();
    fs::write(format!("{out}/said"), &said.stdout).unwrap();
    println!("cargo:rustc-env=MADE={}", String::from_utf8(said.stdout).unwrap().trim());
}
END
  package "$1/inner" inner
  dependency "$1/inner" low
  echo 'fn main() { println!("inner {}", low::answer()) }' >"$1/inner/src/main.rs"
}

# again_and_again DIR INNER-TARGET: the run is not kept, for what cargo does; the second time it is not traced, and
# what it compiles is kept; the third time that is found.
again_and_again() {
  local i
  for i in one two three; do
    rm -rf "$2"
    clean "$1"
    cached "$i" "$1" build
    says "$1" "inner 42"
    ran app "$([ "$i" = one ] || echo "runs of it are not kept")"
    run_not_kept app "it asked for random numbers: rustc"
    case $i in
      one) [ -z "$(job low where)" ] ;;
      two) missed low && kept low && missed inner && kept inner ;;
      three) hits low inner ;;
    esac
  done
  echo 'pub fn answer() -> u32 { 43 }' >"$1/inner/low/src/lib.rs"
  clean "$1"
  cached edited "$1" build
  says "$1" "inner 43"
}

@test "a cargo of its own in OUT_DIR: the second time what it compiles is kept, and found from then on" {
  nested "$WORK/app" 'format!("{out}/target")'
  again_and_again "$WORK/app" "$WORK/none"
}

# bats test_tags=long
@test "a cargo of its own in a target directory of its own" {
  nested "$WORK/app" "\"$WORK/inner-target\".to_string()"
  again_and_again "$WORK/app" "$WORK/inner-target"
}
