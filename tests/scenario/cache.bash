# What the scenarios about the local cache share. There is no farm: dray is alone.

scenario_setup() {
  export RUSTC_WRAPPER=$DRAY DRAY_CACHE=on
  seed_client
}

# cached LABEL DIR ARG…: cargo ARG… in DIR, through dray; its units alone are in the job log then. What was in it
# before is among the logs: why a hit was none is often told by the build before.
cached() {
  [ ! -f "$JOBS" ] || cat "$JOBS" >>"$LOGS/earlier-jobs.jsonl"
  rm -f "$JOBS"
  build "$@"
  [ "$BUILD_STATUS" -eq 0 ] || { cat "$LOGS/$1.err" >&2; return 1; }
}
# target_of DIR: where cargo puts what it makes there.
target_of() {
  printf '%s\n' "${CARGO_TARGET_DIR:-$1/target}"
}
# clean DIR: as cargo clean does, at once; a link to a directory stays one.
clean() {
  local dir
  dir=$(target_of "$1")
  if [ -L "$dir" ]; then
    find "$dir/" -mindepth 1 -delete
  else
    rm -rf "$dir"
  fi
}
all_hit() {
  jobs_all '.cache == "hit" and .where == "cache"' || { show_cache; return 1; }
}
all_missed() {
  jobs_all '.cache == "miss" and .not_stored == null' || { show_cache; return 1; }
}
# hit CRATE, missed CRATE [REASON]: what the last build made of it.
hit() {
  [ "$(job "$1" cache)" = hit ] || { show_cache; return 1; }
}
missed() {
  [ "$(job "$1" cache)" = miss ] && [[ "$(job "$1" cache_why)" = *"${2:-}"* ]] || { show_cache; return 1; }
}
# nothing_done LABEL: cargo found all of it fresh.
nothing_done() {
  fails grep -E '^ +(Compiling|Checking|Dirty) ' "$LOGS/$1.err" >&2
}
show_cache() {
  jq -r '[.crate, .kind, .where, .cache, .cache_why, .not_stored] | map(. // "-") | join(" | ")' "$JOBS" >&2
}
# once_and_again LABEL DIR ARG…: a build that fills the cache, and one of the same that must do nothing.
once_and_again() {
  cached "$@"
  clean "$2"
  cached "$1-again" "${@:2}"
  all_hit
}
# both LABEL DIR ARG…: a plain build and one through dray, each from nothing at the same place: what they
# made and said must be equal. Where paths are shared, what they made is compared with a third one's, by cargo
# with the same mapping.
both() {
  clean "$2"
  (cd "$2" && exec env -u RUSTC_WRAPPER cargo "${@:3}") >"$LOGS/plain.out" 2>"$LOGS/plain.err" </dev/null 3>&- ||
    { cat "$LOGS/plain.err" >&2; return 1; }
  if [ "${DRAY_PATHS:-}" = shared ]; then
    clean "$2"
    mapped_build "$2" "$(target_of "$2")" "${@:3}"
  fi
  rm -rf "$WORK/plain"
  cp -a "$(target_of "$2")/." "$WORK/plain"
  clean "$2"
  cached "$@"
  same_tree "$2" && same_text "$1"
}
# same_tree DIR: all that the plain build left is there, byte for byte, and no more, but for cargo's own
# notes of the time. Of a library of several types cargo's own .d file, beside the program, names any one
# of its files, another one at each plain build: that end of the name is left out.
same_tree() {
  local target
  target=$(target_of "$1")
  diff -r -x .fingerprint -x fingerprint -x .rustc_info.json -x invoked.timestamp -x 'lib*.d' "$WORK/plain" "$target" &&
    diff <(cargo_lib_deps "$WORK/plain" "$target") <(cargo_lib_deps "$target" "$target")
}
# cargo_lib_deps TREE PLACE: the .d files of libraries in TREE, a build of the target directory PLACE. Those
# below deps/ (in the newer layout, below an out/) are the compiler's: whole.
cargo_lib_deps() {
  (cd "$1" && find . -name 'lib*.d' | LC_ALL=C sort | while read -r f; do
    echo "$f"
    case $f in
      */deps/* | */build/*/out/*) cat "$f" ;;
      *) sed -E "1s#^($2/[^:]*)\.(rlib|so|a): #\1: #" "$f" ;;
    esac
  done)
}
# hits CRATE…, misses CRATE…: of each.
hits() {
  local c
  for c in "$@"; do hit "$c" || { echo "not a hit: $c" >&2; return 1; }; done
}
misses() {
  local c
  for c in "$@"; do missed "$c" || { echo "not a miss: $c" >&2; return 1; }; done
}
# kept CRATE: what was made of it was kept.
kept() {
  [ -z "$(job "$1" not_stored)" ] || { show_cache; return 1; }
}
# member DIR NAME [lib|bin]: a package that is in no workspace of its own.
member() {
  package "$@"
  sed -i '/^\[workspace\]/d' "$1/Cargo.toml"
}
# with_macro DIR: a program "app" in DIR, and a macro crate "look" beside it whose look::look!() is the
# text that the Rust expression in look/src/expr.rs has when it is expanded.
with_macro() {
  package "$1" app
  member "$1/look" look lib
  printf '\n[lib]\nproc-macro = true\n' >>"$1/look/Cargo.toml"
  depends "$1" look look
  cat >"$1/look/src/lib.rs" <<'END'
use proc_macro::{Literal, TokenStream, TokenTree};
#[proc_macro]
pub fn look(_: TokenStream) -> TokenStream {
    let text: String = include!("expr.rs");
    TokenTree::from(Literal::string(&text)).into()
}
END
  printf 'fn main() {\n    println!("{}", look::look!());\n}\n' >"$1/src/main.rs"
}
# archive DIR NUMBER: libwords.a with one function that returns it.
archive() {
  mkdir -p "$1"
  printf 'int number(void) { return %s; }\n' "$2" >"$1/words.c"
  rm -f "$1/libwords.a"
  cc -c -o "$1/words.o" "$1/words.c"
  ar -D rcs "$1/libwords.a" "$1/words.o"
  rm "$1/words.o"
}
# sys_crate DIR LINK: a program on "mid" on "words-sys", whose build script says cargo:rustc-link-lib=LINK
# of what is in DIR/native.
sys_crate() {
  package "$1" app
  member "$1/mid" mid lib
  member "$1/words-sys" words-sys lib
  depends "$1" mid mid
  depends "$1/mid" words-sys ../words-sys
  printf 'fn main() {\n    println!("{}", mid::number());\n}\n' >"$1/src/main.rs"
  echo 'pub fn number() -> i32 { unsafe { words_sys::number() } }' >"$1/mid/src/lib.rs"
  echo 'extern "C" { pub fn number() -> i32; }' >"$1/words-sys/src/lib.rs"
  cat >"$1/words-sys/build.rs" <<END
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-search=native=$1/native");
    println!("cargo:rustc-link-lib=$2");
}
END
}
# says DIR TEXT: what the program in DIR prints.
says() {
  local said
  said=$("$(target_of "$1")/debug/app")
  [ "$said" = "$2" ] || { echo "it says: $said" >&2; return 1; }
}
