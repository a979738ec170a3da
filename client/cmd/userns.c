#include "config.h"

#include "client/cmd/userns.h"

#include <stdlib.h>

#include "common/fs.h"

static const struct {
	const char *file;
	long forbids;
	const char *text;
} bans[] = {
	/* Ubuntu */
	{ "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1,
		"AppArmor forbids user namespaces (kernel.apparmor_restrict_unprivileged_userns): "
		"install dray's profile for bubblewrap, share/dray/apparmor/dray-bwrap, which says "
		"how" },
	/* Debian's kernels */
	{ "/proc/sys/kernel/unprivileged_userns_clone", 0,
		"user namespaces are off (kernel.unprivileged_userns_clone is 0): set it to 1" },
	{ "/proc/sys/user/max_user_namespaces", 0,
		"user namespaces are off (user.max_user_namespaces is 0): raise it" },
};

const char *
userns_ban(const char *root)
{
	for (size_t i = 0; i < ARRAY_LEN(bans); i++) {
		_cleanup_(freep) char *path = path_join(root, bans[i].file);
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		char *end;
		long n;

		if (!path || fs_read_file(path, 64, &b) < 0 || b.n == 0)
			continue;
		n = strtol((const char *)b.p, &end, 10);
		if (end != (const char *)b.p && n == bans[i].forbids)
			return bans[i].text;
	}
	return NULL;
}
