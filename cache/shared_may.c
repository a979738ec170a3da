/* What of a result may be shared (shared.h). Invariant: what is let through tells of no variable
 * but those that the build itself set, and names only what an inputs_check on another machine may
 * look at. */
#include "config.h"

#include "cache/shared_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "cache/attributes.h"
#include "cache/variables.h"
#include "common/fs.h"
#include "common/text/why.h"

#define FOUND_MAX (64u << 10) /* paths by which a program was found */
#define WORD_MAX 256
#define RUSTC_MAX 128

enum name_form {
	NAME_PLACE,   /* a path, absolute or behind a mark */
	NAME_CONTENT, /* one whose content is read */
	NAME_VARIABLE,
	NAME_WORD, /* no '/' in it */
	NAME_WAY   /* relative */
};

enum value_form { VALUE_NONE, VALUE_DIGEST, VALUE_MAYBE_DIGEST, VALUE_TEXT, VALUE_ATTRIBUTES };

/* What each kind looks like, and the most bytes of its text. */
static const struct shared_kind {
	enum name_form name;
	enum value_form value;
	size_t max;
} shared_kinds[INPUT_KINDS] = {
	[INPUT_FILE] = { NAME_CONTENT, VALUE_DIGEST, 0 },
	[INPUT_ABSENT] = { NAME_PLACE, VALUE_NONE, 0 },
	[INPUT_EXISTS] = { NAME_PLACE, VALUE_NONE, 0 },
	[INPUT_LISTING] = { NAME_PLACE, VALUE_DIGEST, 0 },
	[INPUT_ENV] = { NAME_VARIABLE, VALUE_MAYBE_DIGEST, 0 },
	[INPUT_PROGRAM] = { NAME_WORD, VALUE_TEXT, FOUND_MAX },
	[INPUT_OUT_DIR] = { NAME_WORD, VALUE_DIGEST, 0 },
	[INPUT_WIDTH] = { NAME_WORD, VALUE_TEXT, WORD_MAX },
	[INPUT_LINK] = { NAME_PLACE, VALUE_TEXT, PATH_MAX },
	[INPUT_METADATA] = { NAME_CONTENT, VALUE_DIGEST, 0 },
	[INPUT_FORM] = { NAME_WORD, VALUE_TEXT, WORD_MAX },
	[INPUT_LIBRARY] = { NAME_WORD, VALUE_TEXT, PATH_MAX },
	[INPUT_ENVIRON] = { NAME_WORD, VALUE_DIGEST, 0 },
	[INPUT_STAT] = { NAME_PLACE, VALUE_ATTRIBUTES, 0 },
	[INPUT_LSTAT] = { NAME_PLACE, VALUE_ATTRIBUTES, 0 },
	[INPUT_VARIABLES] = { NAME_VARIABLE, VALUE_DIGEST, 0 },
	[INPUT_GIT_INDEX] = { NAME_CONTENT, VALUE_DIGEST, 0 },
	[INPUT_REAL] = { NAME_PLACE, VALUE_TEXT, PATH_MAX },
	[INPUT_EXTENDED] = { NAME_PLACE, VALUE_DIGEST, 0 },
	[INPUT_UMASK] = { NAME_WORD, VALUE_TEXT, 4 },
	[INPUT_RUNS] = { NAME_PLACE, VALUE_TEXT, sizeof(INPUT_RUNS_YES) - 1 },
	[INPUT_NOT_ABOVE] = { NAME_WAY, VALUE_NONE, 0 },
	[INPUT_NOT_FROM] = { NAME_WAY, VALUE_NONE, 0 },
};

static int
no(char **ret_why, const char *what, const char *name)
{
	return why_set(
		ret_why, -EPERM, "%s: %.200s", what, name + (input_is_marked(name) && name[1]));
}

/* ---- form */

/* Behind a mark a path goes on with a '/' or without one. */
static bool
is_place(const char *name)
{
	char path[PATH_MAX];

	if (!input_is_marked(name))
		return path_is_normal(name);
	name++;
	return snprintf(path, sizeof(path), "/%s", name + (*name == '/')) < (int)sizeof(path) &&
	       path_is_normal(path);
}

/* What the kernel says there may have no end, or make its reader wait. */
static bool
is_kernels(const char *name)
{
	return path_is_below(name, "/proc") || path_is_below(name, "/sys");
}

static bool
is_name(const char *name, enum name_form form)
{
	switch (form) {
	case NAME_PLACE:
		return is_place(name);
	case NAME_CONTENT:
		return is_place(name) && !is_kernels(name);
	case NAME_VARIABLE:
		return strlen(name) <= WORD_MAX && !strchr(name, '=');
	case NAME_WORD:
		return strlen(name) <= NAME_MAX && !strchr(name, '/');
	case NAME_WAY:
		return strlen(name) < PATH_MAX && *name != '/' && !input_is_marked(name);
	}
	return false;
}

static bool
is_value(const struct buf *v, const struct shared_kind *k)
{
	struct attributes a;

	switch (k->value) {
	case VALUE_NONE:
		return v->n == 0;
	case VALUE_DIGEST:
		return v->n == DIGEST_SIZE;
	case VALUE_MAYBE_DIGEST:
		return v->n == 0 || v->n == DIGEST_SIZE;
	case VALUE_TEXT:
		return v->n <= k->max && (v->n == 0 || !memchr(v->p, '\0', v->n));
	case VALUE_ATTRIBUTES:
		return attributes_decode(v, &a) == 0;
	}
	return false;
}

static int
check_inputs(const struct inputs *s, char **ret_why)
{
	if (s->n > SHARED_INPUTS_MAX)
		return why_set(ret_why, -EPERM, "it has %zu inputs", s->n);
	for (size_t i = 0; i < s->n; i++) {
		const struct input *in = &s->v[i];
		const struct shared_kind *k = &shared_kinds[in->kind];

		if (!is_name(in->name, k->name) || !is_value(&in->value, k))
			return no(ret_why, "an input of an odd form", in->name);
	}
	return 0;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Of a run they are sorted already. */
static int
check_names(const struct output *v, size_t n, char **ret_why)
{
	_cleanup_(freep) char **names = calloc(n + 1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		names[i] = v[i].name;
	qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 1; i < n; i++)
		if (streq(names[i - 1], names[i]))
			return no(ret_why, "two outputs of one name", names[i]);
	return 0;
}

/* A link that a run made leads to what it made, or to a place that is known by a mark. */
static bool
is_inner_link(const char *name, const struct buf *text)
{
	const char *to = (const char *)text->p;
	_cleanup_(freep) char *at = NULL, *dir = NULL, *real = NULL;

	if (input_is_marked(to))
		return !to[1] || path_is_normal(to + 1);
	/* "/o" stands for OUT_DIR: what leads above it leads elsewhere */
	if (*to == '/' || strlen(to) != text->n)
		return false;
	at = path_join("/o", name);
	dir = at ? path_dirname(at) : NULL;
	real = dir ? path_normalize(dir, to) : NULL;
	return real && path_is_below(real, "/o");
}

static int
check_output(const struct result *r, const struct output *o, char **ret_why)
{
	if (o->kind == OUTPUT_LINK && !is_inner_link(o->name, &o->text))
		return no(ret_why, "a link that leads elsewhere", o->name);
	if (!r->run && o->mode != 0666 && o->mode != 0777)
		return no(ret_why, "a mode of its own", o->name);
	return 0;
}

static int
check_outputs(
	const struct result *r, const struct output *v, size_t n, uint64_t *bytes, char **ret_why)
{
	int k = n > SHARED_OUTPUTS_MAX ? why_set(ret_why, -EPERM, "it has %zu outputs", n)
				       : check_names(v, n, ret_why);

	for (size_t i = 0; k == 0 && i < n; i++) {
		k = check_output(r, &v[i], ret_why);
		if (k == 0 && v[i].size > SHARED_BYTES_MAX - *bytes)
			k = no(ret_why, "more bytes than anybody takes", v[i].name);
		if (k == 0)
			*bytes += v[i].size;
	}
	return k;
}

/* It is shown as it is. */
static bool
is_plain(const char *s)
{
	for (const char *p = s; p && *p; p++)
		if (*p < ' ' || *p > '~')
			return false;
	return !s || strlen(s) <= RUSTC_MAX;
}

int
shared_check_form(enum trust_kind kind, const struct result *r, char **ret_why)
{
	uint64_t bytes = 0;
	int k;

	if (kind != TRUST_WORKER && kind != TRUST_PUBLISHER)
		return why_set(ret_why, -EPERM, "its producer is neither a worker nor a publisher");
	if (r->run && kind != TRUST_PUBLISHER)
		return why_set(ret_why, -EPERM, "a build script's run is no worker's to share");
	if (r->compile_us > SHARED_COMPILE_US_MAX || !is_plain(r->rustc))
		return why_set(ret_why, -EPERM, "what it says of its compile is odd");
	k = check_inputs(&r->inputs, ret_why);
	if (k == 0)
		k = check_outputs(r, r->outputs, r->n_outputs, &bytes, ret_why);
	return k < 0 ? k : check_outputs(r, r->temporaries, r->n_temporaries, &bytes, ret_why);
}

/* ---- what it depends on */

static bool
is_set_by(const struct shared_by *by, const char *name)
{
	return by->any_env || variables_get(by->env, name) != NULL;
}

static bool
has_digest(const struct input *in, const struct digest *d)
{
	return in->value.n == DIGEST_SIZE && memcmp(in->value.p, d->b, DIGEST_SIZE) == 0;
}

/* Whether the value is a place's mark, so that it is the same for all. */
static int
is_mark_alone(const struct input *in)
{
	for (const char *mark = INPUT_MARKS; *mark; mark++) {
		struct digest d;
		int r = digest_bytes(mark, 1, &d);

		if (r < 0 || has_digest(in, &d))
			return r < 0 ? r : 1;
	}
	return 0;
}

static int
check_variable(const struct shared_by *by, const struct input *in, char **ret_why)
{
	int r;

	if (in->value.n == 0 || is_set_by(by, in->name))
		return 0;
	r = is_mark_alone(in);
	if (r != 0)
		return MIN2(r, 0);
	return why_set(ret_why, -EPERM,
		"it depends on the variable %.200s, which neither cargo nor pass_env set",
		in->name);
}

static int
check_group(const struct shared_by *by, const struct input *in, char **ret_why)
{
	const char *machine = variables_machine(in->name);
	struct digest d;
	int r;

	if (streq(in->name, "uname"))
		return why_set(ret_why, -EPERM, "it depends on %s", machine);
	if (machine || by->any_env)
		return 0;
	r = variables_digest(in->name, by->env, &d);
	if (r == -ENOMEM || (r == 0 && has_digest(in, &d)))
		return r;
	return why_set(ret_why, -EPERM,
		"it may depend on any variable (%.100s), also on those that neither cargo nor "
		"pass_env set",
		in->name);
}

static int
check_times(const struct input *in, char **ret_why)
{
	const uint64_t own = 1u << ATTRIBUTE_CHANGED | 1u << ATTRIBUTE_CREATED;
	struct attributes a;

	if (attributes_decode(&in->value, &a) < 0)
		return no(ret_why, "an input of an odd form", in->name);
	return (a.ignored & own) == own
		       ? 0
		       : no(ret_why, "it depends on when a file was made", in->name);
}

int
shared_may(const struct shared_by *by, const struct result *r, char **ret_why)
{
	int k;

	*ret_why = NULL;
	k = shared_check_form(by->kind, r, ret_why);
	for (size_t i = 0; k == 0 && i < r->inputs.n; i++) {
		const struct input *in = &r->inputs.v[i];

		if (in->kind == INPUT_ENV)
			k = check_variable(by, in, ret_why);
		else if (in->kind == INPUT_VARIABLES)
			k = check_group(by, in, ret_why);
		else if (in->kind == INPUT_STAT || in->kind == INPUT_LSTAT)
			k = check_times(in, ret_why);
	}
	return k;
}
