/* A job's inputs: lays out what this worker has, asks others for the blobs it lacks (peers/seek.h),
 * and the client for what these do not have, takes them into the store, and lays each out as it
 * comes.
 *
 * Invariant: a blob counts only when the store has verified it against its digest; nothing is kept
 * of a blob that breaks off. A client is asked for what it has not sent before, and what no job
 * made here, whether the store has it or not (owners.h). A blob that was laid out is the job's own:
 * evicting it from the store changes nothing for the job. */
#include "config.h"

#include <errno.h>

#include "common/clock.h"
#include "common/log/log.h"
#include "worker/job/job_priv.h"

struct gather {
	struct job *j;
	uint32_t *need;	   /* what the client is asked for */
	size_t n, next;	   /* blobs come in the order they were asked for */
	size_t asked;	   /* of need: the client was asked for these */
	struct blob_in in; /* the next one */
	uint32_t *lacks;   /* what the store does not have for this client; these came: */
	size_t n_lacks, n_here;
	struct seek *seek; /* NULL: nobody else is asked */
};

/* To the job's tree, or into the toolchain that is given. -ENOENT: the store does not have it
 * (now).
 */
static int
place_blob(struct job *j, uint32_t blob)
{
	return j->assembly ? assembly_place(j->assembly, j->shared->store, blob)
			   : stage_link_blob(&j->stage, j->shared->store, blob);
}

static int
layout_failed(struct job *j, int err)
{
	if (err == -ECANCELED)
		return job_laying_ended(j);
	if (err == -EBADMSG && j->assembly)
		return job_fail(j, err, DRAY__VERDICT__VERDICT_BAD_UNIT,
			"the toolchain cannot be taken: it has a blob of another size than it "
			"says");
	return job_fail(j, err, DRAY__VERDICT__VERDICT_WORKER_FAULT, "cannot lay out the job: %s",
		strerror(-err));
}

static void
expect_next(struct gather *f)
{
	const struct job *j = f->j;
	uint32_t blob;

	if (f->next >= f->asked)
		return;
	blob = f->need[f->next];
	f->in = (struct blob_in){
		.index = blob, .digest = j->blobs[blob], .size = j->unit->blobs[blob]->size
	};
}

/* What is here is laid out; the rest is lacking. */
static int
look(struct gather *f)
{
	const Dray__Unit *u = f->j->unit;
	int r = 0;

	f->need = calloc(MAX2(u->n_blobs, (size_t)1), sizeof(*f->need));
	f->lacks = calloc(MAX2(u->n_blobs, (size_t)1), sizeof(*f->lacks));
	if (!f->need || !f->lacks)
		return -ENOMEM;
	job_lay(f->j, true);
	for (size_t i = 0; i < u->n_blobs; i++) {
		r = -ENOENT;
		if (owners_has(f->j->shared->owners, f->j->peer.curve, &f->j->blobs[i]))
			r = place_blob(f->j, (uint32_t)i);

		if (r == -ENOENT)
			f->lacks[f->n_lacks++] = (uint32_t)i;
		else if (r < 0)
			return layout_failed(f->j, r);
	}
	job_lay(f->j, false);
	return 0;
}

/* Asks the client for what it was not asked for yet. */
static int
ask(struct gather *f)
{
	Dray__BlobNeed m = DRAY__BLOB_NEED__INIT;

	m.blob = f->need + f->asked;
	m.n_blob = f->n - f->asked;
	f->asked = f->n;
	expect_next(f);
	job_owed(f->j, f->next < f->asked);
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

	if (f->next >= f->asked)
		return job_fail(
			j, -EBADMSG, DRAY__VERDICT__VERDICT_MALFORMED, "a chunk out of order");
	r = blob_in_take(j, &f->in, m);
	if (r <= 0)
		return r;
	job_lay(j, true);
	r = place_blob(j, f->need[f->next]);
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

/* ---- others */

/* Of each blob of the unit: whether a compiler may have made it. */
static bool *
find_made(const struct job *j)
{
	const Dray__Unit *u = j->unit;
	bool *made = calloc(u->n_blobs + 1, sizeof(*made));

	for (size_t i = 0; made && i < u->n_files; i++)
		if (u->files[i]->blob < u->n_blobs)
			made[u->files[i]->blob] |= seek_is_made(u->files[i]->path);
	return made;
}

static int
begin_seek(struct gather *f)
{
	struct job *j = f->j;
	_cleanup_(freep) struct seek_blob *v = calloc(f->n_lacks + 1, sizeof(*v));
	_cleanup_(freep) bool *made = find_made(j);
	uint64_t bytes = 0;
	bool any = false;

	if (!v || !made)
		return -ENOMEM;
	for (size_t i = 0; i < f->n_lacks; i++) {
		uint32_t b = f->lacks[i];

		v[i] = (struct seek_blob){ j->blobs[b], j->unit->blobs[b]->size, made[b] };
		any |= made[b];
		bytes += v[i].size;
	}
	if (!j->sample && *j->peer.curve && (any || bytes >= SEEK_LEAST_BYTES))
		f->seek = seek_begin(j->shared->seeker, j->id, v, f->n_lacks);
	for (size_t i = 0; !f->seek && i < f->n_lacks; i++)
		f->need[f->n++] = f->lacks[i];
	/* its client hears of it meanwhile */
	if (f->seek)
		job_begin_alive(j);
	return 0;
}

/* It is in the store: it came for this client's job, and is that one's from now on. */
static int
take_found(struct gather *f, uint32_t blob)
{
	struct job *j = f->j;
	int r;

	owners_add(j->shared->owners, j->peer.curve, &j->blobs[blob]);
	job_lay(j, true);
	r = place_blob(j, blob);
	job_lay(j, false);
	if (r == -ENOENT)
		f->need[f->n++] = blob;
	else if (r < 0)
		return layout_failed(j, r);
	f->n_here += r == 0;
	return 0;
}

static int
take_outcomes(struct gather *f)
{
	size_t i;
	bool here;
	int r = 0;

	while (r == 0 && f->seek && seek_next(f->seek, &i, &here)) {
		if (here)
			r = take_found(f, f->lacks[i]);
		else
			f->need[f->n++] = f->lacks[i];
	}
	return r;
}

static bool
seeks(struct gather *f)
{
	return f->seek && !seek_is_over(f->seek);
}

/* Until it is known who has what, the client is not asked: it is, at once, for what nobody has. */
static int
await_plan(struct gather *f)
{
	uint32_t unpaid = 0;
	int r = 0;

	while (r == 0 && f->seek) {
		bool planned = seek_is_planned(f->seek);
		struct pollfd fd = { .fd = seek_fd(f->seek) };

		r = take_outcomes(f);
		if (r < 0 || planned)
			return r;
		/* its ring may just have been taken with the outcomes */
		if (seek_is_planned(f->seek))
			continue;
		r = take_messages(f, &unpaid);
		if (r == 0)
			r = job_poll(f->j, &fd, 1);
	}
	return r;
}

/* What is here now, others may have from here (proto/worker.proto, Peers first). */
static int
tell_holds(struct gather *f)
{
	_cleanup_(freep) ProtobufCBinaryData *v = calloc(f->n_lacks + 1, sizeof(*v));
	Dray__WorkerHolds m = DRAY__WORKER_HOLDS__INIT;

	if (!v)
		return -ENOMEM;
	for (; m.n_sent < f->n_lacks && m.n_sent < WIRE_HOLDS_MAX; m.n_sent++)
		v[m.n_sent] = (ProtobufCBinaryData){ DIGEST_SIZE,
			f->j->blobs[f->lacks[m.n_sent]].b };
	m.job = f->j->id;
	m.sent = v;
	return m.n_sent ? job_send(f->j, WIRE_WORKER_HOLDS, &m.base, NULL) : 0;
}

static int
fetch(struct gather *f)
{
	uint32_t unpaid = 0;
	int r = look(f);

	if (r == 0)
		r = begin_seek(f);
	if (r == 0)
		r = await_plan(f);
	if (r == 0)
		r = ask(f);
	while (r == 0 && (f->next < f->n || seeks(f))) {
		struct pollfd fd = { .fd = f->seek ? seek_fd(f->seek) : -1 };

		r = take_messages(f, &unpaid);
		job_owed(f->j, f->next < f->asked);
		if (r == 0)
			r = take_outcomes(f);
		/* one list at a time, and no more of them than it takes */
		if (r == 0 && f->next == f->asked && f->asked < f->n && !seeks(f))
			r = ask(f);
		if (r == 0 && (f->next < f->asked || seeks(f)))
			r = job_poll(f->j, &fd, f->seek ? 1 : 0);
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
	uint64_t begin = clock_mono_ms();
	int r = fetch(&f);

	if (r == 0 && j->shared->seeker && !j->sample)
		r = tell_holds(&f);
	log_debug("job=%s crate=%.64s has its inputs: blobs=%zu lacked=%zu from_others=%zu ms=%llu",
		j->id, j->unit->crate, j->unit->n_blobs, f.n_lacks, f.n_here,
		(unsigned long long)(clock_mono_ms() - begin));
	seek_end(f.seek);
	blob_in_done(&f.in);
	free(f.need);
	free(f.lacks);
	return r;
}
