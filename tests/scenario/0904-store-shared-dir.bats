#!/usr/bin/env bats
# A directory that many write as a far place: at once, killed, with rubbish and traps in it, by other users.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/places.bash"

scenario_setup() {
  contents
  SHARED=$WORK/shared
  mkdir "$SHARED"
  BLOB=$SHARED/v1/blobs/${A_NAME:0:2}/$A_NAME
}

# Every blob is what its name says, for a tool that knows nothing of us.
all_are_whole() {
  local f
  for f in "$SHARED"/v1/blobs/*/*; do
    [ "$(zstd -dc "$f" | sha256sum | cut -c 1-64)" = "${f##*/}" ] || { echo "not whole: $f" >&2; return 1; }
  done
}

@test "what a place does; where there are no links, too" {
  does_all "file://$SHARED"
  all_are_whole
  [ -z "$(ls "$SHARED/v1/tmp")" ]
  rm -r "$SHARED/v1"
  printf '#!/bin/sh\nexec %q linkat EPERM %q "$@"\n' "$DRAY_BUILD/tests/scenario/refuse" "$PLACE_PROGRAM" >"$WORK/place"
  chmod +x "$WORK/place"
  PLACE_PROGRAM=$WORK/place does_all "file://$SHARED"
  [ -z "$(ls "$SHARED/v1/tmp")" ]
  # only read
  echo other >"$WORK/other"
  place "file://$SHARED?mode=ro" <<END
put $WORK/other
put-entry $NONE $WORK/other
get $A_NAME $WORK/back
END
  said '^put .* error EROFS'
  said '^put-entry .* error EROFS'
  said "^get $A_NAME 13"
}

@test "two write the same at once; one is killed; another writes it all" {
  local pid
  mkdir -p "$WORK/tmp"
  PLACE=file://$SHARED "$PLACE_PROGRAM" "$WORK/tmp" >"$LOGS/other" 3>&- <<<'many 40 30000' &
  pid=$!
  STARTED+=("$pid")
  place "file://$SHARED" <<<'many 40 30000'
  said '^many failed 0 '
  wait "$pid"
  grep -q '^many failed 0 ' "$LOGS/other"
  [ "$(find "$SHARED/v1/blobs" -type f | wc -l)" -eq 40 ]
  [ -z "$(ls "$SHARED/v1/tmp")" ]
  all_are_whole
  rm -r "$SHARED/v1"
  # Killed while it writes.
  place_begin "file://$SHARED"
  say 'many 40 300000'
  some() { [ "$(find "$SHARED/v1/blobs" -type f 2>/dev/null | wc -l)" -ge 5 ]; }
  wait_until 10 some
  kill_hard "$PLACE_PID"
  exec {LINES_FD}>&-
  all_are_whole
  place "file://$SHARED" <<END
many 40 300000
wait
many-get 40 300000
END
  said '^many failed 0 '
  said '^many-get failed 0 there 0 bytes 12000000 '
  # what the killed one left was swept by it
  [ -z "$(ls -A "$SHARED/v1/tmp")" ]
}

@test "rubbish and traps: nothing of them is content, nothing outside is touched, and all is put anew" {
  local outside=$WORK/outside
  mkdir "$outside"
  bad() {
    rm -f "$WORK/back"
    place "file://$SHARED" <<END
get $A_NAME $WORK/back
wait
put $A
wait
get $A_NAME $WORK/back
END
    said "^get $A_NAME error ${1:-EBADMSG}"
    said "^put 0 $A_NAME"
    cmp "$A" "$WORK/back"
  }
  place "file://$SHARED" <<<"put $A"
  cp "$BLOB" "$WORK/object"
  : >"$BLOB"
  bad
  head -c 100 "$WORK/object" >"$BLOB"
  bad
  { cat "$WORK/object"; echo; } >"$BLOB"
  bad
  head -c 100000 /dev/zero >"$BLOB"
  bad
  rm "$BLOB"; mkfifo "$BLOB"
  bad
  # good content, by a link that leads out: not followed, and what it leads to stays
  rm "$BLOB"; cp "$WORK/object" "$outside/object"; ln -s "$outside/object" "$BLOB"
  bad
  cmp "$WORK/object" "$outside/object"
  rm "$BLOB"; mkdir "$BLOB"
  bad
  # a directory that is a link
  rm -r "$SHARED/v1/blobs"
  ln -s "$outside" "$SHARED/v1/blobs"
  place "file://$SHARED" <<END
get $A_NAME $WORK/back
put $A
END
  said "^get $A_NAME error ENOENT"
  said '^put .* error ENOTDIR'
  [ "$(ls "$outside")" = object ]
  rm "$SHARED/v1/blobs" "$SHARED/v1/tmp" -r
  ln -s "$outside" "$SHARED/v1/tmp"
  place "file://$SHARED" <<<"put $A"
  said '^put .* error ENOTDIR'
  [ "$(ls "$outside")" = object ]
}

@test "what is used is touched, at most once an hour; a reader touches nothing" {
  place "file://$SHARED" <<END
put $A
put-entry $NONE $A
END
  aged() { touch -d '2 days ago' "$BLOB" "$SHARED/v1/entries/${NONE:0:2}/$NONE"; }
  is_new() { [ $(($(date +%s) - $(stat -c %Y "$1"))) -lt 1000 ] && [ $(($(date +%s) - $(stat -c %X "$1"))) -lt 1000 ]; }
  aged
  place "file://$SHARED?mode=ro" <<<"get $A_NAME $WORK/back"
  fails is_new "$BLOB"
  place "file://$SHARED" <<<"has $A_NAME"
  is_new "$BLOB"
  aged
  place "file://$SHARED" <<<"get $A_NAME $WORK/back"
  is_new "$BLOB"
  aged
  place "file://$SHARED" <<<"put $A"
  is_new "$BLOB"
  fails is_new "$SHARED/v1/entries/${NONE:0:2}/$NONE"
  place "file://$SHARED" <<<"get-entry $NONE $WORK/back"
  is_new "$SHARED/v1/entries/${NONE:0:2}/$NONE"
  # within the hour it stays
  touch -d '30 minutes ago' "$BLOB"
  place "file://$SHARED" <<<"get $A_NAME $WORK/back"
  [ $(($(date +%s) - $(stat -c %Y "$BLOB"))) -gt 1000 ]
}

@test "modes by access, whatever the umask; a directory that is not there" {
  (umask 077 && place "file://$SHARED?access=group" <<<"put $A")
  [ "$(stat -c %a "$BLOB")" = 660 ]
  [ "$(stat -c %a "$SHARED/v1")" = 2770 ]
  [ "$(stat -c %a "$SHARED/v1/blobs/${A_NAME:0:2}")" = 2770 ]
  rm -r "$SHARED/v1"
  (umask 077 && place "file://$SHARED?access=all" <<<"put $A")
  [ "$(stat -c %a "$BLOB")" = 666 ]
  [ "$(stat -c %a "$SHARED/v1")" = 777 ]
  rm -r "$SHARED/v1"
  (umask 027 && place "file://$SHARED" <<<"put $A")
  [ "$(stat -c %a "$BLOB")" = 640 ]
  [ "$(stat -c %a "$SHARED/v1")" = 750 ]
  mv "$SHARED" "$SHARED.away"
  place_begin "file://$SHARED"
  say "has $A_NAME" "put $A" why
  wait_until 5 said '^has .* error ENODEV'
  wait_until 5 said '^put .* error ENODEV'
  # nothing is made where a mount is missing
  [ ! -e "$SHARED" ]
  mv "$SHARED.away" "$SHARED"
  say "has $A_NAME"
  wait_until 5 said "^has $A_NAME 13"
  place_end
}

@test "thousands at once: few descriptors" {
  (
    ulimit -n 100
    place "file://$SHARED" <<<'many-get 2000 100'
  )
  said '^many-get failed 2000 there 0 bytes 0 last ENOENT'
}

@test "users of a group read, write and keep warm what others have put; one outside sees nothing" {
  [ "$(id -u)" -eq 0 ] || skip "needs root"
  as() { # as UID GID
    printf '#!/bin/sh\nexec setpriv --reuid=%s --regid=%s --groups=%s %q\n' "$1" "$1" "$2" \
      "$WORK/program" >"$WORK/place"
    chmod +x "$WORK/place"
  }
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR" "$WORK"
  cp "$PLACE_PROGRAM" "$WORK/program"
  chmod 755 "$WORK/program"
  chgrp 4711 "$SHARED"
  chmod 2770 "$SHARED"
  echo other >"$WORK/other"
  PLACE_PROGRAM=$WORK/place
  as 40001 4711
  place "file://$SHARED?access=group" <<<"put $A"
  said '^put 0'
  [ "$(stat -c '%u %g' "$BLOB")" = '40001 4711' ]
  touch -d '2 days ago' "$BLOB"
  as 40002 4711
  place "file://$SHARED?access=group" <<END
get $A_NAME $WORK/none
put $A
put $WORK/other
END
  said '^put 1'
  said '^put 0'
  [ $(($(date +%s) - $(stat -c %Y "$BLOB"))) -lt 1000 ]
  as 40003 4712
  place "file://$SHARED?access=group" <<END
has $A_NAME
put $A
END
  said '^has .* error EACCES'
  said '^put .* error EACCES'
}
