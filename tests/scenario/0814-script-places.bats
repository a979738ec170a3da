#!/usr/bin/env bats
# Where build scripts run, and what they find there when a run is put back.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/faults.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

# telling_script DIR: a script that makes files and texts about its places.
telling_script() {
  script "$1" <<'END'
use std::{env, fs};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    fs::create_dir_all(format!("{out}/lib/pkgconfig")).unwrap();
    fs::write(format!("{out}/lib/pkgconfig/x.pc"), format!("prefix={out}\nlibdir=${{prefix}}/lib\n")).unwrap();
    fs::write(format!("{out}/where.rs"), "\"here\"").unwrap();
    println!("cargo:rerun-if-changed=words.txt");
    println!("cargo:root={out}");
    println!("cargo:warning=in {}", env::current_dir().unwrap().display());
    println!("cargo:rustc-env=MADE={} {out}", fs::read_to_string("words.txt").unwrap().trim());
}
END
  echo one >"$1/words.txt"
}
EDITS=0
# is_right DIR: plain, run and put back; then an edit and its end.
is_right() {
  local dir=$1 word=two$((++EDITS))
  as_plain one "$dir" build
  [[ "$("$(target_of "$dir")/debug/app")" = "one /"*/out ]]
  echo "$word" >"$dir/words.txt"
  cached edited "$dir" build
  ran app words.txt
  [[ "$("$(target_of "$dir")/debug/app")" = "$word /"*/out ]]
  echo one >"$dir/words.txt"
  cached back "$dir" build
  put app
  [[ "$("$(target_of "$dir")/debug/app")" = "one /"*/out ]]
}

@test "directories with blanks and letters that are not ASCII" {
  telling_script "$WORK/mein Gerät, größer/und « noch » eins"
  is_right "$WORK/mein Gerät, größer/und « noch » eins"
}

# bats test_tags=long
@test "a target directory that is a link, and one behind a directory that is a link" {
  telling_script "$WORK/app"
  mkdir -p "$WORK/real/deep" "$WORK/more"
  ln -s "$WORK/real/deep" "$WORK/app/target"
  is_right "$WORK/app"
  # the link leads elsewhere now
  ln -sfn "$WORK/more" "$WORK/app/target"
  cached more "$WORK/app" build
  says "$WORK/app" "one $(script_out "$WORK/app/target/debug" app)"
  # behind a link, and in it
  rm "$WORK/app/target"
  ln -s "$WORK/real" "$WORK/link"
  export CARGO_TARGET_DIR=$WORK/link/below
  is_right "$WORK/app"
  unset CARGO_TARGET_DIR
  mv "$WORK/app" "$WORK/real/app"
  is_right "$WORK/link/app"
}

@test "what a script removes: what it made, its whole OUT_DIR, a file of the package" {
  script "$WORK/app" <<'END'
use std::{env, fs, path::Path};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    fs::write(format!("{out}/gone"), "1").unwrap();
    fs::remove_dir_all(&out).unwrap();
    fs::create_dir(&out).unwrap();
    fs::create_dir(format!("{out}/dir")).unwrap();
    fs::write(format!("{out}/dir/gone"), "2").unwrap();
    fs::write(format!("{out}/stays"), "3").unwrap();
    fs::remove_dir_all(format!("{out}/dir")).unwrap();
    fs::write("beside.tmp", "4").unwrap();
    fs::remove_file("beside.tmp").unwrap();
    let once = Path::new("once.txt");
    let had = once.exists();
    if had { fs::remove_file(once).unwrap(); }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=MADE={had}");
}
END
  as_plain one "$WORK/app" build
  says "$WORK/app" false
  touch "$WORK/app/once.txt"
  clean "$WORK/app"
  cached removed "$WORK/app" build
  says "$WORK/app" true
  run_not_kept app once.txt
  [ ! -e "$WORK/app/once.txt" ]
  clean "$WORK/app"
  cached back "$WORK/app" build
  says "$WORK/app" false
  put app
  # it has to be removed each time
  touch "$WORK/app/once.txt"
  clean "$WORK/app"
  cached again "$WORK/app" build
  says "$WORK/app" true
  [ ! -e "$WORK/app/once.txt" ]
}

# big_script DIR: a script that leaves forty megabytes; where it cannot, it says so, and leaves none.
big_script() {
  script "$1" <<'END'
use std::{env, fs};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let word = fs::read_to_string("words.txt").unwrap();
    let made = fs::write(format!("{out}/small"), &word).and_then(|_| fs::write(format!("{out}/big"), vec![b'x'; 40_000_000]));
    if made.is_err() { let _ = fs::remove_file(format!("{out}/big")); }
    println!("cargo:rerun-if-changed=words.txt");
    println!("cargo:rustc-env=MADE={} {}", word.trim(), made.is_ok());
}
END
  echo one >"$1/words.txt"
}

@test "a disk that is too small for what is put back: the script runs, and that run is not kept" {
  big_script "$WORK/app"
  small_disk "$WORK/app/target" 80m
  local target=$WORK/app/target/debug
  cached one "$WORK/app" build
  says "$WORK/app" "one true"
  run_kept app
  find "$WORK/app/target/" -mindepth 1 -delete
  fill "$WORK/app/target" 35000000
  cached full "$WORK/app" build
  ran app "OUT_DIR cannot be put in place: No space left on device"
  run_not_kept app "No space left on device"
  says "$WORK/app" "one false"
  find "$WORK/app/target/" -mindepth 1 -delete
  cached room "$WORK/app" build
  put app
  says "$WORK/app" "one true"
  [ "$(stat -c %s "$(script_out "$target" app)/big")" -eq 40000000 ]
}

@test "an OUT_DIR that cannot be written: the script runs, and that run is not kept" {
  big_script "$WORK/app"
  cached one "$WORK/app" build
  echo two >"$WORK/app/words.txt"
  cached two "$WORK/app" build
  local out
  out=$(script_out "$WORK/app/target/debug" app)
  mount --bind "$out" "$out" 2>"$LOGS/mount" || skip "cannot mount here: $(cat "$LOGS/mount")"
  MOUNTED+=("$out")
  mount -o remount,bind,ro "$out"
  echo one >"$WORK/app/words.txt"
  cached refused "$WORK/app" build
  ran app "OUT_DIR cannot be put in place: Read-only file system"
  run_not_kept app "Read-only file system"
  says "$WORK/app" "one false"
  [ "$(cat "$out/small")" = two ]
  umount "$out"
  clean "$WORK/app"
  cached again "$WORK/app" build
  put app
  says "$WORK/app" "one true"
  [ "$(cat "$out/small")" = one ]
}

@test "what cargo puts beside: bindgen's search for libclang in all directories that libraries are in" {
  script "$WORK/app" <<'END'
fn main() {
    let mut n = 0;
    for dir in std::env::split_paths(&std::env::var_os("LD_LIBRARY_PATH").unwrap()) {
        if let Ok(dir) = std::fs::read_dir(dir) {
            n += dir.filter(|e| e.as_ref().unwrap().file_name().to_str().unwrap().starts_with("libclang")).count();
        }
    }
    println!("cargo:rustc-env=MADE={n}");
}
END
  cached first "$WORK/app" build
  run_kept app
  clean "$WORK/app"
  # as when another library was ready earlier
  mkdir -p "$WORK/app/target/debug/deps"
  touch "$WORK/app/target/debug/deps/libother.rlib" "$WORK/app/target/debug/libother.rlib"
  cached second "$WORK/app" build
  put app
}
