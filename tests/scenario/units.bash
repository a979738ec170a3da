# For the scenarios that call the compiler itself. Sourced after lib.bash.
#
# In $SRC are the sources, in $DEPS what they depend on; each call writes to $TARGET/out, since an
# out-dir's name may be in its outputs, and what it left is then kept as $PLAIN/LABEL and $OUT/LABEL.

BASE=(--edition=2021 --error-format=json --json=diagnostic-rendered-ansi,artifacts,future-incompat
  -C metadata=0123456789abcdef -C extra-filename=-0123456789abcdef)
LIB=("${BASE[@]}" --crate-name low --crate-type lib --emit dep-info,metadata,link)
BIN=("${BASE[@]}" --crate-name main --crate-type bin --emit dep-info,link)

units_setup() {
  SRC=$WORK/src TARGET=$WORK/target DEPS=$WORK/target/deps PLAIN=$WORK/plain OUT=$WORK/through
  RUSTC=$(rustup which rustc 2>/dev/null || command -v rustc)
  SYSROOT=$("$RUSTC" --print sysroot)
  HOST=$("$RUSTC" -vV | sed -n 's/^host: //p')
  mkdir -p "$SRC" "$DEPS" "$PLAIN" "$OUT"
  echo 'Signature: 8a477f597d28d172789f06886806bc55' >"$TARGET/CACHEDIR.TAG"
  USE_LOW=(-L "dependency=$DEPS" --extern "low=$DEPS/liblow-0123456789abcdef.rlib")
  farm_start
}

# with_nightly: the rest of the test uses the nightly compiler; skipped where there is none.
with_nightly() {
  RUSTC=$(rustup which --toolchain nightly rustc 2>/dev/null) || skip "no nightly compiler"
  SYSROOT=$("$RUSTC" --print sysroot)
}

source_bin() {
  cat >"$SRC/$1" <<'END'
use std::collections::HashMap;
fn main() {
    let mut m: HashMap<String, Vec<u32>> = HashMap::new();
    for w in std::env::args() {
        m.entry(w).or_default().push(7);
    }
    println!("{} {:?}", m.len(), m.values().next());
}
END
}
source_lib() {
  cat >"$SRC/$1" <<'END'
pub fn twice<T: Clone>(v: &[T]) -> Vec<T> {
    v.iter().chain(v).cloned().collect()
}
pub fn words(s: &str) -> Vec<String> {
    let mut v: Vec<String> = s.split(' ').map(str::to_owned).collect();
    v.sort();
    v
}
pub static NAME: &str = "low";
END
}
# Uses low: a program, and beside it a library for other languages.
source_user() {
  cat >"$SRC/$1" <<'END'
fn main() {
    println!("{} {:?}", low::NAME, low::twice(&low::words("c b a")));
}
END
  cat >"$SRC/api.rs" <<'END'
#[no_mangle]
pub extern "C" fn api(n: usize) -> usize {
    low::twice(&vec![1u8; n]).len() + low::NAME.len()
}
END
}

# dep ARGS…: a plain call into $DEPS.
dep() {
  (cd "$SRC" && exec "$RUSTC" "$@" --out-dir "$DEPS") 2>"$LOGS/dep.err" || { cat "$LOGS/dep.err" >&2; return 1; }
}

# one KIND LABEL PROGRAM… -- into $TARGET/out, then kept as $KIND/LABEL; its words in $KIND/LABEL.{out,err,status}
one() {
  local dir=$1 label=$2 status=0
  shift 2
  rm -rf "$TARGET/out" "${dir:?}/$label"
  mkdir -p "$TARGET/out"
  # FROM=LABEL: there is already what that call left.
  [ -z "${FROM:-}" ] || cp -a "$dir/$FROM/." "$TARGET/out/"
  (cd "$SRC" && exec "$@" --out-dir "$TARGET/out") >"$dir/$label.stdout" 2>"$dir/$label.stderr" </dev/null 3>&- ||
    status=$?
  echo "$status" >"$dir/$label.status"
  mv "$TARGET/out" "$dir/$label"
}

# both LABEL ARGS…: the same call plainly and through dray: equal, successful, and on a worker.
both() {
  both_somewhere farm "$@"
}
# both_home LABEL REASON ARGS…: equal, and here, with a reason that has these words in it.
both_home() {
  local label=$1 why=$2
  shift 2
  both_somewhere local "$label" "$@" || return 1
  case "$(last_job why)" in
    *"$why"*) ;;
    *) echo "$label: here, since: $(last_job why)" >&2; return 1 ;;
  esac
}
both_somewhere() {
  local where=$1 label=$2
  shift 2
  one "$PLAIN" "$label" "$RUSTC" "$@"
  one "$OUT" "$label" "$DRAY" "$RUSTC" "$@"
  if [ "$(cat "$PLAIN/$label.status")" != 0 ]; then
    echo "$label: the plain compiler failed" >&2
    cat "$PLAIN/$label.stderr" >&2
    return 1
  fi
  if [ "$(last_job where)" != "$where" ]; then
    echo "$label: $(last_job where), not $where: $(last_job why) $(last_job attempts)" >&2
    return 1
  fi
  same_calls "$label"
}
# both_fail LABEL ARGS…: the same words, status and remains, wherever.
both_fail() {
  local label=$1
  shift
  one "$PLAIN" "$label" "$RUSTC" "$@"
  one "$OUT" "$label" "$DRAY" "$RUSTC" "$@"
  [ "$(cat "$PLAIN/$label.status")" != 0 ] || { echo "$label: the plain compiler did not fail" >&2; return 1; }
  same_calls "$label"
}
# same_calls LABEL: whether both calls left and said the same.
same_calls() {
  diff -r "$PLAIN/$1" "$OUT/$1" || { echo "$1: outputs differ" >&2; return 1; }
  same_words "$1"
}
without_names() {
  sed -E 's@/rustc[A-Za-z0-9]{6}/@/rustcXXXXXX/@g' "$1"
}
# A directory of rustc's own has another name each time, and a failed link tells it.
same_words() {
  local what
  for what in stdout stderr status; do
    diff <(without_names "$PLAIN/$1.$what") <(without_names "$OUT/$1.$what") ||
      { echo "$1: $what differs" >&2; return 1; }
  done
}

last_job() {
  tail -n 1 "$JOBS" | jq -r --arg f "$1" '.[$f] // empty'
}

# has DIR PATTERN: whether a file of that name is in it.
has() {
  [ -n "$(find "$1" -name "$2" -print -quit)" ] || { echo "no $2 in $1" >&2; return 1; }
}
