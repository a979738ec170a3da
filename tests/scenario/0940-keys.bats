#!/usr/bin/env bats
# dray keys: the list of whose results count, signed by an admin.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# An admin, a producer, and a list with it.
begin() {
  "$DRAY" keygen --name admin "$WORK/admin" >"$WORK/out"
  "$DRAY" keygen --name ci "$WORK/ci" >"$WORK/out"
  ci=$(sign_public ci) admin=$(sign_public admin)
  printf '# ours\npublisher %s ci namespace=team\n' "$ci" >"$WORK/list"
}

sign_public() {
  sed -n 's/^sign-public = //p' "$WORK/$1.pub"
}

sign() {
  "$DRAY" keys sign --key "$WORK/admin" "$@" "$WORK/list" "$WORK/signed"
}

@test "a list is signed, shown, and goes up by one each time" {
  begin
  run -0 sign
  [[ "${lines[0]}" == "serial 1, signed by $admin, until 2"*Z ]]
  [ "${lines[1]}" = "publisher $ci ci namespace=team" ]
  printf 'publisher %s ci namespace=team revoked\n' "$ci" >"$WORK/list"
  run -0 sign --days 1
  [ "${lines[1]}" = "publisher $ci ci namespace=team revoked" ]
  run -0 "$DRAY" keys show "$WORK/signed"
  [[ "${lines[0]}" == "serial 2, signed by $admin, until 2"*Z ]]
  run -0 sign --serial 40
  [[ "${lines[0]}" == "serial 40, "* ]]
}

@test "what a program reads of it" {
  begin
  sign --json >"$WORK/json"
  now=$(date +%s)
  jq -e --arg ci "$ci" --arg admin "$admin" --argjson now "$now" '.serial == 1 and .admin == $admin and (.expired | not) and
    .expires_s > $now + 29 * 86400 and .expires_s < $now + 31 * 86400 and
    .keys == [{kind: "publisher", key: $ci, name: "ci", namespace: "team", revoked: false}]' "$WORK/json"
  "$DRAY" keys show --json "$WORK/signed" | cmp - "$WORK/json"
}

@test "what is not signed: another admin's file, lower numbers, bad lines, no list" {
  begin
  sign >"$WORK/out"
  cp "$WORK/signed" "$WORK/before"
  run -1 "$DRAY" keys sign --key "$WORK/ci" "$WORK/list" "$WORK/signed"
  [[ "$output" == *'another admin has signed it; it is not replaced' ]]
  run -2 sign --serial 1
  [[ "$output" == *'--serial 1: a number from 2 to '* ]]
  run -2 sign --days 0
  run -1 "$DRAY" keys sign --key "$WORK/admin.pub" "$WORK/list" "$WORK/signed"
  [[ "$output" == *'the public file signs nothing' ]]
  run -2 "$DRAY" keys sign "$WORK/list" "$WORK/signed"
  [[ "$output" == *'--key FILE is missing'* ]]
  printf '\nnobody\n' >"$WORK/list"
  run -1 sign
  [[ "$output" == *"$WORK/list:2: \"nobody\" is none of worker, publisher, admin"* ]]
  printf 'admin %s\n' "$admin" >"$WORK/list"
  run -1 sign
  [[ "$output" == *'an admin is named by trust_keys alone' ]]
  : >"$WORK/other"
  run -1 "$DRAY" keys sign --key "$WORK/admin" "$WORK/list" "$WORK/other"
  [[ "$output" == *'it is no signed list of keys; it is not replaced' ]]
  cmp "$WORK/signed" "$WORK/before"
}

@test "a list that was changed is not shown" {
  begin
  sign >"$WORK/out"
  sed -i 's/^publisher/worker/' "$WORK/signed"
  run -1 "$DRAY" keys show "$WORK/signed"
  [[ "$output" == *'its signature is wrong: it was changed' ]]
  [[ "$output" != *"$ci"* ]]
  run -1 sign
  sed -i '1s/1/2/' "$WORK/signed"
  run -1 "$DRAY" keys show "$WORK/signed"
  [[ "$output" == *'a later format'* ]]
}

@test "a wrong command line is answered with the reason" {
  run -2 "$DRAY" keys
  run -2 "$DRAY" keys forge
  [[ "$output" == *'none of sign, show and put: forge'* ]]
  run -2 "$DRAY" keys show
  run -2 "$DRAY" keys show --frob x
  [[ "$output" == *'dray keys: unrecognized option'* ]]
  run -0 "$DRAY" keys --help
  run -0 "$DRAY" keys sign --help
  [[ "$output" == *'--key IDENTITY'* ]]
}
