#!/usr/bin/env bash
# A shared library that mold links imports the symbols of code that --gc-sections has dropped.
#
# Version: mold 1.10.1 and lld 14.0.6 of Debian 12; binutils 2.40.
# Behaviour: an object's section is dropped, since nothing refers to it. The undefined symbols that only this section
#   refers to stay in mold's dynamic symbol table, with a version and without any relocation. GNU ld and lld leave them
#   out. With an archive such as Rust's std, of which most is dropped, a library of a few functions imports dozens of
#   symbols that it never uses.
# Seen: one function refers to `environ`, and is hidden and dropped; the library holds neither it nor a relocation for
#   `environ`. mold lists `environ` as imported, ld and lld do not.
# Why it matters: a library's imports are often read as the list of what it may call or look at. Of one that mold linked
#   only the symbols that a relocation names are that list.
set -euo pipefail
export LC_ALL=C.UTF-8
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"

for p in mold=1.10.1+dfsg-1 lld-14=1:14.0.6-12 libllvm14=1:14.0.6-12; do
  apt-get download -q "$p" >log 2>&1 || { cat log; exit 2; }
done
for p in ./*.deb; do dpkg-deb -x "$p" root; done
lib=$T/$(dirname "$(find root -name 'libLLVM-14.so*' | head -n 1)")
mkdir bin
ln -s "$T/root/usr/bin/mold" bin/ld.mold
ln -s "$T/root/usr/lib/llvm-14/bin/lld" bin/ld.lld

cat >walks.c <<'C'
extern char **environ;
int walks(void) { return environ[0] != 0; }
C
echo 'int answer(void) { return 42; }' >answer.c
gcc -O2 -fPIC -ffunction-sections -fvisibility=hidden -c walks.c
gcc -O2 -fPIC -ffunction-sections -c answer.c

# imports LINKER: how many lines of the library's dynamic symbols name `environ`
imports() {
  LD_LIBRARY_PATH=$lib gcc "-B$T/bin" "-fuse-ld=$1" -shared -Wl,--gc-sections -o "$1.so" walks.o answer.o
  if readelf -sW "$1.so" | grep -q 'FUNC .* walks$' || readelf -rW "$1.so" | grep -q environ; then
    echo "changed: with $1 the function is still there"
    exit 1
  fi
  readelf --dyn-syms -W "$1.so" | grep -c environ || true
}
bfd=$(imports bfd) lld=$(imports lld) mold=$(imports mold)
bin/ld.mold --version
echo "environ is imported: ld $bfd, lld $lld, mold $mold"
[ "$bfd$lld$mold" = 001 ] || { echo changed; exit 1; }
