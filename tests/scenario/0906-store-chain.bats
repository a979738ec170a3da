#!/usr/bin/env bats
# Several places as one: what is read where, filled back, written; one that dies, comes back, or is slow.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/places.bash"

scenario_setup() {
  command -v redis-server >/dev/null || skip "no redis-server"
  contents
  NEAR=$WORK/near FAR=$WORK/far
  mkdir "$NEAR" "$FAR"
}

blobs() {
  find "$1" -path '*/blobs/*' -type f | wc -l
}

# stat_is PLACE WORD VALUE: of the last line about that place.
stat_is() {
  local line
  line=$(grep "^stats $1 " "$LOGS/place" | tail -n 1)
  [[ " $line " == *" $2 $3 "* ]] || { echo "not $2 $3: $line" >&2; return 1; }
}

@test "read from left to right, written to all, filled back from right to left" {
  local middle
  redis_start redis
  middle=redis+unix://$REDIS_SOCK
  does_all "file://$NEAR, $middle rw, file://$FAR"
  [ "$(blobs "$NEAR")" -eq 1 ]
  [ "$(blobs "$FAR")" -eq 1 ]
  [ "$(redis_cli keys '*' | wc -l)" -eq 2 ]
  # What only the last one has comes to the others, blobs and entries; a reader is not written to.
  rm -r "$NEAR/v1"
  redis_cli flushall
  place "file://$NEAR ro, $middle, file://$FAR" <<END
get $A_NAME $WORK/back
get-entry $NONE $WORK/entry
wait
stats
END
  cmp "$A" "$WORK/back"
  cmp "$WORK/entry-2" "$WORK/entry"
  stat_is 0 misses 2
  stat_is 1 misses 2
  stat_is 2 hits 2
  place_begin "file://$NEAR, $middle, file://$FAR"
  say "get $A_NAME $WORK/back"
  wait_until 5 said "^get $A_NAME 13"
  filled() { [ "$(blobs "$NEAR")" -eq 1 ]; }
  wait_until 5 filled
  say stats
  wait_until 5 said '^stats 2'
  # the middle one had it: it was filled before
  stat_is 1 hits 1
  stat_is 2 hits 0
  place_end
  place "file://$NEAR, $middle, file://$FAR" <<END
get $A_NAME $WORK/back
wait
stats
END
  stat_is 0 hits 1
  stat_is 1 misses 0
  [ ! -e "$NEAR/v1/entries/${NONE:0:2}/$NONE" ]
}

@test "a store that dies is left alone after three failures, and used again when it is back" {
  redis_start redis
  place_begin "redis+unix://$REDIS_SOCK, file://$FAR"
  say "put $A"
  wait_until 5 said '^put 0'
  kill_hard "$REDIS_PID"
  # each is a hit of the other's, and it does not take long
  for i in 1 2 3 4 5 6; do
    say "get $A_NAME $WORK/back"
    wait_until 5 said "^get $A_NAME 13" "$i"
    took_less 1000 "^get $A_NAME 13"
  done
  say stats
  wait_until 5 said '^stats 1'
  stat_is 0 errors 3
  stat_is 0 alone 3
  grep -q '^stats 0 .* open ' "$LOGS/place"
  stat_is 1 hits 6
  # writing is another matter: it fails and is fine
  echo other >"$WORK/other"
  say "put $WORK/other"
  wait_until 5 said '^put 0 .* 6 '
  rm -f "$REDIS_SOCK"
  redis_start redis
  tried() {
    say "get $A_NAME $WORK/back" stats
    wait_until 5 said '^stats 1' $((++ASKED))
    stat_is 0 misses 1 2>/dev/null
  }
  ASKED=$(grep -c '^stats 1' "$LOGS/place")
  wait_until 15 tried
  fails grep -q '^stats 0 .* open ' <(grep '^stats 0' "$LOGS/place" | tail -n 1)
  # it was empty, and is filled by that
  filled() { [ "$(redis_cli keys '*' | wc -l)" -ge 1 ]; }
  wait_until 5 filled
  place_end
  fails grep -qE '^(get|put|has).* error ' "$LOGS/place"
}

@test "a store that says nothing costs each request its part of the time, and soon nothing" {
  redis_start redis
  place_begin "redis+unix://$REDIS_SOCK?request_s=3, file://$FAR"
  say "put $A"
  wait_until 5 said '^put 0'
  kill -STOP "$REDIS_PID"
  say 'limit 400'
  for i in 1 2 3 4 5; do
    say "get $A_NAME $WORK/back"
    wait_until 5 said "^get $A_NAME 13" "$i"
    took_less 800 "^get $A_NAME 13"
  done
  # three had to wait for their half, the others did not
  say stats
  wait_until 5 said '^stats 1'
  stat_is 0 late 3
  stat_is 0 alone 2
  took_less 150 "^get $A_NAME 13"
  # all of it: the limit holds where nobody answers
  say "has $NONE" 'limit 300'
  kill -CONT "$REDIS_PID"
  place_end
}

@test "a build's budget of bytes; a full store; a list that is wrong" {
  local i
  head -c 100000 /dev/urandom >"$WORK/big"
  PLACE_BUDGET=250000 place "file://$NEAR, file://$FAR ro" <<END
put $WORK/big
wait
get $(digest_of "$WORK/big") $WORK/back
wait
get $(digest_of "$WORK/big") $WORK/back
wait
has $(digest_of "$WORK/big")
put $A
build
wait
has $(digest_of "$WORK/big")
END
  said '^put 0 '
  [ "$(grep -c '^get .* 100000 ' "$LOGS/place")" -eq 2 ]
  said '^has .* error EDQUOT'
  said '^put .* error EDQUOT'
  said '^has .* 100000 '
  redis_start redis --maxmemory 1 --maxmemory-policy noeviction
  place "redis+unix://$REDIS_SOCK, file://$FAR" <<END
put $A
wait
put $A
wait
put $A
wait
put $A
wait
get $A_NAME $WORK/back
wait
stats
why
END
  [ "$(grep -c '^put [01]' "$LOGS/place")" -eq 4 ]
  said "^get $A_NAME 13"
  # four puts, of which the last was not tried; then the hit's
  stat_is 0 errors 3
  stat_is 0 misses 1
  said '^why redis\+unix://.*OOM'
  for i in 'file:///a, , file:///b' 'file:///a wr, file:///b' 'file:///a, ftp://b' 'file:///a, file:///a' \
    'file:///a?mode=ro rw, file:///b' 'redis://:secret pass@host/, file:///b'; do
    place "$i" </dev/null
    said '^open error EINVAL: .'
    fails grep -q 'secret\|pass@' "$LOGS/place"
  done
}
