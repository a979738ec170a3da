#!/usr/bin/env bats
# Where the cache may be: not in a home that is not there, not at a relative path. And times of files that
# are no times of theirs.
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# quietly DIR ENV…: with that environment, and no cache directory named, a build says and makes what a plain
# one does, twice.
quietly() {
  local dir=$1
  shift
  rm -rf "$dir/target" "$WORK/plain"
  (cd "$dir" && exec env -u RUSTC_WRAPPER cargo build) >"$LOGS/plain.out" 2>"$LOGS/plain.err" </dev/null 3>&-
  mv "$dir/target" "$WORK/plain"
  for _ in 1 2; do
    rm -rf "$dir/target"
    (cd "$dir" && exec env -u DRAY_CACHE_DIR -u DRAY_JOB_LOG -u XDG_CACHE_HOME "$@" cargo build) \
      >"$LOGS/quiet.out" 2>"$LOGS/quiet.err" </dev/null 3>&- || { cat "$LOGS/quiet.err" >&2; return 1; }
    same_tree "$dir"
    same_text quiet
  done
}

# bats test_tags=long
@test "a home that is not there is not made" {
  local home
  package "$WORK/app" app
  dependency "$WORK/app" lib
  export RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
  for home in "$WORK/homeless-shelter" "$WORK/app/Cargo.toml" "$WORK/app/Cargo.toml/below"; do
    quietly "$WORK/app" HOME="$home"
    [ ! -d "$home" ]
  done
  quietly "$WORK/app" HOME="$WORK/homeless-shelter" DRAY_CACHE_DIR="$WORK/homeless-shelter/cache"
  quietly "$WORK/app" HOME="$WORK/homeless-shelter" XDG_CACHE_HOME="$WORK/homeless-shelter/.cache"
  [ ! -e "$WORK/homeless-shelter" ]
  [ -z "$(find "$WORK/app" -name .cache)" ]
  # An XDG_CACHE_HOME that is there does.
  mkdir "$WORK/xdg"
  (cd "$WORK/app" && env -u DRAY_CACHE_DIR -u DRAY_JOB_LOG HOME="$WORK/homeless-shelter" XDG_CACHE_HOME="$WORK/xdg" \
    cargo clean -q && exec env -u DRAY_CACHE_DIR -u DRAY_JOB_LOG HOME="$WORK/homeless-shelter" \
    XDG_CACHE_HOME="$WORK/xdg" cargo build -q) 3>&-
  [ -s "$WORK/xdg/dray/jobs.jsonl" ]
  [ ! -e "$WORK/homeless-shelter" ]
  # doctor says what is missing
  run env -u DRAY_CACHE_DIR -u DRAY_JOB_LOG -u XDG_CACHE_HOME HOME="$WORK/homeless-shelter" "$DRAY" doctor
  [[ "$output" == *"cache"*"there is no directory for it"* ]]
  [ ! -e "$WORK/homeless-shelter" ]
}

@test "a home that cannot be written" {
  package "$WORK/app" app
  mkdir "$WORK/home"
  if [ "$(id -u)" -eq 0 ]; then
    chattr +i "$WORK/home" 2>/dev/null || skip "no directory is closed to root here"
  else
    chmod 555 "$WORK/home"
  fi
  export RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
  quietly "$WORK/app" HOME="$WORK/home" || { chattr -i "$WORK/home" 2>/dev/null; false; }
  [ -z "$(ls -A "$WORK/home")" ]
  chattr -i "$WORK/home" 2>/dev/null || true
}

# bats test_tags=long
@test "a relative cache directory, or job log, is refused and not used" {
  local set
  package "$WORK/app" app
  package "$WORK/outside" outside lib
  depends "$WORK/app" outside ../outside
  echo 'fn main() { println!("{}", outside::answer()); }' >"$WORK/app/src/main.rs"
  export RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
  mkdir -p "$WORK/home/.cache"
  printf '[client]\ncache_dir = .cache/dray\n' >"$FARM/relative.conf"
  (cd "$WORK/app" && exec env -u RUSTC_WRAPPER cargo generate-lockfile -q) 3>&-
  (cd "$WORK" && find app outside | sort) >"$LOGS/before"
  for set in DRAY_CACHE_DIR=.cache/dray DRAY_CACHE_DIR=./c 'DRAY_CACHE_DIR=~nobody/c' DRAY_JOB_LOG=log/jobs \
    "DRAY_CONFIG=$FARM/relative.conf"; do
    rm -rf "$WORK/home/.cache/dray"
    (cd "$WORK/app" && exec env -u DRAY_CACHE_DIR -u DRAY_JOB_LOG HOME="$WORK/home" "$set" cargo build) \
      >"$LOGS/relative" 2>&1 </dev/null 3>&- || { cat "$LOGS/relative" >&2; false; }
    fails grep -i dray "$LOGS/relative"
    rm -rf "$WORK/app/target"
    (cd "$WORK" && find app outside | sort) | diff "$LOGS/before" -
    # Why is in the job log, where that is without the setting.
    jq -es 'map(select(.kind != "probe")) | length > 0 and all(.[]; .why | test("begins with /"))' \
      "$WORK/home/.cache/dray/jobs.jsonl" >/dev/null
    run env -u DRAY_CACHE_DIR -u DRAY_JOB_LOG HOME="$WORK/home" "$set" "$DRAY" doctor
    [[ "$output" == *"begins with /"* ]]
  done
  # By the XDG specification a relative one counts as none.
  (cd "$WORK/app" && exec env -u DRAY_CACHE_DIR -u DRAY_JOB_LOG HOME="$WORK/home" XDG_CACHE_HOME=.cache cargo build -q) 3>&-
  rm -rf "$WORK/app/target"
  (cd "$WORK" && find app outside | sort) | diff "$LOGS/before" -
}

@test "files whose times are in the future are kept and found; what changes is seen" {
  with_macro "$WORK/app"
  dependency "$WORK/app" lib
  echo 'concat!(include_str!("text"), "!").to_string()' >"$WORK/app/look/src/expr.rs"
  mkdir "$WORK/app/data"
  printf one >"$WORK/app/look/src/text"
  printf 'fn main() { println!("{} {}", look::look!(), include_str!("../data/more")); }\n' >"$WORK/app/src/main.rs"
  printf x >"$WORK/app/data/more"
  find "$WORK/app" -exec touch -h -d '+1 year' {} +
  once_and_again future "$WORK/app" build
  says "$WORK/app" 'one! x'
  # A change that leaves the future time, and one that sets it back.
  printf two >"$WORK/app/look/src/text"
  printf y >"$WORK/app/data/more"
  touch -d '+1 year' "$WORK/app/look/src/text" "$WORK/app/data/more"
  clean "$WORK/app"
  cached changed "$WORK/app" build
  says "$WORK/app" 'two! y'
}

# refused LABEL TEXT ENV…: dray up says TEXT once, builds, and makes nothing beside the sources.
refused() {
  local label=$1 text=$2
  shift 2
  rm -rf "$WORK/app/target"
  (cd "$WORK/app" && exec env -u RUSTC_WRAPPER -u DRAY_JOB_LOG "$@" "$DRAY" up -- cargo build) \
    >"$LOGS/$label" 2>&1 </dev/null 3>&- || { cat "$LOGS/$label" >&2; return 1; }
  "$WORK/app/target/debug/app"
  [ "$(grep -c "$text" "$LOGS/$label")" = 1 ]
  rm -rf "$WORK/app/target"
  (cd "$WORK" && find app outside | sort) | diff "$LOGS/before" -
}

# bats test_tags=long
@test "dray up builds, and says why, where the cache directory is refused" {
  local dir
  package "$WORK/app" app
  package "$WORK/outside" outside lib
  depends "$WORK/app" outside ../outside
  (cd "$WORK/app" && exec env -u RUSTC_WRAPPER cargo generate-lockfile -q) 3>&-
  printf '[client]\ncache_dir = .cache/dray\n' >"$FARM/relative.conf"
  (cd "$WORK" && find app outside | sort) >"$LOGS/before"
  export DRAY_OFFLOAD=always
  refused relative 'begins with /.*full path' DRAY_CACHE_DIR=.cache/dray
  grep '[1-9][0-9]* units on the farm' "$LOGS/relative"
  refused file 'File exists\|Not a directory' DRAY_CACHE_DIR="$WORK/app/Cargo.toml"
  refused config 'begins with /' DRAY_CONFIG="$FARM/relative.conf"
  grep 'without a farm' "$LOGS/config"
  # The temporary directory is gone.
  dir=$(cd "$WORK/app" && DRAY_CACHE_DIR=c exec "$DRAY" up -- printenv DRAY_CACHE_DIR 2>"$LOGS/gone" 3>&-)
  [[ "$dir" == /* ]]
  [ ! -e "$dir" ]
}

@test "a unit goes to the farm where the cache is in its package" {
  package "$WORK/app" app
  export DRAY_OFFLOAD=always DRAY_CACHE_DIR=$WORK/app/.cache/dray
  (cd "$WORK/app" && exec env -u RUSTC_WRAPPER "$DRAY" up -- cargo build) >"$LOGS/inside" 2>&1 </dev/null 3>&- ||
    { cat "$LOGS/inside" >&2; false; }
  [ "$(job app where)" = farm ]
}
