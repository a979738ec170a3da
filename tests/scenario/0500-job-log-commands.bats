#!/usr/bin/env bats
# The commands that read the job log, on the log of real builds. Lines are added only where a build
# cannot make them: torn ones, names that are meant to do harm, times long ago.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# Three packages: two small ones below a program.
workspace() {
  package "$WORK/app" app bin
  package "$WORK/low" low lib
  package "$WORK/mid" mid lib
  depends "$WORK/mid" low ../low
  depends "$WORK/app" mid ../mid
}

# here_build LABEL ARGS…: without a farm.
here_build() {
  build "$1" "$WORK/app" "${@:2}"
  [ "$BUILD_STATUS" -eq 0 ]
}
here() {
  export RUSTC_WRAPPER=$DRAY DRAY_LINKER=rustc CARGO_INCREMENTAL=0
}

# stats FILTER [ARGS…]: whether jq's FILTER holds for `dray stats --json`.
stats() {
  "$DRAY" stats --json "${@:2}" >"$LOGS/stats.json" && jq -e "$1" "$LOGS/stats.json" >/dev/null ||
    { cat "$LOGS/stats.json"; return 1; }
}

@test "stats counts each unit where it ran, and says why it was not on the farm" {
  workspace
  here
  here_build here build
  stats '.all.units == 3 and .places.local.units == 3 and .places.farm.units == 0'
  stats '.not_on_farm_why == [{reason: "no coordinator configured", units: 3,
         compile_ms: .all.compile_ms}] and .all.compile_ms > 0'
  # what the log says, summed by other means
  jq -es 'map(.compile_ms + .link_ms) | add' "$JOBS" >"$LOGS/sum"
  stats "(.all.compile_ms - $(cat "$LOGS/sum")) | fabs < 0.1"
  "$DRAY" stats >"$LOGS/text"
  grep -qE '^all +3 ' "$LOGS/text"
  grep -qE '^ +3 .*no coordinator configured$' "$LOGS/text"
}

@test "stats of a farm's build: bytes, places, and a failed unit" {
  workspace
  farm_start
  export CARGO_INCREMENTAL=0
  here_build farm build
  echo 'pub fn broken() -> u32 { "no" }' >"$WORK/app/src/main.rs"
  build broken "$WORK/app" build
  [ "$BUILD_STATUS" -ne 0 ]
  stats '.places.farm.units >= 3 and .failed.units == 1 and .all.units == 4'
  stats '.bytes.sent > 0 and .bytes.received > 0'
}

@test "stats --since and --zero leave out what came before; the log stays whole" {
  local before
  workspace
  here
  here_build first build
  before=$(wc -l <"$JOBS")
  run "$DRAY" stats --zero
  [ "$status" -eq 0 ]
  stats '.all.units == 0 and .since != null'
  "$DRAY" stats | grep -q '^no units since'
  touch "$WORK/app/src/main.rs"
  here_build second build
  stats '.all.units == 1'
  # what is asked for explicitly wins
  stats '.all.units == 4' --since 1d
  stats '.all.units == 4' --since 2020-01-01
  stats '.all.units == 0' --since 2999-01-01T10:00
  [ "$(wc -l <"$JOBS")" -eq $((before + 1)) ]
  echo nonsense >"$DRAY_CACHE_DIR/stats-since"
  run --separate-stderr "$DRAY" stats --json
  [ "$status" -eq 0 ]
  [[ "$stderr" == *stats-since* ]]
  jq -e '.all.units == 4' <<<"$output"
}

@test "stats reads the former log as well, and passes over what is none of its lines" {
  workspace
  here
  here_build first build
  mv "$JOBS" "$JOBS.1"
  touch "$WORK/app/src/main.rs"
  here_build second build
  { echo 'not JSON'; echo '{"other": 1}'; printf '{"time":"2026-'; } >>"$JOBS"
  stats '.all.units == 4 and .lines_skipped == 3'
  "$DRAY" stats | grep -qF "3 lines of $JOBS"
  # a torn line costs the next one nothing
  touch "$WORK/app/src/main.rs"
  here_build third build
  stats '.all.units == 5 and .lines_skipped == 3'
}

# hits_and_a_miss COMMAND…: a build, and after the command another one that finds its two libraries in the cache.
hits_and_a_miss() {
  workspace
  here
  export DRAY_CACHE=on
  seed_client
  here_build first build
  rm -rf "$WORK/app/target"
  echo '// more' >>"$WORK/app/src/main.rs"
  "$@"
  here_build second build
  jq -es '.[-3:] | map({key: .crate, value: .cache}) | from_entries == {low: "hit", mid: "hit", app: "miss"}' "$JOBS"
}

@test "hits weigh by what they saved" {
  hits_and_a_miss rm "$JOBS"
  # what the log says, summed by other means
  jq -es '(map(select(.cache == "hit").saved_ms) | add) as $saved | (map(select(.cache == "miss")) | .[0].compile_ms +
         .[0].link_ms) as $made | {saved: $saved, made: $made, share: ($saved / ($saved + $made))}' "$JOBS" >"$LOGS/sum"
  stats "$(cat "$LOGS/sum") as \$sum | .cache |
         (.hit_rate_by_time - \$sum.share | fabs < 0.001) and (.hit_rate_by_count - 2 / 3 | fabs < 0.001) and
         (.hits.compile_ms - \$sum.saved | fabs < 0.1) and (.misses.compile_ms - \$sum.made | fabs < 0.1)"
  stats '.cache.hits.units == 2 and .places.cache.units == 2 and .places.local.units == 1'
  stats '.cache.misses_why == [{reason: "a file changed", units: 1, compile_ms: .cache.misses.compile_ms}]'
  stats '.bytes.restored > 0 and .bytes.stored > 0 and .cache.not_asked.units == 0'
  "$DRAY" stats | grep -qE '^local cache: hits are [0-9.]+ % of compile time, 66.7 % of units$'
  export DRAY_CACHE=off
  rm -rf "$WORK/app/target"
  here_build off build
  stats '.cache.not_asked_why == [{reason: "the cache is switched off", units: 3,
         compile_ms: .cache.not_asked.compile_ms}] and .cache.hits.units == 2'
}

@test "without a log, or with one that cannot be read, stats says so" {
  run "$DRAY" stats
  [ "$status" -eq 0 ]
  [[ "$output" == *"no $JOBS" ]]
  stats '.all.units == 0 and .cache.hit_rate_by_time == null'
  run --separate-stderr env DRAY_JOB_LOG="$WORK" "$DRAY" stats
  [ "$status" -eq 1 ]
  [ -z "$output" ]
  [[ "$stderr" == *"$WORK"* ]]
  for arg in --since=tomorrow --since --zero=1 more; do
    run "$DRAY" stats "$arg"
    [ "$status" -eq 2 ]
  done
  run "$DRAY" stats --zero --json
  [ "$status" -eq 2 ]
}

# ---- explain

@test "explain without a name is about the last build, and about that one alone" {
  workspace
  here
  here_build first build
  here_build again build --release
  "$DRAY" explain >"$LOGS/text"
  cat "$LOGS/text"
  grep -qE "^3 units in .*, in $WORK/app/target/release$" "$LOGS/text"
  grep -qE '^low +lib +local .*no coordinator configured$' "$LOGS/text"
  grep -qE '^app +bin +local .*no coordinator configured$' "$LOGS/text"
  # a line, an empty one, a line a unit, an empty one, the critical path
  [ "$(wc -l <"$LOGS/text")" -eq 7 ]
  grep -qE '^The critical path: .*app ' "$LOGS/text"
  # at once, into the same directory: only cargo's process tells them apart
  touch "$WORK/app/src/main.rs"
  here_build third build --release
  "$DRAY" explain --json | jq -e '.units | length == 1 and .[0].crate == "app" and (.[0].says | length > 0)'
}

@test "explain CRATE says where it went, what failed before, and how it ended" {
  workspace
  farm_start
  export CARGO_INCREMENTAL=0
  here_build farm build
  "$DRAY" explain mid >"$LOGS/text"
  cat "$LOGS/text"
  grep -q '^mid (lib of mid 0.1.0), ' "$LOGS/text"
  grep -qx '  It was compiled on the farm, by w1: offload = always.' "$LOGS/text"
  grep -qE '^  It took .* compiling' "$LOGS/text"
  "$DRAY" explain app | grep -qx '  It was linked here by rustc.'
  echo 'fn main() { broken }' >"$WORK/app/src/main.rs"
  build broken "$WORK/app" build
  [ "$BUILD_STATUS" -ne 0 ]
  "$DRAY" explain app | grep -qx '  It failed, with exit status 1.'
  # older than the last build
  "$DRAY" explain low | grep -q '^low (lib of low 0.1.0), '
}

@test "explain takes a package's name, with dashes too, and names what is similar to an unknown one" {
  package "$WORK/app" two-words lib
  here
  here_build here build
  "$DRAY" explain two-words | grep -q '^two_words (lib of two-words 0.1.0)'
  "$DRAY" explain two_words | grep -q '^two_words (lib of two-words 0.1.0)'
  run --separate-stderr "$DRAY" explain tow-words
  [ "$status" -eq 1 ]
  [ -z "$output" ]
  [[ "$stderr" == *'no crate or package tow-words'*'There is: '*'two-words'* ]]
  run --separate-stderr "$DRAY" explain quite-another
  [ "$status" -eq 1 ]
  [[ "$stderr" != *'There is'* ]]
  run "$DRAY" explain one two
  [ "$status" -eq 2 ]
}

@test "explain of a real hit and a real miss" {
  hits_and_a_miss true
  "$DRAY" explain low >"$LOGS/text"
  grep -qE '^  It was in the local cache: nothing was compiled\. That took .*, and saved .*\.$' "$LOGS/text"
  grep -qE '^  It had been compiled here at 2[0-9-]+ [0-9:]+\.$' "$LOGS/text"
  "$DRAY" explain app >"$LOGS/text"
  grep -qx "  It was not in the local cache: $WORK/app/src/main.rs changed." "$LOGS/text"
  run ! grep -q 'not kept' "$LOGS/text"
  "$DRAY" explain >"$LOGS/text"
  grep -qE '^mid +lib +cache +hit, saved ' "$LOGS/text"
  grep -qE '^app +bin +local +miss: .*/src/main.rs changed' "$LOGS/text"
}

# By a worker of a given name, at a given time.
@test "explain of hits and misses: the input that differs, and when it was compiled" {
  mkdir -p "${JOBS%/*}"
  {
    echo '{"time":"2026-11-20T10:00:00.000Z","crate":"a","kind":"lib","where":"farm","worker":"w7","cache":"miss","cache_why":"new","key":"aa","parent":5}'
    echo '{"time":"2026-11-21T10:00:00.000Z","crate":"a","kind":"lib","where":"cache","cache":"hit","saved_ms":1500,"key":"aa","parent":6}'
    echo '{"time":"2026-11-21T10:00:00.000Z","crate":"b","kind":"lib","where":"local","why":"small, and a local slot was free","cache":"miss","cache_why":"a file changed: src/b.rs","not_stored":"the clock was read","parent":6}'
  } >"$JOBS"
  TZ=UTC "$DRAY" explain a >"$LOGS/text"
  cat "$LOGS/text"
  grep -q 'saved 1.5 s\.$' "$LOGS/text"
  grep -qx '  It had been compiled on w7 at 2026-11-20 10:00:00.' "$LOGS/text"
  "$DRAY" explain b >"$LOGS/text"
  grep -qx '  It was not in the local cache: a file changed: src/b.rs.' "$LOGS/text"
  grep -qx '  Its result was not kept: the clock was read.' "$LOGS/text"
  "$DRAY" explain >"$LOGS/text"
  grep -qE '^a +lib +cache +hit, saved 1.5 s$' "$LOGS/text"
  grep -qE '^b +lib +local +miss: a file changed: src/b.rs; small' "$LOGS/text"
}

@test "names and reasons that are meant for a terminal are shown as text" {
  mkdir -p "${JOBS%/*}"
  echo '{"time":"2026-11-20T10:00:00.000Z","crate":"e\u001b[2Jvil","kind":"lib","where":"local","why":"\u009b31m\r\nall is well","out_dir":"/t\u0007"}' >"$JOBS"
  for args in stats explain $'explain e\x1b[2Jvil' 'explain nobody'; do
    # words apart, as they are
    run "$DRAY" $args
    [ -n "$output" ]
    run ! grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' <<<"$output"
  done
  "$DRAY" explain | grep -qF 'e?[2Jvil'
}

@test "explain without a log says so" {
  run --separate-stderr "$DRAY" explain
  [ "$status" -eq 1 ]
  [[ "$stderr" == *"$JOBS"* ]]
  # a command that is mistyped is run as a compiler would be, and is no build
  workspace
  here
  here_build here build
  run -127 "$DRAY" explian
  "$DRAY" explain | grep -q '^3 units in '
}

# ---- report

# browser PAGE: as a browser has it in the end, in $LOGS/dom; nothing may be complained of.
browser() {
  command -v chromium >/dev/null || skip "no chromium to look at the page with"
  HOME=$BATS_TEST_TMPDIR timeout $((60 * PATIENCE)) chromium --headless --no-sandbox --disable-gpu \
    --disable-dev-shm-usage --user-data-dir="$BATS_TEST_TMPDIR/chromium" --enable-logging=stderr \
    --dump-dom "file://$1" >"$LOGS/dom" 2>"$LOGS/chromium" </dev/null 3>&- ||
    { cat "$LOGS/chromium"; return 1; }
  grep -q '</html>' "$LOGS/dom"
  run ! grep CONSOLE "$LOGS/chromium"
}

@test "report writes a page of the last build, which needs nothing else" {
  workspace
  farm_start
  export CARGO_INCREMENTAL=0
  here_build farm build
  cd "$WORK"
  run "$DRAY" report
  [ "$status" -eq 0 ]
  [ "$output" = "$WORK/dray-report.html" ]
  for crate in app mid low; do
    grep -q "<td class=\"name\">$crate</td>" dray-report.html
  done
  [ "$(grep -c '<g class="u farm' dray-report.html)" -eq 3 ]
  # the link made here, and the metadata's mark
  grep -q '<rect class="l"' dray-report.html
  grep -q "<h1 class=\"path\">$WORK/app/target/debug</h1>" dray-report.html
  run ! grep -E '://|src=|href=|url\(|@import' dray-report.html

  run "$DRAY" report -o "$WORK/new.html" --since 1h
  [ "$output" = "$WORK/new.html" ]
  cmp <(grep '<tr>' new.html) <(grep '<tr>' dray-report.html)
  run "$DRAY" report -o no/such/dir.html
  [ "$status" -eq 1 ]
  [[ "$output" == *no/such/dir.html* ]]
}

@test "report --since is about all builds since then" {
  workspace
  here
  here_build first build
  touch "$WORK/app/src/main.rs"
  here_build second build
  cd "$WORK"
  "$DRAY" report
  [ "$(grep -c '<g class="u local' dray-report.html)" -eq 1 ]
  "$DRAY" report --since 1d
  [ "$(grep -c '<g class="u local' dray-report.html)" -eq 4 ]
  grep -q '<h1>2 builds</h1>' dray-report.html
  rm dray-report.html
  run "$DRAY" report --since 2999-01-01
  [ "$status" -eq 1 ]
  run "$DRAY" report --since soon
  [ "$status" -eq 2 ]
  run "$DRAY" report more
  [ "$status" -eq 2 ]
  [ ! -e dray-report.html ]
}

@test "a browser shows the page: a farm's build, with the script and without" {
  workspace
  farm_start
  export CARGO_INCREMENTAL=0
  here_build farm build
  cd "$WORK"
  "$DRAY" report
  browser "$WORK/dray-report.html"
  # the script ran: it was not refused by the page's own policy
  grep -q 'data-sort=' "$LOGS/dom"
  grep -q '<input type="search"' "$LOGS/dom"
  # without it, all is there, too
  sed '/<script>/,/<\/script>/d' dray-report.html >plain.html
  browser "$WORK/plain.html"
  run ! grep -q 'data-sort=' "$LOGS/dom"
  [ "$(grep -c '<title>.* · .* · farm' "$LOGS/dom")" -eq 3 ]
  grep -q '<td class="name">app</td>' "$LOGS/dom"
  # another script would be refused, and complained of
  sed 's/<\/body>/<script>document.title = "bad"<\/script>&/' dray-report.html >other.html
  run browser "$WORK/other.html"
  [ "$status" -ne 0 ]
  grep -q 'CONSOLE.*Content Security Policy' "$LOGS/chromium"
  run ! grep -q '<title>bad' "$LOGS/dom"
}

@test "a browser takes a hostile crate's name for text" {
  local evil='<script>document.title=1</script><img src=x onerror=document.title=2>'
  mkdir -p "${JOBS%/*}"
  jq -cn --arg x "$evil" '{time: "2026-11-20T10:00:00.000Z", crate: $x, kind: $x, where: "local", why: $x,
    out_dir: ("/t/" + $x), cache: "miss", cache_why: $x, package: $x, end_us: 9000000, exit_status: 1}' >"$JOBS"
  cd "$WORK"
  "$DRAY" report
  [ "$(grep -o '<script' dray-report.html | wc -l)" -eq 1 ]
  run ! grep -q '<img' dray-report.html
  grep -qF '&lt;img src=x onerror=' dray-report.html
  browser "$WORK/dray-report.html"
  [ "$(grep -o '<script' "$LOGS/dom" | wc -l)" -eq 1 ]
  run ! grep -q '<img' "$LOGS/dom"
  grep -qF '<title>dray: /t/&lt;script' "$LOGS/dom"
}
