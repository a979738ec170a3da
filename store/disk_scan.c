/* What is on the disk: the files of a store's sub-directories, and their removal. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "store/disk_priv.h"
#include "common/fs.h"

#define JUNK_OLD_S 3600

void
disk_found_done(struct disk_found *f)
{
	free(f->v);
}

int
disk_found_add(struct disk_found *f, const struct disk_item *i)
{
	if (f->n == f->cap) {
		size_t cap = f->cap > 0 ? f->cap * 2 : 256;
		struct disk_item *v = reallocarray(f->v, cap, sizeof(*v));

		if (v == NULL)
			return -ENOMEM;
		f->v = v;
		f->cap = cap;
	}
	f->v[f->n++] = *i;
	return 0;
}

/* What is no blob and no entry, and stays none. Where others use the store, it may be theirs for a
 * while. */
static bool
is_junk(const struct disk *d, enum store_kind kind, bool named, const struct digest *name,
	const struct stat *st)
{
	struct digest empty;

	if (named && S_ISREG(st->st_mode))
		/* the usual remains of a power loss */
		return st->st_size == 0 && kind == STORE_BLOB &&
		       (digest_bytes("", 0, &empty) < 0 || !digest_eq(name, &empty));
	return !d->index->shared || time(NULL) - st->st_ctime > JUNK_OLD_S;
}

static int
remove_junk(const struct disk *d, const char *dir, int dir_fd, const char *name)
{
	_cleanup_(freep) char *path = NULL;

	if (d->read_only)
		return 0;
	if (unlinkat(dir_fd, name, 0) == 0 || d->index->shared)
		return 0;
	/* an owner must know all that is there */
	path = path_join(dir, name);
	return path == NULL ? -ENOMEM : fs_rm_rf(path);
}

/* When it was used: where a checkout shares a blob, its mtime is that of the checkout; an owner's
 * blobs keep the mtime that a job gave them, and have a use for atime alone. */
static void
set_used(const struct disk *d, const struct stat *st, struct disk_item *ret)
{
	struct timespec t = st->st_atim;

	if (d->index->shared && st->st_mtim.tv_sec > t.tv_sec)
		t = st->st_mtim;
	ret->used = t.tv_sec > 0 ? (uint64_t)t.tv_sec : 0;
	ret->used_ns = (uint32_t)t.tv_nsec;
}

static int
look_at(const struct disk *d, enum store_kind kind, unsigned sub, const char *path, int dir_fd,
	const char *name, struct disk_found *ret)
{
	struct disk_item i = { .kind = kind };
	struct stat st;
	bool named;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	named = digest_parse(name, &i.name) == 0 && i.name.b[0] == sub;
	if (is_junk(d, kind, named, &i.name, &st))
		return remove_junk(d, path, dir_fd, name);
	if (!named || !S_ISREG(st.st_mode))
		return 0;
	i.bytes = disk_bytes(d, &st);
	set_used(d, &st, &i);
	return disk_found_add(ret, &i);
}

static int
look_into(const struct disk *d, enum store_kind kind, unsigned sub, struct disk_found *ret)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char path[PATH_MAX];
	struct dirent *e;
	int r = 0;

	snprintf(path, sizeof(path), "%s/%s/%02x", d->dir, disk_dirs[kind], sub);
	dir = opendir(path);
	if (dir == NULL)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	while (r == 0 && (errno = 0, e = readdir(dir)) != NULL)
		if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
			r = look_at(d, kind, sub, path, dirfd(dir), e->d_name, ret);
	return r < 0 || d->index->shared ? r : -errno;
}

int
disk_look_into(const struct disk *d, unsigned sub, struct disk_found *ret)
{
	int r = 0;

	for (int kind = 0; r == 0 && kind < STORE_N_KINDS; kind++)
		r = look_into(d, (enum store_kind)kind, sub, ret);
	return r;
}

static int
each_below(const char *dir, disk_each_fn fn, void *arg)
{
	_cleanup_(closedirp) DIR *s = opendir(dir);
	struct digest name;
	struct dirent *e;
	int r = 0;

	while (r == 0 && s != NULL && (e = readdir(s)) != NULL)
		if (digest_parse(e->d_name, &name) == 0)
			r = fn(arg, &name);
	return r;
}

int
disk_each(struct store *s, enum store_kind kind, disk_each_fn fn, void *arg)
{
	char path[PATH_MAX];
	int i, r = 0;

	for (i = 0; r == 0 && i < DISK_SUBS; i++) {
		snprintf(path, sizeof(path), "%s/%s/%02x", disk_of(s)->dir, disk_dirs[kind], i);
		r = each_below(path, fn, arg);
	}
	return r;
}

static bool
is_gone(const char *path)
{
	return unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR;
}

bool
disk_remove_file(const struct disk *d, const struct disk_item *i, char later[PATH_MAX])
{
	char path[PATH_MAX], tmp[PATH_MAX];

	disk_path(d, i->kind, &i->name, path);
	later[0] = '\0';
	if (d->index->shared)
		return is_gone(path);
	disk_tmp_dir(d, tmp);
	if (disk_temp_name(tmp, later) < 0 || rename(path, later) < 0) {
		later[0] = '\0';
		/* A disk so full that not even a rename has room. What cannot be removed is found
		 * by the next scan; it must not stand in the way of the rest. */
		(void)unlink(path);
	}
	return true;
}

void
disk_free(const char *later)
{
	if (later[0] != '\0')
		(void)unlink(later);
}

int
disk_by_use(const void *a, const void *b)
{
	const struct disk_item *x = a, *y = b;

	if (x->used != y->used)
		return x->used < y->used ? -1 : 1;
	return x->used_ns < y->used_ns ? -1 : x->used_ns > y->used_ns;
}
