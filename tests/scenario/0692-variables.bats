#!/usr/bin/env bats
# What cargo and shells set, and who asks for it. A variable that nobody asked for is no reason to compile
# again; one that was asked for, by env!, by a macro, by name or all at once, has the right value each time.

bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# workspace DIR: three packages, one below the other, and a macro, outside of it, that the lowest uses. (A
# macro that is a member has other arguments, debuginfo, where it is built for itself.)
workspace() {
  mkdir -p "$1"
  printf '[workspace]\nresolver = "2"\nmembers = ["low", "mid", "app"]\n' >"$1/Cargo.toml"
  member "$1/low" low lib
  member "$1/mid" mid lib
  member "$1/app" app
  package "$1-macro" macro lib
  printf '\n[lib]\nname = "makes"\nproc-macro = true\n' >>"$1-macro/Cargo.toml"
  depends "$1/low" macro "$1-macro"
  depends "$1/mid" low ../low
  depends "$1/app" mid ../mid
  printf 'use proc_macro::TokenStream;\n#[proc_macro]\npub fn nothing(_: TokenStream) -> TokenStream {\n    TokenStream::new()\n}\n' \
    >"$1-macro/src/lib.rs"
  printf 'makes::nothing!();\npub fn answer() -> u32 { 42 }\n' >"$1/low/src/lib.rs"
  printf 'pub fn answer() -> u32 { low::answer() }\n' >"$1/mid/src/lib.rs"
  printf 'fn main() { println!("{}", mid::answer()); }\n' >"$1/app/src/main.rs"
}

# bats test_tags=long
@test "all of a workspace, then one package of it: nothing is compiled again" {
  local how
  workspace "$WORK/ws"
  for how in "build" "test --no-run" "check" "clippy"; do
    clean "$WORK/ws"
    # shellcheck disable=SC2086
    cached all "$WORK/ws" $how --workspace
    clean "$WORK/ws"
    # shellcheck disable=SC2086
    cached one "$WORK/ws" $how -p app
    all_hit || { echo "after: $how --workspace" >&2; return 1; }
  done
  clean "$WORK/ws"
  # from the directory of one, and by its manifest
  rm -f "$JOBS"
  (cd "$WORK/ws/app" && cargo build) >"$LOGS/inside" 2>&1
  all_hit
}

@test "cargo by rustup and the toolchain's own, certificates, SOURCE_DATE_EPOCH, a library path: hits" {
  local own
  own=$(rustc --print sysroot)/bin
  workspace "$WORK/ws"
  (unset SSL_CERT_DIR SSL_CERT_FILE SOURCE_DATE_EPOCH LD_LIBRARY_PATH; cached first "$WORK/ws" build)
  clean "$WORK/ws"
  (export PATH=$own:$PATH; cached own "$WORK/ws" build)
  all_hit
  clean "$WORK/ws"
  (export SSL_CERT_DIR=/nowhere SSL_CERT_FILE=/nowhere/file; cached certificates "$WORK/ws" build)
  all_hit
  clean "$WORK/ws"
  (export SOURCE_DATE_EPOCH=1700000000; cached epoch "$WORK/ws" build)
  all_hit
  clean "$WORK/ws"
  mkdir -p "$WORK/libs"
  (export LD_LIBRARY_PATH=$WORK/libs:$WORK/nowhere; cached libs "$WORK/ws" build)
  all_hit
  clean "$WORK/ws"
  (export RUST_MIN_STACK=16777216 RUST_RECURSION_COUNT=3; cached stack "$WORK/ws" build)
  all_hit
}

# asks DIR EXPR: a program on "asks" and "silent"; asks::VALUE is the value of EXPR.
asks() {
  package "$1" app
  member "$1/asks" asks lib
  member "$1/silent" silent lib
  sed -i 's/^\[workspace\]/[workspace]\nmembers = ["asks", "silent"]/' "$1/Cargo.toml"
  depends "$1" asks asks
  depends "$1" silent silent
  printf 'pub const VALUE: Option<&str> = %s;\n' "$2" >"$1/asks/src/lib.rs"
  printf 'fn main() {\n    println!("{:?}", asks::VALUE);\n}\n' >"$1/src/main.rs"
}

@test "CARGO_PRIMARY_PACKAGE, asked for by option_env!: there, absent, there again" {
  asks "$WORK/app" 'option_env!("CARGO_PRIMARY_PACKAGE")'
  cached absent "$WORK/app" build -p app
  says "$WORK/app" None
  clean "$WORK/app"
  cached there "$WORK/app" build --workspace
  says "$WORK/app" 'Some("1")'
  missed asks 'CARGO_PRIMARY_PACKAGE is set now'
  hit silent
  clean "$WORK/app"
  cached absent-again "$WORK/app" build -p app
  says "$WORK/app" None
  all_hit
  clean "$WORK/app"
  cached there-again "$WORK/app" build --workspace
  says "$WORK/app" 'Some("1")'
  all_hit
}

@test "a package's own words, asked for by env!; and by nobody" {
  local word
  asks "$WORK/app" 'Some(env!("CARGO_PKG_DESCRIPTION"))'
  for word in one two three; do
    for p in asks silent; do
      sed -i '/^description/d; s/^version.*/&\ndescription = "'$word'"/' "$WORK/app/$p/Cargo.toml"
    done
    clean "$WORK/app"
    cached "$word" "$WORK/app" build
    says "$WORK/app" "Some(\"$word\")"
    [ $word = one ] || { missed asks 'CARGO_PKG_DESCRIPTION changed'; hit silent; }
  done
}

# macro_reads DIR EXPR: a macro's text is EXPR, the package's description is in the environment.
macro_reads() {
  with_macro "$1"
  printf '%s\n' "$2" >"$1/look/src/expr.rs"
}
described() {
  sed -i '/^description/d; s/^version.*/&\ndescription = "'"$2"'"/' "$1/Cargo.toml"
}

# bats test_tags=long
@test "a macro that asks by name, walks its environment, or reads it from /proc: right each time" {
  local i=0 how
  local -a ways=(
    'std::env::var("CARGO_PKG_DESCRIPTION").unwrap_or_default()'
    'std::env::vars().find(|(k, _)| k == "CARGO_PKG_DESCRIPTION").map(|(_, v)| v).unwrap_or_default()'
    '{ let all = std::fs::read("/proc/self/environ").unwrap(); let all = String::from_utf8_lossy(&all).into_owned(); all.split(char::from(0)).find_map(|v| v.strip_prefix("CARGO_PKG_DESCRIPTION=")).unwrap_or("").to_string() }'
  )
  for how in "${ways[@]}"; do
    i=$((i + 1))
    macro_reads "$WORK/m$i" "$how"
    described "$WORK/m$i" one
    cached "one$i" "$WORK/m$i" build
    says "$WORK/m$i" one
    described "$WORK/m$i" two
    clean "$WORK/m$i"
    cached "two$i" "$WORK/m$i" build
    says "$WORK/m$i" two
    missed app
    hit look
    described "$WORK/m$i" one
    clean "$WORK/m$i"
    cached "again$i" "$WORK/m$i" build
    says "$WORK/m$i" one
    all_hit
  done
}

@test "a macro's library by LD_LIBRARY_PATH: what it leads to counts" {
  with_macro "$WORK/app"
  for n in 1 2; do
    mkdir -p "$WORK/lib$n"
    printf 'int number(void) { return %s; }\n' $n >"$WORK/lib$n/n.c"
    cc -shared -fPIC -o "$WORK/lib$n/libnumber.so" "$WORK/lib$n/n.c"
  done
  printf 'extern "C" {\n    fn number() -> i32;\n}\n' >>"$WORK/app/look/src/lib.rs"
  echo 'unsafe { number() }.to_string()' >"$WORK/app/look/src/expr.rs"
  printf 'fn main() {\n    println!("cargo:rustc-link-search=native=%s/lib1");\n    println!("cargo:rustc-link-lib=dylib=number");\n}\n' \
    "$WORK" >"$WORK/app/look/build.rs"
  (export LD_LIBRARY_PATH=$WORK/lib1; cached one "$WORK/app" build)
  says "$WORK/app" 1
  clean "$WORK/app"
  (export LD_LIBRARY_PATH=$WORK/lib2; cached two "$WORK/app" build)
  says "$WORK/app" 2
  missed app
  clean "$WORK/app"
  (export LD_LIBRARY_PATH=$WORK/nowhere:$WORK/lib1; cached one-again "$WORK/app" build)
  says "$WORK/app" 1
  all_hit
}

@test "clippy --no-deps: whether a package is one of those asked for decides what is said" {
  workspace "$WORK/ws"
  printf 'pub fn answer() -> u32 { let x = 42; return x; }\n' >"$WORK/ws/mid/src/lib.rs"
  cached deps "$WORK/ws" clippy -p app -- --no-deps
  fails grep -q needless_return "$LOGS/deps.err"
  clean "$WORK/ws"
  cached all "$WORK/ws" clippy --workspace -- --no-deps
  grep -q needless_return "$LOGS/all.err"
  clean "$WORK/ws"
  cached deps-again "$WORK/ws" clippy -p app -- --no-deps
  fails grep -q needless_return "$LOGS/deps-again.err"
  all_hit
}

@test "the same by a farm's record: asked for, and not" {
  farm_start
  asks "$WORK/app" 'option_env!("CARGO_PRIMARY_PACKAGE")'
  cached absent "$WORK/app" build -p app
  [ "$(job asks where)" = farm ]
  says "$WORK/app" None
  clean "$WORK/app"
  cached there "$WORK/app" build --workspace
  says "$WORK/app" 'Some("1")'
  missed asks
  hit silent
  clean "$WORK/app"
  (export SSL_CERT_DIR=/nowhere SOURCE_DATE_EPOCH=3; cached absent-again "$WORK/app" build -p app)
  says "$WORK/app" None
  all_hit
}
