#!/usr/bin/env bats
# paths = shared: what is found from another checkout, what is tied to its place, and what the user is told.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# A workspace of a library, a program, and a script that makes code and reads a file.
workspace() {
  mkdir -p "$1/a/src" "$1/b/src"
  printf '[workspace]\nmembers = ["a", "b"]\nresolver = "2"\n' >"$1/Cargo.toml"
  printf '[package]\nname = "a"\nversion = "0.1.0"\nedition = "2021"\n' >"$1/a/Cargo.toml"
  printf '[package]\nname = "b"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\na = { path = "../a" }\n' >"$1/b/Cargo.toml"
  printf 'pub fn a() -> u32 { 1 }\ninclude!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/more.rs"));\n' >"$1/a/src/lib.rs"
  printf 'pub fn more(_n: u8) {}\npub fn warned() { let y = 1; }\n' >"$1/a/src/more.rs"
  printf 'fn main() {\n    let n = std::fs::read_to_string("words.txt").unwrap();\n    let out = std::env::var("OUT_DIR").unwrap();\n    std::fs::write(out + "/g.rs", format!("pub fn g() -> &%cstatic str {{ {:?} }}\\nfn dead() {{}}\\n", n)).unwrap();\n}\n' "'" >"$1/b/build.rs"
  printf 'word' >"$1/b/words.txt"
  printf 'include!(concat!(env!("OUT_DIR"), "/g.rs"));\nfn main() { println!("{} {} {}", a::a(), g(), file!()); }\n' >"$1/b/src/main.rs"
  (cd "$1" && cargo generate-lockfile -q)
}
scenario_setup() {
  export RUSTC_WRAPPER=$DRAY DRAY_CACHE=on DRAY_SCRIPTS=on DRAY_PATHS=shared
  seed_client
}
# said DIR ARG…: the compiler's messages, sorted, as cargo has them from it.
said() {
  clean "$1"
  (cd "$1" && exec cargo "${@:2}" --message-format=json 2>/dev/null </dev/null 3>&-) |
    jq -cS 'select(.reason == "compiler-message") | .message' | LC_ALL=C sort
}

# found_elsewhere COMMAND: all that was made in the first checkout is found in the second one, further down.
found_elsewhere() {
  mkdir -p "$WORK/deeper/down"
  cp -R "$WORK/one" "$WORK/deeper/down/two"
  cached first "$WORK/one" "$@"
  all_missed
  cached second "$WORK/deeper/down/two" "$@"
  all_hit
}
# says_the_same DIR TEXT…: the compiler's messages are plain cargo's, and have these texts.
says_the_same() {
  local text
  RUSTC_WRAPPER='' said "$1" build >"$WORK/plain"
  for text in "${@:2}"; do
    grep -qF "$text" "$WORK/plain" || return
  done
  said "$1" build >"$WORK/dray"
  diff "$WORK/plain" "$WORK/dray"
}

@test "a workspace is found from another checkout: crates, scripts' runs, programs; and each edit there counts" {
  workspace "$WORK/one"
  found_elsewhere build
  cmp "$WORK/one/target/debug/b" "$WORK/deeper/down/two/target/debug/b"
  [ "$("$WORK/deeper/down/two/target/debug/b")" = "1 word b/src/main.rs" ]
  # what cargo is to watch is there, and not in the first checkout
  fails grep -rlF "$WORK/one" "$WORK/deeper/down/two/target" --include='*.d' --include=output
  printf 'other' >"$WORK/deeper/down/two/b/words.txt"
  cached edited "$WORK/deeper/down/two" build
  [ "$("$WORK/deeper/down/two/target/debug/b")" = "1 other b/src/main.rs" ]
  # the first one's is still what it was
  clean "$WORK/one"
  cached back "$WORK/one" build
  all_hit
  [ "$("$WORK/one/target/debug/b")" = "1 word b/src/main.rs" ]
}

@test "diagnostics are those of plain cargo in each checkout, of a compile and of a hit" {
  workspace "$WORK/one"
  mkdir "$WORK/other"
  cp -R "$WORK/one" "$WORK/other/two"
  for dir in "$WORK/one" "$WORK/other/two"; do
    RUSTC_WRAPPER='' said "$dir" check >"$WORK/plain"
    [ -s "$WORK/plain" ]
    grep -qF "$dir/a/src/more.rs" "$WORK/plain"
    grep -qF "$dir/target/debug/build/" "$WORK/plain"
    for how in compile hit; do
      said "$dir" check >"$WORK/dray"
      diff "$WORK/plain" "$WORK/dray"
    done
  done
  [ "$(jq -s 'map(select(.kind == "check"))[-2:] | all(.cache == "hit")' "$JOBS")" = true ]
}

@test "errors, too, of a build that is incremental or not" {
  workspace "$WORK/one"
  sed -i 's/a::a()/a::more("x")/' "$WORK/one/b/src/main.rs"
  for incremental in 0 1; do
    export CARGO_INCREMENTAL=$incremental
    says_the_same "$WORK/one" E0308
  done
}

@test "what names its place is found there alone, and explain says where" {
  workspace "$WORK/one"
  cp -R "$WORK/one" "$WORK/two"
  for dir in one two; do
    printf 'pub fn place() -> &%cstatic str { env!("CARGO_MANIFEST_DIR") }\n' "'" >>"$WORK/$dir/a/src/more.rs"
    sed -i 's/a::a()/a::place()/' "$WORK/$dir/b/src/main.rs"
  done
  cached first "$WORK/one" build
  cached second "$WORK/two" build
  missed a 'the workspace is in the outputs'
  [ "$("$WORK/two/target/debug/b")" = "$WORK/two/a word b/src/main.rs" ]
  [[ "$(job a bound)" = liba-* ]]
  (cd "$WORK/two" && "$DRAY" explain a) | grep -q 'tells where it was made (liba-'
  clean "$WORK/one"
  cached again "$WORK/one" build
  all_hit
  [ "$("$WORK/one/target/debug/b")" = "$WORK/one/a word b/src/main.rs" ]
}

@test "a source that names a file by its whole path" {
  workspace "$WORK/one"
  echo 1 >"$WORK/one/data.txt"
  printf 'pub const DATA: &str = include_str!("%s/data.txt");\n' "$WORK/one" >>"$WORK/one/a/src/lib.rs"
  sed -i 's/a::a()/a::DATA.trim()/' "$WORK/one/b/src/main.rs"
  cp -R "$WORK/one" "$WORK/two"
  cached first "$WORK/one" build
  echo 2 >"$WORK/one/data.txt"
  cached second "$WORK/two" build
  [ "$("$WORK/two/target/debug/b")" = "2 word b/src/main.rs" ]
}

@test "a source that reads beside the workspace" {
  workspace "$WORK/one"
  printf 'pub const BESIDE: &str = include_str!("../../../beside.txt");\n' >>"$WORK/one/a/src/lib.rs"
  sed -i 's/a::a()/a::BESIDE.trim()/' "$WORK/one/b/src/main.rs"
  mkdir "$WORK/far"
  echo near >"$WORK/beside.txt"
  echo far >"$WORK/far/beside.txt"
  cp -R "$WORK/one" "$WORK/far/two"
  cached first "$WORK/one" build
  cached second "$WORK/far/two" build
  [ "$("$WORK/far/two/target/debug/b")" = "far word b/src/main.rs" ]
  # and is found from what lies beside
  cp -R "$WORK/one/." "$WORK/three"
  clean "$WORK/three"
  cached third "$WORK/three" build
  hit a
}

@test "a target directory elsewhere, below a directory that has both" {
  workspace "$WORK/one/ws"
  mkdir -p "$WORK/two/deeper"
  cp -R "$WORK/one/ws" "$WORK/two/deeper/ws"
  CARGO_TARGET_DIR=$WORK/target-1 cached first "$WORK/one/ws" build
  CARGO_TARGET_DIR=$WORK/target-2 cached second "$WORK/two/deeper/ws" build
  all_hit
}

@test "exact and shared in one target directory: never mixed up" {
  workspace "$WORK/one"
  for paths in shared exact shared exact; do
    clean "$WORK/one"
    DRAY_PATHS=$paths cached "$paths" "$WORK/one" build
    "$WORK/one/target/debug/b" | grep -q '^1 word '
    cp "$WORK/one/target/debug/b" "$WORK/b-$paths-$((n = ${n:-0} + 1))"
  done
  all_hit
  cmp "$WORK/b-shared-1" "$WORK/b-shared-3"
  cmp "$WORK/b-exact-2" "$WORK/b-exact-4"
  # scripts have launchers, which plain cargo has not
  clean "$WORK/one"
  DRAY_SCRIPTS=off DRAY_PATHS=shared both plain "$WORK/one" build
  # without dray there, and with it again: cargo builds what is missing
  touch "$WORK/one/a/src/lib.rs"
  (cd "$WORK/one" && RUSTC_WRAPPER='' cargo build -q 2>/dev/null)
  touch "$WORK/one/b/src/main.rs"
  cached again "$WORK/one" build
  "$WORK/one/target/debug/b" | grep -q '^1 word '
}

@test "with paths = exact a miss says where it was compiled" {
  export DRAY_PATHS=exact
  workspace "$WORK/one"
  cp -R "$WORK/one" "$WORK/two"
  cached first "$WORK/one" build
  cached second "$WORK/two" build
  missed a "new here: it was compiled in $WORK/one (paths = shared may find it)"
  clean "$WORK/two"
  cached again "$WORK/two" build
  all_hit
  (cd "$WORK/two" && "$DRAY" stats >/dev/null)
}

@test "dray verify makes again what was kept with shared paths" {
  workspace "$WORK/one"
  cached first "$WORK/one" build
  run -0 "$DRAY" verify
  [[ "$output" = *'4 entries'* ]]
}

@test "doctor and env say what a debugger and an agent want to know" {
  workspace "$WORK/one"
  [ "$("$DRAY" doctor --json | jq -r '.[] | select(.check == "paths") | .finding')" = good ]
  cd "$WORK/one/a"
  [ "$("$DRAY" env --gdb | grep -vF " /rustc/")" = "set substitute-path /cargo/build-dir \"$WORK/one/target\"
set substitute-path /cargo/registry/src \"$CARGO_HOME/registry/src\"
set substitute-path /cargo/git/checkouts \"$CARGO_HOME/git/checkouts\"
set substitute-path . \"$WORK/one\"" ]
  "$DRAY" env --lldb | grep -qxF "settings append target.source-map . \"$WORK/one\""
  CARGO_TARGET_DIR=/x "$DRAY" env --agents | grep -qx 'unset CARGO_TARGET_DIR'
  "$DRAY" env --agents | grep -qx "export DRAY_PATHS='shared'"
  run -2 "$DRAY" env --gdb --json
  cd /
  run -1 "$DRAY" env --gdb
  [[ "$output" = *'says of no workspace'* ]]
}

# with_git DIR: a program that depends on a package in a git repository, which includes what its script made.
with_git() {
  local repo=$WORK/repo
  if [ ! -d "$repo" ]; then
    mkdir -p "$repo/src"
    printf '[package]\nname = "gen"\nversion = "0.1.0"\nedition = "2021"\n' >"$repo/Cargo.toml"
    printf 'include!(concat!(env!("OUT_DIR"), "/made.rs"));\n' >"$repo/src/lib.rs"
    printf 'fn main() {\n    let out = std::env::var("OUT_DIR").unwrap();\n    std::fs::write(out + "/made.rs", "pub fn made() -> &%cstatic str { file!() }\\n%s").unwrap();\n}\n' "'" "${2:-}" >"$repo/build.rs"
    (cd "$repo" && git init -q && git add . && git -c user.name=n -c user.email=e commit -qm one)
  fi
  package "$1" app
  printf '\n[dependencies]\ngen = { git = "file://%s" }\n' "$repo" >>"$1/Cargo.toml"
  printf 'fn main() { println!("{}", gen::made()); }\n' >"$1/src/main.rs"
  (cd "$1" && cargo generate-lockfile -q)
}

@test "a package in cargo's home that takes code from its OUT_DIR" {
  export CARGO_HOME=$WORK/home CARGO_NET_OFFLINE=false
  mkdir "$WORK/deeper"
  with_git "$WORK/one"
  with_git "$WORK/deeper/two"
  cached first "$WORK/one" build
  all_missed
  cached second "$WORK/deeper/two" build
  all_hit
  cmp "$WORK/one/target/debug/app" "$WORK/deeper/two/target/debug/app"
  [[ "$("$WORK/deeper/two/target/debug/app")" = /cargo/build-dir/debug/build/gen-*/out/made.rs ]]
  "$DRAY" verify --json | jq -e ".verified > 0 and .skipped == 0"
  # paths = exact has its own
  clean "$WORK/one"
  DRAY_PATHS=exact cached exact "$WORK/one" build
  [[ "$("$WORK/one/target/debug/app")" = "$WORK/one/target/debug/build"/gen-*/out/made.rs ]]
}

# bats test_tags=long
@test "errors in what such a package takes are plain cargo's" {
  export CARGO_HOME=$WORK/home CARGO_NET_OFFLINE=false
  with_git "$WORK/one" 'pub fn wrong() -> u8 { 1u16 }'
  says_the_same "$WORK/one" E0308 "$WORK/one/target/debug/build/gen-"
}

@test "a search for .git in all directories above, which finds none, is made again from anywhere" {
  package "$WORK/one" app
  printf 'fn main() {\n    let o = std::process::Command::new("git").args(["rev-parse", "--show-toplevel"]).output().unwrap();\n    println!("cargo:rustc-env=REPO={}", if o.status.success() { "one" } else { "none" });\n}\n' >"$WORK/one/build.rs"
  printf 'fn main() { println!("{}", env!("REPO")); }\n' >"$WORK/one/src/main.rs"
  (cd "$WORK/one" && cargo generate-lockfile -q)
  found_elsewhere build
  [ "$("$WORK/deeper/down/two/target/debug/app")" = none ]
  (cd "$WORK/deeper" && git init -q)
  clean "$WORK/deeper/down/two"
  cached found "$WORK/deeper/down/two" build
  [ "$(jq -r 'select(.kind == "script-run") | .cache_why' "$JOBS")" = '.git is above the workspace now' ]
  [ "$("$WORK/deeper/down/two/target/debug/app")" = one ]
  # what was found above is of this place
  mkdir "$WORK/far"
  cp -R "$WORK/one" "$WORK/far/three"
  cached third "$WORK/far/three" build
  [ "$("$WORK/far/three/target/debug/app")" = none ]
}

@test "a member's script that runs rustc, which is rustup's" {
  package "$WORK/one" app
  printf 'fn main() {\n    let said = std::process::Command::new(std::env::var("RUSTC").unwrap()).arg("-vV").output().unwrap().stdout;\n    println!("cargo:rustc-env=SAID={}", String::from_utf8(said).unwrap().lines().next().unwrap());\n}\n' >"$WORK/one/build.rs"
  printf 'fn main() { println!("{}", env!("SAID")); }\n' >"$WORK/one/src/main.rs"
  (cd "$WORK/one" && cargo generate-lockfile -q)
  found_elsewhere build
  [ "$("$WORK/deeper/down/two/target/debug/app")" = "$(rustc -V)" ]
}

@test "a single look for what is not there, above the workspace, is made again from anywhere" {
  package "$WORK/one" app
  printf 'fn main() {\n    let found = std::path::Path::new("../.vcs/HEAD").exists();\n    println!("cargo:rustc-env=FOUND={found}");\n}\n' >"$WORK/one/build.rs"
  printf 'fn main() { println!("{}", env!("FOUND")); }\n' >"$WORK/one/src/main.rs"
  (cd "$WORK/one" && cargo generate-lockfile -q)
  found_elsewhere build
  [ "$("$WORK/deeper/down/two/target/debug/app")" = false ]
  mkdir "$WORK/deeper/down/.vcs"
  : >"$WORK/deeper/down/.vcs/HEAD"
  clean "$WORK/deeper/down/two"
  cached found "$WORK/deeper/down/two" build
  [ "$(jq -r 'select(.kind == "script-run") | .cache_why' "$JOBS")" = '../.vcs/HEAD is new' ]
  [ "$("$WORK/deeper/down/two/target/debug/app")" = true ]
}

@test "a search that ends before the root ties the result to its directory" {
  package "$WORK/one" app
  printf 'fn main() {\n    let found = ["..", "../.."].iter().any(|d| std::path::Path::new(d).join("marker.txt").exists());\n    println!("cargo:rustc-env=FOUND={found}");\n}\n' >"$WORK/one/build.rs"
  printf 'fn main() { println!("{}", env!("FOUND")); }\n' >"$WORK/one/src/main.rs"
  (cd "$WORK/one" && cargo generate-lockfile -q)
  mkdir -p "$WORK/deeper/down"
  cp -R "$WORK/one" "$WORK/deeper/down/two"
  : >"$WORK/deeper/marker.txt"
  cached first "$WORK/one" build
  cached second "$WORK/deeper/down/two" build
  [ "$("$WORK/deeper/down/two/target/debug/app")" = true ]
}

# looked NAME EXPRESSION ONE TWO MARKER [TARGET]: two checkouts, with a marker that the script finds in the second one alone.
looked() {
  local one=$WORK/$1/$3 two=$WORK/$1/$4
  mkdir -p "$(dirname "$one")" "$(dirname "$two")"
  package "$one" app
  printf 'use std::path::*;\nfn main() {\n    let _dir = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());\n    println!("cargo:rustc-env=FOUND={:?}", %s);\n}\n' "$2" >"$one/build.rs"
  printf 'fn main() { println!("{}", env!("FOUND")); }\n' >"$one/src/main.rs"
  (cd "$one" && cargo generate-lockfile -q)
  cp -R "$one" "$two"
  cached "$1-first" "$one" build
  [ "$("$one/target/debug/app")" = false ]
  : >"$WORK/$1/$5"
  (
    [ -z "${6:-}" ] || export CARGO_TARGET_DIR=$WORK/$1/$6
    cached "$1-second" "$two" build
    [ "$("$(target_of "$two")/debug/app")" = true ]
  )
}
# bats test_tags=long
@test "a look above the workspace by the names of directories there, from OUT_DIR, or in the home, is tied" {
  looked named '_dir.ancestors().find(|a| a.ends_with("by")).unwrap().join("marker").exists()' \
    by/one deep/by/a/two deep/by/marker
  looked named-too '[Path::new("../mark"), &_dir.ancestors().find(|a| a.ends_with("by")).unwrap().join("mark")].iter().any(|p| p.exists())' \
    by/one deep/by/a/two deep/by/mark
  looked out-dir 'Path::new(&std::env::var("OUT_DIR").unwrap()).join("../../../../../../marker").exists()' \
    one a/two marker b/target
  export RUSTUP_HOME=${RUSTUP_HOME:-$(rustup show home)} HOME=$WORK/listed
  looked listed 'std::fs::read_dir("..").unwrap().any(|e| e.unwrap().file_name() == "marker")' one a/two a/marker
}

@test "clippy is found from other checkouts, unless settings of its own lie above" {
  cargo clippy --version >/dev/null 2>&1 || skip "no clippy"
  workspace "$WORK/one"
  found_elsewhere clippy
  echo 'msrv = "1.60"' >"$WORK/deeper/clippy.toml"
  clean "$WORK/deeper/down/two"
  cached third "$WORK/deeper/down/two" clippy
  [ "$(jq -rs 'map(select(.crate == "a"))[0].cache' "$JOBS")" = miss ]
}

# vendored DIR: a workspace whose library is vendored, with a warning of its own code and code from OUT_DIR.
vendored() {
  package "$1" app
  mkdir -p "$1/vendor/lib/src" "$1/.cargo"
  printf '[package]\nname = "lib"\nversion = "1.0.0"\nedition = "2021"\n' >"$1/vendor/lib/Cargo.toml"
  printf '{"files":{}}' >"$1/vendor/lib/.cargo-checksum.json"
  printf 'include!(concat!(env!("OUT_DIR"), "/made.rs"));\npub fn place() -> &%cstatic str { file!() }\n' "'" >"$1/vendor/lib/src/lib.rs"
  printf 'fn main() {\n    std::fs::write(std::env::var("OUT_DIR").unwrap() + "/made.rs", "pub fn made() -> u8 { 7 }").unwrap();\n}\n' >"$1/vendor/lib/build.rs"
  printf '\n[dependencies]\nlib = "1"\n' >>"$1/Cargo.toml"
  printf '[source.crates-io]\nreplace-with = "v"\n[source.v]\ndirectory = "vendor"\n' >"$1/.cargo/config.toml"
  printf 'fn main() { println!("{} {}", lib::made(), lib::place()); }\n' >"$1/src/main.rs"
  (cd "$1" && cargo generate-lockfile -q --offline)
}

# bats test_tags=long
@test "a package beside the workspace: where it moves, cargo's own hashes are others, and explain says so" {
  mkdir "$WORK/one" "$WORK/two"
  package "$WORK/one/ws" app
  member "$WORK/one/ws/inner" inner lib
  member "$WORK/one/lib" lib lib
  depends "$WORK/one/ws" inner inner
  depends "$WORK/one/ws/inner" lib ../../lib
  printf 'pub fn inner() -> u32 { lib::answer() }\n' >"$WORK/one/ws/inner/src/lib.rs"
  printf 'fn main() { println!("{}", inner::inner()); }\n' >"$WORK/one/ws/src/main.rs"
  member "$WORK/one/ws/alone" alone lib
  depends "$WORK/one/ws" alone alone
  (cd "$WORK/one/ws" && cargo generate-lockfile -q)
  cp -R "$WORK/one/." "$WORK/two"
  cached first "$WORK/one/ws" build
  missed lib 'it was not compiled here before'
  missed app 'it was not compiled here before'
  cached second "$WORK/two/ws" build
  missed lib "it was compiled in $WORK/one/lib; $WORK/two/lib lies outside of the workspace, and cargo's own hashes tell where"
  for crate in inner app; do
    missed $crate "it was compiled in $WORK/one/ws; $WORK/two/lib lies outside of the workspace"
  done
  hit alone
  (cd "$WORK/two/ws" && "$DRAY" explain app) | grep -qF 'Of a package below the workspace'
  # an edit is still what it is
  echo 'pub fn more() {}' >>"$WORK/two/lib/src/lib.rs"
  cached edited "$WORK/two/ws" build
  fails grep -q 'outside of the workspace' "$JOBS"
  # where that package is the same, nothing is
  mkdir "$WORK/far"
  cp -R "$WORK/two/ws" "$WORK/far/ws"
  clean "$WORK/far/ws"
  sed -i "s#\.\./\.\./lib#$WORK/two/lib#" "$WORK/two/ws/inner/Cargo.toml" "$WORK/far/ws/inner/Cargo.toml"
  cached absolute "$WORK/two/ws" build
  cached far "$WORK/far/ws" build
  hit lib
  hit inner
}

@test "what is vendored is found from another checkout, and an edit of it counts" {
  vendored "$WORK/one"
  found_elsewhere build
  [ "$("$WORK/deeper/down/two/target/debug/app")" = "7 ./vendor/lib/src/lib.rs" ]
  "$DRAY" verify --json | jq -e '.differ == [] and .skipped == 0'
  printf 'pub fn place() -> &%cstatic str { "edited" }\ninclude!(concat!(env!("OUT_DIR"), "/made.rs"));\n' "'" >"$WORK/deeper/down/two/vendor/lib/src/lib.rs"
  clean "$WORK/deeper/down/two"
  cached edited "$WORK/deeper/down/two" build
  [ "$("$WORK/deeper/down/two/target/debug/app")" = "7 edited" ]
  # an error in it is told as plain cargo tells it
  printf 'pub fn place() -> u8 { "x" }\n' >"$WORK/one/vendor/lib/src/lib.rs"
  says_the_same "$WORK/one" E0308
}

@test "a compiler that is a link in the home: what lies there is not the compiler's" {
  mkdir "$WORK/bin" "$WORK/far"
  ln -s "$(command -v rustc)" "$WORK/bin/rustc"
  export RUSTC=$WORK/bin/rustc
  package "$WORK/one" app
  printf 'fn main() { println!("cargo:rustc-env=BESIDE={}", std::fs::read_to_string("../beside.txt").unwrap()); }\n' >"$WORK/one/build.rs"
  printf 'fn main() { println!("{}", env!("BESIDE")); }\n' >"$WORK/one/src/main.rs"
  (cd "$WORK/one" && cargo generate-lockfile -q)
  cp -R "$WORK/one" "$WORK/far/two"
  echo near >"$WORK/beside.txt"
  echo far >"$WORK/far/beside.txt"
  cached first "$WORK/one" build
  cached second "$WORK/far/two" build
  [ "$("$WORK/far/two/target/debug/app")" = far ]
}

@test "a search upwards that looks into the home at last: that is asked from everywhere" {
  mkdir -p "$WORK/home" "$WORK/far"
  export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup} HOME=$WORK/home
  package "$HOME/one" app
  cat >"$HOME/one/build.rs" <<'END'
fn main() {
    let dir = std::env::current_dir().unwrap();
    let home = std::env::var("HOME").unwrap();
    let found = dir.ancestors().chain([std::path::Path::new(&home)]).any(|d| d.join(".settings").exists());
    println!("cargo:rustc-env=FOUND={found}");
}
END
  printf 'fn main() { println!("{}", env!("FOUND")); }\n' >"$HOME/one/src/main.rs"
  (cd "$HOME/one" && cargo generate-lockfile -q)
  cp -R "$HOME/one" "$WORK/far/two"
  cached first "$HOME/one" build
  cached second "$WORK/far/two" build
  all_hit
  : >"$HOME/.settings"
  clean "$WORK/far/two"
  cached third "$WORK/far/two" build
  [ "$("$WORK/far/two/target/debug/app")" = true ]
}

# with_errors DIR: its program gives a function and a macro of "lib" what they do not take.
with_errors() {
  printf 'fn main() {\n    lib::takes(1u16);\n    lib::wrong!();\n}\n' >"$1/src/main.rs"
  (cd "$1" && cargo generate-lockfile -q)
  says_the_same "$1" E0308
}
takes='pub fn takes(_a: u8) {}\n#[macro_export]\nmacro_rules! wrong { () => { { let y = 1u8; let x: u16 = y; x } } }\n'

@test "errors that lead into a member of an outer workspace are plain cargo's" {
  package "$WORK/outer" outer
  printf 'members = ["lib"]\nexclude = ["inner"]\n' >>"$WORK/outer/Cargo.toml"
  member "$WORK/outer/lib" lib lib
  printf "$takes" >"$WORK/outer/lib/src/lib.rs"
  (cd "$WORK/outer" && cargo generate-lockfile -q)
  package "$WORK/outer/inner" app
  depends "$WORK/outer/inner" lib ../lib
  with_errors "$WORK/outer/inner"
}

@test "errors that lead into what an outer workspace has vendored are plain cargo's" {
  package "$WORK/outer" outer
  mkdir -p "$WORK/outer/.cargo" "$WORK/outer/vendor/lib/src"
  printf '[package]\nname = "lib"\nversion = "1.0.0"\nedition = "2021"\n' >"$WORK/outer/vendor/lib/Cargo.toml"
  printf '{"files":{}}' >"$WORK/outer/vendor/lib/.cargo-checksum.json"
  printf "$takes" >"$WORK/outer/vendor/lib/src/lib.rs"
  printf '[source.crates-io]\nreplace-with = "v"\n[source.v]\ndirectory = "vendor"\n' >"$WORK/outer/.cargo/config.toml"
  (cd "$WORK/outer" && cargo generate-lockfile -q --offline)
  package "$WORK/outer/inner" app
  printf '\n[dependencies]\nlib = "1"\n' >>"$WORK/outer/inner/Cargo.toml"
  with_errors "$WORK/outer/inner"
  CARGO_TARGET_DIR=$WORK/elsewhere with_errors "$WORK/outer/inner"
}

@test "errors of a package beside the workspace that lead into what a package took from its OUT_DIR" {
  export CARGO_HOME=$WORK/home CARGO_NET_OFFLINE=false
  with_git "$WORK/unused" 'pub fn takes(_a: u8) {}'
  member "$WORK/beside" beside lib
  printf '\n[dependencies]\ngen = { git = "file://%s" }\n' "$WORK/repo" >>"$WORK/beside/Cargo.toml"
  printf 'pub fn f() { gen::takes(1u16); }\n' >"$WORK/beside/src/lib.rs"
  package "$WORK/one" app
  depends "$WORK/one" beside ../beside
  (cd "$WORK/one" && cargo generate-lockfile -q)
  says_the_same "$WORK/one" "$WORK/one/target/debug/build/gen-"
}
