#!/usr/bin/env bats
# Files on demand from peers. A package's own files go with a unit; what lies elsewhere a worker hears of only when the
# compiler opens it. Its client says what is there, and has to send what no other worker has.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/peers.bash"

# A library and a program, of two packages of a workspace, both have a file of neither's, which does not compress.
SIZE=1048576
project() {
  mkdir -p "$WORK/app/assets" "$WORK/app/app/src" "$WORK/app/big/src"
  printf '[workspace]\nmembers = ["app", "big"]\nresolver = "2"\n' >"$WORK/app/Cargo.toml"
  printf '[package]\nname = "big"\nversion = "0.1.0"\nedition = "2021"\n' >"$WORK/app/big/Cargo.toml"
  printf '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nbig = { path = "../big" }\n' >"$WORK/app/app/Cargo.toml"
  head -c $SIZE /dev/urandom >"$WORK/app/assets/data"
  head -c 2000 /dev/urandom >"$WORK/app/assets/small"
  echo 'pub static DATA: &[u8] = include_bytes!("../../assets/data");' >"$WORK/app/big/src/lib.rs"
  echo 'pub fn word() -> u8 { big::DATA[7] }' >"$WORK/app/app/src/lib.rs"
  cat >"$WORK/app/app/src/main.rs" <<'END_RS'
static DATA: &[u8] = include_bytes!("../../assets/data");
static SMALL: &[u8] = include_bytes!("../../assets/small");
fn main() {
    println!("{} {} {}", app::word(), DATA[9], SMALL[3]);
}
END_RS
  plain_build "$WORK/app" build
  package "$WORK/hog" hog lib
  slow_before >"$WORK/hog/src/lib.rs"
}
# second_part: the program, on worker 2. What is worth a question it needs of its client no more.
second_part() {
  build app "$WORK/app" build
  cat "$LOGS/app.err"
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job app worker)" = w2 ]
  [ "$(jq -rs 'map(select(.crate == "app")) | last | .trace.fetched' "$JOBS")" -eq 2 ]
}
# demanded FROM FILE: worker 2 had it from there, and how long it took.
demanded() {
  sed -n "s/.* on demand: from=$1 bytes=[0-9]* ms=\([0-9]*\) path=.*assets\/$2$/\1/p" "$LOGS/worker-w2"
}

@test "a file on demand comes from the worker that was sent it; a small one from the client" {
  first_part
  second_part
  let_go
  [ -n "$(demanded others data)" ]
  [ -n "$(demanded client small)" ]
  [ "$(job big bytes_sent)" -gt $SIZE ]
  [ "$(job app bytes_sent)" -lt $((SIZE / 2)) ]
  same_as_plain "$WORK/app"
}

# bats test_tags=long
@test "without peers, the client sends it" {
  first_part '' -o worker.peers=no
  second_part
  let_go
  [ -n "$(demanded client data)" ]
  [ "$(job app bytes_sent)" -gt $SIZE ]
  same_as_plain "$WORK/app"
}

# from_client SECONDS: worker 1 was given up for so long, and the client was asked.
from_client() {
  given_up 1 "$1"
  [ "$(demanded client data)" -lt $((6000 * PATIENCE)) ]
  [ "$(job app bytes_sent)" -gt $SIZE ]
  same_as_plain "$WORK/app"
}

# bats test_tags=long
@test "wrong bytes are not believed" {
  first_part garbage
  second_part
  let_go
  from_client 600
}

# bats test_tags=long
@test "a worker that does not answer costs its delay" {
  first_part nothing -o worker.peer_wait_ms=700
  second_part
  let_go
  from_client 30
}

# bats test_tags=long
@test "a worker that stands still costs its delay" {
  first_part '' -o worker.peer_wait_ms=700
  kill -STOP "${WORKER_PIDS[w1]}"
  second_part
  [ "$(demanded client data)" -lt $((6000 * PATIENCE)) ]
  kill -CONT "${WORKER_PIDS[w1]}"
  let_go
  same_as_plain "$WORK/app"
}
