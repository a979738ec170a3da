#!/usr/bin/env bats
# How a unit is compiled decides whether its result is found again: features, profiles, targets, flags,
# the toolchain, the linker, lints; and what was said is said again, as plain cargo would.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# bats test_tags=long
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

# own_rustup: rustup's settings are the test's own, its toolchains the user's. Sets STABLE and NIGHTLY, their names.
own_rustup() {
  local home
  command -v rustup >/dev/null || skip "no rustup"
  home=$(rustup show home)
  NIGHTLY=$(rustup toolchain list | sed -n 's/^\(nightly-[^ ]*\).*/\1/p' | head -n 1)
  STABLE=$(rustup toolchain list | sed -n 's/^\(stable-[^ ]*\).*/\1/p' | head -n 1)
  [ -n "$NIGHTLY" ] && [ -n "$STABLE" ] || skip "rustup has not both stable and nightly"
  mkdir "$WORK/rustup"
  ln -s "$home/toolchains" "$WORK/rustup/toolchains"
  [ ! -d "$home/update-hashes" ] || ln -s "$home/update-hashes" "$WORK/rustup/update-hashes"
  export RUSTUP_HOME=$WORK/rustup
  unset RUSTUP_TOOLCHAIN
  rustup default "$STABLE" >/dev/null 2>&1
  rustc -vV >/dev/null || skip "rustup cannot be given a directory of its own"
}

# bats test_tags=long
@test "rustup's toolchain of a directory: a file, an override, a variable" {
  local app=$WORK/app
  own_rustup
  package "$app" app
  dependency "$app" low
  printf 'fn main() {\n    println!("{}", low::answer());\n}\n' >"$app/src/main.rs"
  both stable "$app" build
  all_missed
  printf '[toolchain]\nchannel = "nightly"\n' >"$app/rust-toolchain.toml"
  both nightly "$app" build
  misses low app
  rm "$app/rust-toolchain.toml"
  both back "$app" build
  all_hit
  # nightly again, by other words
  (cd "$app" && rustup override set "$NIGHTLY") >"$LOGS/override" 2>&1
  both override "$app" build
  all_hit
  RUSTUP_TOOLCHAIN=$STABLE both variable "$app" build
  all_hit
  (cd "$app" && rustup override unset) >"$LOGS/override" 2>&1
  both unset "$app" build
  all_hit
  RUSTUP_TOOLCHAIN=$NIGHTLY both nightly-again "$app" build
  all_hit
  # in one target directory, with nothing cleaned between
  both one-target "$app" build
  RUSTUP_TOOLCHAIN=$NIGHTLY cached there "$app" build
  cached and-back "$app" build
  jobs_all '.cache == "hit"' || [ ! -s "$JOBS" ]
  same_tree_of_one "$app"
}
# same_tree_of_one DIR: what the plain build left is there, byte for byte; others may be beside it.
same_tree_of_one() {
  same_made "$WORK/plain/debug" "$1/target/debug" | { ! grep -v "^Only in $1/target/debug/"; }
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

# bats test_tags=long
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

# ---- the shell

# as_in_an_editor COMMAND…, as_over_ssh COMMAND…: two shells' environments: what differs from desk to desk.
as_in_an_editor() {
  env -u LANG -u LC_ALL TERM=xterm-256color COLORTERM=truecolor TERM_PROGRAM=vscode TERM_PROGRAM_VERSION=1.90 \
    VSCODE_IPC_HOOK_CLI=/run/one VSCODE_GIT_IPC_HANDLE=/run/two VSCODE_INJECTION=1 RUST_BACKTRACE=1 RUST_LOG=debug \
    SHLVL=3 PWD=/ OLDPWD=/tmp LC_CTYPE=de_DE.UTF-8 EDITOR=code COLUMNS=80 LINES=24 USER=one LOGNAME=one \
    SSH_AUTH_SOCK=/run/agent DISPLAY=:0 XDG_RUNTIME_DIR=/run/user/1 XDG_SESSION_ID=7 "$@"
}
as_over_ssh() {
  mkdir -p "$WORK/tmp"
  env -u COLORTERM -u TERM_PROGRAM TERM=screen LANG=C.UTF-8 LC_ALL=C.UTF-8 SSH_CLIENT='::1 1 2' SSH_TTY=/dev/pts/9 \
    SSH_CONNECTION='::1 1 ::1 2' RUST_LIB_BACKTRACE=0 RUST_BACKTRACE=full SHLVL=1 OLDPWD=/ MAKEFLAGS=-k MAKELEVEL=1 \
    TMUX=/tmp/tmux,1,0 STY=1 USER=two LOGNAME=two MAIL=/var/mail/two TMPDIR="$WORK/tmp" CLICOLOR=1 NO_COLOR=1 \
    CARGO_TERM_COLOR=always CARGO_TERM_VERBOSE=false "$@"
}

@test "two quite different shells" {
  local app=$WORK/app
  with_macro "$app"
  echo 'String::from("words")' >"$app/look/src/expr.rs"
  dependency "$app" low
  echo 'fn main() { println!("cargo:rustc-cfg=built"); println!("cargo::rustc-check-cfg=cfg(built)"); }' >"$app/build.rs"
  echo 'pub fn answer() -> u32 { let unused = 1; 42 }' >"$app/low/src/lib.rs"
  as_in_an_editor cargo build --manifest-path "$app/Cargo.toml" >"$LOGS/one" 2>&1
  all_missed
  mv "$app/target" "$WORK/one"
  rm "$JOBS"
  as_over_ssh cargo build --manifest-path "$app/Cargo.toml" >"$LOGS/two" 2>&1
  all_hit
  clean "$app"
  # what neither has said anything of
  both plainly "$app" build
  all_hit
  diff -r -x .fingerprint -x fingerprint -x .rustc_info.json -x invoked.timestamp "$WORK/one" "$app/target"
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
  fails diff "$LOGS/60.tty" "$LOGS/120.tty"
}

@test "clippy: its configuration, and its arguments" {
  local app=$WORK/app
  cargo clippy -V >/dev/null 2>&1 || skip "no clippy"
  package "$app" app
  printf 'fn three(a: u8, b: u8, c: u8) -> u8 {\n    a + b + c\n}\nfn main() {\n    println!("{}", three(1, 2, 3));\n}\n' \
    >"$app/src/main.rs"
  both quiet "$app" clippy
  fails file_has "$LOGS/quiet.err" warning
  echo 'too-many-arguments-threshold = 2' >"$app/clippy.toml"
  both warned "$app" clippy
  missed app "clippy.toml is new"
  file_has "$LOGS/warned.err" 'too many arguments'
  echo 'too-many-arguments-threshold = 5' >"$app/clippy.toml"
  both changed "$app" clippy
  missed app "clippy.toml changed"
  fails file_has "$LOGS/changed.err" warning
  both arguments "$app" clippy -- -W clippy::arithmetic_side_effects
  missed app
  file_has "$LOGS/arguments.err" 'arithmetic operation'
  rm "$app/clippy.toml"
  both again "$app" clippy
  all_hit
  fails file_has "$LOGS/again.err" warning
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
