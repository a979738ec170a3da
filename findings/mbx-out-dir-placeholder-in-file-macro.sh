#!/usr/bin/env bash
# mbx lets file!(), panics and debug information of generated code say "${out_dir}/…", letter by letter.
#
# Version: mbx 1.29.1 (crates.io), cargo 1.95.0.
# Behaviour: for a package with a build script mbx has the compiler write ${out_dir} in the place of OUT_DIR, so that its key
#   is the same for every target directory. Nothing puts the directory back: what the compiler writes down is in the program,
#   in the first build already, in which nothing comes from the cache. env!("OUT_DIR") is the real directory, so the two do
#   not agree any more.
# Seen: file!() of a module that is included from OUT_DIR, whether it begins with env!("OUT_DIR"), and where a panic in it
#   says that it was.
# Why it matters: a test that compares file!() with a path, or opens it, fails only in builds through mbx; a debugger asks
#   for a directory that is called ${out_dir}; a shell that is given the path of a panic expands it to nothing.
# Takes some minutes: mbx is compiled. With MBX=PROGRAM that one is looked at.
set -euo pipefail
export LC_ALL=C.UTF-8
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
for v in $(compgen -e | grep -E '^(CARGO_|MBX_|RUSTC|RUSTFLAGS|RUST_BACKTRACE)' | grep -vx CARGO_HOME || true); do unset "$v"; done
mbx=${MBX:-}
if [ -z "$mbx" ]; then
  CARGO_TARGET_DIR=$T/build cargo install --quiet --locked --root "$T/mbx" mbx@1.29.1
  mbx=$T/mbx/bin/mbx
fi
"$mbx" --version | head -n 1

mkdir -p "$T/p/src"
cd "$T/p"
printf '[package]\nname = "p"\nversion = "0.1.0"\nedition = "2021"\n\n[workspace]\n' >Cargo.toml
cat >build.rs <<'RS'
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(out + "/made.rs", "pub fn file() -> &'static str { file!() }\npub fn fail() { panic!(\"x\") }").unwrap();
}
RS
cat >src/main.rs <<'RS'
mod made {
    include!(concat!(env!("OUT_DIR"), "/made.rs"));
}
fn main() {
    println!("{} {}", made::file(), made::file().starts_with(env!("OUT_DIR")));
    made::fail();
}
RS
# built NAME COMMAND…: what the program says
built() {
  rm -rf target
  "${@:2}" build >"$T/$1.log" 2>&1 || { cat "$T/$1.log"; exit 2; }
  { target/debug/p || true; } 2>&1 | sed -n "s,$T/p/target/debug/build/p-[0-9a-f]*/,DIR/,; /made.rs/{s/.*panicked at/panicked at/; p}" | tee "$T/$1"
}
export MBX_CACHE_DIR=$T/cache
echo '-- plain'
built plain cargo
echo '-- mbx'
built mbx "$mbx"
diff "$T/plain" <(printf '%s\n' 'DIR/out/made.rs true' 'panicked at DIR/out/made.rs:2:17:')
# shellcheck disable=SC2016  # the text itself
diff "$T/mbx" <(printf '%s\n' '${out_dir}/made.rs false' 'panicked at ${out_dir}/made.rs:2:17:') || { echo changed; exit 1; }
