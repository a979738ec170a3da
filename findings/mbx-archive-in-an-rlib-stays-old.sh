#!/usr/bin/env bash
# mbx puts a library back with the old C archive in it after the archive has changed.
#
# Version: mbx 1.29.1 (crates.io), cargo 1.95.0.
# Behaviour: rustc packs an archive that is linked as `static` into the rlib, so its content is an input of a library's
#   compile. It is no file that dep-info names, and mbx has it in no key: not where a #[link] attribute and
#   -L native=DIR in rustflags lead to it, and not where a build script prints rustc-link-lib=static and
#   rustc-link-search for a directory outside of its OUT_DIR. (What the script writes into OUT_DIR counts.)
# Seen: the archive is made anew, the target directory is removed, and the library comes from the cache: the program says 1,
#   the old archive's number, both ways; plain cargo's says 2.
# Why it matters: vendored C libraries are built beside the workspace, by make or by a script that knows its own
#   directory. After an edit of the C code the build is green, fast and old. A cache of rlibs has to look for archives as
#   rustc does: by -l and #[link], through -L, in its order.
# Takes some minutes: mbx is compiled. With MBX=PROGRAM that one is looked at. Needs a C compiler.
set -euo pipefail
export LC_ALL=C.UTF-8
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
for v in $(compgen -e | grep -E '^(CARGO_|MBX_|RUSTC|RUSTFLAGS)' | grep -vx CARGO_HOME || true); do unset "$v"; done
mbx=${MBX:-}
if [ -z "$mbx" ]; then
  CARGO_TARGET_DIR=$T/build cargo install --quiet --locked --root "$T/mbx" mbx@1.29.1
  mbx=$T/mbx/bin/mbx
fi
"$mbx" --version | head -n 1

mkdir "$T/native"
archive() {
  rm -f "$T/native/libnumber.a"
  echo "int number(void) { return $1; }" | cc -x c -c - -o "$T/native/number.o"
  ar crD "$T/native/libnumber.a" "$T/native/number.o"
}
# project NAME
project() {
  mkdir -p "$T/$1/l/src" "$T/$1/p/src" "$T/$1/.cargo"
  cd "$T/$1"
  printf '[workspace]\nmembers = ["l", "p"]\nresolver = "2"\n' >Cargo.toml
  printf '[package]\nname = "l"\nversion = "0.1.0"\nedition = "2021"\n' >l/Cargo.toml
  printf '[package]\nname = "p"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nl = { path = "../l" }\n' >p/Cargo.toml
  echo 'fn main() { println!("{}", l::number()); }' >p/src/main.rs
}
# twice COMMAND…: what the program says with the one archive, and with the other
twice() {
  for n in 1 2; do
    archive $n
    rm -rf target
    "$@" build >"$T/log" 2>&1 || { cat "$T/log"; exit 2; }
    target/debug/p
  done | paste -sd ' '
}
export MBX_CACHE_DIR=$T/cache
project attribute
printf '[build]\nrustflags = ["-L", "native=%s/native"]\n' "$T" >.cargo/config.toml
cat >l/src/lib.rs <<'RS'
mod c {
    #[link(name = "number", kind = "static")]
    extern "C" {
        pub fn number() -> i32;
    }
}
pub fn number() -> i32 {
    unsafe { c::number() }
}
RS
seen="attribute: plain $(twice cargo), mbx $(twice "$mbx")"
sed 's/^    #.link.*//' l/src/lib.rs >"$T/lib.rs"
project script
mv "$T/lib.rs" l/src/lib.rs
cat >l/build.rs <<'RS'
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    println!("cargo:rustc-link-search=native={here}/../../native");
    println!("cargo:rustc-link-lib=static=number");
}
RS
seen+="; script: plain $(twice cargo), mbx $(twice "$mbx")"
echo "$seen"
[ "$seen" = 'attribute: plain 1 2, mbx 1 1; script: plain 1 2, mbx 1 1' ] || { echo changed; exit 1; }
