/* Invariants: a directory is believed only if nobody but members of its group can have written
 * there, and this process is of the group: to believe what members write is to run what they wrote,
 * so that root must be a member as well. A name in a shared directory leads to a file, or a
 * directory, that has its whole mode. */
#include "config.h"

#include "common/share.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/fs.h"

#define GROUPS_FILE "/etc/group"
#define GROUPS_FILE_MAX (16u << 20)

/* A number below the one that stands for no group. */
static bool
parse_gid(const char *p, size_t n, gid_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9' || v > UINT32_MAX)
			return false;
		v = v * 10 + (uint64_t)(p[i] - '0');
	}
	if (n == 0 || v >= UINT32_MAX)
		return false;
	*ret = (gid_t)v;
	return true;
}

/* name:password:number:members */
static bool
parse_line(const char *p, const char *end, const char *group, gid_t *ret)
{
	size_t n = strlen(group);
	const char *colon, *number;

	if ((size_t)(end - p) <= n || memcmp(p, group, n) != 0 || p[n] != ':')
		return false;
	colon = memchr(p + n + 1, ':', (size_t)(end - p) - n - 1);
	if (!colon)
		return false;
	number = colon + 1;
	colon = memchr(number, ':', (size_t)(end - number));
	return colon && parse_gid(number, (size_t)(colon - number), ret);
}

int
share_parse(const char *text, size_t n, const char *group, gid_t *ret)
{
	const char *end = text + n, *next;

	if (parse_gid(group, strlen(group), ret))
		return 0;
	for (const char *p = text; *group && p < end; p = next + 1) {
		next = memchr(p, '\n', (size_t)(end - p));
		if (!next)
			next = end;
		if (parse_line(p, next, group, ret))
			return 0;
	}
	return -ENOENT;
}

/* getgrnam would load modules, which a program that is linked statically cannot. */
static int
find_group(const char *group, gid_t *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (share_parse("", 0, group, ret) == 0)
		return 0;
	if (fs_read_file(GROUPS_FILE, GROUPS_FILE_MAX, &b) < 0)
		return -ENOENT;
	return share_parse((const char *)b.p, b.n, group, ret);
}

static bool
is_member(gid_t gid)
{
	_cleanup_(freep) gid_t *all = NULL;
	int n;

	if (getegid() == gid)
		return true;
	n = getgroups(0, NULL);
	all = n > 0 ? calloc((size_t)n, sizeof(*all)) : NULL;
	n = all ? getgroups(n, all) : 0;
	while (n-- > 0)
		if (all[n] == gid)
			return true;
	return false;
}

static int _printf_(2, 3) refuse(char why[SHARE_WHY_SIZE], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, SHARE_WHY_SIZE, fmt, ap);
	va_end(ap);
	return -EPERM;
}

/* It is made with the first thing that is put there, unless anybody could be quicker. */
static int
check_absent(const char *dir, const char *group, char why[SHARE_WHY_SIZE])
{
	_cleanup_(freep) char *above = path_dirname(dir);
	struct stat st;

	if (above && access(above, W_OK | X_OK) == 0 && stat(above, &st) == 0 &&
		!(st.st_mode & S_IWOTH))
		return 0;
	return refuse(why, "%.300s is not there: install -d -m 2770 -g %.64s %s", dir, group,
		strlen(dir) < 100 ? dir : "DIR");
}

/* Whether anybody could put another directory in its place, after it was looked at. */
static int
check_above(const char *dir, char why[SHARE_WHY_SIZE])
{
	_cleanup_(freep) char *above = path_dirname(dir);
	struct stat st;

	while (above) {
		char *up = streq(above, "/") ? NULL : path_dirname(above);

		if (stat(above, &st) == 0 && (st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX)) {
			free(up);
			return refuse(why,
				"anybody may write to %.200s, and put another directory in the "
				"place of %.200s: chmod o-w it",
				above, dir);
		}
		free(above);
		above = up;
	}
	return 0;
}

/* An access list lets in others than the mode tells: its mask stands where the group's bits do. */
static bool
has_list(const char *dir)
{
	return lgetxattr(dir, "system.posix_acl_access", NULL, 0) > 0 ||
	       lgetxattr(dir, "system.posix_acl_default", NULL, 0) > 0;
}

static int
check_dir(const char *dir, const char *group, gid_t gid, char why[SHARE_WHY_SIZE])
{
	struct stat st;

	if (lstat(dir, &st) < 0)
		return errno == ENOENT ? check_absent(dir, group, why)
				       : refuse(why, "%.300s: %s", dir, strerror(errno));
	if (S_ISLNK(st.st_mode))
		return refuse(why,
			"%.300s is a symbolic link: set cache_dir to the directory itself", dir);
	if (!S_ISDIR(st.st_mode))
		return refuse(why, "%.300s is no directory", dir);
	if (st.st_gid != gid)
		return refuse(why,
			"%.300s is of another group: chgrp %.64s it, as long as it is empty", dir,
			group);
	if ((st.st_mode & 07777) != SHARE_DIR_MODE)
		return refuse(why, "%.300s has mode %04o%s: chmod 2770 it", dir,
			(unsigned)st.st_mode & 07777,
			st.st_mode & S_IWOTH ? ", so that anybody may write there" : "");
	if (has_list(dir))
		return refuse(why,
			"%.300s has an access list, which may let others in: setfacl -b it", dir);
	return check_above(dir, why);
}

int
share_check(const char *dir, const char *group, struct share *ret, char why[SHARE_WHY_SIZE])
{
	gid_t gid;
	int r;

	if (find_group(group, &gid) < 0)
		return refuse(why,
			"there is no group %.64s in " GROUPS_FILE
			": set cache_group to its number, if another directory has it",
			group);
	if (!is_member(gid))
		return refuse(why,
			"this process is not of the group %.64s (cache_group): let an admin add "
			"the user (gpasswd -a USER GROUP), and log in again",
			group);
	if (!dir || !*dir)
		return refuse(why,
			"cache_group is set, and cache_dir is not: set it to the directory that "
			"is shared");
	r = check_dir(dir, group, gid, why);
	if (r == 0)
		*ret = (struct share){ .on = true, .gid = gid };
	return r;
}

int
share_seal(const struct share *s, int fd, mode_t mode)
{
	struct stat st;

	/* the group first: that may take bits of the mode away */
	if (s->on &&
		(fstat(fd, &st) < 0 || (st.st_gid != s->gid && fchown(fd, (uid_t)-1, s->gid) < 0)))
		return -errno;
	return fchmod(fd, mode) < 0 ? -errno : 0;
}

/* Gives it its name, unless that is taken by now. */
static int
place(const char *temp, const char *path, bool is_dir)
{
	if (renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE) == 0 || errno == EEXIST)
		return 0;
	/* NFS and its like */
	if (is_dir ? rename(temp, path) == 0 || errno == ENOTEMPTY || errno == EEXIST
		   : link(temp, path) == 0 || errno == EEXIST)
		return 0;
	return -errno;
}

static char *
temp_name(const char *path)
{
	char *temp;

	return asprintf(&temp, "%s.XXXXXX", path) < 0 ? NULL : temp;
}

static int
make_dir(const struct share *s, const char *path)
{
	_cleanup_(freep) char *temp = temp_name(path);
	_cleanup_(closep) int fd = -1;
	int r = 0;

	if (!temp)
		return -ENOMEM;
	if (!mkdtemp(temp))
		return -errno;
	fd = open(temp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		r = -errno;
	if (r == 0)
		r = share_seal(s, fd, SHARE_DIR_MODE);
	if (r == 0)
		r = place(temp, path, true);
	/* gone, unless another was quicker */
	(void)rmdir(temp);
	return r;
}

static int
make_below(const struct share *s, const char *top, const char *path)
{
	_cleanup_(freep) char *above = NULL;
	struct stat st;
	int r;

	if (lstat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	if (errno != ENOENT)
		return -errno;
	if (!path_is_below(path, top))
		return -ENOENT;
	above = path_dirname(path);
	r = !above ? -ENOMEM : streq(path, top) ? 0 : make_below(s, top, above);
	return r < 0 ? r : make_dir(s, path);
}

int
share_mkdir_p(const struct share *s, const char *top, const char *path, mode_t own_mode)
{
	return s->on ? make_below(s, top, path) : fs_mkdir_p(path, own_mode);
}

static int
make_file(const struct share *s, const char *path)
{
	_cleanup_(freep) char *temp = temp_name(path);
	_cleanup_(closep) int fd = -1;
	int r;

	if (!temp)
		return -ENOMEM;
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = share_seal(s, fd, SHARE_FILE_MODE);
	if (r == 0)
		r = place(temp, path, false);
	(void)unlink(temp);
	return r;
}

int
share_open(const struct share *s, const char *path, mode_t own_mode)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
	int fd, r;

	if (!s->on) {
		fd = open(path, flags | O_CREAT, own_mode);
		return fd < 0 ? -errno : fd;
	}
	fd = open(path, flags);
	if (fd < 0 && errno == ENOENT) {
		r = make_file(s, path);
		if (r < 0)
			return r;
		fd = open(path, flags);
	}
	return fd < 0 ? -errno : fd;
}
