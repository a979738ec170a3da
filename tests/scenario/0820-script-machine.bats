#!/usr/bin/env bats
# What a build script asks of the machine and of this shell by calls that name no file: the kernel and the machine's name,
# how many processors there are, limits; what make and the loader are told by variables that a build changes itself; and
# programs that are not seen to ask for the time.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

# modes DIR: a script that makes the file "made" by the variable MODE: a word of the match, or a text for sh.
modes() {
  package "$1" app lib
  cat >"$1/build.rs" <<'RUST'
use std::{env, fs, process::Command};
extern "C" {
    fn uname(to: *mut u8) -> i32;
    fn getrlimit(which: i32, to: *mut u64) -> i32;
}
fn told(c: &mut Command) -> String {
    String::from_utf8(c.output().unwrap().stdout).unwrap()
}
fn main() {
    println!("cargo:rerun-if-env-changed=MODE");
    let made = match env::var("MODE").unwrap().as_str() {
        "release" => {
            let mut b = [0u8; 390];
            assert_eq!(unsafe { uname(b.as_mut_ptr()) }, 0);
            String::from_utf8(b[130..195].iter().copied().take_while(|c| *c != 0).collect()).unwrap()
        }
        "processors" => std::thread::available_parallelism().unwrap().to_string(),
        "files" => {
            let mut l = [0u64; 2];
            assert_eq!(unsafe { getrlimit(7, l.as_mut_ptr()) }, 0);
            l[0].to_string()
        }
        "makeflags" => env::var("MAKEFLAGS").unwrap_or_default(),
        "libraries" => env::var("LD_LIBRARY_PATH").unwrap().split(':').filter(|d| d.contains("mine")).collect(),
        "cleared" => told(Command::new("/usr/bin/perl").env_clear().args(["-e", "print time"])),
        "preloaded" => told(Command::new("/usr/bin/perl").env("LD_PRELOAD", "").args(["-e", "print time"])),
        "cleared-sh" => told(Command::new("sh").env_clear().args(["-c", "echo sh; cat words.txt"])),
        text => told(Command::new("sh").args(["-c", text])),
    };
    fs::write(format!("{}/made", env::var("OUT_DIR").unwrap()), made).unwrap();
}
RUST
}
# made MODE [COMMAND…]: from nothing, plainly and through dray: the same. $MADE is that.
made() {
  local plain out
  export MODE=$1
  clean "$WORK/app"
  (cd "$WORK/app" && exec "${@:2}" env -u RUSTC_WRAPPER cargo build) >"$LOGS/plain.out" 2>&1 </dev/null 3>&- ||
    { cat "$LOGS/plain.out" >&2; return 1; }
  out=$(script_out "$WORK/app/target/debug" app)
  plain=$(cat "$out/made")
  clean "$WORK/app"
  rm -f "$JOBS"
  (cd "$WORK/app" && exec "${@:2}" cargo build) >"$LOGS/made.out" 2>&1 </dev/null 3>&- ||
    { cat "$LOGS/made.out" >&2; return 1; }
  MADE=$(cat "$out/made")
  [ "$MADE" = "$plain" ] || { echo "$MODE: $MADE, plainly $plain" >&2; show_cache; return 1; }
}
# depends_on MODE WHY COMMAND…: under the command the script runs, for that reason; without it its run is put back.
depends_on() {
  made "$1"
  ran app
  run_kept app
  made "$1" "${@:3}"
  ran app "$2"
  made "$1"
  put app
}
# indifferent MODE COMMAND…
indifferent() {
  made "$1"
  ran app
  run_kept app
  made "$@"
  put app
}

# bats test_tags=long
@test "the kernel's release, the number of processors, limits: asked for by the script, and by programs" {
  modes "$WORK/app"
  [ "$(nproc)" -gt 1 ] || skip "one processor"
  depends_on release "what uname says" setarch --uname-2.6
  depends_on 'uname -r' "what uname says" setarch --uname-2.6
  indifferent 'cat /proc/version' env
  depends_on processors "the number of processors" taskset -c 0
  depends_on nproc "the number of processors" taskset -c 0
  depends_on files "a limit (ulimit)" prlimit --nofile=900
  depends_on 'ulimit -n' "a limit (ulimit)" prlimit --nofile=900
  depends_on 'bash -c "ulimit -n"' "a limit (ulimit)" prlimit --nofile=900
  # what shells and tools ask for their own ends
  indifferent 'bash -c "echo hi | cat"; find src -name lib.rs; echo a | sort; make -v' \
    setarch --uname-2.6 taskset -c 0 prlimit --nofile=900
}

# bats test_tags=long
@test "whose build it is: id, and USER, which counts where it is read" {
  setpriv --groups 12345 true 2>/dev/null || skip "groups cannot be set"
  modes "$WORK/app"
  depends_on 'id -G' "whose build it is" setpriv --groups 12345
  indifferent 'echo hi | cat' env USER=another LOGNAME=another
  USER=one depends_on 'echo $USER' USER env USER=another
}

# bats test_tags=long
@test "a machine's name in bash" {
  unshare -u true 2>/dev/null || skip "no UTS namespace here"
  printf '#!/bin/bash\nhostname another && exec "$@"\n' >"$WORK/named"
  chmod +x "$WORK/named"
  modes "$WORK/app"
  depends_on 'bash -c "echo \$HOSTNAME"' "what uname says" unshare -u "$WORK/named"
  HOSTNAME=mine made 'bash -c "echo \$HOSTNAME"'
  ran app HOSTNAME
  [ "$MADE" = mine ]
  indifferent 'bash -c "echo \$BASH"' unshare -u "$WORK/named"
}

# bats test_tags=long
@test "MAKEFLAGS counts but for the jobserver, LD_LIBRARY_PATH but for what cargo adds" {
  modes "$WORK/app"
  printf 'all:\n\t@echo $(WORD)\n' >"$WORK/app/Makefile"
  depends_on 'make -s -f Makefile' "" env MAKEFLAGS=WORD=two
  indifferent 'make -s' env MAKEFLAGS=-j3
  depends_on makeflags MAKEFLAGS env MAKEFLAGS=k
  depends_on libraries LD_LIBRARY_PATH env LD_LIBRARY_PATH="$WORK/mine"
  CARGO_TARGET_DIR=$WORK/else cached else "$WORK/app" build
  put app
}

# bats test_tags=long
@test "a program that cannot be seen to ask for the time: static, or with a library of its own; cleared variables hide none" {
  modes "$WORK/app"
  echo words >"$WORK/app/words.txt"
  mkdir "$WORK/bin"
  printf '#include <stdio.h>\n#include <time.h>\nint main(void) { printf("%%d", time(NULL) > 0); }\n' >"$WORK/when.c"
  cc -static -o "$WORK/bin/when" "$WORK/when.c"
  export PATH=$WORK/bin:$PATH
  made when
  run_not_kept app "it ran when, which is not seen to ask for the time"
  MODE=cleared cached cleared "$WORK/app" build
  run_not_kept app "it asked for the time: perl"
  MODE=preloaded cached preloaded "$WORK/app" build
  run_not_kept app "it ran perl, which is not seen to ask for the time"
  indifferent cleared-sh
  # what was given up is so in that environment
  made when
  run_not_kept app "not traced, since the last time it ran when"
  indifferent 'find . -name words.txt'
  made 'find . -name words.txt -mtime -2'
  run_not_kept app "find"
  export DRAY_SCRIPTS_TRUST=app
  indifferent when
  indifferent 'find . -name words.txt -mtime -2'
}

@test "no descriptor of dray's reaches a script, nor a process that it leaves" {
  modes "$WORK/app"
  made 'ls -l /proc/self/fd | grep "$DRAY_CACHE_DIR" || echo none'
  [ "$MADE" = none ]
  MODE='sleep 60 >/dev/null 2>&1 </dev/null & echo $!' cached left "$WORK/app" build
  run_not_kept app "a process that it started still runs: sleep"
  STARTED+=("$(cat "$(script_out "$WORK/app/target/debug" app)/made")")
  kill -0 "${STARTED[-1]}"
  fails grep -F "$DRAY_CACHE_DIR" <(ls -l "/proc/${STARTED[-1]}/fd")
}
