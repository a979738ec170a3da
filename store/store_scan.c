/* Opening a blob store: one owner, a clean tmp/, and an index of what is there.
 *
 * Invariant: after an open, the index holds exactly the names under blobs/, and each is the name of
 * its bytes or is marked as not yet verified.
 *
 * The mark is for power cuts, which can leave a name with any length of wrong bytes behind (nothing
 * is synced, and sizes are not recorded elsewhere). DIR/boot names the boot in which the store was
 * last open. Within one boot the kernel's page cache is whole, whatever happened to our process;
 * what is found under another boot's name is in doubt. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "common/fs.h"
#include "store/store_priv.h"

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
	return ret->size || (digest_bytes("", 0, &empty) == 0 && digest_eq(&empty, &ret->digest));
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
		r = store_index_add(s, &l.v[i].digest, l.v[i].size, trusted);
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
	s->dir = strdup(dir);
	if (!s->dir || table_init(&s->table) < 0)
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
		store_index_remove(s, s->oldest);
	/* Negative errno values may be in here after a failed open. */
	if (s->blobs_fd >= 0)
		close(s->blobs_fd);
	if (s->tmp_fd >= 0)
		close(s->tmp_fd);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	pthread_mutex_destroy(&s->lock);
	table_done(&s->table);
	free(s->dir);
	free(s);
}

void
store_closep(struct store **s)
{
	store_close(*s);
	*s = NULL;
}
