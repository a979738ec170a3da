/* What is on the disk: the files of the cache's sub-directories, and their removal. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#include "store/depot_priv.h"
#include "common/fs.h"

#define JUNK_OLD_S 3600

void
depot_found_done(struct depot_found *f)
{
	free(f->v);
}

int
depot_found_add(struct depot_found *f, const struct depot_item *i)
{
	if (f->n == f->cap) {
		size_t cap = f->cap > 0 ? f->cap * 2 : 256;
		struct depot_item *v = reallocarray(f->v, cap, sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		f->v = v;
		f->cap = cap;
	}
	f->v[f->n++] = *i;
	return 0;
}

/* What is no blob and no entry, and stays none. */
static bool
is_junk(enum depot_kind kind, bool named, const struct digest *name, const struct stat *st)
{
	struct digest empty;

	if (named && S_ISREG(st->st_mode))
		/* the usual remains of a power loss */
		return st->st_size == 0 && kind == DEPOT_BLOB &&
		       (digest_bytes("", 0, &empty) < 0 || !digest_eq(name, &empty));
	return time(NULL) - st->st_ctime > JUNK_OLD_S;
}

static uint64_t
seconds(const struct timespec *t)
{
	return t->tv_sec > 0 ? (uint64_t)t->tv_sec : 0;
}

int
depot_look_into(const struct depot *d, enum depot_kind kind, unsigned sub, struct depot_found *ret)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char path[PATH_MAX];
	struct dirent *e;
	int r = 0;

	snprintf(path, sizeof(path), "%s/%s/%02x", d->dir, depot_dirs[kind], sub);
	dir = opendir(path);
	if (dir == NULL)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	while (r == 0 && (e = readdir(dir)) != NULL) {
		struct depot_item i = { .kind = kind };
		struct stat st;
		bool named;

		if (streq(e->d_name, ".") || streq(e->d_name, "..") ||
			fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		named = digest_parse(e->d_name, &i.name) == 0 && i.name.b[0] == sub;
		if (is_junk(kind, named, &i.name, &st)) {
			if (!d->read_only)
				(void)unlinkat(dirfd(dir), e->d_name, 0);
			continue;
		}
		if (!named || !S_ISREG(st.st_mode))
			continue;
		i.bytes = depot_bytes(&st);
		i.used = MAX2(seconds(&st.st_atim), seconds(&st.st_mtim));
		r = depot_found_add(ret, &i);
	}
	return r;
}

bool
depot_remove_file(const struct depot *d, const struct depot_item *i)
{
	char path[PATH_MAX];

	depot_path(d, i->kind, &i->name, path);
	return unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR;
}

int
depot_by_use(const void *a, const void *b)
{
	const struct depot_item *x = a, *y = b;

	return x->used < y->used ? -1 : x->used > y->used;
}
