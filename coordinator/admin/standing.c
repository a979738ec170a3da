/* What admins have said of workers. Invariant: each name is there once, and is one. */
#include "config.h"

#include "coordinator/admin/standing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "coordinator/admin/kept.h"

#define FILE_MAX (1u << 20) /* more than STANDING_MAX lines have */

static const struct kept_form form = { "dray-workers", "1", true };

const char *
standing_name(enum standing s)
{
	return s == STANDING_DRAINED ? "drained" : s == STANDING_REMOVED ? "removed" : "-";
}

void
standings_done(struct standings *s)
{
	free(s->v);
	*s = (struct standings){ NULL, 0 };
}

static bool
key_ok(const char *curve)
{
	uint8_t raw[32];

	return strlen(curve) == CURVE_KEY_SIZE - 1 && z85_decode32(curve, raw) == 0;
}

static int
take_line(char *line, void *arg)
{
	struct standings *to = arg;
	char *word = strsep(&line, " "), *name = strsep(&line, " "), *key = strsep(&line, " ");
	enum standing is = streq(word, "drained")   ? STANDING_DRAINED
			   : streq(word, "removed") ? STANDING_REMOVED
						    : STANDING_FREE;
	int r;

	if (is == STANDING_FREE || !name || !key || line || standings_find(to, name) ||
		(!streq(key, "-") && !key_ok(key)))
		return -EBADMSG;
	r = standings_set(to, name, streq(key, "-") ? "" : key, is);
	return r == -ENOMEM ? r : r < 0 ? -EBADMSG : 0;
}

int
standings_parse(const char *text, size_t n, struct standings *ret)
{
	int r = kept_lines(&form, text, n, take_line, ret);

	if (r < 0)
		standings_done(ret);
	return r;
}

int
standings_load(const char *dir, struct standings *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = kept_read(dir, STANDING_FILE, FILE_MAX, &b);

	return r <= 0 ? r : standings_parse((const char *)b.p, b.n, ret);
}

int
standings_save(const char *dir, const struct standings *s)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = kept_begin(&form, &b);

	for (size_t i = 0; r == 0 && i < s->n; i++)
		r = buf_addf(&b, "%s %s %s\n", standing_name(s->v[i].is), s->v[i].name,
			*s->v[i].curve ? s->v[i].curve : "-");
	return r < 0 ? r : kept_write(dir, STANDING_FILE, &b);
}

enum standing
standings_get(const struct standings *s, const char *name, const char *curve)
{
	enum standing is = STANDING_FREE;

	for (size_t i = 0; i < s->n; i++)
		if (streq(s->v[i].name, name) || (*curve && streq(s->v[i].curve, curve)))
			is = MAX2(is, s->v[i].is);
	return is;
}

const struct standing_worker *
standings_find(const struct standings *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (streq(s->v[i].name, name))
			return &s->v[i];
	return NULL;
}

static void
forget(struct standings *s, const char *name, const char *curve)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if (!streq(s->v[i].name, name) && (!*curve || !streq(s->v[i].curve, curve)))
			s->v[n++] = s->v[i];
	s->n = n;
}

int
standings_set(struct standings *s, const char *name, const char *curve, enum standing is)
{
	struct standing_worker *v, *w;

	if (!keys_name_ok(name, strlen(name)) || (*curve && !key_ok(curve)))
		return -EINVAL;
	if (is == STANDING_FREE) {
		forget(s, name, curve);
		return 0;
	}
	for (size_t i = 0; i < s->n; i++)
		if (streq(s->v[i].name, name)) {
			s->v[i].is = is;
			snprintf(s->v[i].curve, sizeof(s->v[i].curve), "%s", curve);
			return 0;
		}
	if (s->n == STANDING_MAX)
		return -ENOSPC;
	v = reallocarray(s->v, s->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	s->v = v;
	w = &v[s->n++];
	memset(w, 0, sizeof(*w));
	snprintf(w->name, sizeof(w->name), "%s", name);
	snprintf(w->curve, sizeof(w->curve), "%s", curve);
	w->is = is;
	return 0;
}
