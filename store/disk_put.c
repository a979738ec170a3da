/* Writing: what comes in is whole and has its digest before it has a name.
 *
 * Invariant: a blob that is here stays: another one would not be the inode that running jobs, or a
 * checkout, share. An entry is replaced by a rename, so that a reader has the old or the new one,
 * whole. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "store/disk_priv.h"
#include "common/fs.h"

#define CHUNK_SIZE ((size_t)256 << 10)
#define NEW_MODE 0600 /* as it was made */

static void
discard(struct disk_writer *w)
{
	closep(&w->fd);
	if (w->temp[0] != '\0')
		(void)unlink(w->temp);
	w->temp[0] = '\0';
}

void
disk_writer_freep(struct disk_writer **w)
{
	if (*w == NULL)
		return;
	discard(*w);
	hasher_free((*w)->hasher);
	free(*w);
	*w = NULL;
}

static int
fail(struct disk_writer *w, int r)
{
	/* What was written so far takes up the room that is missing. */
	discard(w);
	w->error = disk_after_error(disk_of(w->base.store), r, w->size);
	return w->error;
}

/* One without a file yet. */
static int
make_writer(struct disk *d, struct disk_writer **ret)
{
	struct disk_writer *w;

	if (d->read_only)
		return -EROFS;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	w->base.store = &d->base;
	w->fd = -1;
	*ret = w;
	return 0;
}

int
disk_writer_new(struct disk *d, bool hashed, struct disk_writer **ret)
{
	_cleanup_(disk_writer_freep) struct disk_writer *w = NULL;
	int r = make_writer(d, &w);

	if (r < 0)
		return r;
	w->hasher = hashed ? hasher_new() : NULL;
	if (hashed && w->hasher == NULL)
		return -ENOMEM;
	w->fd = disk_open_temp(d, w->temp);
	if (w->fd < 0) {
		r = w->fd;
		w->temp[0] = '\0';
		return disk_after_error(d, r, 0);
	}
	*ret = steal_ptr(w);
	return 0;
}

int
disk_writer_adopt(struct disk *d, int fd, struct disk_writer **ret)
{
	_cleanup_(disk_writer_freep) struct disk_writer *w = NULL;
	char dir[PATH_MAX], from[32];
	struct stat st;
	int r = make_writer(d, &w);

	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_nlink != 0 || (st.st_mode & 07777) != NEW_MODE)
		return -EXDEV;
	disk_tmp_dir(d, dir);
	r = disk_temp_name(dir, w->temp);
	if (r == 0) {
		snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
		r = linkat(AT_FDCWD, from, AT_FDCWD, w->temp, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
	}
	if (r < 0) {
		w->temp[0] = '\0';
		return r;
	}
	w->size = (uint64_t)st.st_size;
	w->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (w->fd < 0)
		return -errno;
	*ret = steal_ptr(w);
	return 0;
}

int
disk_write_begin(struct store *s, struct store_writer **ret)
{
	struct disk_writer *w;
	int r = disk_writer_new(disk_of(s), true, &w);

	if (r == 0)
		*ret = &w->base;
	return r;
}

int
disk_write(struct store_writer *writer, const void *p, size_t n)
{
	struct disk_writer *w = (struct disk_writer *)writer;
	int r;

	if (w->error)
		return w->error;
	r = fs_write_all(w->fd, p, n);
	if (r < 0)
		return fail(w, r);
	if (w->hasher != NULL)
		hasher_update(w->hasher, p, n);
	w->size += n;
	return 0;
}

void
disk_write_abort(struct store_writer *writer)
{
	struct disk_writer *w = (struct disk_writer *)writer;

	disk_writer_freep(&w);
}

int
disk_write_from(struct disk_writer *w, int fd)
{
	_cleanup_(freep) uint8_t *chunk = malloc(CHUNK_SIZE);
	ssize_t k;
	int r;

	if (chunk == NULL)
		return -ENOMEM;
	while ((k = read(fd, chunk, CHUNK_SIZE)) != 0) {
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		r = disk_write(&w->base, chunk, (size_t)k);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Nothing more is written. Network file systems and quotas report a failed write only here. */
static int
finish(struct disk_writer *w, mode_t mode)
{
	int r;

	if (w->error)
		return w->error;
	r = mode == NEW_MODE ? 0 : share_seal(&disk_of(w->base.store)->share, w->fd, mode);
	if (r < 0)
		return fail(w, r);
	return close(steal_fd(&w->fd)) < 0 && errno != EINTR ? fail(w, -errno) : 0;
}

/* Moves a finished file to its place, unless the blob is already here. 1: it is; 0; -errno. Unless
 * it failed, `from` is gone. */
static int
put_in_place(struct disk *d, const char *from, const struct digest *digest, uint64_t size)
{
	struct disk_item i = { .kind = STORE_BLOB,
		.name = *digest,
		.bytes = size,
		.used = (uint64_t)time(NULL),
		.verified = true };
	char path[PATH_MAX];
	struct stat st;
	int r, noted;

	disk_path(d, STORE_BLOB, digest, path);
	d->index->lock(d);
	if (disk_is_here(d, digest, size))
		r = unlink(from) < 0 ? -errno : 1;
	else
		r = disk_rename(d, from, path);
	if (r >= 0 && d->index->shared && lstat(path, &st) == 0) {
		i.bytes = disk_bytes(d, &st);
		d->index->learn(d, &st, digest);
	}
	noted = r >= 0 ? d->index->note(d, &i) : 0;
	/* Not in the index of an owner means that it must not be on disk. */
	if (noted < 0 && !d->index->shared) {
		(void)unlink(path);
		r = noted;
	}
	d->index->unlock(d);
	return r;
}

int
disk_write_place(struct disk_writer *w, const struct digest *digest)
{
	struct disk *d = disk_of(w->base.store);
	int r = finish(w, disk_blob_mode(d));

	if (r < 0)
		return r;
	r = put_in_place(d, w->temp, digest, w->size);
	if (r < 0)
		return fail(w, r);
	w->temp[0] = '\0';
	return r;
}

static int
commit(struct disk_writer *w, const struct digest *expected, uint64_t size, struct store_reply *ret)
{
	int r;

	if (w->error)
		return w->error;
	hasher_final(w->hasher, &ret->name);
	if (expected && (w->size != size || !digest_eq(&ret->name, expected)))
		return -EBADMSG;
	r = disk_write_place(w, &ret->name);
	if (r < 0)
		return r;
	ret->was_there = r > 0;
	ret->size = w->size;
	return 0;
}

static void
answer(int r, const struct store_reply *reply, store_done_fn done, void *arg)
{
	if (r < 0)
		store_answer_error(done, arg, r);
	else
		done(arg, reply);
}

void
disk_write_commit(struct store_writer *writer, const struct digest *expected, uint64_t size,
	store_done_fn done, void *arg)
{
	struct disk_writer *w = (struct disk_writer *)writer;
	struct store_reply reply = { .fd = -1 };
	int r = commit(w, expected, size, &reply);

	disk_writer_freep(&w);
	answer(r, &reply, done, arg);
}

static int
copy_in(struct disk *d, int fd, struct store_reply *ret)
{
	_cleanup_(disk_writer_freep) struct disk_writer *w = NULL;
	int r = disk_writer_new(d, true, &w);

	if (r == 0)
		r = disk_write_from(w, fd);
	return r == 0 ? commit(w, NULL, 0, ret) : r;
}

void
disk_put_fd(struct store *s, int fd, store_done_fn done, void *arg)
{
	struct store_reply reply = { .fd = -1 };
	int r = copy_in(disk_of(s), fd, &reply);

	answer(r, &reply, done, arg);
}

static int
adopt(struct disk *d, const char *path, int fd, struct store_reply *reply)
{
	int r = fchmod(fd, d->index->blob_mode) < 0 ? -errno : 0;

	if (r < 0)
		return r;
	r = put_in_place(d, path, &reply->name, reply->size);
	if (r == -EXDEV) {
		if (lseek(fd, 0, SEEK_SET) < 0)
			return -errno;
		r = copy_in(d, fd, reply);
		if (r == 0)
			(void)unlink(path);
		if (r == 0)
			r = reply->was_there;
	}
	return r < 0 ? disk_after_error(d, r, reply->size) : r;
}

int
disk_adopt(struct store *s, const char *path, struct digest *ret, uint64_t *ret_size)
{
	_cleanup_(closep) int fd = -1;
	struct store_reply reply = { .fd = -1 };
	struct disk *d = disk_of(s);
	struct stat st;
	int r;

	fd = fs_open_regular(path, NULL);
	if (fd < 0)
		return fd;
	r = d->index->digest(d, fd, false, &reply.name, &st);
	if (r < 0)
		return r;
	reply.size = (uint64_t)st.st_size;
	r = adopt(d, path, fd, &reply);
	if (r < 0)
		return r;
	*ret = reply.name;
	if (ret_size)
		*ret_size = reply.size;
	return r;
}

int
disk_adopt_as(struct store *s, const char *path, int fd, const struct digest *digest, uint64_t size)
{
	struct store_reply reply = { .name = *digest, .size = size, .fd = -1 };

	return adopt(disk_of(s), path, fd, &reply);
}

/* Where ext4 renames over a file it first finds the new one its blocks, which takes 0.3 ms. What
 * was there is removed with the writer. */
static int
exchange(struct disk *d, struct disk_writer *w, const char *path)
{
	int r;

	if (renameat2(AT_FDCWD, w->temp, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
		return 0;
	r = disk_rename(d, w->temp, path);
	if (r == 0)
		w->temp[0] = '\0';
	return r;
}

/* An owner's index and the names agree whenever its lock is free. */
static int
exchange_owned(struct disk *d, struct disk_writer *w, const char *path, const struct digest *key,
	const struct stat *st)
{
	struct disk_item i = { .kind = STORE_ENTRY,
		.name = *key,
		.bytes = disk_bytes(d, st),
		.used = (uint64_t)time(NULL),
		.verified = true };
	int r;

	d->index->lock(d);
	r = exchange(d, w, path);
	if (r == 0) {
		r = d->index->note(d, &i);
		if (r < 0)
			(void)unlink(path);
	}
	d->index->unlock(d);
	return r;
}

int
disk_replace(struct store *s, const struct digest *key, const void *p, size_t n)
{
	_cleanup_(disk_writer_freep) struct disk_writer *w = NULL;
	struct disk *d = disk_of(s);
	char path[PATH_MAX];
	struct stat st;
	int r;

	r = disk_writer_new(d, false, &w);
	if (r == 0)
		r = disk_write(&w->base, p, n);
	if (r == 0 && fstat(w->fd, &st) < 0)
		r = -errno;
	if (r == 0)
		/* who marks it as used writes to it, as far as the kernel is concerned */
		r = finish(w, d->share.on ? SHARE_FILE_MODE : NEW_MODE);
	if (r < 0)
		return r;
	disk_path(d, STORE_ENTRY, key, path);
	r = d->index->shared ? exchange(d, w, path) : exchange_owned(d, w, path, key, &st);
	if (r < 0)
		return fail(w, r);
	if (d->index->shared)
		disk_note(d, STORE_ENTRY, key, disk_bytes(d, &st));
	return 0;
}

void
disk_put_entry(struct store *s, const struct digest *key, const void *p, size_t n,
	store_done_fn done, void *arg)
{
	const struct store_reply reply = { .name = *key, .size = n, .fd = -1 };

	answer(disk_replace(s, key, p, n), &reply, done, arg);
}

int
disk_drop_entry(struct store *s, const struct digest *key)
{
	const struct disk *d = disk_of(s);
	char path[PATH_MAX];

	if (d->read_only)
		return -EROFS;
	disk_path(d, STORE_ENTRY, key, path);
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}
