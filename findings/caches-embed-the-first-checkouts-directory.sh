#!/usr/bin/env bash
# kache and mbx: rust-embed in the second checkout serves the first checkout's files.
#
# Version: kache 2.0.0, mbx 1.29.1, rust-embed 8.7.2 (all crates.io), cargo 1.95.0.
# Behaviour: rust-embed's macro asks for CARGO_MANIFEST_DIR by std::env::var, as most macros that look for files do; stable
#   rustc tells nobody of that. In a debug build the macro writes the directory into the program, which reads the files when
#   it runs. Both caches take a package's own directory out of their keys, so that checkouts share results, and look for
#   its uses by env!() in dep-info, where this one is not.
# Seen: two checkouts of one package, equal but for the text of the file that is embedded; that is no input of a debug
#   build. The second one's build takes the program's library from the cache, and it prints the first one's text; once
#   the first is removed it finds no file. Plain cargo prints each one's own. sccache 0.16.0 has the directory in its key.
# Why it matters: an agent or a CI job in a fresh worktree tests the files of another branch. A key without the checkout's
#   directory needs to see what macros ask for while they run, and dep-info does not say it.
# Takes some minutes: both caches are compiled. With KACHE=PROGRAM and MBX=PROGRAM these are looked at.
set -euo pipefail
export LC_ALL=C.UTF-8
T=$(mktemp -d)
export KACHE_CACHE_DIR=$T/kache-cache MBX_CACHE_DIR=$T/mbx-cache
kache=${KACHE:-} mbx=${MBX:-}
trap '"$kache" daemon stop >/dev/null 2>&1 || true; rm -rf "$T"' EXIT
for v in $(compgen -e | grep -E '^(CARGO_|KACHE_|MBX_|RUSTC|RUSTFLAGS)' | grep -vxE 'CARGO_HOME|KACHE_CACHE_DIR|MBX_CACHE_DIR' || true); do unset "$v"; done
install() {
  CARGO_TARGET_DIR=$T/build cargo install --quiet --locked --root "$T/tools" "$1"
}
[ -n "$kache" ] || { install kache@2.0.0; kache=$T/tools/bin/kache; }
[ -n "$mbx" ] || { install mbx@1.29.1; mbx=$T/tools/bin/mbx; }
"$kache" --version | head -n 1
"$mbx" --version | head -n 1

# checkout DIR TEXT
checkout() {
  mkdir -p "$1/src" "$1/data"
  echo "$2" >"$1/data/text"
  printf '[package]\nname = "p"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nrust-embed = "=8.7.2"\n[workspace]\n' >"$1/Cargo.toml"
  cat >"$1/src/lib.rs" <<'RS'
#[derive(rust_embed::RustEmbed)]
#[folder = "data/"]
struct Data;
pub fn text() -> String {
    Data::get("text").map_or("no file".into(), |f| String::from_utf8_lossy(&f.data).trim().into())
}
RS
  echo 'fn main() { println!("{}", p::text()); }' >"$1/src/main.rs"
}
# both WAY COMMAND…: what the second checkout's program says, and what it says without the first checkout
both() {
  local way=$1 said
  shift
  checkout "$T/$way/one" "of the first"
  checkout "$T/$way/two" "of the second"
  for dir in one two; do
    (cd "$T/$way/$dir" && "$@" build) >"$T/log" 2>&1 || { cat "$T/log"; exit 2; }
  done
  said=$("$T/$way/two/target/debug/p")
  rm -rf "$T/$way/one"
  echo "$way: $said, $("$T/$way/two/target/debug/p")"
}
{
  both plain cargo
  both kache env RUSTC_WRAPPER="$kache" cargo
  both mbx "$mbx"
} | tee "$T/seen"
diff "$T/seen" <(printf '%s\n' 'plain: of the second, of the second' 'kache: of the first, no file' 'mbx: of the first, no file') || { echo changed; exit 1; }
