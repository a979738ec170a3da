/* Invariant: the plain call differs from the given one in nothing but -C incremental. */
#include "config.h"

#include "client/incremental/incremental.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "common/fs.h"

static bool
is_ours(const char *value)
{
	return starts_with(value, "incremental=");
}

/* How many words at v are -C incremental: 0, 1 or 2. */
static unsigned
words_of_it(char *const *v)
{
	if ((streq(*v, "-C") || streq(*v, "--codegen")) && v[1] && is_ours(v[1]))
		return 2;
	if (starts_with(*v, "-C") && is_ours(*v + 2))
		return 1;
	return starts_with(*v, "--codegen=") && is_ours(*v + strlen("--codegen="));
}

int
incremental_plain(const struct rustc_call *call, struct strv *argv, struct rustc_call *ret)
{
	char **v = call->argv;
	int r = strv_add(argv, *v++);

	while (r == 0 && *v) {
		unsigned n = words_of_it(v);

		/* its words may be anywhere in it */
		if (**v == '@')
			return -EINVAL;
		if (n == 0)
			r = strv_add(argv, *v++);
		v += n;
	}
	if (r == 0)
		r = call_parse(argv->v, ret);
	if (r == 0 && (ret->kind != CALL_UNIT || ret->incremental)) {
		call_done(ret);
		r = -EINVAL;
	}
	return r;
}

static const char *
unit_name(const struct rustc_call *call)
{
	return call->extra_filename ? call->extra_filename : "";
}

static char *
note_name(const struct rustc_call *call, const char *state)
{
	char *name;

	return asprintf(&name, "incremental %s/%s", call->incremental, state) < 0 ? NULL : name;
}

static bool
is_anothers(const struct rustc_call *call, struct memo *m, const char *state)
{
	_cleanup_(freep) char *name = note_name(call, state);
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	return name && memo_get_note(m, name, &b) == 0 &&
	       (b.n != strlen(unit_name(call)) ||
		       (b.n > 0 && memcmp(b.p, unit_name(call), b.n) != 0));
}

void
incremental_note_state(const struct rustc_call *call, struct memo *m, const char *name)
{
	_cleanup_(freep) char *note = note_name(call, name);

	if (note)
		memo_set_note(m, note, unit_name(call), strlen(unit_name(call)));
}

bool
incremental_is_state(const struct rustc_call *call, const char *name)
{
	size_t n = strlen(call->crate_name);

	return strncmp(name, call->crate_name, n) == 0 && name[n] == '-';
}

bool
incremental_is_session(const char *name)
{
	return starts_with(name, "s-") && !ends_with(name, ".lock") && !ends_with(name, "-working");
}

static bool
has_session(const char *dir, const char *state)
{
	_cleanup_(freep) char *path = path_join(dir, state);
	_cleanup_(closedirp) DIR *d = path ? opendir(path) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (incremental_is_session(e->d_name))
			return true;
	return false;
}

bool
incremental_has_state(const struct rustc_call *call, struct memo *m)
{
	_cleanup_(closedirp) DIR *d = call->incremental ? opendir(call->incremental) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (incremental_is_state(call, e->d_name) &&
			has_session(call->incremental, e->d_name) &&
			!is_anothers(call, m, e->d_name))
			return true;
	return false;
}

bool
incremental_is_rebuild(const struct rustc_call *call)
{
	_cleanup_(freep) char *path = NULL;

	if (!call->out_dir || asprintf(&path, "%s/%s%s.d", call->out_dir, call->crate_name,
				      unit_name(call)) < 0) {
		path = NULL;
		return false;
	}
	return fs_exists(path);
}
