#!/usr/bin/env bats
# What a build script gets from cargo, and what may happen to dray, its cache and its launchers between two builds.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

# words_script DIR [TEXT]: a script that says what is in words.txt; and another text.
words_script() {
  script "$1" <<END
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{out}/large"), vec![b'l'; 100_000]).unwrap();
    std::fs::write(format!("{out}/other"), vec![b'o'; 100_000]).unwrap();
    println!("cargo:rerun-if-changed=words.txt");
    println!("cargo:rustc-env=MADE={}", std::fs::read_to_string("words.txt").unwrap().trim());
}
END
  echo one >"$1/words.txt"
}

# bats test_tags=long
@test "cargo's jobserver reaches a script that is traced, by a pipe and by a fifo: a token can be taken, and given back" {
  local fifo=$FARM/jobserver
  script "$WORK/app" <<'END'
use std::{env, fs::{File, OpenOptions}, io::{Read, Write}, os::fd::FromRawFd};
fn main() {
    let flags = env::var("CARGO_MAKEFLAGS").unwrap();
    let auth = flags.split("--jobserver-auth=").last().unwrap().split(' ').next().unwrap().to_string();
    let (mut r, mut w) = match auth.strip_prefix("fifo:") {
        Some(path) => {
            let f = OpenOptions::new().read(true).write(true).open(path).unwrap();
            (f.try_clone().unwrap(), f)
        }
        None => {
            let (r, w) = auth.split_once(',').unwrap();
            unsafe { (File::from_raw_fd(r.parse().unwrap()), File::from_raw_fd(w.parse().unwrap())) }
        }
    };
    let mut token = [0u8];
    r.read_exact(&mut token).unwrap();
    if env::var("KEEPS").is_err() { w.write_all(&token).unwrap(); }
    println!("cargo:rerun-if-env-changed=KEEPS");
    println!("cargo:rustc-env=MADE=had one");
}
END
  as_plain pipe "$WORK/app" build -j3
  says "$WORK/app" "had one"
  clean "$WORK/app"
  cached jobs "$WORK/app" build -j2
  put app
  # an outer make's
  mkfifo "$fifo"
  local j
  exec {j}<>"$fifo"
  printf ++ >&"$j"
  clean "$WORK/app"
  MAKEFLAGS="-j3 --jobserver-auth=fifo:$fifo" DRAY_RECACHE=1 cached fifo "$WORK/app" build
  run_kept app
  local left
  read -r -N2 -t 1 left <&"$j"
  [ "$left" = ++ ]
  printf ++ >&"$j"
  clean "$WORK/app"
  MAKEFLAGS="-j3 --jobserver-auth=fifo:$fifo" cached put "$WORK/app" build
  put app
  # one that is kept is lost for that build alone: a run that is put back takes none
  export KEEPS=1
  cached keeps "$WORK/app" build -j3
  ran app KEEPS
  clean "$WORK/app"
  cached kept "$WORK/app" build -j3
  put app
  exec {j}>&-
}

@test "variables of odd names; streams that are closed; descriptors" {
  script "$WORK/app" <<'END'
use std::{env, io::Write};
fn main() {
    // those that were handed down
    let open = |fd: i32| { extern "C" { fn fcntl(fd: i32, c: i32) -> i32; } unsafe { fcntl(fd, 1) >= 0 } };
    let nine = env::var("NINE").is_ok() && open(9);
    let name = |n: &str| env::var(n).unwrap_or_default();
    println!("cargo:rerun-if-env-changed=odd.name");
    println!("cargo:rerun-if-env-changed=with blank");
    println!("cargo:rustc-env=MADE={},{},{}", name("odd.name"), name("with blank"), nine);
    let _ = std::io::stderr().write_all(b"done\n");
}
END
  mkdir "$WORK/bin"
  printf '#!/bin/sh\nexec env odd.name=1 "with blank=2" %s "$@"\n' "$(command -v cargo)" >"$WORK/bin/cargo"
  chmod +x "$WORK/bin/cargo"
  PATH=$WORK/bin:$PATH as_plain one "$WORK/app" build
  says "$WORK/app" 1,2,false
  cached less "$WORK/app" build
  ran app
  says "$WORK/app" ,,false
  # the launcher itself, as cargo starts it, but for the streams: what is said is the real script's
  local launcher out real
  launcher=$(find "$WORK/app/target" -name build-script-build | head -n 1)
  real=$(find "$WORK/app/target" -name '.build_script_*' | head -n 1)
  out=$(script_out "$WORK/app/target/debug" app)
  start() {
    (cd "$WORK/app" && exec env OUT_DIR="$out" CARGO_PKG_NAME=app CARGO_MANIFEST_DIR="$WORK/app" "$@")
  }
  local how
  for how in '<&-' '2>&-' '<&- 2>&-' '9<"$launcher" NINE' '<&- 2>&- 9<"$launcher" NINE' ''; do
    unset NINE
    [[ "$how" != *NINE ]] || export NINE=1
    eval "start \"\$real\" ${how% NINE}" >"$LOGS/real"
    for _ in 1 2; do
      eval "start \"\$launcher\" ${how% NINE}" >"$LOGS/launcher"
      diff "$LOGS/real" "$LOGS/launcher"
    done
  done
  # standard output closed
  start "$real" >&- 2>"$LOGS/real" || [ $? -eq 101 ]
  start "$launcher" >&- 2>"$LOGS/launcher" || [ $? -eq 101 ]
  diff "$LOGS/real" "$LOGS/launcher"
}

@test "another dray: launchers of the one before work on, also where that is gone or is another program now" {
  words_script "$WORK/app"
  local d
  for d in old new; do
    mkdir -p "$WORK/$d/client"
    cp "$DRAY" "$WORK/$d/client/dray"
    ln -s "$DRAY_BUILD/client/dray-script" "$WORK/$d/client/dray-script"
    ln -s "$DRAY_BUILD/trace" "$WORK/$d/trace"
  done
  RUSTC_WRAPPER=$WORK/old/client/dray cached old "$WORK/app" build
  ran app
  # the same place, another file: as a package manager does
  cp "$DRAY" "$WORK/old/client/next"
  mv "$WORK/old/client/next" "$WORK/old/client/dray"
  echo two >"$WORK/app/words.txt"
  RUSTC_WRAPPER=$WORK/old/client/dray cached replaced "$WORK/app" build
  ran app words.txt
  says "$WORK/app" two
  rm -r "$WORK/old"
  echo three >"$WORK/app/words.txt"
  RUSTC_WRAPPER=$WORK/new/client/dray cached gone "$WORK/app" build
  says "$WORK/app" three
  # without any, and with it again
  echo four >"$WORK/app/words.txt"
  (unset RUSTC_WRAPPER; cached none "$WORK/app" build)
  says "$WORK/app" four
  clean "$WORK/app"
  echo two >"$WORK/app/words.txt"
  RUSTC_WRAPPER=$WORK/new/client/dray cached new "$WORK/app" build
  put app
  says "$WORK/app" two
}

# bats test_tags=long
@test "a cache that was cleared, or lost one file, or holds another in its place" {
  words_script "$WORK/app"
  as_plain one "$WORK/app" build
  local lost
  # the file that holds what OUT_DIR/other does
  blob() {
    find "$DRAY_CACHE_DIR" -type f -size 100000c | while read -r f; do
      [ "$(head -c 1 "$f")" = o ] && echo "$f" && break
    done
  }
  lost=$(blob)
  [ -n "$lost" ]
  rm -f "$lost"
  clean "$WORK/app"
  cached lost "$WORK/app" build
  ran app "some of it is not in the cache any more"
  made_by "$WORK/app/target" | diff "$LOGS/made.plain" -
  clean "$WORK/app"
  cached found "$WORK/app" build
  put app
  # others' bytes, of that length
  lost=$(blob)
  chmod u+w "$lost"
  head -c 100000 /dev/zero >"$lost"
  clean "$WORK/app"
  cached damaged "$WORK/app" build
  ran app "some of it was damaged"
  made_by "$WORK/app/target" | diff "$LOGS/made.plain" -
  "$DRAY" clear >"$LOGS/clear" 2>&1
  clean "$WORK/app"
  cached cleared "$WORK/app" build
  ran app new
  run_kept app
  clean "$WORK/app"
  cached last "$WORK/app" build
  put app
  made_by "$WORK/app/target" | diff "$LOGS/made.plain" -
}
