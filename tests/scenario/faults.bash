# For scenarios of disks and directories that fail: small file systems, and permissions that hold
# root, too. Sourced after lib.bash.

eval "lib_$(declare -f teardown)"
# ELSEWHERE: a directory outside of the test's own, to be removed with it.
MOUNTED=()
teardown() {
  local m status=0
  lib_teardown || status=$?
  for m in ${MOUNTED[@]+"${MOUNTED[@]}"}; do
    umount -l "$m" 2>/dev/null || true
  done
  [ -z "${ELSEWHERE:-}" ] || rm -rf "$ELSEWHERE"
  # What a scenario forbade must not keep bats from removing it.
  chmod -R u+w "$BATS_TEST_TMPDIR" 2>/dev/null || true
  return $status
}

# small_disk DIR SIZE: a file system of that size, for root only.
small_disk() {
  mkdir -p "$1"
  mount -t tmpfs -o "size=$2,mode=0700" none "$1" 2>"$LOGS/mount" || skip "cannot mount here: $(cat "$LOGS/mount")"
  MOUNTED+=("$1")
}

# fill DIR [ROOM]: leaves so many bytes of it (none).
fill() {
  rm -f "$1/filler"
  dd if=/dev/zero of="$1/filler" bs=64k 2>/dev/null || true
  [ -z "${2:-}" ] || truncate -s "-$2" "$1/filler"
}

# obedient NAME PROGRAM: prints the name of a script that runs the program so that permissions hold for
# it, though it may be root's.
obedient() {
  local script=$FARM/$1 caps=-dac_override,-dac_read_search
  [ "$(id -u)" -eq 0 ] || { printf '%s\n' "$2"; return; }
  printf '#!/bin/sh\nexec setpriv --inh-caps %s --bounding-set %s "%s" "$@"\n' "$caps" "$caps" "$2" >"$script"
  chmod +x "$script"
  printf '%s\n' "$script"
}

# forbid DIR…, permit DIR…: writing in these, and in the directories below them.
forbid() {
  find "$@" -type d -exec chmod a-w {} +
}
permit() {
  find "$@" -type d -exec chmod u+w {} +
}
