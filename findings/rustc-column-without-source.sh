#!/usr/bin/env bash
# A note of rustc into another crate names a column that is one too small when that crate's source is not where its
# metadata says.
#
# Version: rustc 1.96.0 of Debian (rustc-web); 1.95.0 does the same.
# Behaviour: a crate is compiled with --remap-path-prefix, as trimmed paths do. A dependent has a type error in a call of
#   it. rustc prints "method defined here" with the place in the crate. With the source there: line and column as editors
#   count, and a snippet. Without: no snippet, and the column in the text counts from 0. In JSON, column_start is right
#   both times, so text and JSON of one diagnostic disagree.
# Seen:
#   with the source:     --> …/dep/src/lib.rs:4:12
#   without:             --> /nowhere/dep/src/lib.rs:4:11     "column_start":12
# Why it matters: a tool that maps paths, and turns names in diagnostics back, must give rustc the mapped file as well.
. "$(dirname "$0")/debian-rust.bash"

mkdir -p "$T/dep/src" "$T/app" "$T/out"
cat >"$T/dep/src/lib.rs" <<'RS'
pub struct Thing;
impl Thing {
    // a method
    pub fn shown(&self, n: u32) -> u32 { n }
}
RS
printf 'fn main() {\n    println!("{}", dep::Thing.shown("x"));\n}\n' >"$T/app/main.rs"

# note_for TO [ERROR-FORMAT]: what rustc says of the dependent, with the dependency's source mapped to TO.
note_for() {
  "$RUSTC" --edition=2021 --crate-type=lib --crate-name=dep "$T/dep/src/lib.rs" --remap-path-prefix "$T/dep=$1" --out-dir "$T/out"
  "$RUSTC" --edition=2021 --crate-name=app "$T/app/main.rs" --extern "dep=$T/out/libdep.rlib" --out-dir "$T/out" \
    --error-format="${2:-human}" 2>&1 || true
}
there=$(note_for "$T/dep" | grep -o 'dep/src/lib.rs:[0-9:]*')
gone=$(note_for /nowhere/dep | grep -o 'dep/src/lib.rs:[0-9:]*')
json=$(note_for /nowhere/dep json | jq -r 'select(.level == "error") | .children[].spans[] | select(.file_name | startswith("/nowhere")) | .column_start' | head -n 1)
echo "with the source:  $there"
echo "without it:       $gone"
echo "in JSON:          $json"
[ "$there" = dep/src/lib.rs:4:12 ] || changed "the place with the source"
[ "$gone" = dep/src/lib.rs:4:11 ] || changed "the place without the source"
[ "$json" = 12 ] || changed "the column in JSON"
