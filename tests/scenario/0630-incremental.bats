#!/usr/bin/env bats
# Units that cargo wants compiled incrementally: from the cache where it has them, as cargo would where
# there is a state, and with a state made ready behind one's back.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# An app with a library, both of the workspace, as cargo builds them when nobody says otherwise.
project() {
  package "$WORK/app" app
  printf 'pub fn answer() -> u32 { 42 }\npub mod other {\n    pub fn other(v: &mut Vec<u8>) {\n        v.push(1);\n    }\n}\n' >"$WORK/app/src/lib.rs"
  echo 'fn main() { println!("{}", app::answer()); }' >"$WORK/app/src/main.rs"
  (cd "$WORK/app" && cargo generate-lockfile -q)
  unset CARGO_INCREMENTAL CI
}
# How many crates of the project have a finished state.
states() {
  find "$WORK/app/target/debug/incremental" -mindepth 2 -maxdepth 2 -type d -name 's-*' ! -name '*-working' \
    -printf '%h\n' 2>/dev/null | sort -u | wc -l
}
# The objects in them, by inode: rustc takes over what an edit does not touch as hard links.
objects() {
  find "$WORK/app/target/debug/incremental" -name '*.o' -printf '%i\n' | sort -u
}
has_states() {
  [ "$(states)" -eq "$1" ]
}
answer() {
  [ "$("$WORK/app/target/debug/app")" = "$1" ]
}
edit() {
  sed -i "s/u32 { .* }/u32 { $1 }/" "$WORK/app/src/lib.rs"
}

@test "without a state: compiled without one, kept, and found again" {
  project
  cached first "$WORK/app" build
  all_missed
  [ "$(states)" -eq 0 ]
  clean "$WORK/app"
  cached second "$WORK/app" build
  all_hit
  answer 42
}

@test "the state is made ready, and the next edit goes on from it" {
  project
  export DRAY_PRIME=yes
  cached first "$WORK/app" build
  all_missed
  # at idle priority: on a busy machine others go first
  wait_until 180 has_states 2
  # nothing of it is left beside, and cargo has nothing to do
  wait_until 60 eval '[ -z "$(find "$WORK/app/target" -name ".dray-*")" ]'
  cached nothing "$WORK/app" build
  nothing_done nothing
  objects >"$WORK/primed"
  [ -s "$WORK/primed" ]
  edit 43
  cached edited "$WORK/app" build
  answer 43
  jobs_all '.where == "local" and .why == "incremental" and .cache == "miss"'
  [ "$(states)" -eq 2 ]
  newest=$(find "$WORK/app/target/debug/incremental" -mindepth 2 -maxdepth 2 -type d -newer "$WORK/primed" -name 's-*')
  [ -n "$newest" ]
  find $newest -name '*.o' -printf '%i\n' | sort -u | comm -12 - "$WORK/primed" | grep -q .
  # what was made of a state is not kept
  clean "$WORK/app"
  export DRAY_PRIME=no
  cached again "$WORK/app" build
  [ "$(job app cache)" = miss ]
  # and an exact hit wins over a state
  edit 42
  cached back "$WORK/app" build
  all_hit
  answer 42
}

# idle: nothing of dray runs in the project any more.
idle() {
  [ -z "$(readlink /proc/[0-9]*/cwd 2>/dev/null | grep -xF "$WORK/app")" ]
}
# The project is built, and what would make its states waits until descriptor 9 is closed.
built_with_priming_held() {
  project
  export DRAY_PRIME=yes
  mkdir -p "$DRAY_CACHE_DIR/prime"
  exec 9>"$DRAY_CACHE_DIR/prime/turn"
  flock 9
  cached first "$WORK/app" build
}
# bats test_tags=long
@test "what is removed meanwhile is not made again" {
  built_with_priming_held
  rmdir "$WORK/app/target/debug/incremental"
  exec 9>&-
  wait_until 180 idle
  [ ! -e "$WORK/app/target/debug/incremental" ]
  cached nothing "$WORK/app" build
  nothing_done nothing
}

# reads FILE: a compiler has it open.
reads() {
  local p
  for p in /proc/[0-9]*; do
    [ "$(cat "$p/comm" 2>/dev/null)" = rustc ] && readlink "$p"/fd/* 2>/dev/null | grep -qxF "$1" && return 0
  done
  return 1
}
# bats test_tags=long
@test "the target directory is removed while a state is made" {
  built_with_priming_held
  # its compiler waits for the source, before it makes the state's directory
  mv "$WORK/app/src/lib.rs" "$WORK/lib.rs"
  mkfifo "$WORK/app/src/lib.rs"
  exec 8<>"$WORK/app/src/lib.rs"
  exec 9>&-
  wait_until 180 reads "$WORK/app/src/lib.rs"
  rm -r "$WORK/app/target"
  cat "$WORK/lib.rs" >&8
  exec 8>&-
  wait_until 180 idle
  [ ! -e "$WORK/app/target" ]
  mv "$WORK/lib.rs" "$WORK/app/src/lib.rs"
  cached second "$WORK/app" build
  all_hit
  answer 42
}

@test "an edit before a state is ready leaves one for the next" {
  project
  cached first "$WORK/app" build
  all_missed
  [ "$(states)" -eq 0 ]
  edit 43
  cached edited "$WORK/app" build
  jobs_all '.where == "local" and .why == "incremental"'
  [ "$(states)" -eq 2 ]
  answer 43
  edit 44
  cached again "$WORK/app" build
  jobs_all '.why == "incremental"'
  answer 44
}

# seeds N: so many are kept.
seeds() {
  [ "$(find "$DRAY_CACHE_DIR/seeds" -mindepth 1 -maxdepth 1 ! -name '.*' 2>/dev/null | wc -l)" -eq "$1" ]
}
# seeded: a build, an edit whose state is kept, and cargo clean.
seeded() {
  project
  cached first "$WORK/app" build
  edit 43
  export DRAY_PRIME=yes
  cached edited "$WORK/app" build
  # a library and a program of one name: the later of the two finds a fresh one
  wait_until 60 seeds 1
  wait_until 60 idle
  edit 42
  export DRAY_PRIME=no
  clean "$WORK/app"
  cached cleaned "$WORK/app" build
  all_hit
  [ "$(states)" -eq 0 ]
}
# bats test_tags=long
@test "after cargo clean the first edit goes on from what was compiled before" {
  seeded
  touch "$WORK/cleaned"
  edit 44
  cached again "$WORK/app" build
  jobs_all '.where == "local" and .why == "incremental"'
  answer 44
  [ "$(states)" -eq 2 ]
  # the compiler has taken over what it need not make: objects from before cargo clean
  find "$WORK/app/target/debug/incremental" -name '*.o' ! -newer "$WORK/cleaned" | grep -q .
  [ -z "$(find "$WORK/app/target" -name '.dray-*')" ]
  # none of them is one file with the seed's
  [ -z "$(find "$DRAY_CACHE_DIR/seeds" -type f -links +1)" ]
  edit 45
  cached steady "$WORK/app" build
  answer 45
}

# damage FILE: a bit in the middle of it is another.
damage() {
  local at=$(($(stat -c %s "$1") / 2)) byte
  byte=$(od -An -tu1 -j $at -N 1 "$1")
  printf "\\x$(printf %x $((byte ^ 16)))" | dd of="$1" bs=1 seek=$at conv=notrunc status=none
}
one_seed_file() {
  find "$DRAY_CACHE_DIR/seeds" -type f -name "$1" -size +0 | LC_ALL=C sort | head -n 1 | grep .
}
# without_it COMMAND…: the seed is put back as it was kept, the command hurts it, and the next edit is built right; the
# seed is gone, and the log says why.
without_it() {
  rm -rf "$DRAY_CACHE_DIR/seeds" "$WORK/app/target"
  cp -a "$WORK/seeds" "$DRAY_CACHE_DIR/seeds"
  edit 42
  cached again "$WORK/app" build || return
  all_hit || return
  "$@" || return
  edit $((n = ${n:-50} + 1))
  cached edited "$WORK/app" build || return
  answer $n || return
  [ -z "$(find "$WORK/app/target" -name '.dray-*')" ] || return
  jq -es 'any(.[]; .cache_why // "" | endswith("; the seed of its state was damaged"))' "$JOBS" >/dev/null || { show_cache; return 1; }
  seeds 0
}

# bats test_tags=long
@test "a bit of a seed that is another is found, in any file, and that seed is gone" {
  seeded
  cp -a "$DRAY_CACHE_DIR/seeds" "$WORK/seeds"
  for name in '*.o' dep-graph.bin query-cache.bin work-products.bin sums; do
    flipped() {
      damage "$(one_seed_file "$name")"
    }
    without_it flipped
  done
  # what a state goes on from is right without it
  touch "$WORK/damaged"
  edit 90
  cached steady "$WORK/app" build
  answer 90
  find "$WORK/app/target/debug/incremental" -name '*.o' ! -newer "$WORK/damaged" | grep -q .
}

# bats test_tags=long
@test "a seed of which a part is cut or gone, or that an older dray left, is none" {
  seeded
  cp -a "$DRAY_CACHE_DIR/seeds" "$WORK/seeds"
  in_seeds() {
    find "$DRAY_CACHE_DIR/seeds" "$@"
  }
  without_it in_seeds -name dep-graph.bin -exec truncate -s 100 {} +
  without_it in_seeds -name '*.o' -exec truncate -s 0 {} +
  without_it in_seeds -name '*.lock' -delete
  without_it in_seeds -name '*.o' -delete
  without_it in_seeds -name 's-*' -type d -exec rm -r {} +
  without_it in_seeds -name sums -delete
  # one that is not readable is not read
  rm -rf "$DRAY_CACHE_DIR/seeds" "$WORK/app/target"
  cp -a "$WORK/seeds" "$DRAY_CACHE_DIR/seeds"
  edit 42
  cached again "$WORK/app" build
  chmod -R a-r "$DRAY_CACHE_DIR/seeds/"* || true
  edit 91
  cached edited "$WORK/app" build
  answer 91
}

@test "of a cache that others may write to no seed is taken, and none is put there" {
  seeded
  chmod o+w "$DRAY_CACHE_DIR"
  touch "$WORK/cleaned"
  touch -d '1 hour ago' "$DRAY_CACHE_DIR/seeds/"*
  cp -a "$DRAY_CACHE_DIR/seeds" "$WORK/seeds"
  for n in $(seq 0 63); do ln -sfn "$WORK/elsewhere" "$DRAY_CACHE_DIR/prime/$n"; done
  export DRAY_PRIME=yes
  edit 44
  cached again "$WORK/app" build
  answer 44
  [ -z "$(find "$WORK/app/target/debug/incremental" -name '*.o' ! -newer "$WORK/cleaned")" ]
  wait_until 60 idle
  [ ! -e "$WORK/elsewhere" ]
  diff -r "$WORK/seeds" "$DRAY_CACHE_DIR/seeds"
}

@test "seeds go with dray clear, but not where the cache is only read" {
  seeded
  run -1 env DRAY_CACHE=read "$DRAY" clear
  seeds 1
  "$DRAY" clear >/dev/null
  [ ! -e "$DRAY_CACHE_DIR/seeds" ]
}

@test "switched off, it is as cargo has it; or never" {
  project
  DRAY_INCREMENTAL=always cached always "$WORK/app" build
  jobs_all '.cache == "off" and .cache_why == "incremental"'
  [ "$(states)" -eq 2 ]
  clean "$WORK/app"
  DRAY_INCREMENTAL=never DRAY_PRIME=yes cached never "$WORK/app" build
  all_missed
  edit 44
  DRAY_INCREMENTAL=never cached edited "$WORK/app" build
  all_missed
  [ "$(states)" -eq 0 ]
  answer 44
}

@test "what cannot be kept is compiled as cargo would" {
  project
  RUSTFLAGS='-C save-temps=yes' cached first "$WORK/app" build
  jobs_all '.cache == "off" and .cache_why == "save-temps" and .where == "local"'
  [ "$(states)" -eq 2 ]
}

@test "nothing is made ready in CI" {
  project
  export DRAY_PRIME=yes CI=true
  cached first "$WORK/app" build
  all_missed
  [ ! -e "$DRAY_CACHE_DIR/prime" ]
}
