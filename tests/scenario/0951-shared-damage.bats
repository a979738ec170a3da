#!/usr/bin/env bats
# A store that was changed behind our back: what is wrong there is refused and compiled, and the store is right again
# once it is uploaded anew.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/shared.bash"

# objects blobs|entries: of the store, one a line.
objects() {
  find "$STORE/v1/$1" -type f | LC_ALL=C sort
}
# each of these changes the file $1 in its way
cut_short() { truncate -s $(($(stat -c %s "$1") / 2)) "$1"; }
emptied() { : >"$1"; }
flipped() {
  local at=$(($(stat -c %s "$1") - 3)) old
  old=$(od -An -tu1 -j "$at" -N 1 "$1" | tr -d ' ')
  printf "\\x$(printf %02x $((old ^ 1)))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}
garbage() { head -c 1000 /dev/urandom >"$1"; }
longer() { echo more >>"$1"; }

# damaged KIND HOW: all objects of that kind are changed so, and another machine builds.
damaged() {
  local f
  rm -rf "$STORE"
  cp -a "$WORK/good-store" "$STORE"
  objects "$1" >"$WORK/objects"
  [ -s "$WORK/objects" ]
  while read -r f; do
    chmod u+w "$f"
    "$2" "$f"
  done <"$WORK/objects"
  clean "$WORK/p"
  machine "$1-$2" reader
  cached "$1-$2" "$WORK/p" build
  nothing_from_store
  same_tree "$WORK/p"
}
# nothing_from_store: of what has blobs (what the script made is so small that it is in its result).
nothing_from_store() {
  jobs_all '.kind == "script-run" or .where == "local"' || { show_shared; return 1; }
}

scenario_setup_more() {
  project "$WORK/p"
  stored one "$WORK/p"
  cp -a "$STORE" "$WORK/good-store"
  cp -a "$WORK/p/target" "$WORK/plain"
}

@test "blobs that are changed: nothing is taken, and the bytes are right" {
  scenario_setup_more
  damaged blobs flipped
}

# bats test_tags=long
@test "results that are changed: nothing is taken, and the bytes are right" {
  scenario_setup_more
  damaged entries flipped
  missed_run
  # and made anew by who may write
  clean "$WORK/p"
  machine writer
  stored again "$WORK/p"
  clean "$WORK/p"
  machine two reader
  cached two "$WORK/p" build
  from_store
}

# bats test_tags=long
@test "changed in other ways" {
  scenario_setup_more
  damaged blobs emptied
  damaged blobs cut_short
  damaged entries garbage
  damaged blobs longer
  damaged entries emptied
  damaged entries cut_short
}

# bats test_tags=long
@test "swapped: a result is found under another's key, a blob under another's name" {
  local kind a b
  scenario_setup_more
  for kind in entries blobs; do
    rm -rf "$STORE"
    cp -a "$WORK/good-store" "$STORE"
    mapfile -t all < <(objects $kind)
    # each in the place of the one before
    cp "${all[0]}" "$WORK/first"
    for ((a = 0; a < ${#all[@]}; a++)); do
      b=$(((a + 1) % ${#all[@]}))
      if [ $b -eq 0 ]; then cp "$WORK/first" "${all[$a]}"; else cp "${all[$b]}" "${all[$a]}"; fi
    done
    clean "$WORK/p"
    machine "swapped-$kind" reader
    cached "swapped-$kind" "$WORK/p" build
    nothing_from_store
    same_tree "$WORK/p"
  done
}

@test "a blob is gone: its result is compiled, the others are taken" {
  scenario_setup_more
  rm "$(objects blobs | while read -r f; do echo "$(stat -c %s "$f") $f"; done | sort -n | tail -n 1 | cut -d' ' -f2)"
  clean "$WORK/p"
  machine two reader
  cached two "$WORK/p" build
  [ "$(jq -r 'select(.tier == null).crate' "$JOBS" | wc -l)" -eq 1 ] || { show_shared; return 1; }
  same_tree "$WORK/p"
}
