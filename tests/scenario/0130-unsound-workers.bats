#!/usr/bin/env bats
# Workers that are full, that lost something, or that cannot do what they offer.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# wide DIR N: a library over N libraries that know nothing of each other.
wide() {
  local i
  package "$1" app lib
  for ((i = 1; i <= $2; i++)); do
    dependency "$1" "l$i"
  done
}

# heavy DIR BYTES: a program that includes so much noise.
heavy() {
  package "$1" heavy
  head -c "$2" /dev/urandom >"$1/src/noise"
  printf 'fn main() { println!("{}", include_bytes!("noise").len()); }\n' >"$1/src/main.rs"
}

no_attempts() {
  jobs_all '(.attempts // []) == []'
}

@test "more jobs than slots: they wait, none is refused" {
  wide "$WORK/app" 8
  plain_build "$WORK/app" build
  allow client client
  coordinator_start
  worker_start w1 --slots 1
  client_env
  build first "$WORK/app" build -j16
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  jobs_all '.where == "farm"'
  no_attempts
}

@test "a worker that fails at once is no magnet: others do its jobs, and it soon gets no more" {
  local failed began probes
  wide "$WORK/app" 16
  plain_build "$WORK/app" build
  farm_start 2
  # What an outside cleaner may do: the programs that jobs are started with are gone.
  rm -rf "$FARM/state-w1/bin"
  began=$(now_ms)
  build first "$WORK/app" build -j4
  # it is probed after ten seconds, and after twenty and more then
  probes=$((1 + ($(now_ms) - began) / 10000))
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  jobs_all '.where == "farm" and .worker == "w2"'
  failed=$(jq -r '.attempts // [] | .[]' "$JOBS")
  echo "$failed"
  # Three in a row are enough; one more may have been on its way, others may be probes.
  [ "$(wc -l <<<"$failed")" -ge 1 ]
  [ "$(wc -l <<<"$failed")" -le $((4 + probes)) ]
  # The true cause is told.
  run ! grep -v '^w1: .*No such file' <<<"$failed"
}

@test "what a worker has is not sent again" {
  local first
  heavy "$WORK/heavy" 500000
  farm_start
  build first "$WORK/heavy" build
  [ "$BUILD_STATUS" -eq 0 ]
  first=$(job heavy bytes_sent)
  [ "$first" -ge 500000 ]
  rm -rf "$WORK/heavy/target"
  build second "$WORK/heavy" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job heavy where)" = farm ]
  [ "$(job heavy bytes_sent)" -lt 50000 ]
}

@test "blobs that a cleaner took from a running worker are sent again" {
  heavy "$WORK/heavy" 500000
  plain_build "$WORK/heavy" build
  farm_start
  build first "$WORK/heavy" build
  [ "$(job heavy where)" = farm ]
  find "$FARM/state-w1/store" -type f -size +1k -delete
  rm -rf "$WORK/heavy/target"
  build second "$WORK/heavy" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job heavy where)" = farm ]
  same_outputs "$WORK/heavy"
}

@test "blobs that rotted on a worker's disk do not reach a compile" {
  local f rotten=0
  heavy "$WORK/heavy" 500000
  plain_build "$WORK/heavy" build
  farm_start
  build first "$WORK/heavy" build
  [ "$(job heavy where)" = farm ]
  for f in $(find "$FARM/state-w1/store" -type f -size +400k); do
    chmod u+w "$f"
    printf x | dd of="$f" conv=notrunc bs=1 seek=1000 status=none
    rotten=$((rotten + 1))
  done
  [ "$rotten" -ge 1 ]
  rm -rf "$WORK/heavy/target"
  build second "$WORK/heavy" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/heavy"
}

@test "a store too small for the unit" {
  heavy "$WORK/heavy" 3000000
  plain_build "$WORK/heavy" build
  allow client client
  coordinator_start
  worker_start w1 -o worker.store_max=1M
  client_env
  build first "$WORK/heavy" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/heavy"
  same_text first
}

@test "a toolchain that is half there is not offered" {
  local real sysroot=$FARM/toolchain
  real=$(rustc --print sysroot)
  mkdir -p "$sysroot/bin" "$sysroot/lib"
  cp -a "$real/bin/rustc" "$sysroot/bin/"
  cp -a "$real"/lib/*.so* "$sysroot/lib/"
  # The compiler is there and says its version; the standard library is not.
  "$sysroot/bin/rustc" -vV
  run "$WORKER" --config "$FARM/empty.conf" --state-dir "$FARM/state" --list-toolchains \
    -o worker.find_rustup=false -o worker.find_system=false -o "worker.toolchain_dirs=$sysroot"
  echo "$output"
  [ "$status" -ne 0 ]
  [[ "$output" == *"No usable Rust toolchain"* ]]
}
