#!/usr/bin/env bats
# dray-trace --script by itself: what its record says of small scripts in Rust, C and shell.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# rust NAME: builds standard input as a build script would be built.
rust() {
  cat >"$WORK/$1.rs"
  (cd "$WORK" && rustc --edition=2021 -o "$WORK/$1" "$WORK/$1.rs")
}

# traced [OPTION...] -- PROGRAM ARGS...: runs it, and leaves the record in $WORK/record, an item a line.
traced() {
  mkdir -p "$WORK/out" "$WORK/tmp"
  (cd "$WORK" && "$DRAY_BUILD/trace/dray-trace" --script --record-fd=7 "--writable=$WORK/out" \
    "--temporary=$WORK/tmp" "$@" 7>"$WORK/record.raw")
  tr '\0' '\n' <"$WORK/record.raw" >"$WORK/record"
  # a record without its end is none
  tail -n 1 "$WORK/record" | grep -q '^e[0-9]'
}

says() {
  grep -qxF -- "$1" "$WORK/record"
}

doubt() {
  sed -n 's/^!//p' "$WORK/record"
}

@test "a Rust script: variables by name, files, absent files, its outputs; std's clock and hash seeds are no doubt" {
  rust script <<'END'
use std::{collections::HashMap, env, fs, time::Instant};
fn main() {
    let began = Instant::now();
    let mut seen = HashMap::new();
    seen.insert("FOO", env::var("FOO").ok());
    seen.insert("NUM_JOBS", env::var("NUM_JOBS").ok());
    let _ = fs::read("header.h");
    let _ = fs::read("absent.h");
    fs::write("out/made", format!("{}", seen.len())).unwrap();
    std::thread::spawn(|| ()).join().unwrap();
    eprintln!("{:?}", began.elapsed());
}
END
  touch "$WORK/header.h"
  NUM_JOBS=3 traced -- ./script
  [ "$(doubt)" = "" ]
  says mFOO
  fails says mNUM_JOBS
  fails says mRUST_BACKTRACE
  says "f$WORK/header.h"
  says "a$WORK/absent.h"
  says "w$WORK/out/made"
}

@test "a Rust script that asks for the time is a doubt, and none with --trust" {
  rust script <<'END'
fn main() {
    println!("{:?}", std::time::SystemTime::now());
}
END
  traced -- ./script
  [ "$(doubt)" = "it asked for the time: its own program" ]
  traced --trust -- ./script
  [ "$(doubt)" = "" ]
}

@test "a tree: cc, a shell and make; what they read, which variables they depend on, and the compiler that dates" {
  cat >"$WORK/a.c" <<'END'
#include "a.h"
#include <stdio.h>
END
  echo 'int a;' >"$WORK/include-me.h"
  mkdir -p "$WORK/near"
  echo '#include "../include-me.h"' >"$WORK/near/a.h"
  printf 'all:\n\tcc -Iwhere -Inear -c a.c -o out/a.o\n\t@echo $(GITHUB_RUN_ID) >/dev/null\n' >"$WORK/Makefile"
  traced -- /bin/sh -c 'make; :'
  [ "$(doubt)" = "" ]
  says "f$WORK/near/a.h"
  says "f$WORK/include-me.h"
  says "f/usr/include/stdio.h"
  says "a$WORK/where"
  says mCPATH
  says mGITHUB_RUN_ID
  grep -q '^xall .*/make$' "$WORK/record"
  grep -q '^xlinker .*/cc$' "$WORK/record"
  fails grep -q '^xall .*/cc1$' "$WORK/record"
  echo 'const char *when = __TIME__;' >>"$WORK/a.c"
  traced -- /bin/sh -c 'make; :'
  [ "$(doubt)" = "it asked for the time: cc1" ]
  SOURCE_DATE_EPOCH=1 traced -- /bin/sh -c 'make; :'
  [ "$(doubt)" = "" ]
  says mSOURCE_DATE_EPOCH
}

@test "a compiler that is run without dray-run.so depends on the whole environment, and on what its sources may say" {
  touch "$WORK/a.c"
  traced -- /bin/sh -c 'env LD_PRELOAD= cc -c a.c -o out/a.o; :'
  grep -q '^xall .*/cc1$' "$WORK/record"
  [ "$(doubt)" = "" ]
  echo 'const char *when = __TIME__;' >>"$WORK/a.c"
  traced -- /bin/sh -c 'env LD_PRELOAD= cc -c a.c -o out/a.o; :'
  [ "$(doubt)" = "a C compiler may have put the time into $WORK/a.c" ]
}

@test "LD_PRELOAD is the user's: programs do not see dray-run.so there, and have it all the same" {
  traced -- /bin/sh -c 'env >out/env; env -i perl -e "print time"; cat /proc/self/environ >out/all; :'
  fails grep -E 'LD_PRELOAD|dray-run' "$WORK/out/env"
  tr '\0' '\n' <"$WORK/out/all" | grep -qx 'LD_PRELOAD=/.*/dray-run.so'
  [ "$(doubt)" = "it asked for the time: perl" ]
  export LD_PRELOAD=$WORK/libnone.so
  traced -- /bin/sh -c 'echo "$LD_PRELOAD" >out/preload; cat /proc/self/environ >out/all; :' 2>/dev/null
  unset LD_PRELOAD
  grep -qx "$WORK/libnone.so" "$WORK/out/preload"
  tr '\0' '\n' <"$WORK/out/all" | grep -qx "LD_PRELOAD=/.*/dray-run.so:$WORK/libnone.so"
}

@test "what it wrote elsewhere and left, or changed, is a doubt; what it removed again, or only opened, is none" {
  echo x >"$WORK/there"
  traced -- /bin/sh -c 'echo >left; rm left; : <>there; echo >tmp/t'
  [ "$(doubt)" = "" ]
  traced -- /bin/sh -c 'echo >left'
  [ "$(doubt)" = "it wrote $WORK/left" ]
  traced -- /bin/sh -c 'echo y >>there'
  [ "$(doubt)" = "it changed $WORK/there" ]
}

@test "make's jobserver, a fifo that cargo or an outer make has, is neither read nor written" {
  mkfifo "$WORK/fifo"
  exec 5<>"$WORK/fifo"
  export CARGO_MAKEFLAGS="-j --jobserver-auth=fifo:$WORK/fifo"
  traced -- /bin/sh -c 'exec 6<>fifo; :'
  [ "$(doubt)" = "" ]
  unset CARGO_MAKEFLAGS
  traced -- /bin/sh -c 'exec 6<>fifo; :'
  [ "$(doubt)" != "" ]
  exec 5>&-
}

@test "a process that stays behind is a doubt" {
  traced -- /bin/sh -c 'sleep 1000 >/dev/null 2>&1 7>&- 3>&- & echo $! >out/pid'
  STARTED+=("$(cat "$WORK/out/pid")")
  [ "$(doubt)" = "a process that it started still runs: sleep" ]
}

@test "a program that lists its own descriptors, as xargs does before it starts another; another's are a doubt" {
  traced -- /bin/sh -c 'echo there | xargs echo; ls /proc/self/fd; :'
  [ "$(doubt)" = "" ]
  traced -- /bin/sh -c 'ls /proc/$$/fd; :'
  [[ "$(doubt)" = "it listed what the kernel says in /proc/"* ]]
}

@test "random numbers of python and bash: by the text that asks for them, unless it gives a seed" {
  local python
  python=$(command -v /usr/bin/python3) || skip "no Python"
  traced -- /bin/sh -c "$python -c 'import random; print(random.random())'; :"
  [[ "$(doubt)" = "it ran /usr/bin/python3"*" so that it says another thing each time" ]]
  printf 'import random\nrandom.seed(1)\nprint(random.random())\n' >"$WORK/seeded.py"
  traced -- /bin/sh -c "$python seeded.py; $python -c 'import tempfile'; :"
  [ "$(doubt)" = "" ]
  traced -- /bin/sh -c 'bash -c "echo \$SRANDOM"; :'
  [[ "$(doubt)" = "it ran "*"bash so that it says another thing each time" ]]
}
