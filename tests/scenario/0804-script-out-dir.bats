#!/usr/bin/env bats
# What a script finds in OUT_DIR and leaves there, or elsewhere: read back, work skipped for what an earlier run left,
# output beside OUT_DIR, links, modes.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

# again DIR: as after an edit of the script: it runs over what an earlier run left.
again() {
  touch "$1/build.rs"
  cached again "$1" build
}
# out_of DIR: its OUT_DIR.
out_of() {
  script_out "$(target_of "$1")/debug" app
}

@test "what it wrote is read back; a listing of OUT_DIR in the end" {
  script "$WORK/app" <<'RUST'
use std::{env, fs};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    fs::create_dir_all(format!("{out}/gen/deep")).unwrap();
    fs::write(format!("{out}/gen/a.rs"), "1").unwrap();
    fs::copy(format!("{out}/gen/a.rs"), format!("{out}/gen/b.rs")).unwrap();
    fs::rename(format!("{out}/gen/b.rs"), format!("{out}/c.rs")).unwrap();
    let n = fs::read_dir(&out).unwrap().count();
    let text = fs::read_to_string(format!("{out}/c.rs")).unwrap();
    fs::write(format!("{out}/gone"), "").unwrap();
    fs::remove_file(format!("{out}/gone")).unwrap();
    println!("cargo:rustc-env=MADE={text} {n} {}", fs::metadata(format!("{out}/gen/a.rs")).unwrap().len());
}
RUST
  as_plain one "$WORK/app" build
  says "$WORK/app" "1 2 1"
}

# bats test_tags=long
@test "directories and files of an earlier run that are made again do not keep a run from being kept" {
  script "$WORK/app" <<'RUST'
use std::{env, fs};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    fs::create_dir_all(format!("{out}/gen/deep")).unwrap();
    let words = fs::read_to_string("words.txt").unwrap();
    fs::write(format!("{out}/gen/deep/words.rs"), &words).unwrap();
    println!("cargo:rustc-env=MADE={}", words.trim());
}
RUST
  echo one >"$WORK/app/words.txt"
  turn_says one "$WORK/app"
  ran app new
  echo two >"$WORK/app/words.txt"
  again "$WORK/app"
  ran app words.txt
  run_kept app
  echo stale >"$(out_of "$WORK/app")/stale"
  echo three >"$WORK/app/words.txt"
  again "$WORK/app"
  ran app words.txt
  run_kept app
  # as if it had run in an empty OUT_DIR
  local n
  for n in two three one; do
    echo $n >"$WORK/app/words.txt"
    turn_says $n "$WORK/app"
    put app
  done
}

@test "work that is skipped since an earlier run's file is there: such a run is not kept, the next one is right" {
  script "$WORK/app" <<'RUST'
use std::{env, fs, path::Path};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let done = format!("{out}/done");
    if !Path::new(&done).exists() {
        fs::write(&done, fs::read_to_string("words.txt").unwrap()).unwrap();
    }
    println!("cargo:rustc-env=MADE={} {}", fs::read_to_string("other.txt").unwrap().trim(), fs::read_to_string(&done).unwrap().trim());
}
RUST
  echo one >"$WORK/app/words.txt"
  echo a >"$WORK/app/other.txt"
  turn_says "a one" "$WORK/app"
  ran app new
  echo b >"$WORK/app/other.txt"
  again "$WORK/app"
  ran app other.txt
  run_not_kept app "done, which an earlier run left in OUT_DIR"
  says "$WORK/app" "b one"
  turn_says "b one" "$WORK/app"
  ran app other.txt
  run_kept app
  # without the trap of an earlier run: words.txt is an input of each kept one
  echo two >"$WORK/app/words.txt"
  turn_says "b two" "$WORK/app"
  ran app words.txt
}

# bats test_tags=long
@test "a build directory as CMake's: the second run works on what is there, and is not kept; from nothing it is" {
  c_script "$WORK/app"
  cat >"$WORK/app/build.rs" <<'RUST'
use std::{env, fs, process::Command};
fn main() {
    println!("cargo:rerun-if-changed=words.c");
    let out = env::var("OUT_DIR").unwrap();
    fs::create_dir_all(format!("{out}/build")).unwrap();
    assert!(Command::new("make").args(["-s", "-f"]).arg(format!("{}/Makefile", env::current_dir().unwrap().display()))
        .arg(format!("SRC={}", env::current_dir().unwrap().display())).current_dir(format!("{out}/build")).status().unwrap().success());
    println!("cargo:rustc-link-search=native={out}/build");
    println!("cargo:rustc-link-lib=static=words");
}
RUST
  cat >"$WORK/app/Makefile" <<'MAKE'
.RECIPEPREFIX = >
libwords.a: words.o extra.o
> ar crsD $@ $^
%.o: $(SRC)/%.c $(SRC)/words.h
> cc -c -o $@ $<
MAKE
  echo 'int extra;' >"$WORK/app/extra.c"
  turn_says 1 "$WORK/app"
  ran app new
  echo '#define NUMBER 2' >"$WORK/app/words.h"
  again "$WORK/app"
  ran app words.h
  run_not_kept app "OUT_DIR"
  says "$WORK/app" 2
  turn_says 2 "$WORK/app"
  ran app words.h
  turn_says 2 "$WORK/app"
  put app
}

# bats test_tags=long
@test "output beside OUT_DIR is never kept, also where the same was there before, and wherever the package lies" {
  script "$WORK/app" <<'RUST'
use std::{env, fs};
fn main() {
    println!("cargo:rerun-if-changed=words.txt");
    let text = format!("pub const MADE: &str = {:?};\n", fs::read_to_string("words.txt").unwrap().trim());
    match env::var("HOW").unwrap().as_str() {
        "write" => fs::write("src/generated.rs", &text).unwrap(),
        "rename" => {
            fs::write("src/generated.new", &text).unwrap();
            fs::rename("src/generated.new", "src/generated.rs").unwrap();
        }
        "link" => {
            let out = env::var("OUT_DIR").unwrap();
            fs::write(format!("{out}/made.rs"), &text).unwrap();
            let _ = fs::remove_file("src/generated.rs");
            std::os::unix::fs::symlink(format!("{out}/made.rs"), "src/generated.rs").unwrap();
        }
        "beside" => {
            let out = env::var("OUT_DIR").unwrap();
            fs::write(format!("{out}/../made.rs"), &text).unwrap();
            fs::write("src/generated.rs", format!("include!({:?});", format!("{out}/../made.rs"))).unwrap();
        }
        _ => {
            if fs::read_to_string("src/generated.rs").ok().as_deref() != Some(text.as_str()) {
                fs::write("src/generated.rs", &text).unwrap();
            }
        }
    }
}
RUST
  printf 'mod generated;\nfn main() {\n    println!("{}", generated::MADE);\n}\n' >"$WORK/app/src/main.rs"
  export HOW
  for HOW in write rename link beside changed; do
    echo "one $HOW" >"$WORK/app/words.txt"
    rm -f "$WORK/app/src/generated.rs"
    clean "$WORK/app"
    cached first "$WORK/app" build
    ran app
    run_not_kept app "it "
    says "$WORK/app" "one $HOW"
    clean "$WORK/app"
    # the first run's is there
    turn_says "one $HOW" "$WORK/app"
    ran app
    [ $HOW = changed ] || run_not_kept app ""
    rm "$WORK/app/src/generated.rs"
    clean "$WORK/app"
    cached gone "$WORK/app" build
    ran app
    says "$WORK/app" "one $HOW"
  done
}

@test "a file that it leaves in a temporary directory, and one that it makes there and removes" {
  script "$WORK/app" <<'RUST'
use std::{env, fs};
fn main() {
    let tmp = env::temp_dir();
    fs::create_dir(tmp.join("work")).unwrap();
    fs::write(tmp.join("work/x"), fs::read_to_string("words.txt").unwrap()).unwrap();
    println!("cargo:rustc-env=MADE={}", fs::read_to_string(tmp.join("work/x")).unwrap().trim());
    fs::remove_dir_all(tmp.join("work")).unwrap();
}
RUST
  echo one >"$WORK/app/words.txt"
  mkdir "$WORK/tmp"
  export TMPDIR=$WORK/tmp
  as_plain one "$WORK/app" build
  says "$WORK/app" one
  echo two >"$WORK/app/words.txt"
  turn_says two "$WORK/app"
  ran app words.txt
}

# bats test_tags=long
@test "symbolic links in and out: one leads elsewhere, its end changes, one stays behind as it is" {
  script "$WORK/app" <<'RUST'
use std::{env, fs, os::unix::fs::symlink};
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR").unwrap();
    let here = env::current_dir().unwrap();
    symlink(here.join("in"), format!("{out}/to-in")).unwrap();
    symlink("../../nowhere", format!("{out}/broken")).unwrap();
    symlink(format!("{out}/data"), format!("{out}/to-data")).unwrap();
    fs::create_dir(format!("{out}/data")).unwrap();
    fs::write(format!("{out}/data/copy"), fs::read_to_string(format!("{out}/to-in/words.txt")).unwrap()).unwrap();
    println!("cargo:rustc-env=MADE={} {}", fs::read_to_string(format!("{out}/to-data/copy")).unwrap().trim(),
        fs::read_link("in").unwrap().display());
}
RUST
  mkdir "$WORK/app/one" "$WORK/app/two"
  echo 1 >"$WORK/app/one/words.txt"
  echo 1 >"$WORK/app/two/words.txt"
  ln -s one "$WORK/app/in"
  as_plain first "$WORK/app" build
  says "$WORK/app" "1 one"
  ln -sfn two "$WORK/app/in"
  turn_says "1 two" "$WORK/app"
  ran app in
  echo 2 >"$WORK/app/two/words.txt"
  turn_says "2 two" "$WORK/app"
  ran app words.txt
  ln -sfn one "$WORK/app/in"
  turn_says "1 one" "$WORK/app"
  put app
  # elsewhere the links lead to what is there
  CARGO_TARGET_DIR=$WORK/else turn_says "1 one" "$WORK/app"
  put app
  [[ "$(readlink "$WORK"/else/debug/build/*/*/to-data "$WORK"/else/debug/build/*/*/*/to-data 2>/dev/null)" = "$WORK/else/"* ]]
}

# bats test_tags=long
@test "empty files, modes, hard links; the umask" {
  script "$WORK/app" <<'RUST'
use std::{env, fs, os::unix::fs::PermissionsExt};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    for (name, mode) in [("empty", 0), ("secret", 0o600), ("run", 0o755), ("read", 0o444), ("all", 0o666), ("any", 0o777)] {
        let name = format!("{out}/{name}");
        fs::write(&name, if mode == 0 { "" } else { "#!/bin/sh\n" }).unwrap();
        if mode != 0 {
            fs::set_permissions(&name, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    fs::hard_link(format!("{out}/run"), format!("{out}/run2")).unwrap();
    fs::copy("tool", format!("{out}/copied")).unwrap();
    fs::write(format!("{out}/plain"), vec![1u8; 70000]).unwrap();
    fs::create_dir(format!("{out}/dir")).unwrap();
    fs::create_dir(format!("{out}/dir/open")).unwrap();
    fs::set_permissions(format!("{out}/dir/open"), fs::Permissions::from_mode(0o777)).unwrap();
}
RUST
  echo tool >"$WORK/app/tool"
  chmod 754 "$WORK/app/tool"
  local mask
  for mask in 022 077 002; do
    umask $mask
    turn "$WORK/app"
    ran app
    turn "$WORK/app"
    put app
  done
  umask 022
  turn "$WORK/app"
  put app
}

# bats test_tags=long
@test "what fails since an earlier run's thing is there: a directory, a link, a new file; and ar's old members" {
  c_script "$WORK/app"
  cat >"$WORK/app/build.rs" <<'RUST'
use std::{env, fs, os::unix::fs::symlink, process::Command};
fn main() {
    println!("cargo:rerun-if-changed=words.h");
    let out = env::var("OUT_DIR").unwrap();
    let n = fs::read_to_string("words.txt").unwrap();
    let path = format!("{out}/thing");
    let how = env::var("HOW").unwrap();
    let made = match how.as_str() {
        "dir" => fs::create_dir(&path).is_ok(),
        "link" => symlink(n.trim(), &path).is_ok(),
        "new" => fs::File::create_new(&path).is_ok(),
        "looks" => {
            let old = fs::metadata(&path).is_err();
            fs::write(&path, "x").unwrap();
            old
        }
        _ => {
            let member = format!("{out}/m{}.o", n.trim());
            fs::write(format!("{out}/m.c"), format!("int m{};", n.trim())).unwrap();
            assert!(Command::new("cc").args(["-c", "-o", &member]).arg(format!("{out}/m.c")).status().unwrap().success());
            assert!(Command::new("ar").arg("crsD").arg(&path).arg(&member).status().unwrap().success());
            true
        }
    };
    println!("cargo:rustc-env=MADE={made}");
}
RUST
  echo 'fn main() { println!("{}", env!("MADE")); }' >"$WORK/app/src/main.rs"
  export HOW
  for HOW in dir link new looks ar; do
    echo 1 >"$WORK/app/words.txt"
    turn_says true "$WORK/app"
    ran app
    run_kept app
    echo 2 >"$WORK/app/words.txt"
    again "$WORK/app"
    ran app words.txt
    run_not_kept app "thing, which an earlier run left in OUT_DIR"
    turn_says true "$WORK/app"
    ran app
  done
}
