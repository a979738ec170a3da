#!/usr/bin/env bats
# One farm, and two hosts: what the first has built, the second does not compile, nor does anybody for it.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/vouched.bash"
. "$BATS_TEST_DIRNAME/users.bash"
. "$BATS_TEST_DIRNAME/places.bash"
. "$BATS_TEST_DIRNAME/webs.bash"
. "$BATS_TEST_DIRNAME/hosts.bash"

scenario_setup() {
  unset DRAY_WORKER_USER
  hosts_begin
  a_place
}

# crates DIR: a program, a library, a macro; and a build script, whose output both use.
crates() {
  with_macro "$1"
  echo '"by the macro".to_string()' >"$1/look/src/expr.rs"
  member "$1/low" low lib
  depends "$1" low low
  depends "$1/low" look ../look
  printf 'pub static WORD: &str = look::look!();\npub fn warned() { let unused = 1; }\n' >"$1/low/src/lib.rs"
  cat >"$1/build.rs" <<'END'
fn main() {
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR").unwrap());
    std::fs::write(out.join("made.rs"), "\"by the script\"").unwrap();
    println!("cargo:rerun-if-changed=build.rs");
}
END
  printf 'fn main() {\n    println!("{} {}", low::WORD, include!(concat!(env!("OUT_DIR"), "/made.rs")));\n}\n' >"$1/src/main.rs"
  (cd "$1" && cargo generate-lockfile -q)
}
# UNITS: a library, a macro, a script, a program; and the script's run.
UNITS=5

# farm [ARGS…]: a coordinator, with these arguments, and two workers; who may what.
farm() {
  vouch publisher ci
  vouch client ann
  vouch worker w1
  vouch worker w2
  # the workers go: what one goes with, while another one compiles it again, would be purged (0983)
  DRAY_COORDINATOR_SAMPLE=0 coordinator_start "$@"
  two_workers
}
# plain WHERE HOST: what cargo alone makes there is in $WORLD/plain.
plain() {
  HOST_ENV=(RUSTC_WRAPPER=)
  "$1" "$2" cargo build >"$LOGS/plain.out" 2>"$LOGS/plain.err"
  HOST_ENV=()
  rm -rf "$WORLD/plain"
  mv "$WORLD/$2/src/target" "$WORLD/plain"
}
# same HOST: what the build there has left is what plain cargo leaves, byte for byte. (A script has another name, since a
# launcher has its own.)
same() {
  diff -r -x .fingerprint -x .rustc_info.json -x invoked.timestamp -x '*build[-_]script[-_]build*' \
    "$WORLD/plain" "$WORLD/$1/src/target" &&
    cmp "$(find "$WORLD/plain" -name 'build_script_build-*' ! -name '*.d')" \
      "$(find "$WORLD/$1/src/target" -name '.build_script_build-*')"
}
# first_builds WHERE: the first host, which has the key of a CI, has all of it compiled by the farm.
first_builds() {
  builds "$1" one first
  jobs_all '.where == "farm" or .kind == "script-run"'
  "$1" one "$WORLD/build/client/dray" flush --timeout $((60 * PATIENCE)) >"$LOGS/flush" 2>&1
  wait_until 30 has_entries $UNITS
  workers_end
}

@test "the first builds, the second compiles nothing, and has the same, byte by byte" {
  farm
  host one ci crates 'remote_mode = readwrite'
  host two ann crates
  first_builds on
  builds on two second
  nothing_compiled
  jobs_all '.tier == "coordinator"'
  diff -r -x .fingerprint -x .rustc_info.json -x invoked.timestamp "$WORLD/one/src/target" "$WORLD/two/src/target"
  [ "$(on two target/debug/app)" = "by the macro by the script" ]
  diff <(grep -v Finished "$LOGS/first.err" | sort) <(grep -v Finished "$LOGS/second.err" | sort)
}

# bats test_tags=long
@test "paths = shared: from another directory, by another user, with another CARGO_HOME" {
  farm
  host one ci crates 'remote_mode = readwrite' 'paths = shared'
  host two ann crates 'paths = shared'
  first_builds elsewhere
  mv "$WORLD/one/src" "$WORLD/one/gone"
  mkdir "$WORLD/one/src"
  builds elsewhere two second
  nothing_compiled
  jobs_all '.tier == "coordinator"'
  [ "$(elsewhere two target/debug/app)" = "by the macro by the script" ]
  grep -q 'unused variable' "$LOGS/second.err"
}

# behind URL [URL-OF-THE-HOSTS]: a store behind the coordinator's disk. It gets all that is put there. A coordinator with
# nothing on its disk has it from there, and gives it; and a host that knows no coordinator asks the store itself.
behind() {
  local url=$1 direct=${2:-$1}
  farm -o coordinator.store="$url"
  host one ci crates 'remote_mode = readwrite'
  host two ann crates
  plain on two
  first_builds on
  wait_until 60 all_uploaded
  kill_hard "$COORDINATOR_PID"
  rm -rf "$FARM/shared"
  coordinator_start -o coordinator.store="$url"
  builds on two second
  nothing_compiled
  jobs_all '.tier == "coordinator"'
  same two
  [ "$(on two target/debug/app)" = "by the macro by the script" ]
  kill_hard "$COORDINATOR_PID"
  fresh two
  without_farm two
  {
    printf 'store = %s ro\n' "$direct"
    printf 'trust_keys = publisher %s ci, worker %s w1, worker %s w2\n' "$(signs ci)" "$(signs w1)" "$(signs w2)"
  } >>"$WORLD/two/dray.conf"
  builds on two third
  nothing_compiled
  jobs_all '.tier != "coordinator"'
  same two
  fails grep -rqE 's3cret|SECRET-1' "$LOGS"
}
signs() {
  sed -n 's/^sign-public *= *//p' "$FARM/keys/$1.pub"
}

# bats test_tags=long
@test "a directory behind the coordinator" {
  mkdir -m 755 "$WORLD/store"
  behind "file://$WORLD/store?access=all"
}

# bats test_tags=long
@test "a Redis behind the coordinator" {
  local port
  port=$(free_port)
  export REDIS_PASSWORD=s3cret
  redis_start redis --port "$port" --bind "$HUB" --requirepass s3cret
  behind "redis://:s3cret@$HUB:$port"
}

# bats test_tags=long
@test "nginx behind the coordinator" {
  web_contents
  WEB_ADDRESS=$HUB nginx_start web
  behind "http://$HUB:$NGINX_PORT/dray"
}

# bats test_tags=long
@test "WsgiDAV behind the coordinator" {
  web_contents
  WEB_ADDRESS=$HUB wsgidav_start
  behind "http://user:s3cret@$HUB:$DAV_PORT/team"
}

# bats test_tags=long
@test "rclone serve s3 behind the coordinator" {
  aws_clean
  web_contents
  export AWS_ACCESS_KEY_ID=AKID AWS_SECRET_ACCESS_KEY=SECRET-1
  WEB_ADDRESS=$HUB rclone_start
  behind "s3://bucket/team?endpoint=http://$HUB:$S3_PORT"
}

# bats test_tags=long
@test "s3s-fs behind the coordinator" {
  aws_clean
  web_contents
  export AWS_ACCESS_KEY_ID=AKID AWS_SECRET_ACCESS_KEY=SECRET-1
  WEB_ADDRESS=$HUB s3s_start
  behind "s3://bucket/team?endpoint=http://$HUB:$S3_PORT"
}

# bats test_tags=long
@test "a coordinator with what is in its stores changed behind its back: refused, and compiled" {
  local f
  mkdir -m 755 "$WORLD/store"
  farm -o coordinator.store="file://$WORLD/store?access=all"
  host one ci crates 'remote_mode = readwrite'
  host two ann crates
  plain on two
  first_builds on
  wait_until 60 all_uploaded
  kill_hard "$COORDINATOR_PID"
  rm -rf "$FARM/shared"
  for f in $(find "$WORLD/store/v1" -type f); do
    chmod u+w "$f"
    printf 'X' | dd of="$f" bs=1 seek=$(($(stat -c %s "$f") - 3)) conv=notrunc status=none
  done
  coordinator_start -o coordinator.store="file://$WORLD/store?access=all"
  two_workers
  builds on two second
  jobs_all '.where == "farm" or .kind == "script-run"'
  same two
  file_has "$LOGS/coordinator" 'what a store has for namespace=- is refused'
  workers_end
}
