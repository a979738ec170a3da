#!/usr/bin/env bats
# A store that is away, hangs or is full; a farm half that is killed; builds at once; a full disk: each build is right, and
# no later than without a store but for a small bound.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/shared.bash"
. "$BATS_TEST_DIRNAME/places.bash"
. "$BATS_TEST_DIRNAME/webs.bash"

# many DIR N: a program on N small libraries.
many() {
  local i
  package "$1" app
  for ((i = 1; i <= $2; i++)); do
    dependency "$1" "l$i"
  done
}
# waited: ms that the last build's units have waited for stores, in all.
waited() {
  jq -s '[.[].shared_ms // 0] | add | floor' "$JOBS"
}

# bats test_tags=long
@test "a store that is away: the units say so, and all is compiled" {
  project "$WORK/p"
  export DRAY_STORE=file://$WORK/nowhere
  cached away "$WORK/p" build
  all_missed
  jobs_all '.shared_why != null' || { show_shared; return 1; }
  grep -q '"shared_why":"file://[^"]*/nowhere: the directory is not there' "$JOBS" || { show_shared; return 1; }
  says "$WORK/p" "42 made by the script"
  # nothing is lost: it is uploaded once there is a store; and to no other one
  run -1 "$DRAY" flush --timeout 3
  [[ "$output" == *'not uploaded yet: a store refuses it: file://'*'/nowhere: the directory is not there' ]]
  DRAY_STORE=file://$STORE "$DRAY" flush --timeout $((60 * PATIENCE))
  [ -z "$(find "$STORE" -type f)" ]
  mkdir "$WORK/nowhere"
  flushed
  clean "$WORK/p"
  machine two reader
  cached two "$WORK/p" build
  from_store
}

# A server that accepts connections and says nothing.
@test "a store that hangs: the first units wait for a bounded time, all others not at all" {
  many "$WORK/p" 12
  silent_server
  unset DRAY_STORE_WAIT_MS
  export DRAY_STORE=http://127.0.0.1:$SILENT_PORT/cache
  cached hangs "$WORK/p" build
  all_missed
  jobs_all '.shared_why != null' || { show_shared; return 1; }
  # two waits at once, three of them until it is left alone
  [ "$(jq -s '[.[] | select(.shared_why | contains("are left alone") | not)] | length' "$JOBS")" -le 6 ] &&
    [ "$(waited)" -lt $((6000 * PATIENCE)) ] || { show_shared; return 1; }
}

# bats test_tags=long
@test "what is too large for a store is in nobody's way, and stays" {
  project "$WORK/p"
  # the build script's program, which comes before its run, and the program
  nginx_start web 'location /small/ { dav_methods PUT MKCOL; client_max_body_size 20k; }'
  export DRAY_STORE=http://127.0.0.1:$NGINX_PORT/small
  cached one "$WORK/p" build
  all_missed
  run -1 "$DRAY" flush --timeout 5
  [[ "$output" == *'2 results are not uploaded yet: a store refuses it: http://127.0.0.1:'*' 413'* ]] || { echo "$output" >&2; return 1; }
  clean "$WORK/p"
  machine two reader
  cached two "$WORK/p" build
  jobs_all '(.where == "cache") == (.kind == "script-run" or .crate == "one")' || { show_shared; return 1; }
}

@test "the farm half is killed while it uploads, and while others fetch: nothing is lost, all is right" {
  local pid
  project "$WORK/p"
  # it uploads so slowly that it is surely at it
  DRAY_UPLOAD_RATE=1000 cached one "$WORK/p" build
  all_missed
  for pid in $(half_pids); do kill_hard "$pid"; done
  [ "$(find "$DRAY_CACHE_DIR/uploads" -name '*-*' | wc -l)" -gt 0 ]
  rm -f "$DRAY_CACHE_DIR"/half-*/*.start
  flushed
  [ "$(find "$DRAY_CACHE_DIR/uploads" -name '*-*' ! -name 'list-*' | wc -l)" -eq 0 ]
  clean "$WORK/p"
  machine two reader
  # stopped, it answers nobody
  unset DRAY_STORE_WAIT_MS
  cached two "$WORK/p" build
  from_store
  for pid in $(half_pids); do kill -STOP "$pid"; done
  clean "$WORK/p"
  rm -rf "$DRAY_CACHE_DIR/entries" "$DRAY_CACHE_DIR/blobs"
  cached stopped "$WORK/p" build
  says "$WORK/p" "42 made by the script"
  [ "$(waited)" -lt $((4000 * PATIENCE)) ] || { show_shared; return 1; }
}

@test "two builds at once, on one machine and on two: each is right, and takes all from the store" {
  local a b
  project "$WORK/p"
  export DRAY_PATHS=shared
  cp -a "$WORK/p" "$WORK/q"
  stored one "$WORK/p"
  clean "$WORK/p"
  machine two reader
  (cd "$WORK/p" && exec cargo build) >"$LOGS/p.out" 2>"$LOGS/p.err" </dev/null 3>&- &
  a=$!
  (cd "$WORK/q" && exec cargo build) >"$LOGS/q.out" 2>"$LOGS/q.err" </dev/null 3>&- &
  b=$!
  wait "$a"
  wait "$b"
  jobs_all '.where == "cache"' || { show_shared; return 1; }
  says "$WORK/p" "42 made by the script"
  says "$WORK/q" "42 made by the script"
}

@test "a full disk: what comes from the store cannot be kept, and is compiled" {
  [ "$(id -u)" -eq 0 ] || skip "only root can mount a small disk"
  unshare -m true 2>/dev/null || skip "no mount namespaces here"
  project "$WORK/p"
  stored one "$WORK/p"
  clean "$WORK/p"
  machine two reader
  mkdir -p "$DRAY_CACHE_DIR"
  unshare -m bash -c '
    cp -a "$DRAY_CACHE_DIR" "$1" && mount -t tmpfs -o size=3m none "$DRAY_CACHE_DIR" && cp -a "$1/." "$DRAY_CACHE_DIR" 2>/dev/null
    cd "$2" && DRAY_JOB_LOG="$3" cargo build' - "$WORK/seeded" "$WORK/p" "$WORK/full.jsonl" \
    >"$LOGS/full.out" 2>"$LOGS/full.err" </dev/null 3>&- || { cat "$LOGS/full.err" >&2; return 1; }
  says "$WORK/p" "42 made by the script"
}
