#!/usr/bin/env bats
# -Z embed-metadata=no, as nightly's cargo passes it by itself since 1.100: an rlib has a stub of its metadata, the
# rmeta beside it has all of it, and what links gets both files by one name. On a farm, from the cache, as a bundle.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

scenario_setup() {
  # lets a stable compiler take unstable options
  export RUSTC_BOOTSTRAP=1
  cargo -Z help 2>/dev/null | grep -q no-embed-metadata || skip "this cargo has no -Z no-embed-metadata"
  workspace
}
# A library below a library, a macro that uses one, a package with a library, a build script and a program.
workspace() {
  local p
  mkdir -p "$WORK/app"
  printf '[workspace]\nmembers = ["low", "mid", "mac", "top"]\nresolver = "2"\n' >"$WORK/app/Cargo.toml"
  for p in low mid mac top; do
    mkdir -p "$WORK/app/$p/src"
    printf '[package]\nname = "%s"\nversion = "0.1.0"\nedition = "2021"\n' "$p" >"$WORK/app/$p/Cargo.toml"
  done
  printf '[dependencies]\nlow = { path = "../low" }\n' >>"$WORK/app/mid/Cargo.toml"
  printf '[lib]\nproc-macro = true\n[dependencies]\nlow = { path = "../low" }\n' >>"$WORK/app/mac/Cargo.toml"
  printf '[lib]\nname = "toplib"\n[dependencies]\nmid = { path = "../mid" }\nmac = { path = "../mac" }\n' \
    >>"$WORK/app/top/Cargo.toml"
  echo 'pub fn one<T: Clone>(t: &T) -> T { t.clone() }' >"$WORK/app/low/src/lib.rs"
  echo 'pub fn two(n: u32) -> u32 { low::one(&n) * 2 }' >"$WORK/app/mid/src/lib.rs"
  cat >"$WORK/app/mac/src/lib.rs" <<'END'
#[proc_macro]
pub fn seven(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    format!("{}u32", low::one(&7)).parse().unwrap()
}
END
  echo 'pub fn three() -> u32 { mid::two(2) + mac::seven!() }' >"$WORK/app/top/src/lib.rs"
  echo 'fn main() { println!("{}", toplib::three()) }' >"$WORK/app/top/src/main.rs"
  echo 'fn main() {}' >"$WORK/app/top/build.rs"
}
plain() {
  plain_build "$WORK/app" build -Zno-embed-metadata
  [ "$PLAIN_STATUS" -eq 0 ] || { cat "$LOGS/plain.err" >&2; return 1; }
}
# dray LABEL: all is as plain cargo made it.
dray() {
  build "$1" "$WORK/app" build -Zno-embed-metadata
  [ "$BUILD_STATUS" -eq 0 ] || { cat "$LOGS/$1.err" >&2; return 1; }
  same_as_plain "$WORK/app" && same_text "$1"
}

@test "the local cache: nothing is passed through, and a second build hits" {
  plain
  export RUSTC_WRAPPER=$DRAY DRAY_CACHE=on
  dray first
  jobs_all '.where == "local" and .cache == "miss" and (.not_stored // "") == ""'
  rm -rf "$WORK/app/target" "$JOBS"
  dray second
  jobs_all '.cache == "hit"'
}

# bats test_tags=long
@test "a farm: all units are compiled there, an edit too, and then they hit" {
  plain
  farm_start
  export DRAY_CACHE=on
  dray first
  jobs_all '.where == "farm"'
  rm -rf "$WORK/app/target" "$JOBS"
  dray second
  jobs_all '.cache == "hit"'
  # what a dependent two levels up has of it comes by its rmeta
  rm -rf "$WORK/app/target"
  echo 'pub fn one<T: Clone>(t: &T) -> T { let u = t.clone(); u.clone() }' >"$WORK/app/low/src/lib.rs"
  plain
  rm "$JOBS"
  dray edited
  jobs_all '.cache == "hit" or .where == "farm"'
  [ "$("$WORK/app/target/debug/top")" = 11 ]
  for crate in low mid mac toplib top; do
    [ "$(job $crate where)" = farm ] || { echo "$crate: $(job $crate where) $(job $crate cache)" >&2; false; }
  done
}

@test "a bundle is linked again where the linker alone is another" {
  mkdir "$FARM/bin"
  printf '#include <unistd.h>\nint version = VERSION;\nint main(int c, char **v) { v[0] = REAL; return execv(REAL, v); }\n' \
    >"$FARM/cc.c"
  REAL=$(command -v cc)
  "$REAL" -DVERSION=1 -DREAL="\"$REAL\"" -o "$FARM/bin/cc" "$FARM/cc.c"
  PATH=$FARM/bin:$PATH
  plain
  farm_start
  export DRAY_CACHE=on
  dray first
  "$REAL" -DVERSION=2 -DREAL="\"$REAL\"" -o "$FARM/bin/cc" "$FARM/cc.c"
  rm -rf "$WORK/app/target" "$JOBS"
  dray again
  [ "$(job top cache)" = bundle ]
  [ "$(job mac cache)" = bundle ]
}
