#!/usr/bin/env bats
# The 16 results that an entry of the cache keeps: each with inputs of its own, none of them lost.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# A macro that gives the value of FLAVOUR.
scenario_setup() {
  cd "$WORK"
  export DRAY_CACHE=on DRAY_OFFLOAD=never
  cat >mac.rs <<'EOR'
extern crate proc_macro;
#[proc_macro]
pub fn flavour(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    format!("{:?}", std::env::var("FLAVOUR").unwrap()).parse().unwrap()
}
EOR
  echo 'pub static FLAVOUR: &str = mac::flavour!();' >app.rs
  mkdir out
  # no proxy: what it runs is not seen to ask for variables
  RUSTC=$(rustc --print sysroot)/bin/rustc
  rustc --edition 2021 --crate-type proc-macro --crate-name mac --out-dir . mac.rs
}

# in_flavour FLAVOUR COMMAND…: with a parent that has the variable too, so that it is a user's.
in_flavour() {
  FLAVOUR=$1 sh -c '"$@"; exit $?' sh "${@:2}"
}

# compile FLAVOUR: through dray; sets WHERE.
compile() {
  in_flavour "$1" "$DRAY" "$RUSTC" --crate-name app --edition 2021 --crate-type lib --emit=dep-info,metadata,link \
    --out-dir "$WORK/out" --extern "mac=$WORK/libmac.so" app.rs >>"$LOGS/compile" 2>&1 </dev/null 3>&-
  WHERE=$(job app where)
}

@test "a result equal to a kept one takes its place, and no further slot" {
  local i
  compile first
  compile second
  for ((i = 0; i < 17; i++)); do
    DRAY_RECACHE=yes compile second
    [ "$WHERE" = local ]
  done
  compile first
  [ "$WHERE" = cache ]
  grep -q first out/libapp.rlib
  compile second
  [ "$WHERE" = cache ]
}

@test "many at once of one key: each finds what it made" {
  local i pids=()
  for ((i = 0; i < 8; i++)); do
    mkdir "out$i"
    (
      exec 3>&-
      export DRAY_JOB_LOG=$LOGS/jobs-$i
      in_flavour "taste$i" "$DRAY" "$RUSTC" --crate-name app --edition 2021 --crate-type lib \
        --emit=dep-info,metadata,link --out-dir "$WORK/out$i" --extern "mac=$WORK/libmac.so" app.rs
    ) >>"$LOGS/compile" 2>&1 </dev/null &
    pids+=($!)
  done
  for i in "${pids[@]}"; do
    wait "$i"
  done
  for ((i = 0; i < 8; i++)); do
    compile "taste$i"
    [ "$WHERE" = cache ]
    grep -q "taste$i" out/libapp.rlib
  done
}

@test "a crate that makes two metadata of its library has no result: who sealed it would be taken for a liar" {
  cat >spoil.rs <<END
extern crate proc_macro;
extern "C" {
    fn atexit(f: extern "C" fn()) -> i32;
}
extern "C" fn spoil() {
    let path = "$WORK/out/libapp.rmeta";
    let mut bytes = std::fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path, bytes).unwrap();
}
#[proc_macro]
pub fn flavour(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    unsafe { atexit(spoil) };
    "\"spoiled\"".parse().unwrap()
}
END
  rustc --edition 2021 --crate-type proc-macro --crate-name mac --out-dir . spoil.rs
  compile first
  [ "$WHERE" = local ]
  [[ "$(job app not_stored)" = *'libapp.rlib has other metadata than libapp.rmeta' ]]
  compile first
  [ "$WHERE" = local ]
}
