/* What is known of a target directory by its files alone. */
#include "config.h"

#include "client/cmd/target_use.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/wrap/target_dir.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/table.h"

/* CACHEDIR.TAG: bford.info/cachedir; the second line is cargo's. */
#define TAG "Signature: 8a477f597d28d172789f06886806bc55"
#define TAG_MAX 4096
#define MOUNTS_MAX (8u << 20)
#define REST ".dray-sweep-"
#define REST_DIGITS 16

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

static bool
is_rest_name(const char *name)
{
	const char *digits = name + strlen(REST);

	return starts_with(name, REST) && strlen(digits) == REST_DIGITS &&
	       strspn(digits, "0123456789abcdef") == REST_DIGITS;
}

bool
target_is_rest(const char *dir)
{
	struct stat st;

	return is_rest_name(path_basename(dir)) && lstat(dir, &st) == 0 && S_ISDIR(st.st_mode);
}

int
target_find_rests(const char *dir, struct strv *ret)
{
	_cleanup_(closedirp) DIR *d = opendir(dir);
	const struct dirent *e;
	int r = 0;

	while (r == 0 && d && (e = readdir(d))) {
		_cleanup_(freep) char *path = NULL;

		if (!is_rest_name(e->d_name))
			continue;
		path = path_join(dir, e->d_name);
		if (!path)
			return -ENOMEM;
		if (target_is_rest(path))
			r = strv_add(ret, path);
	}
	return r;
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
		if (e->fts_level == FTS_ROOTLEVEL && e->fts_info == FTS_DNR)
			return -e->fts_errno;
		if (e->fts_level == FTS_ROOTLEVEL && e->fts_info != FTS_D && e->fts_info != FTS_DP)
			return -ENOTDIR;
		if (e->fts_info != FTS_D)
			continue;
		looked(arg, ++n);
		if (streq(e->fts_name, ".git")) {
			fts_set(f, e, FTS_SKIP);
		} else if (target_is_cargos(e->fts_path) || target_is_rest(e->fts_path)) {
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
ms_of(const struct timespec *t)
{
	return t->tv_sec < 0 ? 0 : (uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_nsec / 1000000;
}

/* When that was. What lies in the future was said by a program, or the clock has been put back; or
 * a build is running. The kernel's own time of the last change tells. */
static uint64_t
when(const struct timespec *t, const struct stat *st)
{
	uint64_t ms = ms_of(t), now = clock_wall_ms();

	return ms <= now ? ms : MIN2(ms_of(&st->st_ctim), now);
}

/* Whether cargo reads the file each time it looks whether a unit is up to date: in both layouts. */
static bool
is_read_by_cargo(const char *path)
{
	return strstr(path, "/.fingerprint/") || strstr(path, "/fingerprint/");
}

/* Whether packages and repositories there are made by cargo, or by a build: in a profile's
 * directory (the OUT_DIR of a script that clones), in what is packaged, in what tests leave. */
static bool
is_made(const FTSENT *e)
{
	static const char *const names[] = { "doc", "package", "tests", "tmp" };

	if (e->fts_level == FTS_ROOTLEVEL)
		return false;
	for (size_t i = 0; e->fts_level == 1 && i < ARRAY_LEN(names); i++)
		if (streq(e->fts_name, names[i]))
			return true;
	return e->fts_info == FTS_D && target_dir_is_profile(e->fts_path);
}

/* Somebody's work lies beside it. */
static bool
is_source(const char *name)
{
	static const char *const names[] = { ".git", ".hg", ".jj", ".svn", "Cargo.toml" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(name, names[i]))
			return true;
	return false;
}

static void
add(struct target_use *u, FTSENT *e, struct table *shared, const uint8_t key[TABLE_KEY_SIZE])
{
	const struct stat *st = e->fts_statp;
	struct shared *s;

	/* fts_number: below what is_made says */
	e->fts_number = e->fts_parent->fts_number || is_made(e);
	u->holds_more |= !e->fts_number && is_source(e->fts_name);
	/* times of what is linked with a cache are moved by other builds */
	if (S_ISDIR(st->st_mode) || st->st_nlink == 1)
		u->used_ms = MAX2(u->used_ms, when(&st->st_mtim, st));
	if (S_ISREG(st->st_mode) && is_read_by_cargo(e->fts_path))
		u->used_ms = MAX2(u->used_ms, when(&st->st_atim, st));
	if (S_ISDIR(st->st_mode)) {
		u->others |= geteuid() != 0 && st->st_uid != geteuid();
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
	FTSENT *e;
	int r = table_init(&shared);

	*ret = (struct target_use){ .used_ms = 0 };
	if (r < 0)
		return r;
	table_key(key);
	f = root ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL) : NULL;
	if (!f)
		return -errno;
	while ((errno = 0, e = fts_read(f))) {
		bool failed = e->fts_info == FTS_DNR || e->fts_info == FTS_ERR ||
			      e->fts_info == FTS_NS;

		/* a build takes away what it replaces; the directory's time tells */
		if (failed && e->fts_errno == ENOENT && e->fts_level > FTS_ROOTLEVEL)
			continue;
		if (failed)
			return -e->fts_errno;
		if (e->fts_info != FTS_DP)
			add(ret, e, &shared, key);
	}
	if (errno == 0 && target_is_rest(dir)) {
		ret->used_ms = 0;
		ret->holds_more = false;
	}
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

/* proc(5), mountinfo: "36 35 98:0 ROOT MOUNTPOINT options…"; blanks are "\\040". */
static bool
mount_is_below(const char *line, size_t n, const char *dir)
{
	_cleanup_(freep) char *copy = strndup(line, n);
	char point[PATH_MAX], *to = point;

	if (!copy || sscanf(copy, "%*d %*d %*s %*s %4095s", point) != 1)
		return false;
	for (const char *p = point; *p; to++) {
		unsigned c;

		if (*p == '\\' && sscanf(p + 1, "%3o", &c) == 1) {
			*to = (char)c;
			p += 4;
		} else {
			*to = *p++;
		}
	}
	*to = '\0';
	return path_is_below(point, dir);
}

/* Renamed with the directory, it would be emptied, or stay in what is left. */
static bool
has_mount(const char *dir)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (fs_read_file("/proc/self/mountinfo", MOUNTS_MAX, &b) < 0 || buf_add(&b, "", 1) < 0)
		return false;
	for (const char *line = (const char *)b.p, *end; *line; line = end + (*end == '\n')) {
		end = line + strcspn(line, "\n");
		if (mount_is_below(line, (size_t)(end - line), dir))
			return true;
	}
	return false;
}

static const char *
lock_dir(const char *dir, struct target_locks *l)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0)
		return errno == EACCES ? "cannot be read" : "is no directory any more";
	l->fd[l->n++] = fd;
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid())
		return "belongs to another user";
	if (has_mount(dir))
		return "something is mounted there";
	/* a file system without locks says so of cargo's as well */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return "another dray sweep is at it";
	return NULL;
}

const char *
target_lock(const char *dir, struct target_locks *ret)
{
	struct locking k = { .l = ret };
	int r = 0;

	ret->n = 0;
	k.why = lock_dir(dir, ret);
	if (!k.why && !target_is_rest(dir)) {
		r = lock_profile(dir, &k);
		if (r == 0)
			r = each_profile(dir, 3, lock_profile, &k);
	}
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

/* A full disk has no room for a directory to put it in. */
static int
move_aside(const char *dir, const char *parent, char **ret)
{
	uint64_t number;
	int r;

	do {
		char name[sizeof(REST) + REST_DIGITS];

		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			number = clock_mono_ms() << 22 | (uint64_t)getpid();
		snprintf(name, sizeof(name), REST "%016" PRIx64, number);
		free(*ret);
		*ret = path_join(parent, name);
		if (!*ret)
			return -ENOMEM;
		r = renameat2(AT_FDCWD, dir, AT_FDCWD, *ret, RENAME_NOREPLACE) < 0 ? -errno : 0;
		/* a file system that knows only rename */
		if (r == -EINVAL && !fs_exists(*ret))
			r = rename(dir, *ret) < 0 ? -errno : 0;
	} while (r == -EEXIST);
	return r;
}

static bool
is_it(const char *path, int fd)
{
	struct stat a, b;

	return lstat(path, &a) == 0 && fstat(fd, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

int
target_remove(const char *dir, const struct target_locks *l, char **ret_rest)
{
	_cleanup_(freep) char *parent = path_dirname(dir);
	_cleanup_(freep) char *aside = NULL;
	int r = parent ? 0 : -ENOMEM;

	*ret_rest = NULL;
	if (r == 0 && !is_it(dir, l->fd[0]))
		return -ESTALE;
	if (r == 0 && !target_is_rest(dir))
		r = move_aside(dir, parent, &aside);
	if (r < 0)
		return r;
	/* somebody may have been faster */
	if (aside && !is_it(aside, l->fd[0])) {
		if (renameat2(AT_FDCWD, aside, AT_FDCWD, dir, RENAME_NOREPLACE) < 0)
			*ret_rest = steal_ptr(aside);
		return -ESTALE;
	}
	r = fs_rm_rf(aside ? aside : dir);
	if (r < 0)
		*ret_rest = aside ? steal_ptr(aside) : strdup(dir);
	return r;
}
