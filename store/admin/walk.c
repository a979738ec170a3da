#include "config.h"

#include "store/admin/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/object.h"

#define FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int
open_root(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	return errno == ENOENT || errno == ENOTDIR ? -ENODEV : -errno;
}

/* The directory at a path below fd, which is closed: "v1/blobs/ab". */
static int
step_down(int fd, const char *path)
{
	while (fd >= 0 && *path != '\0') {
		_cleanup_(closep) int here = fd;
		size_t n = strcspn(path, "/");
		char part[NAME_MAX + 1];

		if (n > NAME_MAX)
			return -ENAMETOOLONG;
		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		fd = n != 0 ? openat(here, part, FLAGS) : steal_fd(&here);
		if (fd < 0)
			return -errno;
		path += n + (path[n] == '/');
	}
	return fd;
}

/* That of a kind: one that is not there is as an empty one. */
static int
open_kind(const char *dir, const char *below, enum store_kind kind)
{
	int fd = step_down(open_root(dir), below != NULL ? below : "");

	return step_down(fd, kind == STORE_BLOB ? "v1/blobs" : "v1/entries");
}

static int
add(struct walk *w, enum store_kind kind, const struct digest *name, const struct stat *st)
{
	if (w->n == w->cap) {
		size_t cap = w->cap != 0 ? 2 * w->cap : 1024;
		struct walk_object *v = reallocarray(w->v, cap, sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		w->v = v;
		w->cap = cap;
	}
	w->v[w->n++] = (struct walk_object){ .kind = kind,
		.name = *name,
		.size = (uint64_t)st->st_size,
		.used_s = st->st_mtim.tv_sec,
		.ino = st->st_ino };
	return 0;
}

static void
closedirp(DIR **d)
{
	if (*d != NULL)
		closedir(*d);
}

/* A directory's entries, "." and ".." left out; fd is its own from now on. */
static DIR *
open_list(int fd)
{
	DIR *d = fdopendir(fd);

	if (d == NULL)
		close(fd);
	return d;
}

static int
add_files(int fd, const char *first, enum store_kind kind, struct walk *w)
{
	_cleanup_(closedirp) DIR *d = open_list(fd);
	const struct dirent *e;
	int r = d != NULL ? 0 : -errno;

	while (r == 0 && (errno = 0, e = readdir(d)) != NULL) {
		struct digest name;
		struct stat st;

		if (strncmp(e->d_name, first, 2) != 0 || digest_parse(e->d_name, &name) < 0 ||
			fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			!S_ISREG(st.st_mode))
			continue;
		r = add(w, kind, &name, &st);
		errno = 0;
	}
	return r < 0 ? r : -errno;
}

int
walk_add(const char *dir, const char *below, enum store_kind kind, struct walk *ret)
{
	_cleanup_(closedirp) DIR *d = NULL;
	const struct dirent *e;
	int fd = open_kind(dir, below, kind), r = 0;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	d = open_list(fd);
	if (d == NULL)
		return -errno;
	while (r == 0 && (errno = 0, e = readdir(d)) != NULL) {
		int sub;

		if (strlen(e->d_name) != 2 || e->d_name[0] == '.')
			continue;
		sub = openat(dirfd(d), e->d_name, FLAGS);
		r = sub < 0 ? 0 : add_files(sub, e->d_name, kind, ret);
		errno = 0;
	}
	return r < 0 ? r : -errno;
}

void
walk_done(struct walk *w)
{
	free(w->v);
	*w = (struct walk)WALK_INIT;
}

static int
by_use(const void *a, const void *b)
{
	const struct walk_object *x = a, *y = b;

	return (x->used_s > y->used_s) - (x->used_s < y->used_s);
}

void
walk_sort_by_use(struct walk *w)
{
	if (w->n > 1)
		qsort(w->v, w->n, sizeof(*w->v), by_use);
}

int
walk_remove(const char *dir, const char *below, const struct walk_object *o)
{
	_cleanup_(closep) int fd = -1;
	char path[OBJECT_PATH_SIZE], *slash;
	struct stat st;

	object_path(o->kind, &o->name, path);
	slash = strrchr(path, '/');
	*slash = '\0';
	fd = step_down(step_down(open_root(dir), below != NULL ? below : ""), path);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (fstatat(fd, slash + 1, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (st.st_ino != o->ino || st.st_mtim.tv_sec != o->used_s)
		return -EAGAIN;
	return unlinkat(fd, slash + 1, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* ---- sets of names */

int
names_add(struct names *s, const struct digest *d)
{
	if (s->n == s->cap) {
		size_t cap = s->cap != 0 ? 2 * s->cap : 1024;
		struct digest *v = reallocarray(s->v, cap, sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = *d;
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return memcmp(((const struct digest *)a)->b, ((const struct digest *)b)->b, DIGEST_SIZE);
}

void
names_sort(struct names *s)
{
	if (s->n > 1)
		qsort(s->v, s->n, sizeof(*s->v), by_name);
}

bool
names_has(const struct names *s, const struct digest *d)
{
	return s->n != 0 && bsearch(d, s->v, s->n, sizeof(*s->v), by_name) != NULL;
}

void
names_done(struct names *s)
{
	free(s->v);
	*s = (struct names)NAMES_INIT;
}
