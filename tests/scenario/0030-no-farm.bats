#!/usr/bin/env bats
# Without a farm, or with one that cannot help: plain cargo's result, and nearly its time.
. "$BATS_TEST_DIRNAME/lib.bash"

# chain DIR N: a program over N libraries, each on the one before.
chain() {
  local i
  package "$1" app
  depends "$1" "l$2" "l$2"
  for ((i = 1; i <= $2; i++)); do
    package "$1/l$i" "l$i" lib
    sed -i '/^\[workspace\]/d' "$1/l$i/Cargo.toml"
    [ "$i" -eq 1 ] || depends "$1/l$i" "l$((i - 1))" "../l$((i - 1))"
  done
  printf 'fn main() { println!("{}", l%s::answer()); }\n' "$2" >"$1/src/main.rs"
}

all_local() {
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$1"
  same_text first
  jobs_all '.where == "local" and (.why | length) > 0'
}

@test "nothing is configured" {
  chain "$WORK/app" 3
  plain_build "$WORK/app" build
  export RUSTC_WRAPPER=$DRAY
  build first "$WORK/app" build
  all_local "$WORK/app"
}

@test "offload = never does not ask a farm that is there" {
  chain "$WORK/app" 3
  plain_build "$WORK/app" build
  farm_start
  export DRAY_OFFLOAD=never
  build first "$WORK/app" build
  all_local "$WORK/app"
  "$DISPATCH" --status --json >"$LOGS/status"
  [ "$(jq -r '.jobs_placed // 0' "$LOGS/status")" -eq 0 ]
}

@test "offload = auto keeps small units here" {
  chain "$WORK/app" 2
  farm_start
  export DRAY_OFFLOAD=auto
  build first "$WORK/app" build -j1
  [ "$BUILD_STATUS" -eq 0 ]
  jobs_all '.where == "local"'
}

@test "nobody listens at the coordinator's address" {
  chain "$WORK/app" 4
  plain_build "$WORK/app" build
  farm_start
  kill -TERM "$COORDINATOR_PID"
  wait_until 5 is_gone "$COORDINATOR_PID"
  build first "$WORK/app" build
  all_local "$WORK/app"
}

# hole_start: a coordinator that accepts and never says a word.
hole_start() {
  identity coordinator
  identity client
  mkfifo "$FARM/hole.in"
  "$RAWPEER" hole <"$FARM/hole.in" >"$LOGS/hole" 3>&- &
  STARTED+=($!)
  exec 8>"$FARM/hole.in"
  wait_until 5 test -s "$LOGS/hole"
  COORDINATOR_EP=tcp://127.0.0.1:$(head -n 1 "$LOGS/hole")
  client_env
  unset DRAY_CONNECT_MS
}

# One process tried, for 500 ms as configured. A second one would make it a second.
hole_cost() {
  local total tries
  wait_until 5 eval '[ "$(grep -c ^open "$LOGS/hole")" -eq "$(grep -c ^closed "$LOGS/hole")" ]'
  tries=$(grep -c ^open "$LOGS/hole")
  [ "$tries" -ge 1 ]
  total=$(sed -n 's/^closed .* after \([0-9]*\) ms/\1/p' "$LOGS/hole" | awk '{ n += $1 } END { print n }')
  echo "connections were open for $total ms"
  # one that waits for a processor is no second one
  [ "$total" -lt 1000 ] || [ "$tries" -eq 1 ]
  exec 8>&-
}

@test "a coordinator that accepts and says nothing costs half a second in all" {
  chain "$WORK/app" 8
  plain_build "$WORK/app" build
  hole_start
  build first "$WORK/app" build
  all_local "$WORK/app"
  hole_cost
}

@test "the same with many units at a time" {
  local i
  package "$WORK/app" app lib
  for ((i = 1; i <= 8; i++)); do
    dependency "$WORK/app" "l$i"
  done
  plain_build "$WORK/app" build
  hole_start
  build first "$WORK/app" build -j16
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  jobs_all '.where == "local"'
  hole_cost
}

@test "no worker has this toolchain" {
  local real sysroot=$FARM/toolchain
  chain "$WORK/app" 2
  plain_build "$WORK/app" build
  # The same compiler with one more file in its std is another toolchain.
  real=$(rustc --print sysroot)
  mkdir -p "$sysroot/bin"
  cp -al "$real/bin/rustc" "$sysroot/bin/" 2>/dev/null || cp -a "$real/bin/rustc" "$sysroot/bin/"
  cp -al "$real/lib" "$sysroot/" 2>/dev/null || cp -a "$real/lib" "$sysroot/"
  echo other >"$sysroot/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/lib/other.txt"
  allow client client
  allow worker w1
  coordinator_start
  worker_start w1 -o worker.find_rustup=false -o worker.find_system=false \
    -o "worker.toolchain_dirs=$sysroot"
  client_env
  build first "$WORK/app" build
  all_local "$WORK/app"
  "$DISPATCH" --status --json >"$LOGS/status"
  [ "$(jq .workers "$LOGS/status")" -eq 1 ]
}

@test "a key that the coordinator does not know" {
  chain "$WORK/app" 2
  plain_build "$WORK/app" build
  farm_start
  identity stranger
  export DRAY_IDENTITY=$FARM/keys/stranger
  build first "$WORK/app" build
  all_local "$WORK/app"
}

@test "identity and coordinator's key are missing files" {
  chain "$WORK/app" 1
  plain_build "$WORK/app" build
  farm_start
  export DRAY_IDENTITY=$FARM/keys/none DRAY_COORDINATOR_KEY=$FARM/keys/none.pub
  build first "$WORK/app" build
  all_local "$WORK/app"
}

@test "a cache directory that cannot be written" {
  package "$WORK/hello" hello
  plain_build "$WORK/hello" build
  farm_start
  # A file stands where the directory would be: it holds for root, too.
  : >"$FARM/occupied"
  export DRAY_CACHE_DIR=$FARM/occupied/cache DRAY_JOB_LOG=$FARM/occupied/jobs
  build first "$WORK/hello" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/hello"
  same_text first
}
