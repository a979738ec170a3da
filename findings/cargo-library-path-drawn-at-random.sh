#!/usr/bin/env bash
# With its newer layout cargo gives each run of one build another LD_LIBRARY_PATH.
#
# Version: cargo 1.96.0 of Debian (cargo-web); 1.95.0 and 1.97.1 do the same, 1.98.1 no more.
# Behaviour: with -Zbuild-dir-new-layout each unit has an out-dir of its own, and the LD_LIBRARY_PATH of every rustc
#   begins with that of one unit of the graph, another one in each run of the same build of the same tree. Which one is
#   a matter of the order in a hash map. (The directory is of no use: no shared library lies there.)
# Seen: 8 runs of a build of 12 packages, more than one value.
# Why it matters: a cache that keys a compile by the variables that cargo sets for it never hits.
. "$(dirname "$0")/debian-rust.bash"

mkdir -p "$T/app/src"
cd "$T/app"
printf '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\n' >Cargo.toml
for i in 1 2 3 4 5 6 7 8 9 10 11; do
  mkdir -p "p$i/src"
  printf '[package]\nname = "p%s"\nversion = "0.1.0"\nedition = "2021"\n' $i >"p$i/Cargo.toml"
  : >"p$i/src/lib.rs"
  printf 'p%s = { path = "p%s" }\n' $i $i >>Cargo.toml
done
echo 'fn main() {}' >src/main.rs
cat >"$T/wrapper" <<'SH'
#!/bin/sh
case " $* " in *" --crate-name app "*) printf '%s\n' "$LD_LIBRARY_PATH" | cut -d: -f1 >>"$SAID" ;; esac
exec "$@"
SH
chmod +x "$T/wrapper"
export RUSTC_WRAPPER=$T/wrapper SAID=$T/said RUSTC_BOOTSTRAP=1
for i in 1 2 3 4 5 6 7 8; do
  rm -rf target
  "$CARGO" check -q --offline -Zbuild-dir-new-layout
done
sed "s#^$T#…#" "$SAID" | sort | uniq -c
[ "$(sort -u "$SAID" | wc -l)" -gt 1 ] || changed "LD_LIBRARY_PATH begins alike in all runs"
