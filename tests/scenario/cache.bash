# What the scenarios about the local cache share. There is no farm: dray is alone.

scenario_setup() {
  export RUSTC_WRAPPER=$DRAY DRAY_CACHE=on
  seed_client
}

# cached LABEL DIR ARG…: cargo ARG… in DIR, through dray; its units alone are in the job log then.
cached() {
  rm -f "$JOBS"
  build "$@"
  [ "$BUILD_STATUS" -eq 0 ] || { cat "$LOGS/$1.err" >&2; return 1; }
}
# clean DIR: as cargo clean does, at once.
clean() {
  rm -rf "$1/target"
}
all_hit() {
  jobs_all '.cache == "hit" and .where == "cache"' || { show_cache; return 1; }
}
all_missed() {
  jobs_all '.cache == "miss" and .not_stored == null' || { show_cache; return 1; }
}
# hit CRATE, missed CRATE [REASON]: what the last build made of it.
hit() {
  [ "$(job "$1" cache)" = hit ] || { show_cache; return 1; }
}
missed() {
  [ "$(job "$1" cache)" = miss ] && [[ "$(job "$1" cache_why)" = *"${2:-}"* ]] || { show_cache; return 1; }
}
# nothing_done LABEL: cargo found all of it fresh.
nothing_done() {
  ! grep -E '^ +(Compiling|Checking|Dirty) ' "$LOGS/$1.err" >&2
}
show_cache() {
  jq -r '[.crate, .kind, .where, .cache, .cache_why, .not_stored] | map(. // "-") | join(" | ")' "$JOBS" >&2
}
# once_and_again LABEL DIR ARG…: a build that fills the cache, and one of the same that must do nothing.
once_and_again() {
  cached "$@"
  clean "$2"
  cached "$1-again" "${@:2}"
  all_hit
}
