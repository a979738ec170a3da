#!/usr/bin/env bash
# rustc 1.95.0: the metadata of a crate whose source comes by standard input differs by the directory in which the compiler
# was started, though no name of it stands there: the same text, the same arguments, another directory, other bytes. In the same
# directory they are the same each time. Build scripts that try what the compiler can do, as rustix 0.38.34's does
# (--emit=metadata --out-dir OUT_DIR -), so leave a librust_out.rmeta that tells, by a hash, where cargo's home is: whoever looks for
# paths in what was made does not find any.
#     needs: rustc 1.95.0 and cargo; fetches rustix 0.38.34 to read what its build script passes
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { printf '%s\n' "$*"; }

rustc --version
case $(rustc --version) in "rustc 1.95.0 "*) ;; *) say "another version than the one that was looked at" ;; esac

# what rustix passes
mkdir -p "$work/p/src"
printf '[package]\nname = "p"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\nrustix = "=0.38.34"\n' >"$work/p/Cargo.toml"
: >"$work/p/src/lib.rs"
(cd "$work/p" && CARGO_HOME=$work/home cargo fetch -q)
script=$(echo "$work"/home/registry/src/*/rustix-0.38.34/build.rs)
grep -q '"--emit=metadata"' "$script" && grep -q '"--out-dir"' "$script" && grep -q 'arg("-")' "$script"

mkdir -p "$work/a" "$work/somewhere/else" "$work/out1" "$work/out2" "$work/out3"
# made DIR OUT: compiled there.
made() {
  (cd "$1" && printf 'pub fn f() {}\n' | rustc --crate-type=rlib --emit=metadata --out-dir "$2" -)
  sha256sum <"$2/librust_out.rmeta" | cut -d' ' -f1
}
first=$(made "$work/a" "$work/out1")
again=$(made "$work/a" "$work/out2")
other=$(made "$work/somewhere/else" "$work/out3")
say "in a: $first, again: $again"
say "in somewhere/else: $other"
[ "$first" = "$again" ]
[ "$first" != "$other" ]
# and neither names its directory
if grep -qaF "$work" "$work/out1/librust_out.rmeta" "$work/out3/librust_out.rmeta"; then
  exit 1
fi
say "as it was seen"
