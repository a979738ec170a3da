#!/usr/bin/env bats
# The coordinator's web page as a browser shows it: with ten workers and with 2,000, in light and dark, on a phone, with
# crates whose names are hostile.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/page.bash"
. "$BATS_TEST_DIRNAME/webs.bash"

scenario_setup() {
  SHOWPAGE=$DRAY_BUILD/tests/scenario/showpage
  command -v chromium >/dev/null || skip "no chromium to look at the page with"
  [ -x "$SHOWPAGE" ] || { echo "not built: $SHOWPAGE" >&2; return 1; }
}
# show WORKERS: a page with so many, at $PAGE.
show() {
  "$SHOWPAGE" "$1" 600 >"$WORK/url" 2>>"$LOGS/showpage" </dev/null 3>&- &
  STARTED+=($!)
  wait_until 60 test -s "$WORK/url"
  PAGE=$(cat "$WORK/url")
}
# browser NAME WIDTH HEIGHT light|dark: what is shown after some seconds, as $WORK/NAME.html and .png.
browser() {
  local python
  python=$(python_tool playwright python3) || { cat "$LOGS/pip" >&2; return 1; }
  HOME=$BATS_TEST_TMPDIR timeout $((120 * PATIENCE)) "$python" "$DRAY_TOP/tests/scenario/look.py" "$PAGE" "$WORK/$1" "${@:2}"
}
# no_markup NAME: names of crates are text, and changed nothing.
no_markup() {
  grep -qF "&lt;script&gt;document.title='bad'" "$WORK/$1.html"
  grep -qF '&lt;img src=x onerror' "$WORK/$1.html"
  [ "$(grep -o '<script' "$WORK/$1.html" | wc -l)" -eq 2 ]
  run ! grep -qE '<img|<svg|<b onclick|<title>bad' "$WORK/$1.html"
  # nor is the direction of text turned
  run ! grep -q "$(printf '\342\200\256')" "$WORK/$1.html"
}

# bats test_tags=long
@test "ten workers: pool, queue, charts, crates, faults; hostile names are text" {
  show 10
  browser ten 1280 1000 light
  browser dark 1280 1000 dark
  no_markup dark
  fails cmp -s "$WORK/ten.png" "$WORK/dark.png"
  no_markup ten
  grep -q 'build-0003' "$WORK/ten.html"
  grep -q 'no space left on device' "$WORK/ten.html"
  [ "$(grep -o '<canvas' "$WORK/ten.html" | wc -l)" -eq 3 ]
}

# bats test_tags=long
@test "2,000 workers, on a phone" {
  show 2000
  browser many 390 844 light
  no_markup many
  grep -q '100 of 2,000' "$WORK/many.html"
  [ "$(grep -o 'build-[0-9]\{4\}</td><td>ready' "$WORK/many.html" | wc -l)" -eq 100 ]
}

# bats test_tags=long
@test "a real build: its crates and workers are there" {
  local i
  allow client client
  page_start
  worker_start w1
  worker_start w2
  client_env
  package "$WORK/app" app
  for i in parser lexer syntax types solver emit; do
    dependency "$WORK/app" "$i"
    slow_before >"$WORK/app/$i/src/lib.rs"
  done
  build first "$WORK/app" build -j 8
  [ "$BUILD_STATUS" -eq 0 ]
  wait_until 10 metric_is 'dray_jobs_total{outcome="compiled"}' 7
  PAGE=$PAGE/ browser after 1280 900 light
  grep -q '<td class="word">w1</td><td>ready</td>' "$WORK/after.html"
  for i in parser lexer syntax types solver emit app; do
    grep -q "<td class=\"word\">$i</td>" "$WORK/after.html"
  done
  # for doc/pictures
  [ -z "${DRAY_TEST_PICTURE:-}" ] || cp "$WORK/after.png" "$DRAY_TEST_PICTURE/page.png"
}
