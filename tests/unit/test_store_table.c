/* A store by its table: what holds for every kind of place and for both indexes of a disk. A
 * request is answered once, whatever becomes of it; a budget of bytes; what is there stays; the
 * order in which files go; and a slow place, which answers later. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fs.h"
#include "store/disk_priv.h"

static char *dir;
static const struct disk_index *const INDEXES[] = { &disk_index_memory, &disk_index_lmdb };

static int
setup(void **state)
{
	return fs_make_temp_dir("/tmp", "dray-test-", &dir);
}

static int
teardown(void **state)
{
	int r = fs_rm_rf(dir);

	free(dir);
	return r;
}

static struct store *
open_with(const struct disk_index *index, bool read_only)
{
	_cleanup_(freep) char *where = path_join(dir, index->name);
	const struct disk_in disk = { .index = index, .read_only = read_only };
	const struct store_in i = { .where = where, .max = 1 << 30, .disk = &disk };
	struct store *s = NULL;

	assert_int_equal(store_open(&store_disk, &i, &s), 0);
	return s;
}

static struct digest
digest_of(const char *text)
{
	struct digest d;

	assert_int_equal(digest_bytes(text, strlen(text), &d), 0);
	return d;
}

static struct store_writer *
written(struct store *s, const char *text)
{
	struct store_writer *w = NULL;

	assert_int_equal(store_write_begin(s, &w), 0);
	assert_int_equal(store_write(w, text, strlen(text)), 0);
	return w;
}

/* 1 when it was there. */
static int
put(struct store *s, const char *text)
{
	struct digest d = digest_of(text);

	return store_write_commit_now(written(s, text), &d, strlen(text));
}

/* A function that counts. */
struct answers {
	unsigned n;
	struct store_reply last;
};

static void
count(void *arg, const struct store_reply *r)
{
	struct answers *a = arg;

	a->n++;
	a->last = *r;
	if (r->fd >= 0)
		close(r->fd);
}

/* Once, and what an error leaves unset is unset. */
static void
check_once(struct answers *a, int error)
{
	assert_int_equal(a->n, 1);
	assert_int_equal(a->last.error, error);
	if (error < 0) {
		assert_int_equal(a->last.fd, -1);
		assert_int_equal(a->last.size, 0);
		assert_false(a->last.was_there);
	}
	*a = (struct answers){ .n = 0 };
}

static int
open_text(const char *text)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/text", dir);
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0644), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void
answered_once_by(const struct disk_index *index)
{
	struct store *s = open_with(index, false);
	struct digest here = digest_of("here"), none = digest_of("none");
	struct answers a = { .n = 0 };
	int fd = open_text("from a file");

	store_write_commit(written(s, "here"), &here, 4, count, &a);
	check_once(&a, 0);
	store_write_commit(written(s, "here"), &here, 4, count, &a);
	assert_true(a.last.was_there);
	check_once(&a, 0);
	store_write_commit(written(s, "other"), &here, 4, count, &a);
	check_once(&a, -EBADMSG);
	store_write_commit(written(s, "here"), &here, 5, count, &a);
	check_once(&a, -EBADMSG);
	store_put_fd(s, fd, count, &a);
	assert_int_equal(a.last.size, 11);
	assert_true(digest_eq(&a.last.name, &(struct digest[]){ digest_of("from a file") }[0]));
	check_once(&a, 0);
	close(fd);
	store_put_fd(s, -1, count, &a);
	check_once(&a, -EBADF);
	store_has(s, STORE_BLOB, &here, count, &a);
	assert_int_equal(a.last.size, 4);
	check_once(&a, 0);
	store_has(s, STORE_BLOB, &none, count, &a);
	check_once(&a, -ENOENT);
	store_has(s, STORE_ENTRY, &here, count, &a);
	check_once(&a, -ENOENT);
	store_get(s, STORE_BLOB, &here, 4, count, &a);
	assert_int_equal(a.last.size, 4);
	check_once(&a, 0);
	store_get(s, STORE_BLOB, &none, 4, count, &a);
	check_once(&a, -ENOENT);
	store_get(s, STORE_ENTRY, &here, 4, count, &a);
	check_once(&a, -ENOENT);
	store_get(s, STORE_BLOB, &here, 3, count, &a);
	check_once(&a, -EFBIG);
	store_close(s);
}

/* No room for a file's second half. */
static void
answered_once_when_writing_fails(const struct disk_index *index)
{
	_cleanup_(freep) char *big = calloc(1, 100001);
	struct store *s = open_with(index, false);
	struct answers a = { .n = 0 };
	struct store_writer *w = NULL;
	struct rlimit old, small;
	struct digest d;
	int fd;

	memset(big, 'b', 100000);
	d = digest_of(big);
	fd = open_text(big);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 50000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(store_write_begin(s, &w), 0);
	assert_int_equal(store_write(w, big, 100000), -EFBIG);
	store_write_commit(w, &d, 100000, count, &a);
	check_once(&a, -EFBIG);
	store_put_fd(s, fd, count, &a);
	check_once(&a, -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	store_has(s, STORE_BLOB, &d, count, &a);
	check_once(&a, -ENOENT);
	close(fd);
	store_close(s);
}

static void
test_answered_once(void **state)
{
	struct answers a = { .n = 0 };
	struct store_writer *w = NULL;
	struct store *s;
	int fd;

	for (size_t i = 0; i < ARRAY_LEN(INDEXES); i++) {
		answered_once_by(INDEXES[i]);
		answered_once_when_writing_fails(INDEXES[i]);
	}
	s = open_with(&disk_index_lmdb, true);
	fd = open_text("from a file");
	assert_int_equal(store_write_begin(s, &w), -EROFS);
	store_put_fd(s, fd, count, &a);
	check_once(&a, -EROFS);
	store_put_entry(s, &a.last.name, "entry", 5, count, &a);
	check_once(&a, -EROFS);
	close(fd);
	store_close(s);
}

/* A byte less than the content is not enough, and of what is larger nothing reaches the caller. */
static void
test_budget(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(INDEXES); i++) {
		struct store *s = open_with(INDEXES[i], false);
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		struct digest d = digest_of("twelve bytes"), key = digest_of("key");
		uint64_t size = 0;
		char text[16] = "";
		int fd;

		assert_int_equal(put(s, "twelve bytes"), 0);
		assert_int_equal(store_get_now(s, STORE_BLOB, &d, 11, &size), -EFBIG);
		assert_int_equal(store_read_now(s, STORE_BLOB, &d, 11, &b), -EFBIG);
		assert_int_equal(size, 0);
		assert_int_equal(b.n, 0);
		assert_null(b.p);
		fd = store_get_now(s, STORE_BLOB, &d, 12, &size);
		assert_true(fd >= 0);
		assert_int_equal(size, 12);
		assert_int_equal(read(fd, text, sizeof(text)), 12);
		close(fd);
		assert_int_equal(store_read_now(s, STORE_BLOB, &d, 12, &b), 0);
		assert_string_equal((char *)b.p, "twelve bytes");
		/* A budget is for this call: it is still here for others. */
		assert_int_equal(store_has_now(s, STORE_BLOB, &d, NULL), 0);
		assert_int_equal(store_put_entry_now(s, &key, "an earlier one", 14), 0);
		assert_int_equal(store_put_entry_now(s, &key, "entry", 5), 0);
		assert_int_equal(store_read_now(s, STORE_ENTRY, &key, 4, &b), -EFBIG);
		assert_int_equal(b.n, 12);
		assert_int_equal(store_read_now(s, STORE_ENTRY, &key, 5, &b), 0);
		assert_string_equal((char *)b.p, "twelve bytesentry");
		store_close(s);
	}
}

static ino_t
inode_of(struct store *s, const char *text)
{
	struct digest d = digest_of(text);
	char path[PATH_MAX];
	struct stat st;

	disk_path(disk_of(s), STORE_BLOB, &d, path);
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void
test_create_only(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(INDEXES); i++) {
		struct store *s = open_with(INDEXES[i], false);
		struct store_stats st;
		int fd = open_text("stays");
		ino_t ino;

		assert_int_equal(put(s, "stays"), 0);
		ino = inode_of(s, "stays");
		assert_int_equal(put(s, "stays"), 1);
		assert_int_equal(inode_of(s, "stays"), ino);
		assert_int_equal(store_put_fd_now(s, fd, NULL, NULL), 1);
		assert_int_equal(inode_of(s, "stays"), ino);
		close(fd);
		assert_int_equal(store_get_stats(s, &st), 0);
		assert_int_equal(st.blobs, 1);
		store_close(s);
	}
}

/* Which are left, one after another as they go. */
static void
evict_all(struct disk *d, struct digest *ret, size_t n)
{
	struct disk_item oldest;
	struct disk_state s;
	size_t got;

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(disk_state(d, &s), 0);
		assert_int_equal(s.files[STORE_BLOB] + s.files[STORE_ENTRY], n - i);
		assert_int_equal(d->index->oldest(d, &oldest, 1, &got), 0);
		assert_int_equal(got, 1);
		ret[i] = oldest.name;
		assert_int_equal(disk_evict(d, s.bytes - 1, 1, 0), 1);
	}
	assert_int_equal(disk_state(d, &s), 0);
	assert_int_equal(s.bytes, 0);
}

#define FILES 40

static void
do_the_same(struct disk *d, struct digest order[FILES])
{
	struct disk_item i = { .bytes = 1000 }, stale;
	struct disk_state s;
	uint64_t now = 1000000;
	char text[16];

	for (unsigned n = 0; n < 3 * FILES; n++) {
		/* each three times, in an order of its own each time */
		unsigned which = n < FILES ? n : n < 2 * FILES ? n * 7 % FILES : n * 11 % FILES;

		snprintf(text, sizeof(text), "file %u", which);
		i.name = digest_of(text);
		i.kind = which % 3 == 0 ? STORE_ENTRY : STORE_BLOB;
		i.bytes = 1000 + which;
		i.used = now++;
		assert_int_equal(d->index->note(d, &i), 0);
		if (n == FILES)
			stale = i;
	}
	/* one that was used since is not forgotten; one that was not is */
	assert_int_equal(d->index->forget(d, &stale, 1), 0);
	assert_int_equal(disk_state(d, &s), 0);
	assert_int_equal(s.files[STORE_BLOB] + s.files[STORE_ENTRY], FILES);
	assert_int_equal(d->index->forget(d, &i, 1), 0);
	evict_all(d, order, FILES - 1);
}

static void
test_same_order(void **state)
{
	struct digest order[ARRAY_LEN(INDEXES)][FILES];

	for (size_t k = 0; k < ARRAY_LEN(INDEXES); k++) {
		struct store *s = open_with(INDEXES[k], false);

		do_the_same(disk_of(s), order[k]);
		assert_int_equal(disk_of(s)->evicted, FILES - 1);
		store_close(s);
	}
	assert_memory_equal(order[0], order[1], (FILES - 1) * sizeof(order[0][0]));
}

/* A slow place: a store on disk behind a queue, which store_row.h's work() takes from. */

struct request {
	enum { HAS, GET, COMMIT, PUT_FD } what;
	enum store_kind kind;
	struct digest name;
	uint64_t max;
	struct store_writer *writer;
	int fd;
	store_done_fn done;
	void *arg;
};

struct slow {
	struct store base;
	struct store *disk;
	pthread_mutex_t lock;
	struct request queue[64];
	unsigned n;
};

struct slow_writer {
	struct store_writer base;
	struct store_writer *disk;
};

static void
later(struct store *s, const struct request *q)
{
	struct slow *slow = (struct slow *)s;

	pthread_mutex_lock(&slow->lock);
	slow->queue[slow->n++] = *q;
	pthread_mutex_unlock(&slow->lock);
}

static void
slow_has(struct store *s, enum store_kind kind, const struct digest *name, store_done_fn done,
	void *arg)
{
	later(s, &(struct request){ HAS, kind, *name, 0, NULL, -1, done, arg });
}

static void
slow_get(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
	store_done_fn done, void *arg)
{
	later(s, &(struct request){ GET, kind, *name, max, NULL, -1, done, arg });
}

static int
slow_begin(struct store *s, struct store_writer **ret)
{
	struct slow_writer *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_int_equal(store_write_begin(((struct slow *)s)->disk, &w->disk), 0);
	w->base.store = s;
	*ret = &w->base;
	return 0;
}

static int
slow_write(struct store_writer *w, const void *p, size_t n)
{
	return store_write(((struct slow_writer *)w)->disk, p, n);
}

static void
slow_commit(struct store_writer *w, const struct digest *expected, uint64_t size,
	store_done_fn done, void *arg)
{
	later(w->store, &(struct request){ COMMIT, STORE_BLOB, *expected, size,
				((struct slow_writer *)w)->disk, -1, done, arg });
	free(w);
}

static void
slow_put_fd(struct store *s, int fd, store_done_fn done, void *arg)
{
	later(s, &(struct request){ PUT_FD, STORE_BLOB, { { 0 } }, 0, NULL, fd, done, arg });
}

/* The last comes first: an answer may come by another thread's call. */
static void
slow_work(struct store *s, int ms)
{
	struct slow *slow = (struct slow *)s;
	struct request q;
	bool any;

	pthread_mutex_lock(&slow->lock);
	any = slow->n > 0;
	if (any)
		q = slow->queue[--slow->n];
	pthread_mutex_unlock(&slow->lock);
	if (!any)
		return;
	switch (q.what) {
	case HAS:
		store_has(slow->disk, q.kind, &q.name, q.done, q.arg);
		break;
	case GET:
		store_get(slow->disk, q.kind, &q.name, q.max, q.done, q.arg);
		break;
	case COMMIT:
		store_write_commit(q.writer, &q.name, q.max, q.done, q.arg);
		break;
	case PUT_FD:
		store_put_fd(slow->disk, q.fd, q.done, q.arg);
		break;
	}
}

static const struct store_type SLOW = {
	.name = "slow",
	.has = slow_has,
	.get = slow_get,
	.write_begin = slow_begin,
	.write = slow_write,
	.write_commit = slow_commit,
	.put_fd = slow_put_fd,
	.work = slow_work,
};

static void *
use_slow(void *arg)
{
	struct store *s = arg;
	uintptr_t bad = 0;
	char text[32];

	for (unsigned i = 0; i < 200; i++) {
		struct store_writer *w = NULL;
		struct digest d, none = { { 1 } };
		uint64_t size = 0;
		int fd;

		snprintf(text, sizeof(text), "slow blob %u", i % 50);
		bad += digest_bytes(text, strlen(text), &d) < 0;
		bad += store_write_begin(s, &w) < 0 || store_write(w, text, strlen(text)) < 0;
		bad += store_write_commit_now(w, &d, strlen(text)) < 0;
		bad += store_has_now(s, STORE_BLOB, &d, &size) < 0 || size != strlen(text);
		bad += store_has_now(s, STORE_BLOB, &none, NULL) != -ENOENT;
		bad += store_get_now(s, STORE_BLOB, &d, size - 1, NULL) != -EFBIG;
		fd = store_get_now(s, STORE_BLOB, &d, size, NULL);
		bad += fd < 0;
		if (fd >= 0)
			bad += store_put_fd_now(s, fd, NULL, NULL) != 1;
		closep(&fd);
	}
	return (void *)bad;
}

static void
test_slow_place(void **state)
{
	struct slow slow = { .base = { .type = &SLOW, .fd = -1 },
		.lock = PTHREAD_MUTEX_INITIALIZER };
	struct answers a = { .n = 0 };
	pthread_t thread[4];
	struct digest none = digest_of("none");

	slow.disk = open_with(&disk_index_memory, false);
	store_has(&slow.base, STORE_BLOB, &none, count, &a);
	assert_int_equal(a.n, 0);
	slow_work(&slow.base, -1);
	check_once(&a, -ENOENT);
	for (size_t i = 0; i < ARRAY_LEN(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, use_slow, &slow), 0);
	for (size_t i = 0; i < ARRAY_LEN(thread); i++) {
		void *bad = NULL;

		assert_int_equal(pthread_join(thread[i], &bad), 0);
		assert_null(bad);
	}
	assert_int_equal(slow.n, 0);
	store_close(slow.disk);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answered_once),
		TEST(test_budget),
		TEST(test_create_only),
		TEST(test_same_order),
		TEST(test_slow_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
