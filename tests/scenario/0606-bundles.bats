#!/usr/bin/env bats
# What the farm compiled of a unit that is linked is kept before its link as well: another linker, or an
# archive that only the link reads, is another link and no compile.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# A program with a warning, a build script, and a library below it.
project() {
  APP=$WORK/app
  package "$APP" app
  dependency "$APP" low
  echo 'fn main() { println!("cargo:rustc-env=BUILT=yes"); }' >"$APP/build.rs"
  cat >"$APP/src/main.rs" <<'END'
fn unused() {}
fn main() {
    println!("{} {}", low::answer(), env!("BUILT"));
}
END
  (cd "$APP" && cargo generate-lockfile -q)
}
# linked_by LINKER COMMAND…: with a C driver that is told to take that linker.
linked_by() {
  local dir=$WORK/linked-by-$1
  mkdir -p "$dir"
  printf '#!/bin/sh\nexec %s "$@" -fuse-ld=%s\n' "$(command -v cc)" "$1" >"$dir/cc"
  chmod +x "$dir/cc"
  PATH=$dir:$PATH "${@:2}"
}
# farm_made DIR ARG…: the farm compiles all of it, and is gone then. It is linked by $LINKER (or rustc).
farm_made() {
  farm_start
  export DRAY_LINKER=${LINKER:-rustc}
  cached farm "$@"
  all_missed
  jobs_all '.where == "farm"'
  kill_hard "$COORDINATOR_PID"
  kill_hard "$WORKER_PID"
}
# bundle CRATE [REASON]: it was linked, and nothing else.
bundle() {
  [ "$(job "$1" cache)" = bundle ] && [ "$(job "$1" where)" = cache ] && [ -z "$(job "$1" worker)" ] &&
    [[ "$(job "$1" cache_why)" = *"${2:-}"* ]] || { show_cache; return 1; }
}
# tidy DIR: no link's input and no staging directory is in any out-dir below it.
tidy() {
  local found
  found=$(find "$1" -name '*.rcgu.o' -o -name 'rustc??????' -o -name '.dray-*')
  [ -z "$found" ] || { echo "left behind: $found" >&2; return 1; }
}

# bats test_tags=long
@test "another linker: linked again, with no compiler and no farm" {
  project
  command -v mold >/dev/null || skip "no mold"
  linked_by mold plain_build "$APP" build
  mv "$BATS_TEST_TMPDIR/plain-target" "$WORK/by-mold"
  cp "$LOGS/plain.err" "$WORK/by-mold.err"
  plain_build "$APP" build
  farm_made "$APP" build
  same_outputs "$APP"
  export DRAY_LINKER=mold
  clean "$APP"
  cached mold "$APP" build
  bundle app 'linker mold changed'
  bundle build_script_build
  hit low
  kept app
  jobs_all '.linker == "mold" or .crate == "low"'
  same_made "$WORK/by-mold/debug" "$APP/target/debug"
  tidy "$APP/target"
  same_text mold
  [ "$("$APP/target/debug/app")" = "42 yes" ]
  cached nothing "$APP" build
  nothing_done nothing
  # what was linked is found whole the next time, and so is what was linked first
  clean "$APP"
  cached again "$APP" build
  all_hit
  same_made "$WORK/by-mold/debug" "$APP/target/debug"
  same_text again
  export DRAY_LINKER=rustc
  clean "$APP"
  cached first "$APP" build
  all_hit
  same_outputs "$APP"
}

# bats test_tags=long
@test "another linker: what is started, by a trace" {
  command -v strace >/dev/null || skip "no strace"
  command -v mold >/dev/null || skip "no mold"
  project
  farm_made "$APP" build
  clean "$APP"
  rm -f "$JOBS"
  # a leak checker is a tracer itself
  export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 DRAY_LINKER=mold
  (cd "$APP" && exec strace -f -qq -s 300 -e trace=execve -o "$LOGS/started" cargo build) \
    >"$LOGS/traced.out" 2>"$LOGS/traced.err" </dev/null 3>&-
  bundle app
  grep ' = 0$' "$LOGS/started" >"$LOGS/ran"
  # cargo itself has questions to the compiler, of a crate that it calls ___
  grep -E 'execve\("[^"]*/rustc"' "$LOGS/ran" | grep -qF '"--crate-name", "___"'
  [ -z "$(grep -E 'execve\("[^"]*/rustc"' "$LOGS/ran" | grep -F '"--crate-name"' | grep -vF '"___"')" ]
  # nor is any store asked, or the coordinator's cache: what is here is enough
  [ -z "$(grep -E 'execve\("[^"]*/dray-dispatch"' "$LOGS/ran")" ]
  [ "$(grep -cE 'execve\("[^"]*/(ld\.)?mold"' "$LOGS/ran")" -ge 2 ]
}

@test "the linker itself is another one, under the same name" {
  local mold
  mold=$(command -v mold) || skip "no mold"
  project
  LINKER=mold
  mkdir "$WORK/bin"
  cp "$mold" "$WORK/bin/ld.mold"
  export PATH=$WORK/bin:$PATH
  linked_by mold plain_build "$APP" build
  farm_made "$APP" build
  same_outputs "$APP"
  # bytes that nobody reads
  echo >>"$WORK/bin/ld.mold"
  clean "$APP"
  cached changed "$APP" build
  bundle app 'bin/ld.mold changed'
  hit low
  same_outputs "$APP"
  tidy "$APP/target"
}

@test "a cache that is only read links, and keeps nothing" {
  local before
  command -v mold >/dev/null || skip "no mold"
  project
  linked_by mold plain_build "$APP" build
  farm_made "$APP" build
  before=$(find "$DRAY_CACHE_DIR/blobs" "$DRAY_CACHE_DIR/entries" -type f | sort)
  clean "$APP"
  DRAY_CACHE=read DRAY_LINKER=mold cached read "$APP" build
  bundle app
  same_outputs "$APP"
  tidy "$APP/target"
  [ "$(find "$DRAY_CACHE_DIR/blobs" "$DRAY_CACHE_DIR/entries" -type f | sort)" = "$before" ]
}

@test "another target directory: linked there, with what is there" {
  command -v mold >/dev/null || skip "no mold"
  APP=$WORK/app
  package "$APP" app
  dependency "$APP" low
  mkdir "$APP/examples"
  echo 'fn main() { println!("{}", low::answer()); }' | tee "$APP/src/main.rs" >"$APP/examples/shown.rs"
  (cd "$APP" && cargo generate-lockfile -q)
  farm_made "$APP" build --examples --bins
  export CARGO_TARGET_DIR=$WORK/elsewhere
  linked_by mold env -u RUSTC_WRAPPER cargo build -q --examples --bins --manifest-path "$APP/Cargo.toml" \
    2>"$LOGS/elsewhere"
  if [ "${DRAY_PATHS:-}" = shared ]; then
    rm -rf "$WORK/elsewhere"
    linked_by mold mapped_build "$APP" "$WORK/elsewhere" build --examples --bins
  fi
  mv "$WORK/elsewhere" "$WORK/plain"
  export DRAY_LINKER=mold
  cached elsewhere "$APP" build --examples --bins
  bundle app
  # its linker's arguments name the library in another directory
  bundle shown
  jobs_all '.where != "farm"'
  cmp "$WORK/plain/debug/app" "$WORK/elsewhere/debug/app"
  cmp "$WORK/plain/debug/examples/shown" "$WORK/elsewhere/debug/examples/shown"
  tidy "$WORK/elsewhere"
}

# ---- what the link reads, and what the compile reads

# archive_changed: the farm made the program in $APP with an archive that says 1; then it is built with one
# that says 2, as it was without dray before.
archive_changed() {
  archive "$APP/native" 2
  plain_build "$APP" build
  archive "$APP/native" 1
  farm_made "$APP" build
  says "$APP" 1
  archive "$APP/native" 2
  clean "$APP"
  cached changed "$APP" build
}
# bats test_tags=long
@test "a C archive that only the last link reads changes" {
  APP=$WORK/app
  sys_crate "$APP" static:-bundle=words
  archive_changed
  bundle app 'libwords.a changed'
  hits mid words_sys build_script_build
  same_outputs "$APP"
  says "$APP" 2
  archive "$APP/native" 1
  clean "$APP"
  cached back "$APP" build
  all_hit
  says "$APP" 1
}

# deep_archive LINK: the library that has the archive is compiled, and the one between is not.
deep_archive() {
  APP=$WORK/app
  sys_crate "$APP" "$1"
  archive_changed
  missed words_sys 'libwords.a changed'
  hits mid build_script_build
}
# bats test_tags=long
@test "a C archive inside of a library's rlib changes: linked again" {
  deep_archive static=words
  bundle app 'libwords_sys'
  same_outputs "$APP"
  says "$APP" 2
  # what came of it is what the compiler makes of it now
  "$DRAY" verify --json >"$LOGS/verify.json"
  jq -e '.differ == [] and .verified == 4 and .skipped_why == [{reason: "a bundle", entries: 2}]' "$LOGS/verify.json"
}
# bats test_tags=long
@test "a C archive that the compiler takes out of a library's rlib: compiled again" {
  deep_archive static:+whole-archive=words
  missed app
  same_outputs "$APP"
  says "$APP" 2
}
# bats test_tags=long
@test "a C archive inside of an extern's rlib changes; then its source" {
  APP=$WORK/app
  sys_crate "$APP" static=words
  sed -i 's/^mid = .*/words-sys = { path = "words-sys" }/' "$APP/Cargo.toml"
  rm -r "$APP/mid"
  echo 'fn main() { println!("{}", unsafe { words_sys::number() }); }' >"$APP/src/main.rs"
  archive_changed
  bundle app '--extern words_sys changed'
  same_outputs "$APP"
  says "$APP" 2
  echo 'pub fn more() {}' >>"$APP/words-sys/src/lib.rs"
  clean "$APP"
  plain_build "$APP" build
  cached source "$APP" build
  missed app
  same_outputs "$APP"
}

# ---- what goes wrong

# bats test_tags=long
@test "the link fails: what the compiler says, and nothing is left behind" {
  local f
  APP=$WORK/app
  sys_crate "$APP" static:-bundle=words
  archive "$APP/native" 1
  farm_made "$APP" build
  printf 'int other(void) { return 1; }\n' | cc -x c -c -o "$WORK/other.o" -
  rm "$APP/native/libwords.a"
  ar -D rcs "$APP/native/libwords.a" "$WORK/other.o"
  clean "$APP"
  plain_build "$APP" build
  [ "$PLAIN_STATUS" -ne 0 ]
  clean "$APP"
  rm -f "$JOBS"
  build fails "$APP" build
  [ "$BUILD_STATUS" -eq "$PLAIN_STATUS" ]
  missed app 'libwords.a changed'
  [ "$(job app where)" = local ]
  # the compiler's own temporary directory has another name each time
  for f in plain fails; do
    sed -i -E 's#/rustc[A-Za-z0-9]{6}/#/rustcXXXXXX/#g' "$LOGS/$f.err"
  done
  same_text fails
  file_has "$LOGS/fails.err" 'number'
  diff <(cd "$BATS_TEST_TMPDIR/plain-target/debug" && find_made . '*' '.*') <(cd "$APP/target/debug" && find_made . '*' '.*')
  archive "$APP/native" 1
  cached again "$APP" build
  hit app
  says "$APP" 1
}

# objects: the blobs that are a link's inputs, and no output.
objects() {
  local f
  for f in "$DRAY_CACHE_DIR"/blobs/*/*; do
    [ "$(od -An -tx1 -N4 "$f" | tr -d ' ')" != 7f454c46 ] || [ "$(od -An -tu1 -j16 -N1 "$f" | tr -d ' ')" != 1 ] ||
      echo "$f"
  done
}
# damaged LABEL COMMAND…: what that does to each of them is found out, and all is compiled.
damaged() {
  local f n=0
  for f in $(objects); do
    "${@:2}" "$f"
    n=$((n + 1))
  done
  [ "$n" -ge 4 ]
  clean "$APP"
  DRAY_LINKER=mold cached "$1" "$APP" build
  missed app
  [ "$(job app where)" = local ]
  same_outputs "$APP"
  tidy "$APP/target"
  same_text "$1"
}
flip() {
  local byte
  byte=$(od -An -tu1 -j 100 -N 1 "$1")
  printf "\\x$(printf %x $((byte ^ 16)))" | dd of="$1" bs=1 seek=100 conv=notrunc status=none
}
# bats test_tags=long
@test "a bundle that is damaged, or not whole, is none" {
  local before
  project
  plain_build "$APP" build
  farm_made "$APP" build
  cp -a "$DRAY_CACHE_DIR" "$WORK/kept"
  damaged flipped flip
  rm -rf "$DRAY_CACHE_DIR"
  cp -a "$WORK/kept" "$DRAY_CACHE_DIR"
  damaged cut truncate -s -1
  rm -rf "$DRAY_CACHE_DIR"
  cp -a "$WORK/kept" "$DRAY_CACHE_DIR"
  damaged gone rm
}

# stopped_by SIGNAL: a build that gets it while a bundle is linked.
stopped_by() {
  local mold
  mold=$(command -v mold) || skip "no mold"
  project
  linked_by mold plain_build "$APP" build
  farm_made "$APP" build
  # a linker that waits for somebody to write
  mkfifo "$WORK/nobody"
  mkdir "$WORK/bin"
  cat >"$WORK/bin/ld.mold" <<END
#!/bin/sh
case "\$*" in
  *--version*) ;;
  *)
    : >"$WORK/linking"
    read -r x <"$WORK/nobody"
    ;;
esac
exec "$mold" "\$@"
END
  chmod +x "$WORK/bin/ld.mold"
  clean "$APP"
  rm -f "$JOBS"
  export DRAY_LINKER=mold
  PATH=$WORK/bin:$PATH build_start stopped "$APP" build
  wait_until 60 test -e "$WORK/linking"
  [ -n "$(find "$APP/target" -name '*.rcgu.o')" ]
  kill -"$1" -- "-$BUILD_PID"
  build_stopped 20
  [ "$BUILD_STATUS" -ne 0 ]
}
@test "Ctrl-C in the middle of the link leaves nothing behind" {
  stopped_by INT
  tidy "$APP/target"
  clean "$APP"
  cached after "$APP" build
  bundle app
  same_outputs "$APP"
}
@test "what is killed in the middle of the link is done and swept by the next build" {
  stopped_by KILL
  [ -n "$(find "$APP/target" -name '.dray-*')" ]
  # it is looked for once a minute
  rm -rf "$DRAY_CACHE_DIR/swept"
  cached after "$APP" build
  bundle app
  bundle build_script_build
  same_outputs "$APP"
  tidy "$APP/target"
}

# ---- the commands

@test "stats, explain, report and verify tell of it" {
  command -v mold >/dev/null || skip "no mold"
  project
  farm_made "$APP" build
  clean "$APP"
  DRAY_LINKER=mold cached mold "$APP" build
  "$DRAY" stats --json --since 1h >"$LOGS/stats.json"
  jq -e '.cache.only_linked.units == 2 and .cache.only_linked.link_ms > 0 and .cache.hits.units == 3 and
    (.cache.only_linked_why | length == 1 and .[0].reason == "linker mold changed")' "$LOGS/stats.json"
  "$DRAY" stats | grep -qE '^ +of these only linked +2 '
  "$DRAY" explain app >"$LOGS/explain"
  file_has "$LOGS/explain" 'only its link was made'
  file_has "$LOGS/explain" 'It had to be linked: linker mold changed'
  file_has "$LOGS/explain" 'It was linked here by mold'
  (cd "$WORK" && "$DRAY" report -o "$LOGS/report.html" >/dev/null)
  file_has "$LOGS/report.html" 'hit but for the link'
  # a later hit says where it came from
  clean "$APP"
  DRAY_LINKER=mold cached again "$APP" build
  all_hit
  "$DRAY" verify --json >"$LOGS/verify.json"
  jq -e '.differ == [] and (.skipped_why | map({(.reason): .entries}) | add)["a bundle"] == 2' "$LOGS/verify.json"
}
