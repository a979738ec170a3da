/* Invariant: when in doubt it is another's. */
#include "config.h"

#include "common/process/procfs.h"

#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/fs.h"

/* The inode of the first PID namespace (PROC_PID_INIT_INO in linux/proc_ns.h). A process is seen
 * in its own namespace and in those above it; nothing is above the first. */
#define FIRST_NAMESPACE 0xEFFFFFFCu

bool
procfs_says(long pid, const char *self, const char *status)
{
	static const char name[] = "\nNSpid:\t";
	const char *at = status ? strstr(status, name) : NULL;
	char text[32];

	snprintf(text, sizeof(text), "%ld", pid);
	if (!streq(self, text))
		return false;
	/* The numbers in each namespace from /proc's down to the process's own. */
	snprintf(text, sizeof(text), "%ld\n", pid);
	return at && starts_with(at + sizeof(name) - 1, text);
}

static bool
find_out(void)
{
	_cleanup_(buf_done) struct buf status = BUF_INIT;
	char self[32];
	ssize_t n = readlink("/proc/self", self, sizeof(self) - 1);
	struct statfs fs;
	struct stat ns;

	if (n <= 0 || statfs("/proc/self", &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return false;
	if (stat("/proc/self/ns/pid", &ns) == 0 && ns.st_ino == FIRST_NAMESPACE)
		return true;
	self[n] = '\0';
	if (fs_read_file("/proc/self/status", 65536, &status) < 0 || buf_add(&status, "", 1) < 0)
		return false;
	return procfs_says((long)getpid(), self, (const char *)status.p);
}

bool
procfs_is_ours(void)
{
	static int known; /* 1: it is; -1: it is not */

	if (!known)
		known = find_out() ? 1 : -1;
	return known > 0;
}
