#!/usr/bin/env bats
# A linker that succeeds and prints something. Since 1.97 rustc makes a warning of that by itself, before where it is
# asked to. What dray links itself (a unit of the farm's, a bundle) must not swallow it, and no hit may.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

scenario_setup() {
  # `cc` with words of its own, on both outputs, before the real one
  mkdir -p "$FARM/bin"
  SPEAKS=$FARM/speaks
  : >"$SPEAKS"
  linker 1
  PATH=$FARM/bin:$PATH
  # a crate of 1.97 and later warns as it is; an older compiler when asked
  WARNS="rustc $(rustc --version | cut -d' ' -f2)"
  case $(printf '%s\n' 1.97 "$(rustc --version | cut -d' ' -f2)" | sort -V | head -n 1) in
    1.97) ASKS= ;;
    *)
      ASKS='#![warn(linker_messages)]'
      rustc -W help | grep -q linker-messages || skip "$WARNS has no lint of this name"
      ;;
  esac
}
# linker N: another program each time. (A script as linker is not kept, so it is none.)
linker() {
  cat >"$FARM/cc.c" <<'END'
#include <stdio.h>
#include <unistd.h>
int version = VERSION;
int main(int argc, char **argv)
{
  if (access(SPEAKS, F_OK) == 0) {
    printf("words on stdout\n");
    fflush(stdout);
    fprintf(stderr, "warning: words on stderr\n");
  }
  argv[0] = REAL;
  execv(REAL, argv);
  return 127;
}
END
  REAL=${REAL:-$(command -v cc)}
  "$REAL" -DVERSION="$1" -DREAL="\"$REAL\"" -DSPEAKS="\"$SPEAKS\"" -o "$FARM/bin/cc" "$FARM/cc.c"
}
# program DIR NAME [FIRST-LINE]
program() {
  package "$1" "$2"
  { [ -z "${3:-}" ] || printf '%s\n' "$3"; printf 'fn main() {\n    println!("hello");\n}\n'; } >"$1/src/main.rs"
}
said() {
  grep -c 'words on std' "$LOGS/$1.err" || true
}

@test "a farm's unit that is linked here: rustc says it, in its own words, and a hit says it again" {
  program "$WORK/app" app "$ASKS"
  plain_build "$WORK/app" build
  [ "$(said plain)" -ge 2 ]
  farm_start
  export DRAY_CACHE=on
  build first "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_text first
  same_outputs "$WORK/app"
  [[ "$(job app why)" == *"the linker printed something"* ]]
  rm -rf "$WORK/app/target"
  build second "$WORK/app" build
  [ "$(job app cache)" = hit ]
  same_text second
  same_outputs "$WORK/app"
}

@test "a silent linker's link stands" {
  program "$WORK/app" app "$ASKS"
  rm "$SPEAKS"
  plain_build "$WORK/app" build
  farm_start
  export DRAY_CACHE=on
  build first "$WORK/app" build
  same_text first
  same_outputs "$WORK/app"
  [ "$(job app where)" = farm ]
}

@test "a bundle whose link speaks is compiled here, and not kept as silence" {
  program "$WORK/app" app "$ASKS"
  rm "$SPEAKS"
  farm_start
  export DRAY_CACHE=on
  build silent "$WORK/app" build
  [ "$(job app where)" = farm ]
  rm -rf "$WORK/app/target"
  # another linker: the bundle is to be linked again
  : >"$SPEAKS"
  linker 2
  plain_build "$WORK/app" build
  [ "$(said plain)" -ge 2 ]
  build again "$WORK/app" build
  same_text again
  same_outputs "$WORK/app"
  rm -rf "$WORK/app/target"
  build hit "$WORK/app" build
  [ "$(job app cache)" = hit ]
  same_text hit
}

@test "the local cache says it as often as rustc does" {
  program "$WORK/app" app "$ASKS"
  plain_build "$WORK/app" build
  export RUSTC_WRAPPER=$DRAY DRAY_CACHE=on
  build first "$WORK/app" build
  same_text first
  rm -rf "$WORK/app/target"
  build second "$WORK/app" build
  same_text second
}

# bats test_tags=long
@test "a level that is given decides: denied it fails as plainly, allowed for a whole crate it is silent" {
  program "$WORK/denied" denied "#![deny(linker_messages)]"
  plain_build "$WORK/denied" build
  [ "$PLAIN_STATUS" -ne 0 ]
  farm_start
  build denied "$WORK/denied" build
  [ "$BUILD_STATUS" -eq "$PLAIN_STATUS" ]
  same_text denied
  program "$WORK/allowed" allowed "#![allow(linker_messages)]"
  plain_build "$WORK/allowed" build
  [ "$(said plain)" -eq 0 ]
  build allowed "$WORK/allowed" build
  same_text allowed
  same_outputs "$WORK/allowed"
}

@test "lints that are capped: what cargo does for a dependency's build script stays on the farm" {
  (cd "$WORK" && printf 'fn main() {}\n' >a.rs)
  farm_start
  export CARGO_PKG_NAME=a CARGO_PKG_VERSION=1.0.0 CARGO_CRATE_NAME=a CARGO_MANIFEST_DIR=$WORK
  mkdir "$WORK/out"
  (cd "$WORK" && "$DRAY" rustc a.rs --crate-name a --crate-type bin --emit dep-info,link --cap-lints allow \
    --error-format=json --json=diagnostic-rendered-ansi,artifacts --out-dir "$WORK/out" 2>"$LOGS/capped.err" 3>&-)
  fails grep -q 'words on' "$LOGS/capped.err"
  [ "$(job a where)" = farm ]
}
