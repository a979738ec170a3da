#!/usr/bin/env bats
# Two shells of one user, with other stores, or none: what one has set is not the other's, whichever farm half runs.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/shared.bash"

entries() {
  find "$1" -path '*/entries/*' -type f | wc -l
}

@test "a store that one shell has set is not another's" {
  local mine
  project "$WORK/p"
  mkdir "$WORK/other"
  cp -a "$WORK/p" "$WORK/q"
  echo '// another' >>"$WORK/q/src/main.rs"
  stored one "$WORK/p"
  mine=$(entries "$STORE")
  # its farm half still runs; another shell has another store, and a third none
  unset DRAY_STORE
  DRAY_STORE=file://$WORK/other cached two "$WORK/q" build
  DRAY_STORE=file://$WORK/other "$DRAY" flush >"$LOGS/flush"
  [ "$(entries "$WORK/other")" -gt 0 ]
  [ "$(entries "$STORE")" -eq "$mine" ]
  mine=$(entries "$WORK/other")
  echo '// a third' >>"$WORK/q/src/main.rs"
  cached three "$WORK/q" build
  fails "$DRAY" flush >"$LOGS/flush"
  [ "$(entries "$WORK/other")" -eq "$mine" ]
  [ -z "$(find "$DRAY_CACHE_DIR"/uploads -name '*-*' -type f)" ]
}
