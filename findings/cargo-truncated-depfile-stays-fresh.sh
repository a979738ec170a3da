#!/usr/bin/env bash
# A `.d` file that rustc left cut in half makes cargo ignore edits, silently and for good.
#
# Version: cargo 1.96.0 of Debian (cargo-web); 1.95.0 does the same.
# Behaviour: cargo turns the compiler's `.d` file into its own list of sources right after the compile, and does not
#   look whether the file is whole. A wrapper that puts a `.d` in place which ends early (a full disk, a copy that was
#   interrupted) gets no error. From then on the sources that are not in the list are not watched: an edit of one is
#   followed by "Finished" and the old program. A missing `.d` is safe: then cargo compiles every time.
# Seen:
#   after the edit of a listed source:    the program says two
#   after the edit of the one cut off:    the program still says two
# Why it matters: whatever writes `.d` files in the compiler's place must write them whole or not at all.
. "$(dirname "$0")/debian-rust.bash"

mkdir -p "$T/app/src"
cd "$T/app"
printf '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n' >Cargo.toml
printf 'mod word;\nfn main() {\n    println!("{}", word::WORD);\n}\n' >src/main.rs
# A wrapper that cuts each .d file after its first rule's first source.
cat >"$T/wrapper" <<'SH'
#!/bin/sh
"$@" || exit
case " $* " in *" --crate-name app "*) ;; *) exit 0 ;; esac
for f in target/debug/deps/app-*.d; do
  [ -z "$CUT" ] || { sed 's/ src\/word\.rs//' "$f" | head -n 1 >"$f.cut"; mv "$f.cut" "$f"; }
done
SH
chmod +x "$T/wrapper"
build() {
  RUSTC_WRAPPER=$T/wrapper CUT=${1-} "$CARGO" build -q --offline
  target/debug/app
}
say() {
  echo "pub const WORD: &str = \"$1\";" >src/word.rs
}
say one
[ "$(build)" = one ] || changed "the first build"
say two
whole=$(build)
echo "after an edit, the list being whole: $whole"
touch src/main.rs
build cut >/dev/null
say three
cut=$(build)
echo "after an edit, the list being cut:   $cut"
[ "$whole" = two ] || changed "an edit of a listed source is not seen"
[ "$cut" = two ] || changed "an edit of a source that is not listed is seen: $cut"
