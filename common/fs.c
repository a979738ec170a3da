/* File-system helpers. Invariants: no name that a job or a peer could have made is followed as a
 * symlink where the header says so; a failed write leaves no temporary file. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#include "common/fs.h"
#include "common/strv.h"

#define COPY_SIZE (64 * 1024)
#define COPY_RANGE_MAX (1u << 30)
/* Directories held open at a time while a tree is removed; deeper ones are first moved up. */
#define RM_DEPTH 32

void
closedirp(DIR **d)
{
	int saved = errno;

	if (*d)
		closedir(*d);
	*d = NULL;
	errno = saved;
}

void
fts_closep(FTS **f)
{
	int saved = errno;

	if (*f)
		fts_close(*f);
	*f = NULL;
	errno = saved;
}

char *
fs_find_up(const char *from, bool (*is_it)(const char *dir), unsigned most)
{
	char *dir = strdup(from);

	for (unsigned i = 0; dir && i < most && !streq(dir, "/"); i++) {
		char *up;

		if (is_it(dir))
			return dir;
		up = path_dirname(dir);
		free(dir);
		dir = up;
	}
	free(dir);
	return NULL;
}

mode_t
fs_umask(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return mask;
}

int
fs_mask_in(const char *dir, mode_t umask, mode_t *ret)
{
	/* of a list with more entries than fit the umask is taken, which is wrong only in a mode */
	struct {
		struct posix_acl_xattr_header header;
		struct posix_acl_xattr_entry entries[128];
	} acl;
	ssize_t n = getxattr(dir, "system.posix_acl_default", &acl, sizeof(acl));
	unsigned owner = 0, group = 0, others = 0;
	bool masked = false;

	*ret = umask;
	if (n < (ssize_t)sizeof(acl.header))
		return 0;
	for (size_t i = 0; i < ((size_t)n - sizeof(acl.header)) / sizeof(acl.entries[0]); i++) {
		unsigned tag = le16toh(acl.entries[i].e_tag);
		unsigned may = le16toh(acl.entries[i].e_perm) & 7;

		if (tag == ACL_USER_OBJ)
			owner = may;
		else if (tag == ACL_OTHER)
			others = may;
		else if (tag == ACL_MASK || (tag == ACL_GROUP_OBJ && !masked))
			group = may;
		masked |= tag == ACL_MASK;
	}
	*ret = ~(owner << 6 | group << 3 | others) & 0777;
	return 1;
}

bool
fs_has_acl(int fd)
{
	return fgetxattr(fd, "system.posix_acl_access", NULL, 0) > 0;
}

/* 0 when path is a directory after all, for whatever reason mkdir refused it. */
static int
mkdir_one(const char *path, mode_t mode)
{
	struct stat st;
	int err;

	if (mkdir(path, mode) == 0)
		return 0;
	err = errno;
	if (err == ENOENT)
		return -err;
	/* EROFS and EACCES come before EEXIST on some file systems. */
	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	return -err;
}

int
fs_mkdir_p(const char *path, mode_t mode)
{
	_cleanup_(freep) char *copy = NULL;
	int r;

	if (!*path)
		return -ENOENT;
	r = mkdir_one(path, mode);
	if (r != -ENOENT)
		return r;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	for (char *p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		r = mkdir_one(copy, mode);
		if (r < 0)
			return r;
		*p = '/';
	}
	return mkdir_one(path, mode);
}

int
fs_mkdir_parent(const char *path, mode_t mode)
{
	_cleanup_(freep) char *dir = path_dirname(path);

	return dir ? fs_mkdir_p(dir, mode) : -ENOMEM;
}

int
fs_check_owner(const char *dir)
{
	uid_t me = geteuid();
	struct stat st;

	if (stat(dir, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	return (st.st_mode & S_IWOTH) || (me != 0 && st.st_uid != me && st.st_uid != 0) ? -EPERM
											: 0;
}

/* Opens a directory below `at` for removal; gives its owner the rights that removal needs. */
static int
rm_open_dir(int at, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	_cleanup_(closep) int path_fd = -1;
	char proc[32];
	struct stat st;
	int fd;

	fd = openat(at, name, flags);
	if (fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & S_IRWXU) != S_IRWXU)
		(void)fchmod(fd, (st.st_mode & 07777) | S_IRWXU);
	if (fd >= 0 || errno != EACCES)
		return fd < 0 ? -errno : fd;
	/* chmod by name could be led astray by a symlink; fchmod refuses O_PATH descriptors. */
	path_fd = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (path_fd < 0)
		return -errno;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", path_fd);
	if (chmod(proc, S_IRWXU) < 0)
		return -EACCES;
	fd = openat(at, name, flags);
	return fd < 0 ? -errno : fd;
}

/* Moves a directory that is too deep up to the top, where a later pass finds it. */
static int
rm_move_up(int at, const char *name, int top, unsigned *counter)
{
	char to[48];
	int fd;

	/* Moving a directory writes its "..": it must be writable itself. */
	fd = rm_open_dir(at, name);
	if (fd < 0)
		return fd;
	close(fd);
	for (;;) {
		snprintf(to, sizeof(to), ".dray-rm-%u", (*counter)++);
		if (renameat2(at, name, top, to, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno == EINVAL && *counter < UINT_MAX && renameat(at, name, top, to) == 0)
			return 0;
		if (errno != EEXIST && errno != ENOTEMPTY)
			return -errno;
	}
}

/* Empties the directory fd (which it takes over). Returns 0 or the first error, after having
 * removed what could be removed; *ret_work counts what went. */
static int
rm_contents(int fd, int top, unsigned depth, unsigned *counter, uint64_t *ret_work)
{
	_cleanup_(closedirp) DIR *d = fdopendir(fd);
	struct dirent *e;
	int first = 0;

	if (!d) {
		int r = -errno;

		close(fd);
		return r;
	}
	while ((errno = 0, e = readdir(d))) {
		int r = 0, sub;

		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		if (unlinkat(fd, e->d_name, 0) < 0)
			r = -errno;
		if (r == -EISDIR || r == -EPERM) {
			if (unlinkat(fd, e->d_name, AT_REMOVEDIR) == 0) {
				r = 0;
			} else if (errno != ENOTEMPTY && errno != EEXIST && errno != EACCES) {
				r = errno == ENOTDIR ? r : -errno;
			} else if (depth >= RM_DEPTH) {
				r = rm_move_up(fd, e->d_name, top, counter);
			} else {
				sub = rm_open_dir(fd, e->d_name);
				r = sub < 0 ? sub
					    : rm_contents(sub, top < 0 ? fd : top, depth + 1,
						      counter, ret_work);
				if (r == 0 && unlinkat(fd, e->d_name, AT_REMOVEDIR) < 0)
					r = -errno;
			}
		}
		if (r == 0)
			(*ret_work)++;
		else if (r != -ENOENT && !first)
			first = r;
	}
	return first ? first : -errno;
}

int
fs_rm_rf(const char *path)
{
	unsigned counter = 0;
	uint64_t work;
	int r, fd;

	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	/* Again while anything moves: deep directories come up, and a dying process may still add
	 * a file. */
	for (;;) {
		if (rmdir(path) == 0 || errno == ENOENT)
			return 0;
		if (errno != ENOTEMPTY && errno != EEXIST && errno != EACCES)
			return -errno;
		fd = rm_open_dir(AT_FDCWD, path);
		if (fd < 0)
			return fd;
		work = 0;
		r = rm_contents(fd, -1, 0, &counter, &work);
		if (!work) {
			if (rmdir(path) == 0 || errno == ENOENT)
				return 0;
			return r < 0 ? r : -errno;
		}
	}
}

int
fs_list_dir(const char *path, struct strv *ret)
{
	_cleanup_(closedirp) DIR *d = opendir(path);
	_cleanup_(strv_done) struct strv names = STRV_INIT;
	struct dirent *e;
	int r = d ? 0 : -errno;

	while (r == 0 && (errno = 0, e = readdir(d)))
		if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
			r = strv_add(&names, e->d_name);
	if (r == 0 && errno != 0)
		r = -errno;
	strv_sort_unique(&names);
	return r == 0 && names.n > 0 ? strv_add_all(ret, names.v) : r;
}

int
fs_read_file(const char *path, size_t max, struct buf *ret)
{
	_cleanup_(closep) int fd = -1;
	size_t before = ret->n, got = 0;
	struct stat st;
	int r;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (st.st_size > 0 && (uint64_t)st.st_size > max)
		return -EFBIG;
	/* One more than the file's size, so that its end is seen without growing; files in /proc
	 * have no size. */
	r = buf_reserve(ret, st.st_size > 0 ? (size_t)st.st_size + 1 : 4096);
	for (;;) {
		ssize_t k;

		if (r == 0 && ret->cap - ret->n < 2)
			r = buf_reserve(ret, ret->cap / 2 + 4096);
		if (r < 0)
			break;
		k = read(fd, ret->p + ret->n, ret->cap - ret->n - 1);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			r = -errno;
		else if ((got += (size_t)k) > max)
			r = -EFBIG;
		if (k <= 0 || r < 0)
			break;
		ret->n += (size_t)k;
	}
	if (r < 0)
		ret->n = before;
	if (ret->p)
		ret->p[ret->n] = '\0';
	return r;
}

int
fs_write_all(int fd, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n) {
		ssize_t r = write(fd, b, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			return -EIO;
		b += r;
		n -= (size_t)r;
	}
	return 0;
}

ssize_t
fs_read_at(int fd, void *p, size_t n, uint64_t at)
{
	uint8_t *b = p;
	size_t got = 0;

	while (got < n) {
		ssize_t r = pread(fd, b + got, n - got, (off_t)(at + got));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

ssize_t
fs_read_cached(int fd, void *p, size_t n, uint64_t at)
{
	const struct iovec v = { p, n };
	ssize_t r;

	do
		r = preadv2(fd, &v, 1, (off_t)at, RWF_NOWAIT);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

bool
fs_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* How a file is put in the place of another. */
struct replacing {
	const char *path;
	mode_t mode;
	bool sync;
	const struct stat *old; /* NULL: whatever is there */
};

static int
check_old(const struct replacing *r)
{
	struct stat st;

	if (!r->old)
		return 0;
	if (stat(r->path, &st) < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	return fs_same_file(&st, r->old) ? 0 : -ESTALE;
}

/* Takes the descriptor, of a new file `tmp`. */
static int
write_and_rename(int fd, const char *tmp, const struct replacing *to, const void *p, size_t n)
{
	int r = fs_write_all(fd, p, n);

	if (r == 0 && fchmod(fd, to->mode) < 0)
		r = -errno;
	if (r == 0 && to->sync && fsync(fd) < 0)
		r = -errno;
	/* Network file systems and quotas report a failed write only here. */
	if (close(fd) < 0 && r == 0 && errno != EINTR)
		r = -errno;
	if (r == 0)
		r = check_old(to);
	if (r == 0 && rename(tmp, to->path) < 0)
		r = -errno;
	if (r < 0)
		unlink(tmp);
	return r;
}

static int
write_beside(const struct replacing *to, const void *p, size_t n)
{
	_cleanup_(freep) char *tmp = NULL;
	int fd;

	if (asprintf(&tmp, "%s.tmp-XXXXXX", to->path) < 0) {
		tmp = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(tmp, O_CLOEXEC);
	return fd < 0 ? -errno : write_and_rename(fd, tmp, to, p, n);
}

int
fs_write_atomic(const char *path, const void *p, size_t n, mode_t mode)
{
	return write_beside(&(struct replacing){ path, mode, false, NULL }, p, n);
}

int
fs_write_atomic_by(const char *tmp, const char *path, const void *p, size_t n, mode_t mode)
{
	int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? -errno
		      : write_and_rename(
				fd, tmp, &(struct replacing){ path, mode, false, NULL }, p, n);
}

/* There are file systems that cannot sync a directory; the file is in its place in any case. */
static void
sync_dir_of(const char *path)
{
	_cleanup_(freep) char *dir = path_dirname(path);
	_cleanup_(closep) int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0)
		(void)fsync(fd);
}

int
fs_replace(const char *path, const void *p, size_t n, mode_t mode, const struct stat *old)
{
	int r = write_beside(&(struct replacing){ path, mode, true, old }, p, n);

	if (r == 0)
		sync_dir_of(path);
	return r;
}

static int
copy_by_hand(int from, int to)
{
	uint8_t chunk[COPY_SIZE];

	for (;;) {
		ssize_t k = read(from, chunk, sizeof(chunk));
		int r;

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : 0;
		r = fs_write_all(to, chunk, (size_t)k);
		if (r < 0)
			return r;
	}
}

int
fs_copy_fd(int from, int to)
{
	for (;;) {
		ssize_t k = copy_file_range(from, NULL, to, NULL, COPY_RANGE_MAX, 0);

		if (k > 0 || (k < 0 && errno == EINTR))
			continue;
		/* These are about this file's data or its disk; all others are about the call. */
		if (k < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
			return -errno;
		/* Also at its end: files without a size, as in /proc, look empty to this call. Both
		 * descriptors' offsets are where it stopped. */
		return copy_by_hand(from, to);
	}
}

int
fs_clone_fd(int from, int to)
{
	return ioctl(to, FICLONE, from) < 0 ? -errno : 0;
}

int
fs_open_regular(const char *path, struct stat *ret_st)
{
	_cleanup_(closep) int fd = -1;
	struct stat st;

	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		/* ENXIO: a socket, or a device that is not there. */
		return errno == ENXIO ? -EINVAL : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (ret_st)
		*ret_st = st;
	return steal_fd(&fd);
}

bool
fs_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

int
fs_make_temp_dir(const char *dir, const char *prefix, char **ret)
{
	_cleanup_(freep) char *path = NULL;

	if (asprintf(&path, "%s/%sXXXXXX", dir, prefix) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(path))
		return -errno;
	*ret = steal_ptr(path);
	return 0;
}

bool
fs_can_run(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	/* Old seccomp profiles say EPERM to faccessat2, and glibc then tries nothing else. */
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ||
	       (errno == EPERM && access(path, X_OK) == 0);
}

char *
fs_which(const char *name, const char *path_env)
{
	if (!*name)
		return NULL;
	if (strchr(name, '/'))
		return fs_can_run(name) ? strdup(name) : NULL;
	/* What execvp uses where there is no PATH. */
	if (!path_env)
		path_env = "/bin:/usr/bin";
	for (;;) {
		const char *end = strchrnul(path_env, ':');
		_cleanup_(freep) char *dir = strndup(path_env, (size_t)(end - path_env));
		_cleanup_(freep) char *full = NULL;

		if (!dir)
			return NULL;
		/* An empty element is the current directory. */
		full = path_join(*dir ? dir : ".", name);
		if (!full)
			return NULL;
		if (fs_can_run(full))
			return steal_ptr(full);
		if (!*end)
			return NULL;
		path_env = end + 1;
	}
}
