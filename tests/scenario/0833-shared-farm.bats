#!/usr/bin/env bats
# paths = shared on a farm: mapped units are compiled there as here, are found from other checkouts, and what is said of
# them is what plain cargo says.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

scenario_setup() {
  export RUSTC_WRAPPER=$DRAY DRAY_CACHE=on DRAY_SCRIPTS=on DRAY_PATHS=shared
  seed_client
}

# A workspace of all kinds: a library that warns, one that includes what its script makes, one with C in it, a macro
# that reads a file, and a program with a test and an example.
workspace() {
  local p
  mkdir -p "$1"
  printf '[workspace]\nmembers = ["low", "gen", "words-sys", "mac", "app"]\nresolver = "2"\n' >"$1/Cargo.toml"
  for p in low gen words-sys mac; do
    member "$1/$p" "$p" lib
  done
  member "$1/app" app
  printf '\n[lib]\nproc-macro = true\n' >>"$1/mac/Cargo.toml"
  for p in low gen words-sys mac; do
    depends "$1/app" "$p" "../$p"
  done
  depends "$1/gen" low ../low
  printf 'pub fn place() -> &%cstatic str { file!() }\ninclude!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/more.rs"));\n' "'" >"$1/low/src/lib.rs"
  cat >"$1/low/src/more.rs" <<'END_RS'
pub fn takes(_a: u8) {}
pub fn warned() { let y = 1; }
pub fn call(f: impl Fn() -> u8) -> u8 { f() }
#[macro_export]
macro_rules! wrong { () => { { let y = 1u8; let x: u16 = y; x } } }
END_RS
  printf 'fn main() {\n    let out = std::env::var("OUT_DIR").unwrap();\n    std::fs::write(out + "/made.rs", "pub fn made(_a: u8) -> &%cstatic str { let z = 2; file!() }\\n#[macro_export]\\nmacro_rules! bad { () => { { let x: u16 = 1u8; x } } }\\n").unwrap();\n}\n' "'" >"$1/gen/build.rs"
  printf 'include!(concat!(env!("OUT_DIR"), "/made.rs"));\npub fn low() -> &%cstatic str { low::place() }\n' "'" >"$1/gen/src/lib.rs"
  cat >"$1/words-sys/build.rs" <<'END_RS'
use std::process::Command;
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    let object = format!("{out}/words.o");
    assert!(Command::new("cc").args(["-g", "-c", "words.c", "-o", &object]).status().unwrap().success());
    assert!(Command::new("ar").args(["-Dcrs", &format!("{out}/libwords.a"), &object]).status().unwrap().success());
    println!("cargo:rustc-link-search=native={out}");
    println!("cargo:rustc-link-lib=static=words");
    println!("cargo:rerun-if-changed=words.c");
}
END_RS
  echo 'int number(void) { return 7; }' >"$1/words-sys/words.c"
  echo 'extern "C" { pub fn number() -> i32; }' >"$1/words-sys/src/lib.rs"
  cat >"$1/mac/src/lib.rs" <<'END_RS'
use proc_macro::{Literal, TokenStream, TokenTree};
#[proc_macro]
pub fn word(_: TokenStream) -> TokenStream {
    let dir = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let text = std::fs::read_to_string(format!("{dir}/word.txt")).unwrap();
    TokenTree::from(Literal::string(text.trim())).into()
}
END_RS
  echo word >"$1/app/word.txt"
  mkdir "$1/app/tests" "$1/app/examples"
  cat >"$1/app/src/main.rs" <<'END_RS'
fn unused() {}
fn main() {
    println!("{} {} {} {}", mac::word!(), unsafe { words_sys::number() }, gen::low(), gen::made(1));
}
END_RS
  printf '#[test]\nfn it() { assert_eq!(low::place(), "low/src/lib.rs"); let unused = 1; }\n' >"$1/app/tests/it.rs"
  echo 'fn main() { println!("{}", low::call(|| 3)); }' >"$1/app/examples/shown.rs"
  (cd "$1" && cargo generate-lockfile -q)
}
# two_checkouts: of a workspace, the second one further down.
two_checkouts() {
  ONE=$WORK/one TWO=$WORK/deeper/down/two
  workspace "$ONE"
  mkdir -p "$WORK/deeper/down"
  cp -R "$ONE" "$TWO"
}
# on_farm: the farm compiled all of the last build.
on_farm() {
  jobs_all '.kind == "script-run" or (.cache == "miss" and .where == "farm" and .not_stored == null)' ||
    { show_cache; return 1; }
}
farm_gone() {
  local name
  kill_hard "$COORDINATOR_PID"
  for name in "${!WORKER_PIDS[@]}"; do
    is_gone "${WORKER_PIDS[$name]}" || kill_hard "${WORKER_PIDS[$name]}"
  done
}
# said DIR ARG…: the compiler's messages, sorted, as cargo has them from it.
said() {
  clean "$1"
  rm -f "$JOBS"
  (cd "$1" && exec cargo "${@:2}" --message-format="${FORM:-json}" 2>/dev/null </dev/null 3>&-) |
    jq -cS 'select(.reason == "compiler-message") | .message' | LC_ALL=C sort
}
# says_the_same DIR ARG… -- TEXT…: the compiler's messages are plain cargo's, and have these texts.
says_the_same() {
  local dir=$1 args=()
  shift
  while [ "$1" != -- ]; do
    args+=("$1")
    shift
  done
  shift
  RUSTC_WRAPPER='' said "$dir" "${args[@]}" >"$WORK/plain-said"
  for text; do
    grep -qF -- "$text" "$WORK/plain-said" || { echo "plain cargo does not say: $text" >&2; return 1; }
  done
  said "$dir" "${args[@]}" >"$WORK/dray-said"
  diff "$WORK/plain-said" "$WORK/dray-said"
}
# failed_there CRATE: the compile that failed was the worker's, and no other followed.
failed_there() {
  [ "$(job "$1" where)" = farm ] && [ "$(job "$1" exit_status)" = 1 ] || { show_cache; jq -c . "$JOBS" | tail -n 3 >&2; return 1; }
}

# bats test_tags=long
@test "what the farm makes is what a mapped compile here makes, and is found from another checkout" {
  two_checkouts
  farm_start
  DRAY_SCRIPTS=off both first "$ONE" build
  on_farm
  # and with launchers
  clean "$ONE"
  DRAY_RECACHE=yes cached launchers "$ONE" build --all-targets
  on_farm
  farm_gone
  cached second "$TWO" build --all-targets
  all_hit
  cmp "$ONE/target/debug/app" "$TWO/target/debug/app"
  [[ "$("$TWO/target/debug/app")" = "word 7 low/src/lib.rs /cargo/build-dir/debug/build/gen"* ]]
  fails grep -rlF "$ONE" "$TWO/target" --include='*.d' --include=output
  [ "$("$TWO/target/debug/examples/shown")" = 3 ]
  "$DRAY" verify --json >"$LOGS/verify.json"
  jq -e '.differ == [] and .verified >= 9' "$LOGS/verify.json"
  cached nothing "$TWO" build --all-targets
  nothing_done nothing
  # edits there count
  clean "$TWO"
  echo other >"$TWO/app/word.txt"
  cached edited "$TWO" build
  [[ "$("$TWO/target/debug/app")" = "other 7 "* ]]
}

# bats test_tags=long
@test "warnings are plain cargo's in each checkout, of a compile there and of a hit" {
  two_checkouts
  farm_start
  says_the_same "$ONE" build --all-targets -- "$ONE/low/src/more.rs" "$ONE/target/debug/build/gen"
  on_farm
  farm_gone
  for dir in "$TWO" "$ONE"; do
    says_the_same "$dir" build --all-targets -- "$dir/low/src/more.rs" "$dir/target/debug/build/gen"
    all_hit
  done
  # as text
  clean "$TWO"
  plain_build "$TWO" check
  cached text "$TWO" check
  same_text text
}

# bats test_tags=long
@test "errors on the farm are plain cargo's: in a member, in one that it calls, in what that took from OUT_DIR" {
  two_checkouts
  farm_start
  printf 'fn main() {\n    low::takes(1u16);\n    let _: u16 = low::wrong!();\n    gen::made(1u16);\n    let _: u16 = gen::bad!();\n    let f: u8 = || 1u8;\n}\n' >"$TWO/app/src/main.rs"
  cp "$TWO/app/src/main.rs" "$ONE/app/src/main.rs"
  for dir in "$ONE" "$TWO"; do
    says_the_same "$dir" build -- E0308 "$dir/low/src/more.rs" "$dir/target/debug/build/gen" '{closure@'
    failed_there app
  done
  FORM=json,json-diagnostic-rendered-ansi says_the_same "$ONE" check -- E0308
  failed_there app
  FORM=json,json-diagnostic-short says_the_same "$ONE" check -- E0308
  failed_there app
  CARGO_INCREMENTAL=1 says_the_same "$ONE" build -- E0308
  # a source that is edited, and put right
  cp "$ONE/app/examples/shown.rs" "$ONE/app/src/main.rs"
  cached right "$ONE" build
  [ "$(job app where)" = farm ]
}

# of_program LABEL: what was said of it in that build.
of_program() {
  sed -n '/^warning: function `unused`/,/^warning: `app`/p' "$LOGS/$1.err" | grep .
}
# linked_again LABEL DIR CACHE: only the program is, by mold; what dray made of it, and said.
linked_again() {
  touch "$2/app/src/main.rs"
  DRAY_LINKER=mold cached "$1" "$2" build
  [ "$(jq -r .crate "$JOBS")" = app ] && [ "$(job app cache)" = "$3" ] && [ "$(job app where)" = cache ] ||
    { show_cache; return 1; }
  readelf -p .comment "$2/target/debug/app" | grep -q mold
  [[ "$("$2/target/debug/app")" = "word 7 low/src/lib.rs "* ]]
  diff <(of_program plain) <(of_program "$1")
}

# bats test_tags=long
@test "another linker: linked from what the farm compiled, in another checkout" {
  command -v mold >/dev/null || skip "no mold"
  two_checkouts
  plain_build "$TWO" build
  farm_start
  cached first "$ONE" build
  on_farm
  farm_gone
  cached second "$TWO" build
  all_hit
  linked_again bundle "$TWO" bundle
  # what was linked is found whole, here and there
  linked_again here "$TWO" hit
  linked_again there "$ONE" hit
  cmp "$ONE/target/debug/app" "$TWO/target/debug/app"
  # all of it: what a macro is linked by is an input of its users
  clean "$TWO"
  DRAY_LINKER=mold cached all "$TWO" build
  [ "$(job mac cache)" = bundle ]
  [ "$(job build_script_build cache)" = bundle ]
}

@test "a bundle whose objects have the place in pieces, in their instructions, is linked there alone" {
  command -v mold >/dev/null || skip "no mold"
  # short, so that the compiler compares it by numbers
  ONE=$(mktemp -d /tmp/pXXX) TWO=$(mktemp -d /tmp/pXXX)
  for dir in "$ONE" "$TWO"; do
    package "$dir" app
    printf 'fn main() {\n    let a = std::env::args().nth(1).unwrap();\n    println!("{}", a.as_bytes() == env!("CARGO_MANIFEST_DIR").as_bytes());\n}\n' >"$dir/src/main.rs"
    (cd "$dir" && cargo generate-lockfile -q)
  done
  farm_start
  cached first "$ONE" build --release
  said=$("$ONE/target/release/app" "$ONE")
  DRAY_LINKER=mold cached second "$TWO" build --release
  said+=" $("$TWO/target/release/app" "$TWO") $(job app cache)"
  rm -rf "$ONE" "$TWO"
  [ "$said" = "true true miss" ]
}

# bats test_tags=long
@test "a worker is killed when some of it was said: each word once, as plain cargo says it" {
  package "$WORK/app" app
  member "$WORK/app/slow" slow lib
  depends "$WORK/app" slow slow
  { echo 'pub fn warned() { let y = 1; }'; slow_after; } >"$WORK/app/slow/src/lib.rs"
  printf 'fn main() { println!("{}", slow::all(&[1, 2])); }\n' >"$WORK/app/src/main.rs"
  (cd "$WORK/app" && cargo generate-lockfile -q)
  plain_build "$WORK/app" build
  farm_start 2
  build_start first "$WORK/app" build
  wait_until 60 is_made "$WORK/app/target/debug" 'libslow-*.rmeta'
  for name in w1 w2; do
    if worker_compiles "${WORKER_PIDS[$name]}" slow; then
      kill_hard "${WORKER_PIDS[$name]}"
      break
    fi
  done
  build_finish 180
  [ "$BUILD_STATUS" -eq 0 ]
  job slow attempts | grep -q "$name"
  same_text first
  # and where none is left
  clean "$WORK/app"
  farm_gone
  DRAY_RECACHE=yes build home "$WORK/app" build
  same_text home
}

# bats test_tags=long
@test "cargo check and clippy go to the farm, and are found from another checkout" {
  two_checkouts
  farm_start
  says_the_same "$ONE" check --all-targets -- "$ONE/low/src/more.rs" "$ONE/target/debug/build/gen"
  on_farm
  if cargo clippy --version >/dev/null 2>&1; then
    says_the_same "$ONE" clippy --all-targets -- "$ONE/low/src/more.rs"
    jobs_all '.where == "farm" or .cache == "hit" or .kind == "script-run"'
    farm_gone
    says_the_same "$TWO" clippy --all-targets -- "$TWO/low/src/more.rs"
    all_hit
  fi
}

# bats test_tags=long
@test "cargo fix mends what it would mend without dray" {
  two_checkouts
  farm_start
  (cd "$TWO" && RUSTC_WRAPPER='' cargo fix -q --all --allow-no-vcs --all-targets >/dev/null 2>&1 3>&-)
  (cd "$ONE" && cargo fix -q --all --allow-no-vcs --all-targets >"$LOGS/fix" 2>&1 3>&-)
  diff -r -x target "$TWO" "$ONE"
  grep -q 'let _y = 1' "$ONE/low/src/more.rs"
}

# bats test_tags=long
@test "incremental: the first compile is the farm's, after an edit it is made here" {
  export CARGO_INCREMENTAL=1
  two_checkouts
  farm_start
  cached first "$ONE" build
  jobs_all '.kind == "script-run" or .where == "farm"'
  cached second "$TWO" build
  all_hit
  sed -i 's/let y = 1/let y = 2/' "$TWO/low/src/more.rs"
  says_the_same "$TWO" build -- "$TWO/low/src/more.rs"
  sed -i 's/let y = 2/let y = 3/' "$TWO/low/src/more.rs"
  cached edited "$TWO" build
  [ "$(job low where)" = local ]
}

# vendored DIR: a workspace with two vendored libraries; the one has code from OUT_DIR, which the other
# calls, and gives what it does not take.
vendored() {
  package "$1" app
  mkdir -p "$1/vendor/low/src" "$1/vendor/mid/src" "$1/.cargo"
  printf '[package]\nname = "low"\nversion = "1.0.0"\nedition = "2021"\n' >"$1/vendor/low/Cargo.toml"
  printf '[package]\nname = "mid"\nversion = "1.0.0"\nedition = "2021"\n[dependencies]\nlow = "1"\n' >"$1/vendor/mid/Cargo.toml"
  printf '{"files":{}}' | tee "$1/vendor/low/.cargo-checksum.json" >"$1/vendor/mid/.cargo-checksum.json"
  printf 'include!(concat!(env!("OUT_DIR"), "/made.rs"));\npub fn takes(_a: u8) -> &%cstatic str { file!() }\n' "'" >"$1/vendor/low/src/lib.rs"
  printf 'fn main() {\n    std::fs::write(std::env::var("OUT_DIR").unwrap() + "/made.rs", "pub fn made(_a: u8) {}").unwrap();\n}\n' >"$1/vendor/low/build.rs"
  printf 'pub fn mid() -> &%cstatic str { low::made(1); low::takes(1) }\n' "'" >"$1/vendor/mid/src/lib.rs"
  printf '\n[dependencies]\nmid = "1"\n' >>"$1/Cargo.toml"
  printf '[source.crates-io]\nreplace-with = "v"\n[source.v]\ndirectory = "vendor"\n' >"$1/.cargo/config.toml"
  printf 'fn main() { println!("{}", mid::mid()); }\n' >"$1/src/main.rs"
  (cd "$1" && cargo generate-lockfile -q --offline)
}

@test "what is vendored, and errors that lead from one such package into another, and into what that took from OUT_DIR" {
  mkdir "$WORK/deeper"
  vendored "$WORK/one"
  cp -R "$WORK/one" "$WORK/deeper/two"
  farm_start
  cached first "$WORK/one" build
  on_farm
  cached second "$WORK/deeper/two" build
  all_hit
  [ "$("$WORK/deeper/two/target/debug/app")" = ./vendor/low/src/lib.rs ]
  printf 'pub fn mid() { low::made(1u16); low::takes(1u16) }\n' >"$WORK/one/vendor/mid/src/lib.rs"
  says_the_same "$WORK/one" build -- E0308 "$WORK/one/vendor/low/src/lib.rs" "$WORK/one/target/debug/build/low"
  failed_there mid
  DRAY_OFFLOAD=never says_the_same "$WORK/one" build -- E0308
}

# with_git DIR [CODE]: a program that depends on a package in a git repository, which includes what its script made:
# CODE, too.
with_git() {
  local repo=$WORK/repo
  if [ ! -d "$repo" ]; then
    package "$repo" gen lib
    printf 'include!(concat!(env!("OUT_DIR"), "/made.rs"));\npub fn takes(_a: u8) {}\n' >"$repo/src/lib.rs"
    printf 'fn main() {\n    let out = std::env::var("OUT_DIR").unwrap();\n    std::fs::write(out + "/made.rs", "pub fn made(_a: u8) -> &%cstatic str { file!() }\\n%s").unwrap();\n}\n' "'" "${2:-}" >"$repo/build.rs"
    (cd "$repo" && git init -q && git add . && git -c user.name=n -c user.email=e commit -qm one)
  fi
  package "$1" app
  printf '\n[dependencies]\ngen = { git = "file://%s" }\n' "$repo" >>"$1/Cargo.toml"
  printf 'fn main() { println!("{}", gen::made(1)); }\n' >"$1/src/main.rs"
  (cd "$1" && cargo generate-lockfile -q)
}

# bats test_tags=long
@test "a package in cargo's home that takes code from its OUT_DIR, with a target directory elsewhere" {
  export CARGO_HOME=$WORK/home CARGO_NET_OFFLINE=false
  mkdir "$WORK/deeper"
  with_git "$WORK/one"
  with_git "$WORK/deeper/two"
  farm_start
  CARGO_TARGET_DIR=$WORK/target-1 cached first "$WORK/one" build
  on_farm
  CARGO_TARGET_DIR=$WORK/target-2 cached second "$WORK/deeper/two" build
  all_hit
  [[ "$("$WORK/target-2/debug/app")" = /cargo/build-dir/debug/build/gen*/out/made.rs ]]
  # and with another home of cargo's
  cp -R "$WORK/home" "$WORK/home-2"
  CARGO_HOME=$WORK/home-2 CARGO_TARGET_DIR=$WORK/target-3 cached third "$WORK/one" build
  all_hit
  "$DRAY" verify --json | jq -e '.differ == [] and .verified > 0'
  # what the program gives it, and does not take of it
  printf 'fn main() {\n    gen::takes(1u16);\n    gen::made(1u16);\n}\n' >"$WORK/one/src/main.rs"
  says_the_same "$WORK/one" build -- E0308 "$WORK/one/target/debug/build/gen" "$WORK/home/git/checkouts/repo-"
  failed_there app
}

# bats test_tags=long
@test "errors in what such a package takes are plain cargo's" {
  export CARGO_HOME=$WORK/home CARGO_NET_OFFLINE=false
  with_git "$WORK/one" 'pub fn wrong() -> u8 { 1u16 }'
  farm_start
  says_the_same "$WORK/one" build -- E0308 "$WORK/one/target/debug/build/gen"
  failed_there gen
}
