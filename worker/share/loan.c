/* What is kept of one unit that was shared, to hand it over. Invariant: it has an answer for each
 * path that was asked for. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "worker/share/loans.h"

void
loan_free(struct loan *n)
{
	if (!n)
		return;
	for (size_t i = 0; n->answers && i < n->asked.n; i++)
		buf_done(&n->answers[i]);
	free(n->answers);
	strv_done(&n->asked);
	buf_done(&n->unit);
	free(n);
}

static int
copy_buf(struct buf *to, const struct buf *from)
{
	return from->n ? buf_add(to, from->p, from->n) : 0;
}

static int
copy_answers(struct loan *n, const struct strv *asked, const struct buf *answers)
{
	int r = 0;

	n->answers = calloc(asked->n + 1, sizeof(*n->answers));
	if (!n->answers)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < asked->n; i++) {
		r = strv_add(&n->asked, asked->v[i]);
		if (r == 0)
			r = copy_buf(&n->answers[i], &answers[i]);
	}
	return r;
}

struct loan *
loan_new(const Dray__Unit *unit, const struct strv *asked, const struct buf *answers)
{
	size_t size = dray__unit__get_packed_size(unit);
	struct loan *n = calloc(1, sizeof(*n));
	uint8_t *p = malloc(size ? size : 1);
	int r = n && p ? 0 : -ENOMEM;

	if (r == 0) {
		dray__unit__pack(unit, p);
		r = buf_add(&n->unit, p, size);
	}
	if (r == 0)
		r = copy_answers(n, asked, answers);
	free(p);
	if (r == 0)
		return n;
	loan_free(n);
	return NULL;
}
