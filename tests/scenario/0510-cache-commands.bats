#!/usr/bin/env bats
# The commands about the local cache, on a cache that real builds filled.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# Three packages: two small ones below a program.
workspace() {
  package "$WORK/app" app bin
  package "$WORK/low" low lib
  package "$WORK/mid" mid lib
  depends "$WORK/mid" low ../low
  depends "$WORK/app" mid ../mid
}
# asked COMMAND… FILTER: whether jq's FILTER holds for what `dray COMMAND…` prints.
asked() {
  "$DRAY" "${@:1:$#-1}" >"$LOGS/asked.json" && jq -e "${!#}" "$LOGS/asked.json" >/dev/null ||
    { cat "$LOGS/asked.json" >&2; return 1; }
}
# in_cache KIND: how many blobs or entries have a file.
in_cache() {
  find "$DRAY_CACHE_DIR/$1" -type f | wc -l
}

@test "stats says how large the cache is, and why there were misses" {
  workspace
  asked stats --json '.cache.size == {entries: 0, blobs: 0, bytes: 0, max: .cache.size.max} and .cache.size.max > 0'
  # a question makes no cache
  [ ! -e "$DRAY_CACHE_DIR/blobs" ]
  once_and_again first "$WORK/app" build
  asked stats --json ".cache.size | .entries == $(in_cache entries) and .blobs == $(in_cache blobs) and
    .entries == 3 and .bytes > 0"
  DRAY_CACHE_MAX=123M asked stats --json '.cache.size.max == 123 * 1024 * 1024'
  "$DRAY" stats | grep -qE '^in the local cache: 3 entries and [1-9][0-9]* outputs, [0-9.]+ [KM]iB of at most '
  # not from the job log: it is there with no unit as well
  rm "$JOBS"
  "$DRAY" stats | grep -q '^in the local cache: 3 entries'
  echo '// more' >>"$WORK/low/src/lib.rs"
  cached edited "$WORK/app" build
  missed low 'src/lib.rs changed'
  asked stats --json '.cache.misses_why | map(.reason) | index("a file changed")'
}

@test "gc removes what was used least lately, down to what is asked for" {
  local before
  workspace
  cached first "$WORK/app" build
  before=$("$DRAY" stats --json | jq .cache.size.bytes)
  # all is within the budget
  asked gc --json ".before == .after and .before.bytes == $before and .dir == \"$DRAY_CACHE_DIR\""
  asked gc --json --max $((before / 2)) ".before.bytes == $before and .after.bytes <= $((before / 2)) and
    .max == $((before / 2)) and .after.blobs + .after.entries > 0"
  asked stats --json ".cache.size.bytes <= $((before / 2)) and .cache.size.entries == $(in_cache entries)"
  # what is left may be used, what is gone is compiled and kept again
  clean "$WORK/app"
  cached again "$WORK/app" build
  clean "$WORK/app"
  cached third "$WORK/app" build
  all_hit
  run "$DRAY" gc --max 1
  [ "$status" -eq 0 ]
  [[ "$output" == "removed: 3 entries and "*"left: 0 entries and 0 outputs, 0 B of at most 1 B" ]]
}

@test "clear leaves nothing in the cache, and all else as it was" {
  workspace
  cached first "$WORK/app" build
  cp "$JOBS" "$WORK/jobs"
  asked clear --json '.before.entries == 3 and .before.blobs > 0 and .after == {entries: 0, blobs: 0, bytes: 0}'
  [ "$(in_cache entries)" -eq 0 ] && [ "$(in_cache blobs)" -eq 0 ]
  cmp "$JOBS" "$WORK/jobs"
  clean "$WORK/app"
  cached again "$WORK/app" build
  all_missed
  run "$DRAY" clear
  [ "$status" -eq 0 ]
  [[ "$output" == "removed: 3 entries and "* ]] && [[ "$output" != *left* ]]
  # there is nothing any more
  run "$DRAY" clear
  [ "$output" = "removed: 0 entries and 0 outputs, 0 B" ]
}

@test "a cache that is only read is not changed by a command, and a wrong word is refused" {
  workspace
  cached first "$WORK/app" build
  for command in gc clear; do
    run --separate-stderr env DRAY_CACHE=read "$DRAY" $command
    [ "$status" -eq 1 ]
    [ "$stderr" = "dray $command: the cache is only read here (cache = read)" ]
    run "$DRAY" $command more
    [ "$status" -eq 2 ]
  done
  [ "$(in_cache entries)" -eq 3 ]
  for size in 0 -1 some 1Q ''; do
    run --separate-stderr "$DRAY" gc --max "$size"
    [ "$status" -eq 2 ]
    [[ "$stderr" == "dray gc: --max $size: bytes"* ]]
  done
  [ "$(in_cache entries)" -eq 3 ]
}
