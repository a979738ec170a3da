#!/usr/bin/env bash
# mold writes a new program into the old one's file, so every other name of that file has the new program as well.
#
# Version: mold 1.10.1 and lld 14.0.6 of Debian 12; binutils 2.40 (ld and gold).
# Behaviour: an output that exists already and can be written is opened again and filled, not removed. Its inode stays,
#   and with it all its hard links. GNU ld, gold and lld remove it first, or rename a new file over it.
# Seen: a program is linked, gets a second name, and another program is linked over the first name. With mold the second
#   name runs the new program; with the others it still runs the old one.
# Why it matters: `cp -al target snapshot`, a cache that hands out programs as hard links, and deduplicated backups hold
#   what is linked later. A mere change of the linker makes them unsafe: a cache may share only files that no linker
#   opens by that name, and has to see by inode and ctime that one was changed.
set -euo pipefail
export LC_ALL=C.UTF-8
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"

for p in mold=1.10.1+dfsg-1 lld-14=1:14.0.6-12 libllvm14=1:14.0.6-12; do
  apt-get download -q "$p" >log 2>&1 || { cat log; exit 2; }
done
for p in ./*.deb; do dpkg-deb -x "$p" root; done
export LD_LIBRARY_PATH=$T/$(dirname "$(find root -name 'libLLVM-14.so*' | head -n 1)")
mkdir bin
ln -s "$T/root/usr/bin/mold" bin/ld.mold
ln -s "$T/root/usr/lib/llvm-14/bin/lld" bin/ld.lld

echo '#include <stdio.h>
int main(void) { puts(WORD); return 0; }' >say.c
gcc -DWORD='"old"' -c say.c -o old.o
gcc -DWORD='"new"' -c say.c -o new.o

# snapshot LINKER: what the second name of the first program says, once another was linked.
snapshot() {
  gcc "-B$T/bin" "-fuse-ld=$1" old.o -o "$1.out"
  ln "$1.out" "$1.snapshot"
  gcc "-B$T/bin" "-fuse-ld=$1" new.o -o "$1.out"
  [ "$("./$1.out")" = new ] || { echo "$1: no new program" >&2; exit 2; }
  "./$1.snapshot"
}
seen=
for linker in bfd gold lld mold; do
  seen="$seen $linker:$(snapshot $linker)"
done
bin/ld.mold --version
echo "the snapshot after another link:$seen"
[ "$seen" = " bfd:old gold:old lld:old mold:new" ] || { echo changed; exit 1; }
