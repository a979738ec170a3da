/* Reading: is it here, open it, give it another name.
 *
 * Invariant: a blob that is handed out was once found to be what its name says: by the index, or
 * now. A wrong one is removed, and counts as absent. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "store/disk_priv.h"
#include "common/fs.h"
#include "common/log/log.h"

/* Sets the atime, for when the index is made anew; also the mtime when asked to: a blob's inode is
 * also an input of a job, or a checkout's file, whose mtime must stay. 0, or -errno. */
static int
touch(const char *path, bool both)
{
	const struct timespec times[2] = { { 0, UTIME_NOW }, { 0, both ? UTIME_NOW : UTIME_OMIT } };

	return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

void
disk_note(struct disk *d, enum store_kind kind, const struct digest *name, uint64_t bytes)
{
	struct disk_item i = {
		.kind = kind, .name = *name, .bytes = bytes, .used = (uint64_t)time(NULL)
	};

	d->index->lock(d);
	(void)d->index->note(d, &i);
	d->index->unlock(d);
}

/* Drops what the index said is here, and is wrong or gone. */
static void
drop(struct disk *d, enum store_kind kind, const struct digest *name)
{
	struct disk_item i;
	char later[PATH_MAX] = "";
	bool idle;

	d->index->lock(d);
	if (d->index->find(d, kind, name, &i, &idle) == 0) {
		(void)disk_remove_file(d, &i, later);
		(void)d->index->forget(d, &i, 1);
	}
	d->index->unlock(d);
	disk_free(later);
}

int
disk_drop(struct store *s, enum store_kind kind, const struct digest *name)
{
	drop(disk_of(s), kind, name);
	return 0;
}

int
disk_discard(struct disk *d, const struct digest *name, int fd)
{
	struct stat ours, there;
	char path[PATH_MAX];

	disk_path(d, STORE_BLOB, name, path);
	log_debug("%s is damaged", path);
	if (!d->index->shared)
		drop(d, STORE_BLOB, name);
	else if (!d->read_only && (fd < 0 || (fstat(fd, &ours) == 0 && lstat(path, &there) == 0 &&
						     ours.st_ino == there.st_ino)))
		unlink(path);
	return -EBADMSG;
}

int
disk_open_good(struct disk *d, const struct digest *name, uint64_t max, struct stat *ret)
{
	_cleanup_(closep) int fd = -1;
	struct digest found;
	char path[PATH_MAX];
	struct stat st;
	int r;

	disk_path(d, STORE_BLOB, name, path);
	fd = fs_open_regular(path, &st);
	if (fd == -ELOOP || fd == -EINVAL)
		return disk_discard(d, name, -1);
	if (fd < 0)
		return fd;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	/* Where there are other users, a file that was changed in place is theirs to date back: the
	 * ctime counts, and each user's memo has only what that user saw. */
	r = d->index->digest(d, fd, !d->share.on, &found, &st);
	/* -EIO: a disk that cannot read it any more */
	if (r == -EIO || (r == 0 && !digest_eq(&found, name)))
		return disk_discard(d, name, fd);
	if (r < 0)
		return r;
	*ret = st;
	return steal_fd(&fd);
}

/* Of a blob that the index has not seen verified. */
static int
verify(struct disk *d, const struct digest *name)
{
	_cleanup_(closep) int fd = -1;
	struct disk_item i;
	struct stat st;
	bool idle;

	fd = disk_open_good(d, name, UINT64_MAX, &st);
	if (fd < 0)
		return fd;
	d->index->lock(d);
	if (d->index->find(d, STORE_BLOB, name, &i, &idle) == 0) {
		i.verified = true;
		(void)d->index->note(d, &i);
	}
	d->index->unlock(d);
	return 0;
}

/* Asks the index, and marks it as used now. -ENOENT; -ENODATA: it cannot say. */
static int
use(struct disk *d, enum store_kind kind, const struct digest *name, const char *path,
	struct disk_item *ret)
{
	bool touch_it = false;
	int r;

	d->index->lock(d);
	r = d->index->find(d, kind, name, ret, &touch_it);
	d->index->unlock(d);
	if (r < 0)
		return r;
	if (touch_it && touch(path, false) == -ENOENT) {
		drop(d, kind, name);
		return -ENOENT;
	}
	if (kind == STORE_BLOB && !ret->verified) {
		r = verify(d, name);
		if (r == -ENOENT)
			drop(d, kind, name);
		return r < 0 ? -ENOENT : 0;
	}
	return 0;
}

bool
disk_is_here(struct disk *d, const struct digest *name, uint64_t size)
{
	_cleanup_(closep) int fd = -1;
	char path[PATH_MAX];
	struct disk_item i;
	struct stat st;
	bool touch_it = false;
	int r = d->index->find(d, STORE_BLOB, name, &i, &touch_it);

	if (r == -ENODATA) {
		fd = disk_open_good(d, name, UINT64_MAX, &st);
		return fd >= 0 && (uint64_t)st.st_size == size;
	}
	/* one in doubt is not hashed, but replaced */
	if (r < 0 || !i.verified)
		return false;
	disk_path(d, STORE_BLOB, name, path);
	return touch_it ? touch(path, false) == 0
			: faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int
has(struct disk *d, enum store_kind kind, const struct digest *name, uint64_t *ret_size)
{
	char path[PATH_MAX];
	struct disk_item i;
	struct stat st;
	int r;

	disk_path(d, kind, name, path);
	r = use(d, kind, name, path, &i);
	if (r == 0)
		*ret_size = i.bytes;
	if (r != -ENODATA)
		return r;
	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOENT;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

void
disk_has(struct store *s, enum store_kind kind, const struct digest *name, store_done_fn done,
	void *arg)
{
	struct store_reply reply = { .fd = -1 };
	int r = has(disk_of(s), kind, name, &reply.size);

	if (r < 0)
		store_answer_error(done, arg, r);
	else
		done(arg, &reply);
}

/* It may have been read for its digest. */
static int
open_at_begin(struct disk *d, const struct digest *name, uint64_t max, struct stat *ret)
{
	_cleanup_(closep) int fd = -1;

	fd = disk_open_good(d, name, max, ret);
	if (fd < 0)
		return fd;
	return lseek(fd, 0, SEEK_SET) < 0 ? -errno : steal_fd(&fd);
}

/* A descriptor, or -errno. */
static int
open_for(struct disk *d, enum store_kind kind, const struct digest *name, uint64_t max,
	uint64_t *ret_size)
{
	_cleanup_(closep) int fd = -1;
	char path[PATH_MAX];
	struct disk_item i;
	struct stat st;
	int r;

	disk_path(d, kind, name, path);
	r = use(d, kind, name, path, &i);
	if (r < 0 && r != -ENODATA)
		return r;
	if (r == -ENODATA && kind == STORE_BLOB)
		fd = open_at_begin(d, name, max, &st);
	else
		fd = fs_open_regular(path, &st);
	if (fd == -ENOENT && r == 0)
		drop(d, kind, name);
	if (fd < 0)
		return fd;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	*ret_size = (uint64_t)st.st_size;
	return steal_fd(&fd);
}

void
disk_get(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
	store_done_fn done, void *arg)
{
	struct store_reply reply = { .fd = -1 };

	reply.fd = open_for(disk_of(s), kind, name, max, &reply.size);
	if (reply.fd < 0)
		store_answer_error(done, arg, reply.fd);
	else
		done(arg, &reply);
}

static int
copy_out(struct disk *d, const char *blob, const char *path)
{
	_cleanup_(closep) int from = open(blob, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_(closep) int to = -1;
	int r;

	if (from < 0)
		return -errno;
	to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;
	r = fs_copy_fd(from, to);
	if (r == 0 && fchmod(to, d->index->blob_mode) < 0)
		r = -errno;
	if (close(steal_fd(&to)) < 0 && r == 0 && errno != EINTR)
		r = -errno;
	if (r < 0)
		unlink(path);
	return r;
}

int
disk_link(struct store *s, const struct digest *name, const char *path)
{
	struct disk *d = disk_of(s);
	char blob[PATH_MAX];
	struct disk_item i;
	int r;

	disk_path(d, STORE_BLOB, name, blob);
	r = use(d, STORE_BLOB, name, blob, &i);
	if (r == -ENODATA)
		r = verify(d, name);
	if (r < 0)
		return r;
	if (linkat(AT_FDCWD, blob, AT_FDCWD, path, 0) == 0)
		return 0;
	r = -errno;
	if (r == -EMLINK || r == -EXDEV || r == -EPERM || r == -EOPNOTSUPP)
		r = copy_out(d, blob, path);
	/* The blob may have gone, or the directory of path may be missing. */
	if (r == -ENOENT && faccessat(AT_FDCWD, blob, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
		errno == ENOENT)
		drop(d, STORE_BLOB, name);
	return disk_after_error(d, r, 0);
}

void
disk_used(struct store *s, const struct digest *key, const struct digest *blobs, size_t n)
{
	struct disk *d = disk_of(s);
	char path[PATH_MAX];
	struct stat st;
	size_t i;

	if (d->read_only)
		return;
	/* The entry's own time tells when all this was marked: a hit asks for no more. */
	disk_path(d, STORE_ENTRY, key, path);
	if (lstat(path, &st) < 0 || llabs((long long)(time(NULL) - st.st_mtime)) < DISK_USED_S)
		return;
	(void)touch(path, true);
	disk_note(d, STORE_ENTRY, key, disk_bytes(d, &st));
	for (i = 0; i < n; i++) {
		disk_path(d, STORE_BLOB, &blobs[i], path);
		if (lstat(path, &st) < 0)
			continue;
		disk_note(d, STORE_BLOB, &blobs[i], disk_bytes(d, &st));
		/* a ctime that moves makes the processes that share it hash it again, or all users
		 * of a shared directory */
		if (st.st_nlink == 1 && !d->share.on)
			(void)touch(path, false);
	}
}
