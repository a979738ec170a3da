#!/usr/bin/env bats
# Of a library that comes from a store the metadata goes first: cargo begins with what depends on it while the rest is on
# its way. If the rest does not come, the compiler makes it, and the very same metadata.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/shared.bash"
. "$BATS_TEST_DIRNAME/places.bash"
. "$BATS_TEST_DIRNAME/webs.bash"

# chain DIR [LINE]: a program on a library on a library, which has that line too.
chain() {
  package "$1" app
  dependency "$1" upper
  dependency "$1/upper" base
  mv "$1/upper/base" "$1/base"
  sed -i 's,path = "base",path = "../base",' "$1/upper/Cargo.toml"
  printf 'pub fn all() -> u64 { base::answer() as u64 }\n' >"$1/upper/src/lib.rs"
  printf 'fn main() { println!("{}", upper::all()); }\n' >"$1/src/main.rs"
}
# in_store DIR: builds it; what was made lies in $WORK/plain then, and the digest of base's rlib in $RLIB.
in_store() {
  bad_start
  export DRAY_STORE=http://127.0.0.1:$BAD_PORT/ok/s
  stored one "$1"
  RLIB=$(sha256sum "$1"/target/debug/deps/libbase-*.rlib | cut -c 1-64)
  rm -rf "$WORK/plain"
  mv "$1/target" "$WORK/plain"
  machine two reader
  grep -q "$RLIB" "$FARM/bad" || { cat "$FARM/bad" >&2; return 1; }
}
told_of() {
  [ -f "$JOBS" ] && grep -q "\"crate\":\"$1\"" "$JOBS"
}
# told_first MODE DIR: builds it there with a store that keeps base's rlib back until what depends on base is done;
# sets $STATUS.
told_first() {
  local cargo
  echo "$RLIB" >"$FARM/bad.held"
  rm -f "$JOBS"
  (cd "$2" && DRAY_STORE=http://127.0.0.1:$BAD_PORT/$1/s exec cargo build) >"$LOGS/two.out" 2>"$LOGS/two.err" </dev/null 3>&- &
  cargo=$!
  wait_until 20 told_of upper || { show_shared; return 1; }
  fails told_of base
  rm "$FARM/bad.held"
  STATUS=0
  wait "$cargo" || STATUS=$?
}

@test "what depends on a library is done before its rlib has come" {
  chain "$WORK/p"
  in_store "$WORK/p"
  told_first held "$WORK/p"
  [ "$STATUS" -eq 0 ]
  from_store
  [ "$(job base rmeta_us)" -gt 0 ]
  [ "$(job base rmeta_us)" -le "$(job upper end_us)" ]
  same_tree "$WORK/p"
  cached again "$WORK/p" build
  nothing_done again
}

@test "an rlib that does not come is made here; what cargo was told of stays as it is" {
  chain "$WORK/p"
  in_store "$WORK/p"
  told_first lost "$WORK/p"
  [ "$STATUS" -eq 0 ]
  [ "$(job base where)" = local ] || { show_shared; return 1; }
  [ "$(job base why)" = 'its metadata came from a store, and the rest did not' ]
  [ "$(sha256sum "$WORK"/p/target/debug/deps/libbase-*.rlib | cut -c 1-64)" = "$RLIB" ]
  hit upper
  hit app
  [ "$("$WORK/p/target/debug/app")" = 42 ]
  cached again "$WORK/p" build
  nothing_done again
}

# What a macro makes of where its memory lies is another thing each time, and nothing that it asks for.
@test "metadata that comes out differently: the build ends, says why, and the next one is right" {
  chain "$WORK/p"
  dependency "$WORK/p/base" change
  printf '\n[lib]\nproc-macro = true\n' >>"$WORK/p/base/change/Cargo.toml"
  cat >"$WORK/p/base/change/src/lib.rs" <<'END'
#[proc_macro]
pub fn number(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let here = Box::new(0u8);
    format!("{}u64", &*here as *const u8 as u64).parse().unwrap()
}
END
  printf 'pub const NUMBER: u64 = change::number!();\npub fn answer() -> u32 { (NUMBER %% 1 + 42) as u32 }\n' >"$WORK/p/base/src/lib.rs"
  in_store "$WORK/p"
  told_first lost "$WORK/p"
  [ "$STATUS" -ne 0 ]
  grep -q 'the compiler here made other metadata of base than is in the store http://' "$LOGS/two.err" || { cat "$LOGS/two.err" >&2; return 1; }
  grep -q 'it comes out differently each time' "$LOGS/two.err"
  [ -z "$(find "$WORK/p/target/debug/deps" -name 'libbase-*.r*')" ]
  export DRAY_STORE=http://127.0.0.1:$BAD_PORT/ok/s
  cached three "$WORK/p" build
  [ "$("$WORK/p/target/debug/app")" = 42 ]
}

@test "a library that is not of the metadata that cargo was told of: compiled here, and its producer is distrusted" {
  local key other
  chain "$WORK/p"
  package "$WORK/q" spare lib
  bad_start
  export DRAY_STORE=http://127.0.0.1:$BAD_PORT/ok/s
  stored one "$WORK/q"
  other=$(job spare key)
  RLIB=$(sha256sum "$WORK"/q/target/debug/deps/libspare-*.rlib | cut -c 1-64)
  stored one "$WORK/p"
  key=$(job base key)
  rm -rf "$WORK/p/target" "$WORK/q/target"
  "$DRAY_BUILD/tests/scenario/mixer" "$DRAY_STORE" "$FARM/keys/ci" '' "$key" "$other"
  machine two reader
  told_first held "$WORK/p"
  [ "$STATUS" -eq 0 ]
  [ "$(job base where)" = local ] || { show_shared; return 1; }
  [ "$("$WORK/p/target/debug/app")" = 42 ]
  grep -q "warning: dray: the key $(signs ci) has sealed a library of base with other metadata beside it" "$LOGS/two.err"
  grep -q "$(signs ci).*with other metadata beside it" "$DRAY_CACHE_DIR/distrusted"
  # nothing of that key is taken any more
  export DRAY_STORE=http://127.0.0.1:$BAD_PORT/ok/s
  cached three "$WORK/q" build
  [ "$(job spare where)" = local ] || { show_shared; return 1; }
}
