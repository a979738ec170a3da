#!/usr/bin/env bash
# bubblewrap reads the kernel's whole list of mounts again for each --bind and --ro-bind, six times for --dev, and
# three times for --proc.
#
# Version: bubblewrap 0.8.0-2+deb12u1 of Debian 12, strace 6.1-0.1.
# Behaviour: after each bind it opens /proc/self/mountinfo and parses all of it, to find the mounts below the new one whose
#   flags it has to set again. The binds that it made before are in the list by then. --tmpfs does without.
# Seen: how often mountinfo is opened
#   1 bind    1
#   11 binds  11
#   1 bind and --tmpfs  1
#   1 bind and --dev    7
#   1 bind and --proc   4
# Why it matters: the time for a sandbox grows with the square of its binds, and with what the machine has mounted beside
#   (containers). Many files that are covered one by one cost far more than one directory, or than mounts made by the
#   program that is started.
set -euo pipefail
export LC_ALL=C.UTF-8
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"
changed() {
  echo "changed: $1" >&2
  exit 1
}

for p in bubblewrap=0.8.0-2+deb12u1 strace=6.1-0.1; do
  apt-get download -q "$p" >log 2>&1 || { cat log; exit 2; }
done
for p in ./*.deb; do dpkg-deb -x "$p" root; done

# opened OPTION…: how often a sandbox with these reads the list of mounts.
opened() {
  root/usr/bin/strace -f -o calls -e trace=open,openat root/usr/bin/bwrap --ro-bind / / "$@" /bin/true
  grep -c '"[^"]*mountinfo"' calls || true
}
ten=()
for _ in 1 2 3 4 5 6 7 8 9 10; do
  ten+=(--ro-bind /usr /mnt)
done
one=$(opened) many=$(opened "${ten[@]}") tmpfs=$(opened --tmpfs /mnt) dev=$(opened --dev /dev)
proc=$(opened --proc /proc)
echo "1 bind: $one; 11 binds: $many; 1 bind and --tmpfs: $tmpfs; 1 bind and --dev: $dev, and --proc: $proc"
[ "$one" = 1 ] || changed "one bind"
[ "$many" = 11 ] || changed "eleven binds"
[ "$tmpfs" = 1 ] || changed "--tmpfs"
[ "$dev" = 7 ] || changed "--dev"
[ "$proc" = 4 ] || changed "--proc"
