#include "config.h"

#include "machine/cgroupfs.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>

#include "common/fs.h"

#define FILE_MAX_BYTES (1u << 20) /* a mountinfo with thousands of mounts */

uint64_t
cgroupfs_number(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, n) == 0 && line[n] == ' ')
			return strtoull(line + n + 1, NULL, 10);
		if (!*line)
			break;
	}
	return 0;
}

/* proc(5), mountinfo: "36 35 98:0 ROOT MOUNTPOINT options… - TYPE source options". */
static bool
parse_mount(const char *line, size_t n, char root[PATH_MAX], char point[PATH_MAX])
{
	static const char type[] = " - cgroup2 ";
	_cleanup_(freep) char *copy = strndup(line, n);

	return copy && strstr(copy, type) &&
	       sscanf(copy, "%*d %*d %*s %4095s %4095s", root, point) == 2;
}

int
cgroupfs_locate(const char *self, const char *mountinfo, char **ret)
{
	const char *group = starts_with(self, "0::") ? self : strstr(self, "\n0::");
	_cleanup_(freep) char *path = NULL;

	if (!group)
		return -ENOENT;
	group = strchr(group, '/');
	path = group ? strndup(group, strcspn(group, "\n")) : NULL;
	if (!path)
		return group ? -ENOMEM : -ENOENT;
	for (const char *line = mountinfo, *end; *line; line = end + (*end == '\n')) {
		char root[PATH_MAX], point[PATH_MAX];
		const char *rest = path;

		end = line + strcspn(line, "\n");
		if (!parse_mount(line, (size_t)(end - line), root, point))
			continue;
		/* A group outside of what is mounted here ("/..") cannot be reached. */
		if (!path_is_normal(path) || !path_is_below(path, root))
			continue;
		if (!streq(root, "/"))
			rest += strlen(root);
		rest += *rest == '/';
		*ret = *rest ? path_join(point, rest) : strdup(point);
		return *ret ? 0 : -ENOMEM;
	}
	return -ENOENT;
}

static int
read_below(const char *root, const char *path, struct buf *ret)
{
	_cleanup_(freep) char *full = path_join(root, path);
	int r = full ? fs_read_file(full, FILE_MAX_BYTES, ret) : -ENOMEM;

	return r == 0 && ret->n == 0 ? -ENOENT : r;
}

/* Where systemd and containers mount it: there no list of mounts has to be read. */
static int
find_usual(const char *self, char **ret)
{
	static const char *const points[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	int r = -ENOENT;

	for (size_t i = 0; r < 0 && i < ARRAY_LEN(points); i++) {
		_cleanup_(freep) char *procs = NULL;
		_cleanup_(freep) char *line = NULL;
		struct statfs fs;

		if (statfs(points[i], &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
			continue;
		/* what is mounted may be a part of the tree: then the group is not there */
		if (asprintf(&line, "1 1 0:1 / %s - cgroup2 ", points[i]) < 0)
			return -ENOMEM;
		r = cgroupfs_locate(self, line, ret);
		procs = r == 0 ? path_join(*ret, "cgroup.procs") : NULL;
		if (r == 0 && (!procs || !fs_exists(procs))) {
			free(steal_ptr(*ret));
			r = procs ? -ENOENT : -ENOMEM;
		}
	}
	return r;
}

static int
find_own(const char *root, char **ret)
{
	_cleanup_(buf_done) struct buf self = BUF_INIT;
	_cleanup_(buf_done) struct buf mounts = BUF_INIT;
	int r = read_below(root, "/proc/self/cgroup", &self);

	if (r == 0 && !*root && find_usual((const char *)self.p, ret) == 0)
		return 0;
	if (r == 0)
		r = read_below(root, "/proc/self/mountinfo", &mounts);
	return r < 0 ? r : cgroupfs_locate((const char *)self.p, (const char *)mounts.p, ret);
}

int
cgroupfs_own(const char *root, char **ret)
{
	static char *own;
	static int known = -EAGAIN;

	if (*root)
		return find_own(root, ret);
	if (known == -EAGAIN)
		known = find_own("", &own);
	if (known < 0)
		return known;
	*ret = strdup(own);
	return *ret ? 0 : -ENOMEM;
}
