/* Invariant: a stat is answered here only if the file's attributes are known and the caller's
 * struct was written in full. Otherwise the kernel answers it. */
#include "config.h"

#include "worker/tracer/trace_stat.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NO_FLAGS (-1)

/* Argument numbers. */
static const struct stat_call {
	int nr, buffer, flags;
} rows[] = {
	{ SYS_statx, 4, 2 },
	{ SYS_newfstatat, 2, 3 },
	{ SYS_fstat, 1, NO_FLAGS },
#ifdef SYS_stat
	{ SYS_stat, 1, NO_FLAGS },
	{ SYS_lstat, 1, NO_FLAGS },
#endif
};

enum { STATX_MASK_ARG = 3 };

static int
compare(const void *a, const void *b)
{
	const struct trace_times *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static struct trace_times *
find(const struct trace_stat *s, const char *path)
{
	struct trace_times key = { .path = (char *)path };

	return s->n ? bsearch(&key, s->v, s->n, sizeof(key), compare) : NULL;
}

static int
append(struct trace_stat *s, const char *path, const Dray__FileTimes *times)
{
	char *copy;

	if (s->n == s->cap) {
		size_t cap = MAX2((size_t)64, 2 * s->cap);
		struct trace_times *v = reallocarray(s->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	s->v[s->n++] = (struct trace_times){ copy, *times };
	return 0;
}

int
trace_stat_init(struct trace_stat *s, const Dray__Unit *unit)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < unit->n_files; i++)
		if (unit->files[i]->times)
			r = append(s, unit->files[i]->path, unit->files[i]->times);
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), compare);
	return r;
}

void
trace_stat_done(struct trace_stat *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].path);
	free(s->v);
	*s = (struct trace_stat){ NULL, 0, 0 };
}

void
trace_stat_add(struct trace_stat *s, const char *path, const Dray__FileTimes *times)
{
	struct trace_times *known = find(s, path);

	if (known)
		known->times = *times;
	else if (append(s, path, times) == 0)
		qsort(s->v, s->n, sizeof(*s->v), compare);
}

const Dray__FileTimes *
trace_stat_find(const struct trace_stat *s, const char *path)
{
	const struct trace_times *t = find(s, path);

	return t ? &t->times : NULL;
}

static const struct stat_call *
row_of(const struct seccomp_notif *req)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].nr == req->data.nr)
			return &rows[i];
	return NULL;
}

bool
trace_stat_is_by_descriptor(const struct seccomp_notif *req)
{
	const struct stat_call *r = row_of(req);

	return r && (r->nr == SYS_fstat ||
			    (r->flags != NO_FLAGS && (req->data.args[r->flags] & AT_EMPTY_PATH)));
}

bool
trace_stat_is_access(const struct seccomp_notif *req)
{
	int nr = req->data.nr;

#ifdef SYS_access
	if (nr == SYS_access)
		return (req->data.args[1] & (W_OK | X_OK)) != 0;
#endif
	return (nr == SYS_faccessat || nr == SYS_faccessat2) &&
	       (req->data.args[2] & (W_OK | X_OK)) != 0;
}

/* Before 1970 a second is negative and its nanoseconds are not. */
static void
split(int64_t ns, int64_t *sec, int64_t *nsec)
{
	*sec = ns / 1000000000 - (ns % 1000000000 < 0);
	*nsec = ns - *sec * 1000000000;
}

static void
fill(struct statx_timestamp *t, int64_t ns)
{
	int64_t sec, nsec;

	split(ns, &sec, &nsec);
	t->tv_sec = sec;
	t->tv_nsec = (uint32_t)nsec;
}

static void
fill_spec(struct timespec *t, int64_t ns)
{
	int64_t sec, nsec;

	split(ns, &sec, &nsec);
	t->tv_sec = sec;
	t->tv_nsec = nsec;
}

static bool
make_statx(const Dray__FileTimes *t, const struct seccomp_notif *req, int root, const char *path,
	struct statx *st)
{
	memset(st, 0, sizeof(*st));
	if (statx(root, path, AT_SYMLINK_NOFOLLOW, (unsigned)req->data.args[STATX_MASK_ARG], st) <
		0)
		return false;
	fill(&st->stx_mtime, t->modified);
	if (t->created && (st->stx_mask & STATX_BTIME))
		fill(&st->stx_btime, t->created);
	if (!t->mode)
		return true;
	st->stx_mode = (uint16_t)t->mode;
	st->stx_dev_major = major(t->device);
	st->stx_dev_minor = minor(t->device);
	st->stx_ino = t->inode;
	st->stx_nlink = (uint32_t)t->links;
	st->stx_blocks = t->blocks;
	if (S_ISDIR(t->mode))
		st->stx_size = t->size;
	st->stx_uid = t->uid;
	st->stx_gid = t->gid;
	fill(&st->stx_ctime, t->changed);
	fill(&st->stx_atime, t->accessed);
	return true;
}

/* The kernel's struct is libc's on 64-bit machines. */
static bool
make_stat(const Dray__FileTimes *t, int root, const char *path, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	if (sizeof(long) < 8 || fstatat(root, path, st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	fill_spec(&st->st_mtim, t->modified);
	if (!t->mode)
		return true;
	st->st_mode = t->mode;
	st->st_dev = t->device;
	st->st_ino = t->inode;
	st->st_nlink = t->links;
	st->st_blocks = (blkcnt_t)t->blocks;
	if (S_ISDIR(t->mode))
		st->st_size = (off_t)t->size;
	st->st_uid = t->uid;
	st->st_gid = t->gid;
	fill_spec(&st->st_ctim, t->changed);
	fill_spec(&st->st_atim, t->accessed);
	return true;
}

bool
trace_stat_answer(
	const struct trace_stat *s, const struct trace_listener *l, int root, const char *path)
{
	const struct seccomp_notif *req = l->req;
	const Dray__FileTimes *t = trace_stat_find(s, path);
	const struct stat_call *row = row_of(req);
	const char *below = path[1] ? path + 1 : ".";
	struct statx stx;
	struct stat st;

	if (!t || !row)
		return false;
	if (row->nr == SYS_statx)
		return make_statx(t, req, root, below, &stx) &&
		       trace_listener_write(l, req->data.args[row->buffer], &stx, sizeof(stx));
	return make_stat(t, root, below, &st) &&
	       trace_listener_write(l, req->data.args[row->buffer], &st, sizeof(st));
}
