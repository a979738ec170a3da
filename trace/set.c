/* An open-addressed table of indexes over a growing array. Invariant: half of the slots are free,
 * so every search ends. */
#include "config.h"

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
	case TRACE_RAN:
		return TRACE_PROGRAMS;
	default:
		return TRACE_PATHS;
	}
}

/* FNV-1a. Names come from the job: it may choose them to collide, and then slows itself down. */
static uint32_t
hash(enum trace_space space, const char *name)
{
	uint32_t h = 2166136261u + (uint32_t)space;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return h;
}

static uint32_t *
find(const struct trace_set *s, enum trace_space space, const char *name)
{
	size_t i = hash(space, name) & (s->slots - 1);

	while (s->slot[i]) {
		const struct trace_item *t = &s->v[s->slot[i] - 1];

		if (space_of(t->kind) == space && streq(t->name, name))
			break;
		i = (i + 1) & (s->slots - 1);
	}
	return &s->slot[i];
}

enum trace_kind
trace_set_get(const struct trace_set *s, enum trace_space space, const char *name)
{
	uint32_t at = s->slots ? *find(s, space, name) : 0;

	return at ? s->v[at - 1].kind : TRACE_NONE;
}

static int
grow(struct trace_set *s)
{
	size_t cap = MAX2((size_t)512, 2 * s->cap);
	struct trace_item *v = reallocarray(s->v, cap, sizeof(*v));
	uint32_t *slot;

	if (!v)
		return -1;
	s->v = v;
	slot = calloc(2 * cap, sizeof(*slot));
	if (!slot)
		return -1;
	free(s->slot);
	s->slot = slot;
	s->slots = 2 * cap;
	s->cap = cap;
	for (size_t i = 0; i < s->n; i++)
		*find(s, space_of(s->v[i].kind), s->v[i].name) = (uint32_t)i + 1;
	return 0;
}

void
trace_set_add(struct trace_set *s, enum trace_space space, const char *name, enum trace_kind kind)
{
	size_t n = strlen(name) + 1;
	uint32_t *slot;
	char *copy;

	if (trace_set_get(s, space, name) != TRACE_NONE)
		return;
	if (s->n >= TRACE_SET_MAX || s->bytes + n > TRACE_SET_BYTES ||
		(s->n == s->cap && grow(s) < 0)) {
		s->lost = true;
		return;
	}
	copy = strdup(name);
	if (!copy) {
		s->lost = true;
		return;
	}
	slot = find(s, space, name);
	s->v[s->n] = (struct trace_item){ copy, kind };
	s->bytes += n;
	*slot = (uint32_t)++s->n;
}

void
trace_set_put(struct trace_set *s, enum trace_space space, const char *name, enum trace_kind kind)
{
	uint32_t at = s->slots ? *find(s, space, name) : 0;

	if (at)
		s->v[at - 1].kind = kind;
	else
		trace_set_add(s, space, name, kind);
}

void
trace_set_done(struct trace_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].name);
	free(s->v);
	free(s->slot);
	*s = (struct trace_set)TRACE_SET_INIT;
}
