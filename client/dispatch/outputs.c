/* Receives and places outputs. Invariant: a file gets its final name in one step, once it is whole
 * and verified; nothing is ever written outside the out-dir. */
#include "config.h"

#include "client/dispatch/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/dispatch/unit.h"
#include "client/wrap/ledger.h"
#include "client/link/link_check.h"
#include "rustc/call.h"
#include "common/fs.h"
#include "proto/alias.h"
#include "proto/wire.h"

#define RESPONSE_MAX (64u * 1024 * 1024)
#define COPY_SIZE ((size_t)128 << 10)

struct incoming {
	char *name;
	char *temp;
	Dray__OutputKind kind;
	struct digest digest;
	uint64_t size;
	mode_t mode;
	bool whole, placed;
	bool late;	/* its digest comes behind its content */
	bool of_placed; /* there is content in it of a file that others may have changed since */
};

struct outputs {
	struct outputs_in in;
	struct incoming *v;
	size_t n, cap;
	uint64_t bytes; /* promised so far */
	int fd;		/* of the last one while it is not whole */
	uint64_t got;
	struct hasher *hasher;
	uint8_t *copy; /* made when first needed */
};

int
outputs_new(const struct outputs_in *in, struct outputs **ret)
{
	_cleanup_(outputs_freep) struct outputs *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->in = *in;
	if (!o->in.max_bytes)
		o->in.max_bytes = OUTPUTS_BYTES_MAX;
	o->fd = -1;
	o->hasher = hasher_new();
	if (!o->hasher)
		return -ENOMEM;
	*ret = steal_ptr(o);
	return 0;
}

void
outputs_free(struct outputs *o)
{
	if (!o)
		return;
	closep(&o->fd);
	for (size_t i = 0; i < o->n; i++) {
		if (!o->v[i].placed && o->v[i].temp)
			unlink(o->v[i].temp);
		free(o->v[i].name);
		free(o->v[i].temp);
	}
	free(o->v);
	hasher_free(o->hasher);
	free(o->copy);
	free(o);
}

void
outputs_freep(struct outputs **o)
{
	outputs_free(*o);
	*o = NULL;
}

static struct incoming *
find(const struct outputs *o, const char *name, Dray__OutputKind kind)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->v[i].kind == kind && streq(o->v[i].name, name))
			return &o->v[i];
	return NULL;
}

static bool
begin_ok(const struct outputs *o, const Dray__OutputBegin *m)
{
	return m->output == o->n && (m->mode & ~0777u) == 0 &&
	       (m->digest.len == DIGEST_SIZE || (m->digest.len == 0 && !m->same)) &&
	       (m->kind == DRAY__OUTPUT_KIND__OUTPUT_FILE ||
		       m->kind == DRAY__OUTPUT_KIND__OUTPUT_LINK_INPUT ||
		       (m->kind == DRAY__OUTPUT_KIND__OUTPUT_PIECE && !m->same));
}

static bool
is_name(const struct outputs *o, const Dray__OutputBegin *m)
{
	const struct rustc_call *c = o->in.call;

	if (m->kind == DRAY__OUTPUT_KIND__OUTPUT_PIECE)
		return !*m->name;
	if (m->kind == DRAY__OUTPUT_KIND__OUTPUT_FILE)
		return call_makes_name(c, m->name);
	return c->calls_linker && link_check_input_name(c->crate_name, c->extra_filename, m->name);
}

static int
grow(struct outputs *o)
{
	size_t cap = o->cap ? 2 * o->cap : 16;
	struct incoming *v;

	if (o->n < o->cap)
		return 0;
	v = reallocarray(o->v, cap, sizeof(*v));
	if (!v)
		return -ENOMEM;
	o->v = v;
	o->cap = cap;
	return 0;
}

static int
open_temp(struct outputs *o, struct incoming *v)
{
	if (asprintf(&v->temp, "%s/%u-%zu", o->in.staging, o->in.try, o->n) < 0) {
		v->temp = NULL;
		return -ENOMEM;
	}
	o->fd = open(v->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return o->fd < 0 ? -errno : 0;
}

/* The piece that an output is, by the digest that was made here; or NULL. */
static struct incoming *
find_same(const struct outputs *o, const Dray__OutputBegin *m)
{
	struct incoming *v = m->same <= o->n ? &o->v[m->same - 1] : NULL;

	return v && v->kind == DRAY__OUTPUT_KIND__OUTPUT_PIECE && v->whole && !v->placed &&
			       v->size == m->size &&
			       memcmp(v->digest.b, m->digest.data, DIGEST_SIZE) == 0
		       ? v
		       : NULL;
}

/* It is the only one with that file. */
static void
take_piece(struct incoming *v, struct incoming *piece)
{
	v->temp = steal_ptr(piece->temp);
	v->whole = true;
	piece->placed = true;
	piece->whole = false;
}

int
outputs_begin(struct outputs *o, const Dray__OutputBegin *m)
{
	struct incoming *v;
	int r = outputs_settle(o);

	if (r < 0)
		return r;
	if (!begin_ok(o, m))
		return -EBADMSG;
	if (!is_name(o, m))
		return -EINVAL;
	if (o->n >= OUTPUTS_MAX || m->size > o->in.max_bytes - o->bytes)
		return -EFBIG;
	/* two linker calls of one unit may share an input; two files cannot share a name */
	if (m->kind == DRAY__OUTPUT_KIND__OUTPUT_FILE && find(o, m->name, m->kind))
		return -EBADMSG;
	if (m->same && !find_same(o, m))
		return -EBADMSG;
	r = grow(o);
	if (r < 0)
		return r;
	v = &o->v[o->n];
	memset(v, 0, sizeof(*v));
	v->name = strdup(m->name);
	if (!v->name)
		return -ENOMEM;
	if (m->same)
		take_piece(v, find_same(o, m));
	else
		r = open_temp(o, v);
	if (r < 0) {
		free(v->name);
		free(v->temp);
		return r;
	}
	v->kind = m->kind;
	v->late = m->digest.len == 0;
	if (!v->late)
		memcpy(v->digest.b, m->digest.data, DIGEST_SIZE);
	v->size = m->size;
	v->mode = 0666 & ~o->in.umask;
	o->bytes += m->size;
	o->got = 0;
	o->n++;
	return 0;
}

/* Whether the files that lie in the out-dir are those that came. */
static bool
are_as_placed(const struct outputs *o)
{
	for (size_t i = 0; i < o->n; i++) {
		const struct incoming *v = &o->v[i];
		_cleanup_(freep) char *path = NULL;
		_cleanup_(closep) int fd = -1;
		struct digest d;

		if (!v->placed || v->kind != DRAY__OUTPUT_KIND__OUTPUT_FILE)
			continue;
		path = path_join(o->in.out_dir, v->name);
		fd = path ? fs_open_regular(path, NULL) : -1;
		if (fd < 0 || digest_fd(fd, &d, NULL) < 0 || !digest_eq(&d, &v->digest))
			return false;
	}
	return true;
}

static int
finish(struct outputs *o)
{
	struct incoming *v = &o->v[o->n - 1];
	struct digest d;
	int r = 0;

	hasher_final(o->hasher, &d);
	if (o->got != v->size || v->late || !digest_eq(&d, &v->digest))
		r = v->of_placed && !are_as_placed(o) ? -ESTALE : -EBADMSG;
	else if (fchmod(o->fd, v->mode) < 0)
		r = -errno;
	/* a full disk may show only here (NFS) */
	if (close(steal_fd(&o->fd)) < 0 && r == 0 && errno != EINTR)
		r = -errno;
	v->whole = r == 0;
	return r;
}

static int
add(struct outputs *o, const void *p, size_t n)
{
	int r = fs_write_all(o->fd, p, n);

	if (r < 0)
		return r;
	hasher_update(o->hasher, p, n);
	o->got += n;
	return 0;
}

/* Content of an earlier output. -ESTALE: its file is not what it was. */
static int
add_from(struct outputs *o, const struct incoming *from, uint64_t at, size_t n)
{
	_cleanup_(freep) char *final = from->placed ? path_join(o->in.out_dir, from->name) : NULL;
	_cleanup_(closep) int fd = -1;

	if (!o->copy)
		o->copy = malloc(COPY_SIZE);
	if (!o->copy || (from->placed && !final))
		return -ENOMEM;
	fd = fs_open_regular(final ? final : from->temp, NULL);
	if (fd < 0)
		return final ? -ESTALE : fd;
	while (n > 0) {
		ssize_t k = fs_read_at(fd, o->copy, MIN2(n, COPY_SIZE), at);
		int r;

		if (k <= 0)
			return k < 0 ? (int)k : -ESTALE;
		r = add(o, o->copy, (size_t)k);
		if (r < 0)
			return r;
		at += (uint64_t)k;
		n -= (size_t)k;
	}
	return 0;
}

/* The earlier output that a chunk names, or NULL. */
static const struct incoming *
find_from(const struct outputs *o, const Dray__OutputChunk *m)
{
	const struct incoming *v = m->from < o->n ? &o->v[m->from - 1] : NULL;

	return v && v->whole && v->kind != DRAY__OUTPUT_KIND__OUTPUT_LINK_INPUT &&
			       m->from_offset <= v->size && m->size <= v->size - m->from_offset &&
			       m->size <= WIRE_CHUNK_MAX
		       ? v
		       : NULL;
}

static int
take_digest(struct incoming *v, const Dray__OutputChunk *m)
{
	if (!m->last || !v->late)
		return m->digest.len ? -EBADMSG : 0;
	if (m->digest.len != DIGEST_SIZE)
		return -EBADMSG;
	memcpy(v->digest.b, m->digest.data, DIGEST_SIZE);
	v->late = false;
	return 0;
}

int
outputs_chunk(struct outputs *o, const Dray__OutputChunk *m, const void *p, size_t n)
{
	const struct incoming *from = NULL;
	struct incoming *v;
	int r;

	if (o->n == 0 || o->fd < 0 || m->output != o->n - 1 || m->offset != o->got)
		return -EBADMSG;
	v = &o->v[o->n - 1];
	if (m->from) {
		from = find_from(o, m);
		if (!from || n)
			return -EBADMSG;
		v->of_placed |= from->placed || from->of_placed;
	}
	if ((from ? m->size : n) > v->size - o->got)
		return -EBADMSG;
	r = take_digest(v, m);
	if (r == 0)
		r = from ? add_from(o, from, m->from_offset, m->size) : add(o, p, n);
	if (r < 0)
		return r;
	return m->last ? finish(o) : 0;
}

int
outputs_settle(struct outputs *o)
{
	if (o->fd < 0)
		return 0;
	return o->got == o->v[o->n - 1].size ? finish(o) : -EBADMSG;
}

bool
outputs_none_linked(const struct outputs *o)
{
	static const char *const compiled[] = { ".rlib", ".rmeta", ".a", ".d", ".dwo", ".o", ".s",
		".ll", ".bc", ".mir" };

	for (size_t i = 0; i < o->n; i++) {
		size_t k = 0;

		if (o->v[i].kind == DRAY__OUTPUT_KIND__OUTPUT_PIECE)
			continue;
		while (k < ARRAY_LEN(compiled) && !ends_with(o->v[i].name, compiled[k]))
			k++;
		if (k == ARRAY_LEN(compiled) || o->v[i].kind != DRAY__OUTPUT_KIND__OUTPUT_FILE)
			return false;
	}
	return o->n > 0;
}

size_t
outputs_count(const struct outputs *o)
{
	return o->n;
}

int
outputs_find(const struct outputs *o, const char *name, struct digest *ret, uint64_t *ret_size)
{
	const struct incoming *v = find(o, name, DRAY__OUTPUT_KIND__OUTPUT_FILE);

	if (!v || !v->whole)
		return -ENOENT;
	*ret = v->digest;
	if (ret_size)
		*ret_size = v->size;
	return 0;
}

int
outputs_read(const struct outputs *o, const char *name, size_t max, struct buf *ret)
{
	_cleanup_(freep) char *final = NULL;
	const struct incoming *v = find(o, name, DRAY__OUTPUT_KIND__OUTPUT_FILE);

	if (!v || !v->whole)
		return -ENOENT;
	if (!v->placed)
		return fs_read_file(v->temp, max, ret);
	final = path_join(o->in.out_dir, name);
	return final ? fs_read_file(final, max, ret) : -ENOMEM;
}

char *
outputs_path(const struct outputs *o, const char *name)
{
	const struct incoming *v = find(o, name, DRAY__OUTPUT_KIND__OUTPUT_FILE);

	if (!v || !v->whole)
		return NULL;
	return v->placed ? path_join(o->in.out_dir, name) : strdup(v->temp);
}

static int
place(struct outputs *o, struct incoming *v)
{
	_cleanup_(freep) char *final = path_join(o->in.out_dir, v->name);

	if (!final)
		return -ENOMEM;
	if (v->placed)
		return 0;
	if (!v->whole)
		return -EBADMSG;
	if (rename(v->temp, final) < 0)
		return -errno;
	v->placed = true;
	/* Units that depend on it will need its digest. A link's input needs none, and its content
	 * may have been changed here. */
	if (v->kind == DRAY__OUTPUT_KIND__OUTPUT_FILE)
		memo_note_digest(o->in.memo, final, &v->digest);
	return 0;
}

int
outputs_place(struct outputs *o, const char *name)
{
	struct incoming *v = find(o, name, DRAY__OUTPUT_KIND__OUTPUT_FILE);

	return v ? place(o, v) : -ENOENT;
}

int
outputs_place_all(struct outputs *o)
{
	int r = outputs_settle(o);

	for (size_t i = 0; r == 0 && i < o->n; i++)
		if (o->v[i].kind == DRAY__OUTPUT_KIND__OUTPUT_FILE)
			r = place(o, &o->v[i]);
	return r;
}

/* It counts as placed: it is the link's to put in place. */
static int
hold(struct outputs *o, struct incoming *v)
{
	_cleanup_(freep) char *dir = path_join(o->in.staging, LEDGER_LATE);
	_cleanup_(freep) char *to = dir ? path_join(dir, v->name) : NULL;

	if (!to)
		return -ENOMEM;
	if (!v->whole)
		return -EBADMSG;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (rename(v->temp, to) < 0)
		return -errno;
	v->placed = true;
	return 0;
}

int
outputs_hold_late(struct outputs *o)
{
	int r = outputs_settle(o);

	for (size_t i = 0; r == 0 && i < o->n; i++)
		if (o->v[i].kind == DRAY__OUTPUT_KIND__OUTPUT_FILE && !o->v[i].placed &&
			ledger_is_late(o->v[i].name))
			r = hold(o, &o->v[i]);
	return r;
}

int
outputs_drop(struct outputs *o, const char *name)
{
	struct incoming *v = find(o, name, DRAY__OUTPUT_KIND__OUTPUT_FILE);

	if (!v)
		return -ENOENT;
	if (!v->placed && unlink(v->temp) < 0)
		return -errno;
	v->placed = true;
	return 0;
}

/* Puts the alias back in a response file; rustc writes a backslash before blanks and backslashes
 * there (rustc_codegen_ssa::back::command). */
static int
map_response(struct outputs *o, struct incoming *v)
{
	struct buf from = BUF_INIT, to = BUF_INIT;
	int fd, r = fs_read_file(v->temp, RESPONSE_MAX, &from);

	if (r == 0)
		r = alias_undo(from.p, from.n, o->in.out_dir, " \\", &to);
	if (r == 0) {
		fd = open(v->temp, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
		r = fd < 0 ? -errno : fs_write_all(fd, to.p, to.n);
		if (fd >= 0 && close(fd) < 0 && r == 0 && errno != EINTR)
			r = -errno;
	}
	buf_done(&from);
	buf_done(&to);
	return r;
}

static int
place_link(struct outputs *o, struct incoming *v, const struct strv *response)
{
	int r = strv_has(response, v->name) ? map_response(o, v) : 0;

	if (r == 0 && strchr(v->name, '/')) {
		_cleanup_(freep) char *final = path_join(o->in.out_dir, v->name);
		_cleanup_(freep) char *dir = final ? path_dirname(final) : NULL;

		if (!dir)
			return -ENOMEM;
		if (mkdir(dir, 0700) < 0 && errno != EEXIST)
			return -errno;
	}
	return r < 0 ? r : place(o, v);
}

int
outputs_place_links(struct outputs *o, const struct strv *response)
{
	int r = outputs_settle(o);

	for (size_t i = 0; r == 0 && i < o->n; i++)
		if (o->v[i].kind == DRAY__OUTPUT_KIND__OUTPUT_LINK_INPUT)
			r = place_link(o, &o->v[i], response);
	return r;
}

/* Longer paths first, so that the content of a directory comes before it. */
static int
by_depth(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	size_t n = strlen(x), k = strlen(y);

	return n == k ? strcmp(x, y) : n < k ? 1 : -1;
}

/* Makes the directories of rel, below out_dir. */
static int
add_dirs(const struct outputs *o, const char *rel, struct strv *dirs)
{
	const char *slash = strchr(rel, '/');

	if (!slash)
		return 0;
	return strv_addf(dirs, "%s/%.*s", o->in.out_dir, (int)(slash - rel), rel);
}

int
outputs_link_paths(const struct outputs *o, const struct strv *more_dirs, struct strv *ret)
{
	_cleanup_(strv_done) struct strv dirs = STRV_INIT;
	_cleanup_(strv_done) struct strv files = STRV_INIT;
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->n; i++) {
		if (o->v[i].kind != DRAY__OUTPUT_KIND__OUTPUT_LINK_INPUT)
			continue;
		r = strv_addf(&files, "%s/%s", o->in.out_dir, o->v[i].name);
		if (r == 0)
			r = add_dirs(o, o->v[i].name, &dirs);
	}
	for (size_t i = 0; r == 0 && i < more_dirs->n; i++) {
		r = strv_addf(&dirs, "%s/%s", o->in.out_dir, more_dirs->v[i]);
		if (r == 0)
			r = add_dirs(o, more_dirs->v[i], &dirs);
	}
	strv_sort_unique(&files);
	strv_sort_unique(&dirs);
	if (dirs.n)
		qsort(dirs.v, dirs.n, sizeof(*dirs.v), by_depth);
	if (r == 0 && files.n)
		r = strv_add_all(ret, files.v);
	if (r == 0 && dirs.n)
		r = strv_add_all(ret, dirs.v);
	return r;
}

int
outputs_list(const struct outputs *o, struct strv *ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->n; i++) {
		if (o->v[i].kind == DRAY__OUTPUT_KIND__OUTPUT_PIECE)
			continue;
		r = strv_addf(ret, "%s/%s", o->in.out_dir, o->v[i].name);
		if (r == 0)
			r = add_dirs(o, o->v[i].name, ret);
	}
	return r;
}

int
outputs_write_staged(const struct outputs *o, const char *name, const void *p, size_t n)
{
	_cleanup_(freep) char *path = path_join(o->in.staging, name);

	return path ? fs_write_atomic(path, p, n, 0600) : -ENOMEM;
}
