#!/usr/bin/env bash
# Of two -fdebug-prefix-map options that fit a path, gcc takes the last one given and clang 14 the longest.
#
# Version: gcc 12.2.0 and clang 14.0.6 of Debian 12.
# Behaviour: gcc goes through its maps from the last option to the first, and takes the first that fits. clang keeps them in
#   a table sorted by FROM, and goes through that from its end: of two that both fit, one is a prefix of the other, and the
#   longer one is taken, in whatever order they were given.
# Seen: a source below /…/ws/sub, compiled with maps for ws (to /W) and for ws/sub (to /S):
#   gcc    ws, then sub: /S/a.c    sub, then ws: /W/sub/a.c
#   clang  ws, then sub: /S/a.c    sub, then ws: /S/a.c
# Why it matters: a build tool that adds a map of its own before those of the user is overruled by the user's with gcc, and
#   with clang overrules them wherever its own directory lies deeper. To leave the user's choice alone it must add nothing
#   where the call has a map.
set -euo pipefail
export LC_ALL=C.UTF-8
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"

for p in gcc-12=12.2.0-14+deb12u1 cpp-12=12.2.0-14+deb12u1 libisl23=0.25-1.1 libmpc3=1.3.1-1 libmpfr6=4.2.0-1 \
  libgmp10=2:6.2.1+dfsg1-1.1 clang-14=1:14.0.6-12 libclang-cpp14=1:14.0.6-12 libllvm14=1:14.0.6-12; do
  apt-get download -q "$p" >log 2>&1 || { cat log; exit 2; }
done
for p in ./*.deb; do dpkg-deb -x "$p" root; done
gcc=$(find root/usr/bin -name '*-linux-gnu-gcc-12' | head -n 1)
libs=$T/$(dirname "$(find root -name 'libisl.so.23' | head -n 1)"):$T/$(dirname "$(find root -name 'libLLVM-14.so*' | head -n 1)")
mkdir -p ws/sub
echo 'int x;' >ws/sub/a.c

# named COMPILER MAP…: the source's name in the assembly's debug information.
named() {
  local cc=$1
  shift
  LD_LIBRARY_PATH=$libs "$cc" "${@/#/-fdebug-prefix-map=}" -gdwarf-4 -S "$T/ws/sub/a.c" -o a.s
  grep -oE '"/[SW][^"]*a\.c"' a.s | head -n 1 | tr -d '"'
}
seen=
for cc in "$gcc" root/usr/lib/llvm-14/bin/clang; do
  seen+="$(named "$cc" "$T/ws=/W" "$T/ws/sub=/S") $(named "$cc" "$T/ws/sub=/S" "$T/ws=/W")
"
done
printf 'gcc, clang; ws then sub, sub then ws:\n%s' "$seen"
[ "$seen" = "/S/a.c /W/sub/a.c
/S/a.c /S/a.c
" ] || { echo "changed: which map is taken"; exit 1; }
