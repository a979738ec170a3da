#!/usr/bin/env bash
# rustc reads its own --remap-path-prefix backwards to find the source of another crate.
#
# Version: rustc 1.96.0 of Debian (rustc-web); 1.95.0 does the same.
# Behaviour: a crate is compiled with --remap-path-prefix REAL=/nowhere, so that its metadata names /nowhere alone. A
#   dependent has a type error in a call of it. Compiled with the same option, rustc opens the file below REAL and prints the
#   snippet, though it prints the mapped name; without the option it finds nothing and prints no snippet, and a column that is one
#   too small (rustc-column-without-source.sh).
# Seen:
#   with the option:     --> /nowhere/dep.rs:1:8   snippet: yes
#   without:             --> /nowhere/dep.rs:1:7   snippet: no
# Why it matters: who maps the paths of one crate has to give the option to all that depend on it as well, also where
#   nothing of theirs lies there, or diagnostics change.
. "$(dirname "$0")/debian-rust.bash"

mkdir -p "$T/src" "$T/out"
printf 'pub fn called(_n: u8) {}\n' >"$T/src/dep.rs"
printf 'fn main() {\n    dep::called("x");\n}\n' >"$T/app.rs"
"$RUSTC" --edition=2021 --crate-type=lib --crate-name=dep "$T/src/dep.rs" --remap-path-prefix "$T/src=/nowhere" --out-dir "$T/out"
# note_for OPTION…: the place that rustc names, and whether it shows the line.
note_for() {
  "$RUSTC" --edition=2021 --crate-name=app "$T/app.rs" --extern "dep=$T/out/libdep.rlib" --out-dir "$T/out" "$@" >"$T/said" 2>&1 || true
  printf '%s ' "$(grep -o '/nowhere/dep.rs:[0-9:]*' "$T/said")"
  if grep -qF 'pub fn called' "$T/said"; then echo yes; else echo no; fi
}
with=$(note_for --remap-path-prefix "$T/src=/nowhere")
without=$(note_for)
echo "with the option:  $with"
echo "without:          $without"
[ "$with" = '/nowhere/dep.rs:1:8 yes' ] || changed "what it says with the option"
[ "$without" = '/nowhere/dep.rs:1:7 no' ] || changed "what it says without"
