#!/usr/bin/env bats
# Extended attributes that a macro, or a program that it runs, asks for: the answer is an input here, also that
# there is none; a worker does not have them.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/stamps.bash"

# xattr FILE: what user.mark is; xattr FILE VALUE: sets it; xattr FILE VALUE NAME: another one.
xattr_program() {
  XATTR=$WORK/xattr
  cat >"$XATTR.c" <<'END'
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
int main(int argc, char **argv)
{
  char v[64];
  ssize_t n;
  if (argc > 2)
    return setxattr(argv[1], argc > 3 ? argv[3] : "user.mark", argv[2], strlen(argv[2]), 0) != 0;
  n = getxattr(argv[1], "user.mark", v, sizeof(v));
  printf("%.*s", n < 0 ? 4 : (int)n, n < 0 ? "none" : v);
  return 0;
}
END
  cc -o "$XATTR" "$XATTR.c"
  echo x >"$WORK/trial"
  "$XATTR" "$WORK/trial" x || skip "no extended attributes here"
}
# asks: a macro that says a.txt's user.mark by the path, b.txt's by its descriptor, c.txt's as the program sees it,
# and the names of d.txt's.
asks() {
  xattr_program
  stamps 'use std::os::fd::AsRawFd; use std::ffi::{CString, c_char, c_int};
    extern "C" {
        fn lgetxattr(p: *const c_char, n: *const c_char, v: *mut u8, s: usize) -> isize;
        fn fgetxattr(f: c_int, n: *const c_char, v: *mut u8, s: usize) -> isize;
        fn listxattr(p: *const c_char, v: *mut u8, s: usize) -> isize;
    }
    let _ = text;
    let at = |name: &str| path.replace("asset", name);
    let c = |s: &str| CString::new(s).unwrap();
    let mark = c("user.mark");
    let said = |v: &[u8], n: isize| if n < 0 { "none".to_string() } else { String::from_utf8_lossy(&v[..n as usize]).replace("\0", ";") };
    let (mut v, mut w, mut l) = ([0u8; 64], [0u8; 64], [0u8; 256]);
    let file = std::fs::File::open(at("b")).unwrap();
    let n = unsafe { lgetxattr(c(&at("a")).as_ptr(), mark.as_ptr(), v.as_mut_ptr(), 64) };
    let m = unsafe { fgetxattr(file.as_raw_fd(), mark.as_ptr(), w.as_mut_ptr(), 64) };
    let k = unsafe { listxattr(c(&at("d")).as_ptr(), l.as_mut_ptr(), 256) };
    let ran = std::process::Command::new("'"$XATTR"'").arg(at("c")).output().unwrap().stdout;
    format!("{} {} {} {}", said(&v, n), said(&w, m), String::from_utf8(ran).unwrap(), said(&l, k))'
  for name in a b c d; do echo "$name" >"$APP/$name.txt"; done
}

# bats test_tags=long
@test "by path, by descriptor, by a program, and their names" {
  asks
  again first
  kept app
  says "$APP" "none none none "
  clean "$APP"
  cached hit "$APP" build
  all_hit
  for name in a b c; do
    "$XATTR" "$APP/$name.txt" one
    again "$name"
    missed app "extended attributes of $APP/$name.txt changed"
  done
  says "$APP" "one one one "
  "$XATTR" "$APP/d.txt" "" user.name
  again names
  missed app "extended attributes of $APP/d.txt changed"
  says "$APP" "one one one user.name;"
  "$XATTR" "$APP/a.txt" two
  again value
  says "$APP" "two one one user.name;"
  clean "$APP"
  cached hit-again "$APP" build
  all_hit
}

# They look whether there is an access list, a label or a capability; there is none, and that is no reason.
@test "ls, cp and install in a macro do not keep a unit from the cache" {
  stamps 'let sh = std::process::Command::new("sh").arg("-c").arg(format!(
        "cd \"$TMPDIR\" && cp -p {0} c && install {0} i && ls -l c >/dev/null && cat c i && rm c i", path)).output().unwrap();
    let _ = text; String::from_utf8(sh.stdout).unwrap()'
  export TMPDIR=$WORK/tmp
  mkdir "$TMPDIR"
  again first
  kept app
  says "$APP" logologo
  clean "$APP"
  cached hit "$APP" build
  all_hit
}

# bats test_tags=long
@test "a worker has none of the client's: the unit comes home" {
  asks
  "$XATTR" "$APP/a.txt" far
  sed -i '/Command/s/.*/let ran = vec![b0];/; s/b0/b'"'"'x'"'"'/' "$APP/look/src/expr.rs"
  farm_start
  both first "$APP" build
  says "$APP" "far none x "
  [ "$(job app where)" = local ]
  [[ "$(job app why)" = *"the extended attributes of $APP/a.txt" ]] || { job app why >&2; return 1; }
  # by a descriptor alone
  sed -i 's/let n = unsafe.*/let n = 0;/; s/let k = unsafe.*/let k = 0;/' "$APP/look/src/expr.rs"
  both descriptor "$APP" build
  [ "$(job app where)" = local ]
}
