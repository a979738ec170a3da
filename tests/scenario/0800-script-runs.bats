#!/usr/bin/env bats
# Build scripts: the launcher, a run that is kept and put back, and what falls back to the script itself.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

# real_script DIR: the script's own program, beside the launcher.
real_script() {
  find "$(target_of "$1")" -name '.build_script_*'
}

# seen_in DIR: modes and names of the programs that people look for.
seen_in() {
  (cd "$(target_of "$1")" && find . -name 'build*script*' -type f ! -path '*/.fingerprint/*' -printf '%m %P\n' | sort -k 2)
}
# bats test_tags=long
@test "the script's program is where cargo has it, by the same names and modes, under any umask" {
  local mask
  script "$WORK/app" <<<'fn main() {}'
  for mask in 022 077 002; do
    clean "$WORK/app"
    (cd "$WORK/app" && umask $mask && exec env -u RUSTC_WRAPPER cargo build) >"$LOGS/plain.out" 2>&1 </dev/null 3>&-
    seen_in "$WORK/app" >"$LOGS/plain.seen"
    [ -s "$LOGS/plain.seen" ]
    for again in first second; do
      clean "$WORK/app"
      (umask $mask && cached "$again-$mask" "$WORK/app" build)
      seen_in "$WORK/app" | diff "$LOGS/plain.seen" - >&2
      [ -n "$(real_script "$WORK/app")" ]
    done
  done
}

# may_share: whether files here can be one with the cache's: not where the file system makes clones.
may_share() {
  echo x >"$WORK/a"
  fails cp --reflink=always "$WORK/a" "$WORK/b" 2>/dev/null
}
@test "a script's own program is one file with the cache's, for one checkout; what is changed in place is not put back" {
  local program other
  script "$WORK/app" <<<'fn main() { println!("cargo:rustc-env=MADE=it"); }'
  cached first "$WORK/app" build
  clean "$WORK/app"
  cached again "$WORK/app" build
  CARGO_TARGET_DIR=$WORK/other cached other "$WORK/app" build
  hits build_script_build
  program=$(real_script "$WORK/app")
  other=$(find "$WORK/other" -name '.build_script_*')
  if may_share; then [ "$(stat -c %h "$program")" -eq 2 ]; fi
  [ "$(stat -c %h "$other")" -eq 1 ]
  # the launcher and cargo's name of it
  [ "$(stat -c %h "$(find "$(target_of "$WORK/app")" -name 'build-script-build' -type f | head -n 1)")" -eq 2 ]
  chmod u+w "$program"
  echo damaged >"$program"
  clean "$WORK/app"
  cached damaged "$WORK/app" build
  put app
  cmp "$(real_script "$WORK/app")" "$other"
}

@test "a run is put back as it was: files, directories, links, modes, both texts; nothing of a former run stays" {
  script "$WORK/app" <<'END'
use std::{env, fs, os::unix::fs::*, path::Path};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let out = Path::new(&out);
    fs::create_dir_all(out.join("a/b c")).unwrap();
    fs::create_dir(out.join("empty")).unwrap();
    fs::write(out.join("a/b c/big"), vec![7u8; 300_000]).unwrap();
    fs::write(out.join("a/none"), "").unwrap();
    fs::write(out.join("tool"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(out.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(out.join("a/none"), fs::Permissions::from_mode(0o444)).unwrap();
    symlink("b c/big", out.join("a/in")).unwrap();
    symlink("/etc/passwd", out.join("away")).unwrap();
    symlink(out.join("tool"), out.join("whole")).unwrap();
    fs::set_permissions(out.join("empty"), fs::Permissions::from_mode(0o555)).unwrap();
    println!("cargo:rustc-env=MADE={}", out.display());
    println!("cargo:warning=made in {}", out.display());
    eprintln!("to stderr, {}", out.display());
}
END
  as_plain one "$WORK/app" build
  [ "$("$WORK/app/target/debug/app")" = "$(find "$WORK/app/target/debug/build" -name empty -printf '%h\n')" ]
  # dray's own library in the script is no input
  grep -rqaF /etc/ld.so.preload "$DRAY_CACHE_DIR/entries"
  fails grep -rqaF dray-run.so "$DRAY_CACHE_DIR/entries"
  # what is in OUT_DIR goes, whatever its mode
  local out
  out=$(find "$WORK/app/target/debug/build" -name empty -printf '%h\n')
  mkdir -p "$out/left/deep"
  echo old >"$out/left/deep/file"
  chmod 555 "$out/left/deep" "$out/left"
  chmod u+w "$out/empty"
  echo edited >"$out/tool"
  touch "$WORK/app/build.rs"
  cached again "$WORK/app" build
  put app
  made_by "$WORK/app/target" >"$LOGS/made.again"
  diff "$LOGS/made.plain" "$LOGS/made.again"
}

@test "with another target directory the run is put there, with its own paths" {
  script "$WORK/app" <<'END'
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{out}/x.pc"), format!("libdir={out}/lib\n")).unwrap();
    println!("cargo:rustc-env=MADE={out}");
}
END
  cached one "$WORK/app" build
  ran app new
  CARGO_TARGET_DIR=$WORK/else cached two "$WORK/app" build
  put app
  [ "$("$WORK/else/debug/app")" = "$(find "$WORK/else" -name x.pc -printf '%h\n')" ]
  [ "$(find "$WORK/else" -name x.pc -exec cat {} +)" = "libdir=$(find "$WORK/else" -name x.pc -printf '%h\n')/lib" ]
}

@test "what a script writes about its place in other files ties the run to that place" {
  script "$WORK/app" <<'END'
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{out}/data"), format!("{out}\0")).unwrap();
    println!("cargo:rustc-env=MADE={out}");
}
END
  as_plain one "$WORK/app" build
  CARGO_TARGET_DIR=$WORK/else cached two "$WORK/app" build
  ran app "out-dir"
  [ "$(tr -d '\0' <"$(find "$WORK/else" -name data)")" = "$(find "$WORK/else" -name data -printf '%h\n')" ]
}

# bats test_tags=long
@test "a file that the script reads, a variable that it asks for, a listing, an absent file" {
  script "$WORK/app" <<'END'
use std::{env, fs};
fn main() {
    let n = fs::read_dir("data").unwrap().count();
    let more = fs::read_to_string("more.txt").unwrap_or_default();
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=MADE={},{},{},{}", fs::read_to_string("words.txt").unwrap().trim(), n, more.trim(),
        env::var("USER_WORD").unwrap_or_default());
}
END
  mkdir "$WORK/app/data"
  echo one >"$WORK/app/words.txt"
  is() {
    clean "$WORK/app"
    cached build "$WORK/app" build
    [ "$("$WORK/app/target/debug/app")" = "$1" ] || return 1
  }
  is one,0,,
  ran app
  is one,0,,
  put app
  echo two >"$WORK/app/words.txt"
  is two,0,,
  ran app words.txt
  touch "$WORK/app/data/file"
  is two,1,,
  ran app data
  echo some >"$WORK/app/more.txt"
  is two,1,some,
  ran app more.txt
  USER_WORD=said is two,1,some,said
  ran app USER_WORD
  OTHER=other NUM_JOBS=7 is two,1,some,
  put app
  echo one >"$WORK/app/words.txt"
  rm "$WORK/app/data/file" "$WORK/app/more.txt"
  is one,0,,
  put app
}

@test "the launcher runs the script itself, once, as cargo would have: dray gone, broken, switched off; the target moved" {
  script "$WORK/app" <<'END'
use std::{env, fs, io::Write};
fn main() {
    let mut f = fs::OpenOptions::new().append(true).create(true).open(env::var("COUNT").unwrap()).unwrap();
    writeln!(f, "{} {} {}", env::args().count(), env::current_dir().unwrap().display(), env::var("odd.name").is_ok()).unwrap();
    println!("cargo:rustc-env=MADE=yes");
}
END
  export COUNT=$WORK/count
  cached one "$WORK/app" build
  [ "$(wc -l <"$COUNT")" -eq 1 ]
  local launcher out=$WORK/out
  launcher=$(find "$WORK/app/target" -name build-script-build)
  mkdir "$out"
  # start: as cargo starts it, with one line more in the count, and its texts
  start() {
    : >"$COUNT"
    (cd "$WORK/app" && env OUT_DIR="$out" CARGO_PKG_NAME=app 'odd.name=1' "$@") >"$LOGS/said" 2>&1
    [ "$(cat "$COUNT")" = "1 $WORK/app true" ] && grep -qx 'cargo:rustc-env=MADE=yes' "$LOGS/said" && [ "$(wc -l <"$LOGS/said")" -eq 1 ]
  }
  start "$launcher"
  start env DRAY_SCRIPTS=off "$launcher"
  start env DRAY_CACHE=off "$launcher"
  start env DRAY_CONFIG=/nowhere "$launcher"
  start env DRAY_CACHE_DIR=/proc/none "$launcher"
  start env OUT_DIR=relative "$launcher"
  # as an upgrade leaves it: another program, or none
  mkdir "$WORK/bin"
  cp "$DRAY" "$WORK/bin/dray"
  (export RUSTC_WRAPPER=$WORK/bin/dray DRAY_LIBEXEC=$DRAY_BUILD/client; clean "$WORK/app"; cached two "$WORK/app" build)
  launcher=$(find "$WORK/app/target" -name build-script-build)
  printf '#!/bin/sh\nkill -SEGV $$\n' >"$WORK/bin/dray"
  start "$launcher"
  printf '#!/bin/sh\nexit 0\n' >"$WORK/bin/dray"
  start "$launcher"
  rm "$WORK/bin/dray"
  start "$launcher"
  mv "$WORK/app/target" "$WORK/moved"
  start "$(find "$WORK/moved" -name build-script-build)"
}

@test "scripts = off leaves cargo's own bytes" {
  script "$WORK/app" <<'END'
fn main() {}
END
  export DRAY_SCRIPTS=off
  both one "$WORK/app" build
  [ -z "$(real_script "$WORK/app")" ]
}

@test "a user's own program of such a name, and a test of the script, are no scripts" {
  package "$WORK/app" build_script_build
  cached one "$WORK/app" build
  [ -z "$(real_script "$WORK/app")" ]
  [ "$("$WORK/app/target/debug/build_script_build")" = "hello from build_script_build" ]
}

@test "a script that fails or warns says it as without dray, and a failed run is not kept" {
  script "$WORK/app" <<'END'
fn main() {
    println!("cargo:warning=first");
    eprintln!("then this");
    if std::path::Path::new("bad").exists() { panic!("it is bad"); }
    println!("cargo:rustc-env=MADE=fine");
}
END
  touch "$WORK/app/bad"
  plain_build "$WORK/app" build
  [ "$PLAIN_STATUS" -ne 0 ]
  local i
  for i in 1 2; do
    clean "$WORK/app"
    build failed "$WORK/app" build
    [ "$BUILD_STATUS" -eq "$PLAIN_STATUS" ]
    diff <(sed -E '/^ +Compiling /d; s/\([0-9]+\)//' "$LOGS/plain.err") <(sed -E '/^ +Compiling /d; s/\([0-9]+\)//' "$LOGS/failed.err")
    run_not_kept app "it failed"
  done
  rm "$WORK/app/bad"
  as_plain fine "$WORK/app" build
}

@test "an OUT_DIR that the user names is never emptied" {
  script "$WORK/app" <<'END'
fn main() { std::fs::write(std::env::var("OUT_DIR").unwrap() + "/new", "").unwrap() }
END
  cached one "$WORK/app" build
  local launcher dir
  launcher=$(find "$WORK/app/target" -name build-script-build)
  for dir in "$WORK/mine" "$WORK/mine/out" "$WORK/mine/build/app-0123456789abcdef/out"; do
    mkdir -p "$dir"
    echo dear >"$dir/file"
    (cd "$WORK/app" && OUT_DIR=$dir CARGO_PKG_NAME=app "$launcher")
    (cd "$WORK/app" && OUT_DIR=$dir CARGO_PKG_NAME=app "$launcher")
    [ "$(cat "$dir/file")" = dear ] && [ -e "$dir/new" ]
  done
}

@test "a newer dray finds the runs of scripts that call it as their compiler's wrapper" {
  mkdir -p "$WORK/its/client"
  cp "$DRAY" "$WORK/its/client/dray"
  ln -s "$DRAY_BUILD/client/dray-script" "$WORK/its/client/"
  ln -s "$DRAY_BUILD/trace" "$WORK/its/"
  export RUSTC_WRAPPER=$WORK/its/client/dray
  script "$WORK/app" <<'END'
use std::{env, process::Command};
fn main() {
    let out = Command::new(env::var("RUSTC_WRAPPER").unwrap()).arg(env::var("RUSTC").unwrap()).arg("-vV").output().unwrap();
    println!("cargo:rustc-env=MADE={}", String::from_utf8(out.stdout).unwrap().lines().next().unwrap());
}
END
  cached one "$WORK/app" build
  run_kept app
  printf 'newer' >>"$WORK/its/client/dray"
  clean "$WORK/app"
  cached two "$WORK/app" build
  put app
  [[ "$("$WORK/app/target/debug/app")" = rustc* ]]
}
