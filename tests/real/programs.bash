# The programs that tests/real and bench build. Sourced.
#
# program_prepare NAME DIR     sources in DIR, dependencies fetched, Cargo.lock there
# program_args NAME MODE       cargo's arguments, one a line
# program_run NAME DIR PROFILE runs what was built, prints what it printed

REAL_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RIPGREP_VERSION=14.1.1
FD_VERSION=10.2.0
HYPERFINE_VERSION=1.19.0
BAT_VERSION=0.26.1
EZA_VERSION=0.23.4
GITUI_VERSION=0.28.1
ZOXIDE_VERSION=0.9.8

# What decides what cargo and dray do, and is not for the tests: the caller's environment.
real_clean_env() {
  local v
  unset RUSTC RUSTFLAGS RUSTDOCFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS \
    CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR CARGO_BUILD_TARGET CARGO_BUILD_JOBS \
    RUSTC_WORKSPACE_WRAPPER CARGO_BUILD_RUSTC_WRAPPER CLIPPY_ARGS MAKEFLAGS MFLAGS CC CFLAGS \
    LD_LIBRARY_PATH LD_PRELOAD
  for v in $(compgen -e | grep -E '^CARGO_(PROFILE|TARGET)_' || true); do
    unset "$v"
  done
  # DRAY_TEST_LAYOUT=2: cargo's newer layout of what it makes, the only one since 1.100. cargo 1.95 takes it by
  # an unstable setting, so that rustc sees RUSTC_BOOTSTRAP, too.
  unset RUSTC_BOOTSTRAP CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT
  if [ "${DRAY_TEST_LAYOUT:-1}" = 2 ]; then
    export RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT=true
  fi
  export CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=always CARGO_TERM_PROGRESS_WHEN=never
  export LC_ALL=C.UTF-8
}

# A workspace of 24 members: each depends on the ones whose number divides its own; every third has a
# build script that generates code, every fourth derives, every fifth is a program.
make_members() {
  local dir=$1 i d
  cp -R "$REAL_DIR/programs/members/." "$dir/"
  for i in $(seq 2 25); do
    mkdir -p "$dir/m$i/src"
    printf '[package]\nname = "m%s"\nversion = "0.%s.0"\nedition = "2021"\n\n[dependencies]\n' "$i" "$i" \
      >"$dir/m$i/Cargo.toml"
    printf '//! Member %s.\npub fn value() -> u64 {\n    %s' "$i" "$i" >"$dir/m$i/src/lib.rs"
    for d in $(seq 2 $((i / 2))); do
      [ $((i % d)) -eq 0 ] || continue
      printf 'm%s = { path = "../m%s" }\n' "$d" "$d" >>"$dir/m$i/Cargo.toml"
      printf ' + m%s::value()' "$d" >>"$dir/m$i/src/lib.rs"
    done
    printf '\n}\n' >>"$dir/m$i/src/lib.rs"
    if [ $((i % 4)) -eq 0 ]; then
      printf 'serde = { workspace = true }\n' >>"$dir/m$i/Cargo.toml"
      printf '#[derive(serde::Serialize, Default, Debug)]\npub struct Of%s { pub a: u8, pub b: Option<String> }\n' \
        "$i" >>"$dir/m$i/src/lib.rs"
    fi
    if [ $((i % 3)) -eq 0 ]; then
      printf 'include!(concat!(env!("OUT_DIR"), "/made.rs"));\n' >>"$dir/m$i/src/lib.rs"
      printf 'fn main() {\n    let to = std::path::Path::new(&std::env::var_os("OUT_DIR").unwrap()).join("made.rs");\n    std::fs::write(to, "pub const MADE: u64 = %s;\\n").unwrap();\n    println!("cargo:rerun-if-changed=build.rs");\n}\n' \
        "$i" >"$dir/m$i/build.rs"
    fi
    if [ $((i % 5)) -eq 0 ]; then
      printf 'fn main() {\n    println!("m%s {}", m%s::value());\n}\n' "$i" "$i" >"$dir/m$i/src/main.rs"
    fi
  done
}

program_prepare() {
  local name=$1 dir=$2
  rm -rf "$dir"
  mkdir -p "$dir"
  case $name in
    ripgrep) "$REAL_DIR/fetch-crate" ripgrep "$RIPGREP_VERSION" "$dir" ;;
    fd) "$REAL_DIR/fetch-crate" fd-find "$FD_VERSION" "$dir" ;;
    hyperfine) "$REAL_DIR/fetch-crate" hyperfine "$HYPERFINE_VERSION" "$dir" ;;
    # C below them, by build scripts
    bat) "$REAL_DIR/fetch-crate" bat "$BAT_VERSION" "$dir" ;;
    eza) "$REAL_DIR/fetch-crate" eza "$EZA_VERSION" "$dir" ;;
    gitui) "$REAL_DIR/fetch-crate" gitui "$GITUI_VERSION" "$dir" ;;
    zoxide) "$REAL_DIR/fetch-crate" zoxide "$ZOXIDE_VERSION" "$dir" ;;
    members) make_members "$dir" ;;
    fixture) cp -R "$REAL_DIR/fixture/." "$dir/" ;;
    *) cp -R "$REAL_DIR/programs/$name/." "$dir/" ;;
  esac
  rm -rf "$dir/target"
  if [ ! -f "$dir/Cargo.lock" ]; then
    (cd "$dir" && env -u RUSTC_WRAPPER cargo generate-lockfile -q)
  fi
  (cd "$dir" && env -u RUSTC_WRAPPER cargo fetch -q --locked)
}

program_args() {
  local all=()
  case $1 in
    fixture | members) all=(--workspace) ;;
    # Without jemalloc: its configure script writes the time into its log.
    fd) all=(--no-default-features --features completions) ;;
  esac
  case $2 in
    dev) printf '%s\n' build ;;
    release) printf '%s\n' build --release ;;
    check) printf '%s\n' check ;;
    clippy) printf '%s\n' clippy ;;
    test) printf '%s\n' test --no-run ;;
    *) echo "no such mode: $2" >&2; return 2 ;;
  esac
  [ "$1" != fixture ] || [ "$2" = test ] || all+=(--all-targets)
  printf '%s\n' --locked --offline "${all[@]}"
}

program_run() {
  local name=$1 dir=$2 out=$2/target/$3 f
  case $name in
    ripgrep)
      "$out/rg" --version
      (cd "$dir" && "$out/rg" --sort path --no-config -n -c 'fn main' crates build.rs)
      ;;
    people)
      "$out/people" --help
      printf '[{"full-name":"Ada","age":36},{"full-name":"Kim","age":7,"tags":["x"]}]' |
        "$out/people" --age 30
      printf '[{"full-name":"Kim","age":7,"tags":["x"]}]' | "$out/people" --age 1 --form json
      printf '[{"name":"?"}]' | "$out/people" 2>&1 || echo "status $?"
      ;;
    fixture)
      "$out/fixture"
      "$out/fixture-two"
      RUST_BACKTRACE=0 "$out/fixture-two" panic 2>&1 | sed -E "s/\([0-9]+\) panicked/panicked/"
      for f in "$out"/examples/show; do
        "$f"
      done
      ;;
    python) nm -D --defined-only "$out/libpython.so" ;;
    bare)
      # Optimised, its members are bitcode, which nm may not read.
      ar t "$out/libbare.a"
      nm --defined-only "$out/libbare.a" 2>/dev/null | grep -w frame_length || true
      ;;
    members)
      for f in 5 10 15 20 25; do
        "$out/m$f"
      done
      ;;
    fd)
      "$out/fd" --version
      (cd "$dir" && "$out/fd" -e rs . src | LC_ALL=C sort)
      ;;
    hyperfine) "$out/hyperfine" --version ;;
    *) "$out/$name" ;;
  esac
}
