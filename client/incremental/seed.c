/* Invariant: a seed, and a state that is put in place, is whole: both are made beside, and moved in
 * one step. */
#include "config.h"

#include "client/incremental/seed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/incremental/background.h"
#include "client/incremental/incremental.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/left.h"

#define SEEDS "seeds"
#define DEPTH 3		  /* seed, state, session, file */
#define FILES_MAX 100000u /* of one seed */

/* What a copy may hold yet. */
struct room {
	unsigned files;
	uint64_t bytes;
};
#define ROOM_OF_ONE                    \
	{                              \
		FILES_MAX, SEEDS_BYTES \
	}

/* ---- where */

/* Also NULL: what lies there may be somebody else's. */
static char *
seeds_dir(const char *cache_dir)
{
	return cache_dir && *cache_dir && fs_check_owner(cache_dir) == 0
		       ? path_join(cache_dir, SEEDS)
		       : NULL;
}

/* NULL: there is no cache, or no memory. */
static char *
seed_path(const struct conf *conf, const struct rustc_call *call)
{
	_cleanup_(freep) char *dir = seeds_dir(conf->client.cache_dir);
	_cleanup_(freep) char *cwd = getcwd(NULL, 0);
	_cleanup_(freep) char *from = cwd && call->incremental
					      ? path_normalize(cwd, call->incremental)
					      : NULL;
	_cleanup_(buf_done) struct buf what = BUF_INIT;
	char hex[DIGEST_HEX_SIZE];
	struct digest d;

	if (!dir || !from || buf_addf(&what, "%s\n%s", from, call->crate_name) < 0 ||
		digest_bytes(what.p, what.n, &d) < 0)
		return NULL;
	digest_hex(&d, hex);
	return path_join(dir, hex);
}

static bool
is_seed(const char *name)
{
	return strlen(name) == DIGEST_HEX_SIZE - 1 &&
	       strspn(name, "0123456789abcdef") == DIGEST_HEX_SIZE - 1;
}

/* ---- copies */

static int
copy_file(const char *from, const char *to, struct room *left)
{
	struct stat st;
	_cleanup_(closep) int in = fs_open_regular(from, &st);
	_cleanup_(closep) int out = -1;
	int r;

	if (in < 0)
		return in;
	if (left->files == 0 || (uint64_t)st.st_size > left->bytes)
		return -E2BIG;
	left->files--;
	left->bytes -= (uint64_t)st.st_size;
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & 0777);
	if (out < 0)
		return -errno;
	r = fs_clone_fd(in, out) == 0 ? 0 : fs_copy_fd(in, out);
	/* what is an object of an earlier compile looks like one */
	return r < 0 || futimens(out, (const struct timespec[2]){ st.st_atim, st.st_mtim }) == 0
		       ? r
		       : -errno;
}

static DIR *
open_dir(const char *path)
{
	_cleanup_(closep) int fd = open(
		path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (d)
		(void)steal_fd(&fd);
	return d;
}

/* Whether nothing came or went meanwhile: cargo clean may be at it. */
static bool
is_unchanged(DIR *d, const struct stat *before)
{
	struct stat now;

	return fstat(dirfd(d), &now) == 0 && now.st_nlink > 0 &&
	       now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
	       now.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}

static int
copy_session(const char *from, const char *to, struct room *left)
{
	_cleanup_(closedirp) DIR *d = open_dir(from);
	struct stat before;
	struct dirent *e;
	int r = 0;

	if (!d || fstat(dirfd(d), &before) < 0 || mkdir(to, 0777) < 0)
		return -errno;
	while (r == 0 && (errno = 0, e = readdir(d))) {
		_cleanup_(freep) char *a = path_join(from, e->d_name);
		_cleanup_(freep) char *b = path_join(to, e->d_name);

		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		r = a && b ? copy_file(a, b, left) : -ENOMEM;
	}
	if (r == 0)
		r = -errno;
	return r < 0 || is_unchanged(d, &before) ? r : -EAGAIN;
}

/* The name of a session's lock: without the hash of what was compiled. NULL: no memory, or it is no
 * session's name. */
static char *
lock_of(const char *session)
{
	const char *hash = strrchr(session, '-');
	char *name;

	return hash && asprintf(&name, "%.*s.lock", (int)(hash - session), session) >= 0 ? name
											 : NULL;
}

/* While the lock is held by us no rustc removes the session. 0; 1: it is in use. */
static int
copy_locked(const char *from, const char *to, const char *session, struct room *left)
{
	_cleanup_(freep) char *lock = lock_of(session);
	_cleanup_(freep) char *a = lock ? path_join(from, lock) : NULL;
	_cleanup_(freep) char *b = lock ? path_join(to, lock) : NULL;
	_cleanup_(freep) char *c = path_join(from, session);
	_cleanup_(freep) char *d = path_join(to, session);
	_cleanup_(closep) int fd = -1;
	int r;

	if (!a || !b || !c || !d)
		return -ENOMEM;
	fd = fs_open_regular(a, NULL);
	if (fd == -ENOENT || (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0))
		return 1;
	if (fd < 0)
		return fd;
	r = copy_file(a, b, left);
	return r < 0 ? r : copy_session(c, d, left);
}

/* The finished sessions of a state. *ret_any: whether there was one. */
static int
copy_state(const char *from, const char *to, struct room *left, bool *ret_any)
{
	_cleanup_(closedirp) DIR *d = open_dir(from);
	struct dirent *e;
	int r = 0;

	if (!d || mkdir(to, 0777) < 0)
		return -errno;
	while (r >= 0 && (e = readdir(d))) {
		if (!incremental_is_session(e->d_name))
			continue;
		r = copy_locked(from, to, e->d_name, left);
		*ret_any |= r == 0;
	}
	return MIN2(r, 0);
}

/* ---- how large, and removal */

static uint64_t
size_of(const char *path, int depth)
{
	_cleanup_(closedirp) DIR *d = opendir(path);
	uint64_t size = 0;
	struct dirent *e;

	while (d && depth > 0 && (e = readdir(d))) {
		_cleanup_(freep) char *one = path_join(path, e->d_name);
		struct stat st;

		if (streq(e->d_name, ".") || streq(e->d_name, "..") || !one || lstat(one, &st) < 0)
			continue;
		size += S_ISDIR(st.st_mode) ? size_of(one, depth - 1)
					    : (uint64_t)st.st_blocks * 512;
	}
	return size;
}

/* In one step: who copies it sees that it is another, or gone. */
static void
remove_seed(const char *dir, const char *path)
{
	_cleanup_(freep) char *aside = NULL;

	/* a full disk has no room for another directory */
	if (left_make_dir(dir, getpid(), &aside) < 0 || rename(path, aside) < 0)
		fs_rm_rf(path);
	if (aside)
		fs_rm_rf(aside);
}

/* ---- keeping */

static bool
is_fresh(const char *path)
{
	struct timespec now;
	struct stat st;

	clock_gettime(CLOCK_REALTIME, &now);
	return stat(path, &st) == 0 && st.st_mtim.tv_sec <= now.tv_sec &&
	       now.tv_sec - st.st_mtim.tv_sec < SEED_FRESH_S;
}

static int
copy_states(const struct rustc_call *call, const char *to)
{
	_cleanup_(closedirp) DIR *d = opendir(call->incremental);
	struct room left = ROOM_OF_ONE;
	bool any = false;
	uint64_t size = 0;
	struct dirent *e;
	int r = 0;

	while (r == 0 && d && (e = readdir(d))) {
		_cleanup_(freep) char *a = path_join(call->incremental, e->d_name);
		_cleanup_(freep) char *b = path_join(to, e->d_name);

		if (!incremental_is_state(call, e->d_name))
			continue;
		/* it would be the first to go */
		if (!a || !b || (size += size_of(a, DEPTH - 1)) > SEEDS_BYTES)
			return a && b ? -E2BIG : -ENOMEM;
		r = copy_state(a, b, &left, &any);
	}
	return r < 0 ? r : any ? 0 : -ENOENT;
}

/* A machine that loses power must not leave files that are empty: rustc would take an object for
 * whole. */
static bool
is_on_disk(const char *dir)
{
	_cleanup_(closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && syncfs(fd) == 0;
}

void
seed_keep(const struct conf *conf, const struct rustc_call *call)
{
	_cleanup_(freep) char *dir = seeds_dir(conf->client.cache_dir);
	_cleanup_(freep) char *path = seed_path(conf, call);
	_cleanup_(freep) char *made = NULL, *old = NULL;

	if (!dir || !path || conf->client.cache != CACHE_ON || is_fresh(path) ||
		fs_mkdir_p(dir, 0700) < 0)
		return;
	left_sweep(NULL, dir);
	if (left_make_dir(dir, getpid(), &made) < 0)
		return;
	if (copy_states(call, made) == 0 && is_on_disk(made) &&
		left_make_dir(dir, getpid(), &old) == 0 &&
		(rename(path, old) == 0 || errno == ENOENT))
		(void)rename(made, path);
	fs_rm_rf(made);
	if (old)
		fs_rm_rf(old);
	seed_trim(conf->client.cache_dir, SEEDS_BYTES);
}

void
seed_start(const struct conf *conf, const struct rustc_call *call)
{
	_cleanup_(freep) char *path = seed_path(conf, call);

	if (path && !is_fresh(path))
		background_start(conf, call, false, seed_keep);
}

/* ---- putting */

/* Whether the directory is still there by that name. */
static bool
is_still(const char *path, int fd)
{
	struct stat a, b;

	return lstat(path, &a) == 0 && fstat(fd, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* cargo has made the directory, or it is being removed: none is made. */
static int
put_state(const struct rustc_call *call, const char *seed, int fd, const char *name)
{
	_cleanup_(freep) char *from = path_join(seed, name);
	_cleanup_(freep) char *to = path_join(call->incremental, name);
	_cleanup_(freep) char *made = NULL, *state = NULL;
	struct room left = ROOM_OF_ONE;
	bool any = false;
	int r;

	if (!from || !to)
		return -ENOMEM;
	if (fs_exists(to))
		return 0;
	r = left_make_dir(call->incremental, getpid(), &made);
	if (r < 0)
		return r;
	state = path_join(made, name);
	r = state ? copy_state(from, state, &left, &any) : -ENOMEM;
	/* else a part of it may have been gone before it was copied */
	if (r == 0 && !is_still(seed, fd))
		r = -ESTALE;
	if (r == 0 && any && rename(state, to) < 0)
		r = -errno;
	fs_rm_rf(made);
	return r < 0 ? r : any ? 0 : -ENOENT;
}

bool
seed_put(const struct conf *conf, const struct rustc_call *call)
{
	_cleanup_(freep) char *path = seed_path(conf, call);
	_cleanup_(closedirp) DIR *d = path ? open_dir(path) : NULL;
	bool put = false;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (incremental_is_state(call, e->d_name))
			put |= put_state(call, path, dirfd(d), e->d_name) == 0;
	/* it was used now */
	if (put)
		(void)utimensat(AT_FDCWD, path, NULL, 0);
	return put;
}

/* ---- making room */

struct seed {
	char *path;
	uint64_t size;
	struct timespec used;
};

static int
compare_used(const void *a, const void *b)
{
	const struct seed *x = a, *y = b;

	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? 1 : -1;
	return x->used.tv_nsec < y->used.tv_nsec ? 1 : -(x->used.tv_nsec > y->used.tv_nsec);
}

struct seeds {
	struct seed *v;
	size_t n, cap;
};

static int
add_seed(struct seeds *s, char *path, const struct stat *st)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 64;
		struct seed *v = reallocarray(s->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = (struct seed){ path, size_of(path, DEPTH), st->st_mtim };
	return 0;
}

void
seed_trim(const char *cache_dir, uint64_t max)
{
	_cleanup_(freep) char *dir = seeds_dir(cache_dir);
	_cleanup_(closedirp) DIR *d = dir ? opendir(dir) : NULL;
	struct seeds s = { NULL, 0, 0 };
	uint64_t size = 0;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char *path = is_seed(e->d_name) ? path_join(dir, e->d_name) : NULL;
		struct stat st;

		if (!path || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) ||
			add_seed(&s, path, &st) < 0)
			free(path);
	}
	if (s.n > 0)
		qsort(s.v, s.n, sizeof(*s.v), compare_used);
	for (size_t i = 0; i < s.n; i++) {
		size += s.v[i].size;
		if (size > max)
			remove_seed(dir, s.v[i].path);
		free(s.v[i].path);
	}
	free(s.v);
}

void
seed_clear(const char *cache_dir)
{
	_cleanup_(freep) char *dir = seeds_dir(cache_dir);
	_cleanup_(closedirp) DIR *d = dir ? opendir(dir) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_(freep) char *path = NULL;

		/* what is being copied, too: it will not be found, and is not kept */
		if (is_seed(e->d_name) || starts_with(e->d_name, ".dray-"))
			path = path_join(dir, e->d_name);
		if (path)
			remove_seed(dir, path);
	}
	if (dir)
		(void)rmdir(dir);
}
