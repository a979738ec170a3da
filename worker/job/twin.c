/* Invariant: what a twin's client gets was said, or made, after questions that this client has
 * answered as the first one did, in the same order. A twin starts no process, and needs no file of
 * its client. */
#include "config.h"

#include "worker/job/twin.h"

#include <errno.h>

#include "common/clock.h"
#include "common/log/log.h"
#include "proto/unit_digest.h"
#include "worker/job/attributes.h"

#define CONTEXT "dray job 1"
/* The job that it is a twin of may be opened after it. */
#define LEADER_MS 3000
/* For so long the first client may let its twins wait, all in all. */
#define WAITS_MAX_MS 10000

/* What the twin's client said of a file that it was asked for. */
struct twin_answer {
	char *path;
	Dray__FileTimes times;
};

static int
lost(struct job *j, const char *why)
{
	return job_fail(j, -ESTALE, DRAY__VERDICT__VERDICT_TWIN_LOST, "%s", why);
}

static int
differs(struct job *j, const char *what, const char *name)
{
	return job_fail(j, -ESTALE, DRAY__VERDICT__VERDICT_TWIN_DIFFERS,
		"what it joined was told otherwise of %s: %.300s", what, name);
}

static int
make_key(const struct job *j, struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	struct digest unit;
	int r = h ? unit_digest(j->unit, &unit) : -ENOMEM;

	if (r < 0)
		return r;
	hasher_field(h, CONTEXT, strlen(CONTEXT));
	hasher_field(h, j->namespace, strlen(j->namespace));
	hasher_field(h, j->key.b, DIGEST_SIZE);
	hasher_field(h, unit.b, DIGEST_SIZE);
	hasher_final(h, ret);
	return 0;
}

/* Of an untraced job nobody knows what it asked for. */
int
twin_begin(struct job *j)
{
	struct digest key;
	struct tape_way way = { .key = &key,
		.job = j->id,
		.client = j->peer.curve,
		.may_join = j->request->join,
		.may_lead = !j->twin };
	int r = 0;

	if (!j->sample && j->shared->tapes && j->shared->filters->trace.n > 0) {
		r = make_key(j, &key);
		if (r == 0)
			r = tapes_enter(
				j->shared->tapes, &way, clock_mono_ms(), &j->tape, &j->reader);
	}
	if (r < 0)
		return job_fail(j, r, DRAY__VERDICT__VERDICT_WORKER_FAULT, "cannot look for twins");
	return r == 0 && j->twin ? lost(j, "this worker joins no jobs") : r;
}

/* Waits until there is a message of the client's. */
static int
wait_answer(struct job *j, struct wire_msg *ret)
{
	for (;;) {
		int r = job_receive(j, ret);

		if (r != -EAGAIN)
			return r;
		r = job_poll(j, NULL, 0);
		if (r < 0)
			return r;
	}
}

static int
keep_times(struct job *j, const char *path, const Dray__FileTimes *times)
{
	struct twin_answer *v = reallocarray(j->answers, j->n_answers + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	j->answers = v;
	v[j->n_answers].path = strdup(path);
	v[j->n_answers].times = *times;
	return v[j->n_answers].path ? (j->n_answers++, 0) : -ENOMEM;
}

static bool
is_same_answer(const struct tape_entry *e, const Dray__FileAnswer *m)
{
	bool link = m->times && m->times->link, behind = m->times && m->times->behind;

	if (m->kind != e->answer || (m->times != NULL) != e->has_times ||
		link != (e->has_times && e->times.link) ||
		behind != (e->has_times && e->times.behind))
		return false;
	if (m->kind != DRAY__FILE_KIND__FILE_REGULAR)
		return true;
	return m->blob && m->blob->digest.len == DIGEST_SIZE && m->blob->size == e->size &&
	       memcmp(m->blob->digest.data, e->digest.b, DIGEST_SIZE) == 0;
}

static int
take_answer(struct job *j, const struct tape_entry *e, const struct wire_msg *m)
{
	const Dray__FileAnswer *a = (const Dray__FileAnswer *)m->body;

	if (m->info->type != WIRE_FILE_ANSWER || a->id != j->fetch.next_id)
		return job_fail(
			j, -EBADMSG, DRAY__VERDICT__VERDICT_MALFORMED, "an answer to no question");
	j->fetch.next_id++;
	if (!is_same_answer(e, a))
		return differs(j, "a file", e->name);
	return a->times ? keep_times(j, e->name, a->times) : 0;
}

static int
ask_file(struct job *j, const struct tape_entry *e)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	Dray__FileNeed need = DRAY__FILE_NEED__INIT;
	int r;

	need.id = j->fetch.next_id;
	need.path = e->name;
	job_owed(j, true);
	r = job_send(j, WIRE_FILE_NEED, &need.base, NULL);
	if (r == 0)
		r = wait_answer(j, &m);
	job_owed(j, false);
	return r < 0 ? r : take_answer(j, e, &m);
}

static const Dray__FileTimes *
own_times(const struct job *j, const char *path)
{
	const Dray__UnitFile *f = unit_index_find(&j->index, path);

	for (size_t i = j->n_answers; i > 0; i--)
		if (streq(j->answers[i - 1].path, path))
			return &j->answers[i - 1].times;
	return f ? f->times : NULL;
}

static int
compare_attributes(struct job *j, const struct tape_entry *e)
{
	const Dray__FileTimes *own = own_times(j, e->name);

	return own && e->has_times && attributes_are_same(own, &e->times)
		       ? 0
		       : differs(j, "the attributes of", e->name);
}

static int
compare_variable(struct job *j, const struct tape_entry *e)
{
	for (size_t i = 0; i < j->unit->n_withheld_env; i++)
		if (streq(j->unit->withheld_env[i], e->name))
			return differs(j, "the variable", e->name);
	return 0;
}

static int
begin(struct job *j)
{
	Dray__JobStarted m = DRAY__JOB_STARTED__INIT;

	log_info("job=%s joined job=%s", j->id, tape_reader_job(j->reader));
	j->begun = true;
	return job_send(j, WIRE_JOB_STARTED, &m.base, NULL);
}

/* As the first client got it, but for how many outputs there were. */
static int
send_result(struct job *j, const struct tape_entry *e)
{
	Dray__JobResult *m = dray__job_result__unpack(NULL, e->n, e->p);
	int r;

	if (!m)
		return -ENOMEM;
	m->outputs = j->n_outputs;
	j->status = m->status;
	r = job_send(j, WIRE_JOB_RESULT, &m->base, NULL);
	dray__job_result__free_unpacked(m, NULL);
	return r;
}

/* 1: that was all. */
static int
play(struct job *j, const struct tape_entry *e)
{
	int r;

	job_set_deadline(j);
	switch (e->kind) {
	case TAPE_STARTED:
		return begin(j);
	case TAPE_FILE:
		return ask_file(j, e);
	case TAPE_VARIABLE:
		return compare_variable(j, e);
	case TAPE_ATTRIBUTES:
		return compare_attributes(j, e);
	case TAPE_TEXT:
		return job_text_send(j, e->out, e->p, e->n);
	case TAPE_OUTPUT:
		return results_send_known(
			j, e->name, e->output, e->mode, &e->digest, e->size, e->fd);
	case TAPE_RESULT:
		r = send_result(j, e);
		return r < 0 ? r : 1;
	}
	return -EINVAL;
}

static int
wait_more(struct job *j, uint64_t begun)
{
	struct pollfd fd = { .fd = tape_reader_fd(j->reader) };
	struct wire_msg m = WIRE_MSG_INIT;
	int r = job_poll(j, &fd, 1);

	if (r == 0)
		r = job_receive(j, &m);
	if (r == 0)
		r = job_fail(j, -EBADMSG, DRAY__VERDICT__VERDICT_MALFORMED,
			"%s is not expected now", m.info->name);
	wire_msg_done(&m);
	if (r < 0 && r != -EAGAIN)
		return r;
	if (!tape_reader_is_led(j->reader))
		return clock_mono_ms() - begun > LEADER_MS
			       ? lost(j, "there is no job here that it could join")
			       : 0;
	return tape_reader_waited_ms(j->reader, clock_mono_ms()) > WAITS_MAX_MS
		       ? differs(j, "the time", "its client lets it wait")
		       : 0;
}

static int
follow(struct job *j)
{
	uint64_t begun = clock_mono_ms();

	for (;;) {
		const struct tape_entry *e;
		int r = 0;

		switch (tape_next(j->reader, &e)) {
		case TAPE_ENTRY:
			r = play(j, e);
			break;
		case TAPE_QUIET:
			r = wait_more(j, begun);
			break;
		case TAPE_VOID:
			return lost(j, "the job that it joined has no result for others");
		}
		if (r != 0)
			return MIN2(r, 0);
	}
}

int
twin_follow(struct job *j)
{
	Dray__BlobNeed need = DRAY__BLOB_NEED__INIT;
	int r = job_send(j, WIRE_BLOB_NEED, &need.base, NULL);

	job_begin_alive(j);
	job_set_deadline(j);
	return r < 0 ? r : follow(j);
}

void
twin_done(struct job *j)
{
	tape_reader_closep(&j->reader);
	j->kept = tape_leave(&j->tape, j->verdict == DRAY__VERDICT__VERDICT_NONE && j->status == 0,
		clock_mono_ms());
	while (j->n_answers > 0)
		free(j->answers[--j->n_answers].path);
	free(j->answers);
	j->answers = NULL;
}
