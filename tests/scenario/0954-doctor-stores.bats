#!/usr/bin/env bats
# What doctor says of the stores: each is probed by itself, in bounded time, and no credential is shown.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/shared.bash"
. "$BATS_TEST_DIRNAME/places.bash"
. "$BATS_TEST_DIRNAME/webs.bash"

# doctor_says CHECK FINDING TEXT: that is among what the last one has said.
doctor_says() {
  jq -e --arg c "$1" --arg f "$2" --arg t "$3" \
    'any(.[]; .check == $c and .finding == $f and (.text | contains($t)))' "$LOGS/doctor.json" >/dev/null ||
    { cat "$LOGS/doctor.json" >&2; return 1; }
}
doctor() {
  "$DRAY" doctor --json >"$LOGS/doctor.json" || true
}
# store_of N EXPRESSION: of the Nth store's object.
store_of() {
  jq -e "[.[] | select(.store) | .store][$1] | $2" "$LOGS/doctor.json" >/dev/null ||
    { jq '.[] | select(.store) | .store' "$LOGS/doctor.json" >&2; return 1; }
}
objects() {
  find "$1" -type f | wc -l
}

@test "doctor probes a directory, and says who may sign" {
  identity boss
  doctor
  doctor_says store good "file://$STORE (rw): read in "
  doctor_says uploads good "publisher $(signs ci) ci"
  doctor_says trust good '1 publishers, 0 workers, 0 admins, 0 revoked; trust = publishers'
  store_of 0 '.write_ms >= 0 and .read_error == null and (.clock_ahead_ms | fabs) < 5000 and .keys == null'
  # one small object, however often
  doctor
  [ "$(objects "$STORE")" -eq 1 ]
  # one that is only read is not written to
  rm -r "$STORE/v1"
  DRAY_STORE="file://$STORE ro" doctor
  doctor_says store good "file://$STORE?mode=ro (ro): read in " || doctor_says store good "file://$STORE (ro): read in "
  store_of 0 '.write_ms == null and .clock_ahead_ms == null'
  DRAY_REMOTE_MODE=read doctor
  doctor_says uploads good 'remote_mode is read'
  [ "$(objects "$STORE")" -eq 0 ]
  DRAY_REMOTE_MODE=off doctor
  doctor_says stores note 'remote_mode is off'
  # the list of keys
  echo "publisher $(signs ci) ci" >"$WORK/list"
  "$DRAY" keys sign --key "$FARM/keys/boss" --days 2 "$WORK/list" "$WORK/signed" >"$WORK/out"
  "$DRAY" keys put "$WORK/signed"
  DRAY_TRUST_KEYS="admin $(signs boss) boss" doctor
  doctor_says "store's keys" note ': list 1, until 20'
  doctor_says "store's keys" note "1 publishers, 0 workers, 0 revoked; signed by the admin $(signs boss)"
  store_of 0 '.keys.serial == 1 and .keys.error == null'
  doctor
  doctor_says "store's keys" bad 'it is not taken: no admin that trust_keys names signed it'
  DRAY_TRUST_KEYS='' doctor
  doctor_says trust bad 'set [client] trust_keys'
  rm "$STORE"/v1/entries/*/*
  chmod a-w "$STORE"/v1/entries/* "$STORE/v1/tmp"
  [ "$(id -u)" -eq 0 ] || { doctor; doctor_says store bad 'cannot be written: '; }
  DRAY_STORE=file://$WORK/nowhere doctor
  doctor_says store bad "file://$WORK/nowhere (rw) cannot be read: the directory is not there"
}

@test "doctor probes nginx and Redis, and shows no password" {
  web_contents
  nginx_start web
  redis_start redis --requirepass s3cret
  export DRAY_STORE="http://user:s3cret@127.0.0.1:$NGINX_PORT/cache, redis+unix://:s3cret@$REDIS_SOCK"
  run -0 "$DRAY" doctor
  [[ "$output" == *"http://***@127.0.0.1:$NGINX_PORT/cache (rw): read in "*", written in "*" s "* ]]
  [[ "$output" == *"redis+unix://***@$REDIS_SOCK (rw): read in "*', its clock '[0-9]*' s '* ]]
  [[ "$output" != *s3cret* ]]
  doctor
  store_of 0 '(.clock_ahead_ms | fabs) < 5000'
  store_of 1 '.clock_ahead_ms | . != null and fabs < 5000'
  fails grep s3cret "$LOGS/doctor.json"
  export DRAY_STORE="redis+unix://:s3cret-too@$REDIS_SOCK"
  doctor
  doctor_says store bad 'cannot be read: '
  fails grep s3cret "$LOGS/doctor.json"
}

# bats test_tags=long
@test "doctor prints a rule for a bucket; a server that is not ours to read, and one that hangs, in bounded time" {
  local before
  web_contents
  aws_clean
  bad_start
  export AWS_ACCESS_KEY_ID=AKID AWS_SECRET_ACCESS_KEY=SECRET-1
  silent_server
  export DRAY_STORE="s3://bucket/pre?endpoint=http://127.0.0.1:$BAD_PORT&style=path ro, http://127.0.0.1:$SILENT_PORT/x?request_s=600"
  before=$(now_ms)
  doctor
  [ $(($(now_ms) - before)) -lt $((8000 * PATIENCE)) ]
  doctor_says lifecycle note '"Prefix":"pre/v1/blobs/"'
  doctor_says lifecycle note "--bucket 'bucket'"
  doctor_says store bad "http://127.0.0.1:$SILENT_PORT/x?request_s=600 (rw) cannot be read: "
  store_of 1 '.write_ms == null'
  fails grep SECRET "$LOGS/doctor.json"
  DRAY_STORE="http://127.0.0.1:$BAD_PORT/403/x ro" doctor
  doctor_says store note 'reading was refused (401 or 403)'
}
