#!/usr/bin/env bats
# What is kept stays within what the configuration allows: without an index, and after much came at once.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# kept DIR: bytes of the files below it.
kept() {
  find "$@" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'
}

# bats test_tags=long
@test "cache_max holds where there can be no index" {
  local i max=600000
  scenario_setup
  package "$WORK/app" app lib
  # LMDB cannot use it, as on a network file system
  mkdir -p "$DRAY_CACHE_DIR/index.lmdb"
  for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
    head -c 50000 /dev/urandom >"$WORK/app/src/data"
    echo 'pub static DATA: &[u8] = include_bytes!("data");' >"$WORK/app/src/lib.rs"
    DRAY_CACHE_MAX=$max cached "build-$i" "$WORK/app" build
    all_missed
  done
  ls "$DRAY_CACHE_DIR"
  [ "$(kept "$DRAY_CACHE_DIR/blobs" "$DRAY_CACHE_DIR/entries")" -le $max ]
  # what came last is there
  clean "$WORK/app"
  DRAY_CACHE_MAX=$max cached again "$WORK/app" build
  all_hit
}

@test "cache_max holds after a large output has come in the place of many small ones" {
  local hex max=3000000
  scenario_setup
  package "$WORK/app" app lib
  # 200 old files of 10 KB, as outputs of others
  for hex in $(head -c 6400 /dev/urandom | od -An -v -tx1 | tr -d ' \n' | fold -w 64); do
    mkdir -p "$DRAY_CACHE_DIR/blobs/${hex:0:2}"
    truncate -s 10000 "$DRAY_CACHE_DIR/blobs/${hex:0:2}/$hex"
    touch -d '2 days ago' "$DRAY_CACHE_DIR/blobs/${hex:0:2}/$hex"
  done
  # the index learns of them
  "$DRAY" gc --max 3M
  [ "$(kept "$DRAY_CACHE_DIR/blobs")" -eq 2000000 ]
  head -c 600000 /dev/urandom >"$WORK/app/src/data"
  echo 'pub static DATA: &[u8] = include_bytes!("data");' >"$WORK/app/src/lib.rs"
  DRAY_CACHE_MAX=$max cached large "$WORK/app" build
  [ "$(kept "$DRAY_CACHE_DIR/blobs" "$DRAY_CACHE_DIR/entries")" -le $max ]
  clean "$WORK/app"
  DRAY_CACHE_MAX=$max cached again "$WORK/app" build
  all_hit
}

# many DIR NAME: a library with 300 files of 10 KB, all of which are its sources.
many() {
  local i
  package "$1" "$2" lib
  for ((i = 0; i < 300; i++)); do
    head -c 10000 /dev/urandom >"$1/src/data-$i"
  done
  echo 'pub static DATA: &[u8] = include_bytes!("data-7");' >"$1/src/lib.rs"
}
store_is_within() {
  [ "$(kept "$FARM/state-w1/store/blobs")" -le "$1" ]
}

# bats test_tags=long
@test "a worker's store_max holds after jobs with many files" {
  allow client client
  coordinator_start
  worker_start w1 -o worker.store_max=4M
  client_env
  export DRAY_OFFLOAD=always
  for name in one two; do
    many "$WORK/$name" "$name"
    build "$name" "$WORK/$name" build
    [ "$BUILD_STATUS" -eq 0 ]
    [ "$(job "$name" where)" = farm ]
  done
  wait_until 10 store_is_within 4194304
}

# used WHEN DIR: what a build of that project uses was used last then.
used() {
  local file
  clean "$2"
  mkdir -p "$WORK/before" "$DRAY_CACHE_DIR/blobs" "$DRAY_CACHE_DIR/entries"
  mv "$DRAY_CACHE_DIR/blobs" "$DRAY_CACHE_DIR/entries" "$WORK/before"
  cached used "$2" build
  while IFS= read -r -d '' file; do
    touch -c -d "$1" "$DRAY_CACHE_DIR/$file"
  done < <(cd "$DRAY_CACHE_DIR" && find blobs entries -type f -print0)
  cp -a "$WORK/before/." "$DRAY_CACHE_DIR"
  rm -rf "$WORK/before"
}

@test "what a project is made of stays while anything of it is compiled, and goes with all the rest of it" {
  scenario_setup
  for name in daily idle; do
    package "$WORK/$name" $name
    dependency "$WORK/$name" $name-base
    printf 'fn main() { println!("{}", %s_base::answer()); }\n' $name >"$WORK/$name/src/main.rs"
    echo "pub fn of() -> &'static str { \"$name\" }" >>"$WORK/$name/$name-base/src/lib.rs"
  done
  used '9 days ago' "$WORK/daily"
  used '5 days ago' "$WORK/idle"
  # what is remembered of uses is of then, too
  rm -f "$DRAY_CACHE_DIR"/index.lmdb* "$DRAY_CACHE_DIR"/memo.lmdb*
  # the library is fresh
  echo '// an edit' >>"$WORK/daily/src/main.rs"
  cached edited "$WORK/daily" build
  jobs_all '.crate == "daily"'
  "$DRAY" gc --unused-since 2d >/dev/null
  clean "$WORK/daily"
  cached daily "$WORK/daily" build
  all_hit
  clean "$WORK/idle"
  cached idle "$WORK/idle" build
  all_missed
}
