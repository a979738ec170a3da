#!/usr/bin/env bash
# Each file action that a program prepares for posix_spawn asks the kernel for RLIMIT_NOFILE.
#
# Version: libc6 2.36-9+deb12u14 of Debian 12 (glibc 2.36).
# Behaviour: posix_spawn_file_actions_adddup2, _addopen and _addclose call sysconf(_SC_OPEN_MAX) to refuse a descriptor
#   above the soft limit at once, with EBADF; sysconf is prlimit64, each time. dup2 does it for both descriptors.
# Seen: eight actions (four dup2, two open, two close): twelve prlimit64(RLIMIT_NOFILE), before anything is started.
# Why it matters: to a tracer every program that starts another one seems to ask for a limit of this machine, though
#   nothing that it makes depends on it; a cache that takes limits for inputs misses after each `ulimit -n`. And a lower
#   limit that the child gets later is not looked at: that the action was accepted says nothing then.
set -euo pipefail
export LC_ALL=C.UTF-8
VERSION=2.36-9+deb12u14
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT

cd "$T"
apt-get download -q "libc6=$VERSION" >log 2>&1 || { cat log; exit 2; }
dpkg-deb -x libc6_*.deb root
cat >actions.c <<'C'
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

int
main(void)
{
	posix_spawn_file_actions_t a;
	struct rlimit limit;
	int r = 0;

	getrlimit(RLIMIT_NOFILE, &limit);
	posix_spawn_file_actions_init(&a);
	if (write(1, "", 0) < 0)
		return 2;
	for (int i = 0; i < 4; i++)
		r |= posix_spawn_file_actions_adddup2(&a, i, i + 10);
	for (int i = 0; i < 2; i++)
		r |= posix_spawn_file_actions_addopen(&a, i, "/dev/null", O_RDONLY, 0);
	for (int i = 0; i < 2; i++)
		r |= posix_spawn_file_actions_addclose(&a, i + 20);
	if (write(1, "", 0) < 0)
		return 2;
	printf("glibc %s; all accepted: %s; one above the limit: %s\n", gnu_get_libc_version(), r ? "no" : "yes",
		strerror(posix_spawn_file_actions_adddup2(&a, 0, (int)limit.rlim_cur)));
	return 0;
}
C
gcc -o actions actions.c
lib=$T/root/lib/x86_64-linux-gnu
said=$(ulimit -n 256; strace -o calls -e trace=prlimit64,write "$lib/ld-linux-x86-64.so.2" --library-path "$lib" ./actions)
echo "$said"
# between the two empty writes
n=$(awk '/write\(1, "", 0\)/ { on = !on } on && /prlimit64\(0, RLIMIT_NOFILE/ { n++ } END { print n + 0 }' calls)
echo "prlimit64(RLIMIT_NOFILE): $n times for 8 actions"
case $said in *'all accepted: yes; one above the limit: Bad file descriptor') ;; *) echo changed; exit 1 ;; esac
[ "$n" = 12 ] || { echo changed; exit 1; }
