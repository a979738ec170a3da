/* Content-addressed blob store.
 *
 * The index (digest -> size, in order of use) is in memory and is rebuilt by a scan at open. The
 * lock covers the index together with the rename that puts a name under blobs/ or takes it away, so
 * the two always agree; reading, writing and hashing go on outside it.
 *
 * Order of use outlives the process in the blobs' atimes, set at most once a minute each (not the
 * mtimes: a blob's inode is also a job's input file, whose mtime must stay).
 *
 * Nothing is synced to disk: a store is a cache. A power cut can so leave a name whose bytes are
 * not its digest; store_scan.c says which blobs are in doubt, and these are hashed again when they
 * are first asked for. A wrong one is removed and counts as absent. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/fs.h"
#include "store/store_priv.h"

#define NAME_SIZE (3 + DIGEST_HEX_SIZE) /* "ab/abcdef…" */
#define TMP_NAME_SIZE 32
#define TOUCH_EVERY_MS 60000u
#define COPY_SIZE (64 * 1024)
/* What a full disk evicts at once: room for a few ordinary blobs, without a long pause. */
#define FULL_EVICT_BYTES (64u << 20)
#define FULL_EVICT_BLOBS 256u

struct store_writer {
	struct store *store;
	struct hasher *hasher;
	int fd;
	char name[TMP_NAME_SIZE]; /* under tmp/; "" once it is gone */
	uint64_t size;
	int error; /* the first one; nothing is written after it */
};

static void
blob_name(const struct digest *d, char out[NAME_SIZE])
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(d, hex);
	out[0] = hex[0];
	out[1] = hex[1];
	out[2] = '/';
	memcpy(out + 3, hex, sizeof(hex));
}

/* The index. All of it is called with the lock held. */

/* A digest is as good as random: its first bytes are the hash. */
static uint64_t
hash(const struct digest *d)
{
	uint64_t h;

	memcpy(&h, d->b, sizeof(h));
	return h;
}

static struct blob *
index_find(struct store *s, const struct digest *d)
{
	struct table_node *node = table_find(&s->table, hash(d));

	for (; node; node = table_find_next(node))
		if (digest_eq(&table_entry(node, struct blob, node)->digest, d))
			return table_entry(node, struct blob, node);
	return NULL;
}

static void
lru_remove(struct store *s, struct blob *e)
{
	*(e->older ? &e->older->newer : &s->oldest) = e->newer;
	*(e->newer ? &e->newer->older : &s->newest) = e->older;
	e->older = e->newer = NULL;
}

static void
lru_append(struct store *s, struct blob *e)
{
	e->newer = NULL;
	e->older = s->newest;
	*(s->newest ? &s->newest->newer : &s->oldest) = e;
	s->newest = e;
}

int
store_index_add(struct store *s, const struct digest *d, uint64_t size, bool verified)
{
	struct blob *e = index_find(s, d);

	if (e) {
		lru_remove(s, e);
		s->stats.bytes -= e->size;
	} else {
		e = calloc(1, sizeof(*e));
		if (!e)
			return -ENOMEM;
		e->digest = *d;
		table_put(&s->table, &e->node, hash(d));
		s->stats.blobs++;
	}
	e->size = size;
	e->verified = verified;
	s->stats.bytes += size;
	lru_append(s, e);
	return 0;
}

void
store_index_remove(struct store *s, struct blob *e)
{
	table_del(&s->table, &e->node);
	lru_remove(s, e);
	s->stats.blobs--;
	s->stats.bytes -= e->size;
	free(e);
}

static void
tmp_name(struct store *s, char kind, char out[TMP_NAME_SIZE])
{
	snprintf(out, TMP_NAME_SIZE, "%c-%llu", kind, (unsigned long long)s->tmp_counter++);
}

/* Takes a blob out of the index and moves its file to tmp/ under the name in out, which the caller
 * unlinks without the lock: freeing a big file's blocks takes long. out is "" when there is no
 * file. */
static void
take_out(struct store *s, struct blob *e, char out[TMP_NAME_SIZE])
{
	char name[NAME_SIZE];

	blob_name(&e->digest, name);
	tmp_name(s, 'e', out);
	if (renameat(s->blobs_fd, name, s->tmp_fd, out) < 0) {
		/* A disk so full that not even a rename has room. */
		(void)unlinkat(s->blobs_fd, name, 0);
		out[0] = '\0';
	}
	store_index_remove(s, e);
}

/* Drops a blob that proved to be wrong or gone. */
static void
drop(struct store *s, const struct digest *d)
{
	char gone[TMP_NAME_SIZE] = "";
	struct blob *e;

	pthread_mutex_lock(&s->lock);
	e = index_find(s, d);
	if (e)
		take_out(s, e, gone);
	pthread_mutex_unlock(&s->lock);
	if (gone[0])
		(void)unlinkat(s->tmp_fd, gone, 0);
}

/* Evicts the oldest blob if `over` budget (or, when bytes_wanted is not 0, in any case). Returns
 * its size in *ret_size, and whether there was one. */
static bool
evict_one(struct store *s, bool even_within, uint64_t *ret_size)
{
	char gone[TMP_NAME_SIZE] = "";
	struct blob *e;

	pthread_mutex_lock(&s->lock);
	e = s->oldest;
	if (!even_within && (!s->stats.budget || s->stats.bytes <= s->stats.budget))
		e = NULL;
	if (e) {
		*ret_size = e->size;
		take_out(s, e, gone);
		s->stats.evicted++;
	}
	pthread_mutex_unlock(&s->lock);
	if (gone[0])
		(void)unlinkat(s->tmp_fd, gone, 0);
	return e != NULL;
}

void
store_trim(struct store *s, unsigned max_blobs)
{
	uint64_t size;

	while (max_blobs-- && evict_one(s, false, &size))
		;
}

/* Passes an error on; a full disk is answered by making room first. */
static int
after_error(struct store *s, int r, uint64_t wanted)
{
	uint64_t freed = 0, size;

	if (r != -ENOSPC && r != -EDQUOT)
		return r;
	wanted = MAX2(wanted, FULL_EVICT_BYTES);
	for (unsigned i = 0; i < FULL_EVICT_BLOBS && freed < wanted; i++) {
		if (!evict_one(s, true, &size))
			break;
		freed += size;
	}
	return -ENOSPC;
}

/* Reading. */

static int
verify(struct store *s, const struct digest *d, const char *name)
{
	_cleanup_(closep) int fd = openat(s->blobs_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct digest found;
	struct blob *e;
	int r;

	if (fd < 0 && errno != ENOENT && errno != ELOOP)
		return -errno;
	r = fd < 0 ? -ENOENT : digest_fd(fd, &found, NULL);
	if (r == 0 && !digest_eq(&found, d))
		r = -EBADMSG;
	if (r < 0) {
		if (r != -ENOMEM)
			drop(s, d);
		return r;
	}
	pthread_mutex_lock(&s->lock);
	e = index_find(s, d);
	if (e)
		e->verified = true;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* Finds a blob and marks it as used now. Its relative path goes to name. */
static int
use(struct store *s, const struct digest *d, char name[NAME_SIZE], uint64_t *ret_size)
{
	const struct timespec times[2] = { { 0, UTIME_NOW }, { 0, UTIME_OMIT } };
	uint64_t now = clock_mono_ms();
	bool touch = false, verified = true;
	struct blob *e;

	pthread_mutex_lock(&s->lock);
	e = index_find(s, d);
	if (e) {
		lru_remove(s, e);
		lru_append(s, e);
		touch = !e->touched_ms || now - e->touched_ms >= TOUCH_EVERY_MS;
		if (touch)
			e->touched_ms = now;
		verified = e->verified;
		if (ret_size)
			*ret_size = e->size;
	}
	pthread_mutex_unlock(&s->lock);
	if (!e)
		return -ENOENT;
	blob_name(d, name);
	if (touch && utimensat(s->blobs_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0 &&
		errno == ENOENT) {
		drop(s, d);
		return -ENOENT;
	}
	if (!verified && verify(s, d, name) < 0)
		return -ENOENT;
	return 0;
}

bool
store_has(struct store *s, const struct digest *d, uint64_t *ret_size)
{
	char name[NAME_SIZE];
	uint64_t size;

	if (use(s, d, name, &size) < 0)
		return false;
	if (ret_size)
		*ret_size = size;
	return true;
}

int
store_open_blob(struct store *s, const struct digest *d)
{
	char name[NAME_SIZE];
	int r = use(s, d, name, NULL);
	int fd;

	if (r < 0)
		return r;
	fd = openat(s->blobs_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		r = -errno;
		if (r == -ENOENT)
			drop(s, d);
		return r;
	}
	return fd;
}

static int
copy_out(struct store *s, const char *name, const char *path)
{
	_cleanup_(closep) int from = openat(s->blobs_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_(closep) int to = -1;
	int r;

	if (from < 0)
		return -errno;
	to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;
	r = fs_copy_fd(from, to);
	if (r == 0 && fchmod(to, 0444) < 0)
		r = -errno;
	if (close(steal_fd(&to)) < 0 && r == 0 && errno != EINTR)
		r = -errno;
	if (r < 0)
		unlink(path);
	return r;
}

int
store_link(struct store *s, const struct digest *d, const char *path)
{
	char name[NAME_SIZE];
	int r = use(s, d, name, NULL);

	if (r < 0)
		return r;
	if (linkat(s->blobs_fd, name, AT_FDCWD, path, 0) == 0)
		return 0;
	r = -errno;
	if (r == -EMLINK || r == -EXDEV || r == -EPERM || r == -EOPNOTSUPP)
		r = copy_out(s, name, path);
	/* The blob may have gone, or the directory of path may be missing. */
	if (r == -ENOENT && faccessat(s->blobs_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
		errno == ENOENT)
		drop(s, d);
	return after_error(s, r, 0);
}

/* Writing. */

static void
writer_discard(struct store_writer *w)
{
	closep(&w->fd);
	if (w->name[0])
		(void)unlinkat(w->store->tmp_fd, w->name, 0);
	w->name[0] = '\0';
}

static void
writer_free(struct store_writer *w)
{
	writer_discard(w);
	hasher_free(w->hasher);
	free(w);
}

static int
writer_fail(struct store_writer *w, int r)
{
	/* What was written so far takes up the room that is missing. */
	writer_discard(w);
	w->error = after_error(w->store, r, w->size);
	return w->error;
}

int
store_write_begin(struct store *s, struct store_writer **ret)
{
	struct store_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->store = s;
	w->fd = -1;
	w->hasher = hasher_new();
	if (!w->hasher) {
		writer_free(w);
		return -ENOMEM;
	}
	pthread_mutex_lock(&s->lock);
	tmp_name(s, 'w', w->name);
	pthread_mutex_unlock(&s->lock);
	w->fd = openat(s->tmp_fd, w->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (w->fd < 0) {
		r = -errno;
		w->name[0] = '\0';
		writer_free(w);
		return after_error(s, r, 0);
	}
	*ret = w;
	return 0;
}

int
store_write(struct store_writer *w, const void *p, size_t n)
{
	int r;

	if (w->error)
		return w->error;
	r = fs_write_all(w->fd, p, n);
	if (r < 0)
		return writer_fail(w, r);
	hasher_update(w->hasher, p, n);
	w->size += n;
	return 0;
}

void
store_write_abort(struct store_writer *w)
{
	if (w)
		writer_free(w);
}

static int
rename_in(struct store *s, int from_at, const char *from, const char *name)
{
	char sub[3] = { name[0], name[1], '\0' };

	if (renameat(from_at, from, s->blobs_fd, name) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	if (mkdirat(s->blobs_fd, sub, 0755) < 0 && errno != EEXIST)
		return -errno;
	return renameat(from_at, from, s->blobs_fd, name) < 0 ? -errno : 0;
}

/* Moves a finished file to its place. When the blob is already here, that one stays: a new one
 * would not be the inode that running jobs share. */
static int
put_in_place(struct store *s, int from_at, const char *from, const struct digest *d, uint64_t size)
{
	char name[NAME_SIZE];
	struct blob *e;
	int r;

	blob_name(d, name);
	pthread_mutex_lock(&s->lock);
	e = index_find(s, d);
	if (e && e->verified && faccessat(s->blobs_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		lru_remove(s, e);
		lru_append(s, e);
		r = unlinkat(from_at, from, 0) < 0 ? -errno : 0;
	} else {
		r = rename_in(s, from_at, from, name);
		if (r == 0) {
			r = store_index_add(s, d, size, true);
			/* Not in the index means that it must not be on disk. */
			if (r < 0)
				(void)unlinkat(s->blobs_fd, name, 0);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

static int
commit(struct store_writer *w, const struct digest *expected, uint64_t size, struct digest *ret)
{
	int r;

	if (w->error)
		return w->error;
	hasher_final(w->hasher, ret);
	if (expected && (w->size != size || !digest_eq(ret, expected)))
		return -EBADMSG;
	if (fchmod(w->fd, 0444) < 0)
		return -errno;
	if (close(steal_fd(&w->fd)) < 0 && errno != EINTR)
		return writer_fail(w, -errno);
	r = put_in_place(w->store, w->store->tmp_fd, w->name, ret, w->size);
	if (r < 0)
		return writer_fail(w, r);
	w->name[0] = '\0';
	return 0;
}

int
store_write_commit(struct store_writer *w, const struct digest *expected, uint64_t size)
{
	struct digest found;
	int r = commit(w, expected, size, &found);

	writer_free(w);
	return r;
}

int
store_add_fd(struct store *s, int fd, struct digest *ret, uint64_t *ret_size)
{
	struct store_writer *w = NULL;
	uint8_t chunk[COPY_SIZE];
	struct digest d;
	uint64_t size;
	int r = store_write_begin(s, &w);

	if (r < 0)
		return r;
	for (;;) {
		ssize_t k = read(fd, chunk, sizeof(chunk));

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			r = -errno;
		if (k <= 0)
			break;
		r = store_write(w, chunk, (size_t)k);
		if (r < 0)
			break;
	}
	size = w->size;
	if (r == 0)
		r = commit(w, NULL, 0, &d);
	writer_free(w);
	if (r < 0)
		return r;
	*ret = d;
	if (ret_size)
		*ret_size = size;
	return 0;
}

int
store_adopt(struct store *s, const char *path, struct digest *ret, uint64_t *ret_size)
{
	_cleanup_(closep) int fd = fs_open_regular(path, NULL);
	struct digest d;
	uint64_t size;
	int r;

	if (fd < 0)
		return fd;
	r = digest_fd(fd, &d, &size);
	if (r == 0 && fchmod(fd, 0444) < 0)
		r = -errno;
	if (r < 0)
		return r;
	r = put_in_place(s, AT_FDCWD, path, &d, size);
	if (r == -EXDEV) {
		if (lseek(fd, 0, SEEK_SET) < 0)
			return -errno;
		r = store_add_fd(s, fd, &d, &size);
		if (r == 0)
			(void)unlink(path);
	}
	if (r < 0)
		return after_error(s, r, size);
	*ret = d;
	if (ret_size)
		*ret_size = size;
	return 0;
}

void
store_get_stats(struct store *s, struct store_stats *ret)
{
	pthread_mutex_lock(&s->lock);
	*ret = s->stats;
	pthread_mutex_unlock(&s->lock);
}
