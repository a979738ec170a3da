# The programs that tests/real and bench build. Sourced.
#
# program_prepare NAME DIR     sources in DIR, dependencies fetched, Cargo.lock there
# program_args NAME MODE       cargo's arguments, one a line
# program_run NAME DIR PROFILE runs what was built, prints what it printed

REAL_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
RIPGREP_VERSION=14.1.1

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
  export CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=always CARGO_TERM_PROGRESS_WHEN=never
  export LC_ALL=C.UTF-8
}

program_prepare() {
  local name=$1 dir=$2
  rm -rf "$dir"
  mkdir -p "$dir"
  case $name in
    ripgrep) "$REAL_DIR/fetch-crate" ripgrep "$RIPGREP_VERSION" "$dir" ;;
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
  [ "$1" != fixture ] || all=(--workspace)
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
  esac
}
