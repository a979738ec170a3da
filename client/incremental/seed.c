/* Invariant: a seed, and a state that is put in place, is whole: both are made beside, and moved in
 * one step. */
#include "config.h"

#include "client/incremental/seed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/incremental/background.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/left.h"

#define SEEDS "seeds"
#define DEPTH 3		  /* seed, state, session, file */
#define FILES_MAX 100000u /* of one seed */
#define SEEDS_MAX 4096u	  /* of all, for a look at them */

/* ---- where */

static char *
seeds_dir(const char *cache_dir)
{
	return cache_dir && *cache_dir ? path_join(cache_dir, SEEDS) : NULL;
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
	_cleanup_(freep) char *what = NULL;
	char hex[DIGEST_HEX_SIZE];
	struct digest d;

	if (!dir || !from || asprintf(&what, "%s\n%s", from, call->crate_name) < 0 ||
		digest_bytes(what, strlen(what), &d) < 0)
		return NULL;
	digest_hex(&d, hex);
	return path_join(dir, hex);
}

/* "CRATE-ID" */
static bool
is_state(const struct rustc_call *call, const char *name)
{
	size_t n = strlen(call->crate_name);

	return strncmp(name, call->crate_name, n) == 0 && name[n] == '-';
}

/* A session that came to its end (rustc_incremental::persist::fs). */
static bool
is_session(const char *name)
{
	return starts_with(name, "s-") && !ends_with(name, ".lock") && !ends_with(name, "-working");
}

/* ---- copies */

static int
copy_file(const char *from, const char *to)
{
	_cleanup_(closep) int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_(closep) int out = -1;
	struct stat st;
	int r;

	if (in < 0 || fstat(in, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & 0777);
	if (out < 0)
		return -errno;
	r = ioctl(out, FICLONE, in) == 0 ? 0 : fs_copy_fd(in, out);
	/* what is an object of an earlier compile looks like one */
	return r < 0 || futimens(out, (const struct timespec[2]){ st.st_atim, st.st_mtim }) == 0
		       ? r
		       : -errno;
}

static int
copy_session(const char *from, const char *to, unsigned *left)
{
	_cleanup_(closedirp) DIR *d = opendir(from);
	struct dirent *e;
	int r = 0;

	if (!d || mkdir(to, 0777) < 0)
		return -errno;
	while (r == 0 && (errno = 0, e = readdir(d))) {
		_cleanup_(freep) char *a = path_join(from, e->d_name);
		_cleanup_(freep) char *b = path_join(to, e->d_name);

		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		if (*left == 0)
			return -E2BIG;
		--*left;
		r = a && b ? copy_file(a, b) : -ENOMEM;
	}
	return r < 0 ? r : -errno;
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
copy_locked(const char *from, const char *to, const char *session, unsigned *left)
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
	fd = open(a, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) < 0)
		return fd < 0 && errno != ENOENT ? -errno : 1;
	r = copy_file(a, b);
	return r < 0 ? r : copy_session(c, d, left);
}

/* The finished sessions of a state. *ret_any: whether there was one. */
static int
copy_state(const char *from, const char *to, unsigned *left, bool *ret_any)
{
	_cleanup_(closedirp) DIR *d = opendir(from);
	struct dirent *e;
	int r = 0;

	if (!d || mkdir(to, 0777) < 0)
		return -errno;
	while (r >= 0 && (e = readdir(d))) {
		if (!is_session(e->d_name))
			continue;
		r = copy_locked(from, to, e->d_name, left);
		*ret_any |= r == 0;
	}
	return MIN2(r, 0);
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
	unsigned left = FILES_MAX;
	bool any = false;
	struct dirent *e;
	int r = 0;

	while (r == 0 && d && (e = readdir(d))) {
		_cleanup_(freep) char *a = path_join(call->incremental, e->d_name);
		_cleanup_(freep) char *b = path_join(to, e->d_name);

		if (is_state(call, e->d_name))
			r = a && b ? copy_state(a, b, &left, &any) : -ENOMEM;
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

/* cargo has made the directory, or it is being removed: none is made. */
static int
put_state(const struct rustc_call *call, const char *seed, const char *name)
{
	_cleanup_(freep) char *from = path_join(seed, name);
	_cleanup_(freep) char *to = path_join(call->incremental, name);
	_cleanup_(freep) char *made = NULL, *state = NULL;
	unsigned left = FILES_MAX;
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
	if (r == 0 && any && rename(state, to) < 0)
		r = -errno;
	fs_rm_rf(made);
	return r < 0 ? r : any ? 0 : -ENOENT;
}

bool
seed_put(const struct conf *conf, const struct rustc_call *call)
{
	_cleanup_(freep) char *path = seed_path(conf, call);
	_cleanup_(closedirp) DIR *d = path ? opendir(path) : NULL;
	bool put = false;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (is_state(call, e->d_name))
			put |= put_state(call, path, e->d_name) == 0;
	/* it was used now */
	if (put)
		(void)utimensat(AT_FDCWD, path, NULL, 0);
	return put;
}

/* ---- making room */

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

void
seed_trim(const char *cache_dir, uint64_t max)
{
	_cleanup_(freep) char *dir = seeds_dir(cache_dir);
	_cleanup_(freep) struct seed *seeds = calloc(SEEDS_MAX, sizeof(*seeds));
	_cleanup_(closedirp) DIR *d = dir ? opendir(dir) : NULL;
	uint64_t size = 0;
	size_t n = 0;
	struct dirent *e;

	while (seeds && d && n < SEEDS_MAX && (e = readdir(d))) {
		char *path = *e->d_name == '.' ? NULL : path_join(dir, e->d_name);
		struct stat st;

		if (!path || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
			free(path);
			continue;
		}
		seeds[n++] = (struct seed){ path, size_of(path, DEPTH), st.st_mtim };
	}
	if (n > 0)
		qsort(seeds, n, sizeof(*seeds), compare_used);
	for (size_t i = 0; i < n; i++) {
		size += seeds[i].size;
		if (size > max)
			fs_rm_rf(seeds[i].path);
		free(seeds[i].path);
	}
}

void
seed_clear(const char *cache_dir)
{
	_cleanup_(freep) char *dir = seeds_dir(cache_dir);

	if (dir)
		fs_rm_rf(dir);
}
