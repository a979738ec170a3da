#!/usr/bin/env bats
# paths = shared: what lies in cargo's home is found from another one, and from another user's home.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# A git repository with the package "dep", and a program that depends on it. $1/dep may be changed before `commit`.
project() {
  mkdir -p "$1/dep/src" "$1/app/src"
  printf '[package]\nname = "dep"\nversion = "0.1.0"\nedition = "2021"\n' >"$1/dep/Cargo.toml"
  printf 'pub trait Shape {}\npub fn take<T: Shape>(_t: T) {}\npub fn file() -> String { file!().into() }\npub fn n() -> u32 { 7 }\n' \
    >"$1/dep/src/lib.rs"
  printf '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\ndep = { git = "file://%s/dep" }\n' "$1" \
    >"$1/app/Cargo.toml"
  printf 'fn main() { println!("{}", dep::n()); }\n' >"$1/app/src/main.rs"
}
commit() {
  git -C "$1/dep" init -q
  git -C "$1/dep" add -A
  git -C "$1/dep" -c user.name=dev -c user.email=dev@example.org commit -qm dep
}
# at_home NAME: from here on cargo's home and the user's are others.
at_home() {
  export HOME=$WORK/home-$1
  export CARGO_HOME=$HOME/cargo
  mkdir -p "$CARGO_HOME"
}
scenario_setup() {
  export RUSTC_WRAPPER=$DRAY DRAY_CACHE=on DRAY_SCRIPTS=on DRAY_PATHS=shared
  # cargo fetches the dependency anew for each home, from beside
  export RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup} GIT_CONFIG_GLOBAL=/dev/null CARGO_NET_OFFLINE=false
  seed_client
  at_home one
}
# built NAME DIR: there is a build at the home NAME, with nothing in its target directory.
built() {
  at_home "$1"
  clean "$2"
  cached "$1" "$2" build
}

@test "a dependency is found from another cargo home and another home; file!() names neither" {
  project "$WORK/p"
  printf 'fn main() { println!("{} {}", dep::n(), dep::file()); }\n' >"$WORK/p/app/src/main.rs"
  commit "$WORK/p"
  built one "$WORK/p/app"
  all_missed
  built two "$WORK/p/app"
  all_hit
  [[ "$("$WORK/p/app/target/debug/app")" = "7 /cargo/git/checkouts/dep-"*/src/lib.rs ]]
  fails grep -rlF "$WORK/home-" "$WORK/p/app/target/debug/app"
  # cargo watches what is here
  grep -qF "$WORK/home-two" "$WORK"/p/app/target/debug/deps/dep-*.d
}

# another_toolchain [DIR]: cargo and rustc lie below this home, from here on: the same files, mounted there; and
# with them those of DIR.
another_toolchain() {
  local sysroot how=--bind
  sysroot=$(rustc --print sysroot)
  case $sysroot in /usr | /usr/local | /opt) skip "the toolchain is the system's" ;; esac
  unshare -m true 2>/dev/null || skip "no mount namespaces here"
  [ -z "${1:-}" ] || how="-t overlay -o lowerdir=$1:$sysroot"
  mkdir -p "$WORK/bin"
  cat >"$WORK/bin/cargo" <<END
#!/bin/sh
mkdir -p "\$HOME/toolchain"
exec unshare -m sh -c 'mount $how "\$0" "\$HOME/toolchain" && exec "\$@"' "$sysroot" \
  env "PATH=\$HOME/toolchain/bin:$PATH" "LD_LIBRARY_PATH=\$HOME/toolchain/lib" cargo "\$@"
END
  chmod +x "$WORK/bin/cargo"
  export PATH=$WORK/bin:$PATH
}

# bats test_tags=long
@test "from another toolchain of the same bytes; a script that asks it, and one that writes where it is" {
  project "$WORK/p"
  cat >"$WORK/p/dep/build.rs" <<'END'
fn main() {
    let rustc = std::env::var("RUSTC").unwrap();
    let ask = |arg: &[&str]| {
        let said = std::process::Command::new(&rustc).args(arg).output().unwrap();
        String::from_utf8(said.stdout).unwrap().trim().to_string()
    };
    println!("cargo:rustc-env=SAID={}", ask(&["-V"]));
    if std::env::var("CARGO_PKG_VERSION").unwrap() == "0.2.0" {
        let out = std::env::var("OUT_DIR").unwrap();
        std::fs::write(out + "/rustc.rs", format!("pub const R: &str = {:?};", ask(&["--print", "sysroot"]))).unwrap();
    }
}
END
  commit "$WORK/p"
  another_toolchain
  built one "$WORK/p/app"
  built two "$WORK/p/app"
  all_hit
  sed -i s/0.1.0/0.2.0/ "$WORK/p/dep/Cargo.toml"
  printf 'include!(concat!(env!("OUT_DIR"), "/rustc.rs"));\n' >>"$WORK/p/dep/src/lib.rs"
  printf 'fn main() { println!("{}", dep::R); }\n' >"$WORK/p/app/src/main.rs"
  commit "$WORK/p"
  rm "$WORK/p/app/Cargo.lock"
  built three "$WORK/p/app"
  built four "$WORK/p/app"
  [ "$("$WORK/p/app/target/debug/app")" = "$WORK/home-four/toolchain" ]
}

@test "what names cargo's home, or the user's, is found there alone" {
  project "$WORK/p"
  cat >>"$WORK/p/dep/src/lib.rs" <<'END'
pub fn place() -> &'static str { env!("CARGO_MANIFEST_DIR") }
END
  printf 'pub const HOME: &str = env!("HOME");\nfn main() { println!("{} {}", dep::place(), HOME); }\n' >"$WORK/p/app/src/main.rs"
  commit "$WORK/p"
  built one "$WORK/p/app"
  built two "$WORK/p/app"
  [[ "$("$WORK/p/app/target/debug/app")" = "$WORK/home-two/cargo/git/checkouts/dep-"*" $WORK/home-two" ]]
  missed dep "is in the outputs"
  # it holds for each checkout of this home
  cp -R "$WORK/p/app" "$WORK/other"
  built two "$WORK/other"
  hit dep
}

@test "rust-src: its place is in no output, and in the diagnostics it is each one's own" {
  project "$WORK/p"
  # generic code of the library that may panic
  printf 'pub fn first(v: &mut std::collections::VecDeque<u8>) -> u8 { v.swap(0, 1); v[0] }\n' >>"$WORK/p/dep/src/lib.rs"
  printf '#[must_use]\npub fn m() {}\npub fn f() { m(); }\n' >>"$WORK/p/dep/src/lib.rs"
  commit "$WORK/p"
  mkdir -p "$WORK/src/lib/rustlib/src/rust/library/std/src"
  echo >"$WORK/src/lib/rustlib/src/rust/library/std/src/lib.rs"
  another_toolchain "$WORK/src"
  HOME=$WORK/probe unshare -m sh -c 'mkdir -p "$HOME" && mount -t overlay -o "lowerdir=$0:/etc" x "$HOME"' "$WORK/src" ||
    skip "no overlays here"
  built one "$WORK/p/app"
  all_missed
  fails grep -rlF rustlib/src "$WORK/p/app/target/debug/deps" --include='*.rlib' --include='app-*[0-9a-f]'
  built two "$WORK/p/app"
  all_hit
  # as plain cargo says it, of a compile and of a hit
  printf 'fn main() { let s: i32 = vec![String::new()].into_iter().sum(); println!("{s} {}", dep::n()); }\n' >"$WORK/p/app/src/main.rs"
  for name in two three; do
    at_home $name
    clean "$WORK/p/app"
    fails cached shared "$WORK/p/app" build
    clean "$WORK/p/app"
    RUSTC_WRAPPER= fails cached plain "$WORK/p/app" build
    grep -qF "$HOME/toolchain/lib/rustlib/src/rust/library/core/src/iter/traits/accum.rs" "$LOGS/plain.err"
    diff <(grep -vE "Compiling|Updating|Locking" "$LOGS/plain.err") <(grep -vE "Compiling|Updating|Locking" "$LOGS/shared.err")
  done
}

# A text that is compared may be in the numbers of instructions, in pieces, if it is short.
@test "optimised, too: a path in pieces" {
  project "$WORK/p"
  cat >"$WORK/p/app/src/main.rs" <<'END'
#[inline(never)]
fn is_here(s: &[u8]) -> bool { s == env!("HOME").as_bytes() }
fn main() { println!("{}", is_here(std::env::args().nth(1).unwrap().as_bytes())); }
END
  commit "$WORK/p"
  for name in one two; do
    # needs not be there
    export HOME=/tmp/$name-$$
    clean "$WORK/p/app"
    cached $name "$WORK/p/app" build --release
    [ "$("$WORK/p/app/target/release/app" "$HOME")" = true ]
  done
  fails grep -qF "$HOME" "$WORK/p/app/target/release/app"
  missed app "the home directory is in the outputs"
}

@test "a script's run is found, with the places of this home; what it writes of the home is not" {
  project "$WORK/p"
  cat >"$WORK/p/dep/build.rs" <<'END'
fn main() {
    let dir = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    println!("cargo:rustc-env=DEP_DIR={dir}");
    println!("cargo:rustc-link-search={dir}/lib");
    if std::env::var("CARGO_PKG_VERSION").unwrap() == "0.2.0" {
        let out = std::env::var("OUT_DIR").unwrap();
        std::fs::write(out + "/home.rs", format!("pub const H: &str = {:?};", std::env::var("HOME").unwrap())).unwrap();
    }
}
END
  commit "$WORK/p"
  built one "$WORK/p/app"
  built two "$WORK/p/app"
  all_hit
  grep -qF "DEP_DIR=$WORK/home-two" "$WORK"/p/app/target/debug/build/dep-*/output
  sed -i s/0.1.0/0.2.0/ "$WORK/p/dep/Cargo.toml"
  printf 'include!(concat!(env!("OUT_DIR"), "/home.rs"));\n' >>"$WORK/p/dep/src/lib.rs"
  printf 'fn main() { println!("{}", dep::H); }\n' >"$WORK/p/app/src/main.rs"
  commit "$WORK/p"
  rm "$WORK/p/app/Cargo.lock"
  built three "$WORK/p/app"
  built four "$WORK/p/app"
  [ "$("$WORK/p/app/target/debug/app")" = "$WORK/home-four" ]
}

@test "diagnostics that point into a dependency are plain cargo's, of a compile and of a hit" {
  project "$WORK/p"
  printf '#[deprecated]\nfn old() {}\nstruct S;\nfn main() { old(); dep::n(); dep::take(S) }\n' >"$WORK/p/app/src/main.rs"
  commit "$WORK/p"
  for home in one two; do
    at_home $home
    clean "$WORK/p/app"
    (cd "$WORK/p/app" && RUSTC_WRAPPER='' cargo build --message-format=json 2>/dev/null) | jq -c 'select(.reason == "compiler-message").message' >"$WORK/plain" || true
    grep -qF "$HOME/cargo/git/checkouts" "$WORK/plain"
    grep -qF 'pub fn take<T: Shape>' "$WORK/plain"
    clean "$WORK/p/app"
    (cd "$WORK/p/app" && cargo build --message-format=json 2>/dev/null) | jq -c 'select(.reason == "compiler-message").message' >"$WORK/dray" || true
    diff "$WORK/plain" "$WORK/dray"
  done
}

@test "cargo's home in the workspace, and a workspace in the home" {
  export HOME=$WORK/ws
  project "$WORK/ws"
  commit "$WORK/ws"
  for n in one two; do
    export CARGO_HOME=$WORK/ws/app/.cargo-$n
    clean "$WORK/ws/app"
    cached $n "$WORK/ws/app" build
    [ "$("$WORK/ws/app/target/debug/app")" = 7 ]
  done
  hit dep
}

@test "dray env says to debuggers where cargo's home is; verify compiles again, and finds the same" {
  project "$WORK/p"
  commit "$WORK/p"
  built one "$WORK/p/app"
  (cd "$WORK/p/app" && "$DRAY" env --gdb) | grep -qxF "set substitute-path /cargo/git/checkouts \"$CARGO_HOME/git/checkouts\""
  cd "$WORK/p/app"
  "$DRAY" verify --json | jq -e '.differ == [] and .skipped == 0 and .verified > 1'
}

# bats test_tags=long
@test "odd homes: none, a link, the workspace, with a blank, below each other" {
  project "$WORK/p"
  cat >"$WORK/p/dep/build.rs" <<'END'
fn main() { println!("cargo:rustc-env=H={}", std::env::var("HOME").unwrap_or("none".into())); }
END
  printf 'pub fn h() -> &%cstatic str { env!("H") }\n' "'" >>"$WORK/p/dep/src/lib.rs"
  printf 'fn main() { println!("{} {}", dep::h(), option_env!("HOME").unwrap_or("none")); }\n' >"$WORK/p/app/src/main.rs"
  commit "$WORK/p"
  mkdir -p "$WORK/real/cargo" "$WORK/a home"
  ln -s "$WORK/real" "$WORK/link"
  cp -R "$CARGO_HOME" "$WORK/c"
  odd() {
    clean "$WORK/p/app"
    cached odd "$WORK/p/app" build
    [ "$("$WORK/p/app/target/debug/app")" = "${HOME-none} ${HOME-none}" ]
  }
  export CARGO_HOME=$WORK/c
  for home in / "$WORK/link" "$WORK/link/" "$WORK/p/app" "$WORK/p/app/target" "$WORK/a home" "$WORK" "$WORK/c"; do
    export HOME=$home
    odd
  done
  for cargo in "$WORK/link/cargo" "$WORK/p/app/target/cargo" "$WORK/a home/cargo"; do
    export CARGO_HOME=$cargo
    odd
  done
  unset HOME
  export CARGO_HOME=$WORK/c
  odd
  odd
  all_hit
}
