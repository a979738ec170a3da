#!/usr/bin/env bats
# What a compile depends on and no file says: variables that nobody is seen to ask for by name, the time, random
# numbers.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# depends_on VAR ONE TWO: look!() is as the variable says, and a hit where that is as it was.
depends_on() {
  export "$1=$2"
  clean "$app"
  once_and_again first "$app" build
  says "$app" "$2"
  export "$1=$3"
  clean "$app"
  cached second "$app" build
  says "$app" "$3"
  unset "$1"
}
# runs PROGRAM ARG…: look!() is what the program prints.
runs() {
  local program=$1 args=
  shift
  [ $# -eq 0 ] || args=$(printf 'r#"%s"#,' "$@")
  echo "String::from_utf8(std::process::Command::new(r\"$program\").args([$args] as [&str; $#]).output().unwrap().stdout).unwrap().trim().to_string()" \
    >"$app/look/src/expr.rs"
}

@test "a macro walks the whole environment, or reads it from /proc, and takes a variable of the user's" {
  app=$WORK/app
  with_macro "$app"
  [[ "$(rustc -V)" =~ ^rustc\ 1\.([0-9]+) ]]
  if [ "${BASH_REMATCH[1]}" -ge 95 ]; then
    echo 'std::env::vars().find(|(k, _)| k == "OF_THE_USER").map(|(_, v)| v).unwrap_or_default()' >"$app/look/src/expr.rs"
    depends_on OF_THE_USER one two
  fi
  echo '{ let all = std::fs::read("/proc/self/environ").unwrap(); let all = String::from_utf8_lossy(&all).into_owned();
    all.split(char::from(0)).find_map(|v| v.strip_prefix("OF_THE_USER=")).unwrap_or("").to_string() }' >"$app/look/src/expr.rs"
  depends_on OF_THE_USER one two
}

@test "a macro preprocesses C: where its headers are, and the time" {
  app=$WORK/app
  with_macro "$app"
  mkdir "$WORK/one" "$WORK/two"
  echo 'one' >"$WORK/one/header.h"
  echo 'two' >"$WORK/two/header.h"
  echo '#include <header.h>' >"$WORK/x.c"
  runs gcc -E -P "$WORK/x.c"
  export CPATH=$WORK/one
  once_and_again first "$app" build
  says "$app" one
  export CPATH=$WORK/two
  clean "$app"
  cached second "$app" build
  says "$app" two
  echo '__TIME__' >"$WORK/x.c"
  clean "$app"
  cached time "$app" build
  [[ "$(job app not_stored)" = *"a C compiler may have put the time into"* ]] || { show_cache; false; }
}

# bats test_tags=long
@test "a run of a CI is named in a script that is included, in a module, and in a program" {
  app=$WORK/app
  with_macro "$app"
  echo ". $WORK/part.sh" >"$WORK/whole.sh"
  echo 'echo $GITHUB_RUN_ID' >"$WORK/part.sh"
  runs sh "$WORK/whole.sh"
  depends_on GITHUB_RUN_ID 1 2
  printf '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { puts(getenv("GITHUB_RUN_ID")); return 0; }\n' >"$WORK/x.c"
  cc -o "$WORK/says-run" "$WORK/x.c"
  runs "$WORK/says-run"
  depends_on GITHUB_RUN_ID 1 2
  command -v python3 >/dev/null || skip "there is no python3"
  printf 'import part\nprint(part.run)\n' >"$WORK/whole.py"
  printf 'import os\nrun = os.environ.get("GITHUB_RUN_ID")\n' >"$WORK/part.py"
  runs python3 "$WORK/whole.py"
  depends_on GITHUB_RUN_ID 1 2
  # the module is compiled by now, and its source is not read
  runs python3 "$WORK/whole.py" again
  depends_on GITHUB_RUN_ID 3 4
}

# bats test_tags=long
@test "the time and random numbers, in a macro: not kept, and said; a hash table's seed is kept" {
  app=$WORK/app
  with_macro "$app"
  local expr why
  while IFS='|' read -r expr why; do
    echo "$expr" >"$app/look/src/expr.rs"
    clean "$app"
    cached first "$app" build
    [[ "$(job app not_stored)" = *"$why" ]] || { show_cache; false; }
    kept look
  done <<'END'
format!("{:?}", std::time::SystemTime::now())|a macro asked for the time
{ extern "C" { fn time(p: *mut i64) -> i64; } unsafe { time(std::ptr::null_mut()) }.to_string() }|a macro asked for the time
{ extern "C" { fn getrandom(p: *mut u8, n: usize, flags: u32) -> isize; } let mut b = [0u8; 8]; unsafe { getrandom(b.as_mut_ptr(), 8, 0) }; format!("{b:?}") }|a macro asked for random numbers
{ extern "C" { fn syscall(n: i64, ...) -> i64; } let mut b = [0u8; 8]; unsafe { syscall(if cfg!(target_arch = "x86_64") { 318 } else { 278 }, b.as_mut_ptr(), 8, 0) }; format!("{b:?}") }|a macro asked for random numbers
{ use std::io::Read; let mut b = [0u8; 8]; std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut b).unwrap(); format!("{b:?}") }|a macro asked for random numbers
END
  echo '{ let mut m = std::collections::HashMap::new(); m.insert(1, std::time::Instant::now()); m.len().to_string() }' >"$app/look/src/expr.rs"
  clean "$app"
  once_and_again table "$app" build
  says "$app" 1
}

# libc's own getenv is behind none of ours
# bats test_tags=long
@test "libc asks by itself for a macro: the time zone, the locale, the home" {
  with_macro "$WORK/app"
  cat >"$WORK/app/look/src/expr.rs" <<'END'
{
    use std::ffi::{c_char, c_int, c_void, CStr};
    extern "C" {
        fn localtime_r(t: *const i64, to: *mut [c_int; 16]) -> *mut c_void;
        fn setlocale(category: c_int, locale: *const c_char) -> *const c_char;
        fn glob(pattern: *const c_char, flags: c_int, failed: *const c_void, to: *mut [usize; 16]) -> c_int;
    }
    let (mut tm, mut found) = ([0; 16], [0usize; 16]);
    unsafe {
        localtime_r(&0, &mut tm);
        let locale = setlocale(6, c"".as_ptr());
        glob(c"~".as_ptr(), 1 << 12, std::ptr::null(), &mut found);
        let home = *(found[1] as *const *const c_char);
        format!("{} {} {}", tm[2], CStr::from_ptr(locale).to_str().unwrap(), CStr::from_ptr(home).to_str().unwrap())
    }
}
END
  (cd "$WORK/app" && cargo generate-lockfile -q)
  mkdir "$WORK/home"
  export TZ=UTC LC_ALL=C RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
  local home=$HOME
  cached first "$WORK/app" build
  says "$WORK/app" "0 C $home"
  for change in TZ=XXX5 LC_ALL=C.UTF-8 HOME="$WORK/home"; do
    clean "$WORK/app"
    export "${change?}"
    both "${change%%=*}" "$WORK/app" build
    missed app "variable ${change%%=*} changed"
  done
  says "$WORK/app" "19 C.UTF-8 $WORK/home"
  clean "$WORK/app"
  cached again "$WORK/app" build
  all_hit
}
