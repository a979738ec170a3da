#!/usr/bin/env bats
# One store and two users: what root's CI made, a developer takes, who may not write there. The user is real, by its
# number; the toolchain, which is root's, is seen through a bind mount in a mount namespace of its own.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/shared.bash"

DEVELOPER=61211

setup_file() {
  [ "$(id -u)" -eq 0 ] || skip "only root can become another user"
  command -v setpriv >/dev/null || skip "there is no setpriv"
  unshare -m true 2>/dev/null || skip "no mount namespaces here"
}

eval "lib_$(declare -f teardown)"
teardown() {
  cp "${WORLD:-/nonexistent}/memcheck/"* "$MEMCHECK" 2>/dev/null || true
  lib_teardown
  [ -z "${WORLD:-}" ] || rm -rf "$WORLD"
}

# as WHO COMMAND…: in $WORLD/src, with the same paths for both; WHO is ci (root) or the developer.
as() {
  local who=$1 become=()
  shift
  [ "$who" = ci ] || become=(setpriv --reuid=$DEVELOPER --regid=$DEVELOPER --clear-groups --no-new-privs)
  unshare -m bash -c '
    mount --bind "$1" /mnt && mount --bind "$2" "$4/build" && mount --bind "$4/$3/src" "$4/src" && cd "$4/src" &&
      shift 4 && exec "$@"' - "$(rustc --print sysroot)" "$DRAY_BUILD" "$who" "$WORLD" \
    "${become[@]}" env -u DRAY_CACHE_DIR -u DRAY_JOB_LOG -u XDG_CACHE_HOME -u RUSTC -u RUSTUP_HOME -u RUSTUP_TOOLCHAIN \
    -u TMPDIR HOME="$WORLD/$who" CARGO_HOME="$WORLD/$who/.cargo" PATH=/mnt/bin:/usr/bin:/bin \
    RUSTC_WRAPPER="$WORLD/build/client/dray" DRAY_CONFIG="$WORLD/$who/dray.conf" \
    ASAN_OPTIONS="${ASAN_OPTIONS//$MEMCHECK/$WORLD/memcheck}" UBSAN_OPTIONS="${UBSAN_OPTIONS//$MEMCHECK/$WORLD/memcheck}" \
    "$@" </dev/null 3>&-
}

@test "another user takes what the CI made, byte by byte, and cannot write to the store" {
  local who
  # others cannot look into the directory of bats
  WORLD=$(mktemp -d /tmp/dray-shared-XXXXXX)
  chmod 755 "$WORLD"
  install -d -m 1777 "$WORLD/memcheck"
  mkdir "$WORLD/build" "$WORLD/src" "$WORLD/store"
  for who in ci dev; do
    mkdir -p "$WORLD/$who/.cache/dray"
    project "$WORLD/$who/src"
    printf '[client]\nstore = file://%s\ntrust_keys = %s\n' "$WORLD/store" "$DRAY_TRUST_KEYS" >"$WORLD/$who/dray.conf"
  done
  cp "$FARM/keys/ci" "$WORLD/ci/key"
  printf 'identity = %s\nremote_mode = readwrite\n' "$WORLD/ci/key" >>"$WORLD/ci/dray.conf"
  chown -R $DEVELOPER:$DEVELOPER "$WORLD/dev"
  unset DRAY_STORE DRAY_TRUST_KEYS DRAY_IDENTITY DRAY_REMOTE_MODE
  as ci cargo build >"$LOGS/ci.out" 2>"$LOGS/ci.err" || { cat "$LOGS/ci.err" >&2; return 1; }
  as ci "$WORLD/build/client/dray" flush --timeout $((60 * PATIENCE))
  as dev cargo build >"$LOGS/dev.out" 2>"$LOGS/dev.err" || { cat "$LOGS/dev.err" >&2; return 1; }
  JOBS=$WORLD/dev/.cache/dray/jobs.jsonl
  from_store
  diff -r -x .fingerprint -x .rustc_info.json -x invoked.timestamp "$WORLD/ci/src/target" "$WORLD/dev/src/target"
  [ -z "$(find "$WORLD/dev/src/target" ! -uid $DEVELOPER)" ]
  [ -z "$(find "$WORLD/store" ! -uid 0)" ]
  for who in ci dev; do
    for pid in $(cat "$WORLD/$who/.cache/dray/half-"*/*.start 2>/dev/null); do
      [ "$pid" = 0 ] || STARTED+=("$pid")
    done
  done
}
