/* Invariant: what is kept is empty, and is as a new directory is: nobody but this process could
 * change it, since a job saw it read-only, and its owner and mode are looked at. */
#include "config.h"

#include "worker/sandbox/spare.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/fs.h"

#define SPARE_MAX 512
#define DEPTH_MAX 64
#define SIZE_MAX_KEPT 16384 /* one that held many names stays large, and slow to read */
#define MODE 0755

struct spare {
	pthread_mutex_t lock;
	char *path;
	int dir; /* 0 to n - 1 are in it */
	unsigned n;
	struct stat like; /* what mkdir makes */
};

static int
look_at_new(struct spare *s)
{
	int r = mkdirat(s->dir, "new", MODE) < 0 ? -errno : 0;

	if (r == 0 && fstatat(s->dir, "new", &s->like, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r == 0 && unlinkat(s->dir, "new", AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

int
spare_open(const char *jobs, struct spare **ret)
{
	_cleanup_(spare_freep) struct spare *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->dir = -1;
	pthread_mutex_init(&s->lock, NULL);
	if (asprintf(&s->path, "%s-spare", jobs) < 0) {
		s->path = NULL;
		return -ENOMEM;
	}
	r = fs_rm_rf(s->path);
	if (r == 0 && mkdir(s->path, 0700) < 0)
		r = -errno;
	if (r < 0)
		return r;
	s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->dir < 0)
		return -errno;
	r = look_at_new(s);
	if (r == 0)
		*ret = steal_ptr(s);
	return r;
}

void
spare_freep(struct spare **sp)
{
	struct spare *s = *sp;

	*sp = NULL;
	if (!s)
		return;
	if (s->dir >= 0)
		(void)fs_rm_rf(s->path);
	closep(&s->dir);
	pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}

static bool
take(struct spare *s, const char *path)
{
	char name[16];
	bool done = false;

	pthread_mutex_lock(&s->lock);
	if (s->n) {
		snprintf(name, sizeof(name), "%u", s->n - 1);
		done = renameat2(s->dir, name, AT_FDCWD, path, RENAME_NOREPLACE) == 0;
		s->n -= done;
	}
	pthread_mutex_unlock(&s->lock);
	return done;
}

int
spare_make(struct spare *s, const char *path)
{
	struct stat st;

	if ((s && take(s, path)) || mkdir(path, MODE) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	return lstat(path, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static bool
is_as_new(const struct spare *s, const struct stat *st)
{
	return st->st_mode == s->like.st_mode && st->st_uid == s->like.st_uid &&
	       st->st_gid == s->like.st_gid && st->st_dev == s->like.st_dev &&
	       st->st_size <= SIZE_MAX_KEPT;
}

/* One that is empty. */
static int
give(struct spare *s, int at, const char *path, const struct stat *st)
{
	char name[16];
	bool done = false;

	pthread_mutex_lock(&s->lock);
	if (s->n < SPARE_MAX && is_as_new(s, st)) {
		snprintf(name, sizeof(name), "%u", s->n);
		done = renameat2(at, path, s->dir, name, RENAME_NOREPLACE) == 0;
		s->n += done;
	}
	pthread_mutex_unlock(&s->lock);
	return done || unlinkat(at, path, AT_REMOVEDIR) == 0 ? 0 : -errno;
}

static int take_apart(struct spare *s, int at, const char *name, unsigned depth);

static int
empty(struct spare *s, DIR *d, unsigned depth)
{
	struct dirent *e;
	int r = 0;

	while (r == 0 && (errno = 0, e = readdir(d))) {
		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		/* where the file system does not say which it is, by trying */
		if (e->d_type == DT_DIR)
			r = take_apart(s, dirfd(d), e->d_name, depth);
		else if (unlinkat(dirfd(d), e->d_name, 0) < 0)
			r = errno == EISDIR || errno == EPERM
				    ? take_apart(s, dirfd(d), e->d_name, depth)
				    : -errno;
	}
	return r < 0 ? r : -errno;
}

static int
take_apart(struct spare *s, int at, const char *name, unsigned depth)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r;
	_cleanup_(closedirp) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct stat st;

	if (!d) {
		r = -errno;
		closep(&fd);
		return r;
	}
	if (depth == 0)
		return -ELOOP;
	r = empty(s, d, depth - 1);
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	return r < 0 ? r : give(s, at, name, &st);
}

int
spare_take_back(struct spare *s, const char *path)
{
	return take_apart(s, AT_FDCWD, path, DEPTH_MAX);
}

unsigned
spare_count(struct spare *s)
{
	unsigned n;

	pthread_mutex_lock(&s->lock);
	n = s->n;
	pthread_mutex_unlock(&s->lock);
	return n;
}
