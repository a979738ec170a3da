#!/usr/bin/env bats
# What the dynamic loader takes into every program, by LD_PRELOAD and LD_AUDIT: it may decide about the linker
# (mold -run), and about all that a compile does.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

linked_by_mold() {
  readelf -p .comment "$1" | grep -qi mold
}
# loaded FILE TEXT [audit]: a library that sets GREETING in each program that it is loaded into.
loaded() {
  local version=
  [ -z "${3:-}" ] || version='unsigned la_version(unsigned v) { return v; }'
  cc -shared -fPIC -xc - -o "$1" <<END
#include <stdlib.h>
$version
static void __attribute__((constructor)) begin(void) { setenv("GREETING", "$2", 1); }
END
}
greeting() {
  with_macro "$1"
  echo 'std::env::vars().find(|v| v.0 == "GREETING").map(|v| v.1).unwrap_or("none".into())' >"$1/look/src/expr.rs"
}

@test "mold -run, and without it" {
  local app=$WORK/app
  package "$app" app
  dependency "$app" low
  cached plain "$app" build
  fails linked_by_mold "$app/target/debug/app"
  clean "$app"
  rm -f "$JOBS"
  (cd "$app" && mold -run cargo build -q)
  linked_by_mold "$app/target/debug/app"
  # A library is the same with it.
  hit low
  missed app
  clean "$app"
  cached plain "$app" build
  all_hit
  fails linked_by_mold "$app/target/debug/app"
  clean "$app"
  rm -f "$JOBS"
  (cd "$app" && mold -run cargo build -q)
  linked_by_mold "$app/target/debug/app"
  all_hit
}

@test "LD_PRELOAD: with it, without it, another file of that name" {
  local app=$WORK/app
  greeting "$app"
  cached plain "$app" build
  says "$app" none
  loaded "$WORK/hello.so" hello
  clean "$app"
  LD_PRELOAD=$WORK/hello.so cached loaded "$app" build
  says "$app" hello
  kept app
  clean "$app"
  LD_PRELOAD=$WORK/hello.so cached again "$app" build
  all_hit
  says "$app" hello
  loaded "$WORK/hello.so" salut
  clean "$app"
  LD_PRELOAD=$WORK/hello.so cached other "$app" build
  missed app "hello.so changed"
  says "$app" salut
  clean "$app"
  cached plain-again "$app" build
  all_hit
  says "$app" none
}

@test "LD_PRELOAD by a name that LD_LIBRARY_PATH leads to" {
  local app=$WORK/app
  greeting "$app"
  mkdir "$WORK/a" "$WORK/b"
  loaded "$WORK/a/hello.so" a
  loaded "$WORK/b/hello.so" b
  LD_PRELOAD=hello.so LD_LIBRARY_PATH=$WORK/a cached a "$app" build
  says "$app" a
  clean "$app"
  LD_PRELOAD=hello.so LD_LIBRARY_PATH=$WORK/b cached b "$app" build
  says "$app" b
  clean "$app"
  LD_PRELOAD=hello.so LD_LIBRARY_PATH=$WORK/a cached a-again "$app" build
  all_hit
  says "$app" a
}

# (The compiler itself does not start with an auditor: it needs more of the static TLS than glibc has left.)
@test "LD_AUDIT, for a linker" {
  local app=$WORK/app
  package "$app" app
  loaded "$WORK/audit.so" heard audit
  cat >"$WORK/cc-audit" <<END
#!/bin/sh
LD_AUDIT="$WORK/audit.so" exec cc "\$@"
END
  chmod +x "$WORK/cc-audit"
  export RUSTFLAGS="-Clinker=$WORK/cc-audit"
  once_and_again audit "$app" build
  loaded "$WORK/audit.so" otherwise audit
  clean "$app"
  cached other "$app" build
  missed app "audit.so changed"
  kept app
}

# On a worker nothing of the user's is loaded: a unit goes there only where that changes no compile.
@test "a farm: LD_PRELOAD keeps units here, mold's own does not" {
  local app=$WORK/app
  greeting "$app"
  farm_start
  loaded "$WORK/hello.so" hello
  LD_PRELOAD=$WORK/hello.so cached loaded "$app" build
  jobs_all '.where == "local" and .why == "LD_PRELOAD or LD_AUDIT"'
  says "$app" hello
  package "$WORK/other" other
  rm -f "$JOBS"
  (cd "$WORK/other" && mold -run cargo build -q)
  jobs_all '.where == "farm"'
  linked_by_mold "$WORK/other/target/debug/other"
  clean "$WORK/other"
  cached without "$WORK/other" build
  fails linked_by_mold "$WORK/other/target/debug/other"
}
