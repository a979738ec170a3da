#!/usr/bin/env bash
# ar loads every plugin of its plugin directory, and drops it again, for each object that it is given.
#
# Version: binutils 2.40 of Debian 12.
# Behaviour: `ar cr` asks all plugins about each member, though these are plain objects of machine code, and calls dlopen
#   and dlclose each time, once more for the start. So the plugin's file, and what the loader looks at for it, is opened
#   once for each member.
# Seen: libdep.so, the one plugin of the package, is opened 3 times for 2 members, 5 times for 4, 9 times for 8.
# Why it matters: a library of 200 objects is some thousand calls of open where gcc's and LLVM's plugins are installed as
#   well (both are found by default): most of what ar does for whoever traces or sandboxes a build.
set -euo pipefail
export LC_ALL=C.UTF-8
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"

for p in binutils-x86-64-linux-gnu=2.40-2 libbinutils=2.40-2 libctf-nobfd0=2.40-2 strace=6.1-0.1; do
  apt-get download -q "$p" >log 2>&1 || { cat log; exit 2; }
done
for p in ./*.deb; do dpkg-deb -x "$p" root; done
bin=$T/root/usr/bin
export LD_LIBRARY_PATH=$T/root/usr/lib/x86_64-linux-gnu
for i in 1 2 3 4 5 6 7 8; do
  echo ".data; x$i: .long $i" >"$i.s"
  "$bin/x86_64-linux-gnu-as" -o "$i.o" "$i.s"
done
seen=
for n in 2 4 8; do
  rm -f lib.a
  "$bin/strace" -e trace=openat -o calls "$bin/x86_64-linux-gnu-ar" cr lib.a $(seq -f %g.o $n)
  seen+="$n members: $(grep -c 'bfd-plugins/libdep.so' calls) times
"
done
printf '%s' "$seen"
[ "$seen" = "2 members: 3 times
4 members: 5 times
8 members: 9 times
" ] || { echo "changed: how often a plugin is opened"; exit 1; }
