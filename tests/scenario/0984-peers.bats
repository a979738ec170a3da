#!/usr/bin/env bats
# Peers first: what a job lacks its worker has from other workers, from the coordinator's cache, and only then from the
# client. Worker 1 makes a library; then its slot is held, and what needs that library is compiled by worker 2.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/users.bash"
. "$BATS_TEST_DIRNAME/peers.bash"

# What does not compress: a library of 512 KiB, whose metadata is as large; and a file of the program's package.
SIZE=524288
project() {
  package "$WORK/app" app
  dependency "$WORK/app" big
  cat >"$WORK/app/big/src/lib.rs" <<'END_RS'
const fn fill() -> [u64; 65536] {
    let mut v = [0u64; 65536];
    let mut x = 88172645463325252u64;
    let mut i = 0;
    while i < v.len() {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        v[i] = x;
        i += 1;
    }
    v
}
pub static BIG: [u64; 65536] = fill();
pub const ALSO: [u64; 65536] = fill();
END_RS
  head -c $SIZE /dev/urandom >"$WORK/app/src/data"
  printf 'pub static DATA: &[u8] = include_bytes!("data");\npub fn word() -> u64 { big::BIG[7] }\n' >"$WORK/app/src/lib.rs"
  echo 'fn main() { println!("{} {} {}", app::word(), app::DATA[7], big::ALSO[9]); }' >"$WORK/app/src/main.rs"
  plain_build "$WORK/app" build
  package "$WORK/hog" hog lib
  slow_before >"$WORK/hog/src/lib.rs"
}
# second_part: the program, on worker 2. Its inputs are two libraries, and the sources with the file.
second_part() {
  build app "$WORK/app" build
  cat "$LOGS/app.err"
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job app worker)" = w2 ]
}
# of_w2 FIELD: how worker 2 got the program's inputs, as it was tried last.
of_w2() {
  sed -n "s/.* crate=app has its inputs: .*\b$1=\([0-9]*\).*/\1/p" "$LOGS/worker-w2" | tail -n 1
}
# all_travelled: the client has sent all of it.
all_travelled() {
  [ "$(of_w2 from_others)" -eq 0 ] && [ "$(job app bytes_sent)" -gt $((2 * SIZE)) ]
}
@test "what a worker made, or was sent, another has from it: none of it is sent again, and all is as plain cargo makes it" {
  first_part
  second_part
  let_go
  [ "$(of_w2 lacked) $(of_w2 from_others)" = "$(of_w2 lacked) $(of_w2 lacked)" ]
  [ "$(job app bytes_sent)" -lt 20000 ]
  same_as_plain "$WORK/app"
}

# bats test_tags=long
@test "without peers, all of it is sent" {
  first_part '' -o worker.peers=no
  second_part
  let_go
  all_travelled
  same_as_plain "$WORK/app"
}

# bats test_tags=long
@test "a worker that gives wrong bytes is not believed" {
  first_part garbage
  second_part
  let_go
  all_travelled
  given_up 1 600
  same_as_plain "$WORK/app"
}

# costs_its_delay LIE: what worker 1 does not give is had from the client, after a while.
costs_its_delay() {
  first_part "$1" -o worker.peer_wait_ms=700
  second_part
  let_go
  [ "$(job app bytes_sent)" -gt $SIZE ]
  given_up 1 30
  [ "$(of_w2 ms)" -lt $((6000 * PATIENCE)) ]
  same_as_plain "$WORK/app"
}

# bats test_tags=long
@test "a worker that does not answer costs its delay" {
  costs_its_delay nothing
}

# bats test_tags=long
@test "a worker that gives a part costs its delay" {
  costs_its_delay a-part
}

# bats test_tags=long
@test "a worker that says no costs its delay" {
  costs_its_delay no
}

# bats test_tags=long
@test "a worker that stands still costs its delay" {
  first_part '' -o worker.peer_wait_ms=700
  kill -STOP "${WORKER_PIDS[w1]}"
  second_part
  all_travelled
  [ "$(of_w2 ms)" -lt $((6000 * PATIENCE)) ]
  kill -CONT "${WORKER_PIDS[w1]}"
  let_go
  same_as_plain "$WORK/app"
}

# bats test_tags=long
@test "a worker that was killed is not waited for" {
  first_part
  kill_hard "${WORKER_PIDS[w1]}"
  second_part
  all_travelled
  let_go
  same_as_plain "$WORK/app"
}

results() {
  [ "$(find "$FARM/shared" -path '*/entries/*' -type f 2>/dev/null | wc -l)" -ge "$1" ]
}

# bats test_tags=long
@test "what no worker has is had from the coordinator's cache, but for what the client has sent" {
  as_root
  a_place
  allow client client
  coordinator_start
  project
  PRODUCES=yes worker_begin -o worker.user=nobody
  client_env
  build libs "$WORK/app" build --lib
  [ "$(job big worker) $(job app worker)" = 'w1 w1' ]
  wait_until 20 results 2
  worker_end
  DRAY_LOG=debug worker_start w2 -o worker.peer_wait_ms=10000
  second_part
  [ "$(of_w2 from_others)" -eq 2 ]
  [ "$(job app bytes_sent)" -gt $SIZE ]
  [ "$(job app bytes_sent)" -lt $((SIZE + 20000)) ]
  same_as_plain "$WORK/app"
}
