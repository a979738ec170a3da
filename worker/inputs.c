/* A job's inputs: lays out what this worker has, asks the client for the blobs it lacks, takes them
 * into the store, and lays each out as it comes.
 *
 * Invariant: a blob counts only when the store has verified it against its digest; nothing is kept
 * of one that breaks off. Once laid out it is the job's own: evicting it from the store changes
 * nothing. */
#include "config.h"

#include <errno.h>

#include "common/clock.h"
#include "worker/job_priv.h"

struct fetch {
	struct job *j;
	uint32_t *need;
	size_t n, next; /* blobs come in the order they were asked for */
	struct store_writer *writer;
	uint64_t got; /* bytes of the current blob */
};

static int
layout_failed(struct job *j, int err)
{
	return job_fail(j, err, DRAY__VERDICT__VERDICT_WORKER_FAULT, "cannot lay out the job: %s",
		strerror(-err));
}

static int
ask(struct fetch *f)
{
	const Dray__Unit *u = f->j->unit;
	Dray__BlobNeed m = DRAY__BLOB_NEED__INIT;
	uint64_t begin = clock_mono_us();

	f->need = calloc(MAX2(u->n_blobs, (size_t)1), sizeof(*f->need));
	if (!f->need)
		return -ENOMEM;
	for (size_t i = 0; i < u->n_blobs; i++) {
		int r = stage_link_blob(&f->j->stage, f->j->shared->store, (uint32_t)i);

		if (r == -ENOENT)
			f->need[f->n++] = (uint32_t)i;
		else if (r < 0)
			return layout_failed(f->j, r);
	}
	f->j->staged_us += clock_mono_us() - begin;
	m.blob = f->need;
	m.n_blob = f->n;
	return job_send(f->j, WIRE_BLOB_NEED, &m.base, NULL);
}

static int
store_failed(struct job *j, int err)
{
	return job_fail(j, err, DRAY__VERDICT__VERDICT_WORKER_FAULT, "the worker's store: %s",
		strerror(-err));
}

static int
finish_blob(struct fetch *f, uint32_t blob)
{
	struct job *j = f->j;
	uint64_t size = j->unit->blobs[blob]->size;
	int r = store_write_commit(steal_ptr(f->writer), &j->blobs[blob], size);

	if (r == -EBADMSG)
		return job_fail(j, r, DRAY__VERDICT__VERDICT_INPUT_CHANGED,
			"an input is not what its digest says (changed during the build?)");
	if (r < 0)
		return store_failed(j, r);
	r = stage_link_blob(&j->stage, j->shared->store, blob);
	if (r < 0)
		return layout_failed(j, r);
	f->next++;
	f->got = 0;
	return 0;
}

static int
take_chunk(struct fetch *f, struct wire_msg *m)
{
	struct job *j = f->j;
	const Dray__BlobChunk *c = (const Dray__BlobChunk *)m->body;
	const uint8_t *p;
	int r;

	if (f->next >= f->n || c->blob != f->need[f->next] || c->offset != f->got)
		return job_fail(
			j, -EBADMSG, DRAY__VERDICT__VERDICT_MALFORMED, "a chunk out of order");
	r = chunk_decode(j->coder, &m->payload, c->zstd, c->size, &p);
	if (r < 0)
		return job_fail(
			j, r, DRAY__VERDICT__VERDICT_MALFORMED, "a chunk that cannot be read");
	if (f->got + c->size > j->unit->blobs[c->blob]->size)
		return job_fail(j, -EBADMSG, DRAY__VERDICT__VERDICT_INPUT_CHANGED,
			"an input is longer than it was said to be");
	if (!f->writer) {
		r = store_write_begin(j->shared->store, &f->writer);
		if (r < 0)
			return store_failed(j, r);
	}
	r = store_write(f->writer, p, c->size);
	if (r < 0)
		return store_failed(j, r);
	f->got += c->size;
	return c->last ? finish_blob(f, c->blob) : 0;
}

static int
give_credit(struct job *j, uint32_t n)
{
	Dray__Credit m = DRAY__CREDIT__INIT;

	m.n = n;
	return job_send(j, WIRE_CREDIT, &m.base, NULL);
}

/* Takes all that has come. */
static int
take_messages(struct fetch *f, uint32_t *unpaid)
{
	for (;;) {
		struct wire_msg m = WIRE_MSG_INIT;
		int r = job_receive(f->j, &m);

		if (r == 0) {
			if (m.info->type == WIRE_BLOB_CHUNK)
				r = take_chunk(f, &m);
			else
				r = job_fail(f->j, -EBADMSG, DRAY__VERDICT__VERDICT_MALFORMED,
					"%s is not expected now", m.info->name);
			++*unpaid;
		}
		wire_msg_done(&m);
		if (r < 0)
			return r == -EAGAIN ? 0 : r;
		if (*unpaid >= JOB_CREDIT / 4) {
			r = give_credit(f->j, *unpaid);
			if (r < 0)
				return r;
			*unpaid = 0;
		}
	}
}

static int
fetch(struct fetch *f)
{
	uint32_t unpaid = 0;
	int r = ask(f);

	while (r == 0 && f->next < f->n) {
		r = take_messages(f, &unpaid);
		if (r == 0 && f->next < f->n)
			r = job_poll(f->j, NULL, 0);
	}
	/* The client's credit is a sum over the job, so what is owed is paid, though it has no use.
	 */
	return r;
}

int
inputs_fetch(struct job *j)
{
	struct fetch f = { .j = j };
	int r = fetch(&f);

	store_write_abort(f.writer);
	free(f.need);
	return r;
}
