/* The depot: a thin layer over the store on disk. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "store/depot_priv.h"
#include "store/disk_priv.h"
#include "common/clock.h"

#define ENTRY_MAX ((size_t)64 << 20)
#define CHUNK_SIZE ((size_t)256 << 10)
#define ENTRY_WAIT_MS 500 /* an entry is read and written in a few milliseconds */

int
depot_open(const struct depot_in *in, struct depot **ret)
{
	_cleanup_(depot_closep) struct depot *d = calloc(1, sizeof(*d));
	struct disk_in disk = {
		.index = &disk_index_lmdb, .read_only = in->read_only, .memo = in->memo
	};
	const struct store_in store = { .where = in->dir, .max = in->max, .disk = &disk };
	char why[SHARE_WHY_SIZE];
	int r = 0;

	if (d == NULL)
		return -ENOMEM;
	if (in->group != NULL)
		r = share_check(in->dir, in->group, &disk.share, why);
	else if (in->dir == NULL || *in->dir == '\0')
		r = -ENOENT;
	if (r < 0)
		return r;
	r = store_open(&store_disk, &store, &d->store);
	if (r < 0)
		return r;
	*ret = steal_ptr(d);
	return 0;
}

void
depot_why_refused(const struct depot_in *in, char why[SHARE_WHY_SIZE])
{
	struct share s;

	if (in->group == NULL)
		snprintf(why, SHARE_WHY_SIZE,
			"other users may write to the cache directory, or it is theirs");
	else if (share_check(in->dir, in->group, &s, why) == 0)
		snprintf(why, SHARE_WHY_SIZE, "%.300s: %s", in->dir, strerror(EPERM));
}

void
depot_close(struct depot *d)
{
	if (d == NULL)
		return;
	store_close(d->store);
	free(d);
}

void
depot_closep(struct depot **d)
{
	depot_close(*d);
	*d = NULL;
}

void
depot_on_progress(struct depot *d, disk_progress_fn fn, void *arg)
{
	disk_on_progress(d->store, fn, arg);
}

bool
depot_has(struct depot *d, const struct digest *digest, uint64_t size)
{
	uint64_t found;

	return store_has_now(d->store, STORE_BLOB, digest, &found) == 0 && found == size;
}

int
depot_take(struct depot *d, int fd, const struct digest *digest, uint64_t size)
{
	_cleanup_(freep) uint8_t *chunk = malloc(CHUNK_SIZE);
	struct store_writer *w;
	uint64_t got = 0;
	ssize_t n = 1;
	int r = chunk ? store_write_begin(d->store, &w) : -ENOMEM;

	if (r < 0)
		return r;
	while (r == 0 && n != 0 && got <= size) {
		n = read(fd, chunk, CHUNK_SIZE);
		if (n < 0 && errno == EINTR)
			continue;
		r = n < 0 ? -errno : store_write(w, chunk, (size_t)n);
		got += (uint64_t)MAX2(n, 0);
	}
	if (r == 0)
		return MIN2(store_write_commit_now(w, digest, size), 0);
	store_write_abort(w);
	return r;
}

int
depot_take_checked(struct depot *d, int fd, const struct digest *digest, uint64_t size)
{
	_cleanup_(disk_writer_freep) struct disk_writer *w = NULL;
	int r = lseek(fd, 0, SEEK_CUR) == 0 ? disk_writer_adopt(disk_of(d->store), fd, &w)
					    : -ESPIPE;

	if (r < 0)
		r = disk_writer_new(disk_of(d->store), false, &w);
	if (r == 0 && w->size == 0)
		r = disk_write_from(w, fd);
	if (r == 0 && w->size != size)
		r = -EBADMSG;
	return r < 0 ? r : MIN2(disk_write_place(w, digest), 0);
}

int
depot_open_blob(struct depot *d, const struct digest *digest, uint64_t size)
{
	uint64_t found;
	_cleanup_(closep) int fd = store_get_now(d->store, STORE_BLOB, digest, size, &found);

	if (fd >= 0 && found != size)
		return -EBADMSG;
	return steal_fd(&fd);
}

int
depot_read_entry(struct depot *d, const struct digest *key, struct buf *ret)
{
	return store_read_now(d->store, STORE_ENTRY, key, ENTRY_MAX, ret);
}

int
depot_write_entry(struct depot *d, const struct digest *key, const void *p, size_t n)
{
	return n > ENTRY_MAX ? -EFBIG : disk_replace(d->store, key, p, n);
}

int
depot_drop_entry(struct depot *d, const struct digest *key)
{
	return disk_drop_entry(d->store, key);
}

int
depot_each_entry(struct depot *d, disk_each_fn fn, void *arg)
{
	return disk_each(d->store, STORE_ENTRY, fn, arg);
}

struct key_list {
	struct digest *v;
	size_t n, cap;
};

static int
add_key(void *arg, const struct digest *key)
{
	struct key_list *l = arg;

	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 256;
		struct digest *v = reallocarray(l->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = *key;
	return 0;
}

int
depot_list_entries(struct depot *d, struct digest **ret, size_t *ret_n)
{
	struct key_list l = { .v = NULL };
	int r = depot_each_entry(d, add_key, &l);

	if (r < 0) {
		free(l.v);
		return r;
	}
	*ret = l.v;
	*ret_n = l.n;
	return 0;
}

void
depot_used(struct depot *d, const struct digest *key, const struct digest *blobs, size_t n)
{
	disk_used(d->store, key, blobs, n);
}

void
depot_trim(struct depot *d, unsigned max_files)
{
	store_trim(d->store, max_files);
}

int
depot_gc(struct depot *d, const struct disk_goal *goal, struct store_stats *ret_before,
	struct store_stats *ret_after)
{
	return disk_gc(d->store, goal, ret_before, ret_after);
}

int
depot_get_stats(struct depot *d, struct store_stats *ret)
{
	return store_get_stats(d->store, ret);
}

/* Locks of keys. */

/* The file by the key's first byte, the place in it by the next eight: 62 bits of them. */
static off_t
place_of(const struct digest *key, char name[3])
{
	uint64_t at = 0;

	snprintf(name, 3, "%02x", key->b[0]);
	for (int i = 1; i <= 8; i++)
		at = at << 8 | key->b[i];
	return (off_t)(at >> 2);
}

int
depot_lock(struct depot *d, const struct digest *key, bool wait, int *ret_fd)
{
	char name[3];
	off_t at = place_of(key, name);

	return disk_lock(d->store, name, at, wait, ret_fd);
}

int
depot_wait(struct depot *d, const struct digest *key, unsigned ms)
{
	char name[3];
	off_t at = place_of(key, name);

	return disk_wait(d->store, name, at, ms);
}

bool
depot_is_held_in_vain(struct depot *d, const struct digest *key)
{
	char name[3];
	off_t at = place_of(key, name);

	return disk_is_held_in_vain(d->store, name, at);
}

int
depot_lock_entry(struct depot *d, const struct digest *key)
{
	uint64_t until = clock_mono_ms() + ENTRY_WAIT_MS;
	/* a file apart from that of the twins' locks, and of their holders' */
	char name[] = "e00";
	off_t at = place_of(key, name + 1);
	int fd = -1, r;

	while ((r = disk_lock(d->store, name, at, false, &fd)) == -EWOULDBLOCK &&
		clock_mono_ms() < until)
		poll(NULL, 0, 1);
	return r == 0 ? fd : -1;
}
