#!/usr/bin/env bats
# Quotas of namespaces: what is above one waits, or is compiled at home, and nothing fails by it.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/page.bash"

DRAYCTL=$DRAY_BUILD/drayctl/drayctl
SHARER=$DRAY_BUILD/tests/scenario/sharer

# allow_in ROLE NAME NAMESPACE
allow_in() {
  identity "$2"
  printf '%s %s %s namespace=%s\n' "$1" "$(curve_public "$2")" "$2" "$3" >>"$FARM/allowed"
}
# quotas TEXT: [coordinator] has this.
quotas() {
  printf '[coordinator]\n%s\n' "$1" >"$FARM/coordinator.conf"
}
# reload TEXT: the same, and the coordinator reads it.
reload() {
  quotas "$1"
  READ=$(wc -l <"$LOGS/coordinator")
  kill -HUP "$COORDINATOR_PID"
}
says() {
  tail -n +$((READ + 1)) "$LOGS/coordinator" | grep -q -- "$1"
}
# ci FILTER: whether jq's filter holds for the namespace ci of `drayctl status`.
ci() {
  "$DRAYCTL" status --json 3>&- | jq -e '.namespaces[] | select(.namespace == "ci") | '"$1" >/dev/null
}
# build_as NAME LABEL: in the background, by that key, and with a cache directory of its own.
build_as() {
  DRAY_IDENTITY=$FARM/keys/$1 DRAY_CACHE_DIR=$BATS_TEST_TMPDIR/cache-$1 build_start "$2" "$WORK/$2" build
}

@test "two keys of a namespace share its slots; more waits, or is compiled at home, and is told why; SIGHUP" {
  local first second
  allow_in client client ci
  allow_in client other ci
  allow worker w1
  quotas $'quota_slots = ci=1\nquota_queue = ci=1'
  page_start --config "$FARM/coordinator.conf"
  worker_start w1
  client_env
  package "$WORK/slow" slow lib
  slow_before | sed 's/900_000/200_000/' >"$WORK/slow/src/lib.rs"
  package "$WORK/waits" waits lib
  package "$WORK/more" more lib
  build_start slow "$WORK/slow" build
  first=$BUILD_PID
  wait_until 30 worker_compiles "$WORKER_PID" slow
  hold "$WORKER_PID" slow
  # the other key of it waits, though a slot is free
  build_as other waits
  second=$BUILD_PID
  wait_until 20 ci '.slots_used == 1 and .slots_max == 1 and .jobs_queued == 1 and .queue_max == 1 and .upload_max == null'
  "$DRAYCTL" status 3>&- | grep -qx 'quotas    ci: 1 of 1 slots, 1 of 1 jobs wait'
  "$DRAYCTL" clients --json 3>&- | jq -e '.clients[] | select(.name == "other") | .namespace_slots_used == 1 and .namespace_slots_max == 1' >/dev/null
  "$DRAYCTL" clients 3>&- | grep -q '1/1'
  wait_until 10 metric_is 'dray_namespace_slots{namespace="ci"}' 1
  metric_is 'dray_namespace_slots_limit{namespace="ci"}' 1
  wait_until 10 metric_is 'dray_namespace_queue_jobs{namespace="ci"}' 1
  api_is() { get /api/v1/status | jq -e "$1" >/dev/null; }
  wait_until 10 api_is '.quotas == [{"namespace": "", "slots": 0, "slots_limit": null, "queued": 0, "queue_limit": null,
    "uploaded_bytes": 0, "upload_limit_bytes": null}, {"namespace": "ci", "slots": 1, "slots_limit": 1, "queued": 1,
    "queue_limit": 1, "uploaded_bytes": 0, "upload_limit_bytes": null}]'
  # no more may wait: at home
  build more "$WORK/more" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job more where)" = local ]
  [[ "$(job more why)" == *'1 jobs of the namespace ci wait for a slot'*quota_queue* ]]
  "$DRAY" explain more 3>&- | tr -s ' \n' ' ' | grep -q 'compiled here: farm: 1 jobs of the namespace ci'
  wait_until 10 metric_is 'dray_namespace_jobs_over_quota_total{namespace="ci"}' 1
  metric_is 'dray_jobs_denied_total{reason="quota"}' 1
  # of a file that is wrong nothing counts
  reload 'quota_slots = ci'
  wait_until 10 says 'the settings in use stay as they were: .*coordinator.conf.*line 2'
  ci '.slots_max == 1 and .jobs_queued == 1'
  reload 'quota_slots = *=2'
  wait_until 10 says 'settings read again: from now on: quota_slots quota_queue$'
  BUILD_PID=$second
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  # its own key's
  [ "$(job waits where)" = farm ]
  [[ "$(job waits queue_why)" == 'the namespace ci has 1 of the farm'?'s slots, and may have 1 at a time (quota_slots)' ]]
  "$DRAY" explain waits 3>&- | tr -s ' \n' ' ' | grep -q 'It had to wait for a slot there: the namespace ci has 1'
  release
  BUILD_PID=$first
  build_finish 60
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job slow where)" = farm ]
  ci '.slots_used == 0 and .jobs_queued == 0 and .slots_max == 2 and .queue_max == null'
}

# as NAME COMMAND…: with that key.
as() {
  DRAY_COORDINATOR=$COORDINATOR_EP DRAY_COORDINATOR_KEY=$FARM/keys/coordinator.pub DRAY_CONNECT_MS=10000 \
    DRAY_IDENTITY=$FARM/keys/$1 "$SHARER" "${@:2}"
}

@test "a namespace puts no more bytes into the shared cache within an hour than it may; others do" {
  [ -x "$SHARER" ] || { echo "not built: $SHARER" >&2; return 1; }
  allow_in publisher one ci
  allow_in publisher two ci
  allow_in publisher three team
  head -c 600000 /dev/urandom >"$WORK/a"
  head -c 500000 /dev/urandom >"$WORK/b"
  quotas 'quota_upload = ci=1M'
  page_start --config "$FARM/coordinator.conf"
  as one put "$WORK/a"
  ci '.uploaded_bytes <= 600000 and .uploaded_bytes > 590000 and .upload_max == 1048576'
  # its other key has no more
  run -3 as two put "$WORK/b"
  [[ $output == *'as many bytes into the shared cache within the hour as it may (quota_upload)'* ]]
  # what is there costs nothing, and others have their own
  [[ "$(as two put "$WORK/a")" = *' was there' ]]
  ci '.uploaded_bytes <= 600000'
  as three put "$WORK/b"
  wait_until 10 metric_is dray_cache_over_quota_total 1
  metric_is 'dray_namespace_upload_limit_bytes{namespace="ci"}' 1.048576e+06 ||
    metric_is 'dray_namespace_upload_limit_bytes{namespace="ci"}' 1048576
  reload $'quota_upload = ci=2M\ncache_sizes = ci=64M'
  wait_until 10 says 'from now on: cache_sizes quota_upload$'
  as two put "$WORK/b"
  "$DRAYCTL" cache status --json 3>&- | jq -e '.namespaces[] | select(.namespace == "ci") | .max == 67108864' >/dev/null
}
