#!/usr/bin/env bash
# kache lets file!(), panics and backtraces name sources below /proc/self/cwd: a path that means another file in each
# process, and mostly none.
#
# Version: kache 2.0.0 (crates.io), cargo 1.95.0.
# Behaviour: kache has the compiler write /proc/self/cwd in the place of the directory that it runs in. Where a source has a
#   whole path, as one in OUT_DIR has, or one of a package outside of the workspace, file!() is "/proc/self/cwd/…" instead
#   of that path, in a first build, too, in which nothing comes from the cache. The link is resolved by whoever opens it: the
#   directory that the program runs in, and not the one that was compiled in.
# Seen: a program says file!() of a module in OUT_DIR, and of a package beside the workspace, and tries to open both: from the
#   workspace the first is there; the second is another file, since cargo compiles such a package in its own directory, and
#   the workspace happens to have one of that name. From / neither is there. Plain cargo's program opens both, from anywhere.
# Why it matters: a golden test or a tool that finds its data beside file!() opens the wrong file without an error. A path
#   that a cache puts in place of a directory has to lead nowhere, or to what it stands for.
# Takes some minutes: kache is compiled. With KACHE=PROGRAM that one is looked at.
set -euo pipefail
export LC_ALL=C.UTF-8
T=$(mktemp -d)
export KACHE_CACHE_DIR=$T/cache
kache=${KACHE:-}
trap '"$kache" daemon stop >/dev/null 2>&1 || true; rm -rf "$T"' EXIT
for v in $(compgen -e | grep -E '^(CARGO_|KACHE_|RUSTC|RUSTFLAGS)' | grep -vxE 'CARGO_HOME|KACHE_CACHE_DIR' || true); do unset "$v"; done
if [ -z "$kache" ]; then
  CARGO_TARGET_DIR=$T/build cargo install --quiet --locked --root "$T/kache" kache@2.0.0
  kache=$T/kache/bin/kache
fi
"$kache" --version | head -n 1

mkdir -p "$T/ws/src" "$T/beside/src"
cd "$T/ws"
printf '[package]\nname = "p"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nbeside = { path = "../beside" }\n[workspace]\n' >Cargo.toml
printf '[package]\nname = "beside"\nversion = "0.1.0"\nedition = "2021"\n' >../beside/Cargo.toml
echo "pub fn file() -> &'static str { file!() }" >../beside/src/lib.rs
echo '// the other lib.rs' >src/lib.rs
cat >build.rs <<'RS'
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(out + "/made.rs", "pub fn file() -> &'static str { file!() }").unwrap();
}
RS
cat >src/main.rs <<'RS'
mod made {
    include!(concat!(env!("OUT_DIR"), "/made.rs"));
}
fn main() {
    for file in [made::file(), beside::file()] {
        let text = std::fs::read_to_string(file).unwrap_or("nothing".into());
        println!("{file}: {}", text.lines().next().unwrap());
    }
}
RS
# built NAME [VARIABLE=VALUE]: what the program says in the workspace, and in /
built() {
  rm -rf target
  env "${@:2}" cargo build >"$T/$1.log" 2>&1 || { cat "$T/$1.log"; exit 2; }
  { target/debug/p; (cd / && "$T/ws/target/debug/p"); } | sed "s,$T,DIR,; s,/p-[0-9a-f]*/,/p-HASH/," | tee "$T/$1"
}
echo '-- plain'
built plain
echo '-- kache'
built kache "RUSTC_WRAPPER=$kache"
made=target/debug/build/p-HASH/out/made.rs text="pub fn file() -> &'static str { file!() }"
diff "$T/plain" <(printf '%s\n' "DIR/ws/$made: $text" "DIR/beside/src/lib.rs: $text" "DIR/ws/$made: $text" "DIR/beside/src/lib.rs: $text")
diff "$T/kache" <(printf '%s\n' "/proc/self/cwd/$made: $text" '/proc/self/cwd/src/lib.rs: // the other lib.rs' \
  "/proc/self/cwd/$made: nothing" '/proc/self/cwd/src/lib.rs: nothing') || { echo changed; exit 1; }
