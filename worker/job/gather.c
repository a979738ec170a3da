/* A job's inputs: lays out what this worker has, asks the client for the blobs it lacks, takes them
 * into the store, and lays each out as it comes.
 *
 * Invariant: a blob counts only when the store has verified it against its digest; nothing is kept
 * of a blob that breaks off. A client is asked for what it has not sent before, and what no job
 * made here, whether the store has it or not (owners.h). A blob that was laid out is the job's own:
 * evicting it from the store changes nothing for the job. */
#include "config.h"

#include <errno.h>

#include "common/clock.h"
#include "worker/job/job_priv.h"

struct gather {
	struct job *j;
	uint32_t *need;
	size_t n, next;	   /* blobs come in the order they were asked for */
	struct blob_in in; /* the next one */
};

static int
layout_failed(struct job *j, int err)
{
	if (err == -ECANCELED)
		return job_laying_ended(j);
	return job_fail(j, err, DRAY__VERDICT__VERDICT_WORKER_FAULT, "cannot lay out the job: %s",
		strerror(-err));
}

static void
expect_next(struct gather *f)
{
	const struct job *j = f->j;
	uint32_t blob;

	if (f->next >= f->n)
		return;
	blob = f->need[f->next];
	f->in = (struct blob_in){
		.index = blob, .digest = j->blobs[blob], .size = j->unit->blobs[blob]->size
	};
}

static int
ask(struct gather *f)
{
	const Dray__Unit *u = f->j->unit;
	Dray__BlobNeed m = DRAY__BLOB_NEED__INIT;

	f->need = calloc(MAX2(u->n_blobs, (size_t)1), sizeof(*f->need));
	if (!f->need)
		return -ENOMEM;
	job_lay(f->j, true);
	for (size_t i = 0; i < u->n_blobs; i++) {
		int r = -ENOENT;

		if (owners_has(f->j->shared->owners, f->j->peer.curve, &f->j->blobs[i]))
			r = stage_link_blob(&f->j->stage, f->j->shared->store, (uint32_t)i);

		if (r == -ENOENT)
			f->need[f->n++] = (uint32_t)i;
		else if (r < 0)
			return layout_failed(f->j, r);
	}
	job_lay(f->j, false);
	expect_next(f);
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
commit(struct job *j, struct blob_in *in)
{
	int r = store_write_commit_now(steal_ptr(in->writer), &in->digest, in->size);

	if (r == -EBADMSG)
		return job_fail(j, r, DRAY__VERDICT__VERDICT_INPUT_CHANGED,
			"an input is not what its digest says (changed during the build?)");
	if (r < 0)
		return store_failed(j, r);
	owners_add(j->shared->owners, j->peer.curve, &in->digest);
	return 1;
}

int
blob_in_take(struct job *j, struct blob_in *in, struct wire_msg *m)
{
	const Dray__BlobChunk *c = (const Dray__BlobChunk *)m->body;
	const uint8_t *p;
	int r;

	if (c->blob != in->index || c->offset != in->got)
		return job_fail(
			j, -EBADMSG, DRAY__VERDICT__VERDICT_MALFORMED, "a chunk out of order");
	r = chunk_decode(j->coder, &m->payload, c->zstd, c->size, &p);
	if (r < 0)
		return job_fail(
			j, r, DRAY__VERDICT__VERDICT_MALFORMED, "a chunk that cannot be read");
	if (c->size > in->size - in->got)
		return job_fail(j, -EBADMSG, DRAY__VERDICT__VERDICT_INPUT_CHANGED,
			"an input is longer than it was said to be");
	if (!in->writer) {
		r = store_write_begin(j->shared->store, &in->writer);
		if (r < 0)
			return store_failed(j, r);
	}
	r = store_write(in->writer, p, c->size);
	if (r < 0)
		return store_failed(j, r);
	in->got += c->size;
	return c->last ? commit(j, in) : 0;
}

void
blob_in_done(struct blob_in *in)
{
	store_write_abort(in->writer);
	in->writer = NULL;
}

static int
take_chunk(struct gather *f, struct wire_msg *m)
{
	struct job *j = f->j;
	int r;

	if (f->next >= f->n)
		return job_fail(
			j, -EBADMSG, DRAY__VERDICT__VERDICT_MALFORMED, "a chunk out of order");
	r = blob_in_take(j, &f->in, m);
	if (r <= 0)
		return r;
	job_lay(j, true);
	r = stage_link_blob(&j->stage, j->shared->store, f->need[f->next]);
	job_lay(j, false);
	if (r < 0)
		return layout_failed(j, r);
	f->next++;
	expect_next(f);
	return 0;
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
take_messages(struct gather *f, uint32_t *unpaid)
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
		if (*unpaid >= MAX2(f->j->grant / 4, 1u)) {
			r = give_credit(f->j, *unpaid);
			if (r < 0)
				return r;
			*unpaid = 0;
		}
	}
}

static int
fetch(struct gather *f)
{
	uint32_t unpaid = 0;
	int r = ask(f);

	job_owed(f->j, true);
	while (r == 0 && f->next < f->n) {
		r = take_messages(f, &unpaid);
		if (r == 0 && f->next < f->n)
			r = job_poll(f->j, NULL, 0);
	}
	job_owed(f->j, false);
	/* The client counts its credit over the whole job, so bytes that are of no use are
	 * credited, too. */
	return r;
}

int
gather_inputs(struct job *j)
{
	struct gather f = { .j = j };
	int r = fetch(&f);

	blob_in_done(&f.in);
	free(f.need);
	return r;
}
