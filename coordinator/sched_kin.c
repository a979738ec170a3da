/* Kin: jobs of which the clients say that they are the same, by equal hints of one namespace. While
 * one of them has a slot, the others are placed on its worker as twins, without slots of their own;
 * the worker finds out by itself whether they are the same, and sends back those that are not.
 *
 * A twin costs its account nothing. If the client of the job that has the slot leaves, the worker
 * goes on with it while a twin is there; from then on the slot counts as that twin's account's.
 *
 * Invariant: a kin exists while it has jobs, and for KIN_LINGER_MS after; nothing but the place of
 * a job follows from a hint. */
#include "config.h"

#include <errno.h>

#include "coordinator/sched_priv.h"

/* For so long a worker has what a job made that has ended well; its own limit is a little longer
 * (worker/job/tape.h). */
#define KIN_LINGER_MS 8000u
#define KIN_IDLE_MAX 65536u

static uint64_t
kin_hash(struct sched *s, const struct digest *id)
{
	return table_hash(s->conf.hash_key, id->b, sizeof(id->b));
}

static struct kin *
kin_find(struct sched *s, const struct digest *id, const struct digest *toolchain)
{
	struct table_node *node = table_find(&s->kins, kin_hash(s, id));

	for (; node; node = table_find_next(node)) {
		struct kin *k = table_entry(node, struct kin, node);

		if (digest_eq(&k->id, id) && digest_eq(&k->toolchain, toolchain))
			return k;
	}
	return NULL;
}

static void
set_last(struct kin *k, struct sched_worker *w)
{
	if (k->last)
		sched_worker_unref(k->last);
	k->last = w;
	if (w)
		sched_worker_ref(w);
}

static void
kin_free(struct sched *s, struct kin *k)
{
	set_last(k, NULL);
	table_del(&s->kins, &k->node);
	free(k);
}

int
kin_join(struct sched *s, struct sched_job *job, const struct digest *id)
{
	static const struct digest none;
	struct kin *k;

	if (digest_eq(id, &none))
		return 0;
	k = kin_find(s, id, &job->toolchain);
	if (!k) {
		k = calloc(1, sizeof(*k));
		if (!k)
			return -ENOMEM;
		k->id = *id;
		k->toolchain = job->toolchain;
		TAILQ_INIT(&k->jobs);
		table_put(&s->kins, &k->node, kin_hash(s, id));
	} else if (TAILQ_EMPTY(&k->jobs)) {
		TAILQ_REMOVE(&s->idle_kins, k, idle_link);
		s->n_idle_kins--;
	}
	job->kin = k;
	TAILQ_INSERT_TAIL(&k->jobs, job, kin_link);
	return 0;
}

void
kin_leave(struct sched *s, struct sched_job *job)
{
	struct kin *k = job->kin;

	job->kin = NULL;
	if (!k)
		return;
	TAILQ_REMOVE(&k->jobs, job, kin_link);
	if (!TAILQ_EMPTY(&k->jobs))
		return;
	if (!k->last || s->n_idle_kins >= KIN_IDLE_MAX) {
		kin_free(s, k);
		return;
	}
	k->idle_ms = s->now;
	TAILQ_INSERT_TAIL(&s->idle_kins, k, idle_link);
	s->n_idle_kins++;
}

/* It has the slot that its twins share. */
static bool
leads(const struct sched_job *job)
{
	return !job->twin && sched_job_holds(job);
}

bool
kin_takes(const struct sched_worker *w, const struct sched_job *job)
{
	return w->live && !w->draining && w->trust == SCHED_TRUSTED && w->twins < w->twins_max &&
	       w->glibc >= job->glibc && !sched_job_failed_on(job, w);
}

struct sched_worker *
kin_pick(const struct sched *s, const struct sched_job *job)
{
	const struct kin *k = job->kin;
	struct sched_job *other;

	if (!k || !account_may_join(s, job))
		return NULL;
	TAILQ_FOREACH(other, &k->jobs, kin_link)
	if (leads(other) && kin_takes(other->cur, job))
		return other->cur;
	/* a client that has it and asks again wants it compiled again */
	return k->last && job->account && job->account->id != k->last_account &&
			       s->now - k->last_ms < KIN_LINGER_MS && kin_takes(k->last, job)
		       ? k->last
		       : NULL;
}

void
kin_ended(struct sched *s, struct sched_job *job)
{
	if (!job->kin || job->twin || !job->account)
		return;
	job->kin->last_account = job->account->id;
	set_last(job->kin, job->cur);
	job->kin->last_ms = s->now;
}

void
kin_lost(struct sched_job *job)
{
	if (job->kin && job->kin->last == job->cur)
		set_last(job->kin, NULL);
}

static struct sched_job *
twin_on(const struct kin *k, const struct sched_worker *w)
{
	struct sched_job *job;

	if (k)
		TAILQ_FOREACH(job, &k->jobs, kin_link)
	if (job->twin && job->cur == w && job->owner && sched_job_holds(job))
		return job;
	return NULL;
}

bool
kin_wants(struct sched *s, struct sched_job *lead)
{
	struct sched_job *twin = lead->twin ? NULL : twin_on(lead->kin, lead->cur);

	if (!twin || !twin->account)
		return false;
	if (twin->account != lead->account)
		account_pass(s, lead, twin->account);
	return true;
}

void
kins_tick(struct sched *s)
{
	struct kin *k;

	while ((k = TAILQ_FIRST(&s->idle_kins)) && s->now - k->idle_ms >= KIN_LINGER_MS) {
		TAILQ_REMOVE(&s->idle_kins, k, idle_link);
		s->n_idle_kins--;
		kin_free(s, k);
	}
}

void
kins_free(struct sched *s)
{
	struct kin *k;

	while ((k = TAILQ_FIRST(&s->idle_kins))) {
		TAILQ_REMOVE(&s->idle_kins, k, idle_link);
		kin_free(s, k);
	}
}
