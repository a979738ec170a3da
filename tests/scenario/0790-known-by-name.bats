#!/usr/bin/env bats
# What a compile depends on though it neither read nor asked for it by its name: whether a program can be run, what
# git knows without looking, what only looks like a known program or a driver's cache.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

again() {
  clean "$1"
  cached again "$1" build
}
tool() {
  printf '#!/bin/sh\necho %s\n' "$2" >"$1"
}
# prints FILE NAME: a program that prints the variable NAME.
prints() {
  printf '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { puts(getenv("%s")); return 0; }\n' "$2" >"$WORK/prints.c"
  cc -o "$1" "$WORK/prints.c"
}
# runs DIR PROGRAM: look!() is what the program prints, or "none".
runs() {
  echo "std::process::Command::new(r\"$2\").output().map_or(\"none\".into(), |o| String::from_utf8(o.stdout).unwrap().trim().to_string())" \
    >"$1/look/src/expr.rs"
}

@test "a file that could not be run becomes a program, and a program one that cannot be run" {
  local app=$WORK/app
  mkdir "$WORK/first" "$WORK/second"
  tool "$WORK/first/mytool" one
  tool "$WORK/second/mytool" two
  chmod +x "$WORK/second/mytool"
  export PATH=$WORK/first/:$WORK/second/:$PATH
  with_macro "$app"
  runs "$app" mytool
  once_and_again first "$app" build
  says "$app" two
  chmod +x "$WORK/first/mytool"
  again "$app"
  says "$app" one
  chmod -x "$WORK/first/mytool"
  again "$app"
  all_hit
  says "$app" two
  # the same by its path
  runs "$app" "$WORK/first/mytool"
  once_and_again path "$app" build
  says "$app" none
  chmod +x "$WORK/first/mytool"
  again "$app"
  says "$app" one
  chmod -x "$WORK/first/mytool"
  again "$app"
  all_hit
  says "$app" none
}

# bats test_tags=long
@test "the end of a name makes no known program; nor does a name in the project" {
  local app=$WORK/app name
  with_macro "$app"
  prints "$app/ld" MY_VERSION
  cp "$app/ld" "$WORK/next-version-git"
  cp "$app/ld" "$WORK/my-own-ar"
  for name in "$app/ld" "$WORK/next-version-git" "$WORK/my-own-ar"; do
    runs "$app" "$name"
    export MY_VERSION=1
    once_and_again first "$app" build
    says "$app" 1
    export MY_VERSION=2
    again "$app"
    says "$app" 2
  done
}

@test "git knows untracked files without listing directories" {
  local app=$WORK/app
  export GIT_CONFIG_NOSYSTEM=1
  with_macro "$app"
  echo 'String::from_utf8(std::process::Command::new("git").args(["status", "--porcelain"]).output().unwrap().stdout).unwrap().trim().to_string()' \
    >"$app/look/src/expr.rs"
  mkdir "$app/data"
  echo 1 >"$app/data/one"
  printf 'target\nCargo.lock\n' >"$app/.gitignore"
  git -C "$app" init -q
  git -C "$app" add .
  git -C "$app" -c user.name=x -c user.email=x@example.org commit -qm one
  # what git remembers of a directory it believes once its time is past
  find "$app" -name .git -prune -o -type d -exec touch -d '1 hour ago' {} +
  git -C "$app" config core.untrackedCache true
  git -C "$app" update-index --force-untracked-cache
  git -C "$app" status --porcelain
  git -C "$app" status --porcelain
  cached first "$app" build
  again "$app"
  again "$app"
  all_hit
  says "$app" ""
  echo 1 >"$app/data/two"
  again "$app"
  says "$app" "?? data/two"
}

@test "a driver's directory for temporary files, that the project lies in, and one that others read" {
  local app=$WORK/app read
  command -v ccache >/dev/null || skip "there is no ccache"
  with_macro "$app"
  for read in "$app/words" "$WORK/tmp/words"; do
    mkdir -p "$WORK/tmp"
    if [ "$read" = "$app/words" ]; then
      export CCACHE_TEMPDIR=$WORK
    else
      export CCACHE_TEMPDIR=$WORK/tmp
    fi
    export CCACHE_DIR=$WORK/ccache CARGO_TARGET_DIR=$BATS_TEST_TMPDIR/target
    echo "{ let _ = std::process::Command::new(\"ccache\").arg(\"--version\").output();
      String::from_utf8(std::process::Command::new(\"cat\").arg(r\"$read\").output().unwrap().stdout).unwrap().trim().to_string() }" \
      >"$app/look/src/expr.rs"
    echo one >"$read"
    once_and_again first "$app" build
    says "$app" one
    echo two >"$read"
    again "$app"
    says "$app" two
  done
}

@test "layout v2: a macro lists what the build script made" {
  local app=$WORK/app
  export RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT=true
  with_macro "$app"
  cat >"$app/build.rs" <<'END'
fn main() {
    println!("cargo:rerun-if-env-changed=MAKE");
    let dir = std::env::var("OUT_DIR").unwrap();
    for name in std::env::var("MAKE").unwrap().split(',') {
        std::fs::write(format!("{dir}/{name}"), "").unwrap();
    }
}
END
  cat >"$app/look/src/expr.rs" <<'END'
{
    let dir = std::fs::read_dir(std::env::var("OUT_DIR").unwrap()).unwrap();
    let mut names: Vec<_> = dir.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.join(",")
}
END
  export MAKE=a,b
  once_and_again first "$app" build
  says "$app" a,b
  export MAKE=a,b,c
  again "$app"
  says "$app" a,b,c
}
