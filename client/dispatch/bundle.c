/* Describes a link for dray, in files. Invariant: the list of files to remove after the link is
 * written before any of them is made, so that dray can always clean up. */
#include "config.h"

#include "client/dispatch/bundle.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/dispatch/unit_priv.h"
#include "client/link/link_check.h"
#include "common/fs.h"
#include "common/text/why.h"
#include "proto/alias.h"

struct bundle {
	struct unit *unit;
	struct outputs *outputs;
	const Dray__JobResult *result;
	struct strv dirs;     /* below the out-dir, relative */
	struct strv response; /* response files, relative */
	struct strv remove;   /* absolute */
	char **ret_home;
};

/* One argument with the paths of this machine; NULL: out of memory. */
static char *
own_terms(const struct bundle *b, const ProtobufCBinaryData *arg)
{
	struct buf s = BUF_INIT;

	if (buf_add(&s, "", 0) < 0 || buf_reserve(&s, 1) < 0 ||
		alias_undo(arg->data, arg->len, b->unit->out_dir, "", &s) < 0) {
		buf_done(&s);
		return NULL;
	}
	s.p[s.n] = '\0';
	return (char *)s.p;
}

static int
bad(struct bundle *b, const char *what)
{
	return why_set(b->ret_home, -ENOTSUP, "the captured link: %s", what);
}

/* A response file that rustc wrote into its temporary directory. */
static int
note_response(struct bundle *b, const char *path)
{
	_cleanup_(freep) char *abs = path_normalize(b->unit->cwd, path);

	if (!abs)
		return -ENOMEM;
	if (!path_is_below(abs, b->unit->out_dir) || streq(abs, b->unit->out_dir))
		return 0;
	return strv_add(&b->response, abs + strlen(b->unit->out_dir) + 1);
}

/* What else they may say is looked at before the link is made (client/link/link_check.h). */
static int
check_args(struct bundle *b, const struct strv *argv)
{
	int r = 0;

	if (argv->n == 0 || !streq(argv->v[0], b->unit->linker))
		return bad(b, "another linker");
	for (size_t i = 1; r == 0 && i < argv->n; i++)
		if (argv->v[i][0] == '@')
			r = note_response(b, argv->v[i] + 1);
	return r;
}

static int
check_dirs(struct bundle *b, const Dray__LinkCall *c)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n_dirs; i++) {
		const char *dir = c->dirs[i];

		/* rustc's own directory, and what is in it */
		if (!link_check_is_temp_dir(dir, strlen(dir)) &&
			!(strchr(dir, '/') && link_check_input_name("-", NULL, dir)))
			return bad(b, "a directory elsewhere");
		r = strv_add(&b->dirs, dir);
	}
	return r;
}

static int
take_args(struct bundle *b, const Dray__LinkCall *c, struct strv *argv)
{
	for (size_t i = 0; i < c->n_argv; i++) {
		int r;

		if (c->argv[i].len && memchr(c->argv[i].data, '\0', c->argv[i].len))
			return bad(b, "an argument with a NUL");
		r = strv_take(argv, own_terms(b, &c->argv[i]));
		if (r < 0)
			return r;
	}
	return 0;
}

static int
write_call(struct bundle *b, size_t index, bool last)
{
	const Dray__LinkCall *c = b->result->link[index];
	_cleanup_(strv_done) struct strv argv = STRV_INIT;
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	_cleanup_(freep) char *prefix = own_terms(b, &c->path_prefix);
	char name[32];
	int r = prefix ? take_args(b, c, &argv) : -ENOMEM;

	if (r == 0)
		r = check_args(b, &argv);
	if (r == 0)
		r = buf_add(&out, prefix, strlen(prefix) + 1);
	if (r == 0)
		r = buf_addf(&out, "%zu%c", argv.n, '\0');
	for (size_t i = 0; r == 0 && i < argv.n; i++)
		r = buf_add(&out, argv.v[i], strlen(argv.v[i]) + 1);
	/* The calls may share inputs, so the last one removes them all. */
	for (size_t i = 0; r == 0 && last && i < b->remove.n; i++)
		r = buf_add(&out, b->remove.v[i], strlen(b->remove.v[i]) + 1);
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "link-%zu", index);
	return outputs_write_staged(b->outputs, name, out.p, out.n);
}

static int
by_length(const void *a, const void *b)
{
	size_t n = strlen(*(char *const *)a), k = strlen(*(char *const *)b);

	return n < k ? -1 : n > k;
}

static int
make_dirs(struct bundle *b)
{
	if (b->dirs.n)
		qsort(b->dirs.v, b->dirs.n, sizeof(*b->dirs.v), by_length);
	for (size_t i = 0; i < b->dirs.n; i++) {
		_cleanup_(freep) char *path = path_join(b->unit->out_dir, b->dirs.v[i]);
		int r = path ? fs_mkdir_p(path, 0700) : -ENOMEM;

		if (r < 0)
			return r;
	}
	return 0;
}

/* rustc makes its own directory anew. One that is there is of another compile, and it and what is
 * in it would be written to, and removed afterwards. */
static int
check_new(struct bundle *b)
{
	size_t n = strlen(b->unit->out_dir) + 1;

	for (size_t i = 0; i < b->remove.n; i++) {
		const char *path = b->remove.v[i];
		struct stat st;

		if (link_check_is_temp_dir(path + n, strcspn(path + n, "/")) &&
			lstat(path, &st) == 0)
			return bad(b, "a directory that is another's");
	}
	return 0;
}

static int
make(struct bundle *b, const struct buf *tail, struct ledger *rep)
{
	size_t n = b->result->n_link;
	int r = 0;

	if (n == 0 || n > BUNDLE_CALLS_MAX)
		return bad(b, n ? "too many calls" : "none was seen");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = check_dirs(b, b->result->link[i]);
	strv_sort_unique(&b->dirs);
	if (r == 0)
		r = outputs_link_paths(b->outputs, &b->dirs, &b->remove);
	if (r == 0)
		r = check_new(b);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = write_call(b, i, i + 1 == n);
	if (r == 0)
		r = outputs_write_staged(b->outputs, "tail", tail->p, tail->n);
	if (r < 0)
		return r;
	rep->n_links = (uint32_t)n;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	r = make_dirs(b);
	return r < 0 ? r : outputs_place_links(b->outputs, &b->response);
}

int
bundle_make(struct unit *u, struct outputs *o, const Dray__JobResult *result,
	const struct buf *tail, struct ledger *rep, char **ret_home)
{
	struct bundle b = { .unit = u, .outputs = o, .result = result, .ret_home = ret_home };
	int r;

	*ret_home = NULL;
	r = make(&b, tail, rep);
	strv_done(&b.dirs);
	strv_done(&b.response);
	strv_done(&b.remove);
	return r;
}
