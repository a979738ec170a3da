/* Invariant: every step starts from a descriptor of the previous directory and follows no link. So
 * nothing outside of the job's out-dir is touched or reported, even if the job changes directories
 * meanwhile. */
#include "config.h"

#include "worker/sandbox/out_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fs.h"

/* The job writes there as well, and may have another uid; what holds its directory keeps out all
 * others. 0, or -1 with errno set. */
static int
make_dir(int at, const char *name)
{
	_cleanup_(closep) int fd = -1;

	if (mkdirat(at, name, 0755) < 0)
		return errno == EEXIST ? 0 : -1;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -1 : fchmod(fd, 0777);
}

/* Opens the directory that holds the last component of the name; *ret_last points to that
 * component. A descriptor, or -errno. */
static int
walk(int dir, const char *name, bool make, const char **ret_last)
{
	_cleanup_(closep) int at = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	const char *slash;

	if (at < 0)
		return -errno;
	while ((slash = strchr(name, '/'))) {
		size_t n = (size_t)(slash - name);
		char part[NAME_MAX + 1];
		int next;

		if (n > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(part, name, n);
		part[n] = '\0';
		if (make && make_dir(at, part) < 0)
			return -errno;
		next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return -errno;
		closep(&at);
		at = next;
		name = slash + 1;
	}
	*ret_last = name;
	return steal_fd(&at);
}

int
out_dir_has(int dir, const char *name)
{
	const char *last = NULL;
	_cleanup_(closep) int at = walk(dir, name, false, &last);
	struct stat st;

	if (at < 0)
		return at == -EACCES ? 1 : at == -ENOENT || at == -ENOTDIR || at == -ELOOP ? 0 : at;
	if (fstatat(at, last, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno == EACCES)
		return 1;
	return errno == ENOENT ? 0 : -errno;
}

int
out_dir_make(int dir, const char *name)
{
	const char *last = NULL;
	_cleanup_(closep) int at = walk(dir, name, true, &last);

	if (at < 0)
		return at;
	return make_dir(at, last) < 0 ? -errno : 0;
}

int
out_dir_put(int dir, const char *name, int from, int64_t modified)
{
	const char *last = NULL;
	_cleanup_(closep) int at = walk(dir, name, true, &last), to = -1;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	int r;

	if (at < 0)
		return at;
	to = openat(at, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (to < 0)
		return -errno;
	r = fs_copy_fd(from, to);
	times[1].tv_sec = modified / 1000000000 - (modified % 1000000000 < 0);
	times[1].tv_nsec = modified - times[1].tv_sec * 1000000000;
	if (r == 0 && futimens(to, times) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(at, last, 0);
	return r;
}
