/* Reads dep-info files. The text comes from a worker: nothing in it is believed beyond its bounds,
 * and what is read here is only compared or looked up, never executed or opened for writing. */
#include "config.h"

#include "rustc/depinfo.h"

#include "common/fs.h"

#include <errno.h>

static const char ENV_MARK[] = "# env-dep:";

/* Undoes rustc's escapes of n bytes; a lone or unknown backslash stays. NULL: out of memory. */
static char *
unescape_env(const char *p, size_t n)
{
	char *s = malloc(n + 1);
	size_t k = 0;

	if (!s)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		char c = p[i];

		if (c == '\\' && i + 1 < n &&
			(p[i + 1] == 'n' || p[i + 1] == 'r' || p[i + 1] == '\\')) {
			i++;
			c = p[i] == 'n' ? '\n' : p[i] == 'r' ? '\r' : '\\';
		}
		s[k++] = c;
	}
	s[k] = '\0';
	return s;
}

static char *
unescape_path(const char *p, size_t n)
{
	char *s = malloc(n + 1);
	size_t k = 0;

	if (!s)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\\' && i + 1 < n && p[i + 1] == ' ')
			i++;
		s[k++] = p[i];
	}
	s[k] = '\0';
	return s;
}

static int
add_env(struct depinfo *d, const char *p, size_t n)
{
	const char *eq = memchr(p, '=', n);
	size_t name_n = eq ? (size_t)(eq - p) : n;
	struct depinfo_env *e;

	if (name_n == 0)
		return -EBADMSG;
	if (d->n_env == d->cap_env) {
		size_t cap = d->cap_env ? 2 * d->cap_env : 16;
		struct depinfo_env *v = reallocarray(d->env, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		d->env = v;
		d->cap_env = cap;
	}
	e = &d->env[d->n_env];
	e->value = NULL;
	e->name = unescape_env(p, name_n);
	if (!e->name)
		return -ENOMEM;
	d->n_env++; /* from here on depinfo_done frees it */
	if (eq) {
		e->value = unescape_env(eq + 1, n - name_n - 1);
		if (!e->value)
			return -ENOMEM;
	}
	return 0;
}

static int
add_line(struct depinfo *d, const char *p, size_t n)
{
	size_t mark_n = sizeof(ENV_MARK) - 1;

	if (n >= mark_n && memcmp(p, ENV_MARK, mark_n) == 0)
		return add_env(d, p + mark_n, n - mark_n);
	if (n < 2 || p[0] == '#' || p[n - 1] != ':')
		return 0;
	return strv_take(&d->files, unescape_path(p, n - 1));
}

int
depinfo_parse(const void *p, size_t n, struct depinfo *ret)
{
	struct depinfo d = DEPINFO_INIT;
	const char *s = p;
	int r;

	if (n > DEPINFO_MAX || (n > 0 && (memchr(p, '\0', n) || s[n - 1] != '\n')))
		return -EBADMSG;
	while (n > 0) {
		const char *nl = memchr(s, '\n', n);
		size_t len = (size_t)(nl - s);

		r = add_line(&d, s, len);
		if (r < 0) {
			depinfo_done(&d);
			return r;
		}
		s += len + 1;
		n -= len + 1;
	}
	*ret = d;
	return 0;
}

void
depinfo_done(struct depinfo *d)
{
	for (size_t i = 0; i < d->n_env; i++) {
		free(d->env[i].name);
		free(d->env[i].value);
	}
	free(d->env);
	strv_done(&d->files);
	*d = (struct depinfo)DEPINFO_INIT;
}

static const char *
env_get(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; *envp; envp++)
		if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
			return *envp + n + 1;
	return NULL;
}

const char *
depinfo_env_differs(const struct depinfo *d, char *const *envp)
{
	for (size_t i = 0; i < d->n_env; i++) {
		const struct depinfo_env *e = &d->env[i];
		const char *here = env_get(envp, e->name);

		if (!here != !e->value || (here && !streq(here, e->value)))
			return e->name;
	}
	return NULL;
}

int
depinfo_names(const struct depinfo *d, const char *cwd, const char *file)
{
	_cleanup_(freep) char *wanted = path_normalize(cwd, file);

	if (!wanted)
		return -ENOMEM;
	for (size_t i = 0; i < d->files.n; i++) {
		_cleanup_(freep) char *path = path_normalize(cwd, d->files.v[i]);

		if (!path)
			return -ENOMEM;
		if (streq(path, wanted))
			return 1;
	}
	return 0;
}
