#!/usr/bin/env bats
# A list of keys that lies in the store says whose results count, and takes a key back.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/shared.bash"

# sign REST…: a list with the producer's key, in the store.
sign() {
  echo "publisher $(signs ci) ci $*" >"$WORK/list"
  "$DRAY" keys sign --key "$FARM/keys/boss" "$WORK/list" "$WORK/signed" >"$WORK/out"
}

# bats test_tags=long
@test "a reader that names an admin takes what the list says, until the key is revoked" {
  project "$WORK/p"
  stored one "$WORK/p"
  identity boss
  identity thief
  # nobody is trusted by an admin alone
  clean "$WORK/p"
  machine two reader
  export DRAY_TRUST_KEYS="admin $(signs boss) boss"
  cached two "$WORK/p" build
  all_missed
  machine one
  sign
  cp "$WORK/signed" "$WORK/first"
  "$DRAY" keys put "$WORK/signed"
  clean "$WORK/p"
  machine three reader
  cached three "$WORK/p" build
  from_store
  # nor is a list by somebody else
  clean "$WORK/p"
  machine four reader
  DRAY_TRUST_KEYS="admin $(signs thief) thief" cached four "$WORK/p" build
  all_missed
  machine one
  sign revoked
  "$DRAY" keys put "$WORK/signed"
  clean "$WORK/p"
  machine five reader
  cached five "$WORK/p" build
  all_missed
  # a former list takes nobody's place
  machine one
  run -1 "$DRAY" keys put "$WORK/first"
  [[ "$output" == *'the store has a later one: serial 2, and not 1' ]]
}

@test "what cannot be put into a store is said" {
  identity boss
  sign
  DRAY_REMOTE_MODE=read run -1 "$DRAY" keys put "$WORK/signed"
  [[ "$output" == *'no store is written to'* ]]
  DRAY_STORE='' run -1 "$DRAY" keys put "$WORK/signed"
  [[ "$output" == *'no store is configured'* ]]
  echo nothing >"$WORK/none"
  run -1 "$DRAY" keys put "$WORK/none"
  [[ "$output" == *'it is no signed list of keys' ]]
  run -1 "$DRAY" keys put "$WORK/absent"
  [[ "$output" == *"$WORK/absent: No such file"* ]]
}
