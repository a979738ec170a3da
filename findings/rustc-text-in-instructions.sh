#!/usr/bin/env bash
# An optimised program may hold a text that it was compiled with nowhere as a text: LLVM compares it with numbers in
# its instructions, eight bytes each.
#
# Version: rustc 1.96.0 of Debian (rustc-web), x86-64.
# Behaviour: a program compares its argument with env!("PLACE"). With -O neither the program nor its object has the 13 bytes of
#   that text in a row, and `strings` or `grep` find nothing; its first and its last eight bytes are there, as the immediate operands
#   of two `movabs`. The program answers by the text all the same. Without optimisation the text stands in .rodata.
# Seen:
#   -C opt-level=0: whole 1   -O: whole 0, pieces 1 and 1, and it says true of its own place, false of another
# Why it matters: a cache that shares results over directories, and searches them for the directory's path to know which
#   hold for one place alone, does not find it there.
. "$(dirname "$0")/debian-rust.bash"

printf 'fn main() {\n    println!("{}", std::env::args().nth(1).unwrap() == env!("PLACE"));\n}\n' >"$T/app.rs"
place=/home/u/proj1
# holds TEXT: in how many of the program's lines it stands.
holds() {
  grep -acF "$1" "$T/app" || true
}
build() {
  PLACE=$place "$RUSTC" --edition=2021 "$T/app.rs" -o "$T/app" "$@"
}
build -C opt-level=0
plain=$(holds "$place")
build -O
whole=$(holds "$place") first=$(holds /home/u/) second=$(holds /u/proj1)
echo "without optimisation: whole $plain"
echo "with it:              whole $whole, pieces $first and $second; $("$T/app" "$place"), $("$T/app" /home/u/proj2)"
[ "$plain" -ge 1 ] || changed "the text without optimisation"
[ "$whole" = 0 ] || changed "the whole text"
[ "$first" -ge 1 ] && [ "$second" -ge 1 ] || changed "its pieces"
[ "$("$T/app" "$place") $("$T/app" /home/u/proj2)" = 'true false' ] || changed "what the program says"
