#!/usr/bin/env bats
# paths = shared: what says a place of its own accord, and homes that lie otherwise to each other.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# project: a program in p/app that prints what the build script of "dep", a git dependency, says; build.rs is
# given, its S is what it says.
project() {
  mkdir -p "$WORK/p/dep/src" "$WORK/p/app/src"
  printf '[package]\nname = "dep"\nversion = "0.1.0"\nedition = "2021"\n' >"$WORK/p/dep/Cargo.toml"
  printf '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\ndep = { git = "file://%s/p/dep" }\n' \
    "$WORK" >"$WORK/p/app/Cargo.toml"
  echo "fn main() { println!(\"cargo:rustc-env=S={}\", $1); }" >"$WORK/p/dep/build.rs"
  echo 'pub const S: &str = env!("S");' >"$WORK/p/dep/src/lib.rs"
  echo 'fn main() { println!("{}", dep::S); }' >"$WORK/p/app/src/main.rs"
  commit
}
commit() {
  git -C "$WORK/p/dep" init -q
  git -C "$WORK/p/dep" add -A
  git -C "$WORK/p/dep" -c user.name=dev -c user.email=dev@example.org commit -qm dep
}
scenario_setup() {
  export RUSTC_WRAPPER=$DRAY DRAY_CACHE=on DRAY_SCRIPTS=on DRAY_PATHS=shared
  export RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup} GIT_CONFIG_GLOBAL=/dev/null CARGO_NET_OFFLINE=false
  seed_client
}
# at HOME [CARGO_HOME]: a build there, from nothing; says TEXT: what its program says.
at() {
  export HOME=$1 CARGO_HOME=${2:-$1/.cargo}
  mkdir -p "$HOME" "$CARGO_HOME"
  clean "$WORK/p/app"
  cached "at-$(basename "$1")" "$WORK/p/app" build
}
says() {
  [ "$("$WORK/p/app/target/debug/app")" = "$1" ] || { "$WORK/p/app/target/debug/app" >&2; return 1; }
}

# bats test_tags=long
@test "a script, or a file that it reads, names somebody's home: it is that for all" {
  project "\"$WORK/one/sdk\""
  at "$WORK/one"
  at "$WORK/two"
  says "$WORK/one/sdk"
  project 'std::fs::read_to_string("sdk").unwrap()'
  printf %s "$WORK/one/sdk" >"$WORK/p/dep/sdk"
  commit
  rm "$WORK/p/app/Cargo.lock"
  at "$WORK/one"
  at "$WORK/two"
  says "$WORK/one/sdk"
  # what it has of a variable is each one's own
  project 'std::env::var("HOME").unwrap() + "/sdk"'
  rm "$WORK/p/app/Cargo.lock"
  at "$WORK/one"
  says "$WORK/one/sdk"
  at "$WORK/two"
  says "$WORK/two/sdk"
  [ "$(jq -r 'select(.kind == "script-run" and .crate == "dep").cache' "$JOBS")" = hit ]
}

@test "so of a workspace, and of what the compiler says" {
  project '"-"'
  printf '#[deprecated(note = "see %s/doc")]\npub fn old() {}\n' "$WORK/one" >>"$WORK/p/dep/src/lib.rs"
  commit
  echo 'fn main() { dep::old(); println!("{}", env!("S")); }' >"$WORK/p/app/src/main.rs"
  echo "fn main() { println!(\"cargo:rustc-env=S={}\", \"$WORK/p/app/lib\"); }" >"$WORK/p/app/build.rs"
  at "$WORK/one"
  at "$WORK/two"
  grep -qF "see $WORK/one/doc" "$LOGS/at-two.err"
  cp -R "$WORK/p" "$WORK/q"
  clean "$WORK/q/app"
  cached q "$WORK/q/app" build
  [ "$("$WORK/q/app/target/debug/app")" = "$WORK/p/app/lib" ]
}

@test "~/.cargo is cargo's home for one, and not for the other" {
  project 'std::fs::read_to_string(std::env::var("HOME").unwrap() + "/.cargo/name").unwrap_or("none".into())'
  mkdir -p "$WORK/two/.cargo"
  printf two >"$WORK/two/.cargo/name"
  at "$WORK/one"
  says none
  at "$WORK/two" "$WORK/cargo"
  says two
  # those of whom both lie alike share
  at "$WORK/three"
  [ "$(jq -r 'select(.kind == "script-run" and .crate == "dep").cache' "$JOBS")" = hit ]
  says none
}

@test "a dependency searches all directories above: those of this cargo home" {
  project 'std::env::current_dir().unwrap().ancestors().map(|d| d.join("name")).find_map(|f| std::fs::read_to_string(f).ok()).unwrap_or("none".into())'
  mkdir -p "$WORK/deep/er"
  printf deep >"$WORK/deep/name"
  at "$WORK/one"
  says none
  # the same below another directory
  at "$WORK/others/two"
  says none
  [ "$(jq -r 'select(.kind == "script-run" and .crate == "dep").cache' "$JOBS")" = hit ]
  at "$WORK/three" "$WORK/deep/er/cargo"
  says deep
  at "$WORK/deep/four"
  says deep
  at "$WORK/five"
  says none
}

@test "a script that asks for attributes of what cargo has unpacked: when that was does not count" {
  local reg=$WORK/registry
  mkdir -p "$WORK/stated/src" "$WORK/p/app/src" "$WORK/p/app/.cargo" "$reg/index/st/at"
  printf '[package]\nname = "stated"\nversion = "0.1.0"\nedition = "2021"\ndescription = "x"\nlicense = "MIT"\n' \
    >"$WORK/stated/Cargo.toml"
  echo 'fn main() { println!("cargo:rustc-env=S={}", std::fs::metadata("src/lib.rs").unwrap().len()); }' >"$WORK/stated/build.rs"
  echo 'pub const S: &str = env!("S");' >"$WORK/stated/src/lib.rs"
  (cd "$WORK/stated" && RUSTC_WRAPPER='' cargo package -q --no-verify --allow-dirty)
  cp "$WORK/stated/target/package/stated-0.1.0.crate" "$reg/"
  printf '{"name":"stated","vers":"0.1.0","deps":[],"features":{},"cksum":"%s","yanked":false}\n' \
    "$(sha256sum <"$reg/stated-0.1.0.crate" | cut -d' ' -f1)" >"$reg/index/st/at/stated"
  printf '[source.crates-io]\nreplace-with = "here"\n\n[source.here]\nlocal-registry = "%s"\n' "$reg" >"$WORK/p/app/.cargo/config.toml"
  printf '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\nstated = "0.1.0"\n' >"$WORK/p/app/Cargo.toml"
  echo 'fn main() { println!("{}", stated::S); }' >"$WORK/p/app/src/main.rs"
  at "$WORK/one"
  says 31
  at "$WORK/two"
  says 31
  all_hit
}

@test "a home whose name is a part of a source's, as /root is of src/roots.rs" {
  local part="src$WORK/one-more.rs"
  project '"-"'
  mkdir -p "$WORK/p/dep/$(dirname "$part")"
  echo 'pub fn get<T: Copy>(of: &[T], i: usize) -> T { of[i] }' >"$WORK/p/dep/$part"
  printf '#[path = "%s"]\npub mod more;\n' "${part#src/}" >>"$WORK/p/dep/src/lib.rs"
  commit
  echo 'fn main() { println!("{}", dep::more::get(&["-"], std::env::args().count() - 1)); }' >"$WORK/p/app/src/main.rs"
  at "$WORK/one"
  at "$WORK/two"
  says -
  all_hit
  # and where the home stands by itself as well
  echo 'fn main() { println!("{}", dep::more::get(&[env!("HOME")], std::env::args().count() - 1)); }' >"$WORK/p/app/src/main.rs"
  at "$WORK/one"
  says "$WORK/one"
  at "$WORK/two"
  says "$WORK/two"
}

# bats test_tags=long
@test "a script that asks whether anything above it is a link, as a search for the real path does" {
  project 'std::path::Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).ancestors().all(|d| std::fs::read_link(d).is_err())'
  cp "$WORK/p/dep/build.rs" "$WORK/p/app/"
  echo 'fn main() { println!("{} {}", dep::S, env!("S")); }' >"$WORK/p/app/src/main.rs"
  at "$WORK/users/one"
  at "$WORK/others/two"
  says 'true true'
  all_hit
  # another checkout, elsewhere
  mkdir "$WORK/deep"
  cp -R "$WORK/p/app" "$WORK/deep/"
  clean "$WORK/deep/app"
  cached deep "$WORK/deep/app" build
  all_hit
}

# bats test_tags=long
@test "a script leaves a crate's metadata, which has a hash of its directory: that counts" {
  project '{
    use std::{env::var_os, io::Write, process::*};
    let mut c = Command::new(var_os("RUSTC").unwrap()).args(["--crate-type=rlib", "--emit=metadata", "--out-dir"])
      .arg(var_os("OUT_DIR").unwrap()).arg("-").stdin(Stdio::piped()).spawn().unwrap();
    c.stdin.take().unwrap().write_all(b"pub fn f() {}").unwrap();
    c.wait().unwrap().success()
  }'
  # left [PACKAGE [CHECKOUT]]
  left() { sha256sum <"$(find "$WORK/p/${2:-app}/target/debug/build/${1:-dep}-"* -name librust_out.rmeta)"; }
  local one two
  at "$WORK/one"
  one=$(left)
  at "$WORK/one"
  all_hit
  [ "$(left)" = "$one" ]
  at "$WORK/two"
  two=$(left)
  [ "$two" != "$one" ]
  rm -rf "$DRAY_CACHE_DIR"
  at "$WORK/two"
  [ "$(left)" = "$two" ]
  # of a member, in another checkout beside it
  cp "$WORK/p/dep/build.rs" "$WORK/p/app/"
  at "$WORK/two"
  one=$(left app)
  cp -R "$WORK/p/app" "$WORK/p/other"
  clean "$WORK/p/other"
  cached other "$WORK/p/other" build
  two=$(left app other)
  [ "$two" != "$one" ]
  rm -rf "$DRAY_CACHE_DIR"
  clean "$WORK/p/other"
  cached other-again "$WORK/p/other" build
  [ "$(left app other)" = "$two" ]
}

@test "a package has a feature that is called compress" {
  project '"-"'
  printf '\n[features]\ncompress = []\ndefault = ["compress"]\n' >>"$WORK/p/dep/Cargo.toml"
  commit
  at "$WORK/one"
  mkdir "$WORK/deep"
  cp -R "$WORK/p/app" "$WORK/deep/"
  clean "$WORK/deep/app"
  cached deep "$WORK/deep/app" build
  all_hit
}
