#!/usr/bin/env bats
# A worker that says one thing and then another, or never comes to an end (badworker.c): what it told cargo too early
# is in no program and in no cache afterwards, and nothing is sent to it any more.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/badworker.bash"

# answers N: what dep's source says.
answers() {
  { printf '#[inline]\npub fn answer() -> u32 {\n    %s\n}\n' "$1"; slow_after "${2:-40}"; } >"$WORK/app/dep/src/lib.rs"
}

# lying_farm LINE…: app on mid on dep, which says 42. $WORK/other has what a compiler makes of dep where it says 41;
# _DEP in a line stands for the end of a name of dep's.
lying_farm() {
  local stem
  bad_farm
  dependency "$WORK/app" mid
  depends "$WORK/app/mid" dep ../dep
  echo 'pub fn twice() -> u32 { dep::answer() * 2 }' >"$WORK/app/mid/src/lib.rs"
  echo 'fn main() { println!("{}", mid::twice()); }' >"$WORK/app/src/main.rs"
  answers 41 "${CODE:-}"
  plain_build "$WORK/app" build
  mkdir -p "$WORK/other"
  find "$BATS_TEST_TMPDIR/plain-target" -name 'libdep-*.r*' -exec cp {} "$WORK/other" \;
  stem=$(basename "$WORK"/other/libdep-*.rmeta .rmeta)
  mv "$WORK/other/$stem.rmeta" "$WORK/other/rmeta"
  mv "$WORK/other/$stem.rlib" "$WORK/other/rlib"
  answers 42 "${CODE:-}"
  printf '%s\n' "${@//_DEP/${stem#lib}}" >>"$FARM/bad"
}

right_now() {
  build "$1" "$WORK/app" build
  cat "$LOGS/$1.err"
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$("$WORK/app/target/debug/app")" = 84 ]
  [ -z "$(find "$WORK/app" -name '.dray-*')" ]
}

@test "metadata that the compiler here does not make: the build ends with the worker's name, the next one is right" {
  export DRAY_CACHE=on CODE=120
  lying_farm "file _DEP.rmeta $WORK/other/rmeta" 'fails _DEP.rmeta'
  build first "$WORK/app" build
  cat "$LOGS/first.err"
  [ "$BUILD_STATUS" -ne 0 ]
  grep -q '^error: dray: the compiler here made other metadata of dep than the worker w1,' "$LOGS/first.err"
  grep -qF "key $(curve_public w1))" "$LOGS/first.err"
  # it was begun with the wrong one
  [ "$(job mid where)" = farm ]
  [ "$(cut -f 2,3 "$DRAY_CACHE_DIR/distrusted")" = "$(curve_public w1)"$'\tw1' ]
  right_now second
  [ "$(job dep where) $(job mid where) $(job app where)" = 'local local local' ]
  [[ "$(job mid attempts)" == *'not asked: it made other metadata of dep than the compiler here'* ]]
  rm -rf "$WORK/app/target"
  right_now third
  [ "$(job dep cache) $(job mid cache) $(job app cache)" = 'hit hit hit' ]
}

@test "a library with other metadata than was announced is not taken; nor is what that worker made before" {
  export DRAY_CACHE=on
  lying_farm "file _DEP.rlib $WORK/other/rlib"
  dependency "$WORK/app" early
  build early "$WORK/app" build -p early
  [ "$(job early where)" = farm ]
  right_now first
  [ "$(job dep where) $(job app where)" = 'local local' ]
  [[ "$(job dep attempts)" == *'its library has other metadata than it announced'* ]]
  rm -rf "$WORK/app/target"
  right_now second
  [ "$(job dep cache) $(job early cache) $(job early where)" = 'hit miss local' ]
  [[ "$(job early cache_why)" == *'not believed any more'* ]]
}

@test "a line that cargo takes for the metadata's, before that is there" {
  lying_farm "first {\"\$message_type\":\"diagnostic\",\"artifact\":\"$WORK/app/target/debug/deps/lib_DEP.rmeta\"}"
  right_now first
  [ "$(job dep where)" = local ]
}

@test "a worker that says that it is alive, and never ends: the unit is made here, and it is not asked again" {
  bad_farm never
  DRAY_UNIT_S=2 build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job dep where) $(job app where)" = 'local local' ]
  [[ "$(job dep why)" == *'it kept the unit for more than 2 s'* ]]
  [[ "$(job app attempts)" == *'not asked: it kept the unit'* ]]
}

@test "a library that does not come, and was not announced" {
  bad_farm 'drop .rlib'
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job dep where)" = local ]
  [[ "$(job dep why)" == *'an output did not come: libdep-'* ]]
}

@test "a blob is sent once, whatever a worker asks for" {
  bad_farm again
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job dep where)" = local ]
  [[ "$(job dep attempts)" == *'it asks for blobs that are not in the unit, or were sent'* ]]
}

@test "dep-info without the crate's source: cargo would never build it again" {
  mkdir -p "$WORK"
  echo 'nothing:' >"$WORK/d"
  bad_farm "file .d $WORK/d"
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job dep where) $(job app where)" = 'local local' ]
  [[ "$(job dep attempts)" == *"dep-info without the crate's source"* ]]
}

@test "a file that it says was read: the kernel's is not read to be kept, nor what a link leads to there" {
  export DRAY_CACHE=on
  mkdir -p "$WORK"
  ln -s /proc/sys/kernel/random/uuid "$WORK/link"
  bad_farm "asked $WORK/link"
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ "$(job dep where)" = farm ]
  [[ "$(job dep not_stored)" == *"the worker's trace names what no unit has"* ]]
}
