#!/usr/bin/env bats
# What a macro asks of a file on a worker is answered as at home, and is an input of what the farm made.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/stamps.bash"

# on_farm LABEL: as plain cargo makes it, app on a worker.
on_farm() {
  both "$1" "$APP" build
  [ "$(job app where)" = farm ] || { show_cache; return 1; }
}

# bats test_tags=long
@test "by path and by descriptor, of files and directories" {
  stamps 'use std::os::unix::fs::PermissionsExt;
    let _ = text;
    fn say(m: &std::fs::Metadata) -> String {
        format!("{}.{} {} {:o} {} {} {} {}", m.mtime(), m.mtime_nsec(), m.ctime(), m.permissions().mode(), m.uid(), m.gid(), m.len(), m.file_type().is_dir())
    }
    let dir = path.replace("asset.txt", "assets");
    let mut said: Vec<String> = [std::fs::metadata(&path), std::fs::symlink_metadata(&path), std::fs::File::open(&path).unwrap().metadata(),
        std::fs::metadata(&dir).map(|m| m)].into_iter().map(|m| { let m = m.unwrap(); if m.is_dir() { format!("{} {:o} {}", m.mtime(), m.mode(), m.uid()) } else { say(&m) } }).collect();
    let mut entries: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| { let e = e.unwrap(); format!("{:?} {}", e.file_name(), say(&e.metadata().unwrap())) }).collect();
    entries.sort();
    said.extend(entries);
    said.join("; ")'
  mkdir -m 750 "$APP/assets"
  echo one >"$APP/assets/one.txt"
  echo two >"$APP/assets/two.txt"
  chmod 600 "$APP/assets/one.txt"
  chmod 755 "$APP/assets/two.txt"
  [ "$(id -u)" != 0 ] || chown 12345:23456 "$APP/assets/two.txt"
  touch -d '1965-03-04 05:06:07.089 UTC' "$APP/assets/one.txt"
  touch -d '2019-01-02 00:00:00 UTC' "$APP/assets"
  farm_start
  on_farm first
  kill_hard "$COORDINATOR_PID"
  kill_hard "$WORKER_PID"
  clean "$APP"
  cached hit "$APP" build
  all_hit
  chmod 640 "$APP/assets/one.txt"
  both mode "$APP" build
  missed app "mode of $APP/assets/one.txt changed"
  touch -d '2021-01-01 00:00:00 UTC' "$APP/asset.txt"
  both time "$APP" build
  missed app "mtime of $APP/asset.txt changed"
}

@test "what a worker cannot show brings the unit home: a symbolic link, whether a file may be run" {
  stamps 'let _ = text; extern "C" { fn access(path: *const std::ffi::c_char, mode: i32) -> i32; }
    let l = std::fs::symlink_metadata(path.replace("asset", "link")).unwrap().file_type().is_symlink();
    let p = std::ffi::CString::new(path.clone()).unwrap();
    format!("{} {}", l, unsafe { access(p.as_ptr(), 1) })'
  ln -s asset.txt "$APP/link.txt"
  chmod 755 "$APP/asset.txt"
  farm_start
  both first "$APP" build
  says "$APP" "true 0"
  [ "$(job app where)" = local ]
  chmod 644 "$APP/asset.txt"
  both mode "$APP" build
  missed app "mode of $APP/asset.txt changed"
}

# bats test_tags=long
@test "times that nothing depends on stop to count for what the farm makes" {
  stamps 'let _ = std::fs::metadata(&path).unwrap().modified(); text'
  farm_start
  on_farm first
  fresh_checkout
  cached fresh "$APP" build
  missed app 'asset.txt changed'
  [ "$(job app where)" = farm ]
  fresh_checkout
  cached fresher "$APP" build
  all_hit
}
