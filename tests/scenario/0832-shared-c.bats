#!/usr/bin/env bats
# paths = shared, and C: what a build script's compilers write of places in debug information.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# A program whose script makes a header in OUT_DIR, compiles C with it (CFLAGS as given), and makes a library.
with_c() {
  package "$1" app
  mkdir -p "$1/c"
  printf '#include "made.h"\nint answer(void) { return MADE; }\n' >"$1/c/answer.c"
  cat >"$1/build.rs" <<'END'
use std::process::Command;
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    let flags = std::env::var("CFLAGS").unwrap_or("-g".into());
    std::fs::create_dir_all(format!("{out}/include")).unwrap();
    std::fs::write(format!("{out}/include/made.h"), "#define MADE made()\nstatic inline int made(void) { return 42; }\n").unwrap();
    let cc = std::env::var("CC").unwrap_or("cc".into());
    let object = format!("{out}/answer.o");
    let mut c = Command::new(cc.split(' ').next().unwrap());
    c.args(cc.split(' ').skip(1)).args(flags.split(' ')).arg("-I").arg(format!("{out}/include"));
    assert!(c.args(["-c", "c/answer.c", "-o", &object]).status().unwrap().success());
    assert!(Command::new("ar").args(["crs", &format!("{out}/libanswer.a"), &object]).status().unwrap().success());
    println!("cargo:rustc-link-search=native={out}");
    println!("cargo:rustc-link-lib=static=answer");
    println!("cargo:rerun-if-env-changed=CFLAGS");
    println!("cargo:rerun-if-changed=c");
}
END
  printf 'extern "C" {\n    fn answer() -> i32;\n}\nfn main() {\n    println!("{}", unsafe { answer() });\n}\n' >"$1/src/main.rs"
  (cd "$1" && cargo generate-lockfile -q)
}
scenario_setup() {
  export RUSTC_WRAPPER=$DRAY DRAY_CACHE=on DRAY_SCRIPTS=on DRAY_PATHS=shared
  unset CC CFLAGS
  seed_client
}
object() {
  find "$1/target/debug/build" -name answer.o
}
# run_missed REASON: the script ran in the last build.
run_missed() {
  jq -r 'select(.kind == "script-run") | "\(.cache) \(.cache_why)"' "$JOBS" | grep -F "miss " | grep -qF "$1" || { show_cache; return 1; }
}
# names_place DIR: its object tells where it was made.
names_place() {
  grep -qF "$1" "$(object "$1")"
}

@test "objects with debug information are found from another checkout, and name neither" {
  with_c "$WORK/one"
  mkdir "$WORK/deeper"
  cp -R "$WORK/one" "$WORK/deeper/two"
  cached first "$WORK/one" build
  all_missed
  fails names_place "$WORK/one"
  grep -qF /cargo/build-dir/debug/build/ "$(object "$WORK/one")"
  cached second "$WORK/deeper/two" build
  all_hit
  cmp "$(object "$WORK/one")" "$(object "$WORK/deeper/two")"
  [ "$("$WORK/deeper/two/target/debug/app")" = 42 ]
  # a header of the checkout counts as ever
  echo 'int unused;' >>"$WORK/deeper/two/c/answer.c"
  cached edited "$WORK/deeper/two" build
  run_missed 'c/answer.c'
  "$DRAY" verify --json | jq -e ".runs_verified > 0 and .differ == []"
}

@test "it is what a compiler does that is told so, and nothing else of the object" {
  with_c "$WORK/one"
  cached first "$WORK/one" build
  cp "$(object "$WORK/one")" "$WORK/mapped.o"
  clean "$WORK/one"
  export CFLAGS="-fdebug-prefix-map=$WORK/one=. -fdebug-prefix-map=$WORK/one/target=/cargo/build-dir -g"
  RUSTC_WRAPPER='' plain_build "$WORK/one" build
  cmp "$WORK/mapped.o" "$(find "$BATS_TEST_TMPDIR/plain-target" -name answer.o)"
}

@test "paths = exact, and no debug information: the compiler gets no word more" {
  with_c "$WORK/one"
  mkdir "$WORK/bin"
  printf '#!/bin/sh\nprintf "%%s\\n" "$*" >>%s\nexec %s "$@"\n' "$WORK/calls" "$(command -v cc)" >"$WORK/bin/cc"
  chmod +x "$WORK/bin/cc"
  PATH=$WORK/bin:$PATH DRAY_PATHS=exact cached exact "$WORK/one" build
  fails grep -q prefix-map "$WORK/calls"
  names_place "$WORK/one"
  PATH=$WORK/bin:$PATH CFLAGS=-O1 cached none "$WORK/one" build
  fails grep -q prefix-map "$WORK/calls"
  PATH=$WORK/bin:$PATH cached shared "$WORK/one" build
  grep -q prefix-map "$WORK/calls"
  # told once, though a script stands between
  PATH=$WORK/bin:$PATH
  [ "$(grep -o "prefix-map=$WORK/one/target=" "$WORK/calls" | wc -l)" -eq 1 ]
}

@test "a call with a mapping of the user's own is left as it is" {
  with_c "$WORK/one"
  CFLAGS="-g -fdebug-prefix-map=$WORK/one/target=/mine" cached own "$WORK/one" build
  grep -qF /mine/debug/build/ "$(object "$WORK/one")"
  fails grep -qF /cargo/build-dir "$(object "$WORK/one")"
}

@test "what __FILE__ tells ties the run to its place" {
  with_c "$WORK/one"
  printf '#define MADE made()\n' >"$WORK/keep"
  sed -i 's/return 42; }/const char *volatile f = __FILE__; return *f == 47; }/' "$WORK/one/build.rs"
  cp -R "$WORK/one" "$WORK/two"
  cached first "$WORK/one" build
  names_place "$WORK/one"
  cached second "$WORK/two" build
  run_missed 'the out-dir is in the outputs'
  names_place "$WORK/two"
}

@test "a compiler cache's objects are not told: it would give them to others" {
  command -v ccache >/dev/null || skip "no ccache"
  with_c "$WORK/one"
  export CC="ccache $(command -v gcc)" CCACHE_DIR=$WORK/ccache
  cached first "$WORK/one" build
  fails grep -qF /cargo/build-dir "$(object "$WORK/one")"
  clean "$WORK/one"
  RUSTC_WRAPPER='' plain_build "$WORK/one" build
  fails grep -qF /cargo/build-dir "$(find "$BATS_TEST_TMPDIR/plain-target" -name answer.o)"
}

@test "a program of the tree finds no variable of the mapping's" {
  with_c "$WORK/one"
  sed -i 's/fn main() {/fn main() {\n    assert!(std::env::vars().all(|(k, _)| !k.starts_with("dr_")));\n    let shell = std::process::Command::new("sh").args(["-c", "env"]).output().unwrap();\n    assert!(!String::from_utf8_lossy(\&shell.stdout).contains("PREFIX_MAP"));/' "$WORK/one/build.rs"
  cached first "$WORK/one" build
  fails names_place "$WORK/one"
}

@test "a header beside the checkout under a longer name is named as the checkout is, there alone" {
  with_c "$WORK/one"
  mkdir "$WORK/one-include"
  printf 'static inline int more(void) { return 1; }\n' >"$WORK/one-include/more.h"
  sed -i '1i #include "more.h"' "$WORK/one/c/answer.c"
  sed -i 's/return MADE/return more() + MADE/' "$WORK/one/c/answer.c"
  cp -R "$WORK/one" "$WORK/two"
  export CFLAGS="-g -I$WORK/one-include"
  cached first "$WORK/one" build
  cached second "$WORK/two" build
  run_missed 'the out-dir is in the outputs'
  grep -qF "$WORK/one-include" "$(object "$WORK/two")"
}

@test "cargo's home beside the target directory under a longer name" {
  with_c "$WORK/home/app"
  export CARGO_HOME=$WORK/home CFLAGS=-g
  for target in "$WORK/ho" "$WORK/other"; do
    CARGO_TARGET_DIR=$target cached "$(basename "$target")" "$WORK/home/app" build
  done
  run_missed 'the out-dir is in the outputs'
  grep -qF "$WORK/home/app" "$WORK/other"/debug/build/*/out/answer.o
}

@test "a compiler that works above OUT_DIR names the profile's directory" {
  with_c "$WORK/one"
  echo 'int answer(void) { return 42; }' >"$WORK/one/c/answer.c"
  sed -i 's#let mut c = #let c_file = std::env::current_dir().unwrap().join("c/answer.c");\n    let mut c = #; s#"-c", "c/answer.c", "-o", &object#"-c", c_file.to_str().unwrap(), "-o", \&object#; s#c.args(cc#c.current_dir(format!("{out}/../../..")).args(cc#' "$WORK/one/build.rs"
  printf '[profile.foo]\ninherits = "dev"\n' >>"$WORK/one/Cargo.toml"
  cached first "$WORK/one" build
  cached foo "$WORK/one" build --profile foo
  run_missed "the unit's directory"
  grep -qF /cargo/build-dir/foo "$WORK/one"/target/foo/build/*/out/answer.o
}

@test "objects for a target are found from another checkout" {
  host=$(rustc -vV | sed -n 's/^host: //p')
  with_c "$WORK/one"
  cp -R "$WORK/one" "$WORK/two"
  cached first "$WORK/one" build --target "$host"
  cached second "$WORK/two" build --target "$host"
  all_hit
  cmp "$(find "$WORK/one/target" -name answer.o)" "$(find "$WORK/two/target" -name answer.o)"
}

@test "clang's own compiler takes no option before its first one" {
  command -v clang >/dev/null || skip "no clang"
  with_c "$WORK/one"
  sed -i 's#^    println!("cargo:rerun-if-changed=c");#    assert!(Command::new("clang").args(["-cc1", "-S", "-ggnu-pubnames", "-o", \&format!("{out}/x.s"), "-x", "c", "/dev/null"]).status().unwrap().success());\n&#' "$WORK/one/build.rs"
  cached first "$WORK/one" build
}

@test "a thread with a small stack starts programs" {
  with_c "$WORK/one"
  cat >"$WORK/one/c/thread.c" <<'END'
#include <pthread.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/wait.h>
extern char **environ;
static void *start(void *status) {
  char *argv[] = { "true", NULL };
  pid_t pid;
  if (posix_spawnp(&pid, "true", NULL, NULL, argv, environ) == 0)
    waitpid(pid, status, 0);
  return NULL;
}
int main(void) {
  int status = 1;
  pthread_attr_t a;
  pthread_t t;
  pthread_attr_init(&a);
  pthread_attr_setstacksize(&a, 64 * 1024);
  if (pthread_create(&t, &a, start, &status) == 0)
    pthread_join(t, NULL);
  return status != 0;
}
END
  sed -i 's#^    println!("cargo:rerun-if-changed=c");#    assert!(Command::new("cc").args(["c/thread.c", "-pthread", "-o", \&format!("{out}/thread")]).status().unwrap().success());\n    assert!(Command::new(format!("{out}/thread")).status().unwrap().success());\n&#' "$WORK/one/build.rs"
  cached first "$WORK/one" build
}
