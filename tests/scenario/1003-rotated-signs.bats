#!/usr/bin/env bats
# What a key has signed counts on when another one has come in its place, and counts no more when it is revoked.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/shared.bash"
. "$BATS_TEST_DIRNAME/vouched.bash"

DRAYCTL=$DRAY_BUILD/drayctl/drayctl

takes() {
  anew takes "$1"
  from_store 2>/dev/null
}
key_is() {
  "$DRAYCTL" key list --json 3>&- | jq -e --arg k "$1" "any(.keys[]; .key == \$k and .$2)" >/dev/null
}

# bats test_tags=long
@test "results of a publisher that has new keys: the old ones' count until they are revoked, the new ones' from then on" {
  local old
  project "$WORK/p"
  vouch client ann
  vouch publisher ci
  coordinator_start
  export DRAY_STORE=file://$STORE
  of_farm one ci readwrite
  stored one "$WORK/p"
  old=$(curve_public ci)
  cp "$FARM/keys/ci" "$FARM/keys/thief"
  cp "$FARM/keys/ci.pub" "$FARM/keys/thief.pub"
  DRAY_IDENTITY=$FARM/keys/ci "$DRAY" key rotate >"$LOGS/rotate" 2>&1
  grep -q "sign=$(signs thief) until=" "$FARM/allowed"
  of_farm two ann
  takes "$WORK/p"
  # its time is over: it is let in no more, and what it has signed counts
  sed -i 's/until=[0-9]*/until=1000000000/' "$FARM/allowed"
  wait_until 5 key_is "$old" over
  DRAY_IDENTITY=$FARM/keys/thief run "$DRAY" doctor --json
  jq -e 'any(.[]; .check == "farm" and .finding == "bad")' <<<"$output"
  of_farm three ann
  takes "$WORK/p"
  # revoked by the name, both of them
  vouch publisher other
  "$DRAYCTL" key revoke ci 3>&-
  key_is "$old" revoked && key_is "$(curve_public ci)" revoked
  of_farm four ann
  clean "$WORK/p"
  cached revoked "$WORK/p" build
  all_missed
  jobs_all '.shared_why | contains("its key is revoked")'
}
