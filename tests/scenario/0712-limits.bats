#!/usr/bin/env bats
# The limits of a build are its own: tokens for threads, a CPU quota, open files. What plain cargo does
# within them dray does, too.
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# counting DIR: a program that says how many tokens its macro found free in the compiler's jobserver.
counting() {
  with_macro "$1"
  cat >"$1/look/src/expr.rs" <<'END'
{
    extern "C" { fn ioctl(fd: i32, what: u64, n: *mut i32) -> i32; }
    use std::os::fd::AsRawFd;
    let flags = std::env::var("CARGO_MAKEFLAGS").unwrap_or_default();
    let auth = flags.rsplit_once("--jobserver-auth=").map(|(_, a)| a.split(' ').next().unwrap().to_string()).unwrap_or_default();
    let fifo = auth.strip_prefix("fifo:").map(|p| std::fs::File::options().read(true).write(true).open(p).unwrap());
    let fd = fifo.as_ref().map(|f| f.as_raw_fd()).or_else(|| auth.split(',').next().unwrap().parse().ok());
    let mut n = -1;
    match fd {
        Some(fd) if unsafe { ioctl(fd, 0x541B, &mut n) } == 0 => n.to_string(),
        _ => format!("no jobserver: {flags}"),
    }
}
END
}

# tokens DIR COMMAND…: $PLAIN and $OURS, what the program says after the command without dray and with it.
tokens() {
  local dir=$1
  shift
  rm -rf "$dir/target"
  (cd "$dir" && exec env -u RUSTC_WRAPPER "$@") >"$LOGS/plain" 2>&1 </dev/null 3>&-
  PLAIN=$("$dir/target/debug/app")
  rm -rf "$dir/target"
  (cd "$dir" && exec "$@") >"$LOGS/ours" 2>&1 </dev/null 3>&- || { cat "$LOGS/ours" >&2; return 1; }
  OURS=$("$dir/target/debug/app")
  echo "$*: plain $PLAIN, ours $OURS" >&2
}

# bats test_tags=long
@test "no more tokens than cargo's -j gives, nor than there are cores" {
  local j cores
  cores=$(nproc)
  counting "$WORK/app"
  for j in 1 2 3 50; do
    tokens "$WORK/app" cargo build -j$j
    [ "$OURS" -le "$PLAIN" ]
    [ "$OURS" -lt "$cores" ]
    [ "$j" -ge "$cores" ] || [ "$OURS" = "$PLAIN" ]
  done
  CARGO_BUILD_JOBS=1 tokens "$WORK/app" cargo build
  [ "$OURS" = 0 ]
  # On one processor there are no further tokens, whatever -j is.
  tokens "$WORK/app" taskset -c "$(taskset -cp $$ | sed 's/.*: *//; s/[,-].*//')" cargo build -j8
  [ "$OURS" = 0 ]
}

# bats test_tags=long
@test "no more tokens than an outer make's jobserver has, by a pipe or a fifo" {
  local j fifo=$FARM/jobserver
  counting "$WORK/app"
  printf 'all:\n\t+cargo build\n' >"$WORK/app/Makefile"
  for j in 2 3; do
    tokens "$WORK/app" make -j$j
    [ "$OURS" -le "$PLAIN" ]
  done
  tokens "$WORK/app" make -j1
  [ "$OURS" -le "$PLAIN" ]
  mkfifo "$fifo"
  exec 19<>"$fifo"
  printf '+' >&19
  MAKEFLAGS="-j2 --jobserver-auth=fifo:$fifo" tokens "$WORK/app" cargo build
  [ "$PLAIN" = 1 ]
  [ "$OURS" = 1 ]
  # All are given back.
  printf '.' >&19
  read -r -N 2 -u 19 j
  [ "$j" = +. ]
  exec 19>&-
}

@test "no more tokens than the CPU quota allows" {
  local group=/sys/fs/cgroup/cpu/dray-test-$$
  [ -w /sys/fs/cgroup/cpu ] && mkdir "$group" 2>/dev/null || skip "no cgroup of version 1 can be made here"
  echo 100000 >"$group/cpu.cfs_period_us"
  echo 100000 >"$group/cpu.cfs_quota_us"
  counting "$WORK/app"
  tokens "$WORK/app" sh -c "echo \$\$ >$group/cgroup.procs && exec cargo build -j8" || { rmdir "$group"; false; }
  rmdir "$group"
  [ "$OURS" = 0 ]
}

# few N DIR: with N descriptors at most, plain cargo builds it, and so does dray, the same bytes; then again, by
# hits. Passes where plain cargo cannot.
few() {
  rm -rf "$2/target" "$WORK/plain"
  (ulimit -n "$1" && cd "$2" && exec env -u RUSTC_WRAPPER cargo build -j1) >"$LOGS/plain" 2>&1 </dev/null 3>&- ||
    { echo "plain cargo does not build with $1 descriptors" >&2; return 0; }
  BUILT=$1
  mv "$2/target" "$WORK/plain"
  dray clear
  (ulimit -n "$1" && cd "$2" && exec cargo build -j1) >"$LOGS/few" 2>&1 </dev/null 3>&- || { cat "$LOGS/few" >&2; return 1; }
  same_tree "$2"
  rm -rf "$2/target"
  rm -f "$JOBS"
  (ulimit -n "$1" && cd "$2" && exec cargo build -j1) >"$LOGS/few" 2>&1 </dev/null 3>&-
  same_tree "$2"
  all_hit
}

# bats test_tags=long
@test "few descriptors are enough, where they are for plain cargo" {
  local n
  package "$WORK/app" app
  dependency "$WORK/app" lib
  printf 'fn main() {}\n' >"$WORK/app/build.rs"
  dray() { "$DRAY" "$@" >/dev/null; }
  for n in 256 64 40 32 28 24 22; do
    few "$n" "$WORK/app" || { echo "at $n" >&2; return 1; }
  done
  [ "$BUILT" -lt 64 ]
  # with fewer still nothing may be kept, but all is built
  for n in 21 20 19 18 17; do
    rm -rf "$WORK/app/target" "$WORK/plain"
    (ulimit -n $n && cd "$WORK/app" && exec env -u RUSTC_WRAPPER cargo build -j1) >"$LOGS/plain" 2>&1 </dev/null 3>&- || break
    mv "$WORK/app/target" "$WORK/plain"
    dray clear
    (ulimit -n $n && cd "$WORK/app" && exec cargo build -j1) >"$LOGS/few" 2>&1 </dev/null 3>&- ||
      { echo "at $n" >&2; cat "$LOGS/few" >&2; return 1; }
    same_tree "$WORK/app"
  done
}

@test "few descriptors for a unit that goes to the farm" {
  export DRAY_CACHE=off
  package "$WORK/app" app
  dependency "$WORK/app" lib
  farm_start
  (ulimit -n 64 && cd "$WORK/app" && exec cargo build) >"$LOGS/few" 2>&1 </dev/null 3>&- || { cat "$LOGS/few" >&2; false; }
  jobs_all '.where == "farm"'
}

# bats test_tags=long
@test "a unit on the farm finds no more tokens than cargo's -j gives, nor than the worker has cores" {
  local j
  export DRAY_CACHE=off
  counting "$WORK/app"
  DRAY_WORKER_CORES=6 farm_start
  for j in 1 2 4 50; do
    rm -f "$JOBS"
    tokens "$WORK/app" cargo build -j$j
    [ "$(job app where)" = farm ]
    [ "$OURS" -le "$PLAIN" ]
    [ "$j" -eq 50 ] || [ "$OURS" = "$PLAIN" ]
  done
  [ "$OURS" = 5 ]
}
