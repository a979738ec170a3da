#!/usr/bin/env bats
# What a script starts: a tool in PATH that changes, or is found earlier; pkg-config and its files; make, and what only
# make reads.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

# tool FILE TEXT: a program that says TEXT.
tool() {
  mkdir -p "${1%/*}"
  printf '#!/bin/sh\necho %s\n' "$2" >"$1"
  chmod +x "$1"
}

# bats test_tags=long
@test "a tool in PATH changes, is found earlier, is gone, can be run again" {
  script "$WORK/app" <<'RUST'
use std::process::Command;
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let said = match Command::new("my-gen").output() {
        Ok(o) => String::from_utf8(o.stdout).unwrap(),
        Err(_) => "none".into(),
    };
    println!("cargo:rustc-env=MADE={}", said.trim());
}
RUST
  mkdir "$WORK/first"
  tool "$WORK/second/my-gen" one
  export PATH=$WORK/first:$WORK/second:$PATH
  turn_says one "$WORK/app"
  ran app new
  turn_says one "$WORK/app"
  put app
  tool "$WORK/second/my-gen" two
  turn_says two "$WORK/app"
  ran app my-gen
  tool "$WORK/first/my-gen" three
  turn_says three "$WORK/app"
  ran app my-gen
  chmod -x "$WORK/first/my-gen"
  turn_says two "$WORK/app"
  ran app
  chmod +x "$WORK/first/my-gen"
  turn_says three "$WORK/app"
  put app
  rm "$WORK/first/my-gen" "$WORK/second/my-gen"
  turn_says none "$WORK/app"
  ran app
  # it appears again
  tool "$WORK/second/my-gen" two
  turn_says two "$WORK/app"
}

# bats test_tags=long
@test "a tool in PATH is a link that leads elsewhere, and reads a file beside it" {
  script "$WORK/app" <<'RUST'
fn main() {
    let o = std::process::Command::new("my-gen").arg("--config").output().unwrap();
    println!("cargo:rustc-env=MADE={}", String::from_utf8(o.stdout).unwrap().trim());
}
RUST
  mkdir -p "$WORK/bin" "$WORK/v1" "$WORK/v2"
  printf '#!/bin/sh\ncat "$(dirname "$(readlink -f "$0")")/version"\n' >"$WORK/v1/my-gen"
  chmod +x "$WORK/v1/my-gen"
  cp "$WORK/v1/my-gen" "$WORK/v2/my-gen"
  echo v1 >"$WORK/v1/version"
  echo v2 >"$WORK/v2/version"
  ln -s "$WORK/v1/my-gen" "$WORK/bin/my-gen"
  export PATH=$WORK/bin:$PATH
  turn_says v1 "$WORK/app"
  ran app new
  turn_says v1 "$WORK/app"
  put app
  ln -sfn "$WORK/v2/my-gen" "$WORK/bin/my-gen"
  turn_says v2 "$WORK/app"
  ran app my-gen
  echo v3 >"$WORK/v2/version"
  turn_says v3 "$WORK/app"
  ran app version
  ln -sfn "$WORK/v1/my-gen" "$WORK/bin/my-gen"
  turn_says v1 "$WORK/app"
  put app
}

@test "pkg-config: a file changes, appears earlier on its path, is required by another; its variables" {
  command -v pkg-config >/dev/null || skip "no pkg-config"
  script "$WORK/app" <<'RUST'
use std::process::Command;
fn main() {
    println!("cargo:rerun-if-env-changed=NOTHING");
    let o = Command::new("pkg-config").args(["--cflags", "--libs", "words"]).output().unwrap();
    println!("cargo:rustc-env=MADE={}", String::from_utf8(o.stdout).unwrap().trim());
}
RUST
  # pc FILE CFLAGS [REQUIRES]
  pc() {
    mkdir -p "${1%/*}"
    printf 'Name: x\nDescription: x\nVersion: 1\nRequires: %s\nCflags: %s\n' "${3:-}" "$2" >"$1"
  }
  pc "$WORK/late/words.pc" -DA=1
  export PKG_CONFIG_PATH=$WORK/early:$WORK/late
  mkdir "$WORK/early"
  turn_says -DA=1 "$WORK/app"
  ran app new
  turn_says -DA=1 "$WORK/app"
  put app
  pc "$WORK/late/words.pc" -DA=2
  turn_says -DA=2 "$WORK/app"
  ran app words.pc
  pc "$WORK/early/words.pc" -DA=3 more
  pc "$WORK/late/more.pc" -DB=1
  turn_says "-DA=3 -DB=1" "$WORK/app"
  ran app words.pc
  pc "$WORK/late/more.pc" -DB=2
  turn_says "-DA=3 -DB=2" "$WORK/app"
  ran app more.pc
  PKG_CONFIG_PATH=$WORK/late turn_says -DA=2 "$WORK/app"
  ran app PKG_CONFIG_PATH
  PKG_CONFIG_SYSROOT_DIR=/s turn "$WORK/app"
  ran app PKG_CONFIG_SYSROOT_DIR
  turn_says "-DA=3 -DB=2" "$WORK/app"
  put app
}

# bats test_tags=long
@test "make: a variable that only make reads, one of its files, an included one that is not there, NUM_JOBS" {
  c_script "$WORK/app"
  cat >"$WORK/app/build.rs" <<'RUST'
use std::{env, process::Command};
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR").unwrap();
    assert!(Command::new("make").args(["-s", "-C", "native"]).arg(format!("OUT={out}")).status().unwrap().success());
    println!("cargo:rustc-link-search=native={out}");
    println!("cargo:rustc-link-lib=static=words");
}
RUST
  mkdir "$WORK/app/native"
  mv "$WORK/app/words.c" "$WORK/app/words.h" "$WORK/app/native"
  cat >"$WORK/app/native/Makefile" <<'MAKE'
.RECIPEPREFIX = >
BASE ?= 1
CFLAGS = -DNUMBER=$(BASE)
-include local.mk
all: $(OUT)/libwords.a
$(OUT)/libwords.a: $(OUT)/words.o
> $(AR) crsD $@ $<
$(OUT)/words.o: words.c
> $(CC) $(CFLAGS) -c -o $@ $<
MAKE
  : >"$WORK/app/native/words.h"
  turn_says 1 "$WORK/app"
  ran app new
  NUM_JOBS=3 turn_says 1 "$WORK/app" -j1
  put app
  BASE=2 turn_says 2 "$WORK/app"
  ran app environment
  echo 'BASE = 3' >"$WORK/app/native/local.mk"
  turn_says 3 "$WORK/app"
  ran app native
  sed -i 's/^CFLAGS.*/& -UNUMBER -DNUMBER=9/' "$WORK/app/native/Makefile"
  turn_says 9 "$WORK/app"
  ran app Makefile
  rm "$WORK/app/native/local.mk"
  sed -i 's/ -UNUMBER -DNUMBER=9//' "$WORK/app/native/Makefile"
  turn_says 1 "$WORK/app"
  put app
  # what shells and CI runs differ by is no input, unless it is named
  GITHUB_RUN_ID=7 SSH_TTY=/dev/x turn_says 1 "$WORK/app"
  put app
  sed -i 's/^BASE.*/BASE ?= $(or $(GITHUB_RUN_ID),4)/' "$WORK/app/native/Makefile"
  GITHUB_RUN_ID=7 turn_says 7 "$WORK/app"
  ran app
  GITHUB_RUN_ID=8 turn_says 8 "$WORK/app"
  ran app
  turn_says 4 "$WORK/app"
  ran app
}
