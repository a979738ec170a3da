/* A unit's arguments as the job sees them. Invariant: order and spelling stay; only paths of
 * artifacts that lie in the out-dir are changed, to the alias. Outputs do not depend on where
 * dependencies are. */
#include "config.h"

#include <errno.h>

#include "client/dispatch/unit_priv.h"
#include "common/fs.h"

char *
unit_job_path(const char *out_dir, const char *path)
{
	struct buf b = BUF_INIT;

	if (!path_is_below(path, out_dir))
		return strdup(path);
	if (buf_adds(&b, UNIT_ALIAS) < 0 || buf_adds(&b, path + strlen(out_dir)) < 0) {
		buf_done(&b);
		return NULL;
	}
	return (char *)b.p;
}

char *
unit_own_path(const char *out_dir, const char *path)
{
	struct buf b = BUF_INIT;

	if (!path_is_below(path, UNIT_ALIAS))
		return strdup(path);
	if (buf_adds(&b, out_dir) < 0 || buf_adds(&b, path + strlen(UNIT_ALIAS)) < 0) {
		buf_done(&b);
		return NULL;
	}
	return (char *)b.p;
}

/* Adds option + head + path, the path mapped when it is in the out-dir and left as given otherwise.
 */
static int
add_mapped(struct unit *u, const char *option, const char *head, size_t head_n, const char *path)
{
	_cleanup_(freep) char *abs = path_normalize(u->cwd, path);
	_cleanup_(freep) char *mapped = NULL;

	if (!abs)
		return -ENOMEM;
	if (!*path || !path_is_below(abs, u->out_dir))
		return strv_addf(&u->argv, "%s%.*s%s", option, (int)head_n, head, path);
	mapped = unit_job_path(u->out_dir, abs);
	if (!mapped)
		return -ENOMEM;
	return strv_addf(&u->argv, "%s%.*s%s", option, (int)head_n, head, mapped);
}

/* NAME=PATH or KIND=PATH; for -L the kind may be missing, for --extern the path. */
static int
add_pair(struct unit *u, const char *option, const char *value, bool path_only_allowed)
{
	const char *eq = strchr(value, '=');

	if (eq)
		return add_mapped(u, option, value, (size_t)(eq - value) + 1, eq + 1);
	if (path_only_allowed)
		return add_mapped(u, option, "", 0, value);
	return strv_addf(&u->argv, "%s%s", option, value);
}

static int
add_args(struct unit *u)
{
	const struct strv *args = &u->call->args;
	int r = 0;

	for (size_t i = 0; r == 0 && i < args->n; i++) {
		const char *a = args->v[i];
		bool more = i + 1 < args->n;

		if ((streq(a, "--extern") || streq(a, "-L")) && more) {
			r = strv_add(&u->argv, a);
			if (r == 0)
				r = add_pair(u, "", args->v[++i], a[1] == 'L');
		} else if (starts_with(a, "--extern=")) {
			r = add_pair(u, "--extern=", a + strlen("--extern="), false);
		} else if (starts_with(a, "-L")) {
			r = add_pair(u, "-L", a + 2, true);
		} else {
			r = strv_add(&u->argv, a);
			/* an option's separate value is no option, whatever it looks like */
			if (r == 0 && more &&
				(streq(a, "-C") || streq(a, "-Z") || streq(a, "--cfg") ||
					streq(a, "--codegen")))
				r = strv_add(&u->argv, args->v[++i]);
		}
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

static int
add_escaped(struct buf *b, const char *s, const char *escape)
{
	int r = 0;

	for (; r == 0 && *s; s++) {
		if (strchr(escape, *s))
			r = buf_add(b, "\\", 1);
		if (r == 0)
			r = buf_add(b, s, 1);
	}
	return r;
}

int
unit_unalias(const void *p, size_t n, const char *out_dir, const char *escape, struct buf *ret)
{
	static const char alias[] = UNIT_ALIAS;
	const uint8_t *s = p;
	int r = 0;

	while (r == 0 && n > 0) {
		const uint8_t *at = memmem(s, n, alias, sizeof(alias) - 1);
		size_t k = at ? (size_t)(at - s) : n;

		r = k ? buf_add(ret, s, k) : 0;
		if (r == 0 && at) {
			r = add_escaped(ret, out_dir, escape);
			k += sizeof(alias) - 1;
		}
		s += k;
		n -= k;
	}
	return r;
}
