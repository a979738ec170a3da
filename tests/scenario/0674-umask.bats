#!/usr/bin/env bats
# What is put in place has the modes that this build's umask gives, whatever umask it was kept under.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# A program with a build script, and a library of every type.
project() {
  APP=$WORK/app
  package "$APP" app
  printf '\n[lib]\ncrate-type = ["rlib", "cdylib", "staticlib"]\n' >>"$APP/Cargo.toml"
  echo '#[no_mangle] pub extern "C" fn f() -> u32 { 7 }' >"$APP/src/lib.rs"
  echo 'fn main() { println!("cargo:rustc-env=BUILT=yes"); }' >"$APP/build.rs"
  (cd "$APP" && cargo generate-lockfile -q)
}
# modes DIR: of all that a build left there, directories too; cargo's own notes and what only dray has left out.
modes() {
  (cd "$1" && find . \( -type f -o -type d \) ! -path '*/.fingerprint*' ! -name .rustc_info.json \
    ! -name invoked.timestamp ! -name output ! -name root-output ! -name stderr -printf '%m %y %P\n' | sort -k3)
}
# truth UMASK…: what plain cargo makes under each.
truth() {
  local mask
  for mask in "$@"; do
    clean "$APP"
    (umask "$mask" && cd "$APP" && env -u RUSTC_WRAPPER cargo build -q 3>&-)
    modes "$APP/target" >"$WORK/modes-$mask"
    clean "$APP"
  done
}
# under UMASK LABEL: as plain cargo's.
under() {
  local mask
  mask=$(umask)
  clean "$APP"
  umask "$1"
  cached "$2" "$APP" build
  umask "$mask"
  diff "$WORK/modes-$1" <(modes "$APP/target")
}
# Nobody else can reach a blob.
blobs_are_private() {
  [ "$(find "$DRAY_CACHE_DIR/blobs" "$DRAY_CACHE_DIR/entries" "$DRAY_CACHE_DIR/tmp" -maxdepth 0 -printf '%m\n' | sort -u)" = 700 ]
  [ -z "$(find "$DRAY_CACHE_DIR/blobs" -type f -perm /0002)" ]
}

# bats test_tags=long
@test "a hit has this umask's modes" {
  project
  truth 000 022 027 077
  under 022 first
  all_missed
  for mask in 077 000 027 022; do
    under "$mask" "hit-$mask"
    all_hit
    blobs_are_private
  done
  (cd "$APP" && target/debug/app)
  # the other way round
  rm -rf "$DRAY_CACHE_DIR"
  under 000 open
  all_missed
  blobs_are_private
  under 077 closed
  all_hit
  under 000 open-again
  all_hit
  blobs_are_private
}

@test "two checkouts that share a library's blob keep their own modes" {
  project
  truth 022 077
  umask 022
  cached one "$APP" build
  cp -a "$APP/target" "$WORK/copy" # the names of one inode stay together in the first
  modes "$APP/target" >"$WORK/before"
  umask 077
  CARGO_TARGET_DIR=$WORK/other cached two "$APP" build
  all_hit
  diff "$WORK/modes-077" <(modes "$WORK/other")
  diff "$WORK/before" <(modes "$APP/target")
}

# bats test_tags=long
@test "the farm's outputs, what is linked of a bundle, and their hits" {
  project
  truth 022 077 002
  farm_start
  under 077 farm
  all_missed
  jobs_all '.where == "farm"'
  kill_hard "$COORDINATOR_PID"
  kill_hard "$WORKER_PID"
  under 022 hit
  all_hit
  command -v mold >/dev/null || return 0
  # another linker: the bundle is linked again, under another umask
  export DRAY_LINKER=mold
  under 002 bundle
  jobs_all '.cache == "hit" or .cache == "bundle"'
  [ "$(job build_script_build cache)" = bundle ]
  under 077 bundle-hit
  all_hit
}

# groups_of DIR: mode, owner and group of all that a build left there.
groups_of() {
  (cd "$1" && find . -type f ! -path '*/.fingerprint*' ! -name .rustc_info.json ! -name invoked.timestamp ! -name output \
    ! -name root-output ! -name stderr -printf '%m %U %G %P\n' | sort -k4)
}
# as_plainly LABEL: what is made in the package's directory as it is now.
as_plainly() {
  clean "$APP"
  (cd "$APP" && env -u RUSTC_WRAPPER cargo build -q 3>&-)
  groups_of "$APP/target" >"$WORK/plain-groups"
  clean "$APP"
  cached "$1" "$APP" build
  diff "$WORK/plain-groups" <(groups_of "$APP/target")
}

# bats test_tags=long
@test "a directory that gives what is made in it a group, or an access list" {
  project
  as_plainly first
  if [ "$(id -u)" = 0 ] && chgrp 1 "$APP" && chmod g+s "$APP"; then
    as_plainly group
    all_hit
    rm -rf "$DRAY_CACHE_DIR"
    as_plainly group-first
    chmod g-s "$APP"
    as_plainly no-group
    all_hit
    # its file in the cache has another owner now
    find_made "$APP/target/debug" '*.rlib' | xargs chown 1
    as_plainly owner
    all_hit
  fi
  cat >"$WORK/acl.rs" <<'END'
extern "C" { fn setxattr(path: *const i8, name: *const i8, value: *const u8, n: usize, flags: i32) -> i32; }
// user::rwx user:1:rwx group::r-x mask::rwx other::---
fn main() {
    let path = std::env::args().nth(1).unwrap() + "\0";
    let mut acl = 2u32.to_le_bytes().to_vec();
    for (tag, may, id) in [(1u16, 7u16, !0u32), (2, 7, 1), (4, 5, !0), (16, 7, !0), (32, 0, !0)] {
        acl.extend([&tag.to_le_bytes()[..], &may.to_le_bytes(), &id.to_le_bytes()].concat());
    }
    let r = unsafe { setxattr(path.as_ptr().cast(), c"system.posix_acl_default".as_ptr().cast(), acl.as_ptr(), acl.len(), 0) };
    std::process::exit(r.abs());
}
END
  rustc --edition 2021 -o "$WORK/acl" "$WORK/acl.rs"
  "$WORK/acl" "$APP" || skip "no access lists on this file system"
  as_plainly acl
  all_hit
  [ "$(stat -c %a "$APP/target/debug/app")" = 770 ]
  rm -rf "$DRAY_CACHE_DIR"
  as_plainly acl-first
  # elsewhere they do not have it
  mkdir "$WORK/other"
  export CARGO_TARGET_DIR=$WORK/other/target
  as_plainly elsewhere
  all_hit
}
