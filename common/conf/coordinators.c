/* Invariant: of the two lists items of one place belong together, or nothing of them is used. */
#include "config.h"

#include "common/conf/coordinators.h"

#include <errno.h>

#include "common/text/why.h"

static const char blank[] = " \t";

static bool
begins_item(const char *p, bool path)
{
	if (path)
		return starts_with(p, "/") || starts_with(p, "~/") || starts_with(p, "./");
	return starts_with(p, "tcp://") || starts_with(p, "ipc://");
}

/* The length of the first item, and where the next one begins (NULL: there is none). */
static size_t
first_item(const char *v, bool path, const char **ret_next)
{
	const char *p = v;
	size_t n;

	*ret_next = NULL;
	for (; (p = strchr(p, ',')) != NULL; p++) {
		const char *next = p + 1 + strspn(p + 1, blank);

		if (begins_item(next, path)) {
			*ret_next = next;
			break;
		}
	}
	n = p ? (size_t)(p - v) : strlen(v);
	while (n > 0 && strchr(blank, v[n - 1]))
		n--;
	return n;
}

int
coordinators_split(const char *v, bool paths, struct strv *ret)
{
	int r = 0;

	v = v ? v + strspn(v, blank) : "";
	while (r == 0 && v && *v) {
		const char *next;
		size_t n = first_item(v, paths, &next);

		r = strv_addn(ret, v, n);
		v = next;
	}
	return r;
}

void
coordinators_done(struct coordinators *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->v[i].endpoint);
		free(c->v[i].key);
	}
	memset(c, 0, sizeof(*c));
}

static bool
are_local(const struct strv *endpoints)
{
	for (size_t i = 0; i < endpoints->n; i++)
		if (!starts_with(endpoints->v[i], "ipc://"))
			return false;
	return true;
}

static int
pair(const struct strv *endpoints, const struct strv *keys, struct coordinators *ret)
{
	for (size_t i = 0; i < endpoints->n; i++) {
		int r = str_copy(endpoints->v[i], &ret->v[i].endpoint);

		ret->n = i + 1;
		if (r == 0 && i < keys->n)
			r = str_copy(keys->v[i], &ret->v[i].key);
		if (r < 0)
			return r;
	}
	return 0;
}

int
coordinators_parse(const char *section, const char *endpoints, const char *keys,
	struct coordinators *ret, char **ret_why)
{
	_cleanup_(strv_done) struct strv at = STRV_INIT, by = STRV_INIT;
	_cleanup_(coordinators_done) struct coordinators c = COORDINATORS_INIT;
	int r = endpoints && streq(endpoints, COORDINATORS_AUTO)
			? 0
			: coordinators_split(endpoints, false, &at);

	*ret_why = NULL;
	if (r == 0)
		r = coordinators_split(keys, true, &by);
	if (r < 0)
		return r;
	if (at.n > COORDINATORS_MAX)
		return why_set(ret_why, -EINVAL,
			"[%s] coordinator names %zu coordinators; %d are the most.", section, at.n,
			COORDINATORS_MAX);
	if (by.n != at.n && by.n > 0) {
		if (at.n > 0 && !are_local(&at))
			return why_set(ret_why, -EINVAL,
				"[%s] coordinator names %zu coordinator%s, coordinator_key %zu "
				"key file%s: name one file for each, in the same order, with "
				"commas between them.",
				section, at.n, at.n == 1 ? "" : "s", by.n, by.n == 1 ? "" : "s");
		strv_done(&by);
	}
	r = pair(&at, &by, &c);
	if (r < 0)
		return r;
	*ret = c;
	c.n = 0;
	return 0;
}
