#!/usr/bin/env bats
# What a newcomer is told: of a wrong command line, a misspelt setting, a wrapper that cargo's files name, and what
# the commands say of units that went nowhere.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# refused TEXT ARGUMENT…: dray says so, after its own name and the command's, and ends with 2.
refused() {
  run "$DRAY" "${@:2}"
  [ "$status" -eq 2 ]
  [[ "$output" == "dray $2: "*"$1"* ]] || { printf '%s\n' "$output" >&2; return 1; }
}

@test "a wrong command line is answered with the reason" {
  local c
  for c in env doctor stats report verify gc clear; do
    refused 'unexpected argument: extra' "$c" extra
  done
  refused 'unexpected argument: two' explain one two
  refused 'unexpected argument: two' keygen "$WORK/one" two
  [ ! -e "$WORK/one" ]
  refused 'an argument is missing' keygen
  refused "'--max' requires an argument" gc --max
  refused "invalid option -- 'x'" explain -x
  refused '--workers 0: a number from 1 to' up --workers 0 true
  refused '--slots -1: a number from 1 to' up --slots -1 true
  refused '-j 0: a number from 1 to' run -j 0 true
  refused 'an argument is missing' run
  refused 'leave out --json' stats --zero --json
}

@test "a command that is misspelt, and keys that cannot be made" {
  run -127 "$DRAY" frobnicate
  [[ "$output" == *frobnicate*'nor is it a command: see dray --help' ]]
  [ ! -s "$JOBS" ]
  run -127 "$DRAY" "$WORK/no-such-compiler" -vV
  [[ "$output" != *'nor is it a command'* ]]
  run -1 "$DRAY" keygen "$WORK/there is none/key"
  [[ "$output" == *'make its directory first'* ]]
  : >"$WORK/key"
  run -1 "$DRAY" keygen "$WORK/key"
  [[ "$output" == *'overwrites nothing: name another file' ]]
}

# doctor CHECK FINDING TEXT [COMMAND…]: that is among what it says, by the command or itself.
doctor() {
  "${@:4}" "$DRAY" doctor --json >"$LOGS/doctor.json" || true
  jq -e --arg c "$1" --arg f "$2" --arg t "$3" \
    'any(.[]; .check == $c and .finding == $f and (.text | contains($t)))' "$LOGS/doctor.json" >/dev/null ||
    { cat "$LOGS/doctor.json" >&2; return 1; }
}

@test "doctor names its files, and a variable that is no setting" {
  doctor files good "$FARM/empty.conf" env DRAY_CONFIG="$FARM/empty.conf"
  doctor files good "$WORK/config/dray/dray.conf (not there)" env -u DRAY_CONFIG XDG_CONFIG_HOME="$WORK/config"
  doctor variables note 'DRAY_CACH_MAX is no setting' env DRAY_CACH_MAX=1G
  doctor files good '' env DRAY_CACHE_MAX=1G DRAY_LOG=none DRAY_WORKER_SLOTS=2
  fails grep -qE 'DRAY_(CACHE_MAX|LOG|WORKER_SLOTS|CONFIG|LIBEXEC|CACHE_DIR) is no setting' "$LOGS/doctor.json"
}

@test "doctor looks for the wrapper where cargo does" {
  export -n RUSTC_WRAPPER
  unset RUSTC_WRAPPER
  mkdir -p "$WORK/team/.cargo" "$WORK/team/member/src" "$WORK/cargo"
  cd "$WORK/team/member"
  export CARGO_HOME=$WORK/cargo
  doctor wrapper note 'RUSTC_WRAPPER is not set'
  printf '[build]\nrustc-wrapper = "other"\n' >"$WORK/cargo/config.toml"
  doctor wrapper note "rustc-wrapper in $WORK/cargo/config.toml is other, not dray"
  printf '[build]\n# rustc-wrapper = "no"\n\trustc-wrapper = "dray" # for all\n' >"$WORK/team/.cargo/config.toml"
  doctor wrapper good "rustc-wrapper in $WORK/team/.cargo/config.toml is dray"
  printf 'build.rustc-wrapper="/opt/dray"\n' >"$WORK/team/.cargo/config"
  doctor wrapper good "rustc-wrapper in $WORK/team/.cargo/config is /opt/dray"
  doctor wrapper note 'CARGO_BUILD_RUSTC_WRAPPER is sccache' env CARGO_BUILD_RUSTC_WRAPPER=sccache
  doctor wrapper note 'RUSTC_WRAPPER is empty' env RUSTC_WRAPPER= CARGO_BUILD_RUSTC_WRAPPER=dray
}

@test "a cache directory that cannot be used is not praised" {
  : >"$WORK/file"
  export DRAY_CACHE=on
  doctor cache bad 'cannot be written' env DRAY_CACHE_DIR="$WORK/file/cache"
  doctor 'cache use' bad 'nothing is looked up' env DRAY_CACHE_DIR="$WORK/file/cache"
  fails grep -q 'what is compiled is kept' "$LOGS/doctor.json"
  doctor 'cache use' note 'cache is off' env DRAY_CACHE_DIR="$WORK/file/cache" DRAY_CACHE=off
}

@test "a cache on a full disk, and one where others may write" {
  mkdir "$WORK/small" "$WORK/open"
  export DRAY_CACHE=on
  chmod 777 "$WORK/open"
  run env DRAY_CACHE_DIR="$WORK/open" "$DRAY" gc
  [ "$status" -eq 1 ]
  [[ "$output" == *"$WORK/open: is not used: other users may write there"*'set cache_dir'* ]]
  run env -u DRAY_CACHE_DIR -u XDG_CACHE_HOME HOME="$WORK/nowhere" "$DRAY" gc
  [ "$status" -eq 1 ]
  [[ "$output" == *'there is no cache directory: set cache_dir'* ]]
  unshare -rm true 2>/dev/null || skip "no tmpfs can be mounted here"
  unshare -rm bash -c 'mount -t tmpfs -o size=64K none "$1" && ! cat /dev/zero >"$1/zeros" &&
    { DRAY_CACHE_DIR=$1/cache exec "$2" doctor; }' sh "$WORK/small" "$DRAY" >"$LOGS/doctor" 2>/dev/null || true
  grep -q "^bad  *cache .*No space left on device): make room" "$LOGS/doctor"
}

# bats test_tags=long
@test "a key that is not allowed is told its line, and an admin's asks and gets no job" {
  identity somebody
  allow worker w1
  coordinator_start
  worker_start w1
  client_env
  export DRAY_IDENTITY=$FARM/keys/somebody
  doctor farm note "needs the line: client $(curve_public somebody) somebody"
  allow admin somebody
  wait_until 10 doctor farm bad "needs the line: client $(curve_public somebody) somebody"
  doctor workers good '1 with this toolchain'
  "$DISPATCH" --status --json >"$LOGS/status"
  jq -e '.role == "admin" and .workers == 1' "$LOGS/status"
  run -0 env -u CARGO_BUILD_JOBS "$DRAY" run -- sh -c 'echo "jobs: $CARGO_BUILD_JOBS"'
  [[ "$output" == *"is an admin's, which gets no job; building on this machine"*'jobs: ' ]]
  package "$WORK/app" app
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  jq -es 'map(select(.crate == "app")) | length == 1 and .[0].where == "local" and
    (.[0].why | contains("not for the role admin"))' "$JOBS"
  run -0 "$DRAY" explain app
  [[ "$output" == *'not for the role admin'* ]]
}

@test "stats and explain say what a farm without workers, a switched-off cache and trials come to" {
  identity coordinator
  identity client1
  allow client client1
  coordinator_start
  client_env client1
  package "$WORK/app" app
  cat >"$WORK/app/build.rs" <<'EOR'
use std::process::Command;
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{out}/trial.rs"), "pub fn f() { nothing() }").unwrap();
    let (rustc, wrapper) = (std::env::var("RUSTC").unwrap(), std::env::var("RUSTC_WRAPPER").unwrap());
    let ok = Command::new(wrapper).arg(rustc).args(["--crate-type", "lib", "--crate-name", "trial"])
        .args(["--emit=metadata", "--out-dir", &out, &format!("{out}/trial.rs")]).status().unwrap();
    assert!(!ok.success());
}
EOR
  export RUSTC_WRAPPER=$DRAY DRAY_OFFLOAD=always DRAY_CACHE=off CARGO_INCREMENTAL=0
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  "$DRAY" stats >"$LOGS/stats"
  grep -q '^local cache: not asked$' "$LOGS/stats"
  grep -qE '^ +[0-9]+ .* no worker is connected$' "$LOGS/stats"
  fails grep -qE '^ +[0-9]+ .* farm$' "$LOGS/stats"
  "$DRAY" explain >"$LOGS/explain"
  grep -qE '^app +build-script ' "$LOGS/explain"
  grep -qE "^trial .*; a build script's trial, which the compiler refused$" "$LOGS/explain"
  fails grep -q 'failed, exit status' "$LOGS/explain"
  "$DRAY" explain trial >"$LOGS/explain"
  grep -q 'It was a trial: a build script asked' "$LOGS/explain"
}
