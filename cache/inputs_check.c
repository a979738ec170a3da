/* Invariant: inputs_check finds no difference only if a second run of the compile would get the
 * same answer to each of its questions. */
#include "config.h"

#include "cache/inputs_priv.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/attributes.h"
#include "cache/variables.h"
#include "cache/rlib.h"
#include "common/fs.h"
#include "memo/git_index.h"
#include "common/text/why.h"

/* By which places a result may be tied, as inputs of the kind INPUT_OUT_DIR name them. */
static const struct tie {
	const char *name, *what;
	char mark; /* '\0': it has none of its own */
} ties[] = { { INPUT_OUT_DIR_NAME, "the out-dir", INPUT_OUT_DIR_MARK },
	{ INPUT_REAL_OUT_DIR_NAME, "the out-dir", '\0' },
	{ INPUT_UNIT_NAME, "the unit's directory", '\0' }, { INPUT_ABOVE_NAME, NULL, '\0' },
	{ INPUT_WORKSPACE_NAME, "the workspace", INPUT_WORKSPACE_MARK },
	{ "cargo's home", "cargo's home", INPUT_CARGO_HOME_MARK },
	{ INPUT_HOME_NAME, "the home directory", INPUT_HOME_MARK },
	{ "toolchain", "the toolchain's directory", INPUT_TOOLCHAIN_MARK } };

const char *
inputs_place_name(char mark)
{
	for (size_t i = 0; i < ARRAY_LEN(ties); i++)
		if (ties[i].mark == mark)
			return ties[i].name;
	return NULL;
}

static int
differs(char **ret, const char *what, const char *how)
{
	return why_set(ret, -ESTALE, "%s %s", input_is_marked(what) ? what + 1 : what, how);
}

static bool
has_digest(const struct input *in, const struct digest *d)
{
	return in->value.n == DIGEST_SIZE && memcmp(in->value.p, d->b, DIGEST_SIZE) == 0;
}

static bool
has_text(const struct input *in, const char *text)
{
	return in->value.n == strlen(text) &&
	       (in->value.n == 0 || memcmp(in->value.p, text, in->value.n) == 0);
}

static int
check_path(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *path = inputs_real_path(place, in->name);
	struct digest d;
	struct stat st;
	int r;

	if (!path)
		return -ENOMEM;
	switch (in->kind) {
	case INPUT_FILE:
	case INPUT_METADATA:
		r = in->kind == INPUT_FILE ? memo_digest_file(place->memo, path, &d, NULL)
					   : rlib_metadata_digest(place->memo, path, &d);
		if (r == -ENOMEM)
			return r;
		if (r < 0 && (in->kind == INPUT_FILE || !fs_exists(path)))
			return differs(ret_differs, in->name, "is gone");
		return r == 0 && has_digest(in, &d) ? 0 : differs(ret_differs, in->name, "changed");
	case INPUT_ABSENT:
		return stat(path, &st) < 0 ? 0 : differs(ret_differs, in->name, "is new");
	case INPUT_EXISTS:
		if (stat(path, &st) < 0)
			return differs(ret_differs, in->name, "is gone");
		return S_ISREG(st.st_mode) ? differs(ret_differs, in->name, "is a file now") : 0;
	default:
		r = inputs_listing(path, &d);
		if (r == -ENOMEM)
			return r;
		return r == 0 && has_digest(in, &d)
			       ? 0
			       : differs(ret_differs, in->name, "has other files");
	}
}

static int
check_link(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *path = inputs_real_path(place, in->name);
	char to[PATH_MAX];
	ssize_t n;

	if (!path)
		return -ENOMEM;
	n = readlink(path, to, sizeof(to));
	if (n < 0)
		return differs(ret_differs, in->name, "is no symbolic link now");
	return (size_t)n == in->value.n && memcmp(to, in->value.p, (size_t)n) == 0
		       ? 0
		       : differs(ret_differs, in->name, "leads elsewhere");
}

static int
check_real(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *path = inputs_real_path(place, in->name);
	_cleanup_(freep) char *real = path ? realpath(path, NULL) : NULL;

	_cleanup_(freep) char *marked = real ? inputs_mark_path(place, real) : NULL;

	if (!path || (real && !marked))
		return -ENOMEM;
	return real && has_text(in, marked) ? 0 : differs(ret_differs, in->name, "leads elsewhere");
}

static int
check_attributes(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *path = inputs_real_path(place, in->name);
	struct attributes kept, now;
	const char *what;
	int r = path ? attributes_decode(&in->value, &kept) : -ENOMEM;

	if (r < 0)
		return r == -ENOMEM ? r : differs(ret_differs, in->name, "is not known any more");
	if (attributes_read(path, in->kind == INPUT_STAT, &now) < 0)
		return differs(ret_differs, in->name, "is gone");
	what = attributes_difference(&kept, &now);
	return what ? why_set(ret_differs, -ESTALE, "%s of %s changed", what,
			      input_is_marked(in->name) ? in->name + 1 : in->name)
		    : 0;
}

static int
check_extended(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *path = inputs_real_path(place, in->name);
	struct digest d;
	int r = path ? attributes_extended(path, &d) : -ENOMEM;

	if (r == -ENOMEM || (r == 0 && has_digest(in, &d)))
		return r;
	return why_set(ret_differs, -ESTALE, "extended attributes of %s changed",
		input_is_marked(in->name) ? in->name + 1 : in->name);
}

static int
check_env(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *what = NULL;
	const char *now = variables_get(inputs_env(place), in->name);
	struct digest d;
	int r;

	if (!now && in->value.n == 0)
		return 0;
	if (now) {
		r = digest_bytes(now, strlen(now), &d);
		if (r < 0 || has_digest(in, &d))
			return r;
	}
	if (asprintf(&what, "variable %s", in->name) < 0) {
		what = NULL;
		return -ENOMEM;
	}
	return differs(ret_differs, what,
		!now		   ? "is not set now"
		: in->value.n == 0 ? "is set now"
				   : "changed");
}

static int
check_variables(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	struct digest d;
	int r = variables_digest(in->name, inputs_env(place), &d);
	const char *what = variables_machine(in->name);

	if (r == -ENOMEM || (r == 0 && has_digest(in, &d)))
		return r;
	if (what)
		return differs(ret_differs, what, "changed");
	return why_set(ret_differs, -ESTALE, "what %s takes from the environment changed",
		streq(in->name, "all")					  ? "a program that it runs"
		: streq(in->name, "loader") || streq(in->name, "compile") ? "the loader"
									  : in->name);
}

static int
check_git_index(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *path = inputs_real_path(place, in->name);
	struct digest d;
	int r = path ? git_index_digest_memo(place->memo, path, &d) : -ENOMEM;

	if (r == -ENOMEM || (r == 0 && has_digest(in, &d)))
		return r;
	return differs(ret_differs, in->name, "changed");
}

static int
check_program(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(buf_done) struct buf now = BUF_INIT;
	int r = inputs_find_program(place, in->name, &now);

	if (r < 0 || (now.n == in->value.n && (!now.n || memcmp(now.p, in->value.p, now.n) == 0)))
		return r;
	return differs(ret_differs, in->name, "is another one in PATH");
}

static int
check_runs(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *path = inputs_real_path(place, in->name);

	if (!path)
		return -ENOMEM;
	if (has_text(in, fs_can_run(path) ? INPUT_RUNS_YES : ""))
		return 0;
	return differs(
		ret_differs, in->name, in->value.n ? "can be run no more" : "can be run now");
}

static int
check_library(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *now = NULL;
	int r = inputs_find_library(place, in->name, &now);

	if (r < 0 || has_text(in, now ? now : ""))
		return r;
	return differs(ret_differs, in->name, "is another one in LD_LIBRARY_PATH");
}

static int
check_environ(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	struct digest d;
	int r = inputs_environ(place->cargo_env, &d);

	if (r < 0 || has_digest(in, &d))
		return r;
	return differs(ret_differs, "cargo's environment", "changed");
}

static int
check_not_above(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	const char *from = inputs_moves_with(place);
	_cleanup_(freep) char *dir = path_dirname(from ? from : "");
	struct stat st;

	if (!dir)
		return -ENOMEM;
	for (;;) {
		_cleanup_(freep) char *path = path_join(dir, in->name);
		char *up;

		if (!path)
			return -ENOMEM;
		if (!from || stat(path, &st) == 0)
			return differs(ret_differs, in->name,
				place->workspace ? "is above the workspace now"
						 : "is above cargo's home now");
		if (!dir[1])
			return 0;
		up = path_dirname(dir);
		if (!up)
			return -ENOMEM;
		free(dir);
		dir = up;
	}
}

/* Neither is a link there that leads to nothing, nor a file in a directory's place. */
static bool
is_nothing(const char *path)
{
	struct stat st;

	return lstat(path, &st) < 0 && errno == ENOENT;
}

/* Nothing is there by the names of the directories above, nor where they are links. */
static int
check_not_from(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	const char *from = inputs_moves_with(place);
	_cleanup_(freep) char *way = path_join(from ? from : "", in->name);
	_cleanup_(freep) char *path = path_normalize("/", way ? way : "");

	if (!way || !path)
		return -ENOMEM;
	if (from && is_nothing(way) && is_nothing(path))
		return 0;
	return differs(ret_differs, in->name, "is new");
}

/* The directory that a tie is about; above: that of what the unit moves with. */
static const char *
tie_dir(const struct tie *t, const struct inputs_place *place, const char *above)
{
	if (t->mark)
		return inputs_place_dir(place, t->mark);
	if (!t->what)
		return above;
	return streq(t->name, INPUT_UNIT_NAME) ? inputs_unit_way(place) : place->real_out_dir;
}

static int
check_ways(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	_cleanup_(freep) char *ways = inputs_ways_from_home(place);
	struct digest d;
	int r = ways ? digest_bytes(ways, strlen(ways), &d) : -ENOMEM;

	return r < 0 || has_digest(in, &d)
		       ? r
		       : differs(ret_differs, "cargo's home, or the toolchain,",
				 "lies elsewhere in the home directory, or not there");
}

/* What the outputs hold, or what else makes them hold for one place alone. */
static int
check_place(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	const char *from = inputs_moves_with(place);
	_cleanup_(freep) char *above = path_dirname(from ? from : "");
	struct digest d;

	if (streq(in->name, INPUT_WAYS_NAME))
		return check_ways(in, place, ret_differs);
	for (size_t i = 0; i < ARRAY_LEN(ties); i++) {
		const char *dir = tie_dir(&ties[i], place, above);
		int r;

		if (!streq(in->name, ties[i].name))
			continue;
		r = digest_bytes(dir ? dir : "", dir ? strlen(dir) : 0, &d);
		if (r < 0 || has_digest(in, &d))
			return r;
		return ties[i].what ? differs(ret_differs, ties[i].what,
					      "is in the outputs, and is another")
				    : differs(ret_differs,
					      place->workspace ? "the directory above the workspace"
							       : "the directory above cargo's home",
					      "counts, since it looked there, and is another");
	}
	return differs(ret_differs, "an input", "is of a kind that is not known");
}

static int
check_one(const struct input *in, const struct inputs_place *place, char **ret_differs)
{
	char mask[8];

	switch (in->kind) {
	case INPUT_FILE:
	case INPUT_ABSENT:
	case INPUT_EXISTS:
	case INPUT_LISTING:
	case INPUT_METADATA:
		return check_path(in, place, ret_differs);
	case INPUT_LINK:
		return check_link(in, place, ret_differs);
	case INPUT_REAL:
		return check_real(in, place, ret_differs);
	case INPUT_STAT:
	case INPUT_LSTAT:
		return check_attributes(in, place, ret_differs);
	case INPUT_EXTENDED:
		return check_extended(in, place, ret_differs);
	case INPUT_ENV:
		return check_env(in, place, ret_differs);
	case INPUT_VARIABLES:
		return check_variables(in, place, ret_differs);
	case INPUT_GIT_INDEX:
		return check_git_index(in, place, ret_differs);
	case INPUT_PROGRAM:
		return check_program(in, place, ret_differs);
	case INPUT_NOT_ABOVE:
		return check_not_above(in, place, ret_differs);
	case INPUT_NOT_FROM:
		return check_not_from(in, place, ret_differs);
	case INPUT_RUNS:
		return check_runs(in, place, ret_differs);
	case INPUT_WIDTH:
		return has_text(in, place->width ? place->width : "")
			       ? 0
			       : differs(ret_differs, "the width of diagnostics", "changed");
	case INPUT_FORM:
		return has_text(in, place->form ? place->form : "")
			       ? 0
			       : differs(ret_differs, "the form of diagnostics", "changed");
	case INPUT_UMASK:
		inputs_umask(place, mask);
		return has_text(in, mask) ? 0 : differs(ret_differs, "the umask", "changed");
	case INPUT_LIBRARY:
		return check_library(in, place, ret_differs);
	case INPUT_ENVIRON:
		return check_environ(in, place, ret_differs);
	default:
		return differs(ret_differs, "an input", "is of a kind that is not known");
	}
}

int
inputs_check(const struct inputs *s, const struct inputs_place *place, char **ret_differs)
{
	int r = 0;

	*ret_differs = NULL;
	/* of results that hold for one place an entry may have many */
	for (size_t i = 0; r == 0 && i < s->n; i++)
		if (s->v[i].kind == INPUT_OUT_DIR)
			r = check_place(&s->v[i], place, ret_differs);
	for (size_t i = 0; r == 0 && i < s->n; i++)
		if (s->v[i].kind != INPUT_OUT_DIR)
			r = check_one(&s->v[i], place, ret_differs);
	return r;
}
