#!/usr/bin/env bats
# Variables that make the loader or an allocator talk in each process; limits that a cache meets and a compiler
# does not; fakeroot.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# quiet LABEL: a build from nothing that says what a plain one says, and that was found.
quiet() {
  clean "$WORK/app"
  cached "$1" "$WORK/app" build -q
  [ ! -s "$LOGS/$1.err" ] || { head -n 3 "$LOGS/$1.err" >&2; return 1; }
}

@test "what the loader and allocators say is not said again, and is said where it is asked for" {
  local talk
  package "$WORK/app" app
  for talk in LD_DEBUG=statistics MALLOC_CONF=stats_print:true; do
    clean "$WORK/app"
    rm -rf "$DRAY_CACHE_DIR/entries"
    (export "${talk?}"; cached talk "$WORK/app" build -q)
    grep -q . "$LOGS/talk.err"
    [ "$(job app cache)" = off ]
    quiet after
    quiet again
    all_hit
    clean "$WORK/app"
    (export "${talk?}"; cached talk-again "$WORK/app" build -q)
    grep -q . "$LOGS/talk-again.err"
  done
  # one that only says how memory is kept
  export MALLOC_CONF=narenas:1
  quiet arenas
  all_hit
}

@test "a limit on the size of files that is enough for the compiler: the build goes on, and hits" {
  package "$WORK/app" app lib
  (ulimit -f 64; cached first "$WORK/app" build)
  clean "$WORK/app"
  (ulimit -f 64; cached again "$WORK/app" build)
  all_hit
}

@test "flock is refused, as on some file systems: what is known of the toolchain is kept in files" {
  package "$WORK/app" app lib
  rm -f "$DRAY_CACHE_DIR"/memo*
  refused() {
    rm -f "$JOBS"
    clean "$WORK/app"
    (cd "$WORK/app" && RUSTC_WRAPPER="$WORK/refusing" cargo build -q)
  }
  printf '#!/bin/sh\nexec "%s" flock ENOSYS "%s" "$@"\n' "$DRAY_BUILD/tests/scenario/refuse" "$DRAY" >"$WORK/refusing"
  chmod +x "$WORK/refusing"
  refused
  [ -n "$(ls "$DRAY_CACHE_DIR/memo.d")" ]
  [ ! -e "$DRAY_CACHE_DIR/memo.lmdb" ]
  refused
  all_hit
  # nothing of the toolchain is hashed anew: its largest file is not opened by dray
  clean "$WORK/app"
  (cd "$WORK/app" && RUSTC_WRAPPER="$WORK/refusing" strace -f -o "$WORK/trace" -e trace=openat cargo build -q)
  grep -q memo.d "$WORK/trace"
  fails grep -E 'librustc_driver.*O_NONBLOCK' "$WORK/trace"
}

@test "fakeroot: another key in each run, and hits" {
  command -v fakeroot >/dev/null || skip "fakeroot is not installed"
  package "$WORK/app" app
  (cd "$WORK/app" && fakeroot cargo build -q)
  clean "$WORK/app"
  rm -f "$JOBS"
  (cd "$WORK/app" && fakeroot cargo build -q)
  all_hit
}
