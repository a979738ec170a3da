#!/usr/bin/env bats
# A container that refuses a system call, with ENOSYS as an old kernel does or EPERM as an old profile does:
# each call that is more than plain POSIX. A compile under it is as it is without dray: it ends, says the same,
# makes the same bytes, also after an edit. Nothing is kept of it that is wrong outside.
# Calls without which the compiler itself does not work are no rows here.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

scenario_setup() {
  export DRAY_CACHE=on
  seed_client
  REFUSE=$DRAY_BUILD/tests/scenario/refuse
  RUSTC=$(rustup which rustc 2>/dev/null || command -v rustc)
  cd "$WORK"
}

# write TEXT: what the library says, in its two files.
write() {
  echo "mod m; pub fn f() -> (&'static str, &'static str) { (m::V, include_str!(\"d.txt\")) }" >lib.rs
  echo "pub const V: &str = \"$1\";" >m.rs
  printf %s "$1" >d.txt
}
# compiled PREFIX…: the library, through the programs of PREFIX; $WORK/err is what was said.
compiled() {
  rm -rf out
  mkdir out
  timeout -k 1 $((20 * PATIENCE)) "$@" "$RUSTC" --edition 2021 --crate-name lib --crate-type lib --emit dep-info,metadata,link \
    --error-format=json --json=artifacts -C metadata=11 --out-dir "$WORK/out" lib.rs 2>err </dev/null 3>&- ||
    { echo "exit status $?: $*: $(tail -n 3 err)" >&2; return 1; }
}
# truths TEXT…: what a plain compile makes of each.
truths() {
  local text
  for text; do
    write "$text"
    compiled
    rm -rf "$text"
    mv out "$text"
  done
  mv err said
}
last() {
  tail -n 1 "$JOBS" | jq -r "$1"
}

# refused: a row of the standard input is CALL and what becomes of the result: "kept", or words of why not.
refused() {
  local call fate error n=0
  truths one two
  while read -r call fate; do
    for error in ENOSYS EPERM ${EACCES:+EACCES}; do
      write one
      if ! compiled "$REFUSE" "$call" "$error" 2>"$LOGS/plain"; then
        echo "plain rustc fails without $call: no row for this table" >&2
        return 1
      fi
      rm -f "$JOBS"
      compiled "$REFUSE" "$call" "$error" "$DRAY" || return 1
      diff err said && diff -r out one || { echo "$call $error: not as without dray" >&2; return 1; }
      if [ "$fate" = kept ]; then
        [ "$(last .not_stored)" = null ] && [ "$(last .cache)" = miss ]
      else
        [[ "$(last .not_stored)" = *"$fate"* ]]
      fi || { echo "$call $error: $(tail -n 1 "$JOBS")" >&2; return 1; }
      write two
      compiled "$REFUSE" "$call" "$error" "$DRAY" || return 1
      diff -r out two || { echo "$call $error: stale after an edit" >&2; return 1; }
      write one
      compiled "$DRAY" || return 1
      diff err said && diff -r out one || { echo "$call $error: wrong outside" >&2; return 1; }
      rm -rf "$DRAY_CACHE_DIR/objects" "$DRAY_CACHE_DIR/entries"
      n=$((n + 1))
    done
  done
  [ "$n" -gt 0 ]
}

# bats test_tags=long
@test "a call that the tracer needs: untraced, and not kept" {
  EACCES=yes refused <<'END'
pidfd_open        it was not traced: pidfd_open:
seccomp           it was not traced: seccomp
END
  refused <<'END'
process_vm_readv  it was not traced: its memory cannot be read
prctl             it was not traced: seccomp is refused
sendmsg           it was not traced: its listener does not come
recvmsg           it was not traced: its listener does not come
statfs            it was not traced: /proc is not of this PID namespace
END
}

# bats test_tags=long
@test "a call that there is another way for, or that only helps: kept as ever" {
  refused <<'END'
close_range       kept
memfd_create      kept
signalfd4         kept
getrandom         kept
statx             kept
utimensat         kept
fallocate         kept
fstatfs           kept
copy_file_range   kept
renameat2         kept
openat2           kept
sched_getaffinity kept
prlimit64         kept
ioprio_set        kept
mknodat           kept
END
}

# bats test_tags=long
@test "on the way to a farm: the unit goes there or comes home" {
  local call where wait error
  truths one
  mv one plain
  export DRAY_CACHE=off
  # a resident one may be there from the call before
  export DRAY_FARM_HALF=no
  farm_start
  write one
  while read -r call where wait; do
    for error in ENOSYS EPERM; do
      rm -rf "$JOBS" "$DRAY_CACHE_DIR"/farm*
      DRAY_CONNECT_MS=${wait:-5000} compiled "$REFUSE" "$call" "$error" "$DRAY" || return 1
      diff err said && diff -r out plain || { echo "$call $error: not as without dray" >&2; return 1; }
      [ "$(last .where)" = "$where" ] || { echo "$call $error: $(tail -n 1 "$JOBS")" >&2; return 1; }
    done
  done <<'END'
epoll_create1      local
eventfd2           local
epoll_ctl          local
epoll_wait         local
socket             local 200
connect            local 200
getsockopt         local 200
setsockopt         local 200
getsockname        farm
getpeername        farm
recvfrom           local 200
sendto             local 200
memfd_create       local
signalfd4          local
getrandom          local
pidfd_open         farm
sched_getaffinity  farm
sched_setscheduler local
END
}

# A macro's program that is there after the compile: its calls are answered.
@test "what a compile leaves behind goes on where close_range is refused" {
  local app=$WORK/app
  export RUSTC_WRAPPER=$DRAY
  with_macro "$app"
  mkfifo "$WORK/ask"
  cat >"$WORK/server" <<END
#!/bin/sh
exec >/dev/null 2>&1 </dev/null
echo \$\$ >"$WORK/pid.new"
mv "$WORK/pid.new" "$WORK/pid"
read word <"$WORK/ask"
cat "$WORK/served" >"$WORK/answer"
mv "$WORK/answer" "$WORK/whole"
END
  chmod +x "$WORK/server"
  echo served >"$WORK/served"
  echo "{ std::process::Command::new(\"setsid\").arg(\"$WORK/server\").spawn().unwrap(); String::from(\"started\") }" \
    >"$app/look/src/expr.rs"
  (cd "$app" && "$REFUSE" close_range ENOSYS cargo build -q 3>&-)
  says "$app" started
  wait_until 10 test -s "$WORK/pid"
  STARTED+=("$(cat "$WORK/pid")")
  echo now >"$WORK/ask"
  wait_until 10 test -e "$WORK/whole"
  file_has "$WORK/whole" served
}

# bats test_tags=long
@test "cargo, a program and its linker" {
  local app=$WORK/app call error word n=0
  export RUSTC_WRAPPER=$DRAY CARGO_INCREMENTAL=0
  package "$app" app
  dependency "$app" words
  echo 'fn main() { println!("{} {}", words::V, include_str!("d.txt")); }' >"$app/src/main.rs"
  for call in pidfd_open memfd_create faccessat2; do
    for error in ENOSYS EPERM; do
      for word in one two; do
        echo "pub const V: &str = \"$word\";" >"$app/words/src/lib.rs"
        printf %s "$word" >"$app/src/d.txt"
        # by another time than what was made of the last
        touch -d "+$((++n)) seconds" "$app/words/src/lib.rs" "$app/src/d.txt"
        (cd "$app" && exec timeout -k 1 $((20 * PATIENCE)) "$REFUSE" "$call" "$error" cargo build -q >"$LOGS/cargo" 2>&1 3>&-)
        says "$app" "$word $word"
        [ ! -s "$LOGS/cargo" ]
      done
      clean "$app"
      echo 'pub const V: &str = "three";' >"$app/words/src/lib.rs"
      (cd "$app" && cargo build -q 3>&-)
      says "$app" "three two"
      clean "$app"
    done
  done
}
