/* Invariant: of what a client says of its unit the key has nothing but what the compiler gets to
 * see. */
#include "config.h"

#include "worker/job/unit_key.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "cache/inputs.h"
#include "cache/job_key.h"
#include "common/fs.h"
#include "proto/alias.h"

static int _printf_(2, 3) no_unit(char **ret_error, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(ret_error, fmt, ap);
	va_end(ap);
	if (r < 0)
		*ret_error = NULL;
	return r < 0 ? -ENOMEM : -EINVAL;
}

static bool
is_aliased(const char *arg)
{
	const char *at = strstr(arg, JOB_ALIAS);
	size_t k = strlen(JOB_ALIAS);

	return at && (!at[k] || at[k] == '/');
}

/* Adds an argument with the client's out-dir where the job has the alias. */
static int
add_own(struct strv *to, const char *arg, const char *out_dir)
{
	const char *at = strstr(arg, JOB_ALIAS);
	size_t k = strlen(JOB_ALIAS);

	if (!is_aliased(arg))
		return strv_add(to, arg);
	return strv_addf(to, "%.*s%s%s", (int)(at - arg), arg, out_dir, at + k);
}

/* The call as the client made it, or as the job has it. */
static int
list_words(const Dray__Unit *u, bool own, struct strv *to)
{
	int r = strv_addf(to, "%s/bin/%s", u->sysroot, u->driver);

	for (size_t i = 0; r == 0 && i < u->n_argv; i++)
		r = own ? add_own(to, u->argv[i], u->out_dir) : strv_add(to, u->argv[i]);
	return r;
}

static int
list_env(const Dray__Unit *u, struct strv *to)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < u->n_env; i++)
		r = strv_addf(to, "%s=%.*s", u->env[i]->name, (int)u->env[i]->value.len,
			(const char *)u->env[i]->value.data);
	return r;
}

/* Of the kernel's own files none is the same for two processes. */
static bool
is_kernels(const char *cwd, const char *given)
{
	_cleanup_(freep) char *path = path_normalize(cwd, given);

	return path && (path_is_below(path, "/proc") || path_is_below(path, "/dev") ||
			       path_is_below(path, "/sys"));
}

/* Before they are parsed: that reads files of arguments, and these are the worker's. A mark in one
 * would look like a place in the key. */
static int
check_words(const Dray__Unit *u, char **ret_error)
{
	for (size_t i = 0; i < u->n_argv; i++) {
		if (*u->argv[i] == '@')
			return no_unit(ret_error, "arguments in a file (%.100s)", u->argv[i]);
		if (strpbrk(u->argv[i], INPUT_MARKS))
			return no_unit(ret_error, "an argument with a control character");
	}
	return 0;
}

/* How many artifacts of the out-dir the job's call names; -EINVAL: one of them by another name. */
static int
count_artifacts(const Dray__Unit *u, char *path, int *n)
{
	_cleanup_(freep) char *normal = path ? path_normalize(u->cwd, path) : NULL;

	if (!normal)
		return path ? -ENOMEM : 0;
	*n += path_is_below(normal, JOB_ALIAS);
	return path_is_below(normal, u->out_dir) ||
			       (path_is_below(normal, JOB_ALIAS) && !streq(normal, path))
		       ? -EINVAL
		       : 0;
}

/* The key has the out-dir where the job has the alias. So that stands for all artifacts in it, and
 * for nothing else. */
static int
check_alias(const Dray__Unit *u, char **ret_error)
{
	_cleanup_(strv_done) struct strv words = STRV_INIT;
	struct rustc_call call;
	int aliased = 0, artifacts = 0, r = list_words(u, false, &words);

	if (r == 0)
		r = call_parse(words.v, &call);
	if (r < 0)
		return r;
	for (size_t i = 0; i < u->n_argv; i++)
		aliased += is_aliased(u->argv[i]);
	for (size_t i = 0; r == 0 && i < call.n_externs; i++)
		r = count_artifacts(u, call.externs[i].path, &artifacts);
	for (size_t i = 0; r == 0 && i < call.n_libs; i++)
		r = count_artifacts(u, call.libs[i].path, &artifacts);
	call_done(&call);
	return r == -EINVAL || (r == 0 && aliased != artifacts)
		       ? no_unit(ret_error, "%s below " JOB_ALIAS,
				 r < 0 ? "an artifact that is not" : "what is no artifact")
		       : r;
}

static int
check_paths(const Dray__Unit *u, const struct rustc_call *call, char **ret_error)
{
	if (is_kernels(u->cwd, call->source))
		return no_unit(ret_error, "a source of the kernel's (%.200s)", call->source);
	for (size_t i = 0; i < call->n_externs; i++)
		if (call->externs[i].path && is_kernels(u->cwd, call->externs[i].path))
			return no_unit(ret_error, "a crate of the kernel's (%.200s)",
				call->externs[i].path);
	for (size_t i = 0; i < call->n_libs; i++)
		if (is_kernels(u->cwd, call->libs[i].path))
			return no_unit(ret_error, "libraries of the kernel's (%.200s)",
				call->libs[i].path);
	return 0;
}

/* Whether the call is what the client says that it is. */
static int
check_call(const Dray__Unit *u, const struct rustc_call *call, char **ret_error)
{
	_cleanup_(freep) char *out_dir = NULL;
	const char *home, *linker = call_linker(call);
	int r;

	if (call->kind != CALL_UNIT || !call->source || !call->out_dir)
		return no_unit(ret_error, "no unit: %.200s", call->why ? call->why : "no source");
	home = call_home_reason(call);
	if (home)
		return no_unit(ret_error, "what is compiled at home: %s", home);
	if (!streq(u->crate, call->crate_name))
		return no_unit(ret_error, "the crate %.60s, and --crate-name %.60s", u->crate,
			call->crate_name);
	if (*u->linker && !call->calls_linker)
		return no_unit(ret_error, "a linker for what is not linked");
	if (call->calls_linker && linker && !streq(u->linker, linker))
		return no_unit(
			ret_error, "the linker %.200s where %.200s is called", u->linker, linker);
	out_dir = path_normalize(u->cwd, call->out_dir);
	if (!out_dir)
		return -ENOMEM;
	if (!streq(out_dir, u->out_dir))
		return no_unit(ret_error, "the output directory %.200s, and --out-dir %.200s",
			u->out_dir, out_dir);
	r = check_alias(u, ret_error);
	return r < 0 ? r : check_paths(u, call, ret_error);
}

static int
compare(const void *a, const void *b)
{
	Dray__UnitFile *const *x = a, *const *y = b;

	return strcmp((*x)->path, (*y)->path);
}

int
unit_index_make(const Dray__Unit *u, struct unit_index *ret)
{
	ret->unit = u;
	ret->v = calloc(u->n_files + 1, sizeof(*ret->v));
	if (!ret->v)
		return -ENOMEM;
	for (size_t i = 0; i < u->n_files; i++)
		ret->v[i] = u->files[i];
	qsort(ret->v, u->n_files, sizeof(*ret->v), compare);
	return 0;
}

void
unit_index_done(struct unit_index *x)
{
	free(x->v);
	x->v = NULL;
}

const Dray__UnitFile *
unit_index_find(const struct unit_index *x, const char *path)
{
	Dray__UnitFile key = { .path = (char *)path }, *what = &key, **found;

	found = bsearch(&what, x->v, x->unit->n_files, sizeof(*x->v), compare);
	return found ? *found : NULL;
}

const uint8_t *
unit_index_digest(const struct unit_index *x, const char *path)
{
	const Dray__UnitFile *found = unit_index_find(x, path);

	return found ? x->unit->blobs[found->blob]->digest.data : NULL;
}

/* path: as the client's call names it. */
static int
digest_of(void *arg, const char *path, struct digest *ret)
{
	const struct unit_index *x = arg;
	const Dray__Unit *u = x->unit;
	_cleanup_(freep) char *own = path_normalize(u->cwd, path);
	_cleanup_(freep) char *aliased = NULL;
	const uint8_t *digest;

	if (own && path_is_below(own, u->out_dir)) {
		if (asprintf(&aliased, JOB_ALIAS "%s", own + strlen(u->out_dir)) < 0)
			aliased = NULL;
	} else {
		aliased = steal_ptr(own);
	}
	if (!aliased)
		return -ENOMEM;
	digest = unit_index_digest(x, aliased);
	if (!digest)
		return -ENOENT;
	memcpy(ret->b, digest, DIGEST_SIZE);
	return 0;
}

int
unit_call_make(const Dray__Unit *u, struct unit_call *ret)
{
	int r;

	*ret = (struct unit_call){ .words = STRV_INIT, .env = STRV_INIT };
	memcpy(ret->toolchain.b, u->toolchain.data, DIGEST_SIZE);
	r = list_words(u, true, &ret->words);
	if (r == 0)
		r = list_env(u, &ret->env);
	return r < 0 ? r : call_parse(ret->words.v, &ret->call);
}

void
unit_call_done(struct unit_call *c)
{
	call_done(&c->call);
	strv_done(&c->words);
	strv_done(&c->env);
}

struct job_key_in
unit_key_in(const struct unit_index *x, const struct unit_call *c, const char *toolchain_dir)
{
	return (struct job_key_in){ .toolchain = &c->toolchain,
		.sysroot = x->unit->sysroot,
		.toolchain_dir = toolchain_dir,
		.call = &c->call,
		.cwd = x->unit->cwd,
		.env = &c->env,
		.digest = digest_of,
		.arg = (void *)x };
}

int
unit_key_of(
	const struct unit_index *x, const char *toolchain_dir, struct digest *ret, char **ret_error)
{
	const Dray__Unit *u = x->unit;
	struct unit_key key = { .recipe = STRV_INIT };
	struct unit_call c;
	struct job_key_in in;
	int r;

	*ret_error = NULL;
	if (u->push)
		return no_unit(ret_error, "no compile");
	r = check_words(u, ret_error);
	if (r < 0)
		return r;
	r = unit_call_make(u, &c);
	if (r == 0)
		r = check_call(u, &c.call, ret_error);
	if (r == 0) {
		in = unit_key_in(x, &c, toolchain_dir);
		r = job_key_make(&in, &key);
		if (r == -ENOENT)
			r = no_unit(ret_error, "a crate that it names was not sent");
	}
	if (r == 0)
		*ret = key.id;
	unit_key_done(&key);
	unit_call_done(&c);
	return r;
}
