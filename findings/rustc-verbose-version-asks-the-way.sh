#!/usr/bin/env bash
# `rustc -V` looks at no directory that the compiler lies in; `rustc -vV` asks of each of them, up to the root, whether it is
# a symbolic link, and so does whatever runs it.
#
# Version: rustc 1.96.0 of Debian (rustc-web); 1.95.0 does the same.
# Behaviour: -V prints a text that is built in. -vV (as `--print sysroot` does) asks LLVM for its version, and for that looks
#   for the sysroot first: by the real path of librustc_driver. realpath(3) reads each directory on the way as a link.
# Seen: directories above the library that were asked for:
#   rustc -V     0
#   rustc -vV    each, the first one below the root too
# Why it matters: build scripts ask for the version by either form (version_check and autocfg by -vV). A cache that keeps
#   what a script asked has the way to the user's toolchain among the answers, for one form alone: it must know that this
#   was reached by HOME or RUSTUP_HOME, and not by a path from the package.
. "$(dirname "$0")/debian-rust.bash"

(cd "$T/deb" && apt-get download -q strace=6.1-0.1) >"$T/log" 2>&1 || { cat "$T/log"; exit 2; }
dpkg-deb -x "$T"/deb/strace_*.deb "$T/strace"
library=$(find "$T/root" -name 'librustc_driver-*.so' | head -n 1)

# asked FORM: how many directories above the library were asked for, and how many there are.
asked() {
  local dir=${library%/*} n=0 all=0
  "$T/strace/usr/bin/strace" -f -o "$T/calls" -e trace=readlink,readlinkat "$RUSTC" "$1" >/dev/null
  while [ -n "$dir" ]; do
    all=$((all + 1))
    grep -qF "\"$dir\"" "$T/calls" && n=$((n + 1))
    dir=${dir%/*}
  done
  echo "$n of $all"
}
short=$(asked -V) verbose=$(asked -vV)
echo "rustc -V:   $short"
echo "rustc -vV:  $verbose"
[ "${short%% *}" = 0 ] || changed "what rustc -V asks"
[ "${verbose%% *}" = "${verbose##* }" ] || changed "what rustc -vV asks"
