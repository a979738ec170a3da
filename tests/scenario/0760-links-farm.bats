#!/usr/bin/env bats
# Symbolic links in the sources, on a farm. In a job's tree a link is what it leads to, so what tells one from
# the other brings the unit home; what only follows it stays on the farm. And files are told apart by inode.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# workspace EXPRESSION…: in $WORK/ws a package p1, p2, … for each, whose library holds what the expression
# gives in a macro, where dir is the package's directory. All have the same files.
workspace() {
  local n=0 asks='' p
  APP=$WORK/ws
  mkdir -p "$APP"
  printf '[workspace]\nmembers = ["mac", "p*"]\nresolver = "2"\n' >"$APP/Cargo.toml"
  for p; do
    n=$((n + 1))
    asks+="\"p$n\" => format!(\"{:?}\", format!(\"{:?}\", { $p })),"$'\n'
    package "$APP/p$n" "p$n" lib
    sed -i '/^\[workspace\]/d' "$APP/p$n/Cargo.toml"
    depends "$APP/p$n" mac ../mac
    echo 'pub const SAID: &str = mac::ask!();' >"$APP/p$n/src/lib.rs"
    mkdir -p "$APP/p$n/files" "$APP/p$n/real/deep"
    printf text >"$APP/p$n/real/f"
    printf near >"$APP/p$n/f"
    ln -s real/f "$APP/p$n/l.txt"
    ln -s real "$APP/p$n/d"
    ln -s real/deep "$APP/p$n/deep"
    ln -s ../real/f "$APP/p$n/files/l"
    cp "$APP/p$n/f" "$APP/p$n/same"
    ln "$APP/p$n/f" "$APP/p$n/name"
    truncate -s 100000 "$APP/p$n/hole"
  done
  package "$APP/mac" mac lib
  sed -i 's/^\[workspace\]/[lib]\nproc-macro = true/' "$APP/mac/Cargo.toml"
  cat >"$APP/mac/src/lib.rs" <<END
use std::{fs, os::unix::fs::*};
#[proc_macro]
pub fn ask(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let dir = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let of = |n: &str| fs::metadata(format!("{dir}/{n}")).unwrap();
    let _ = &of;
    let text = match std::env::var("CARGO_PKG_NAME").unwrap().as_str() {
        $asks
        _ => String::new(),
    };
    text.parse().unwrap()
}
END
}
# at PACKAGE PLACE [TEXT]: that unit was compiled at PLACE, for a reason that begins with TEXT.
at() {
  [ "$(job "$1" where)" = "$2" ] && [[ "$(job "$1" why)" = ${3-}* ]] || {
    echo "$1: $(job "$1" where): $(job "$1" why)" >&2
    return 1
  }
}
built() {
  plain_build "$APP" build
  [ "$PLAIN_STATUS" -eq 0 ]
  farm_start
  build through "$APP" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$APP"
}

# bats test_tags=long
@test "what tells a link from what it leads to comes home; what follows it does not; two equal files are two" {
  workspace 'fs::canonicalize(dir.clone() + "/l.txt").unwrap().display().to_string()' \
    'fs::canonicalize(dir.clone() + "/d/f").unwrap().display().to_string()' \
    'fs::read_link(dir.clone() + "/l.txt").unwrap().display().to_string()' \
    'fs::read_dir(dir.clone() + "/files").unwrap().filter(|e| e.as_ref().unwrap().file_type().unwrap().is_symlink()).count()' \
    'fs::File::options().read(true).custom_flags(0o400000).open(dir.clone() + "/l.txt").is_ok()' \
    'fs::read_to_string(dir.clone() + "/deep/../f").unwrap()' \
    'fs::read_to_string(dir.clone() + "/l.txt").unwrap() + &fs::read_to_string(dir.clone() + "/d/f").unwrap() + &fs::read_to_string(dir.clone() + "/real/../f").unwrap() + &fs::canonicalize(dir.clone() + "/real/f").unwrap().display().to_string()' \
    '(of("f").ino() == of("same").ino(), of("f").ino() == of("name").ino(), of("same").nlink(), of("hole").blocks())'
  built
  at p1 local "needs the symbolic link $APP/p1/l.txt"
  at p2 local "needs the symbolic link $APP/p2/d"
  at p3 local "needs the symbolic link $APP/p3/l.txt"
  at p4 local "needs the symbolic link $APP/p4/files/l"
  at p5 local "needs the symbolic link $APP/p5/l.txt"
  at p6 local "needs the symbolic link $APP/p6/deep"
  at p7 farm
  at p8 farm
}

@test "a module's directory that is a link: what is above it is above what it leads to" {
  APP=$WORK/app
  package "$APP" app
  mkdir -p "$APP/shared/gen"
  echo 'pub const X: &str = include_str!("../data.txt");' >"$APP/shared/gen/mod.rs"
  printf shared >"$APP/shared/data.txt"
  ln -s ../shared/gen "$APP/src/gen"
  echo 'mod gen; fn main() { println!("{}", gen::X); }' >"$APP/src/main.rs"
  built
  at app local "needs the symbolic link $APP/src/gen"
}

@test "sources and a target directory behind links are built on the farm" {
  APP=$WORK/app
  package "$APP" app
  echo 'fn main() { println!("cargo:rustc-env=BUILT=yes"); }' >"$APP/build.rs"
  echo 'fn main() { println!("{} {}", env!("BUILT"), include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README"))); }' \
    >"$APP/src/main.rs"
  mkdir "$APP/sources" "$WORK/made"
  mv "$APP/src" "$APP/sources/src"
  ln -s sources/src "$APP/src"
  ln -s ../made "$APP/target"
  printf read >"$APP/sources/README"
  ln -s sources/README "$APP/README"
  (cd "$APP" && cargo build) >"$LOGS/plain.out" 2>"$LOGS/plain.err"
  mv "$WORK/made" "$BATS_TEST_TMPDIR/plain-made"
  mkdir "$WORK/made"
  farm_start
  build through "$APP" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_made "$BATS_TEST_TMPDIR/plain-made/debug" "$WORK/made/debug"
  jobs_all '.where == "farm"'
}
