/* Invariant: a seed, and a state that is put in place, is whole: both are made beside, and moved in
 * one step. A state is put in place byte for byte as it was kept: each file is held against its
 * digest (sums.h) while it is copied, and a seed with one that differs is removed. So nothing waits
 * for the disk when a seed is kept: one that lost power left empty or torn is found like any other
 * damage. */
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
#include "client/incremental/seed_priv.h"
#include "client/incremental/sums.h"
#include "common/digest.h"
#include "common/fs.h"
#include "common/outdir/left.h"

#define SUMS "sums"
#define CHUNK (256 * 1024)

/* What copies share. */
struct copier {
	struct hasher *hasher;
	uint8_t *chunk;
	uint64_t room; /* bytes that they may have yet */
	struct sums sums;
};

static int
copier_init(struct copier *c)
{
	*c = (struct copier){ hasher_new(), malloc(CHUNK), SEEDS_BYTES, SUMS_INIT };
	return c->hasher && c->chunk ? 0 : -ENOMEM;
}

static void
copier_done(struct copier *c)
{
	hasher_free(c->hasher);
	free(c->chunk);
	sums_done(&c->sums);
}

/* ---- where */

/* NULL: there is no cache, or no memory. */
static char *
seed_path(const struct conf *conf, const struct rustc_call *call)
{
	_cleanup_(freep) char *dir = seed_dir(conf->client.cache_dir);
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

/* ---- copies */

/* What the copy holds, read once: a reflink is read itself, else what is read is written.
 * -EBADMSG: the source cannot be read. */
static int
copy_bytes(int in, int out, struct copier *c, struct sum *ret)
{
	bool cloned = fs_clone_fd(in, out) == 0;
	uint64_t size = 0;

	for (;;) {
		ssize_t n = read(cloned ? out : in, c->chunk, CHUNK);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			hasher_final(c->hasher, &ret->digest);
			ret->size = size;
			return n < 0 ? -EBADMSG : 0;
		}
		if ((uint64_t)n > c->room)
			return -E2BIG;
		c->room -= (uint64_t)n;
		size += (uint64_t)n;
		hasher_update(c->hasher, c->chunk, (size_t)n);
		r = cloned ? 0 : fs_write_all(out, c->chunk, (size_t)n);
		if (r < 0)
			return r;
	}
}

/* expected: NULL, or what the file has to be: -EBADMSG if it is another. ret may be NULL. */
static int
copy_file(const char *from, const char *to, struct copier *c, const struct sum *expected,
	struct sum *ret)
{
	struct stat st;
	struct sum is = { NULL, 0, { { 0 } } };
	_cleanup_(closep) int in = fs_open_regular(from, &st);
	_cleanup_(closep) int out = -1;
	int r;

	if (in == -EMFILE || in == -ENFILE || in == -ENOMEM)
		return in;
	if (in < 0 || (expected && (uint64_t)st.st_size != expected->size))
		return expected ? -EBADMSG : in;
	if ((uint64_t)st.st_size > c->room)
		return -E2BIG;
	out = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & 0777);
	if (out < 0)
		return -errno;
	r = copy_bytes(in, out, c, &is);
	if (r == 0 && expected &&
		(is.size != expected->size || !digest_eq(&is.digest, &expected->digest)))
		r = -EBADMSG;
	/* what is an object of an earlier compile looks like one */
	if (r == 0 && futimens(out, (const struct timespec[2]){ st.st_atim, st.st_mtim }) < 0)
		r = -errno;
	if (r == 0 && ret)
		*ret = is;
	return r;
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

/* The file root/name becomes to/name, and is noted. */
static int
keep_file(const char *root, const char *to, const char *name, struct copier *c)
{
	_cleanup_(freep) char *a = path_join(root, name);
	_cleanup_(freep) char *b = path_join(to, name);
	struct sum is;
	int r = a && b ? copy_file(a, b, c, NULL, &is) : -ENOMEM;

	return r < 0 ? r : sums_add(&c->sums, name, is.size, &is.digest);
}

/* session: its name below the root. */
static int
keep_session(const char *root, const char *to, const char *session, struct copier *c)
{
	_cleanup_(freep) char *from = path_join(root, session);
	_cleanup_(freep) char *made = path_join(to, session);
	_cleanup_(closedirp) DIR *d = from ? open_dir(from) : NULL;
	struct stat before;
	struct dirent *e;
	int r = 0;

	if (!from || !made)
		return -ENOMEM;
	if (!d || fstat(dirfd(d), &before) < 0 || mkdir(made, 0777) < 0)
		return -errno;
	while (r == 0 && (errno = 0, e = readdir(d))) {
		_cleanup_(freep) char *name = path_join(session, e->d_name);

		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		r = name ? keep_file(root, to, name, c) : -ENOMEM;
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
keep_locked(
	const char *root, const char *to, const char *state, const char *session, struct copier *c)
{
	_cleanup_(freep) char *lock = lock_of(session);
	_cleanup_(freep) char *name = lock ? path_join(state, lock) : NULL;
	_cleanup_(freep) char *path = name ? path_join(root, name) : NULL;
	_cleanup_(freep) char *dir = path_join(state, session);
	_cleanup_(closep) int fd = -1;
	int r;

	if (!path || !dir)
		return -ENOMEM;
	fd = fs_open_regular(path, NULL);
	if (fd == -ENOENT || (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0))
		return 1;
	if (fd < 0)
		return fd;
	r = keep_file(root, to, name, c);
	return r < 0 ? r : keep_session(root, to, dir, c);
}

/* The finished sessions of a state. */
static int
keep_state(const char *root, const char *to, const char *state, struct copier *c)
{
	_cleanup_(freep) char *from = path_join(root, state);
	_cleanup_(freep) char *made = path_join(to, state);
	_cleanup_(closedirp) DIR *d = from ? open_dir(from) : NULL;
	struct dirent *e;
	int r = 0;

	if (!from || !made)
		return -ENOMEM;
	if (!d || mkdir(made, 0777) < 0)
		return -errno;
	while (r >= 0 && (e = readdir(d)))
		if (incremental_is_session(e->d_name))
			r = keep_locked(root, to, state, e->d_name, c);
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
write_sums(const char *to, struct sums *sums)
{
	_cleanup_(freep) char *path = path_join(to, SUMS);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = path ? sums_encode(sums, &b) : -ENOMEM;

	return r < 0 ? r : fs_write_atomic(path, b.p, b.n, 0600);
}

static int
keep_states(const struct rustc_call *call, const char *to)
{
	_cleanup_(copier_done) struct copier c;
	_cleanup_(closedirp) DIR *d = opendir(call->incremental);
	uint64_t size = 0;
	struct dirent *e;
	int r = copier_init(&c);

	while (r == 0 && d && (e = readdir(d))) {
		_cleanup_(freep) char *from = path_join(call->incremental, e->d_name);

		if (!incremental_is_state(call, e->d_name))
			continue;
		/* it would be the first to go */
		if (!from || (size += seed_size(from, SEED_DEPTH - 1)) > SEEDS_BYTES)
			return from ? -E2BIG : -ENOMEM;
		r = keep_state(call->incremental, to, e->d_name, &c);
	}
	return r < 0 ? r : c.sums.n == 0 ? -ENOENT : write_sums(to, &c.sums);
}

void
seed_keep(const struct conf *conf, const struct rustc_call *call)
{
	_cleanup_(freep) char *dir = seed_dir(conf->client.cache_dir);
	_cleanup_(freep) char *path = seed_path(conf, call);
	_cleanup_(freep) char *made = NULL, *old = NULL;

	if (!dir || !path || conf->client.cache != CACHE_ON || is_fresh(path) ||
		fs_mkdir_p(dir, 0700) < 0)
		return;
	left_sweep(NULL, dir);
	if (left_make_dir(dir, getpid(), &made) < 0)
		return;
	if (keep_states(call, made) == 0 && left_make_dir(dir, getpid(), &old) == 0 &&
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

static int
put_file(const char *seed, const char *to, const struct sum *sum, struct copier *c)
{
	_cleanup_(freep) char *a = path_join(seed, sum->name);
	_cleanup_(freep) char *b = path_join(to, sum->name);
	_cleanup_(freep) char *dir = b ? path_dirname(b) : NULL;

	if (!a || !dir)
		return -ENOMEM;
	if (mkdir(dir, 0777) < 0 && errno != EEXIST)
		return -errno;
	return copy_file(a, b, c, sum, NULL);
}

/* The state that these n files are. cargo has made the directory that it goes to, or that is being
 * removed: none is made. 0: it is there; -EBADMSG: it is damaged; -errno. */
static int
put_state(const struct rustc_call *call, const char *seed, const struct sum *v, size_t n,
	struct copier *c)
{
	_cleanup_(freep) char *name = strndup(v[0].name, strcspn(v[0].name, "/"));
	_cleanup_(freep) char *to = name ? path_join(call->incremental, name) : NULL;
	_cleanup_(freep) char *made = NULL, *state = NULL;
	int r = 0;

	if (!to)
		return -ENOMEM;
	if (!incremental_is_state(call, name))
		return -EBADMSG;
	if (fs_exists(to))
		return 0;
	r = left_make_dir(call->incremental, getpid(), &made);
	if (r < 0)
		return r;
	state = path_join(made, name);
	if (!state || mkdir(state, 0777) < 0)
		r = state ? -errno : -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		r = put_file(seed, made, &v[i], c);
	if (r == 0 && rename(state, to) < 0)
		r = -errno;
	fs_rm_rf(made);
	return r;
}

static int
read_sums(const char *seed, struct sums *ret)
{
	_cleanup_(freep) char *path = path_join(seed, SUMS);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = path ? fs_read_file(path, SUMS_BYTES_MAX, &b) : -ENOMEM;

	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	return sums_decode(b.p, b.n, ret);
}

/* How many of them are of the first one's state. */
static size_t
count_state(const struct sum *v, size_t n)
{
	size_t len = strcspn(v[0].name, "/") + 1, i = 1;

	while (i < n && strncmp(v[i].name, v[0].name, len) == 0)
		i++;
	return i;
}

static int
put_states(const struct rustc_call *call, const char *seed, bool *ret_any)
{
	_cleanup_(copier_done) struct copier c;
	int r = copier_init(&c);

	if (r == 0)
		r = read_sums(seed, &c.sums);
	for (size_t i = 0, n; r == 0 && i < c.sums.n; i += n) {
		n = count_state(c.sums.v + i, c.sums.n - i);
		r = put_state(call, seed, c.sums.v + i, n, &c);
		*ret_any |= r == 0;
	}
	return r;
}

bool
seed_put(const struct conf *conf, const struct rustc_call *call, bool *ret_damaged)
{
	_cleanup_(freep) char *dir = seed_dir(conf->client.cache_dir);
	_cleanup_(freep) char *path = seed_path(conf, call);
	_cleanup_(closedirp) DIR *d = dir && path ? open_dir(path) : NULL;
	bool put = false;

	*ret_damaged = false;
	if (!d)
		return false;
	/* one that was removed meanwhile, or made anew, only looks damaged */
	if (put_states(call, path, &put) == -EBADMSG && is_still(path, dirfd(d))) {
		*ret_damaged = true;
		if (conf->client.cache == CACHE_ON)
			seed_remove(dir, path);
	}
	/* it was used now */
	else if (put)
		(void)utimensat(AT_FDCWD, path, NULL, 0);
	return put;
}
