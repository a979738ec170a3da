#!/usr/bin/env bats
# What a macro, or a program that it runs, asks about the machine, and what it changes that no output holds.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

APP=

# asks EXPRESSION: a program that says what the macro's expression is; C is what libc has of these.
asks() {
  APP=$WORK/app
  with_macro "$APP"
  cat >"$APP/look/src/expr.rs" <<END
{
    #[allow(dead_code)]
    mod c {
        extern "C" {
            pub fn getrlimit(which: i32, to: *mut u64) -> i32;
            pub fn gethostname(to: *mut u8, n: usize) -> i32;
            pub fn setxattr(path: *const u8, name: *const u8, value: *const u8, n: usize, flags: i32) -> i32;
        }
    }
    #[allow(dead_code)]
    fn sh(text: &str) -> String {
        String::from_utf8(std::process::Command::new("sh").args(["-c", text]).output().unwrap().stdout).unwrap().trim().to_string()
    }
    $1
}
END
}
# turns REASON FIRST SECOND COMMAND…: it says FIRST; within the command it is compiled again, for that reason, and says
# SECOND; then the first result is found.
turns() {
  local reason=$1 first=$2 second=$3
  shift 3
  cached first "$APP" build
  kept app
  says "$APP" "$first"
  clean "$APP"
  "$@" cached second "$APP" build
  missed app "$reason"
  hit look
  kept app
  says "$APP" "$second"
  clean "$APP"
  cached third "$APP" build
  all_hit
  says "$APP" "$first"
}
with_files() {
  local before status=0
  before=$(ulimit -Sn)
  ulimit -Sn "$1"
  "${@:2}" || status=$?
  ulimit -Sn "$before"
  return $status
}
on_one() {
  local before status=0
  before=$(taskset -cp $BASHPID | sed 's/.*: *//')
  taskset -cp "${before%%[,-]*}" $BASHPID >/dev/null
  "$@" || status=$?
  taskset -cp "$before" $BASHPID >/dev/null
  return $status
}

@test "a limit: by a call" {
  asks 'let mut v = [0u64; 2]; unsafe { c::getrlimit(7, v.as_mut_ptr()) }; v[0].to_string()'
  ulimit -Sn 300
  turns 'a limit (ulimit) changed' 300 200 with_files 200
}

@test "a limit: by a shell" {
  asks 'sh("ulimit -n")'
  ulimit -Sn 300
  turns 'a limit (ulimit) changed' 300 200 with_files 200
}

# bats test_tags=long
@test "how many processors: by a call, and by nproc; what does not ask is found" {
  local n
  n=$(nproc)
  [ "$n" -gt 1 ] || skip "one processor"
  asks 'std::thread::available_parallelism().unwrap().to_string()'
  turns 'the number of processors changed' "$n" 1 on_one
  asks 'sh("nproc")'
  turns 'the number of processors changed' "$n" 1 on_one
  asks '"none".to_string()'
  cached first "$APP" build
  clean "$APP"
  on_one cached second "$APP" build
  all_hit
}

@test "the machine's name" {
  unshare -u true 2>/dev/null || skip "no other name can be given here"
  asks 'let mut v = [0u8; 256]; unsafe { c::gethostname(v.as_mut_ptr(), 256) };
    String::from_utf8_lossy(&v).trim_end_matches("\0").to_string()'
  cat >"$WORK/cargo" <<END
#!/bin/sh
exec unshare -u sh -c 'hostname elsewhere; exec "\$@"' sh $(command -v cargo) "\$@"
END
  chmod +x "$WORK/cargo"
  mkdir "$WORK/bin"
  mv "$WORK/cargo" "$WORK/bin"
  elsewhere() {
    PATH=$WORK/bin:$PATH "$@"
  }
  turns 'what uname says changed' "$(uname -n)" elsewhere elsewhere
}

@test "times of directories that a shell compares; one that only looks into them hits" {
  asks 'sh("[ '"$WORK"'/a -nt '"$WORK"'/b ] && echo newer || echo older")'
  mkdir "$WORK/a" "$WORK/b"
  touch -d '2020-01-01' "$WORK/a"
  touch -d '2021-01-01' "$WORK/b"
  cached first "$APP" build
  kept app
  says "$APP" older
  clean "$APP"
  touch -d '2022-01-01' "$WORK/a"
  cached second "$APP" build
  missed app "mtime of $WORK/a changed"
  says "$APP" newer
  asks 'sh("[ -d '"$WORK"'/a ] && echo there")'
  cached looks "$APP" build
  clean "$APP"
  touch -d '2023-01-01' "$WORK/a"
  cached looks-again "$APP" build
  all_hit
}

@test "extended attributes that a macro gives a file are in no result; those that cp and install give do not count" {
  touch "$WORK/mark"
  asks 'unsafe { c::setxattr(b"'"$WORK"'/mark\0".as_ptr(), b"user.mark\0".as_ptr(), b"x".as_ptr(), 1, 0) }.to_string()'
  cached first "$APP" build
  [ "$("$APP/target/debug/app")" = 0 ] || skip "no extended attributes here"
  [[ "$(job app not_stored)" = *"it changed the extended attributes of $WORK/mark" ]]
  asks 'sh("d=$(mktemp -d) && cp -p '"$WORK"'/mark $d/one && install '"$WORK"'/mark $d/two && ls $d && rm -r $d").replace("\n", " ")'
  cached second "$APP" build
  kept app
  says "$APP" "one two"
}

@test "where the loader's cache leads a program that a macro runs" {
  local n
  unshare -m true 2>/dev/null || skip "no mounts can be made here"
  for n in one two; do
    mkdir "$WORK/$n"
    printf 'const char *word(void) { return "%s"; }\n' "$n" >"$WORK/word.c"
    cc -shared -fPIC -Wl,-soname,libdrayword.so -o "$WORK/$n/libdrayword.so" "$WORK/word.c"
  done
  printf '#include <stdio.h>\nconst char *word(void);\nint main(void) { puts(word()); }\n' >"$WORK/word.c"
  cc -o "$WORK/word" "$WORK/word.c" -L"$WORK/one" -ldrayword
  # cached_by DIR…: within, the loader's cache has these directories first
  cat >"$WORK/by" <<END
#!/bin/sh
mount --bind "$WORK/\$BY.cache" /etc/ld.so.cache && exec $(command -v cargo) "\$@"
END
  for n in one two; do
    { echo "$WORK/$n"; cat /etc/ld.so.conf /etc/ld.so.conf.d/*.conf | grep '^/'; } >"$WORK/$n.conf"
    ldconfig -X -f "$WORK/$n.conf" -C "$WORK/$n.cache"
  done
  mkdir "$WORK/bin"
  printf '#!/bin/sh\nexec unshare -m "%s" "$@"\n' "$WORK/by" >"$WORK/bin/cargo"
  chmod +x "$WORK/by" "$WORK/bin/cargo"
  asks 'String::from_utf8(std::process::Command::new("'"$WORK"'/word").output().unwrap().stdout).unwrap().trim().to_string()'
  by() {
    BY=$1 "${@:2}"
  }
  export BY=one PATH=$WORK/bin:$PATH
  turns '/etc/ld.so.cache changed' one two by two
}

@test "a worker has another name, and other processors: compiled here" {
  asks 'std::thread::available_parallelism().unwrap().to_string()'
  export DRAY_CACHE=off
  farm_start
  build first "$APP" build
  [ "$BUILD_STATUS" -eq 0 ]
  says "$APP" "$(nproc)"
  [ "$(job look where) $(job app where)" = "farm local" ]
  [[ "$(job app why)" = *"what only the user's machine says, in a macro: cpus"* ]]
}
