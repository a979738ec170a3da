#!/usr/bin/env bats
# The coordinator's cache as a place of its clients' stores. Nothing is set up for it but the coordinator's list of keys.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/shared.bash"
. "$BATS_TEST_DIRNAME/vouched.bash"

# entries: what the coordinator has of them on its disk, of all namespaces.
entries() {
  find "$FARM/shared" -path '*/entries/*' -type f
}

has_list_of_build() {
  entries | xargs -r grep -lsq draylst1
}

@test "what a publisher has compiled a client takes from the coordinator, and compiles nothing, nor does a worker" {
  project "$WORK/p"
  vouch publisher ci namespace=team
  vouch client ann namespace=team
  vouch client eve namespace=others
  allow worker w1
  coordinator_start
  worker_start w1
  of_farm one ci readwrite
  stored one "$WORK/p"
  all_missed
  # and what a build asks for
  wait_until 20 has_list_of_build
  cp -a "$WORK/p/target" "$WORK/plain"
  clean "$WORK/p"
  of_farm two ann
  DRAY_OFFLOAD=always cached two "$WORK/p" build
  from_store
  jobs_all '.tier == "coordinator"'
  same_tree "$WORK/p"
  says "$WORK/p" "42 made by the script"
  # what it took it does not send back, nor what it makes
  [ ! -e "$DRAY_CACHE_DIR/uploads" ]
  # another namespace has nothing of it
  clean "$WORK/p"
  of_farm three eve
  cached three "$WORK/p" build
  all_missed
  [[ "$(job app shared_why)" = *"vouches for nobody"* ]]
}

# bats test_tags=long
@test "from another directory and another home: paths = shared; and behind the coordinator a store, which fills it" {
  export DRAY_PATHS=shared
  project "$WORK/p"
  cp -a "$WORK/p" "$WORK/elsewhere"
  vouch publisher ci
  vouch client ann
  coordinator_start
  # into the store alone: that machine has no farm
  machine one
  DRAY_STORE=file://$STORE stored one "$WORK/p"
  clean "$WORK/p"
  # another one of CI's takes it from there, and the coordinator has it after that
  of_farm two ci readwrite
  DRAY_STORE=file://$STORE cached two "$WORK/p" build
  from_store
  jobs_all '.tier | startswith("file://")'
  wait_until 20 has_entries "$(entries_of "$STORE")"
  mv "$WORK/p" "$WORK/gone"
  of_farm three ann
  wait_until 20 takes "$WORK/elsewhere"
  jobs_all '.tier == "coordinator"'
  says "$WORK/elsewhere" "42 made by the script"
}
entries_of() {
  find "$1" -path '*/entries/*' -type f | wc -l
}
has_entries() {
  [ "$(entries | wc -l)" -ge "$1" ]
}
takes() {
  anew takes "$1"
  from_store 2>/dev/null
}

# bats test_tags=long
@test "whose key the list does not name puts nothing there; what was changed on its disk is refused, and compiled" {
  local f
  project "$WORK/p"
  vouch publisher ci
  vouch client ann
  allow publisher rogue
  coordinator_start
  of_farm one rogue readwrite
  cached one "$WORK/p" build
  run -1 "$DRAY" flush --timeout 3
  [[ "$output" = *"no result in it is signed by a key that the list of keys names"* ]]
  # a list of what a build wants, which nobody believes, may be there
  [ -z "$(results_in "$FARM/shared")" ]
  # a client's key uploads nothing, and is told why
  clean "$WORK/p"
  of_farm two ann readwrite
  cached two "$WORK/p" build
  run -1 "$DRAY" flush --timeout 3
  [[ "$output" = *"its key is no publisher's"* ]]
  [ -z "$(results_in "$FARM/shared")" ]
  clean "$WORK/p"
  of_farm three ci readwrite
  stored three "$WORK/p"
  [ -n "$(results_in "$FARM/shared")" ]
  for f in $(entries); do
    printf 'X' | dd of="$f" bs=1 seek=$(($(stat -c %s "$f") / 2)) conv=notrunc status=none
  done
  clean "$WORK/p"
  of_farm four ann
  cached four "$WORK/p" build
  all_missed
  jobs_all '.refused > 0'
  says "$WORK/p" "42 made by the script"
}

@test "a coordinator without a cache, and one that is killed while a build goes on" {
  project "$WORK/p"
  vouch client ann
  vouch publisher ci
  coordinator_start --option coordinator.cache=no
  of_farm one ann
  cached one "$WORK/p" build
  all_missed
  jobs_all '.shared_why | contains("the coordinator has no shared cache")'
  kill_hard "$COORDINATOR_PID"
  coordinator_start
  # a build script waits, and meanwhile there is no coordinator any more
  cat >"$WORK/p/build.rs" <<END
fn main() {
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR").unwrap());
    std::fs::write(out.join("made.rs"), "\"made by the script\"").unwrap();
    std::fs::write("$WORK/begun", "").unwrap();
    while !std::path::Path::new("$WORK/go").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
END
  clean "$WORK/p"
  of_farm two ann
  build_start two "$WORK/p" build
  wait_until 20 test -e "$WORK/begun"
  kill_hard "$COORDINATOR_PID"
  touch "$WORK/go"
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  says "$WORK/p" "42 made by the script"
  [ "$(jq -r 'select(.kind == "bin").shared_why' "$JOBS")" = "coordinator: there is no connection with the coordinator" ]
}
