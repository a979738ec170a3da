#!/usr/bin/env bats
# The compiler that the system's packages brought, in /usr: its libraries are in the system's own directories, and
# not all in the same. Through the local cache and on a farm, and byte for byte what plain cargo makes.
#
# Here with this machine's /usr/bin/rustc; tests/roots/run runs it in roots with Debian's compilers of today.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

scenario_setup() {
  [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] || skip "no compiler of the system's (Debian: rustc, cargo)"
  # for cargo, and for what it starts
  export PATH=/usr/bin:/bin
  # by its own place: Debian's rustup has its proxies there
  [ "$(rustc --print sysroot)" = /usr ] || skip "the system's compiler is not in /usr"
  unset DRAY_WORKER_FIND_SYSTEM
  export DRAY_WORKER_FIND_RUSTUP=no
}

# A unit of each kind: a build script, a library, a derive, a program.
everything() {
  local dir=$1
  package "$dir" app
  dependency "$dir" low
  dependency "$dir" derive
  printf '\n[lib]\nproc-macro = true\n' >>"$dir/derive/Cargo.toml"
  cat >"$dir/derive/src/lib.rs" <<'END'
#[proc_macro_derive(Word)]
pub fn word(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    "impl X { fn word() -> &'static str { \"derived\" } }".parse().unwrap()
}
END
  echo 'fn main() { println!("cargo:rustc-env=BUILT=yes"); }' >"$dir/build.rs"
  cat >"$dir/src/main.rs" <<'END'
#[derive(derive::Word)]
struct X;
fn main() {
    let never_used = 1;
    println!("{} {} {}", low::answer(), X::word(), env!("BUILT"));
}
END
}
as_plain() {
  same_as_plain "$WORK/app" && same_text "$1" && [ "$("$WORK/app/target/debug/app")" = '42 derived yes' ]
}

@test "the local cache: a miss, then a hit, and the bytes of plain cargo" {
  everything "$WORK/app"
  plain_build "$WORK/app" build
  [ "$PLAIN_STATUS" -eq 0 ]
  export RUSTC_WRAPPER=$DRAY DRAY_CACHE=on
  build first "$WORK/app" build
  as_plain first
  jobs_all '.where == "local" and .cache == "miss" and (.not_stored // "") == ""'
  rm -rf "$WORK/app/target" "$JOBS"
  build second "$WORK/app" build
  as_plain second
  jobs_all '.where == "cache" and .cache == "hit"'
}

# bats test_tags=long
@test "a farm: every unit on a worker, and the bytes of plain cargo" {
  everything "$WORK/app"
  plain_build "$WORK/app" build
  [ "$PLAIN_STATUS" -eq 0 ]
  farm_start
  build farm "$WORK/app" build
  as_plain farm
  jobs_all '.where == "farm"'
  # the libraries of the compiler are the toolchain's, not the client's
  fails grep -q 'needs the' "$JOBS"
}

@test "dray up serves it as well" {
  everything "$WORK/app"
  plain_build "$WORK/app" build
  export DRAY_OFFLOAD=always DRAY_LINKER=rustc
  (cd "$WORK/app" && exec "$DRAY" up -- cargo build) >"$LOGS/up.out" 2>"$LOGS/up.err" </dev/null 3>&-
  same_as_plain "$WORK/app"
  jobs_all '.where == "farm"'
}
