# What compare and again share: counting, and what a build left. Sourced.

passed=0 failed=0
pass() {
  passed=$((passed + 1))
  printf '  ok    %s\n' "$1"
}
fail() {
  failed=$((failed + 1))
  printf '  FAIL  %s\n' "$1"
}
# expect_same WHAT FILE FILE
expect_same() {
  if cmp -s "$2" "$3"; then
    pass "$1"
  else
    fail "$1"
    diff -u "$2" "$3" | head -n 40 | sed 's/^/        /' || true
  fi
}

# Every file and directory that the compile and the link made, with mode and digest. cargo's own
# bookkeeping (time stamps, fingerprints, in the newer layout beside each unit, its own .d files beside the programs, whose order varies) is
# left out; the compiler's text that cargo keeps with its fingerprints is in. So is what a build script
# printed, but for the lines in which the cc crate shows its environment: the wrapper's own name is there.
# autocfg names its probes' files at random.
content() {
  case $1 in
    */build/*/output | */build/*/run/stdout) grep -av '^RUSTC_WRAPPER = ' "$1" || true ;;
    *) cat "$1" ;;
  esac
}
list_outputs() {
  (
    cd "$1"
    find . \( -path '*/deps' -o -path '*/deps/*' -o -path '*/examples/*' -o -path '*/build/*' \
      -o -path '*/.fingerprint/*/output-*' -o -path '*/fingerprint/output-*' -o -path './*/*' -type f ! -path './*/*/*' ! -name '*.d' \) \
      \( ! -path '*/build/*/fingerprint/*' -o -name 'output-*' \) ! -name 'autocfg_*' ! -name invoked.timestamp ! -name '.cargo-*lock' ! -name CACHEDIR.TAG -print0 |
      LC_ALL=C sort -z | while IFS= read -r -d '' f; do
      if [ -f "$f" ]; then
        printf '%s %s %s\n' "$(content "$f" | sha256sum | cut -c1-64)" "$(stat -c %a "$f")" "$f"
      else
        printf '%s %s\n' "$(stat -c '%F %a' "$f")" "$f"
      fi
    done
  )
}

# Takes the time out; then cargo's status lines and the diagnostics of crates built side by side are
# put in order (each unit's own output is compared exactly, see .fingerprint above).
normal_text() {
  sed -E -e 's/ in ([0-9]+m )?[0-9.]+s$/ in TIME/' "$1" | LC_ALL=C sort
}
