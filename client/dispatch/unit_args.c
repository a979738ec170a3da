/* A unit's arguments as the job sees them. Invariant: order and spelling stay. Only paths of
 * artifacts in the out-dir are changed, to the alias. Outputs do not depend on where dependencies
 * are. */
#include "config.h"

#include <errno.h>

#include "client/dispatch/unit_priv.h"
#include "common/fs.h"
#include "rustc/option_tables.h"

char *
unit_job_path(const char *out_dir, const char *path)
{
	struct buf b = BUF_INIT;

	if (!path_is_below(path, out_dir))
		return strdup(path);
	if (buf_adds(&b, JOB_ALIAS) < 0 || buf_adds(&b, path + strlen(out_dir)) < 0) {
		buf_done(&b);
		return NULL;
	}
	return (char *)b.p;
}

char *
unit_own_path(const char *out_dir, const char *path)
{
	struct buf b = BUF_INIT;

	if (!path_is_below(path, JOB_ALIAS))
		return strdup(path);
	if (buf_adds(&b, out_dir) < 0 || buf_adds(&b, path + strlen(JOB_ALIAS)) < 0) {
		buf_done(&b);
		return NULL;
	}
	return (char *)b.p;
}

/* Adds the first n bytes of arg as they are, then path: below the alias if it is in the out-dir, as
 * given otherwise. */
static int
add_mapped(struct unit *u, const char *arg, size_t n, const char *path)
{
	_cleanup_(freep) char *abs = path_normalize(u->cwd, path);
	_cleanup_(freep) char *mapped = NULL;

	if (!abs)
		return -ENOMEM;
	if (!*path || !path_is_below(abs, u->out_dir))
		return strv_add(&u->argv, arg);
	mapped = unit_job_path(u->out_dir, abs);
	if (!mapped)
		return -ENOMEM;
	return strv_addf(&u->argv, "%.*s%s", (int)n, arg, mapped);
}

/* An argument that ends in the option's value: NAME=PATH of --extern, where the path may be
 * missing; KIND=PATH of -L, where the kind may be. */
static int
add_value(struct unit *u, const char *arg, const struct call_option *o)
{
	const char *eq = strchr(o->value, '=');

	if (o->row->act != ACT_SEARCH && (o->row->act != ACT_EXTERN || !eq))
		return strv_add(&u->argv, arg);
	if (!eq)
		return add_mapped(u, arg, (size_t)(o->value - arg), o->value);
	return add_mapped(u, arg, (size_t)(eq + 1 - arg), eq + 1);
}

static int
add_args(struct unit *u)
{
	const struct strv *args = &u->call->args;
	size_t at = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < args->n; i++) {
		const struct call_option *o = call_option_of(u->call, args->v[i], &at);

		r = o ? add_value(u, args->v[i], o) : strv_add(&u->argv, args->v[i]);
	}
	return r;
}

int
unit_fill_args(struct unit *u)
{
	int r = 0;

	/* clippy-driver takes rustc's path as its first argument */
	if (u->call->clippy && u->call->inner_rustc)
		r = strv_add(&u->argv, u->call->inner_rustc);
	return r < 0 ? r : add_args(u);
}
