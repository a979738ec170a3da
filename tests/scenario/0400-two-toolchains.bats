#!/usr/bin/env bats
# Two toolchains in one farm: rustup's, and Debian's own packages rustc and cargo. Their ids differ, a job
# goes only to a worker that has its own, and what comes back is what a plain build with it makes.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

# As a user has it whose PATH leads to Debian's first. For one command, or function, at a time.
debian() {
  PATH=/usr/bin:/bin "$@"
}

scenario_setup() {
  local here there
  [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] || skip "no second toolchain (Debian: rustc, cargo)"
  here=$(rustc --print sysroot)
  there=$(debian /usr/bin/rustc --print sysroot)
  [ "$there" = /usr ] && [ "$here" != /usr ] || skip "the system's toolchain is the only one"
  RUSTUP_SYSROOT=$here
  unset DRAY_WORKER_FIND_SYSTEM
  allow client client
  allow worker w-rustup
  allow worker w-debian
  allow worker w-both
}

# worker_with WHAT [ARGS…]: a worker w-WHAT that has one of them, or both.
worker_with() {
  local what=$1 args=(-o "worker.toolchain_dirs=$RUSTUP_SYSROOT" -o worker.find_rustup=no)
  shift
  case $what in
    rustup) args+=(-o worker.find_system=no) ;;
    debian) args=(-o worker.find_rustup=no) ;;
  esac
  worker_start "w-$what" "${args[@]}" "$@"
}

# A program with a build script, a library and a derive: a unit of each kind.
everything() {
  local dir=$1 name=$2
  package "$dir" "$name"
  package "$dir/low" low lib
  package "$dir/derive" derive lib
  sed -i '/^\[workspace\]/d' "$dir/low/Cargo.toml" "$dir/derive/Cargo.toml"
  depends "$dir" low low
  depends "$dir" derive derive
  printf '\n[lib]\nproc-macro = true\n' >>"$dir/derive/Cargo.toml"
  cat >"$dir/derive/src/lib.rs" <<'END'
#[proc_macro_derive(Word)]
pub fn word(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    "impl X { fn word() -> &'static str { \"derived\" } }".parse().unwrap()
}
END
  echo 'fn main() { println!("cargo:rustc-env=BUILT=yes"); }' >"$dir/build.rs"
  cat >"$dir/src/main.rs" <<END
#[derive(derive::Word)]
struct X;
fn main() {
    let never_used = 1;
    println!("$name {} {} {}", low::answer(), X::word(), env!("BUILT"));
}
END
}
UNITS='build_script_build low derive'

# plain NAME ARGS…: a plain build of $WORK/NAME, kept in $FARM/plain-NAME.
plain() {
  local name=$1
  shift
  plain_build "$WORK/$name" "$@"
  [ "$PLAIN_STATUS" -eq 0 ] || { cat "$LOGS/plain.err" >&2; return 1; }
  mv "$BATS_TEST_TMPDIR/plain-target" "$FARM/plain-$name"
  cp "$LOGS/plain.err" "$FARM/plain-$name.err"
}
# as_plain NAME: what was made, and what the compiler said, is what the plain build had.
as_plain() {
  same_made "$FARM/plain-$1/debug" "$WORK/$1/target/debug"
  diff -r "$FARM/plain-$1/debug/build" "$WORK/$1/target/debug/build"
  diff <(grep -vE '^ +(Compiling|Finished) ' "$FARM/plain-$1.err") <(grep -vE '^ +(Compiling|Finished) ' "$LOGS/$1.err")
  [ "$("$WORK/$1/target/debug/$1")" = "$("$FARM/plain-$1/debug/$1")" ]
}
# all_on WORKER CRATE…
all_on() {
  local worker=$1 crate
  shift
  for crate in "$@"; do
    [ "$(job "$crate" where) $(job "$crate" worker)" = "farm $worker" ] || {
      echo "$crate: $(job "$crate" where) $(job "$crate" worker): $(job "$crate" why)" >&2
      return 1
    }
  done
}
list() {
  "$WORKER" --config "$FARM/empty.conf" --list-toolchains "$@" 2>>"$LOGS/list" |
    awk '$3 == "rustc" { print $1 }' | sort -u
}
doctor_id() {
  # Not all is well here (nobody answers), so its status is not.
  { "$DRAY" doctor || true; } 2>&1 | sed -nE 's/.*toolchain.* id ([0-9a-f]+),.*/\1/p'
}

# bats test_tags=long
@test "the ids differ, and client and worker say the same one" {
  local rustup debian both mine theirs
  rustup=$(list -o worker.find_system=no -o worker.find_rustup=no -o "worker.toolchain_dirs=$RUSTUP_SYSROOT")
  debian=$(list -o worker.find_rustup=no)
  both=$(list -o worker.find_rustup=no -o "worker.toolchain_dirs=$RUSTUP_SYSROOT")
  mine=$(doctor_id)
  theirs=$(debian doctor_id)
  printf '%s\n' "rustup $rustup" "debian $debian" "both $both" "mine $mine" "theirs $theirs"
  [ "$(wc -l <<<"$debian")" -eq 1 ] && [ "${#debian}" -eq 64 ]
  fails grep -qx "$debian" <<<"$rustup"
  [ "$both" = "$(printf '%s\n' "$rustup" "$debian" | sort)" ]
  [ -n "$mine" ] && [ -n "$theirs" ] && [ "$mine" != "$theirs" ]
  grep -q "^$mine" <<<"$rustup"
  grep -q "^$theirs" <<<"$debian"
}

# bats test_tags=long
@test "two builds at once, with a worker for each" {
  local second
  everything "$WORK/new" new
  everything "$WORK/old" old
  plain new build
  debian plain old build
  fails same_made "$FARM/plain-new/debug" "$FARM/plain-old/debug" -q >"$LOGS/plain-diff"
  coordinator_start
  worker_with rustup
  worker_with debian
  client_env
  build_start new "$WORK/new" build
  # Another user's cache, so that each log is of one build.
  debian env DRAY_CACHE_DIR="$FARM/cache-old" DRAY_JOB_LOG="$FARM/old.jsonl" \
    cargo build --manifest-path "$WORK/old/Cargo.toml" >"$LOGS/old.out" 2>"$LOGS/old.err" </dev/null 3>&-
  build_finish 120
  [ "$BUILD_STATUS" -eq 0 ]
  all_on w-rustup new $UNITS
  JOBS=$FARM/old.jsonl all_on w-debian old $UNITS
  as_plain new
  as_plain old
}

# bats test_tags=long
@test "with only the other's worker, all is compiled here, and the log says why" {
  local crate
  everything "$WORK/new" new
  everything "$WORK/old" old
  plain new build
  debian plain old build
  coordinator_start
  worker_with rustup
  client_env
  debian build old "$WORK/old" build
  [ "$BUILD_STATUS" -eq 0 ]
  as_plain old
  jobs_all '.where == "local" and (.why | test("none of the 1 connected workers has the toolchain"))'
  kill -TERM "${WORKER_PIDS[w-rustup]}"
  gone_within 10 "${WORKER_PIDS[w-rustup]}"
  worker_with debian
  rm "$JOBS"
  build new "$WORK/new" build
  [ "$BUILD_STATUS" -eq 0 ]
  as_plain new
  jobs_all '.where == "local" and (.why | test("none of the 1 connected workers has the toolchain"))'
}

# bats test_tags=long
@test "both on one worker" {
  everything "$WORK/new" new
  everything "$WORK/old" old
  plain new build
  debian plain old build
  coordinator_start
  worker_with both
  client_env
  debian build old "$WORK/old" build
  [ "$BUILD_STATUS" -eq 0 ]
  all_on w-both old $UNITS
  as_plain old
  build new "$WORK/new" build
  [ "$BUILD_STATUS" -eq 0 ]
  all_on w-both new $UNITS
  as_plain new
}

# bats test_tags=long
@test "an older compiler's errors are final, tests and optimised programs are the same" {
  everything "$WORK/old" old
  echo '#[test] fn right() { assert_eq!(low::answer(), 42); }' >>"$WORK/old/src/main.rs"
  debian plain old test --no-run
  mv "$FARM/plain-old" "$FARM/plain-test"
  debian plain_build "$WORK/old" build --release
  coordinator_start
  worker_with debian
  client_env
  debian build test "$WORK/old" test --no-run
  [ "$BUILD_STATUS" -eq 0 ]
  same_made "$FARM/plain-test/debug" "$WORK/old/target/debug"
  rm -rf "$WORK/old/target"
  debian build release "$WORK/old" build --release
  [ "$BUILD_STATUS" -eq 0 ]
  same_made "$BATS_TEST_TMPDIR/plain-target/release" "$WORK/old/target/release"
  jobs_all '.where == "farm"'
  echo 'pub fn wrong() -> u8 { "text" }' >>"$WORK/old/low/src/lib.rs"
  debian plain_build "$WORK/old/low" build
  [ "$PLAIN_STATUS" -ne 0 ]
  rm "$JOBS"
  debian build wrong "$WORK/old/low" build
  [ "$BUILD_STATUS" -eq "$PLAIN_STATUS" ]
  same_text wrong
  [ "$(job low where)" = farm ]
}

@test "a linker in the toolchain's own directory: here, and the same" {
  package "$WORK/old" old
  export RUSTFLAGS="-C linker=/usr/bin/cc"
  debian plain old build
  coordinator_start
  worker_with debian
  client_env
  debian build old "$WORK/old" build
  [ "$BUILD_STATUS" -eq 0 ]
  as_plain old
  [ "$(job old where)" = local ]
  job old why | grep -q 'linker /usr/bin/cc is below the sysroot'
}

# ---- one that changes, on a worker that has been started

# copy_toolchain: rustup's, at $FARM/toolchain. Without hard links: the user's own is not touched.
copy_toolchain() {
  mkdir -p "$FARM/toolchain/bin"
  cp -a "$RUSTUP_SYSROOT/bin/rustc" "$FARM/toolchain/bin/"
  cp -a --reflink=auto "$RUSTUP_SYSROOT/lib" "$FARM/toolchain/"
  STD=$FARM/toolchain/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/lib
}
copied_worker() {
  worker_start w-copy -o worker.find_rustup=no -o worker.find_system=no \
    -o "worker.toolchain_dirs=$FARM/toolchain" "$@"
}
copy_id() {
  list -o worker.find_rustup=no -o worker.find_system=no -o "worker.toolchain_dirs=$FARM/toolchain"
}
# As an update does it: a new file in an old one's place.
change_toolchain() {
  local file
  file=$(compgen -G "$STD/libcore-*.rlib")
  cp "$file" "$file.new"
  printf changed >>"$file.new"
  mv "$file.new" "$file"
}

@test "a worker's toolchain is changed: another id, and no job with it; what is only touched stays" {
  local before after
  package "$WORK/app" app
  plain_build "$WORK/app" build
  copy_toolchain
  before=$(copy_id)
  allow worker w-copy
  coordinator_start
  copied_worker
  client_env
  build first "$WORK/app" build
  same_outputs "$WORK/app"
  [ "$(job app worker)" = w-copy ]
  touch "$STD"/*.rlib
  rm -rf "$WORK/app/target"
  build touched "$WORK/app" build
  same_outputs "$WORK/app"
  [ "$(job app worker)" = w-copy ]

  change_toolchain
  rm -rf "$WORK/app/target"
  build changed "$WORK/app" build
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  [ "$(job app where)" = local ]
  job app attempts | grep -q "w-copy: this worker's toolchain was changed after it was offered"
  wait_until 10 file_has "$LOGS/worker-w-copy" 'toolchain withdrawn: .* rustc .* has changed'
  # The farm knows, so the next one is not even tried.
  wait_until 10 offers_nothing
  rm -rf "$WORK/app/target"
  build again "$WORK/app" build
  same_outputs "$WORK/app"
  [ "$(job app where)" = local ]
  [ -z "$(job app attempts)" ]

  after=$(copy_id)
  echo "$before $after"
  [ -n "$before" ] && [ -n "$after" ] && [ "$before" != "$after" ]
}
offers_nothing() {
  [ "$("$DISPATCH" --status --json | jq '.worker[0].toolchains | length')" -eq 0 ]
}

# bats test_tags=long
@test "a worker's toolchain is changed while it compiles: another worker does it" {
  package "$WORK/app" app lib
  slow_before >"$WORK/app/src/lib.rs"
  plain_build "$WORK/app" build
  copy_toolchain
  allow worker w-copy
  coordinator_start
  copied_worker
  worker_with rustup
  client_env
  # Of two that are idle, the first by name gets it.
  build_start first "$WORK/app" build
  wait_until 60 worker_compiles "${WORKER_PIDS[w-copy]}" app
  change_toolchain
  build_finish 120
  [ "$BUILD_STATUS" -eq 0 ]
  same_outputs "$WORK/app"
  [ "$(job app where) $(job app worker)" = "farm w-rustup" ]
  job app attempts | grep -q "w-copy: this worker's toolchain was changed after it was offered"
}
