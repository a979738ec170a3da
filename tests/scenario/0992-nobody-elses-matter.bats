#!/usr/bin/env bats
# What one client's key brings about is nobody else's matter: it neither bars an honest worker, nor keeps samples from running.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/users.bash"
. "$BATS_TEST_DIRNAME/samples.bash"

# idle TOOLCHAIN N: a client of a key of its own, which asks for so many jobs and opens none; it stays for two minutes.
idle() {
  local job hello=4452415900020001080210021a06636c69656e74 i
  local -a say=("$hello")
  for ((i = 0; i < $2; i++)); do
    job=$(printf '%032x' $((0xabc000 + i)) | od -An -v -tx1 | tr -d ' \n')
    say+=(/ "44524159000200100a20${job}1220${1}3801")
  done
  "$RAWPEER" send "$COORDINATOR_EP" "$FARM/keys/coordinator.pub" "$FARM/keys/idle" --replies 100000 --wait 120000 \
    "${say[@]}" >"$LOGS/idle" 2>&1 3>&- &
  IDLE=$!
}

# bats test_tags=long
@test "jobs that nobody opens keep no sample from running" {
  farm 1
  allow client idle
  project
  start w1
  client_env
  cached first "$WORK/app" build
  wait_until 20 made_by "3 $(sign_of w1)"
  idle "$("$DRAY_BUILD/drayctl/drayctl" toolchain list --json | jq -r 'first(.toolchains[] | select(.text | contains("rustc")) | .id)')" 40
  wait_until 20 status_is '.queued > 10'
  start w2
  wait_until 30 status_is '.samples.same == 3'
  # they wait still
  status_is '.queued > 0'
  kill "$IDLE"
  stop w1 w2
}

# asks CRATE…: libraries of a program in $WORK/CLIENT, each with a macro that asks for another file of its package each time;
# that client has them built.
asks() {
  local p client=$1
  with_macro "$WORK/$client"
  echo '{ let x = 0u8; std::fs::read_to_string(format!("{}/none-{:p}", std::env::var("CARGO_MANIFEST_DIR").unwrap(), &x)).unwrap_or("none".into()) }' \
    >"$WORK/$client/look/src/expr.rs"
  for p in "${@:2}"; do
    member "$WORK/$client/$p" "$p" lib
    depends "$WORK/$client" "$p" "$p"
    depends "$WORK/$client/$p" look ../look
    echo 'pub static ASKED: &str = look::look!();' >"$WORK/$client/$p/src/lib.rs"
  done
  as_client "$client"
  cached "$client" "$WORK/$client" build
}

# bats test_tags=long
@test "macros that ask for another file each time bar no worker: it is noted of that client, and of no other" {
  farm 1
  allow client second
  start w1
  asks client one two three
  [ "$(job one where) $(job three where)" = 'farm farm' ]
  wait_until 20 there 5
  start w2
  start w3
  wait_until 60 said 'crate=one of worker=w1 is another job where others compile it again'
  wait_until 60 withheld w1 client
  wait_until 60 status_is '[.worker[].running] == [0, 0, 0]'
  fails said 'cannot be compiled again'
  status_is '(.shunned | length) == 0'
  wait_until 10 none_there
  # what it makes for another client is taken, and stays
  lies second four
  wait_until 20 there 2
  wait_until 60 status_is '.samples.same >= 2'
  there 2
  stop w1 w2 w3
}
