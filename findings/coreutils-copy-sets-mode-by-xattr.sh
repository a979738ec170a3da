#!/usr/bin/env bash
# cp -p gives a file its mode without any chmod: by an extended attribute, which is not there afterwards.
#
# Version: coreutils 9.1-1 of Debian 12, on a file system with POSIX ACLs (ext4, xfs, btrfs, tmpfs).
# Behaviour: cp -p calls fsetxattr("system.posix_acl_access") with 28 bytes, an ACL of the three entries that a mode has,
#   also where the source has no ACL. The kernel takes the mode from it and keeps no ACL; no call of the chmod family is
#   made, and listxattr says that there is nothing. install does the same, and a chmod after it.
# Seen: of cp -p one fsetxattr and no chmod; the copy's mode is 0604, as its source's; it has no extended attribute.
# Why it matters: a tracer or sandbox that knows changes of modes by chmod misses them, and one that takes setxattr for a
#   change that a mode cannot express gives up on nearly each build: cmake --install, make install and configure's
#   scripts run these two all the time.
set -euo pipefail
export LC_ALL=C.UTF-8
umask 022
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT

cd "$T"
apt-get download -q coreutils=9.1-1 libacl1=2.3.1-3 >log 2>&1 || { cat log; exit 2; }
for d in *.deb; do
  dpkg-deb -x "$d" root
done
export LD_LIBRARY_PATH=$T/root/usr/lib/x86_64-linux-gnu:$T/root/lib/x86_64-linux-gnu
root/bin/cp --version | head -n 1
echo text >source
chmod 0604 source
calls=chmod,fchmod,fchmodat,setxattr,lsetxattr,fsetxattr
# NAME PROGRAM ARGS…: the calls that it makes, by name
calls_of() {
  local name=$1
  shift
  strace -f -e "trace=$calls" -o "$name.calls" "$@"
  grep -o '^[0-9]* *[a-z]*(' "$name.calls" | tr -d '0-9 (' | sort | uniq -c | awk '{ print $2, $1 }'
}
echo "cp -p:" "$(calls_of cp root/bin/cp -p source copy | paste -sd ' ')"
echo "install:" "$(calls_of install root/usr/bin/install -m 0604 source installed | paste -sd ' ')"
mode=$(stat -c %a copy)
left=$(python3 -c 'import os; print(len(os.listxattr("copy")))')
echo "the copy: mode $mode, $left extended attributes"
[ "$(grep -c 'fsetxattr(.*"system.posix_acl_access".*, 28, 0) = 0' cp.calls)" = 1 ] || { echo 'changed: cp -p'; exit 1; }
! grep -q chmod cp.calls || { echo 'changed: cp -p calls chmod'; exit 1; }
grep -q 'fsetxattr(' install.calls || { echo 'changed: install'; exit 1; }
[ "$mode $left" = '604 0' ] || { echo 'changed: the copy'; exit 1; }
