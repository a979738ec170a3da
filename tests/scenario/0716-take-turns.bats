#!/usr/bin/env bats
# A plain cargo, or an editor that calls one, and dray in one target directory: what one has made is fresh for
# the other. And a team's settings, in the project's own .cargo/config.toml.
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# project DIR: a program on a library and a macro, with a build script, and tests.
project() {
  with_macro "$1"
  dependency "$1" lib
  echo '"made".to_string()' >"$1/look/src/expr.rs"
  printf 'fn main() { println!("cargo:rerun-if-changed=build.rs"); }\n' >"$1/build.rs"
  printf 'fn main() { println!("{} {}", look::look!(), lib::answer()); }\n#[test]\nfn t() {}\n' >"$1/src/main.rs"
}

# plain DIR ARG…, ours DIR ARG…: cargo without a wrapper, as an editor runs it, or with dray.
plain() {
  (cd "$1" && exec env -u RUSTC_WRAPPER cargo "${@:2}" -v) >"$LOGS/turn.out" 2>"$LOGS/turn.err" </dev/null 3>&- ||
    { cat "$LOGS/turn.err" >&2; return 1; }
}
ours() {
  (cd "$1" && exec cargo "${@:2}" -v) >"$LOGS/turn.out" 2>"$LOGS/turn.err" </dev/null 3>&- ||
    { cat "$LOGS/turn.err" >&2; return 1; }
}
fresh() {
  nothing_done turn
}
# made CRATE…: these and no others were compiled in the last turn.
made() {
  diff <(printf '%s\n' "$@" | sort) \
    <(sed -nE 's/^ +(Compiling|Checking) ([^ ]+) .*/\2/p' "$LOGS/turn.err" | sort)
}

# turns DIR ARG…: each begins once, from nothing and after edits; the other has nothing to do.
turns() {
  local dir=$1
  shift
  rm -rf "$dir/target"
  plain "$dir" "$@"
  ours "$dir" "$@"
  fresh
  plain "$dir" "$@"
  fresh
  echo "// $RANDOM $*" >>"$dir/lib/src/lib.rs"
  ours "$dir" "$@"
  made app lib
  plain "$dir" "$@"
  fresh
  echo "// $RANDOM $*" >>"$dir/src/main.rs"
  plain "$dir" "$@"
  made app
  ours "$dir" "$@"
  fresh
  # some from the cache, what was edited by a compile
  rm -rf "$dir/target"
  ours "$dir" "$@"
  plain "$dir" "$@"
  fresh
  echo "// $RANDOM $*" >>"$dir/lib/src/lib.rs"
  plain "$dir" "$@"
  made app lib
  ours "$dir" "$@"
  fresh
}

# bats test_tags=long
@test "a plain cargo and dray take turns in one target directory" {
  project "$WORK/app"
  CARGO_INCREMENTAL=0 turns "$WORK/app" build
  turns "$WORK/app" build
  # as an editor does
  turns "$WORK/app" check --all-targets --message-format=json --keep-going
  says_again
}
says_again() {
  ours "$WORK/app" build
  says "$WORK/app" 'made 42'
}

# bats test_tags=long
@test "an editor's check between dray's builds, and the newer layout" {
  local layout
  project "$WORK/app"
  for layout in false true; do
    export RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT=$layout
    rm -rf "$WORK/app/target"
    ours "$WORK/app" build
    plain "$WORK/app" check --all-targets
    ours "$WORK/app" build
    fresh
    ours "$WORK/app" check --all-targets
    fresh
    echo "// $RANDOM $layout" >>"$WORK/app/lib/src/lib.rs"
    plain "$WORK/app" check --all-targets
    ours "$WORK/app" build
    made app lib
    plain "$WORK/app" check --all-targets
    fresh
    plain "$WORK/app" test --no-run
    ours "$WORK/app" test --no-run
    fresh
  done
}

@test "dray run; and a build script that runs again with another RUSTC_WRAPPER" {
  project "$WORK/app"
  plain "$WORK/app" build
  (cd "$WORK/app" && exec env -u RUSTC_WRAPPER "$DRAY" run -- cargo build -v) >"$LOGS/turn.out" 2>"$LOGS/turn.err" 3>&-
  fresh
  # A wrapper that is set as cargo's configuration is not in the environment.
  printf 'fn main() { println!("cargo:rerun-if-env-changed=RUSTC_WRAPPER"); }\n' >"$WORK/app/build.rs"
  unset RUSTC_WRAPPER
  CARGO_BUILD_RUSTC_WRAPPER=$DRAY ours "$WORK/app" build
  made app
  [ -s "$JOBS" ]
  plain "$WORK/app" build
  fresh
  CARGO_BUILD_RUSTC_WRAPPER=$DRAY ours "$WORK/app" build
  fresh
}

@test "a project's own .cargo/config.toml sets dray up, and its settings are no part of a key" {
  project "$WORK/app"
  unset RUSTC_WRAPPER DRAY_CACHE_DIR DRAY_JOB_LOG DRAY_CACHE
  mkdir -p "$WORK/app/.cargo"
  cat >"$WORK/app/.cargo/config.toml" <<END
[build]
rustc-wrapper = "$DRAY"

[env]
DRAY_CACHE_DIR = { value = ".dray-cache", relative = true }
DRAY_CACHE_MAX = "1G"
DRAY_INCREMENTAL = "never"
END
  JOBS=$WORK/app/.dray-cache/jobs.jsonl
  build team "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  jobs_all '.cache == "miss" and .not_stored == null'
  rm -rf "$WORK/app/target" "$JOBS"
  build team "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  all_hit
  # Only there: neither in a package's directory, nor in the user's.
  [ "$(cd "$WORK/app" && find . -name '.dray*')" = ./.dray-cache ]
  # The user's own environment wins, and finds what was made by the settings of the team.
  printf '[build]\nrustc-wrapper = "%s"\n' "$DRAY" >"$WORK/app/.cargo/config.toml"
  rm -rf "$WORK/app/target" "$JOBS"
  DRAY_CACHE_DIR=$WORK/app/.dray-cache DRAY_INCREMENTAL=never build own "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  all_hit
  # A user who wants none of it says so.
  rm -rf "$WORK/app/target" "$JOBS"
  RUSTC_WRAPPER= build none "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  [ ! -e "$JOBS" ]
}
