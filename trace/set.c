/* Items in the order they came, and a table to find them by name. Invariant: each item is in both.
 */
#include "config.h"

#include <errno.h>

#include "trace/set.h"

static enum trace_space
space_of(enum trace_kind kind)
{
	switch (kind) {
	case TRACE_DIR:
		return TRACE_LISTINGS;
	case TRACE_ENV_OF_MACRO:
		return TRACE_MACRO_VARS;
	case TRACE_ENV_OF_RUSTC:
		return TRACE_RUSTC_VARS;
	case TRACE_STATED:
		return TRACE_STATS;
	case TRACE_STATED_LINK:
		return TRACE_LINK_STATS;
	case TRACE_REAL:
		return TRACE_REALS;
	case TRACE_EXTENDED:
		return TRACE_EXTENDEDS;
	case TRACE_TEXT:
		return TRACE_TEXTS;
	case TRACE_GROUP:
		return TRACE_GROUPS;
	case TRACE_RAN:
		return TRACE_PROGRAMS;
	case TRACE_WAS_ABSENT:
	case TRACE_REPLACED:
		return TRACE_BEFORE;
	case TRACE_MODE:
		return TRACE_MODES;
	case TRACE_WAY:
	case TRACE_WENT_UP:
		return TRACE_WAYS;
	default:
		return TRACE_PATHS;
	}
}

static struct trace_item *
find(const struct trace_set *s, enum trace_space space, const char *name, uint64_t hash)
{
	struct table_node *node = table_find(&s->by_name, hash);

	for (; node; node = table_find_next(node)) {
		struct trace_item *t = table_entry(node, struct trace_item, node);

		if (space_of(t->kind) == space && streq(t->name, name))
			return t;
	}
	return NULL;
}

/* Names come from the job, so the hash is keyed: no job makes a chain long. */
static uint64_t
hash(const struct trace_set *s, const char *name)
{
	return table_hash(s->hash_key, name, strlen(name));
}

enum trace_kind
trace_set_get(const struct trace_set *s, enum trace_space space, const char *name)
{
	const struct trace_item *t = s->n ? find(s, space, name, hash(s, name)) : NULL;

	return t ? t->kind : TRACE_NONE;
}

static int
grow(struct trace_set *s)
{
	size_t cap = MAX2((size_t)512, 2 * s->cap);
	struct trace_item **v;

	if (!s->by_name.cap) {
		table_key(s->hash_key);
		if (table_init(&s->by_name) < 0)
			return -ENOMEM;
	}
	v = reallocarray(s->v, cap, sizeof(struct trace_item *));
	if (!v)
		return -ENOMEM;
	s->v = v;
	s->cap = cap;
	return 0;
}

static void
add(struct trace_set *s, const char *name, enum trace_kind kind)
{
	size_t n = strlen(name) + 1;
	struct trace_item *t;

	if (s->n >= TRACE_SET_MAX ||
		s->bytes + n > (s->max_bytes ? s->max_bytes : TRACE_SET_BYTES) ||
		(s->n == s->cap && grow(s) < 0) || !(t = malloc(sizeof(*t) + n))) {
		s->lost = true;
		return;
	}
	t->kind = kind;
	memcpy(t->name, name, n);
	table_put(&s->by_name, &t->node, hash(s, name));
	s->v[s->n++] = t;
	s->bytes += n;
}

void
trace_set_add(struct trace_set *s, enum trace_space space, const char *name, enum trace_kind kind)
{
	if (trace_set_get(s, space, name) == TRACE_NONE)
		add(s, name, kind);
}

void
trace_set_put(struct trace_set *s, enum trace_space space, const char *name, enum trace_kind kind)
{
	struct trace_item *t = s->n ? find(s, space, name, hash(s, name)) : NULL;

	if (t)
		t->kind = kind;
	else
		add(s, name, kind);
}

void
trace_set_done(struct trace_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	table_done(&s->by_name);
	*s = (struct trace_set)TRACE_SET_INIT;
}
