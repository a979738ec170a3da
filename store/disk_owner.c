/* Opening a store that one process owns: a lock, a clean tmp/, and an index of what is there.
 *
 * Invariant: after that the index holds exactly the names under blobs/ and entries/, and each
 * blob's is the name of its bytes or is marked as not yet verified.
 *
 * The mark is for power cuts, which can leave a name with any length of wrong bytes behind (nothing
 * is synced, and sizes are not recorded elsewhere). DIR/boot names the boot in which the store was
 * last open. Within one boot the kernel's page cache is whole, whatever happened to our process;
 * what is found under another boot's name is in doubt, and hashed when it is first asked for. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/fs.h"
#include "store/disk_priv.h"

static int
take_lock(const struct disk *d, int *ret_lock)
{
	_cleanup_(freep) char *path = path_join(d->dir, "lock");
	_cleanup_(closep) int fd = -1;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EINTR)
			continue;
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	}
	*ret_lock = steal_fd(&fd);
	return 0;
}

/* Removes what `stays` does not know; NULL: everything. The directory is made when it is not there,
 * and is no link. */
static int
clean(const struct disk *d, const char *name, bool (*stays)(int dir_fd, const char *name))
{
	_cleanup_(freep) char *path = path_join(d->dir, name);
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *e;
	int r, fd;

	if (!path)
		return -ENOMEM;
	r = fs_mkdir_p(path, d->index->dir_mode);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0 && (errno = 0, e = readdir(dir))) {
		_cleanup_(freep) char *below = NULL;

		if (streq(e->d_name, ".") || streq(e->d_name, "..") ||
			(stays && stays(dirfd(dir), e->d_name)))
			continue;
		below = path_join(path, e->d_name);
		r = below ? fs_rm_rf(below) : -ENOMEM;
		errno = 0;
	}
	return r < 0 ? r : -errno;
}

/* No file, and no symlink, in a directory's place. */
static bool
is_sub(int dir_fd, const char *name)
{
	struct stat st;

	return strspn(name, "0123456789abcdef") == 2 && !name[2] &&
	       fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Whether the store was last open in this very boot; and says that it now is. */
static int
check_boot(const struct disk *d, bool *ret_same)
{
	_cleanup_(buf_done) struct buf now = BUF_INIT;
	_cleanup_(buf_done) struct buf then = BUF_INIT;
	_cleanup_(freep) char *path = path_join(d->dir, "boot");

	*ret_same = false;
	if (!path)
		return -ENOMEM;
	if (fs_read_file("/proc/sys/kernel/random/boot_id", 256, &now) < 0 || !now.n) {
		/* An unknown boot is never the same as another one. */
		(void)unlink(path);
		return 0;
	}
	if (fs_read_file(path, 256, &then) == 0 && then.n == now.n &&
		memcmp(then.p, now.p, now.n) == 0) {
		*ret_same = true;
		return 0;
	}
	return fs_write_atomic(path, now.p, now.n, 0644);
}

static int
scan(struct disk *d, bool trusted)
{
	_cleanup_(disk_found_done) struct disk_found f = { .v = NULL };
	uint64_t begun = (uint64_t)time(NULL);
	int r = 0;

	for (unsigned sub = 0; r == 0 && sub < DISK_SUBS; sub++)
		r = disk_look_into(d, sub, &f);
	if (r < 0)
		return r;
	for (size_t i = 0; i < f.n; i++)
		f.v[i].verified = trusted;
	d->index->lock(d);
	r = d->index->scanned(d, 0, DISK_SUBS, f.v, f.n, begun);
	d->index->unlock(d);
	return r;
}

int
disk_own(struct disk *d, int *ret_lock)
{
	bool same_boot;
	int r = fs_mkdir_p(d->dir, d->index->dir_mode);

	if (r == 0)
		r = take_lock(d, ret_lock);
	/* Room first: on a full disk not even the boot's name could be written. */
	if (r == 0)
		r = clean(d, "tmp", NULL);
	if (r == 0)
		r = clean(d, disk_dirs[STORE_BLOB], is_sub);
	if (r == 0)
		r = clean(d, disk_dirs[STORE_ENTRY], is_sub);
	if (r == 0)
		r = check_boot(d, &same_boot);
	return r == 0 ? scan(d, same_boot) : r;
}
