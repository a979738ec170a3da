/* What is known of a target directory by its files alone. */
#include "config.h"

#include "client/cmd/target_use.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/wrap/target_dir.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/table.h"

/* CACHEDIR.TAG: bford.info/cachedir; the second line is cargo's. */
#define TAG "Signature: 8a477f597d28d172789f06886806bc55"
#define TAG_MAX 4096

static const char *const locks[] = { ".cargo-lock", ".cargo-build-lock", ".cargo-artifact-lock" };

static bool
has(const char *dir, const char *name)
{
	_cleanup_(freep) char *path = path_join(dir, name);

	return path && fs_exists(path);
}

/* Calls fn with the directories that may be a profile's: those in dir, and those in these, since a
 * target triple's lie between. Other than 0 ends it. */
static int
each_profile(const char *dir, int depth, int (*fn)(const char *dir, void *arg), void *arg)
{
	_cleanup_(closedirp) DIR *d = opendir(dir);
	const struct dirent *e;
	struct stat st;
	int r = 0;

	if (!d)
		return -errno;
	while (r == 0 && (e = readdir(d))) {
		_cleanup_(freep) char *path = NULL;

		if (e->d_name[0] == '.')
			continue;
		path = path_join(dir, e->d_name);
		if (!path)
			return -ENOMEM;
		if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		r = fn(path, arg);
		if (r == 0 && depth > 1 && !target_dir_is_profile(path))
			r = each_profile(path, depth - 1, fn, arg);
		if (r == -EACCES || r == -ENOENT)
			r = 0;
	}
	return r;
}

static int
is_profile(const char *dir, void *arg)
{
	(void)arg;
	return target_dir_is_profile(dir);
}

bool
target_is_cargos(const char *dir)
{
	_cleanup_(freep) char *tag = path_join(dir, "CACHEDIR.TAG");
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	static const char by[] = "created by cargo";

	if (!tag || fs_read_file(tag, TAG_MAX, &b) < 0 || b.n < strlen(TAG) ||
		memcmp(b.p, TAG, strlen(TAG)) != 0 || !memmem(b.p, b.n, by, strlen(by)))
		return false;
	return has(dir, ".rustc_info.json") || each_profile(dir, 2, is_profile, NULL) == 1;
}

int
target_find(const char *dir, void (*looked)(void *arg, uint64_t n), void *arg, struct strv *ret)
{
	_cleanup_(freep) char *root = realpath(dir, NULL);
	char *const roots[] = { root, NULL };
	_cleanup_(fts_closep) FTS *f = NULL;
	uint64_t n = 0;
	FTSENT *e;
	int r = 0;

	if (!root)
		return -errno;
	f = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	if (!f)
		return -errno;
	while (r == 0 && (errno = 0, e = fts_read(f))) {
		if (e->fts_info != FTS_D)
			continue;
		looked(arg, ++n);
		if (streq(e->fts_name, ".git")) {
			fts_set(f, e, FTS_SKIP);
		} else if (target_is_cargos(e->fts_path)) {
			fts_set(f, e, FTS_SKIP);
			r = strv_add(ret, e->fts_path);
		}
	}
	return r < 0 ? r : -errno;
}

/* ---- what is in it */

/* A file with several names: how many of them were seen. */
struct shared {
	struct table_node node;
	dev_t dev;
	ino_t ino;
	nlink_t seen;
};

static struct shared *
shared_of(struct table *t, const uint8_t key[TABLE_KEY_SIZE], const struct stat *st)
{
	uint64_t id[2] = { st->st_dev, st->st_ino };
	uint64_t hash = table_hash(key, id, sizeof(id));
	struct table_node *n = table_find(t, hash);
	struct shared *s;

	for (; n; n = table_find_next(n)) {
		s = table_entry(n, struct shared, node);
		if (s->dev == st->st_dev && s->ino == st->st_ino)
			return s;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->dev = st->st_dev;
	s->ino = st->st_ino;
	table_put(t, &s->node, hash);
	return s;
}

static void
shared_done(struct table *t)
{
	struct table_node *n = table_walk(t, NULL), *next;

	for (; n; n = next) {
		next = table_walk(t, n);
		table_del(t, n);
		free(table_entry(n, struct shared, node));
	}
	table_done(t);
}

static uint64_t
ms_of(const struct timespec *t, uint64_t now)
{
	uint64_t ms = t->tv_sec < 0 ? 0
				    : (uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_nsec / 1000000;

	return ms > now ? 0 : ms;
}

/* Whether cargo reads the file each time it looks whether a unit is up to date: in both layouts. */
static bool
is_read_by_cargo(const char *path)
{
	return strstr(path, "/.fingerprint/") || strstr(path, "/fingerprint/");
}

static void
add(struct target_use *u, const FTSENT *e, struct table *shared, const uint8_t key[TABLE_KEY_SIZE],
	uint64_t now)
{
	const struct stat *st = e->fts_statp;
	struct shared *s;

	/* times of what is linked with a cache are moved by other builds */
	if (S_ISDIR(st->st_mode) || st->st_nlink == 1)
		u->used_ms = MAX2(u->used_ms, ms_of(&st->st_mtim, now));
	if (S_ISREG(st->st_mode) && is_read_by_cargo(e->fts_path))
		u->used_ms = MAX2(u->used_ms, ms_of(&st->st_atim, now));
	if (S_ISDIR(st->st_mode)) {
		u->bytes += (uint64_t)st->st_blocks * 512;
		return;
	}
	u->files++;
	if (st->st_nlink > 1) {
		s = shared_of(shared, key, st);
		if (!s || ++s->seen < st->st_nlink)
			return;
	}
	u->bytes += (uint64_t)st->st_blocks * 512;
}

int
target_look(const char *dir, struct target_use *ret)
{
	_cleanup_(freep) char *root = strdup(dir);
	char *const roots[] = { root, NULL };
	_cleanup_(fts_closep) FTS *f = NULL;
	_cleanup_(shared_done) struct table shared = { .n = 0 };
	uint8_t key[TABLE_KEY_SIZE];
	uint64_t now = clock_wall_ms();
	FTSENT *e;
	int r = table_init(&shared);

	*ret = (struct target_use){ .used_ms = 0 };
	if (r < 0)
		return r;
	table_key(key);
	f = root ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL) : NULL;
	if (!f)
		return -errno;
	while ((errno = 0, e = fts_read(f)))
		if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS)
			return -e->fts_errno;
		else if (e->fts_info != FTS_DP)
			add(ret, e, &shared, key, now);
	return -errno;
}

/* ---- removing */

struct locking {
	struct target_locks *l;
	const char *why;
};

static int
lock_one(const char *path, struct locking *k)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd >= 0 && k->l->n < TARGET_LOCKS_MAX && flock(fd, LOCK_EX | LOCK_NB) == 0) {
		k->l->fd[k->l->n++] = fd;
		return 0;
	}
	k->why = fd >= 0 && errno == EWOULDBLOCK ? "a build has locked it" : "cannot be locked";
	if (fd >= 0)
		close(fd);
	return 1;
}

static int
lock_profile(const char *dir, void *arg)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(locks); i++) {
		_cleanup_(freep) char *path = path_join(dir, locks[i]);

		r = path ? lock_one(path, arg) : -ENOMEM;
	}
	return r;
}

const char *
target_lock(const char *dir, struct target_locks *ret)
{
	struct locking k = { .l = ret };
	struct stat st;
	int r;

	ret->n = 0;
	if (lstat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return "is no directory any more";
	if (st.st_uid != geteuid())
		return "belongs to another user";
	if (has(dir, "Cargo.toml") || has(dir, ".git"))
		return "holds more than what cargo builds";
	r = lock_profile(dir, &k);
	if (r == 0)
		r = each_profile(dir, 3, lock_profile, &k);
	if (r < 0)
		k.why = "cannot be read";
	if (k.why)
		target_unlock(ret);
	return k.why;
}

void
target_unlock(struct target_locks *l)
{
	while (l->n > 0)
		close(l->fd[--l->n]);
}

int
target_remove(const char *dir)
{
	_cleanup_(freep) char *parent = path_dirname(dir);
	_cleanup_(freep) char *aside = NULL;
	_cleanup_(freep) char *to = NULL;
	int r;

	if (!parent)
		return -ENOMEM;
	r = fs_make_temp_dir(parent, ".dray-sweep-", &aside);
	if (r < 0)
		return r;
	to = path_join(aside, path_basename(dir));
	if (!to || rename(dir, to) < 0) {
		r = to ? -errno : -ENOMEM;
		rmdir(aside);
		return r;
	}
	return fs_rm_rf(aside);
}
