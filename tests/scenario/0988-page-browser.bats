#!/usr/bin/env bats
# The coordinator's web page as a browser shows it: with ten workers and with 2,000, in light and dark, on a phone, with
# crates whose names are hostile.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/page.bash"

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
# browser NAME ARGS…: what is shown after some seconds, as markup in $WORK/NAME.html; nothing may be complained of.
browser() {
  HOME=$BATS_TEST_TMPDIR timeout $((60 * PATIENCE)) chromium --headless --no-sandbox --disable-gpu --hide-scrollbars \
    --disable-dev-shm-usage --user-data-dir="$BATS_TEST_TMPDIR/chromium" --enable-logging=stderr --timeout=8000 \
    "${@:2}" --dump-dom "$PAGE" >"$WORK/$1.html" 2>"$LOGS/chromium" </dev/null 3>&- || { cat "$LOGS/chromium" >&2; return 1; }
  grep -q 'data-shown="yes"' "$WORK/$1.html"
  run ! grep CONSOLE "$LOGS/chromium"
}
# no_markup NAME: names of crates are text, and changed nothing.
no_markup() {
  grep -qF "&lt;script&gt;document.title='bad'" "$WORK/$1.html"
  grep -qF '&lt;img src=x onerror' "$WORK/$1.html"
  [ "$(grep -o '<script' "$WORK/$1.html" | wc -l)" -eq 2 ]
  run ! grep -qE '<img|<svg|<title>bad' "$WORK/$1.html"
  # nor is the direction of text turned
  run ! grep -q "$(printf '\342\200\256')" "$WORK/$1.html"
}

# bats test_tags=long
@test "ten workers: pool, queue, charts, crates, faults; hostile names are text" {
  show 10
  browser ten --window-size=1280,1600
  no_markup ten
  grep -q 'build-0003' "$WORK/ten.html"
  grep -q 'no space left on device' "$WORK/ten.html"
  [ "$(grep -o '<canvas' "$WORK/ten.html" | wc -l)" -eq 3 ]
}

# bats test_tags=long
@test "2,000 workers, on a phone" {
  show 2000
  browser many --window-size=390,844
  no_markup many
  grep -q '100 of 2,000' "$WORK/many.html"
  [ "$(grep -o 'build-[0-9]\{4\}</td><td>leaving' "$WORK/many.html" | wc -l)" -eq 40 ]
}
