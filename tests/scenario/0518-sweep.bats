#!/usr/bin/env bats
# Target directories that nobody has built in for long: dray sweep lists them, and removes them when told to.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# aged DIR: all of it is 40 days old.
aged() {
  find "$1" -depth -exec touch -h -d '40 days ago' {} +
}
# swept FILTER [ARGUMENT]...: dray sweep --json ARGUMENT… says this.
swept() {
  "$DRAY" sweep --json "${@:2}" >"$LOGS/swept" || { cat "$LOGS/swept"; return 1; }
  jq -e "$1" "$LOGS/swept" >"$LOGS/jq" || { cat "$LOGS/swept"; return 1; }
}
# Two programs that were built, one of them long ago.
two() {
  package "$WORK/app" app bin
  cp -r "$WORK/app" "$WORK/old"
  for dir in app old; do
    (cd "$WORK/$dir" && RUSTC_WRAPPER=$DRAY cargo build -q)
  done
  aged "$WORK/old"
}

@test "sweep lists what nobody has built in for long, and removes it only when told to" {
  two
  # by the job log, and by a directory above
  for where in '' "$WORK"; do
    swept ".remove == false and .used_since == 1 and (.dirs | length == 1) and (.dirs[0] |
      .dir == \"$WORK/old/target\" and .bytes > 0 and .files > 3 and .removed == false and .stays == null)" $where
  done
  [ -e "$WORK/old/target/debug" ]
  run "$DRAY" sweep
  [ "$status" -eq 0 ]
  [[ "$output" == *"  $WORK/old/target"*"old: 1 target directory, "*"; 1 used since"*"--remove does it" ]]
  swept '.dirs == [] and .used_since == 2' --older-than 50d
  swept '.dirs == [] and .used_since == 0' "$WORK/old/src"
  swept '.remove and .dirs[0].removed' --remove
  [ "$(ls -A "$WORK/old" | tr '\n' ' ')" = "$(cd "$WORK/app" && ls -A | grep -v target | tr '\n' ' ')" ]
  [ -e "$WORK/app/target/debug" ]
  swept '.dirs == [] and .used_since == 1'
  cached again "$WORK/old" build
  hit app
}

@test "a build that had nothing to do counts as well" {
  two
  (cd "$WORK/old" && cargo build -q)
  find "$WORK/old/target" -mtime -1 -type f -not -path '*/incremental/*' | grep -q . && skip "it had something to do"
  find "$WORK/old/target" -path '*fingerprint*' -atime -1 | grep -q . || skip "no times of reading here"
  swept '.dirs == [] and .used_since == 2'
}

@test "sweep leaves what is locked, is not cargo's, or holds more" {
  two
  local old=$WORK/old/target
  flock "$old/debug/.cargo-lock" "$DRAY" sweep --json --remove >"$LOGS/swept"
  jq -e '.dirs[0] | .removed == false and .stays == "a build has locked it"' "$LOGS/swept"
  (cd "$old/debug" && swept '.dirs[0].stays == "this directory is in it"' --remove)
  HOME=$old/debug swept '.dirs[0].stays == "the home directory is in it"' --remove
  touch "$old/Cargo.toml"
  aged "$WORK/old"
  swept '.dirs[0].stays == "holds more than what cargo builds"' --remove
  rm "$old/Cargo.toml"
  aged "$WORK/old"
  [ -e "$old/debug/.cargo-lock" ]
  # as CARGO_HOME has it, and as other programs do
  mkdir -p "$WORK/registry" "$WORK/other/debug"
  cp "$old/CACHEDIR.TAG" "$WORK/registry/"
  head -1 "$old/CACHEDIR.TAG" >"$WORK/other/CACHEDIR.TAG"
  touch "$WORK/other/debug/.cargo-lock"
  ln -s "$old" "$WORK/link"
  aged "$WORK"
  swept "[.dirs[].dir] == [\"$WORK/app/target\", \"$old\"] or [.dirs[].dir] == [\"$old\", \"$WORK/app/target\"]" "$WORK"
  swept "[.dirs[].dir] == [\"$old\"]" "$WORK/link"
  if [ "$(id -u)" = 0 ]; then
    chown nobody "$old"
    swept '.dirs[0].stays == "belongs to another user"' --remove "$WORK/old"
  fi
}

@test "sweep frees what only the directory has" {
  two
  local before
  before=$("$DRAY" sweep --json | jq '.dirs[0].bytes')
  # what is linked with something outside is not freed
  dd if=/dev/zero of="$WORK/old/target/large" bs=1M count=4 status=none
  ln "$WORK/old/target/large" "$WORK/old/target/again"
  aged "$WORK/old"
  swept ".dirs[0].bytes >= $before + 4194304 and .dirs[0].bytes < $before + 8388608"
  ln "$WORK/old/target/large" "$WORK/outside"
  swept ".dirs[0].bytes < $before + 4194304"
}

@test "a wrong time or directory is refused" {
  for time in yesterday 30 '' 2199-01-01; do
    run --separate-stderr "$DRAY" sweep --older-than "$time"
    [ "$status" -eq 2 ]
    [[ "$stderr" == "dray sweep: --older-than $time: "* ]]
  done
  run --separate-stderr "$DRAY" sweep "$WORK/nowhere"
  [ "$status" -eq 1 ]
  [ "$stderr" = "dray sweep: $WORK/nowhere: No such file or directory" ]
}
