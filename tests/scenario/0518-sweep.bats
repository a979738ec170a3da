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

# old DIR: a target directory as cargo leaves it, 40 days old.
old() {
  mkdir -p "$1/debug/deps" "$1/debug/.fingerprint"
  printf 'Signature: 8a477f597d28d172789f06886806bc55\n# created by cargo\n' >"$1/CACHEDIR.TAG"
  echo '{}' >"$1/.rustc_info.json"
  touch "$1/debug/.cargo-lock" "$1/debug/deps/libone.rlib"
  aged "$1"
}
# stays WHY DIR: it is not removed.
stays() {
  swept ".dirs[0].stays == \"$1\" and .dirs[0].removed == false" "$2"
  swept ".dirs[0].stays == \"$1\" and .dirs[0].removed == false" --remove "$2"
  [ -e "$2/debug/deps/libone.rlib" ]
}

@test "sweep leaves a directory in which somebody works" {
  local t=$WORK/p/target name
  for name in src/.git work/deep/.hg proj/Cargo.toml .jj; do
    old "$t"
    mkdir -p "$t/${name%/*}"
    touch "$t/$name"
    aged "$t"
    stays "holds more than what cargo builds" "$t"
    rm -rf "$t"
  done
  # what cargo, tests and build scripts leave there is none
  old "$t"
  mkdir -p "$t/package/p-0.1.0" "$t/tests/trybuild/p" "$t/debug/build/p-123/out/clone/.git" "$t/tmp/repo/.git"
  touch "$t/package/p-0.1.0/Cargo.toml" "$t/tests/trybuild/p/Cargo.toml"
  aged "$t"
  for name in CARGO_HOME RUSTUP_HOME; do
    mkdir -p "$t/home"
    aged "$t"
    (export "$name=$t/home"; stays "$name is in it" "$t")
  done
  DRAY_JOB_LOG=$t/debug/.cargo-lock stays "dray's job log is in it" "$t"
  swept '.dirs[0].removed' --remove "$t"
  [ -z "$(ls -A "$WORK/p")" ]
}

@test "sweep leaves what a link leads to: cargo makes no directory where one leads nowhere" {
  two
  mv "$WORK/old/target" "$WORK/elsewhere"
  ln -s "$WORK/elsewhere" "$WORK/old/target"
  swept ".dirs[0].dir == \"$WORK/elsewhere\" and .dirs[0].stays == \"a link leads to it\"" --remove
  [ -e "$WORK/elsewhere/debug" ]
}

@test "sweep leaves what is mounted, or has a mount in it" {
  unshare -m true 2>/dev/null || skip "no mount namespaces here"
  local where data="$WORK/the data"
  mkdir -p "$data"
  touch "$data/precious"
  for where in "$WORK/p/target" "$WORK/p/target/debug" "$WORK/p/target/a dir"; do
    old "$WORK/p/target"
    mkdir -p "$where"
    aged "$WORK/p"
    [ "$where" != "$WORK/p/target" ] || cp -rp "$where/." "$data"
    aged "$data"
    unshare -m bash -c 'mount --bind "$1" "$2" && exec "$3" sweep --json --remove "$4"' - "$data" "$where" "$DRAY" "$WORK/p" >"$LOGS/mounted"
    jq -e '.dirs[0].stays == "something is mounted there"' "$LOGS/mounted" || { cat "$LOGS/mounted"; false; }
    [ -e "$data/precious" ]
    [ -e "$WORK/p/target/debug/.cargo-lock" ]
    [ "$(ls -A "$WORK/p")" = target ]
  done
}

@test "a file that says it is of the future is as old as its last change" {
  local t=$WORK/p/target
  old "$t"
  swept '.dirs | length == 1' "$t"
  touch -d '2 hours' "$t/debug/deps/libone.rlib"
  swept '.dirs == [] and .used_since == 1' --remove "$t"
  [ -e "$t/debug/deps/libone.rlib" ]
}

@test "what a sweep that was killed left is found, and goes" {
  two
  local rest
  mv "$WORK/old/target" "$WORK/old/.dray-sweep-0123456789abcdef"
  rm "$WORK/old/.dray-sweep-0123456789abcdef/CACHEDIR.TAG"
  mkdir "$WORK/old/.dray-sweep-notes"
  for where in '' "$WORK"; do
    swept ".dirs[0].dir == \"$WORK/old/.dray-sweep-0123456789abcdef\" and .dirs[0].stays == null" $where
  done
  exec {rest}<"$WORK/old/.dray-sweep-0123456789abcdef"
  flock "$rest"
  swept '.dirs[0].stays == "another dray sweep is at it"' --remove
  exec {rest}<&-
  swept '.dirs[0].removed' --remove
  [ -z "$(find "$WORK/old" -name '.dray-sweep-0*')" ]
  [ -d "$WORK/old/.dray-sweep-notes" ]
}

@test "sweep says which directory it is, whatever its name, and where a rest is" {
  local t=$WORK/$'a b\nc\xff'/target
  old "$t"
  mkdir -p "$t/read-only/x"
  chmod 555 "$t/read-only"
  aged "$t"
  swept '.dirs | length == 1' "$t/.."
  [ "$(jq -r '.dirs[0].dir' "$LOGS/swept")" = "$WORK/"$'a b\nc?/target' ]
  run "$DRAY" sweep "$t"
  [ "${#lines[@]}" -eq 3 ]
  # below one that goes
  old "$t/tool"
  aged "$t"
  swept '.dirs | length == 1' --remove "$t" "$t/tool"
  [ ! -e "$t" ]
  [ -z "$(ls -A "$WORK/"$'a b\nc\xff')" ]
  # something that cannot go
  old "$t"
  if chattr +i "$t/debug/deps/libone.rlib" 2>/dev/null; then
    run --separate-stderr "$DRAY" sweep --remove "$t"
    chattr -i "${t%/*}"/.dray-sweep-*/debug/deps/libone.rlib
    [ "$status" -eq 1 ]
    [[ "$stderr" == "dray sweep: "*": not all of it could be removed, the rest is "*"/.dray-sweep-"*": Operation not permitted" ]]
    [ "$(wc -l <<<"$stderr")" -eq 1 ]
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
  for time in yesterday 30 '' 2199-01-01 2026-02-30 2025-02-29; do
    run --separate-stderr "$DRAY" sweep --older-than "$time"
    [ "$status" -eq 2 ]
    [[ "$stderr" == "dray sweep: --older-than $time: "* ]]
  done
  run --separate-stderr "$DRAY" sweep "$WORK" --remove
  [ "$status" -eq 2 ]
  [[ "$stderr" == "dray sweep: --remove: options come before directories"* ]]
  run --separate-stderr "$DRAY" sweep "$WORK/nowhere"
  [ "$status" -eq 1 ]
  [ "$stderr" = "dray sweep: $WORK/nowhere: No such file or directory" ]
  touch "$WORK/file"
  run --separate-stderr "$DRAY" sweep "$WORK/file"
  [ "$status" -eq 1 ]
  [ "$stderr" = "dray sweep: $WORK/file: Not a directory" ]
}
