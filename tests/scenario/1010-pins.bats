#!/usr/bin/env bats
# An admin limits a farm to some toolchains.
. "$BATS_TEST_DIRNAME/lib.bash"

DRAYCTL=$DRAY_BUILD/drayctl/drayctl

ctl() {
  "$DRAYCTL" "$@" 3>&-
}
# listed FILTER: whether jq's filter holds for the list of toolchains.
listed() {
  ctl toolchain list --json | jq -e "$1" >/dev/null
}

@test "a pinned toolchain's jobs go to the farm; those of another one are compiled here, and the job log says why" {
  local mine other=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
  package "$WORK/one" one lib
  package "$WORK/two" two lib
  farm_start
  listed '.limited == false and (.toolchains | length > 0 and all(.pinned == false and .bytes > 1000000 and .workers == ["w1"]))'
  mine=$(rustc -vV | sed -n 's/^release: //p')
  # the words of a release: all of it
  ctl toolchain pin "$mine" >"$LOGS/pin"
  file_has "$LOGS/pin" 'pinned; 1 workers have'
  listed '.limited and ([.toolchains[] | select(.text | startswith("'"$mine"' "))] | all(.pinned))'
  build one "$WORK/one" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job one where)" = farm ]
  listed '[.toolchains[] | select(.used_ms != null and .pinned)] | length > 0'
  # one that nobody has yet; then it alone
  ctl toolchain pin $other
  listed '[.toolchains[] | select(.id == "'$other'")] | length == 1 and .[0].pinned and .[0].workers == []'
  ctl toolchain unpin "$mine"
  build two "$WORK/two" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job two where)" != farm ]
  [[ $(job two why) == *"limited to"* ]]
  ctl toolchain unpin $other >"$LOGS/unpin"
  file_has "$LOGS/unpin" 'all toolchains are taken again'
  listed '.limited == false'
  jq -es '[.[] | select(.act | startswith("toolchain"))] | length == 4 and all(.result == "done")' "$FARM/shared/audit.log"
}

@test "what is pinned, and is damaged, is put aside and not written over" {
  mkdir -p "$FARM/shared"
  echo 'pinned  what?' >"$FARM/shared/toolchains"
  allow worker w1
  coordinator_start
  file_has "$LOGS/coordinator" 'toolchains cannot be read: a line is wrong; it is .*/toolchains.bad now, and none is pinned'
  [ "$(cat "$FARM/shared/toolchains.bad")" = 'pinned  what?' ]
  [ ! -e "$FARM/shared/toolchains" ]
}
