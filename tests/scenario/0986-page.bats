#!/usr/bin/env bats
# The coordinator's page: its figures are those of what happened, and no visitor makes the farm wait.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/page.bash"

@test "a build: /metrics says what happened, in both of its forms" {
  local form
  allow client client
  allow worker w1
  page_start
  [ "$(get /healthz)" = ok ]
  wait_until 10 eval '[ "$(status_of /readyz)" = 200 ]'
  worker_start w1
  client_env
  package "$WORK/app" zqapp
  dependency "$WORK/app" zqlow
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  jobs_all '.where == "farm"'
  wait_until 10 metric_is 'dray_jobs_total{outcome="compiled"}' 2
  for form in text/plain 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5'; do
    metrics -H "Accept: $form"
    [ "$(metric 'dray_workers{state="ready"}')" = 1 ]
    [ "$(metric dray_slots)" = 2 ]
    [ "$(metric dray_slots_in_use)" = 0 ]
    [ "$(metric dray_queue_jobs)" = 0 ]
    [ "$(metric dray_jobs_placed_total)" = 2 ]
    [ "$(metric 'dray_jobs_total{outcome="failed"}')" = 0 ]
    [ "$(metric dray_job_seconds_count)" = 2 ]
    [ "$(metric 'dray_job_seconds_bucket{le="+Inf"}')" = 2 ]
    [ "$(metric dray_job_wait_seconds_count)" = 2 ]
    [ "$(metric 'dray_namespace_jobs_total{namespace=""}')" = 2 ]
    [ "$(metric dray_ready)" = 1 ]
    awk -v cpu="$(metric dray_job_cpu_seconds_total)" -v wall="$(metric dray_job_seconds_sum)" \
      'BEGIN { exit !(cpu > 0 && wall > 0 && wall < 600) }'
  done
  grep -q '^# EOF$' "$WORK/metrics.raw"
  # no word that a crate chose
  fails grep -qE 'zqlow|zqapp' "$WORK/metrics"
}

@test "results that are asked for count as hits and misses" {
  local SHARER=$DRAY_BUILD/tests/scenario/sharer key
  [ -x "$SHARER" ] || { echo "not built: $SHARER" >&2; return 1; }
  key=$(printf '%064d' 7)
  allow publisher ci
  page_start
  export DRAY_COORDINATOR=$COORDINATOR_EP DRAY_COORDINATOR_KEY=$FARM/keys/coordinator.pub DRAY_CONNECT_MS=10000 \
    DRAY_IDENTITY=$FARM/keys/ci
  head -c 700 /dev/urandom >"$WORK/small"
  "$SHARER" put-entry "$key" "$WORK/small"
  "$SHARER" get-entry "$key" >"$WORK/got"
  "$SHARER" get-entry "$key" >"$WORK/got"
  run -3 "$SHARER" get-entry "$(printf '%064d' 8)"
  wait_until 10 metric_is dray_cache_misses_total 1
  metrics
  [ "$(metric 'dray_cache_hits_total{tier="disk"}')" = 2 ]
  [ "$(metric 'dray_cache_hits_total{tier="store"}')" = 0 ]
  [ "$(metric 'dray_cache_lookup_seconds_count{result="hit"}')" = 2 ]
  [ "$(metric dray_cache_sent_bytes_total)" = 1400 ]
  [ "$(metric 'dray_namespace_cache_hits_total{namespace=""}')" = 2 ]
}

@test "a worker that is lost is a fault, and why a coordinator is not ready is said" {
  allow worker w1
  page_start
  worker_start w1
  wait_until 10 metric_is 'dray_workers{state="ready"}' 1
  kill_hard "$WORKER_PID"
  wait_until 10 metric_is 'dray_faults_total{cause="worker_lost"}' 1
  metrics
  [ "$(metric 'dray_workers{state="ready"}')" = 0 ]
  wait_until 10 eval '[ "$(status_of /readyz)" = 200 ]'
  python3 "$PAGE_PY" until-gone "$PAGE/readyz" >"$WORK/said" &
  STARTED+=($!)
  wait_until 5 file_has "$WORK/said" 'HTTP/1.1 200 OK'
  kill -TERM "$COORDINATOR_PID"
  wait_until 10 is_gone "${STARTED[-1]}"
  [ "$(cat "$WORK/said")" = "HTTP/1.1 200 OK
HTTP/1.1 503 Service Unavailable" ]
}

@test "elsewhere than on loopback it wants a token, which is compared whole, and is no word of the log" {
  local token=0123456789abcdef0123456789abcdef cookie
  identity coordinator
  run -1 "$COORDINATOR" --config "$FARM/empty.conf" --listen 'tcp://127.0.0.1:*' --identity "$FARM/keys/coordinator" \
    --allowed-keys "$FARM/allowed" -o 'coordinator.page=0.0.0.0:*'
  [[ "$output" = *'page_token'* && "$output" = *'127.0.0.1'* ]]
  printf '%s\n' "$token" >"$FARM/token"
  chmod 644 "$FARM/token"
  run -1 "$COORDINATOR" --config "$FARM/empty.conf" --listen 'tcp://127.0.0.1:*' --identity "$FARM/keys/coordinator" \
    --allowed-keys "$FARM/allowed" -o 'coordinator.page=0.0.0.0:*' -o "coordinator.page_token=$FARM/token"
  [[ "$output" = *'chmod 600'* ]]
  chmod 600 "$FARM/token"
  page_start -o 'coordinator.page=0.0.0.0:*' -o "coordinator.page_token=$FARM/token"
  [ "$(status_of /healthz)" = 200 ]
  [ "$(status_of /metrics)" = 401 ]
  [ "$(status_of /nothing)" = 401 ]
  [ "$(status_of /metrics -H "Authorization: Bearer ${token}0")" = 401 ]
  [ "$(status_of /metrics -H "Authorization: Bearer ${token%?}")" = 401 ]
  [ "$(status_of /metrics -H "Authorization: Bearer $token")" = 200 ]
  [ "$(status_of /metrics -H "Authorization: Bearer $token" -H 'Host: farm.example')" = 200 ]
  [ "$(status_of "/login?token=${token}0")" = 403 ]
  [ "$(status_of "/login?token=$token" --dump-header "$WORK/headers")" = 303 ]
  cookie=$(sed -n 's/^Set-Cookie: \(dray_page=[^;]*\);.*HttpOnly.*SameSite=Strict.*/\1/p' "$WORK/headers")
  [ -n "$cookie" ]
  [[ "$cookie" != *"$token"* ]]
  [ "$(status_of /metrics -H "Cookie: a=b; $cookie")" = 200 ]
  [ "$(status_of /metrics -H "Cookie: $cookie"0)" = 401 ]
  [ "$(status_of /metrics -H "Cookie: dray_page=$token")" = 401 ]
  fails grep -q "$token" "$LOGS/coordinator"
}

@test "it can only be read: other methods, bodies, long headers, strange paths, foreign names" {
  page_start
  wait_until 10 metric_is dray_workers_condemned 0
  [ "$(status_of /metrics -X POST)" = 405 ]
  [ "$(status_of /metrics -X DELETE)" = 405 ]
  [ "$(status_of /metrics -X GET --data x)" = 413 ]
  [ "$(status_of /metrics -X GET -H 'Transfer-Encoding: chunked' --data x)" = 413 ]
  [ "$(status_of /metrics --head)" = 200 ]
  [ "$(status_of /metrics -H "X-Long: $(printf '%040000d' 0)")" = 431 ]
  [ "$(status_of "/$(printf '%040000d' 0)")" = 414 ]
  [ "$(status_of /../../etc/passwd --path-as-is)" = 404 ]
  [ "$(status_of /%2e%2e/%00)" = 404 ]
  [ "$(status_of //metrics)" = 404 ]
  # a page of the web that has its own name lead here
  [ "$(status_of /metrics -H 'Host: evil.example')" = 421 ]
  [ "$(status_of /metrics -H 'Host: 127.0.0.1.evil.example')" = 421 ]
  [ "$(status_of /metrics -H 'Host: localhost:1')" = 200 ]
  [[ "$(python3 "$PAGE_PY" raw "$PAGE" 'GET /metrics HTTP/1.1||')" = 'HTTP/1.1 4'* ]]
  python3 "$PAGE_PY" raw "$PAGE" 'nonsense||' >/dev/null
  get /metrics --dump-header "$WORK/headers" >/dev/null
  grep -q "^Content-Security-Policy: default-src 'none'" "$WORK/headers"
  grep -q '^X-Content-Type-Options: nosniff' "$WORK/headers"
}

@test "visitors that say nothing hold only the page, and not the farm" {
  page_start
  [[ "$(python3 "$PAGE_PY" held "$PAGE")" = 'HTTP/1.1 200'* ]]
  [ "$(get /healthz)" = ok ]
}

# bats test_tags=long
@test "a request that comes byte by byte is ended in time" {
  local lasted
  page_start
  lasted=$(python3 "$PAGE_PY" slow "$PAGE" 40)
  awk -v n="$lasted" 'BEGIN { exit !(n >= 8 && n < 30) }'
  [ "$(get /healthz)" = ok ]
}

# bats test_tags=long
@test "promtool finds nothing to say about the text format" {
  command -v promtool >/dev/null || skip "promtool is not installed (Debian: prometheus)"
  page_start
  wait_until 10 metrics
  promtool check metrics <"$WORK/metrics.raw" >"$WORK/said" 2>&1 || { cat "$WORK/said" >&2; return 1; }
  [ ! -s "$WORK/said" ]
}
