#!/usr/bin/env bats
# Build scripts whose next run may end otherwise: the time, random numbers, the network, processes and tokens that are
# not given back. Such a run is not kept; what only looks like it is.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

# modes DIR <<END: a script that does what the variable MODE says, by the arms of a match (Rust text, a String each).
modes() {
  package "$1" app lib
  cat >"$1/build.rs" <<END
use std::{env, fs, io::Read, process::Command, time::*};
fn sh(what: &str) -> String {
    let o = Command::new("sh").args(["-c", what]).output().unwrap();
    String::from_utf8(o.stdout).unwrap()
}
fn main() {
    println!("cargo:rerun-if-env-changed=MODE");
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let out = env::var("OUT_DIR").unwrap();
    let mut bytes = [0u8; 8];
    let _ = (&mut bytes as &mut dyn std::any::Any, sh as fn(&str) -> String, Command::new("x"), Instant::now as fn() -> Instant);
    fn read(r: &mut dyn Read, b: &mut [u8]) { r.read_exact(b).unwrap() }
    let _ = read as fn(&mut dyn Read, &mut [u8]);
    let made: String = match env::var("MODE").unwrap().as_str() {
$(cat)
        m => m.to_string(),
    };
    fs::write(format!("{out}/made"), made).unwrap();
}
END
}
# do_mode MODE: a build in which the script runs, or is put back; $MADE is what it made.
do_mode() {
  MODE=$1 cached "$1" "$WORK/app" build
  MADE=$(find "$WORK/app/target" -name made -exec cat {} +)
}
# not_kept_for MODE REASON: for that the run is not kept.
not_kept_for() {
  DRAY_RECACHE=1 do_mode "$1"
  run_not_kept app "$2"
}
# kept_in MODE: the run is kept, and is put back after another one.
kept_in() {
  local before
  do_mode "$1"
  ran app
  run_kept app
  before=$MADE
  do_mode other
  do_mode "$1"
  put app
  [ "$MADE" = "$before" ]
}

# bats test_tags=long
@test "the time: asked for by the script, by date, by a C compiler; not by a clock that only measures; trusted" {
  modes "$WORK/app" <<'END'
        "clock" => format!("{:?}", SystemTime::now()),
        "measure" => { let t = Instant::now(); format!("{}", t.elapsed().as_secs() > 1000) }
        "date" => sh("date +%s.%N"),
        "stamp" | "no-stamp" => {
            let c = format!("{out}/when.c");
            let date = if env::var("MODE").unwrap() == "stamp" { "__DATE__ __TIME__" } else { "\"never\"" };
            fs::write(&c, format!("const char *when = {date};\n")).unwrap();
            sh(&format!("cd {out} && cc -O1 -c when.c && tr -cd '[:print:]' <when.o"))
        }
        "dated" => env::var("SOURCE_DATE_EPOCH").unwrap_or_else(|_| format!("{:?}", SystemTime::now())),
        // as chrono's Local does
        "both" => { let now = SystemTime::now(); env::var("SOURCE_DATE_EPOCH").unwrap_or_else(|_| format!("{now:?}")) }
END
  kept_in measure
  kept_in no-stamp
  not_kept_for clock "it asked for the time: its own program"
  not_kept_for date "/date, which says another thing each time"
  not_kept_for stamp "it asked for the time: cc1"
  not_kept_for dated "it asked for the time: its own program"
  # each time anew, and not traced for nothing
  local before
  do_mode date
  run_not_kept app "not traced, since the last time it "
  before=$MADE
  do_mode other
  do_mode date
  [ "$MADE" != "$before" ]
  ran app "runs of it are not kept"
  # with a date that is given there is no other
  export SOURCE_DATE_EPOCH=1000000000
  kept_in dated
  [ "$MADE" = 1000000000 ]
  kept_in both
  kept_in stamp
  [[ "$MADE" = *"Sep  9 2001"* ]]
  SOURCE_DATE_EPOCH=1100000000 do_mode stamp
  ran app SOURCE_DATE_EPOCH
  [[ "$MADE" = *"Nov  9 2004"* ]]
  not_kept_for clock "it asked for the time: its own program"
  unset SOURCE_DATE_EPOCH
  # only of those that are named
  DRAY_SCRIPTS_TRUST="apps ap" not_kept_for clock "it asked for the time: its own program"
  export DRAY_SCRIPTS_TRUST="first-sys app"
  do_mode other
  kept_in clock
  kept_in date
}

# bats test_tags=long
@test "random numbers: those that are asked for, not the seed of std's hash tables" {
  modes "$WORK/app" <<'END'
        "hashes" => {
            let m: std::collections::HashMap<_, _> = (0..100).map(|i| (i, i * 2)).collect();
            let mut all: Vec<_> = m.iter().collect();
            all.sort();
            format!("{all:?}")
        }
        "getrandom" => {
            extern "C" { fn getrandom(b: *mut u8, n: usize, flags: u32) -> isize; }
            assert_eq!(unsafe { getrandom(bytes.as_mut_ptr(), 8, 0) }, 8);
            format!("{bytes:?}")
        }
        "urandom" => { read(&mut fs::File::open("/dev/urandom").unwrap(), &mut bytes); format!("{bytes:?}") }
        "od" => sh("od -An -N8 -tx1 /dev/urandom"),
        "mktemp" => { let made = sh("d=$(mktemp -d) && echo text >$d/f && cat $d/f && rm -r $d"); made }
END
  kept_in hashes
  not_kept_for getrandom "it asked for random numbers: its own program"
  not_kept_for urandom "it asked for random numbers: its own program"
  not_kept_for od "it asked for random numbers: od"
  local before
  do_mode od
  before=$MADE
  do_mode other
  do_mode od
  [ "$MADE" != "$before" ]
  DRAY_SCRIPTS_TRUST=app do_mode getrandom
  run_kept app
}

@test "what it downloads" {
  coordinator_start
  modes "$WORK/app" <<'END'
        "download" => {
            let server = env::var("SERVER").unwrap();
            read(&mut std::net::TcpStream::connect(&server).unwrap(), &mut bytes);
            format!("{bytes:?}")
        }
END
  export SERVER=${COORDINATOR_EP#tcp://}
  not_kept_for download "it used the network"
  [ "$MADE" = "[255, 0, 0, 0, 0, 0, 0, 0]" ] # of its greeting
  # nobody vouches for a server
  do_mode other
  DRAY_SCRIPTS_TRUST=app not_kept_for download "it used the network"
  do_mode other
  do_mode download
  ran app
  run_not_kept app "not traced, since the last time it used the network"
}

@test "a process that stays behind goes on, and the run is not kept" {
  modes "$WORK/app" <<'END'
        "server" => sh("sleep 1000 >/dev/null 2>&1 </dev/null & echo $! >$OUT_DIR/pid; cat $OUT_DIR/pid"),
        "waited" => sh("sleep 0.01 & wait; echo done"),
END
  kept_in waited
  not_kept_for server "a process that it started still runs: sleep"
  STARTED+=("$MADE")
  kill -0 "$MADE"
  do_mode other
  do_mode server
  STARTED+=("$MADE")
  ran app
  kill -0 "$MADE"
}

@test "a run that was given up is traced again once what asked for the time is another one" {
  package "$WORK/app" app
  cat >"$WORK/app/build.rs" <<'RUST'
fn main() {
    println!("cargo:rerun-if-changed=nothing");
    let said = std::process::Command::new("sh").arg("helper.sh").output().unwrap().stdout;
    println!("cargo:rustc-env=SAID={}", String::from_utf8(said).unwrap());
}
RUST
  echo 'fn main() { println!("{}", env!("SAID")); }' >"$WORK/app/src/main.rs"
  echo 'date +%Y >/dev/null; echo dated' >"$WORK/app/helper.sh"
  cached first "$WORK/app" build
  run_not_kept app "it ran /"
  cached second "$WORK/app" build
  run_not_kept app "not traced, since"
  echo 'echo plain' >"$WORK/app/helper.sh"
  cached edited "$WORK/app" build
  says "$WORK/app" plain
  run_kept app
  cached again "$WORK/app" build
  put app
}

# bats test_tags=long
@test "the local time of something else: TZ, which libc asks for by itself; a source's __TIMESTAMP__" {
  script "$WORK/app" <<'END'
extern "C" { fn localtime_r(t: *const i64, to: *mut [i32; 16]) -> *mut u8; }
fn main() {
    let mut tm = [0; 16];
    unsafe { localtime_r(&0, &mut tm) };
    println!("cargo:rustc-env=MADE={}", tm[2]);
}
END
  TZ=UTC turn_says 0 "$WORK/app"
  run_kept app
  TZ=XXX5 turn_says 19 "$WORK/app"
  ran app 'variable TZ changed'
  TZ=UTC turn_says 0 "$WORK/app"
  put app
  c_script "$WORK/stamped"
  printf 'int number(void) { return __TIMESTAMP__[23] - 48; }\n' >"$WORK/stamped/words.c"
  touch -d 2021-01-01 "$WORK/stamped/words.c"
  turn_says 1 "$WORK/stamped"
  run_not_kept app 'it asked for the time: '
  touch -d 2022-01-01 "$WORK/stamped/words.c"
  turn_says 2 "$WORK/stamped"
}
