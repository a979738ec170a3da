/* Messages of clients. Their fields are checked here and become the scheduler's inputs; the answers
 * are the scheduler's actions (act.c). Invariant: a client's message concerns only its own jobs,
 * which the scheduler knows by the peer's serial. */
#include "config.h"

#include <errno.h>

#include "common/clock.h"
#include "coordinator/server_priv.h"

#define FAILED_MAX 8 /* tries of a job that are taken from one message */

static bool
job_id_of(struct server *s, struct peer *p, const struct wire_peer *from, const char *job,
	struct job_id *ret)
{
	if (sched_job_id_parse(job, ret) == 0)
		return true;
	server_refuse(s, from, p, DRAY__VERDICT__VERDICT_MALFORMED,
		"A job's id is 32 lower-case hex digits, not \"%.40s\".", CLEAN(job));
	return false;
}

/* Jobs of two namespaces are never kin. An older client has no hint, nor has one that is to be
 * alone. */
static void
kin_of(struct server *s, const struct peer *p, const Dray__JobRequest *m, struct digest *ret)
{
	const struct allowed_key *k = allowed_keys_find(&s->keys, p->wire.curve);
	const char *namespace = k ? k->namespace : "";
	_cleanup_(hasher_freep) struct hasher *h = NULL;

	if (m->hint.len != DIGEST_SIZE || !(h = hasher_new()))
		return;
	hasher_field(h, namespace, strlen(namespace));
	hasher_field(h, m->hint.data, m->hint.len);
	hasher_final(h, ret);
}

void
on_job_request(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__JobRequest *m = (const Dray__JobRequest *)body;
	struct sched_job_info info = {
		.owner = p->serial,
		.account = peer_account(s, p),
		.space = peer_namespace(s, p),
		.glibc = m->glibc,
		.may_wait = m->may_wait,
	};
	struct sched_failed failed[FAILED_MAX];
	struct peer *old;
	uint64_t owner;
	int r;

	if (!job_id_of(s, p, from, m->job, &info.id))
		return;
	if (m->toolchain.len != DIGEST_SIZE) {
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_MALFORMED,
			"A toolchain's id has %d bytes, not %zu.", DIGEST_SIZE, m->toolchain.len);
		return;
	}
	if (m->push) {
		push_asked(s, p, m, &info.id);
		return;
	}
	if (m->refill) {
		refill_asked(s, p, m, &info.id);
		return;
	}
	if (refills_find(&s->refills, m->job) || refills_find(&s->pushes, m->job)) {
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_MALFORMED,
			"The job %s is no unit's.", m->job);
		return;
	}
	memcpy(info.toolchain.b, m->toolchain.data, DIGEST_SIZE);
	toolchains_used(s->toolchains, &info.toolchain);
	kin_of(s, p, m, &info.kin);
	info.failed = failed;
	info.n_failed = MIN2(m->n_failed, (size_t)FAILED_MAX);
	for (size_t i = 0; i < info.n_failed; i++)
		failed[i] = (struct sched_failed){ m->failed[i]->worker, m->failed[i]->verdict };
	if (alike_asked(s, p, m, &info.id))
		return;
	log_debug("job=%s crate=%s kind=%s failed=%zu asked for", m->job, CLEAN(m->crate),
		CLEAN(m->kind), info.n_failed);
	cache_job_asked(s, p, &info.id, m);
	owner = sched_job_owner(s->sched, &info.id);
	/* After a reconnection a client repeats its requests. */
	if (owner == p->serial)
		return;
	old = peer_by_serial(s, owner);
	if (old && peer_is_same_client(s, old, p))
		info.former = owner;
	r = sched_job_add(s->sched, &info, s->now);
	if (r == -EEXIST)
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_MALFORMED,
			"The job %s is there already.", m->job);
	else if (r < 0)
		send_denied(s, p, m->job, DRAY__VERDICT__VERDICT_QUEUE_FULL,
			"the coordinator is out of memory");
}

static void
tell_failed(
	struct server *s, const struct peer *p, const struct job_id *id, const Dray__JobRetry *m)
{
	struct event e = { .kind = EVENT_FAULT };

	clean_text(m->worker, e.worker, sizeof(e.worker));
	clean_text(m->text, e.text, sizeof(e.text));
	tell_job(s, p, id, &e);
}

void
on_job_retry(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__JobRetry *m = (const Dray__JobRetry *)body;
	struct job_told told;
	struct job_id id;
	bool known;
	int r;

	/* another worker would be asked for as a new one is */
	if (!job_id_of(s, p, from, m->job, &id) || refill_left(s, p, m->job, false) ||
		push_left(s, p, m->job, false))
		return;
	known = cache_job_told(s, &id, &told);
	r = sched_job_retry(s->sched, p->serial, &id, m->worker, m->verdict, m->text, s->now);
	/* Of jobs that are not there anybody may say as much as it likes. */
	if (r == 0)
		tell_failed(s, p, &id, m);
	if (r == 0) {
		log_info("job=%s worker=%s failed it: verdict=%d %s", m->job, CLEAN(m->worker),
			(int)m->verdict, CLEAN(m->text));
		tally_failed_verdict(s->tally, m->verdict,
			&(struct tally_words){ .crate = known ? told.crate : "",
				.worker = m->worker,
				.text = m->text },
			clock_wall_ms());
	}
	if (r == -ENOENT)
		send_denied(s, p, m->job, DRAY__VERDICT__VERDICT_UNKNOWN_JOB,
			"this coordinator does not know the job; it may have been restarted");
	else if (r == -ESTALE)
		log_debug("job=%s is not with worker=%s", m->job, CLEAN(m->worker));
}

void
on_job_finished(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__JobFinished *m = (const Dray__JobFinished *)body;
	struct job_id id;

	/* This job is from before a restart. Its worker reports the end, too. */
	if (!p || !job_id_of(s, p, from, m->job, &id) || refill_left(s, p, m->job, true) ||
		push_left(s, p, m->job, true))
		return;
	log_debug("job=%s finished: status=%d", m->job, m->status);
	sched_job_finished(s->sched, p->serial, &id, s->now);
}

void
on_job_cancel(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__JobCancel *m = (const Dray__JobCancel *)body;
	struct job_id id;

	if (!p || !job_id_of(s, p, from, m->job, &id) || refill_left(s, p, m->job, false) ||
		alike_left(s, p, m->job) || push_left(s, p, m->job, false))
		return;
	log_debug("job=%s cancelled by its client", m->job);
	if (sched_job_cancel(s->sched, p->serial, &id, s->now) == 0)
		cache_job_cancelled(s, &id);
}
