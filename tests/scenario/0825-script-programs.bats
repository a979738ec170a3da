#!/usr/bin/env bats
# Programs of a script's tree that are unlike most, and what programs do that is seen in their results alone: another
# libc, sanitizers, links that are made to lead elsewhere, modes that go along with a copy, paths in compressed parts.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

# bats test_tags=long
@test "a link that is made to lead elsewhere: what the same compiler reads through it counts each time" {
  script "$WORK/app" <<'RUST'
use std::{env, fs, os::unix::fs::symlink, process::Command};
fn main() {
    let (out, here) = (env::var("OUT_DIR").unwrap(), env::var("CARGO_MANIFEST_DIR").unwrap());
    let mut said = vec![];
    let mut number = |source: &str| {
        let text = Command::new("gcc").args(["-E", "-P", "-I", &format!("{out}/later"), source]).output().unwrap();
        assert!(text.status.success(), "{text:?}");
        said.push(String::from_utf8(text.stdout).unwrap().trim().to_string());
    };
    // a link that is replaced by another
    symlink(format!("{here}/one"), format!("{out}/link")).unwrap();
    number(&format!("{out}/link/number.h"));
    fs::remove_file(format!("{out}/link")).unwrap();
    symlink(format!("{here}/two"), format!("{out}/link")).unwrap();
    number(&format!("{out}/link/number.h"));
    // one that is made where nothing was
    number("looks.c");
    symlink(format!("{here}/three"), format!("{out}/later")).unwrap();
    number("looks.c");
    // one that is moved
    symlink(format!("{here}/four"), format!("{out}/other")).unwrap();
    fs::rename(format!("{out}/other"), format!("{out}/link")).unwrap();
    number(&format!("{out}/link/number.h"));
    // one in a directory that is moved
    fs::create_dir(format!("{out}/dir")).unwrap();
    symlink(format!("{here}/five"), format!("{out}/dir/link")).unwrap();
    fs::create_dir(format!("{out}/old")).unwrap();
    symlink(format!("{here}/one"), format!("{out}/old/link")).unwrap();
    number(&format!("{out}/old/link/number.h"));
    fs::rename(format!("{out}/old"), format!("{out}/older")).unwrap();
    fs::rename(format!("{out}/dir"), format!("{out}/old")).unwrap();
    number(&format!("{out}/old/link/number.h"));
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=MADE={}", said.join(" "));
}
RUST
  printf '#if __has_include("number.h")\n#include "number.h"\n#else\n0\n#endif\n' >"$WORK/app/looks.c"
  local dir
  for dir in one two three four five; do
    mkdir "$WORK/app/$dir"
    echo "$dir" >"$WORK/app/$dir/number.h"
  done
  turn_says "one two 0 three four one five" "$WORK/app"
  run_kept app
  for dir in two three four five; do
    echo "not-$dir" >"$WORK/app/$dir/number.h"
    clean "$WORK/app"
    cached "$dir" "$WORK/app" build
    ran app "$dir/number.h changed"
  done
}

# runs_own DIR <<END: a package whose script compiles this C with $COMPILE and runs it; its program prints what that said.
runs_own() {
  script "$1" <<'RUST'
use std::{env, process::Command};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let command = format!("{} own.c -o {out}/program", env::var("COMPILE").unwrap());
    assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    let said = [
        &mut Command::new(format!("{out}/program")),
        Command::new("./program").current_dir(&out),
        Command::new("program").env("PATH", &out),
        Command::new("sh").args(["-c", &format!("exec {out}/program")]),
    ]
    .map(|c| {
        let said = c.env_remove("ASAN_OPTIONS").output().unwrap();
        let text = |v| String::from_utf8(v).unwrap();
        format!("{} {}{}", said.status.success(), text(said.stdout), text(said.stderr))
    });
    println!("cargo:rerun-if-changed=own.c");
    println!("cargo:rustc-env=MADE={}", said.join(" "));
}
RUST
  cat >"$1/own.c"
}

# bats test_tags=long
@test "programs with another libc, of another size, and with a sanitizer, run as without dray" {
  runs_own "$WORK/app" <<'C'
#include <stdio.h>
#include <stdlib.h>
int main(void) { const char *s = getenv("SPOKEN"); printf("%s", s ? s : "nothing"); return 0; }
C
  local compile any=0 word words
  for compile in "gcc -fsanitize=address" "clang -fsanitize=address -shared-libasan" "musl-gcc" "gcc -m32" "gcc"; do
    # not each machine has all of them
    $compile "$WORK/app/own.c" -o "$BATS_TEST_TMPDIR/program" 2>/dev/null && "$BATS_TEST_TMPDIR/program" || continue
    any=$((any + 1))
    export COMPILE=$compile
    words=first
    [ "$compile" != musl-gcc ] || words="first second"
    for word in $words; do
      SPOKEN=$word turn_says "true $word true $word true $word true $word" "$WORK/app"
    done
  done
  [ "$any" -ge 2 ]
}

@test "a copy has the mode of its source, which counts" {
  script "$WORK/app" <<'RUST'
use std::{env, fs};
fn main() {
    println!("cargo:rerun-if-changed=tool");
    fs::copy("tool", format!("{}/tool", env::var("OUT_DIR").unwrap())).unwrap();
}
RUST
  echo '#!/bin/sh' >"$WORK/app/tool"
  chmod 644 "$WORK/app/tool"
  turn "$WORK/app"
  run_kept app
  chmod 755 "$WORK/app/tool"
  turn "$WORK/app"
  [ -x "$(script_out "$WORK/app/target/debug" app)/tool" ]
  # another time is another matter
  touch -d '1 minute' "$WORK/app/tool"
  clean "$WORK/app"
  cached touched "$WORK/app" build
  put app
}

# bats test_tags=long
@test "objects whose debug information is compressed hold for their place" {
  c_script "$WORK/app"
  sed -i 's|"words.c", "-o"\]|\&format!("{out}/words.c"), "-o"]|; s|let flags|std::fs::copy("words.c", format!("{out}/words.c")).unwrap(); let flags|' "$WORK/app/build.rs"
  export CFLAGS="-g -gz -I."
  turn "$WORK/app"
  run_kept app
  clean "$WORK/app"
  cached again "$WORK/app" build
  put app
  CARGO_TARGET_DIR=$BATS_TEST_TMPDIR/there turn "$WORK/app"
}

# bats test_tags=long
@test "git submodule: what it says is kept, and counts" {
  script "$WORK/app" <<'RUST'
use std::process::Command;
fn main() {
    let said = Command::new("git").args(["submodule", "status"]).output().unwrap().stdout;
    println!("cargo:rustc-env=MADE={}", String::from_utf8(said).unwrap().trim());
}
RUST
  local git=(git -c user.name=x -c user.email=x@x -c protocol.file.allow=always)
  mkdir "$WORK/part"
  "${git[@]}" -C "$WORK/part" init -q
  "${git[@]}" -C "$WORK/part" commit -q --allow-empty -m one
  echo target >"$WORK/app/.gitignore"
  "${git[@]}" -C "$WORK/app" init -q
  "${git[@]}" -C "$WORK/app" submodule --quiet add "$WORK/part" part
  "${git[@]}" -C "$WORK/app" add .
  "${git[@]}" -C "$WORK/app" commit -q -m one
  turn "$WORK/app"
  run_kept app
  clean "$WORK/app"
  cached again "$WORK/app" build
  put app
  "${git[@]}" -C "$WORK/app/part" commit -q --allow-empty -m two
  "${git[@]}" -C "$WORK/app" commit -q -a -m two
  local before=$SAID
  turn "$WORK/app"
  [ "$SAID" != "$before" ]
}

# bats test_tags=long
@test "what the processor can do: an input where the tree makes a program and runs it, or the script may ask" {
  command -v bwrap >/dev/null && bwrap --dev-bind / / true || skip "bwrap does not work here"
  [ "$(uname -m)" = x86_64 ] || skip "by x86's cpuid"
  local kind other=$BATS_TEST_TMPDIR/cpuinfo
  sed 's/^flags\t*: /&another /' /proc/cpuinfo >"$other"
  on_other() { bwrap --dev-bind / / --ro-bind "$other" /proc/cpuinfo --die-with-parent -- "$@"; }
  c_script "$WORK/none"
  c_script "$WORK/program"
  sed -i 's|println!("cargo:rustc-link-lib=static=words");|&\n    run(Command::new("cc").args(["own.c", "-o"]).arg(format!("{out}/own")));\n    run(\&mut Command::new(format!("{out}/own")));|' "$WORK/program/build.rs"
  printf '#include <cpuid.h>\nint main(void) { unsigned a, b, c, d; return !__get_cpuid(1, &a, &b, &c, &d); }\n' >"$WORK/program/own.c"
  script "$WORK/own" <<'RUST'
fn main() {
    println!("cargo:rustc-env=MADE={}", std::arch::is_x86_feature_detected!("avx2"));
}
RUST
  for kind in none program own; do
    cached first "$WORK/$kind" build
    run_kept app
    clean "$WORK/$kind"
    rm -f "$JOBS"
    (cd "$WORK/$kind" && on_other cargo build -q) 2>"$LOGS/other.err"
    case $kind in
      none) put app ;;
      *) ran app "what the processor can do changed" ;;
    esac
  done
}
