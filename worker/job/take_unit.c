/* A job's unit, as it comes in pieces behind JobOpen. Invariant: no more is kept than JobOpen said,
 * and nothing is decoded before all of it is there. */
#include "config.h"

#include <errno.h>

#include "worker/job/job_priv.h"

static int
malformed(struct job *j, int err, const char *what)
{
	return job_fail(j, err, DRAY__VERDICT__VERDICT_MALFORMED, "%s", what);
}

static int
take_piece(struct job *j, struct buf *b, struct wire_msg *m)
{
	const Dray__JobUnit *c = (const Dray__JobUnit *)m->body;
	const uint8_t *p;
	int r;

	if (m->info->type != WIRE_JOB_UNIT)
		return job_fail(j, -EBADMSG, DRAY__VERDICT__VERDICT_MALFORMED,
			"%s is not expected now", m->info->name);
	if (c->offset != b->n || c->size == 0 || c->size > j->request->unit_size - b->n)
		return malformed(j, -EBADMSG, "a piece of the unit that is not the next one");
	r = chunk_decode(j->coder, &m->payload, c->zstd, c->size, &p);
	if (r < 0)
		return malformed(j, r, "a piece of the unit that cannot be read");
	return buf_add(b, p, c->size);
}

static int
take_pieces(struct job *j, struct buf *b)
{
	Dray__Credit credit = DRAY__CREDIT__INIT;
	int r = 0;

	while (r == 0 && b->n < j->request->unit_size) {
		struct wire_msg m = WIRE_MSG_INIT;

		r = job_receive(j, &m);
		if (r == 0)
			r = take_piece(j, b, &m);
		if (r == 0) {
			credit.n = 1;
			r = job_send(j, WIRE_CREDIT, &credit.base, NULL);
		} else if (r == -EAGAIN) {
			r = job_poll(j, NULL, 0);
		}
		wire_msg_done(&m);
	}
	return r;
}

int
take_unit(struct job *j)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r;

	if (j->request->unit_size > WIRE_UNIT_MAX)
		return job_fail(j, -EMSGSIZE, DRAY__VERDICT__VERDICT_TOO_LARGE,
			"the unit's description is too large");
	job_owed(j, true);
	r = take_pieces(j, &b);
	job_owed(j, false);
	if (r < 0)
		return r;
	r = wire_unpack(&dray__unit__descriptor, b.n ? (const void *)b.p : "", b.n, WIRE_UNIT_MAX,
		&j->unit_body);
	if (r == -EMSGSIZE)
		return job_fail(j, r, DRAY__VERDICT__VERDICT_TOO_LARGE,
			"the unit's description takes too much memory");
	if (r < 0)
		return malformed(j, r, "a unit that cannot be decoded");
	j->unit = (const Dray__Unit *)j->unit_body;
	return 0;
}
