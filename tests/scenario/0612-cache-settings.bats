#!/usr/bin/env bats
# How a unit is compiled decides whether its result is found again: features, profiles, targets, flags,
# the toolchain, the linker, lints; and what was said is said again, as plain cargo would.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

@test "a feature, the profile, RUSTFLAGS and the target" {
  local app=$WORK/app host
  host=$(rustc -vV | sed -n 's/^host: //p')
  package "$app" app
  printf '\n[features]\nloud = []\n' >>"$app/Cargo.toml"
  printf 'fn main() {\n    println!("{} {}", cfg!(feature = "loud"), cfg!(debug_assertions));\n}\n' >"$app/src/main.rs"
  both plain "$app" build
  says "$app" "false true"
  both loud "$app" build --features loud
  missed app 'feature="loud"'
  says "$app" "true true"
  RUSTFLAGS='--cfg special' both flags "$app" build
  missed app '--cfg special'
  CARGO_PROFILE_DEV_DEBUG_ASSERTIONS=false both profile "$app" build
  missed app
  says "$app" "false false"
  both release "$app" build --release
  missed app
  both target "$app" build --target "$host"
  missed app
  both again "$app" build
  all_hit
  says "$app" "false true"
  both loud-again "$app" build --features loud
  all_hit
  says "$app" "true true"
  both target-again "$app" build --target "$host"
  all_hit
}

@test "the toolchain behind a symbolic link" {
  local app=$WORK/app stable nightly
  nightly=$(rustup which --toolchain nightly rustc 2>/dev/null) || skip "no nightly compiler"
  stable=$(rustc --print sysroot)
  package "$app" app
  ln -s "$stable" "$WORK/toolchain"
  export PATH=$WORK/toolchain/bin:$PATH
  both stable "$app" build
  ln -sfn "${nightly%/bin/rustc}" "$WORK/toolchain"
  both nightly "$app" build
  missed app toolchain
  ln -sfn "$stable" "$WORK/toolchain"
  both again "$app" build
  all_hit
}

@test "two equal toolchains whose library sources are in different places" {
  local app=$WORK/app stable n
  stable=$(rustc --print sysroot)
  for n in 1 2; do
    mkdir -p "$WORK/tc$n/lib/rustlib/src/rust/library/std/src"
    { cp -al "$stable/bin" "$WORK/tc$n/" && cp -al "$stable/lib" "$WORK/tc$n/"; } 2>/dev/null ||
      skip "the toolchain is on another disk"
    touch "$WORK/tc$n/lib/rustlib/src/rust/library/std/src/lib.rs"
  done
  package "$app" app lib
  echo 'pub fn all(v: &[u8]) -> Vec<u8> { v.iter().map(|x| x + 1).collect() }' >"$app/src/lib.rs"
  PATH=$WORK/tc1/bin:$PATH both one "$app" build
  PATH=$WORK/tc2/bin:$PATH both two "$app" build
  missed app
  PATH=$WORK/tc1/bin:$PATH both again "$app" build
  all_hit
}

@test "the linker: chosen by an argument, and another one under the same name" {
  local app=$WORK/app bfd gold
  bfd=$(command -v ld.bfd) && gold=$(command -v ld.gold) || skip "no two linkers"
  package "$app" app
  both plain "$app" build
  mkdir "$WORK/bin"
  cp "$(readlink -f "$bfd")" "$WORK/bin/ld.mold"
  export RUSTFLAGS='-C link-arg=-fuse-ld=mold' PATH=$WORK/bin:$PATH
  both first "$app" build
  missed app
  cp "$(readlink -f "$gold")" "$WORK/bin/ld.mold"
  both changed "$app" build
  missed app "bin/ld.mold changed"
  mkdir "$WORK/bin2"
  cp "$(readlink -f "$bfd")" "$WORK/bin2/ld.mold"
  PATH=$WORK/bin2:$PATH both before "$app" build
  missed app "ld.mold is"
  both again "$app" build
  all_hit
  unset RUSTFLAGS
  both plain-again "$app" build
  all_hit
}

# ---- what is said

noisy() {
  package "$1" app
  cat >"$1/src/main.rs" <<'END'
fn main() {
    let unused_with_a_long_name = "a line that is much longer than a narrow terminal is wide, and is cut where it is shown";
    println!("{}", 1);
}
END
}

@test "warnings are replayed, with colours and without" {
  local app=$WORK/app
  noisy "$app"
  both first "$app" build
  file_has "$LOGS/first.err" 'unused variable'
  CARGO_TERM_COLOR=always both colours "$app" build
  all_hit
  grep -q $'\e\\[' "$LOGS/colours.err"
  both again "$app" build
  all_hit
  both short "$app" build --message-format short
  file_has "$LOGS/short.err" 'main.rs:2:9: warning'
  both json "$app" build --message-format json
  diff <(grep compiler-message "$LOGS/plain.out") <(grep compiler-message "$LOGS/json.out")
}

# at_width COLUMNS LABEL DIR: cargo build on a terminal so wide.
at_width() {
  (cd "$3" && script -qec "stty cols $1 && exec cargo build" /dev/null) </dev/null 3>&- |
    tr -d '\r' | sed -E 's/ in [0-9.]+s$//' >"$LOGS/$2.tty"
}
@test "warnings are as wide as the terminal" {
  local app=$WORK/app w
  noisy "$app"
  for w in 60 120 60; do
    clean "$app"
    RUSTC_WRAPPER='' at_width "$w" plain "$app"
    clean "$app"
    rm -f "$JOBS"
    at_width "$w" through "$app"
    diff "$LOGS/plain.tty" "$LOGS/through.tty"
    file_has "$LOGS/through.tty" 'unused variable'
    cp "$LOGS/through.tty" "$LOGS/$w.tty"
    [ "$w" = 60 ] || missed app "width of diagnostics"
  done
  all_hit
  ! diff "$LOGS/60.tty" "$LOGS/120.tty"
}

@test "clippy: its configuration, and its arguments" {
  local app=$WORK/app
  cargo clippy -V >/dev/null 2>&1 || skip "no clippy"
  package "$app" app
  printf 'fn three(a: u8, b: u8, c: u8) -> u8 {\n    a + b + c\n}\nfn main() {\n    println!("{}", three(1, 2, 3));\n}\n' \
    >"$app/src/main.rs"
  both quiet "$app" clippy
  ! file_has "$LOGS/quiet.err" warning
  echo 'too-many-arguments-threshold = 2' >"$app/clippy.toml"
  both warned "$app" clippy
  missed app "clippy.toml is new"
  file_has "$LOGS/warned.err" 'too many arguments'
  echo 'too-many-arguments-threshold = 5' >"$app/clippy.toml"
  both changed "$app" clippy
  missed app "clippy.toml changed"
  ! file_has "$LOGS/changed.err" warning
  both arguments "$app" clippy -- -W clippy::arithmetic_side_effects
  missed app
  file_has "$LOGS/arguments.err" 'arithmetic operation'
  rm "$app/clippy.toml"
  both again "$app" clippy
  all_hit
  ! file_has "$LOGS/again.err" warning
}

@test "an output of no bytes" {
  local app=$WORK/app
  package "$app" app
  both first "$app" check
  [ -n "$(find "$app/target" -name 'libapp-*.rmeta' -size 0)" ]
  kept app
  both again "$app" check
  all_hit
  cached third "$app" check
  nothing_done third
}
