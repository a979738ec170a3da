#!/usr/bin/env bats
# What one machine compiled, another one takes from a store that both share: there is no farm.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/shared.bash"

@test "the second machine compiles nothing, and has the same bytes" {
  project "$WORK/p"
  stored one "$WORK/p"
  all_missed
  cp -a "$WORK/p/target" "$WORK/plain"
  clean "$WORK/p"
  machine two reader
  cached two "$WORK/p" build
  from_store
  same_tree "$WORK/p"
  says "$WORK/p" "42 made by the script"
  build fresh "$WORK/p" build
  nothing_done fresh
  # and from now on it has them
  clean "$WORK/p"
  cached again "$WORK/p" build
  all_hit
  jobs_all '.tier == "local"'
  # an edit compiles what depends on it, and no more
  echo '// more' >>"$WORK/p/src/main.rs"
  cached edited "$WORK/p" build
  missed app
}

# bats test_tags=long
@test "another directory, another cargo home: paths = shared" {
  export DRAY_PATHS=shared
  project "$WORK/p"
  cp -a "$WORK/p" "$WORK/elsewhere"
  stored one "$WORK/p"
  clean "$WORK/p"
  mv "$WORK/p" "$WORK/gone"
  machine two reader
  cached two "$WORK/elsewhere" build
  from_store
  says "$WORK/elsewhere" "42 made by the script"
  # as if it had been compiled there
  cp -a "$WORK/elsewhere/target" "$WORK/taken"
  clean "$WORK/elsewhere"
  machine three reader
  DRAY_REMOTE_MODE=off cached three "$WORK/elsewhere" build
  all_missed
  rm -rf "$WORK/plain"
  mv "$WORK/taken" "$WORK/plain"
  same_tree "$WORK/elsewhere"
}

# bats test_tags=long
@test "who is not trusted: nothing is taken from it, and the log says why" {
  local list=$DRAY_TRUST_KEYS other n=0
  project "$WORK/p"
  stored one "$WORK/p"
  identity other
  other=$(signs other)
  for case in "|trust_keys is not set" "publisher $other|key is not known" "$list revoked|revoked" \
    "worker $(signs ci)|another kind" "$list namespace=elsewhere|namespace"; do
    clean "$WORK/p"
    machine "two-$((++n))" reader
    DRAY_TRUST_KEYS=${case%|*} cached two "$WORK/p" build
    all_missed
    jobs_all ".shared_why != null and (.shared_why | contains(\"${case#*|}\"))" || { show_shared; return 1; }
    [ -z "${case%|*}" ] || jobs_all '.refused >= 1'
    says "$WORK/p" "42 made by the script"
  done
  # only workers
  clean "$WORK/p"
  machine three reader
  DRAY_TRUST=workers cached two "$WORK/p" build
  all_missed
  # the control
  clean "$WORK/p"
  machine four reader
  cached two "$WORK/p" build
  from_store
}

# bats test_tags=long
@test "nothing is uploaded without an identity, or in another mode, or to a store that is only read" {
  project "$WORK/p"
  machine off
  DRAY_REMOTE_MODE=off cached off "$WORK/p" build
  all_missed
  fails half_lives
  clean "$WORK/p"
  machine reader reader
  cached one "$WORK/p" build
  all_missed
  half_lives
  fails "$DRAY" flush
  DRAY_REMOTE_MODE=readwrite fails "$DRAY" flush
  clean "$WORK/p"
  machine ro
  DRAY_STORE="$DRAY_STORE ro" cached ro "$WORK/p" build
  DRAY_STORE="$DRAY_STORE ro" fails "$DRAY" flush --timeout 2
  clean "$WORK/p"
  machine url
  DRAY_STORE="$DRAY_STORE?mode=ro" cached url "$WORK/p" build
  [ ! -e "$DRAY_CACHE_DIR/uploads" ]
  DRAY_STORE="$DRAY_STORE?mode=ro" run -1 "$DRAY" flush --timeout 2
  [[ "$output" == *'nothing is uploaded from here'* ]]
  # a key that signs nothing: that is said, and what waits stays
  clean "$WORK/p"
  machine public
  cp "$DRAY_IDENTITY.pub" "$WORK/id"
  chmod 600 "$WORK/id"
  DRAY_IDENTITY=$WORK/id
  cached public "$WORK/p" build
  run -1 "$DRAY" flush --timeout 600
  [[ "$output" == *'results are not uploaded yet: the identity cannot be read, or has no secret' ]]
  [ -z "$(find "$STORE" -type f)" ]
  cp "$FARM/keys/ci" "$WORK/id"
  flushed
  [ -n "$(find "$STORE" -type f)" ]
}

@test "what depends on a variable of the user's is not uploaded, unless share_env says so" {
  project "$WORK/p"
  sed -i 's/^fn main() {/fn main() { println!("cargo:warning={:?}", std::env::var("MY_OWN"));/' "$WORK/p/build.rs"
  export MY_OWN=value
  stored one "$WORK/p"
  [[ "$(jq -r 'select(.kind == "script-run").not_shared' "$JOBS")" = *MY_OWN* ]] || { show_shared; return 1; }
  fails grep -rq MY_OWN=value "$STORE"
  clean "$WORK/p"
  machine two
  export DRAY_SHARE_ENV=all
  stored two "$WORK/p"
  missed_run
  clean "$WORK/p"
  machine three reader
  cached three "$WORK/p" build
  from_store
  # another value is another run
  clean "$WORK/p"
  machine four reader
  MY_OWN=other cached other "$WORK/p" build
  missed_run
}

# list_of_builds: the file in which the store has it, if there is one.
list_of_builds() {
  local f
  while read -r f; do
    ! zstd -dcq <"$f" 2>/dev/null | head -c 8 | grep -q draylst1 || echo "$f"
  done < <(find "$STORE/v1/entries" -type f)
}

@test "what is on the build's list is fetched before it is asked for; a list that is damaged is none" {
  local list blobs
  project "$WORK/p"
  stored one "$WORK/p"
  # the half that served the build puts it, a moment after the last question; flush, which starts one of its own here,
  # has waited for it
  has_list
  list=$(list_of_builds)
  # it is no entry, nor counted as one, and so none that is damaged
  "$DRAY" cache verify --stores >"$LOGS/verify"
  [ -f "$list" ]
  "$DRAY" cache status --stores --json >"$LOGS/status"
  jq -e ".[0] | .lists == 1 and .damaged == 0 and .entries == .results and
    .entries == $(find "$STORE/v1/entries" -type f | wc -l) - 1" "$LOGS/status"
  # cargo asks for the program alone, and the library's crate comes as well
  blobs=$(sha256sum "$WORK/p"/target/debug/deps/libone-*.rlib | cut -c 1-64)
  rm -rf "$WORK/p"/target/debug/{app*,deps/app*,.fingerprint/app*}
  machine two reader
  cached two "$WORK/p" build
  fails grep -q '"crate":"one"' "$JOBS"
  wait_until 20 has_blob "$blobs"
  rm -rf "$WORK/p/target"
  printf 'no list' >"$list"
  machine three reader
  cached three "$WORK/p" build
  from_store
}

@test "a fresh machine begins with cargo's first question, before its first unit" {
  local blobs
  project "$WORK/p"
  stored one "$WORK/p"
  wait_until 20 has_list
  blobs=$(sha256sum "$WORK"/p/target/debug/deps/libone-*.rlib | cut -c 1-64)
  rm -rf "$WORK/p/target"
  cat >"$WORK/first" <<END
#!/bin/sh
[ "\$2" = -vV ] || [ -e "$WORK/all" ] || exit 1
exec "$DRAY" "\$@"
END
  chmod +x "$WORK/first"
  machine two reader
  # cargo hears its answer, and then nothing more
  RUSTC_WRAPPER=$WORK/first build first "$WORK/p" build
  [ "$BUILD_STATUS" -ne 0 ]
  [ ! -e "$JOBS" ]
  wait_until 20 has_blob "$blobs"
  touch "$WORK/all"
  RUSTC_WRAPPER=$WORK/first cached two "$WORK/p" build
  from_store
  # its units asked the same farm half
  [ "$(find "$DRAY_CACHE_DIR"/half-* -name '*.start' | wc -l)" -eq 1 ]
}
has_list() {
  [ -n "$(list_of_builds)" ]
}
has_blob() {
  [ -n "$(find "$DRAY_CACHE_DIR" -type f -name "$1" -path "*/blobs/*")" ]
}
