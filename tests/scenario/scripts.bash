# What the scenarios about build scripts' runs share. There is no farm: dray is alone. Sourced after cache.bash.

scenario_setup() {
  export RUSTC_WRAPPER=$DRAY DRAY_CACHE=on DRAY_SCRIPTS=on
  seed_client
}

# script DIR [NAME] <<END: a package with this build script, whose program prints what the script made of it:
# the variable MADE (cargo:rustc-env), "" where it makes none.
script() {
  package "$1" "${2:-app}"
  cat >"$1/build.rs"
  echo 'fn main() { println!("{}", option_env!("MADE").unwrap_or_default()) }' >"$1/src/main.rs"
}
# run_of PACKAGE FIELD: of the last build's line about the run of the package's script.
run_of() {
  jq -rs --arg c "$1" --arg f "$2" 'map(select(.crate == $c and .kind == "script-run")) | last | .[$f] // empty' \
    "$JOBS" 2>/dev/null
}
# put PACKAGE…: nothing ran, the run was put in place.
put() {
  local p
  for p in "$@"; do
    [ "$(run_of "$p" cache)" = hit ] && [ "$(run_of "$p" where)" = cache ] || { show_cache; return 1; }
  done
}
# ran PACKAGE [WHY]: the script ran, and (a part of) what was new.
ran() {
  [ "$(run_of "$1" cache)" = miss ] && [ "$(run_of "$1" where)" = local ] &&
    [[ "$(run_of "$1" cache_why)" = *"${2:-}"* ]] || { show_cache; return 1; }
}
# run_kept PACKAGE, run_not_kept PACKAGE REASON: what became of the run.
run_kept() {
  [ -n "$(run_of "$1" where)" ] && [ -z "$(run_of "$1" not_stored)" ] || { show_cache; return 1; }
}
run_not_kept() {
  [[ "$(run_of "$1" not_stored)" = *"$2"* ]] && [ -n "$(run_of "$1" not_stored)" ] || { show_cache; return 1; }
}
# all_put: not one script ran.
all_put() {
  jq -es 'map(select(.kind == "script-run")) | length > 0 and all(.[]; .cache == "hit")' "$JOBS" >/dev/null ||
    { show_cache; return 1; }
}
# made_by TARGET: all that scripts made and printed there, but for times: kinds, modes, contents, links.
made_by() {
  local what=(\( -path '*/build/*/out' -o -path '*/build/*/out/*' -o -path '*/build/*/output' -o -path '*/build/*/stderr'
    -o -path '*/build/*/run/std*' \) ! -name 'build_script_*' ! -name '.build_script_*' ! -name 'build-script-*' ! -name '*.d')
  (
    cd "$1"
    find . "${what[@]}" -printf '%y %m %l %p\n' | LC_ALL=C sort
    find . "${what[@]}" -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum
  )
}
# as_plain LABEL DIR ARG…: a plain build, then one through dray that runs the scripts, and one that runs none, each
# from nothing at one place: what the scripts made and printed, and what cargo printed, are equal in all three.
as_plain() {
  local label=$1 dir=$2 target
  target=$(target_of "$dir")
  clean "$dir"
  (cd "$dir" && exec env -u RUSTC_WRAPPER cargo "${@:3}") >"$LOGS/plain.out" 2>"$LOGS/plain.err" </dev/null 3>&- ||
    { cat "$LOGS/plain.err" >&2; return 1; }
  made_by "$target" >"$LOGS/made.plain"
  [ -s "$LOGS/made.plain" ]
  clean "$dir"
  cached "$label" "${@:2}"
  made_by "$target" >"$LOGS/made.ran"
  diff "$LOGS/made.plain" "$LOGS/made.ran" >&2 && same_text "$label" || return 1
  clean "$dir"
  cached "$label-again" "${@:2}"
  made_by "$target" >"$LOGS/made.put"
  diff "$LOGS/made.plain" "$LOGS/made.put" >&2 && same_text "$label-again" && all_put
}
# turn DIR [ARG…]: a plain build, and one through dray, each from nothing at one place: what the scripts made and
# printed, what cargo printed, and what the program says are equal. $SAID is that.
turn() {
  local dir=$1 target
  target=$(target_of "$dir")
  clean "$dir"
  (cd "$dir" && exec env -u RUSTC_WRAPPER cargo build "${@:2}") >"$LOGS/plain.out" 2>"$LOGS/plain.err" </dev/null 3>&- ||
    { cat "$LOGS/plain.err" >&2; return 1; }
  made_by "$target" >"$LOGS/made.plain"
  [ -s "$LOGS/made.plain" ] || return 1
  SAID=$("$target/debug/app")
  clean "$dir"
  cached turn "$dir" build "${@:2}" || return 1
  made_by "$target" >"$LOGS/made.turn"
  diff "$LOGS/made.plain" "$LOGS/made.turn" >&2 && same_text turn || { show_cache; return 1; }
  says "$dir" "$SAID" || { show_cache; return 1; }
}
# turn_says TEXT DIR [ARG…]: and the program says this.
turn_says() {
  turn "${@:2}" || return 1
  [ "$SAID" = "$1" ] || { echo "it says: $SAID" >&2; return 1; }
}
# c_script DIR [NAME]: a package with this name whose script compiles words.c with $CC and $CFLAGS; its program prints
# number(). It declares no file but itself.
c_script() {
  package "$1" "${2:-app}"
  cat >"$1/build.rs" <<'RUST'
use std::{env, process::Command};
fn run(c: &mut Command) {
    assert!(c.status().unwrap().success());
}
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR").unwrap();
    let flags = env::var("CFLAGS").unwrap_or_default();
    run(Command::new(env::var("CC").unwrap_or("cc".into())).args(flags.split_whitespace()).args(["-c", "words.c", "-o"])
        .arg(format!("{out}/words.o")));
    run(Command::new("ar").arg("crsD").arg(format!("{out}/libwords.a")).arg(format!("{out}/words.o")));
    println!("cargo:rustc-link-search=native={out}");
    println!("cargo:rustc-link-lib=static=words");
}
RUST
  printf '#include "words.h"\nint number(void) { return NUMBER; }\n' >"$1/words.c"
  echo '#define NUMBER 1' >"$1/words.h"
  cat >"$1/src/main.rs" <<'RUST'
extern "C" {
    fn number() -> i32;
}
fn main() {
    println!("{}", unsafe { number() });
}
RUST
}
