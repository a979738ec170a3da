/* Content-addressed blob store.
 *
 * The index (digest -> size, in order of use) is in memory and is rebuilt by a scan at open. The lock
 * covers the index together with the rename that puts a name under blobs/ or takes it away, so the two
 * always agree; reading, writing and hashing go on outside it.
 *
 * Order of use outlives the process in the blobs' atimes, set at most once a minute each (not the
 * mtimes: a blob's inode is also a job's input file, whose mtime must stay).
 *
 * Nothing is synced to disk: a store is a cache. A power cut can so leave a name whose bytes are not
 * its digest, of any length. Therefore DIR/boot names the boot in which the store was last open, and
 * blobs found under another boot's name are hashed again when they are first asked for; a wrong one is
 * removed and counts as absent. Within one boot the kernel's page cache is whole, whatever happened to
 * our process. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/store.h"

#define NAME_SIZE (3 + DIGEST_HEX_SIZE) /* "ab/abcdef…" */
#define TMP_NAME_SIZE 32
#define TOUCH_EVERY_MS 60000u
#define COPY_SIZE (64 * 1024)
#define BUCKETS_MIN 1024u
/* What a full disk evicts at once: room for a few ordinary blobs, without a long pause. */
#define FULL_EVICT_BYTES (64u << 20)
#define FULL_EVICT_BLOBS 256u

struct entry {
	struct entry *hash_next;
	struct entry *older, *newer; /* order of use */
	struct digest digest;
	uint64_t size;
	uint64_t touched_ms; /* monotonic, when the atime was last set; 0: not yet */
	bool verified;
};

struct store {
	char *dir;
	int lock_fd, blobs_fd, tmp_fd;
	pthread_mutex_t lock;
	struct entry **bucket;
	size_t n_buckets; /* a power of two */
	struct entry *oldest, *newest;
	struct store_stats stats;
	uint64_t tmp_counter;
};

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

static struct entry **
index_slot(struct store *s, const struct digest *d)
{
	struct entry **e;
	uint64_t h;

	/* A digest is as good as random: its first bytes are the hash. */
	memcpy(&h, d->b, sizeof(h));
	for (e = &s->bucket[h & (s->n_buckets - 1)]; *e; e = &(*e)->hash_next)
		if (digest_eq(&(*e)->digest, d))
			break;
	return e;
}

static void
index_grow(struct store *s)
{
	struct entry **bigger = calloc(s->n_buckets * 2, sizeof(*bigger));

	/* Without memory the chains just get longer. */
	if (!bigger)
		return;
	free(s->bucket);
	s->bucket = bigger;
	s->n_buckets *= 2;
	for (struct entry *e = s->oldest; e; e = e->newer) {
		e->hash_next = NULL;
		*index_slot(s, &e->digest) = e;
	}
}

static void
lru_remove(struct store *s, struct entry *e)
{
	*(e->older ? &e->older->newer : &s->oldest) = e->newer;
	*(e->newer ? &e->newer->older : &s->newest) = e->older;
	e->older = e->newer = NULL;
}

static void
lru_append(struct store *s, struct entry *e)
{
	e->newer = NULL;
	e->older = s->newest;
	*(s->newest ? &s->newest->newer : &s->oldest) = e;
	s->newest = e;
}

/* Enters a blob that is on disk (or one that already was known) as the one used last. */
static int
index_add(struct store *s, const struct digest *d, uint64_t size, bool verified)
{
	struct entry **slot = index_slot(s, d), *e = *slot;

	if (e) {
		lru_remove(s, e);
		s->stats.bytes -= e->size;
	} else {
		e = calloc(1, sizeof(*e));
		if (!e)
			return -ENOMEM;
		e->digest = *d;
		*slot = e;
		s->stats.blobs++;
	}
	e->size = size;
	e->verified = verified;
	s->stats.bytes += size;
	lru_append(s, e);
	if (s->stats.blobs > s->n_buckets)
		index_grow(s);
	return 0;
}

static void
index_remove(struct store *s, struct entry *e)
{
	*index_slot(s, &e->digest) = e->hash_next;
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
 * unlinks without the lock: freeing a big file's blocks takes long. out is "" when there is no file. */
static void
take_out(struct store *s, struct entry *e, char out[TMP_NAME_SIZE])
{
	char name[NAME_SIZE];

	blob_name(&e->digest, name);
	tmp_name(s, 'e', out);
	if (renameat(s->blobs_fd, name, s->tmp_fd, out) < 0) {
		/* A disk so full that not even a rename has room. */
		(void)unlinkat(s->blobs_fd, name, 0);
		out[0] = '\0';
	}
	index_remove(s, e);
}

/* Drops a blob that proved to be wrong or gone. */
static void
drop(struct store *s, const struct digest *d)
{
	char gone[TMP_NAME_SIZE] = "";
	struct entry *e;

	pthread_mutex_lock(&s->lock);
	e = *index_slot(s, d);
	if (e)
		take_out(s, e, gone);
	pthread_mutex_unlock(&s->lock);
	if (gone[0])
		(void)unlinkat(s->tmp_fd, gone, 0);
}

/* Evicts the oldest blob if `over` budget (or, when bytes_wanted is not 0, in any case). Returns its
 * size in *ret_size, and whether there was one. */
static bool
evict_one(struct store *s, bool even_within, uint64_t *ret_size)
{
	char gone[TMP_NAME_SIZE] = "";
	struct entry *e;

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

/* Opening. */

struct found {
	struct digest digest;
	uint64_t size;
	struct timespec used;
};

struct found_list {
	struct found *v;
	size_t n, cap;
};

static int
found_add(struct found_list *l, const struct found *f)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 256;
		struct found *v = reallocarray(l->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = *f;
	return 0;
}

static void
found_done(struct found_list *l)
{
	free(l->v);
}

static int
by_use(const void *a, const void *b)
{
	const struct timespec *x = &((const struct found *)a)->used;
	const struct timespec *y = &((const struct found *)b)->used;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

static void
closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

static DIR *
open_dir_at(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

/* Whether name, found in blobs/<sub>, is a blob; and what is known of it. */
static bool
is_blob(int dir_fd, const char *sub, const char *name, struct found *ret)
{
	struct digest empty;
	struct stat st;

	if (digest_parse(name, &ret->digest) < 0 || memcmp(name, sub, 2) != 0)
		return false;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return false;
	ret->size = (uint64_t)st.st_size;
	ret->used = st.st_atim;
	/* The usual remains of a power cut; seen at once, since the size is at hand. */
	return ret->size ||
		(digest_bytes("", 0, &empty) == 0 && digest_eq(&empty, &ret->digest));
}

static int
remove_below(const struct store *s, const char *dir, const char *sub, const char *name)
{
	_cleanup_(freep) char *path = NULL;

	if (asprintf(&path, "%s/%s/%s%s%s", s->dir, dir, sub, *sub ? "/" : "", name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return fs_rm_rf(path);
}

static int
scan_sub(struct store *s, const char *sub, struct found_list *l)
{
	_cleanup_(closedirp) DIR *d = open_dir_at(s->blobs_fd, sub);
	struct dirent *e;
	struct found f;
	int r = 0;

	if (!d)
		return -errno;
	while (r == 0 && (errno = 0, e = readdir(d))) {
		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		if (is_blob(dirfd(d), sub, e->d_name, &f))
			r = found_add(l, &f);
		else
			r = remove_below(s, "blobs", sub, e->d_name);
	}
	return r < 0 ? r : -errno;
}

static bool
is_sub_name(const char *n)
{
	return strspn(n, "0123456789abcdef") == 2 && !n[2];
}

static int
scan(struct store *s, bool trusted)
{
	_cleanup_(found_done) struct found_list l = { NULL, 0, 0 };
	_cleanup_(closedirp) DIR *d = open_dir_at(s->blobs_fd, ".");
	struct dirent *e;
	int r = 0;

	if (!d)
		return -errno;
	while (r == 0 && (errno = 0, e = readdir(d))) {
		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		r = is_sub_name(e->d_name) ? scan_sub(s, e->d_name, &l) : -ENOTDIR;
		/* A file, or a symlink, in a directory's place. */
		if (r == -ENOTDIR || r == -ELOOP)
			r = remove_below(s, "blobs", "", e->d_name);
	}
	if (r < 0 || errno)
		return r < 0 ? r : -errno;
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), by_use);
	for (size_t i = 0; i < l.n && r == 0; i++)
		r = index_add(s, &l.v[i].digest, l.v[i].size, trusted);
	return r;
}

static int
clean_tmp(struct store *s)
{
	_cleanup_(closedirp) DIR *d = open_dir_at(s->tmp_fd, ".");
	struct dirent *e;
	int r = 0;

	if (!d)
		return -errno;
	while (r == 0 && (errno = 0, e = readdir(d)))
		if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
			r = remove_below(s, "tmp", "", e->d_name);
	return r < 0 ? r : -errno;
}

/* Whether the store was last open in this very boot; and says that it now is. */
static int
check_boot(struct store *s, bool *ret_same)
{
	_cleanup_(buf_done) struct buf now = BUF_INIT;
	_cleanup_(buf_done) struct buf then = BUF_INIT;
	_cleanup_(freep) char *path = path_join(s->dir, "boot");

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
open_sub(const struct store *s, const char *name)
{
	_cleanup_(freep) char *path = path_join(s->dir, name);
	int fd, r;

	if (!path)
		return -ENOMEM;
	r = fs_mkdir_p(path, 0755);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int
take_lock(struct store *s)
{
	_cleanup_(freep) char *path = path_join(s->dir, "lock");

	if (!path)
		return -ENOMEM;
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (s->lock_fd < 0)
		return -errno;
	while (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EINTR)
			continue;
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	}
	return 0;
}

int
store_open(const char *dir, uint64_t budget, struct store **ret)
{
	_cleanup_(store_closep) struct store *s = calloc(1, sizeof(*s));
	bool same_boot;
	int r;

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	s->lock_fd = s->blobs_fd = s->tmp_fd = -1;
	s->stats.budget = budget;
	s->n_buckets = BUCKETS_MIN;
	s->bucket = calloc(s->n_buckets, sizeof(struct entry *));
	s->dir = strdup(dir);
	if (!s->bucket || !s->dir)
		return -ENOMEM;
	r = fs_mkdir_p(dir, 0755);
	if (r == 0)
		r = take_lock(s);
	if (r < 0)
		return r;
	s->blobs_fd = open_sub(s, "blobs");
	s->tmp_fd = open_sub(s, "tmp");
	if (s->blobs_fd < 0 || s->tmp_fd < 0)
		return MIN2(s->blobs_fd, s->tmp_fd);
	/* Room first: on a full disk not even the boot's name could be written. */
	r = clean_tmp(s);
	if (r == 0)
		r = check_boot(s, &same_boot);
	if (r == 0)
		r = scan(s, same_boot);
	if (r < 0)
		return r;
	*ret = steal_ptr(s);
	return 0;
}

void
store_close(struct store *s)
{
	if (!s)
		return;
	while (s->oldest)
		index_remove(s, s->oldest);
	/* Negative errno values may be in here after a failed open. */
	if (s->blobs_fd >= 0)
		close(s->blobs_fd);
	if (s->tmp_fd >= 0)
		close(s->tmp_fd);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	pthread_mutex_destroy(&s->lock);
	free(s->bucket);
	free(s->dir);
	free(s);
}

void
store_closep(struct store **s)
{
	store_close(*s);
	*s = NULL;
}

/* Reading. */

static int
verify(struct store *s, const struct digest *d, const char *name)
{
	_cleanup_(closep) int fd = openat(s->blobs_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct digest found;
	struct entry *e;
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
	e = *index_slot(s, d);
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
	struct entry *e;

	pthread_mutex_lock(&s->lock);
	e = *index_slot(s, d);
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

/* Moves a finished file to its place. When the blob is already here, that one stays: a new one would
 * not be the inode that running jobs share. */
static int
put_in_place(struct store *s, int from_at, const char *from, const struct digest *d, uint64_t size)
{
	char name[NAME_SIZE];
	struct entry *e;
	int r;

	blob_name(d, name);
	pthread_mutex_lock(&s->lock);
	e = *index_slot(s, d);
	if (e && e->verified && faccessat(s->blobs_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		lru_remove(s, e);
		lru_append(s, e);
		r = unlinkat(from_at, from, 0) < 0 ? -errno : 0;
	} else {
		r = rename_in(s, from_at, from, name);
		if (r == 0) {
			r = index_add(s, d, size, true);
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
