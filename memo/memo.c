/* What is remembered of files, artifacts and toolchains.
 *
 * Invariant: a record is used only while the file it speaks of has the stat that is in the record,
 * and a digest is recorded only when any later change of the file must change that stat. Keys are
 * the file's device and inode, or a name's digest (LMDB's keys are short), so a new record replaces
 * the stale one.
 *
 *   digests    device, inode      -> stat, digest
 *   artifacts  SHA-256 of path    -> stat, then each extern and its NUL
 *   notes      SHA-256 of name    -> the bytes given
 *
 * New records wait in memory, where they are found too, and go out in one transaction. A process
 * opens a directory's memo once at a time (LMDB); its threads share it, and none of them holds the
 * lock while it hashes. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "common/process/proc.h"
#include "memo/image.h"
#include "memo/lmdb_file.h"
#include "memo/memo.h"
#include "memo/memo_files.h"

#define BATCH 256 /* records that wait at most: they are searched one by one */
#define VALUE_MAX (4u << 20)
#define HASH_TRIES 3
#define TURN_LOOK_MS 5
#define LARGE (1u << 20) /* of a file: its digest is worth a file of its own */

/* A change this long after the last one gets another time stamp: the kernel's clock for them ticks
 * every 1 to 10 ms. A file system that keeps whole seconds (or two: FAT) shows by its zeros. */
#define FINE_NS 100000000LL
#define COARSE_NS 2100000000LL

enum memo_db { DIGESTS, ARTIFACTS, NOTES, N_DBS };

/* The names carry the format's version. What is cheapest to learn again is forgotten first. */
static const struct lmdb_file_kind MEMO_FILE = {
	.name = "memo.lmdb",
	.map_size = (size_t)256 << 20, /* sparse; about 200,000 artifacts */
	.n_dbs = N_DBS,
	.db_names = { [DIGESTS] = "digests-1", [ARTIFACTS] = "artifacts-1", [NOTES] = "notes-1" },
	.n_forget = N_DBS,
};

struct memo_put {
	enum memo_db db;
	void *key;
	size_t key_n;
	void *value;
	size_t value_n;
};

/* What tells one state of a file from another. */
struct file_state {
	uint64_t dev, ino, size;
	int64_t mtime_s, mtime_ns, ctime_s, ctime_ns;
};

struct digest_record {
	struct file_state state;
	struct digest digest;
};

struct memo {
	pthread_mutex_t lock; /* of all below, but for dir */
	struct lmdb_file file;
	char *dir; /* NULL: the LMDB file is open; else records are files of their own there */
	struct memo_put pending[BATCH];
	size_t n_pending;
	enum { BOOT_UNASKED, BOOT_KNOWN, BOOT_UNKNOWN } boot;
};

static struct file_state
state_of(const struct stat *st)
{
	return (struct file_state){ .dev = st->st_dev,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime_s = st->st_mtim.tv_sec,
		.mtime_ns = st->st_mtim.tv_nsec,
		.ctime_s = st->st_ctim.tv_sec,
		.ctime_ns = st->st_ctim.tv_nsec };
}

static bool
state_eq(const struct file_state *a, const struct file_state *b, bool sealed)
{
	/* ctime comes last */
	return memcmp(a, b, sealed ? offsetof(struct file_state, ctime_s) : sizeof(*a)) == 0;
}

int
memo_open(const char *dir, struct memo **ret)
{
	_cleanup_(freep) struct memo *m = calloc(1, sizeof(*m));
	int r;

	*ret = NULL;
	if (m == NULL)
		return -ENOMEM;
	pthread_mutex_init(&m->lock, NULL);
	r = lmdb_file_open(dir, &MEMO_FILE, &m->file);
	if (r < 0 && r != -ENOMEM && fs_check_owner(dir) == 0) {
		log_debug("memo: no LMDB file: error %d", -r);
		m->file = (struct lmdb_file){ .guard = -1 };
		m->dir = strdup(dir);
		r = m->dir ? 0 : -ENOMEM;
	}
	if (r < 0)
		return r;
	*ret = steal_ptr(m);
	return 0;
}

static void
drop_pending(struct memo *m)
{
	size_t i;

	for (i = 0; i < m->n_pending; i++) {
		free(m->pending[i].key);
		free(m->pending[i].value);
	}
	m->n_pending = 0;
}

static int
put_pending(void *arg, MDB_txn *txn, const MDB_dbi *dbi)
{
	const struct memo *m = arg;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < m->n_pending; i++) {
		const struct memo_put *p = &m->pending[i];
		MDB_val k = { p->key_n, p->key }, v = { p->value_n, p->value };

		rc = mdb_put(txn, dbi[p->db], &k, &v, 0);
	}
	return rc;
}

/* Notes: what a toolchain is would take a second to find out anew. And digests of large files. */
static void
put_files(const struct memo *m)
{
	for (size_t i = 0; i < m->n_pending; i++) {
		const struct memo_put *p = &m->pending[i];
		const struct memo_record rec = { (uint8_t)p->db, p->key, p->key_n };
		struct digest_record d = { .state = { .size = 0 } };

		if (p->db == DIGESTS && p->value_n == sizeof(d))
			memcpy(&d, p->value, sizeof(d));
		if (p->db == NOTES || d.state.size >= LARGE)
			(void)memo_files_put(m->dir, &rec, p->value, p->value_n);
	}
}

/* The lock is held. */
static int
flush(struct memo *m)
{
	int r;

	if (m->n_pending == 0)
		return 0;
	if (m->dir != NULL) {
		put_files(m);
		drop_pending(m);
		return 0;
	}
	r = lmdb_file_write(&m->file, put_pending, m);
	if (r < 0)
		log_debug("memo: %zu records are not kept: error %d", m->n_pending, -r);
	drop_pending(m);
	return r;
}

int
memo_flush(struct memo *m)
{
	int r;

	if (m == NULL)
		return 0;
	pthread_mutex_lock(&m->lock);
	r = flush(m);
	pthread_mutex_unlock(&m->lock);
	return r;
}

int
memo_turn(struct memo *m, unsigned ms)
{
	const char *beside = m->dir != NULL ? m->dir : m->file.path;
	uint64_t until = clock_mono_ms() + ms;
	_cleanup_(freep) char *path = NULL;
	_cleanup_(closep) int fd = -1;
	struct proc_name holder;

	if (beside == NULL)
		return -ENOENT;
	if (asprintf(&path, "%s-turn", beside) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (clock_mono_ms() >= until ||
			(proc_signed(fd, &holder) == 0 && proc_state(&holder) == PROC_STOPPED))
			return -ETIMEDOUT;
		if (poll(NULL, 0, TURN_LOOK_MS) < 0)
			return -errno;
	}
	/* without it one that is stopped is waited for, too */
	(void)proc_sign(fd);
	return steal_fd(&fd);
}

bool
memo_is_current(struct memo *m)
{
	bool is;

	pthread_mutex_lock(&m->lock);
	is = m->dir != NULL || lmdb_file_is_current(&m->file);
	pthread_mutex_unlock(&m->lock);
	return is;
}

void
memo_close(struct memo *m)
{
	if (m == NULL)
		return;
	(void)memo_flush(m);
	lmdb_file_done(&m->file);
	pthread_mutex_destroy(&m->lock);
	free(m->dir);
	free(m);
}

void
memo_closep(struct memo **m)
{
	memo_close(*m);
	*m = NULL;
}

static struct memo_put *
find_pending(struct memo *m, enum memo_db db, const void *key, size_t key_n)
{
	size_t i;

	for (i = 0; i < m->n_pending; i++) {
		struct memo_put *p = &m->pending[i];

		if (p->db == db && p->key_n == key_n && memcmp(p->key, key, key_n) == 0)
			return p;
	}
	return NULL;
}

/* The lock is held. */
static int
put_locked(
	struct memo *m, enum memo_db db, const void *key, size_t key_n, void *value, size_t value_n)
{
	struct memo_put *p = find_pending(m, db, key, key_n);
	void *copy;

	if (p != NULL) {
		free(p->value);
		p->value = value;
		p->value_n = value_n;
		return 0;
	}
	copy = malloc(key_n);
	if (copy == NULL) {
		free(value);
		return -ENOMEM;
	}
	memcpy(copy, key, key_n);
	if (m->n_pending == BATCH)
		(void)flush(m);
	m->pending[m->n_pending++] = (struct memo_put){ db, copy, key_n, value, value_n };
	return 0;
}

/* Puts a record to be written. Owns value, also on failure. */
static int
put(struct memo *m, enum memo_db db, const void *key, size_t key_n, void *value, size_t value_n)
{
	int r;

	pthread_mutex_lock(&m->lock);
	r = put_locked(m, db, key, key_n, value, value_n);
	pthread_mutex_unlock(&m->lock);
	return r;
}

/* Called with a record's value, which is gone when it returns. 0 or -errno. */
typedef int (*found_fn)(void *arg, const void *p, size_t n);

struct query {
	enum memo_db db;
	MDB_val key;
	found_fn found;
	void *arg;
	int result;
};

static int
look_up(void *arg, MDB_txn *txn, const MDB_dbi *dbi)
{
	struct query *q = arg;
	MDB_val v;
	int rc;

	rc = mdb_get(txn, dbi[q->db], &q->key, &v);
	if (rc == 0)
		q->result = q->found(q->arg, v.mv_data, v.mv_size);
	return rc;
}

static int
get_file(const struct memo *m, enum memo_db db, const void *key, size_t key_n, found_fn found,
	void *arg)
{
	const struct memo_record rec = { (uint8_t)db, key, key_n };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = memo_files_get(m->dir, &rec, &b);

	return r < 0 ? r : found(arg, b.p, b.n);
}

/* The lock is held. */
static int
get_locked(struct memo *m, enum memo_db db, void *key, size_t key_n, found_fn found, void *arg)
{
	const struct memo_put *p = find_pending(m, db, key, key_n);
	struct query q = { .db = db, .key = { key_n, key }, .found = found, .arg = arg };
	int r;

	if (p != NULL)
		return found(arg, p->value, p->value_n);
	if (m->dir != NULL)
		return get_file(m, db, key, key_n, found, arg);
	r = lmdb_file_read(&m->file, look_up, &q);
	return r < 0 ? r : q.result;
}

/* -ENOENT: there is none. The key is only read. */
static int
get(struct memo *m, enum memo_db db, void *key, size_t key_n, found_fn found, void *arg)
{
	int r;

	pthread_mutex_lock(&m->lock);
	r = get_locked(m, db, key, key_n, found, arg);
	pthread_mutex_unlock(&m->lock);
	return r;
}

static int
digest_found(void *arg, const void *p, size_t n)
{
	if (n != sizeof(struct digest_record))
		return -ENOENT;
	memcpy(arg, p, n);
	return 0;
}

/* Whether the memo ends with this boot, as a mount's number does. */
static bool
is_of_boot(struct memo *m)
{
	char id[LMDB_BOOT_ID_SIZE];
	bool known;

	pthread_mutex_lock(&m->lock);
	if (m->boot == BOOT_UNASKED)
		m->boot = lmdb_boot_id(id) ? BOOT_KNOWN : BOOT_UNKNOWN;
	known = m->boot == BOOT_KNOWN;
	pthread_mutex_unlock(&m->lock);
	return known;
}

/* What tells this state of an open file from another. An image's ctime tells nothing: the mount is
 * in its place, with a fraction that no time has. False: nothing tells. */
static bool
state_of_fd(struct memo *m, int fd, const struct stat *st, struct file_state *ret)
{
	uint64_t mount;

	*ret = state_of(st);
	if (!image_times(st))
		return true;
	mount = is_of_boot(m) ? image_mount(fd) : 0;
	ret->ctime_s = (int64_t)mount;
	ret->ctime_ns = -1;
	return mount != 0;
}

static bool
recall_digest(struct memo *m, const struct file_state *now, bool sealed, struct digest *ret)
{
	struct digest_record rec;
	uint64_t key[2] = { now->dev, now->ino };

	/* of another one there is no file */
	if ((m->dir != NULL && now->size < LARGE) ||
		get(m, DIGESTS, key, sizeof(key), digest_found, &rec) < 0 ||
		!state_eq(&rec.state, now, sealed))
		return false;
	*ret = rec.digest;
	return true;
}

static void
remember_digest(struct memo *m, const struct file_state *state, const struct digest *d)
{
	struct digest_record *rec = malloc(sizeof(*rec));
	uint64_t key[2] = { state->dev, state->ino };

	if (rec == NULL)
		return;
	*rec = (struct digest_record){ *state, *d };
	(void)put(m, DIGESTS, key, sizeof(key), rec, sizeof(*rec));
}

/* Whether t lies at least ns before now. */
static bool
is_before(const struct timespec *t, const struct timespec *now, int64_t ns)
{
	if (t->tv_sec > now->tv_sec)
		return false;
	if (now->tv_sec - t->tv_sec > 60)
		return true;
	return (now->tv_sec - t->tv_sec) * 1000000000LL + now->tv_nsec - t->tv_nsec >= ns;
}

/* Whether a change made after `begun` cannot leave this stat as it is. An mtime that was set to the
 * future would stay there for long; the ctime is then what tells. */
static bool
is_settled(const struct stat *st, bool sealed, const struct timespec *begun)
{
	int64_t ns = st->st_mtim.tv_nsec == 0 ? COARSE_NS : FINE_NS;

	if (sealed)
		return is_before(&st->st_mtim, begun, ns);
	return is_before(&st->st_ctim, begun, ns) &&
	       (is_before(&st->st_mtim, begun, ns) || st->st_mtim.tv_sec > begun->tv_sec + 60);
}

/* Hashes the file once. -EAGAIN when it changed meanwhile. *ret_begun: when the reading began. */
static int
hash_once(int fd, bool sealed, struct digest *ret, struct stat *ret_st, struct timespec *ret_begun)
{
	struct file_state before, after;
	struct stat st;
	uint64_t size;
	int r;

	if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	before = state_of(&st);
	clock_gettime(CLOCK_REALTIME, ret_begun);
	r = digest_fd(fd, ret, &size);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	after = state_of(&st);
	if (!state_eq(&before, &after, sealed) || size != after.size)
		return -EAGAIN;
	*ret_st = st;
	return 0;
}

int
memo_digest_fd(struct memo *m, int fd, bool sealed, struct digest *ret, struct stat *ret_st)
{
	struct timespec begun = { 0, 0 };
	struct file_state state;
	struct digest d;
	struct stat st;
	int r, tries;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (m == NULL || !(state_of_fd(m, fd, &st, &state) || sealed) ||
		!recall_digest(m, &state, sealed, &d)) {
		for (r = -EAGAIN, tries = 0; r == -EAGAIN && tries < HASH_TRIES; tries++)
			r = hash_once(fd, sealed, &d, &st, &begun);
		if (r < 0)
			return r;
		if (m != NULL && is_settled(&st, sealed, &begun) &&
			(state_of_fd(m, fd, &st, &state) || sealed))
			remember_digest(m, &state, &d);
	}
	*ret = d;
	if (ret_st != NULL)
		*ret_st = st;
	return 0;
}

int
memo_digest_file(struct memo *m, const char *path, struct digest *ret, struct stat *ret_st)
{
	_cleanup_(closep) int fd = -1;
	struct file_state state;
	struct stat st;

	if (m != NULL && stat(path, &st) == 0 && S_ISREG(st.st_mode) && !image_times(&st)) {
		state = state_of(&st);
		if (recall_digest(m, &state, false, ret)) {
			if (ret_st != NULL)
				*ret_st = st;
			return 0;
		}
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : memo_digest_fd(m, fd, false, ret, ret_st);
}

void
memo_note_digest(struct memo *m, const char *path, const struct digest *d)
{
	struct stat st;

	if (m != NULL && lstat(path, &st) == 0)
		memo_note_stat(m, &st, d);
}

void
memo_note_stat(struct memo *m, const struct stat *st, const struct digest *d)
{
	struct file_state state = state_of(st);

	if (m != NULL && S_ISREG(st->st_mode))
		remember_digest(m, &state, d);
}

/* cargo makes a hard link of what it hands to the user, which changes ctime. Which process made the
 * file is no other for that; and it was put there by a rename, or by rustc, as a new file. */
static struct file_state
artifact_state_of(const struct stat *st)
{
	struct file_state s = state_of(st);

	s.ctime_s = s.ctime_ns = 0;
	return s;
}

int
memo_set_artifact(struct memo *m, const char *path, const struct strv *externs)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct file_state state;
	struct digest key;
	struct stat st;
	size_t i, n;
	int r;

	if (m == NULL)
		return 0;
	if (stat(path, &st) < 0)
		return -errno;
	state = artifact_state_of(&st);
	r = digest_bytes(path, strlen(path), &key);
	if (r == 0)
		r = buf_add(&b, &state, sizeof(state));
	for (i = 0; r == 0 && i < externs->n; i++)
		r = buf_add(&b, externs->v[i], strlen(externs->v[i]) + 1);
	if (r < 0)
		return r;
	if (b.n > VALUE_MAX)
		return -E2BIG;
	n = b.n;
	return put(m, ARTIFACTS, key.b, DIGEST_SIZE, steal_ptr(b.p), n);
}

struct artifact_query {
	struct file_state now;
	struct strv *externs;
};

static int
artifact_found(void *arg, const void *p, size_t n)
{
	const struct artifact_query *q = arg;
	const char *s = p;
	size_t at = sizeof(q->now);

	if (n < at || memcmp(p, &q->now, sizeof(q->now)) != 0)
		return -ENOENT;
	if (n > at && s[n - 1] != '\0')
		return -ENOENT;
	while (at < n) {
		int r = strv_add(q->externs, s + at);

		if (r < 0)
			return r;
		at += strlen(s + at) + 1;
	}
	return 0;
}

int
memo_get_artifact(struct memo *m, const char *path, struct strv *ret)
{
	_cleanup_(strv_done) struct strv externs = STRV_INIT;
	struct artifact_query q = { .externs = &externs };
	struct digest key;
	struct stat st;
	int r;

	if (m == NULL || stat(path, &st) < 0)
		return -ENOENT;
	q.now = artifact_state_of(&st);
	r = digest_bytes(path, strlen(path), &key);
	if (r == 0)
		r = get(m, ARTIFACTS, key.b, DIGEST_SIZE, artifact_found, &q);
	if (r < 0)
		return r == -ENOMEM ? r : -ENOENT;
	return externs.n > 0 ? strv_add_all(ret, externs.v) : 0;
}

int
memo_set_note(struct memo *m, const char *name, const void *p, size_t n)
{
	struct digest key;
	void *copy;
	int r;

	if (m == NULL)
		return 0;
	if (n > VALUE_MAX)
		return -E2BIG;
	r = digest_bytes(name, strlen(name), &key);
	if (r < 0)
		return r;
	copy = malloc(n > 0 ? n : 1);
	if (copy == NULL)
		return -ENOMEM;
	if (n > 0)
		memcpy(copy, p, n);
	return put(m, NOTES, key.b, DIGEST_SIZE, copy, n);
}

static int
note_found(void *arg, const void *p, size_t n)
{
	return n > 0 ? buf_add(arg, p, n) : 0;
}

int
memo_get_note(struct memo *m, const char *name, struct buf *ret)
{
	struct digest key;
	int r;

	if (m == NULL)
		return -ENOENT;
	r = digest_bytes(name, strlen(name), &key);
	if (r == 0)
		r = get(m, NOTES, key.b, DIGEST_SIZE, note_found, ret);
	return r < 0 && r != -ENOMEM ? -ENOENT : r;
}
