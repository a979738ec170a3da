# What the scenarios about shared stores have in common: machines, each with a cache, a home and a cargo home of its
# own, and one store.

scenario_setup() {
  export RUSTC_WRAPPER=$DRAY DRAY_CACHE=on DRAY_SCRIPTS=on
  export RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
  STORE=$BATS_TEST_TMPDIR/store
  mkdir -p "$STORE"
  identity ci
  export DRAY_STORE="${STORE_URL:-file://$STORE}"
  export DRAY_TRUST_KEYS="publisher $(signs ci) ci"
  # a busy machine may take longer; those about time have the default
  export DRAY_STORE_WAIT_MS=10000
  machine one
}

# signs NAME: the key by which that identity signs.
signs() {
  sed -n 's/^sign-public *= *//p' "$FARM/keys/$1.pub"
}
# machine NAME [reader]: from here on builds run there. It writes to the store, unless it is a reader.
machine() {
  export DRAY_CACHE_DIR=$BATS_TEST_TMPDIR/cache-$1 HOME=$WORK/home-$1 CARGO_HOME=$WORK/home-$1/cargo
  JOBS=$DRAY_CACHE_DIR/jobs.jsonl
  export DRAY_JOB_LOG=$JOBS
  mkdir -p "$CARGO_HOME"
  seed_client
  if [ "${2:-}" = reader ]; then
    export DRAY_REMOTE_MODE=read
    unset DRAY_IDENTITY
  else
    export DRAY_REMOTE_MODE=readwrite DRAY_IDENTITY=$FARM/keys/ci
  fi
}
# project DIR: a program on a library, with a build script.
project() {
  package "$1" app
  dependency "$1" one
  cat >"$1/build.rs" <<'END'
fn main() {
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR").unwrap());
    std::fs::write(out.join("made.rs"), "\"made by the script\"").unwrap();
    println!("cargo:rerun-if-changed=build.rs");
}
END
  cat >"$1/src/main.rs" <<'END'
fn main() {
    println!("{} {}", one::answer(), include!(concat!(env!("OUT_DIR"), "/made.rs")));
}
END
}
# stored LABEL DIR: a build, and all that was made is in the store.
stored() {
  cached "$1" "$2" build
  flushed
}
flushed() {
  "$DRAY" flush --timeout $((60 * PATIENCE)) >"$LOGS/flush" 2>&1 || { cat "$LOGS/flush" >&2; return 1; }
}
# results_in DIR: the entries in stores below it that have results, one a line: without those that are lists of builds.
results_in() {
  find "$1" -path '*/entries/*' -type f -exec grep -LaF draylst1 {} + 2>/dev/null
}
# from_store: the last build compiled nothing, and ran no script: all came from the store.
from_store() {
  all_hit && jobs_all '.tier != "local" and .shared_bytes > 0' || { show_shared; return 1; }
}
show_shared() {
  jq -r '[.crate, .kind, .where, .tier, .shared_why, .not_shared, .refused, .shared_ms] | map(. // "-") | join(" | ")' "$JOBS" >&2
}
half_lives() {
  [ -n "$(half_pids)" ]
}
# missed_run: the last build ran the script.
missed_run() {
  [ "$(jq -r 'select(.kind == "script-run").where' "$JOBS")" = local ]
}
