#!/usr/bin/env bats
# Where a build is: its checkout, its target directory, and what build scripts leave in it.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# A program on a library, with a build script whose words are in "seed".
built() {
  package "$1" app
  dependency "$1" low
  cat >"$1/build.rs" <<'END'
fn main() {
    let seed = std::fs::read_to_string("seed").unwrap();
    let to = std::path::Path::new(&std::env::var_os("OUT_DIR").unwrap()).join("made.rs");
    std::fs::write(to, format!("pub const MADE: &str = {seed:?};")).unwrap();
}
END
  printf one >"$1/seed"
}
MADE='include!(concat!(env!("OUT_DIR"), "/made.rs"));'

@test "OUT_DIR: what is included from it changes" {
  local app=$WORK/app
  built "$app"
  printf '%s\nfn main() {\n    println!("{MADE}");\n}\n' "$MADE" >"$app/src/main.rs"
  both first "$app" build
  says "$app" one
  printf two >"$app/seed"
  both second "$app" build
  missed app "made.rs changed"
  hits low build_script_build
  says "$app" two
  printf one >"$app/seed"
  both third "$app" build
  all_hit
  says "$app" one
}

@test "OUT_DIR embedded, in another target directory" {
  local app=$WORK/app t
  built "$app"
  printf '%s\nfn main() {\n    println!("{MADE} {}", env!("OUT_DIR"));\n}\n' "$MADE" >"$app/src/main.rs"
  for t in one two one; do
    export CARGO_TARGET_DIR=$WORK/target-$t
    both "$t" "$app" build
    says "$app" "one $(dirname "$(find "$CARGO_TARGET_DIR/debug/build" -name made.rs)")"
    if [ "$t" = two ]; then
      missed app
      hit low
    fi
    rm -rf "$CARGO_TARGET_DIR"
  done
  all_hit
}

@test "OUT_DIR in a library's constant, with nothing included from it" {
  local app=$WORK/app t
  package "$app" app
  dependency "$app" low
  echo 'fn main() {}' >"$app/low/build.rs"
  echo 'pub const PLACE: &str = env!("OUT_DIR");' >"$app/low/src/lib.rs"
  printf 'fn main() {\n    println!("{}", low::PLACE);\n}\n' >"$app/src/main.rs"
  for t in one two one; do
    export CARGO_TARGET_DIR=$WORK/target-$t
    both "$t" "$app" build
    says "$app" "$(script_out "$CARGO_TARGET_DIR/debug" low)"
    [ "$t" = one ] || misses low app
    # both are there at once
  done
  all_hit
}

@test "the first target directory is deleted, and another is used" {
  local app=$WORK/app
  package "$app" app
  dependency "$app" low
  CARGO_TARGET_DIR=$WORK/one both first "$app" build
  rm -rf "$WORK/one"
  export CARGO_TARGET_DIR=$WORK/two
  both second "$app" build
  all_hit
  says "$app" "hello from app"
  fails grep -rqs "$WORK/one" "$WORK/two"
  cached third "$app" build
  nothing_done third
  echo '// another line' >>"$app/low/src/lib.rs"
  cached edited "$app" build
  missed low
}

# with_scripts DIR: a program with a build script that has libraries of its own, above a crate whose script only
# says a cfg, and one whose script makes a C library.
with_scripts() {
  local dir=$1 c
  package "$dir" app
  for c in low mid said words-sys; do
    member "$dir/$c" "$c" lib
  done
  depends "$dir/mid" low ../low
  depends "$dir" said said
  depends "$dir" words-sys words-sys
  printf '\n[build-dependencies]\nmid = { path = "mid" }\n' >>"$dir/Cargo.toml"
  printf '#[inline(never)]\npub fn number() -> u32 {\n    41\n}\n' >"$dir/low/src/lib.rs"
  echo 'pub fn number() -> u32 { low::number() }' >"$dir/mid/src/lib.rs"
  echo 'fn main() { println!("cargo:rustc-env=NUMBER={}", mid::number()); }' >"$dir/build.rs"
  echo 'fn main() { println!("cargo:rustc-cfg=loud"); println!("cargo::rustc-check-cfg=cfg(loud)"); }' >"$dir/said/build.rs"
  echo 'pub const LOUD: bool = cfg!(loud);' >"$dir/said/src/lib.rs"
  echo 'int word(void) { return 7; }' >"$dir/words-sys/word.c"
  cat >"$dir/words-sys/build.rs" <<'END'
use std::process::Command;
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    let run = |program: &str, args: &[&str]| assert!(Command::new(program).args(args).status().unwrap().success());
    run("cc", &["-c", "-o", &format!("{out}/word.o"), "word.c"]);
    let _ = std::fs::remove_file(format!("{out}/libword.a"));
    run("ar", &["-Drcs", &format!("{out}/libword.a"), &format!("{out}/word.o")]);
    println!("cargo:rustc-link-search=native={out}");
    println!("cargo:rustc-link-lib=static=word");
}
END
  printf 'extern "C" {\n    fn word() -> i32;\n}\npub fn get() -> i32 {\n    unsafe { word() }\n}\n' >"$dir/words-sys/src/lib.rs"
  printf 'fn main() {\n    println!("{} {} {}", env!("NUMBER"), said::LOUD, words_sys::get());\n}\n' >"$dir/src/main.rs"
}

# bats test_tags=long
@test "build scripts and what they make, in another target directory" {
  local app=$WORK/app
  with_scripts "$app"
  export CARGO_TARGET_DIR=$WORK/one
  both first "$app" build
  all_missed
  says "$app" "41 true 7"
  CARGO_TARGET_DIR=$WORK/two both second "$app" build
  all_hit
  CARGO_TARGET_DIR=$WORK/two says "$app" "41 true 7"
  fails grep -rqs "$WORK/one/" "$WORK/two"
  # The first one still has the former library, and its archive.
  sed -i s/41/43/ "$app/low/src/lib.rs"
  sed -i s/7/8/ "$app/words-sys/word.c"
  CARGO_TARGET_DIR=$WORK/two both edited "$app" build
  misses low app words_sys
  CARGO_TARGET_DIR=$WORK/two says "$app" "43 true 8"
  sed -i s/43/41/ "$app/low/src/lib.rs"
  sed -i s/8/7/ "$app/words-sys/word.c"
  rm -rf "$WORK/one" "$WORK/two"
  CARGO_TARGET_DIR=$WORK/three both back "$app" build
  all_hit
  CARGO_TARGET_DIR=$WORK/three says "$app" "41 true 7"
}

# Where target directories are mounted, or made by mktemp, cargo does not mark them.
# bats test_tags=long
@test "build scripts and what they make, in target directories that were there before, and for a named target" {
  local app=$WORK/app t host to
  host=$(rustc -vV | sed -n 's/^host: //p')
  with_scripts "$app"
  for to in "" "--target=$host"; do
    for t in one two; do
      mkdir "$WORK/$t" # clean() takes it away
      clean() { rm -rf "$WORK/$t"; mkdir "$WORK/$t"; }
      export CARGO_TARGET_DIR=$WORK/$t
      # shellcheck disable=SC2086 # it may be none
      both "$t" "$app" build $to
      [ ! -e "$WORK/$t/CACHEDIR.TAG" ]
      [ "$t" = one ] || all_hit
      [ "$("$WORK/$t/${to:+$host/}debug/app")" = "41 true 7" ]
    done
    rm -rf "$WORK/one" "$WORK/two"
  done
}

@test "cargo install, which builds in a directory of its own each time" {
  local app=$WORK/app
  with_scripts "$app"
  cached first "$app" install --path . --root "$WORK/first" --target-dir "$(mktemp -d "$WORK/installXXXXXX")"
  all_missed
  cached second "$app" install --path . --root "$WORK/second" --target-dir "$(mktemp -d "$WORK/installXXXXXX")"
  all_hit
  cmp "$WORK/first/bin/app" "$WORK/second/bin/app"
}

@test "a test's own directory and program, in another target directory" {
  local app=$WORK/app t
  package "$app" app
  mkdir "$app/tests"
  cat >"$app/tests/places.rs" <<'END'
#[test]
fn places() {
    println!("{} {}", env!("CARGO_BIN_EXE_app"), env!("CARGO_TARGET_TMPDIR"));
}
END
  for t in one two one; do
    CARGO_TARGET_DIR=$WORK/$t cached "$t" "$app" test --test places -- --nocapture
    file_has "$LOGS/$t.out" "^$WORK/$t/debug/app $WORK/$t/tmp"
    [ "$t" = one ] || { missed places; hit app; }
    rm -rf "${WORK:?}/$t"
  done
  all_hit
}

@test "a target directory behind a symbolic link" {
  local app=$WORK/app
  package "$app" app
  dependency "$app" low
  mkdir "$WORK/disk1" "$WORK/disk2"
  ln -s "$WORK/disk1" "$app/target"
  both first "$app" build
  both again "$app" build
  all_hit
  says "$app" "hello from app"
  cached third "$app" build
  nothing_done third
  clean "$app"
  ln -sfn "$WORK/disk2" "$app/target"
  both elsewhere "$app" build
  all_hit
  says "$app" "hello from app"
}

@test "a checkout is moved, and moved back" {
  [ "${DRAY_PATHS:-}" != shared ] || skip "its members are found there"
  local app=$WORK/app
  package "$app" app
  dependency "$app" low
  echo data >"$app/data"
  cat >"$app/src/main.rs" <<'END'
fn main() {
    print!("{}", std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/data")).unwrap());
}
END
  both first "$app" build
  says "$app" data
  clean "$app"
  mv "$app" "$WORK/moved"
  both moved "$WORK/moved" build
  misses low app
  says "$WORK/moved" data
  clean "$WORK/moved"
  mv "$WORK/moved" "$app"
  both back "$app" build
  all_hit
  says "$app" data
}

# Where a package lies is in its bytes: by a constant of a library, and by what a build script and a test see
# when they run. The first checkout stays.
# bats test_tags=long
@test "a second checkout beside the first" {
  local app=$WORK/app c
  package "$app" app
  dependency "$app" low
  echo 'pub const PLACE: &str = env!("CARGO_MANIFEST_DIR");' >"$app/low/src/lib.rs"
  cat >"$app/build.rs" <<'END'
fn main() {
    println!("cargo:rustc-env=SEEN={}", std::env::var("CARGO_MANIFEST_DIR").unwrap());
}
END
  cat >"$app/src/main.rs" <<'END'
fn main() {
    let data = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/data")).unwrap();
    println!("{} {} {}", low::PLACE, env!("SEEN"), data.trim());
}
#[test]
fn runs_there() {
    assert_eq!(std::env::var("CARGO_MANIFEST_DIR").unwrap(), env!("CARGO_MANIFEST_DIR"));
}
END
  echo first >"$app/data"
  both first "$app" build
  says "$app" "$app/low $app first"
  cp -a "$app" "$WORK/second"
  echo second >"$WORK/second/data"
  both second "$WORK/second" build
  says "$WORK/second" "$WORK/second/low $WORK/second second"
  cached test "$WORK/second" test
  for c in "$app" "$WORK/second" "$app"; do
    both again "$c" build
    all_hit
    says "$c" "$c/low $c $(cat "$c/data")"
  done
}

# bats test_tags=long
@test "a source that is edited while it is compiled" {
  local app=$WORK/app
  slow_dependency "$app"
  sed -i '$a pub static WORD: \&str = "before";' "$app/slow/src/lib.rs"
  echo 'fn main() { println!("{} {}", slow::SLOW, slow::WORD); }' >"$app/src/main.rs"
  rm -f "$JOBS"
  build_start during "$app" build
  # Dep-info is there: the source has been read.
  wait_until 60 is_made "$app/target/debug" 'slow-*.d'
  sed -i 's/before/after/' "$app/slow/src/lib.rs"
  build_finish 120
  [ "$BUILD_STATUS" -eq 0 ]
  [[ "$(job slow not_stored)" = *"slow/src/lib.rs changed while it was read" ]]
  both after "$app" build
  missed slow
  "$app/target/debug/app" | grep -q after
  sed -i 's/after/before/' "$app/slow/src/lib.rs"
  both before "$app" build
  missed slow
  "$app/target/debug/app" | grep -q before
}

@test "edits in the same target directory, with dray and without" {
  local app=$WORK/app
  package "$app" app
  dependency "$app" low
  printf 'fn main() {\n    println!("{}", low::answer());\n}\n' >"$app/src/main.rs"
  cached stored "$app" build
  sed -i s/42/43/ "$app/low/src/lib.rs"
  cached edited "$app" build
  misses low app
  says "$app" 43
  clean "$app"
  cached found "$app" build
  all_hit
  # What was found can be compiled again, by whom ever.
  sed -i s/43/44/ "$app/low/src/lib.rs"
  cached again "$app" build
  misses low app
  says "$app" 44
  clean "$app"
  cached found-again "$app" build
  sed -i s/44/45/ "$app/low/src/lib.rs"
  RUSTC_WRAPPER='' build without "$app" build
  [ "$BUILD_STATUS" -eq 0 ]
  says "$app" 45
  sed -i s/45/43/ "$app/low/src/lib.rs"
  both back "$app" build
  all_hit
  says "$app" 43
}

# ---- kinds of units

# bats test_tags=long
@test "tests, benches, examples, libraries of each kind, macros, build scripts" {
  local app=$WORK/app
  with_macro "$app"
  echo 'String::from("words")' >"$app/look/src/expr.rs"
  mkdir "$app/tests" "$app/benches" "$app/examples"
  printf '\n[lib]\ncrate-type = ["rlib", "cdylib", "staticlib"]\nname = "kinds"\n[dev-dependencies]\n' >>"$app/Cargo.toml"
  printf '#[no_mangle]\npub extern "C" fn answer() -> u32 { 42 }\n#[test]\nfn it() {}\n' >"$app/src/lib.rs"
  echo '#[test] fn outer() { assert_eq!(kinds::answer(), 42); }' >"$app/tests/outer.rs"
  echo '#[test] fn bench() {}' >"$app/benches/quick.rs"
  echo 'fn main() { println!("{}", look::look!()); }' >"$app/examples/show.rs"
  echo 'fn main() {}' >"$app/build.rs"
  member "$app/dy" dy lib
  printf '\n[lib]\ncrate-type = ["dylib"]\n' >>"$app/dy/Cargo.toml"
  sed -i 's/^\[workspace\]/[workspace]\nmembers = [".", "dy", "look"]/' "$app/Cargo.toml"
  both first "$app" build --workspace --all-targets
  all_missed
  both again "$app" build --workspace --all-targets
  all_hit
  cached third "$app" build --workspace --all-targets
  nothing_done third
  [ "$("$app/target/debug/examples/show")" = words ]
  cached test "$app" test --workspace
  file_has "$LOGS/test.out" 'test outer ... ok'
}

# bats test_tags=long
@test "debuginfo beside the program: unpacked, packed" {
  local app=$WORK/app way
  package "$app" app
  dependency "$app" low
  printf 'fn main() {\n    println!("{}", low::answer());\n}\n' >"$app/src/main.rs"
  for way in unpacked packed; do
    export CARGO_PROFILE_DEV_SPLIT_DEBUGINFO=$way
    both $way "$app" build
    misses low app
    clean "$app"
    both $way-again "$app" build
    all_hit
  done
}

@test "a rustc without a directory, not in the first of PATH" {
  local dir
  mkdir "$WORK/bin" "$WORK/file"
  echo 'pub fn a() {}' >"$WORK/a.rs"
  echo text >"$WORK/file/rustc"
  PATH=$WORK/none:$WORK/bin:$WORK/file:$PATH
  cd "$WORK"
  for dir in miss hit; do
    rm -f "$JOBS" liba.*
    "$DRAY" rustc --crate-name a --crate-type lib --emit=dep-info,metadata,link a.rs --out-dir .
    [ "$(job a cache)" = "$dir" ] || { show_cache; return 1; }
  done
  # another that is found earlier now is another compiler
  printf '#!/bin/sh\nexec rustc "$@"\n' | sed "s|rustc|$(command -v rustc)|" >"$WORK/bin/rustc"
  chmod +x "$WORK/bin/rustc"
  rm -f "$JOBS" liba.*
  "$DRAY" rustc --crate-name a --crate-type lib --emit=dep-info,metadata,link a.rs --out-dir .
  fails test "$(job a cache)" = hit
  [ -s liba.rlib ]
}

@test "a relative out-dir: what names it is no hit for another" {
  local out call=("$DRAY" rustc --crate-name a --crate-type lib --emit=dep-info,metadata,link --error-format=json
    --json=artifacts a.rs --out-dir)
  echo 'pub fn a() {}' >"$WORK/a.rs"
  cd "$WORK"
  for out in one two; do
    mkdir "$out"
    rm -f "$JOBS"
    "${call[@]}" "$out" 2>"$LOGS/$out.err"
    [ "$(job a cache)" = miss ] && kept a
    grep -q "^$out/a.d: a.rs" "$out/a.d"
    [ "$(grep -c "\"$out/" "$LOGS/$out.err")" -eq 3 ]
  done
  rm -f "$JOBS" two/*
  "${call[@]}" two 2>"$LOGS/again.err"
  hit a
  cmp "$LOGS/two.err" "$LOGS/again.err"
  bwrap --dev-bind / / true || skip "bwrap does not work here"
  "$DRAY" verify --json | jq -e '.verified == 1 and .skipped == 0'
}
