/* Invariant: what is wrong, lost or old in such a file costs a mark too many or too few, and
 * nothing else. */
#include "config.h"

#include "client/cached/together.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "cache/entry.h"
#include "common/fs.h"
#include "common/lines.h"

#define HEX_LEN (DIGEST_HEX_SIZE - 1)

void
together_done(struct together *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].path);
	free(t->v);
	*t = (struct together){ NULL, 0, 0 };
}

/* ---- the file */

/* A path that leads out of the target directory is none. */
static bool
is_path(const char *p, size_t n)
{
	return n > 0 && n < PATH_MAX && *p != '/' && !memchr(p, '\0', n) && !memmem(p, n, "..", 2);
}

static int
add_line(const char *p, size_t n, struct together *t)
{
	char hex[DIGEST_HEX_SIZE] = "";
	struct together_unit u;

	if (n < HEX_LEN + 1 || p[HEX_LEN] != ' ' || !is_path(p + HEX_LEN + 1, n - HEX_LEN - 1))
		return 0;
	memcpy(hex, p, HEX_LEN);
	if (digest_parse(hex, &u.key) < 0)
		return 0;
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 256;
		struct together_unit *v = reallocarray(t->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		t->v = v;
		t->cap = cap;
	}
	u.path = strndup(p + HEX_LEN + 1, n - HEX_LEN - 1);
	if (!u.path)
		return -ENOMEM;
	u.line = t->n;
	t->v[t->n++] = u;
	return 0;
}

static int
by_path(const void *a, const void *b)
{
	const struct together_unit *x = a, *y = b;
	int r = strcmp(x->path, y->path);

	return r != 0 ? r : x->line < y->line ? -1 : x->line > y->line;
}

static void
keep_last(struct together *t)
{
	size_t kept = 0;

	if (t->n > 0)
		qsort(t->v, t->n, sizeof(*t->v), by_path);
	for (size_t i = 0; i < t->n; i++) {
		if (i + 1 < t->n && streq(t->v[i].path, t->v[i + 1].path))
			free(t->v[i].path);
		else
			t->v[kept++] = t->v[i];
	}
	t->n = kept;
}

int
together_decode(const char *p, size_t n, struct together *ret)
{
	const char *end = p + n;
	int r = 0;

	while (r == 0 && p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));

		/* its end was not written */
		if (!newline)
			break;
		r = add_line(p, (size_t)(newline - p), ret);
		p = newline + 1;
	}
	if (r < 0)
		together_done(ret);
	else
		keep_last(ret);
	return r;
}

static int
add_to(struct buf *b, const struct digest *key, const char *path)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(key, hex);
	return buf_addf(b, "%s %s\n", hex, path);
}

/* Adds a line in one write. How long the file is then; -errno. */
static off_t
append(const char *file, const struct digest *key, const char *path)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = add_to(&b, key, path);

	return r < 0 ? r : lines_append(file, b.p, b.n);
}

/* Of a target directory, in <cache>/together. NULL: no memory. */
static char *
file_of(const char *cache_dir, const char *target_dir, char hex[DIGEST_HEX_SIZE])
{
	_cleanup_(freep) char *dir = path_join(cache_dir, "together");
	struct digest d;

	if (!dir || digest_bytes(target_dir, strlen(target_dir), &d) < 0)
		return NULL;
	digest_hex(&d, hex);
	return path_join(dir, hex);
}

int
together_read(const char *cache_dir, const char *target_dir, struct together *ret)
{
	char hex[DIGEST_HEX_SIZE];
	_cleanup_(freep) char *file = file_of(cache_dir, target_dir, hex);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	size_t kept = 0;
	int r = file ? fs_read_file(file, 2 * TOGETHER_BYTES, &b) : -ENOMEM;

	if (r == 0)
		r = together_decode((const char *)b.p, b.n, ret);
	for (size_t i = 0; r == 0 && i < ret->n; i++) {
		_cleanup_(freep) char *path = path_join(target_dir, ret->v[i].path);

		if (path && fs_exists(path))
			ret->v[kept++] = ret->v[i];
		else
			free(ret->v[i].path);
	}
	if (r == 0)
		ret->n = kept;
	return r;
}

/* ---- marking */

void
together_mark_result(struct depot *depot, const struct digest *key, const struct result *res)
{
	size_t n = 0, max = res->n_outputs + res->n_temporaries;
	_cleanup_(freep) struct digest *blobs = calloc(max + 1, sizeof(*blobs));

	if (!blobs)
		return;
	for (size_t i = 0; i < res->n_outputs; i++)
		if (res->outputs[i].is_blob)
			blobs[n++] = res->outputs[i].digest;
	for (size_t i = 0; i < res->n_temporaries; i++)
		blobs[n++] = res->temporaries[i].digest;
	depot_used(depot, key, blobs, n);
}

/* What is not in the cache any more is passed over. */
static void
mark(struct depot *depot, const struct digest *key)
{
	_cleanup_(result_done) struct result res = RESULT_INIT;
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (depot_read_entry(depot, key, &b) == 0 && entry_decode(b.p, b.n, key, &e) == 0 &&
		e.n_results > 0 && entry_result(&e, 0, &res) == 0)
		together_mark_result(depot, key, &res);
}

/* All that lies there is marked, and what does not is forgotten. What others add meanwhile may be
 * forgotten, too: until it is used again. */
static void
mark_all(const struct together_in *in, const char *file)
{
	_cleanup_(together_done) struct together t = { NULL, 0, 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT, left = BUF_INIT;
	int r = fs_read_file(file, 2 * TOGETHER_BYTES, &b);

	if (r == 0)
		r = together_decode((const char *)b.p, b.n, &t);
	for (size_t i = 0; r == 0 && i < t.n; i++) {
		_cleanup_(freep) char *path = path_join(in->target_dir, t.v[i].path);

		if (!path || !fs_exists(path))
			continue;
		mark(in->depot, &t.v[i].key);
		r = add_to(&left, &t.v[i].key, t.v[i].path);
	}
	/* more than any build has: it is begun anew */
	if (r < 0 || left.n > TOGETHER_BYTES / 2)
		(void)unlink(file);
	else if (left.n > 0 && left.n < b.n)
		(void)fs_write_atomic(file, left.p, left.n, 0600);
}

static void
remove_old(const char *dir)
{
	_cleanup_(closedirp) DIR *d = opendir(dir);
	time_t now = time(NULL);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_(freep) char *path = path_join(dir, e->d_name);
		struct stat st;

		if (path && lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
			now - st.st_mtim.tv_sec > TOGETHER_OLD_S)
			(void)unlink(path);
	}
}

/* Whether it is this process's turn, once a day, or as the file has become long. What cannot be
 * remembered is not done: every unit would do it. */
static bool
is_due(struct memo *memo, const char *hex, bool is_long)
{
	_cleanup_(freep) char *name = NULL;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int64_t now = time(NULL), last = 0;

	if (!memo || asprintf(&name, "together %s", hex) < 0) {
		name = NULL;
		return is_long;
	}
	if (memo_get_note(memo, name, &b) == 0 && b.n == sizeof(last))
		memcpy(&last, b.p, sizeof(last));
	if (!is_long && llabs(now - last) < TOGETHER_DAY_S)
		return false;
	return (memo_set_note(memo, name, &now, sizeof(now)) == 0 && memo_flush(memo) == 0) ||
	       is_long;
}

void
together_note(const struct together_in *in, const struct digest *key, const char *path)
{
	_cleanup_(freep) char *dir = path_join(in->cache_dir, "together");
	char hex[DIGEST_HEX_SIZE];
	_cleanup_(freep) char *file = file_of(in->cache_dir, in->target_dir, hex);
	off_t size;

	if (!dir || !file || !is_path(path, strlen(path)) || strchr(path, '\n'))
		return;
	size = append(file, key, path);
	if (size < 0 || !is_due(in->memo, hex, size > (off_t)TOGETHER_BYTES))
		return;
	mark_all(in, file);
	remove_old(dir);
}
