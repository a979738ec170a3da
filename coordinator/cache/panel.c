/* Invariant: nobody is the odd one by the word of one other worker, nor by two runs alone. */
#include "config.h"

#include "coordinator/cache/panel.h"

#include <assert.h>
#include <stdio.h>

static bool
is_same(const struct panel *p, size_t a, size_t b)
{
	return digest_eq(&p->v[a].made, &p->v[b].made);
}

enum panel_next
panel_judge(const struct panel *p, const char **ret_odd)
{
	*ret_odd = NULL;
	if (p->n < 2)
		return PANEL_ANOTHER;
	if (p->n == 2)
		return is_same(p, 0, 1) ? PANEL_SAME : PANEL_ANOTHER;
	if (!is_same(p, 2, 0) && !is_same(p, 2, 1))
		return PANEL_VARIES;
	/* all further ones are as the third */
	for (size_t i = 3; i < p->n; i++)
		if (!is_same(p, i, 2))
			return PANEL_VARIES;
	*ret_odd = p->v[is_same(p, 2, 0) ? 1 : 0].worker;
	return p->n - 1 >= PANEL_AGREE ? PANEL_ODD : PANEL_AGAIN;
}

bool
panel_may_run(const struct panel *p, const char *worker)
{
	const char *odd;

	switch (panel_judge(p, &odd)) {
	case PANEL_ANOTHER:
		for (size_t i = 0; i < p->n; i++)
			if (streq(p->v[i].worker, worker))
				return false;
		return true;
	case PANEL_AGAIN:
		/* the first one hands the job over */
		return !streq(worker, odd) && !streq(worker, p->v[0].worker);
	default:
		return false;
	}
}

size_t
panel_runs(const struct panel *p, const char *worker)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += streq(p->v[i].worker, worker);
	return n;
}

void
panel_add(struct panel *p, const char *worker, const struct digest *kind, const struct digest *made)
{
	struct panel_run *r = &p->v[p->n];

	assert(p->n < PANEL_RUNS_MAX);
	snprintf(r->worker, sizeof(r->worker), "%s", worker);
	r->kind = *kind;
	r->made = *made;
	p->n++;
}

bool
panel_is_split(const struct panel *p)
{
	for (size_t i = 1; i < p->n; i++)
		if (!is_same(p, i, 0))
			return true;
	return false;
}

static const struct panel_run *
run_of(const struct panel *p, const char *worker)
{
	for (size_t i = 0; i < p->n; i++)
		if (streq(p->v[i].worker, worker))
			return &p->v[i];
	return NULL;
}

bool
panel_is_alike(const struct panel *p, const char *odd)
{
	static const struct digest unsaid;
	const struct panel_run *of = run_of(p, odd);

	if (!of || digest_eq(&of->kind, &unsaid))
		return false;
	for (size_t i = 0; i < p->n; i++)
		if (!digest_eq(&p->v[i].made, &of->made) && digest_eq(&p->v[i].kind, &of->kind))
			return true;
	return false;
}
