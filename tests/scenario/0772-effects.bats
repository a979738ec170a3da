#!/usr/bin/env bats
# What a macro leaves behind beside the outputs: a build from the cache must leave the same.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# state: all that is in dir.
state() {
  (cd "$WORK/dir" && stat -c '%n %F %a %u %Y %s' file)
}

# effect NAME STATEMENT: a macro that does STATEMENT to dir/file. It is made anew for a plain build, and twice for one
# through dray, and must be the same after each.
effect() {
  local how
  printf '{\n    #[allow(unused_imports)] use std::{fs, os::unix::fs::*};\n    let dir = "%s";\n    %s\n    String::new()\n}\n' \
    "$WORK/dir" "$2" >"$WORK/app/look/src/expr.rs"
  for how in plain first again; do
    clean "$WORK/app"
    rm -rf "$WORK/dir"
    mkdir "$WORK/dir"
    echo text >"$WORK/dir/file"
    chmod 644 "$WORK/dir/file"
    touch -d @1000 "$WORK/dir/file"
    if [ "$how" = plain ]; then
      (cd "$WORK/app" && env -u RUSTC_WRAPPER cargo build -q) 3>&-
      state >"$WORK/plain-state"
    else
      cached "$1-$how" "$WORK/app" build
      state | diff "$WORK/plain-state" - || { show_cache; return 1; }
    fi
  done
}

# bats test_tags=long
@test "mode, owner and times of a file, by its path" {
  with_macro "$WORK/app"
  (cd "$WORK/app" && cargo generate-lockfile -q)
  effect mode 'fs::set_permissions(format!("{dir}/file"), fs::Permissions::from_mode(0o755)).unwrap();'
  effect times 'extern "C" { fn utimes(p: *const i8, t: *const [i64; 4]) -> i32; }
    unsafe { utimes(format!("{dir}/file\0").as_ptr().cast(), &[5000, 0, 5000, 0]); }'
  [ "$(id -u)" != 0 ] || effect owner 'std::os::unix::fs::chown(format!("{dir}/file"), Some(1), Some(1)).unwrap();'
  # of what the macro made itself and removed again it is no reason
  effect own 'let own = std::env::temp_dir().join(format!("dray-test-{}", std::process::id()));
    fs::write(&own, "x").unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(&own).unwrap();'
  hit app
}
