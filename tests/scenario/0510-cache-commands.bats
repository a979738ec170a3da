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
  asked gc --json --max $((before - 1)) ".before.bytes == $before and .after.bytes < $before and
    .max == $((before - 1)) and .after.blobs + .after.entries > 0"
  asked stats --json ".cache.size | .bytes < $before and .bytes > 0 and .entries == $(in_cache entries) and
    .blobs == $(in_cache blobs)"
  # what is left may be used, what is gone is compiled
  clean "$WORK/app"
  cached again "$WORK/app" build
  run "$DRAY" gc --max 1
  [ "$status" -eq 0 ]
  [[ "$output" == "removed: "*"left: 0 entries and 0 outputs, 0 B of at most 1 B" ]]
  [ "$(in_cache entries)" -eq 0 ] && [ "$(in_cache blobs)" -eq 0 ]
}

@test "gc --unused-since removes what no build has used since then, and nothing else" {
  workspace
  cached first "$WORK/app" build
  asked gc --json --unused-since 30d '.before == .after and .after.entries == 3'
  # a month and more goes by, and one crate is built
  find "$DRAY_CACHE_DIR"/{blobs,entries} -type f -exec touch -d '40 days ago' {} +
  rm -f "$DRAY_CACHE_DIR"/index.lmdb*
  clean "$WORK/app"
  cached low "$WORK/app" build -p low
  hit low
  asked gc --json --unused-since "$(date -d '30 days ago' +%Y-%m-%d)" '.after.entries == 1 and .after.blobs > 0'
  clean "$WORK/app"
  cached again "$WORK/app" build
  hit low
  misses mid app
  for time in yesterday 30 '' 2199-01-01; do
    run --separate-stderr "$DRAY" gc --unused-since "$time"
    [ "$status" -eq 2 ]
    [[ "$stderr" == "dray gc: --unused-since $time: "* ]]
  done
  [ "$(in_cache entries)" -eq 3 ]
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
  misses low mid app
  run "$DRAY" clear
  [ "$status" -eq 0 ]
  [[ "$output" == "removed: "[1-9]" entries and "* ]] && [[ "$output" != *left* ]]
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

# kinds DIR: a program with a library, a macro, a build script and a warning below it.
kinds() {
  with_macro "$1"
  echo 'std::env::var("LOOK_AT").unwrap_or_default()' >"$1/look/src/expr.rs"
  member "$1/low" low lib
  depends "$1" low low
  echo 'pub fn low() -> u32 { let unused = 1; 2 }' >"$1/low/src/lib.rs"
  cat >"$1/low/build.rs" <<'END2'
fn main() {
    println!("cargo:rustc-env=BUILT=yes");
    println!("cargo:rerun-if-changed=build.rs");
}
END2
  echo 'pub const BUILT: &str = env!("BUILT");' >>"$1/low/src/lib.rs"
}

# nothing_left: verify's own directories are gone.
nothing_left() {
  [ -z "$(find "$DRAY_CACHE_DIR/tmp" -mindepth 1)" ]
}
# skipped REASON N: so many entries were skipped for that, and all others are well.
skipped() {
  asked verify --json ".differ == [] and .skipped == $2 and .verified == .entries - $2 and
    .skipped_why == [{reason: \"$1\", entries: $2}]"
}

# bats test_tags=long
@test "verify compiles again what is in the cache: all is as it was kept" {
  kinds "$WORK/app"
  cached first "$WORK/app" build
  all_missed
  cached release "$WORK/app" build --release
  cp -a "$WORK/app/target" "$WORK/before"
  asked verify --json ".differ == [] and .entries == $(in_cache entries) and .verified == .entries and
    .entries == 8 and .skipped == 0 and .outputs > .verified and .bytes > 0 and .interrupted == false"
  # nothing was touched, and it is no build
  diff -r "$WORK/before" "$WORK/app/target"
  nothing_left
  cached third "$WORK/app" build
  nothing_done third
  asked verify --json --sample 3 '.verified == 3 and .entries == 8'
  run --separate-stderr "$DRAY" verify --sample 1
  [ "$status" -eq 0 ]
  [[ "$output" == "verified: 1 entry, "*": each is what the compiler makes" ]]
  [ -z "$stderr" ]
  for n in 0 -1 x 1x ''; do
    run "$DRAY" verify --sample "$n"
    [ "$status" -eq 2 ]
  done
}

@test "verify skips what could be no hit here now, and says why" {
  kinds "$WORK/app"
  LOOK_AT=this cached first "$WORK/app" build
  skipped 'variable ... is not set now' 1
  export LOOK_AT=this
  asked verify --json '.verified == 4 and .skipped_why == []'
  cp "$WORK/app/src/main.rs" "$WORK/main.rs"
  echo '// more' >>"$WORK/app/src/main.rs"
  skipped 'a file changed' 1
  cp "$WORK/main.rs" "$WORK/app/src/main.rs"
  mv "$WORK/app/target" "$WORK/target"
  # the program needs the library and the macro; in the newer layout, the library its script's directory (-L)
  skipped 'a file is gone' $((${DRAY_TEST_LAYOUT:-1} == 2 ? 2 : 1))
  mv "$WORK/app" "$WORK/moved"
  skipped 'its directory is gone' 4
}

@test "verify of what has its out-dir in its outputs: another is mounted in its place" {
  workspace
  cat >"$WORK/app/build.rs" <<'RUST'
fn main() {
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR").unwrap());
    let debug = out.ancestors().find(|d| d.ends_with("debug")).unwrap();
    println!("cargo:rustc-env=WHERE={}/deps", debug.display());
}
RUST
  printf 'fn main() {\n    mid::hello();\n    println!("{}", env!("WHERE"));\n}\n' >"$WORK/app/src/main.rs"
  echo 'pub fn hello() {}' >>"$WORK/mid/src/lib.rs"
  once_and_again first "$WORK/app" build
  grep -qF "$WORK/app/target/debug/deps" "$WORK/app/target/debug/app"
  cp -a "$WORK/app/target" "$WORK/before"
  mkdir "$WORK/bin"
  printf '#!/bin/sh\nexit 1\n' >"$WORK/bin/bwrap"
  chmod +x "$WORK/bin/bwrap"
  PATH=$WORK/bin:$PATH skipped 'its out-dir is in its outputs' 1
  bwrap --dev-bind / / true || skip "bwrap does not work here"
  asked verify --json '.verified == 4 and .skipped == 0 and .differ == []'
  diff -r "$WORK/before" "$WORK/app/target"
  nothing_left
}

@test "verify finds what a macro makes of an address; it is dropped, and compiled anew" {
  with_macro "$WORK/app"
  echo 'format!("{:p}", Box::new(1).as_ref())' >"$WORK/app/look/src/expr.rs"
  once_and_again first "$WORK/app" build
  run "$DRAY" verify
  [ "$status" -eq 1 ]
  [[ "$output" == "differs: app 0.1.0 (app, bin): app"*": other bytes; dropped"*"verified: 1 entry, "*"differ: 1" ]]
  nothing_left
  asked verify --json '.entries == 1 and .verified == 1 and .differ == []'
  clean "$WORK/app"
  cached after "$WORK/app" build
  missed app
  hit look
  # where the cache is only read, it stays
  DRAY_CACHE=read fails "$DRAY" verify --json >"$LOGS/read.json"
  jq -e '.differ | length == 1 and (.[0] | .crate == "app" and .package == "app 0.1.0" and .kind == "bin" and
    .why == "other bytes" and (.output | startswith("app")) and .dropped == false)' "$LOGS/read.json"
  [ "$(in_cache entries)" -eq 2 ]
  fails asked verify --json 'false'
  jq -e ".differ[0] | .dropped and .key == \"$(job app key)\"" "$LOGS/asked.json"
}

@test "verify finds a damaged output" {
  local blob
  workspace
  cached first "$WORK/app" build
  blob=$(sha256sum <"$WORK/app/target/debug/app")
  blob=$DRAY_CACHE_DIR/blobs/${blob:0:2}/${blob%% *}
  printf 'other' | dd of="$blob" bs=1 seek=1000 conv=notrunc status=none
  fails asked verify --json 'false'
  jq -e '.verified == 2 and (.differ | length == 1 and (.[0] | .crate == "app" and .dropped))' "$LOGS/asked.json"
  clean "$WORK/app"
  cached again "$WORK/app" build
  missed app
  hits low mid
}

@test "verify waits for a local slot, and a signal ends it with nothing left behind" {
  local fd pid
  workspace
  cached first "$WORK/app" build
  export DRAY_LOCAL_SLOTS=1
  mkdir -p "$DRAY_CACHE_DIR/slots"
  exec {fd}>"$DRAY_CACHE_DIR/slots/slot-0"
  flock "$fd"
  "$DRAY" verify --json >"$LOGS/verify.json" 2>"$LOGS/verify.err" {fd}>&- 3>&- &
  pid=$!
  STARTED+=("$pid")
  wait_until 30 compgen -G "$DRAY_CACHE_DIR/tmp/.dray-*/made" >/dev/null
  kill -TERM "$pid"
  exec {fd}>&-
  status=0
  wait "$pid" || status=$?
  [ "$status" -eq 143 ]
  jq -e '.interrupted and .verified == 0 and .differ == []' "$LOGS/verify.json"
  nothing_left
  [ "$(in_cache entries)" -eq 3 ]
  asked verify --json '.verified == 3'
}

# doctor CHECK FINDING TEXT [COMMAND…]: whether that is what doctor says of it, by the command or itself.
doctor() {
  "${@:4}" "$DRAY" doctor --json >"$LOGS/doctor.json"
  jq -e --arg check "$1" --arg finding "$2" --arg text "$3" \
    'map(select(.check == $check)) | length == 1 and (.[0] | .finding == $finding and (.text | contains($text)))' \
    "$LOGS/doctor.json" >/dev/null || { cat "$LOGS/doctor.json" >&2; return 1; }
}

@test "doctor says how the cache is used, how large it is, and what could stop it" {
  local tracer=$DRAY_BUILD/trace/dray-trace
  workspace
  doctor cache good "$DRAY_CACHE_DIR, 0 entries, 0 B of at most "
  cached first "$WORK/app" build
  doctor cache good "$DRAY_CACHE_DIR, $(in_cache entries) entries, " env DRAY_CACHE_MAX=64M
  grep -qF ' of at most 64.0 MiB' "$LOGS/doctor.json"
  doctor 'cache use' good 'kept, and looked up'
  doctor 'cache use' note 'cache is off' env DRAY_CACHE=off
  doctor 'cache use' note 'cache is read' env DRAY_CACHE=read
  doctor 'cache use' note 'recache is set' env DRAY_RECACHE=1
  doctor 'cache use' note 'disable is set' env DRAY_DISABLE=1
  doctor tracer good 'can be traced'
  # the kernel lets one be traced only once: so it is where it refuses; a linker is traced without a
  # preloaded library
  doctor tracer note 'it was not traced' "$tracer" --linker --
  clean "$WORK/app"
  rm -rf "$DRAY_CACHE_DIR/entries"
  rm -f "$JOBS"
  "$tracer" --linker -- env RUSTC_WRAPPER="$DRAY" cargo build --manifest-path "$WORK/app/Cargo.toml" 2>"$LOGS/refused.err"
  jobs_all '.not_stored != null'
}

@test "doctor says whether incremental states can be made ready" {
  export DRAY_PRIME=yes
  mkdir "$WORK/bin"
  printf '#!/bin/sh\nexit 1\n' >"$WORK/bin/bwrap"
  chmod +x "$WORK/bin/bwrap"
  doctor priming note 'does not work here' env PATH="$WORK/bin:$PATH"
  printf '#!/bin/sh\nexit 0\n' >"$WORK/bin/bwrap"
  doctor priming note 'CI is set' env CI=1 PATH="$WORK/bin:$PATH"
  doctor priming note 'prime is no' env DRAY_PRIME=no
}

@test "verify of what a farm made: libraries are as they are made here; its links only with the same linker" {
  workspace
  farm_start
  export DRAY_LINKER=rustc
  echo 'pub fn more() -> u32 { let unused = 1; 2 }' >>"$WORK/low/src/lib.rs"
  cached first "$WORK/app" build
  jobs_all '.where == "farm"'
  asked verify --json '.entries == 4 and .verified == 3 and .differ == [] and
    .skipped_why == [{reason: "a bundle", entries: 1}]'
  # the compiler itself would not call this one
  export DRAY_LINKER=auto
  clean "$WORK/app"
  cached second "$WORK/app" build
  hits low mid
  [ "$(job app cache)" = bundle ]
  asked verify --json '.entries == 5 and .verified == 3 and .differ == [] and
    (.skipped_why | sort_by(.reason)) == [{reason: "a bundle", entries: 1},
      {reason: "linked after a compile on the farm", entries: 1}]'
}

@test "verify drops the bundle of what differs: it would be linked to the same again" {
  # No tracer sees that an address is another one each time.
  with_macro "$WORK/app"
  echo 'format!("{:p}", Box::new(1).as_ref())' >"$WORK/app/look/src/expr.rs"
  farm_start
  cached first "$WORK/app" build
  jobs_all '.where == "farm"'
  fails "$DRAY" verify --json >"$LOGS/asked.json"
  jq -e '.differ | map(.crate) == ["app"]' "$LOGS/asked.json"
  clean "$WORK/app"
  cached second "$WORK/app" build
  missed app
  hit look
  [ "$(job app where)" = farm ]
}
