#!/usr/bin/env bats
# Sources in an image of a file system that was made with fixed times (squashfs, erofs, a layer of a container): the
# next image has the same device, inodes, sizes and times.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# image NAME TEXT: $WORK/NAME.img, with TEXT in lib.rs, all its times those of 2020.
image() {
  local field
  mkdir "$WORK/$1"
  printf '%s' "$2" >"$WORK/$1/lib.rs"
  touch -d @1577836800 "$WORK/$1/lib.rs"
  mke2fs -q -t ext4 -I 256 -d "$WORK/$1" "$WORK/$1.img" 2M >>"$LOGS/mke2fs" 2>&1
  for field in ctime mtime; do
    debugfs -w -R "set_inode_field /lib.rs $field 20200101000000" "$WORK/$1.img" >>"$LOGS/mke2fs" 2>&1
    debugfs -w -R "set_inode_field /lib.rs ${field}_extra 0" "$WORK/$1.img" >>"$LOGS/mke2fs" 2>&1
  done
}
# with IMAGE COMMAND…: with it mounted on $WORK/image, in a mount namespace, so that it is gone with the command.
with() {
  unshare -m sh -c 'mount -o loop,ro "$1" "$2" && shift 2 && exec "$@"' sh "$WORK/$1.img" "$WORK/image" "${@:2}" 3>&-
}
identity() {
  with "$1" stat -c '%d %i %s %.9Y %.9Z' "$WORK/image/lib.rs"
}

@test "another image in the first one's place" {
  [ "$(id -u)" = 0 ] && command -v mke2fs debugfs >/dev/null || skip "needs root, mke2fs and debugfs"
  mkdir -p "$WORK/image" "$WORK/app/src"
  image one 'pub const V: &str = "one";'
  image two 'pub const V: &str = "two";'
  identity one || skip "no loop device"
  [ "$(identity one)" = "$(identity two)" ] || skip "the two have different devices"
  printf '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n' >"$WORK/app/Cargo.toml"
  printf '#[path = "%s"]\nmod lib;\nfn main() { println!("{}", lib::V); }\n' "$WORK/image/lib.rs" >"$WORK/app/src/main.rs"
  cd "$WORK/app"
  for name in one two one; do
    clean "$WORK/app"
    with "$name" cargo build -q
    [ "$(target/debug/app)" = "$name" ] || { show_cache; return 1; }
  done
  hit app
}
