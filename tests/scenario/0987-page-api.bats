#!/usr/bin/env bats
# The page's JSON, its events and its web page; the dashboard and the rules that come with dray.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/page.bash"

SCHEMA=$DRAY_TOP/coordinator/page/web/schema.json

# api NAME FILTER…: jq's answer to what is there now.
api() {
  get "/api/v1/$1" >"$WORK/api-$1" && jq -r "${@:2}" "$WORK/api-$1"
}
api_is() {
  [ "$(api "$1" "$2")" = "$3" ]
}
all_valid() {
  local name pairs=()
  for name in status workers queue jobs slowest faults history; do
    get "/api/v1/$name" >"$WORK/api-$name"
    pairs+=("$name=$WORK/api-$name")
  done
  page_py schema "$SCHEMA" "${pairs[@]}"
}

@test "the API says what happened, as its schema says; dashboard and rules name only what there is" {
  allow client client
  allow worker w1
  page_start -o "coordinator.quota_slots=*=1000" -o coordinator.quota_queue=ci=9 -o "coordinator.quota_upload=*=1G"
  worker_start w1
  client_env
  package "$WORK/app" app
  dependency "$WORK/app" low
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  jobs_all '.where == "farm"'
  wait_until 10 api_is status .jobs.compiled 2
  api_is status '"\(.slots.total) \(.slots.used) \(.workers.ready) \(.queue.jobs) \(.ready)"' '2 0 1 0 true'
  api_is workers '.workers[] | "\(.name) \(.state) \(.slots) \(.jobs) \(.failed)"' 'w1 ready 2 2 0'
  api_is jobs '[.ended[].crate] | sort | join(" ")' 'app low'
  api_is jobs '[.ended[] | .outcome + " " + .worker] | unique[]' 'compiled w1'
  api_is slowest '[.units[].crate] | sort | join(" ")' 'app low'
  api_is queue '.jobs | length' 0
  # each time is within what the client saw of the whole
  api jobs '.ended[] | select(.seconds <= 0 or .cpu_seconds <= 0 or .seconds > 600)' >"$WORK/odd"
  [ ! -s "$WORK/odd" ]
  kill_hard "$WORKER_PID"
  wait_until 10 api_is faults '.faults[] | "\(.cause) \(.worker)"' 'worker_lost w1'
  all_valid
  metrics
  page_py named "$WORK/metrics" "$DRAY_TOP/dist/grafana/dashboard.json" "$DRAY_TOP/dist/prometheus/alerts.yml" >"$WORK/names"
  [ "$(wc -l <"$WORK/names")" -gt 20 ]
}

@test "events: a status each second, faults as they come; a bounded number follows" {
  allow worker w1
  page_start
  worker_start w1
  wait_until 10 api_is workers '.workers | length' 1
  page_py follow "$PAGE/api/v1/events" fault >"$WORK/followed" &
  STARTED+=($!)
  wait_until 10 file_has "$WORK/followed" '^status '
  kill_hard "$WORKER_PID"
  wait_until 10 file_has "$WORK/followed" '^fault '
  wait_until 10 is_gone "${STARTED[-1]}"
  sed -n 's/^status //p' "$WORK/followed" | head -n 1 >"$WORK/status"
  sed -n 's/^fault //p' "$WORK/followed" | head -n 1 >"$WORK/fault"
  page_py schema "$SCHEMA" "status=$WORK/status" "fault=$WORK/fault"
  [ "$(jq -r .cause "$WORK/fault")" = worker_lost ]
  # it is noticed that it went when the next is sent
  wait_until 10 metric_is dray_page_followers 0
  [ "$(page_py crowd "$PAGE/api/v1/events" 20)" = '16 200, 4 503' ]
  # those that went make room
  room() {
    page_py follow "$PAGE/api/v1/events" status >/dev/null
  }
  wait_until 10 room
}

@test "the web page needs nothing from elsewhere, and makes no markup of words" {
  local file used
  page_start
  get / --dump-header "$WORK/headers" >"$WORK/page.html"
  grep -q "^Content-Security-Policy: .*script-src 'self'" "$WORK/headers"
  fails grep -qE "unsafe-(inline|eval)|https?:" "$WORK/headers"
  for file in page.css page.js uPlot.js uPlot.css icon.svg; do
    [ "$(status_of "/$file")" = 200 ]
  done
  # no script, style or handler inside, and nothing of another place
  fails grep -qiE '<script>|<style|style=|\bon[a-z]+=|https?://' "$WORK/page.html"
  get /page.js >"$WORK/page.js"
  fails grep -qE 'innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|https?://' "$WORK/page.js"
  get /uPlot.js >"$WORK/uPlot.js"
  grep -q 'Permission is hereby granted' "$WORK/uPlot.js"
  fails grep -qE 'innerHTML|document\.write|eval\(|new Function' "$WORK/uPlot.js"
  # whatever the script looks for is in the page
  used=$(grep -oE '\$\("[a-z-]+"\)|(say|table)\("[a-z-]+"|"chart-[a-z]+"' "$WORK/page.js" | grep -oE '"[a-z-]+"' | tr -d '"' | sort -u)
  [ "$(wc -l <<<"$used")" -gt 15 ]
  for file in $used; do
    grep -q "id=\"$file\"" "$WORK/page.html" || { echo "the page has no $file" >&2; return 1; }
  done
}

# bats test_tags=long
@test "a HEAD of the events follows nothing: its connection has the limits of all" {
  page_start
  wait_until 10 metric_is dray_page_followers 0
  python3 - "$PAGE" <<'END'
import socket, sys, urllib.parse
u = urllib.parse.urlparse(sys.argv[1])
s = socket.create_connection((u.hostname, u.port))
s.settimeout(40)
s.sendall(b"HEAD /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
head = s.recv(4096)
assert b" 200 " in head, head
while s.recv(4096):
    pass
END
}

# bats test_tags=long
@test "one that follows and does not read is dropped" {
  page_start
  page_py unread "$PAGE/api/v1/events" &
  STARTED+=($!)
  wait_until 10 metric_is dray_page_followers 1
  wait_until 120 metric_is dray_page_followers_dropped_total 1
  wait_until 10 metric_is dray_page_followers 0
}

# bats test_tags=long
@test "promtool finds no fault with the rules, and each of them says something when it should" {
  command -v promtool >/dev/null || skip "promtool is not installed (Debian: prometheus)"
  cd "$DRAY_TOP/dist/prometheus"
  promtool check rules alerts.yml
  promtool test rules alerts_test.yml
}
