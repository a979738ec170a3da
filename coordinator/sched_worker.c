/* The scheduler's workers: coming, going, and how far they are trusted.
 *
 * Invariant: after sched_worker_changed(w) the pools know w as it is, no queued job could run on
 * it, and no queued job is left that no worker can run. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "coordinator/sched_priv.h"

static uint64_t
name_hash(struct sched *s, const char *name)
{
	return table_hash(s->conf.hash_key, name, strlen(name));
}

struct sched_worker *
sched_worker_any(struct sched *s, const char *name)
{
	struct table_node *node = table_find(&s->workers, name_hash(s, name));

	for (; node; node = table_find_next(node)) {
		struct sched_worker *w = table_entry(node, struct sched_worker, node);

		if (streq(w->name, name))
			return w;
	}
	return NULL;
}

struct sched_worker *
sched_worker_find(struct sched *s, const char *name)
{
	struct sched_worker *w = sched_worker_any(s, name);

	return w && w->live ? w : NULL;
}

struct sched_worker *
sched_worker_walk(struct sched *s, struct sched_worker *prev)
{
	return prev ? TAILQ_NEXT(prev, all_link) : TAILQ_FIRST(&s->live);
}

void
sched_worker_get(const struct sched_worker *w, struct sched_worker_view *ret)
{
	*ret = (struct sched_worker_view){
		.name = w->name,
		.endpoint = w->endpoint,
		.curve = w->curve,
		.tag = w->tag,
		.slots = w->slots,
		.cores = w->cores,
		.glibc = w->glibc,
		.used = sched_worker_used(w),
		.twins = w->twins,
		.failures = sched_worker_failures(w),
		.trust = w->trust,
		.draining = w->draining,
		.n_offers = w->n_offers,
		.n_doubted = w->n_shut,
	};
}

const struct digest *
sched_worker_offer(const struct sched_worker *w, size_t i, const char **ret_text)
{
	if (ret_text)
		*ret_text = w->offers[i].pool->tc->text;
	return &w->offers[i].pool->tc->id;
}

static void
forgive(struct sched_worker *w)
{
	w->failures = w->complaints = 0;
	w->complained[0] = w->complained[1] = 0;
}

void
sched_worker_give(struct sched *s, struct sched_worker *w, struct sched_job *job)
{
	struct sched_job *other, *next;

	sched_job_place(s, job, w);
	for (other = job->kin ? TAILQ_FIRST(&job->kin->jobs) : NULL; other; other = next) {
		next = TAILQ_NEXT(other, kin_link);
		if (other->state != JOB_QUEUED || !account_may(s, other) || !kin_takes(w, other))
			continue;
		queue_take(s, other);
		sched_job_place_twin(s, other, w);
	}
}

/* Gives free slots to waiting jobs. */
static void
dispatch(struct sched *s, struct sched_worker *w)
{
	struct sched_job *job;

	while (sched_worker_placeable(w) && (job = queue_next_for(s, w))) {
		struct sched_worker *to = pools_pick(s, job);

		queue_take(s, job);
		sched_worker_give(s, to ? to : w, job);
	}
}

/* Denies the queued jobs of a toolchain that no worker is left for. */
static void
deny_stranded(struct sched *s, struct tc *tc)
{
	struct job_list stranded = TAILQ_HEAD_INITIALIZER(stranded);
	struct sched_job *job;

	pools_take_stranded(s, tc, &stranded);
	while ((job = TAILQ_FIRST(&stranded))) {
		TAILQ_REMOVE(&stranded, job, queue_link);
		sched_job_deny_stranded(s, job);
	}
}

void
sched_look_again(struct sched *s)
{
	struct sched_worker *w;

	s->let_on = false;
	/* all of them know what is free before any is given away */
	TAILQ_FOREACH(w, &s->live, all_link)
	pools_refresh(s, w);
	TAILQ_FOREACH(w, &s->live, all_link)
	dispatch(s, w);
}

void
sched_quotas_changed(struct sched *s, uint64_t now)
{
	s->now = now;
	spaces_ask(s);
	sched_look_again(s);
}

void
sched_let_on(struct sched *s)
{
	struct sched_worker *w;

	if (!s->let_on)
		return;
	s->let_on = false;
	TAILQ_FOREACH(w, &s->live, all_link)
	dispatch(s, w);
}

void
sched_worker_changed(struct sched *s, struct sched_worker *w)
{
	if (pools_refresh(s, w))
		for (size_t i = 0; i < w->n_offers; i++)
			deny_stranded(s, w->offers[i].pool->tc);
	dispatch(s, w);
	sched_let_on(s);
}

static void
set_trust(struct sched *s, struct sched_worker *w, enum sched_trust trust)
{
	w->trust = trust;
	if (!w->news)
		TAILQ_INSERT_TAIL(&s->news, w, news_link);
	w->news = true;
}

struct sched_worker *
sched_worker_news(struct sched *s)
{
	struct sched_worker *w = TAILQ_FIRST(&s->news);

	if (!w)
		return NULL;
	TAILQ_REMOVE(&s->news, w, news_link);
	w->news = false;
	return w;
}

static void
shun(struct sched *s, struct sched_worker *w)
{
	uint64_t wait = (uint64_t)TRUST_WAIT_MS << MIN2(w->rounds, 5u);

	w->rounds++;
	w->shunned_until = s->now + MIN2(wait, (uint64_t)TRUST_WAIT_MAX_MS);
	if (w->trust != SCHED_SHUNNED)
		TAILQ_INSERT_TAIL(&s->shunned, w, shunned_link);
	set_trust(s, w, SCHED_SHUNNED);
}

static void
failed(struct sched *s, struct sched_worker *w, bool probe)
{
	/* Jobs that were placed before the penalty began are no new evidence. */
	if (w->trust == SCHED_SHUNNED || (w->trust == SCHED_PROBED && !probe))
		return;
	w->failures++;
	if (w->trust == SCHED_PROBED || sched_worker_failures(w) >= TRUST_FAILURES)
		shun(s, w);
}

void
sched_worker_owns_up(struct sched *s, struct sched_worker *w, const struct job_id *id)
{
	bool probe = memcmp(&w->probed, id, sizeof(*id)) == 0;

	/* Its client's word may have been counted: it was of the same failure. */
	if (w->complaints > 0)
		w->complaints--;
	failed(s, w, probe);
}

/* Of a job that the worker had not started it says nothing; and a probe that only its client
 * complains of shows nothing. */
void
sched_worker_complain(struct sched *s, struct sched_job *job)
{
	struct sched_worker *w = job->cur;
	uint64_t who = job->account ? job->account->id : 0;

	/* of a job and its twins one counts: what went wrong was one thing */
	if (!w || !who || job->judged || !job->opened || job->twin || w->trust != SCHED_TRUSTED)
		return;
	job->judged = true;
	w->complaints++;
	if (!w->complained[0] || w->complained[0] == who)
		w->complained[0] = who;
	else
		w->complained[1] = who;
	if (sched_worker_failures(w) >= TRUST_FAILURES)
		shun(s, w);
}

/* Counts the job's present try for or against its worker, once. The caller calls
 * sched_worker_changed. */
void
sched_worker_judge(struct sched *s, struct sched_job *job, bool good)
{
	struct sched_worker *w = job->cur;

	if (!w || job->judged)
		return;
	job->judged = true;
	if (!good) {
		failed(s, w, job->probe);
		return;
	}
	if (w->trust == SCHED_TRUSTED) {
		forgive(w);
	} else if (w->trust == SCHED_PROBED && job->probe) {
		set_trust(s, w, SCHED_TRUSTED);
		w->rounds = 0;
		forgive(w);
	}
}

/* Takes w, which is not connected any more, out of all pools' counts. */
static void
leave(struct sched *s, struct sched_worker *w)
{
	if (!w->live)
		return;
	w->live = false;
	pools_refresh(s, w);
	for (size_t i = 0; i < w->n_offers; i++)
		w->offers[i].pool->live--;
	s->stats.workers--;
	s->stats.slots -= w->slots;
	TAILQ_REMOVE(&s->live, w, all_link);
	TAILQ_INSERT_TAIL(&s->gone, w, all_link);
	w->gone_ms = s->now;
}

static void
enter(struct sched *s, struct sched_worker *w)
{
	w->live = true;
	for (size_t i = 0; i < w->n_offers; i++)
		w->offers[i].pool->live++;
	s->stats.workers++;
	s->stats.slots += w->slots;
	TAILQ_REMOVE(&s->gone, w, all_link);
	TAILQ_INSERT_TAIL(&s->live, w, all_link);
}

static void
worker_free(struct sched *s, struct sched_worker *w)
{
	leave(s, w);
	TAILQ_REMOVE(&s->gone, w, all_link);
	if (w->trust == SCHED_SHUNNED)
		TAILQ_REMOVE(&s->shunned, w, shunned_link);
	if (w->news)
		TAILQ_REMOVE(&s->news, w, news_link);
	table_del(&s->workers, &w->node);
	offers_detach(s, w->offers, w->n_offers);
	free(w->endpoint);
	free(w->curve);
	free(w);
}

static struct sched_worker *
worker_new(struct sched *s, const char *name)
{
	struct sched_worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->offers = calloc(1, sizeof(*w->offers));
	if (!w->offers) {
		free(w);
		return NULL;
	}
	snprintf(w->name, sizeof(w->name), "%s", name);
	TAILQ_INIT(&w->jobs);
	TAILQ_INSERT_TAIL(&s->gone, w, all_link);
	w->gone_ms = s->now;
	table_put(&s->workers, &w->node, name_hash(s, name));
	return w;
}

/* The job loses its slot without an end. Its client will say what becomes of it. */
static void
job_lost(struct sched *s, struct sched_job *job)
{
	job->excused = true;
	sched_job_release(s, job);
	if (!job->owner)
		sched_job_free(s, job);
}

/* Makes the list of w's jobs equal to what w says it runs. If w has lost some it was started again:
 * that is one failure, however many jobs are lost. */
static void
reconcile(struct sched *s, struct sched_worker *w, const struct sched_worker_info *info)
{
	bool lost = false, probed = w->probe;
	struct sched_job *job, *next;

	w->foreign = 0;
	TAILQ_FOREACH(job, &w->jobs, worker_link)
	job->listed = false;
	for (size_t i = 0; i < info->n_running; i++) {
		job = sched_job_find(s, &info->running[i]);
		if (!job && sched_job_new(s, &info->running[i], 0, &job) == 0) {
			/* A job from before this coordinator was started only uses a slot. */
			sched_job_hold(s, job, w, JOB_STARTED);
		} else if (!job || job->cur != w || job->state == JOB_QUEUED) {
			if (job)
				action_cancel_id(s, &info->running[i], w);
			w->foreign++;
			continue;
		} else if (job->state == JOB_PLACED) {
			sched_job_start(s, job);
		} else if (job->state == JOB_AWAY) {
			sched_job_hold(s, job, w, JOB_STARTED);
		}
		job->listed = true;
	}
	for (size_t i = 0; i < info->n_joined; i++) {
		job = sched_job_find(s, &info->joined[i]);
		/* of one from before this coordinator was started nothing is kept */
		if (!job || job->cur != w || !job->twin || job->state == JOB_QUEUED)
			continue;
		if (job->state == JOB_PLACED)
			sched_job_start(s, job);
		else if (job->state == JOB_AWAY)
			sched_job_hold(s, job, w, JOB_STARTED);
		job->listed = true;
	}
	for (job = TAILQ_FIRST(&w->jobs); job; job = next) {
		next = TAILQ_NEXT(job, worker_link);
		if (job->state != JOB_STARTED || job->listed)
			continue;
		lost |= job->owner != NULL;
		job->judged = true;
		job_lost(s, job);
	}
	if (lost && !w->draining)
		failed(s, w, probed);
}

static void
set_fields(struct sched_worker *w, const struct sched_worker_info *info)
{
	w->tag = info->tag;
	w->slots = info->slots;
	w->cores = info->cores;
	w->twins_max = info->twins;
	w->draining = info->draining;
}

int
sched_worker_set(struct sched *s, const struct sched_worker_info *info, uint64_t now,
	struct sched_worker **ret)
{
	_cleanup_(freep) char *endpoint = strdup(info->endpoint), *curve = strdup(info->curve);
	struct pool_seat *offers, *old;
	struct sched_worker *w;
	unsigned old_glibc;
	size_t n_old;

	s->now = now;
	w = sched_worker_any(s, info->name);
	if (!endpoint || !curve || actions_reserve(s, info->n_running) < 0)
		return -ENOMEM;
	if (!w && !(w = worker_new(s, info->name)))
		return -ENOMEM;
	/* The worker leaves its pools first: they must not see fields that are half old and half
	 * new. */
	leave(s, w);
	old = w->offers;
	n_old = w->n_offers;
	old_glibc = w->glibc;
	w->glibc = info->glibc;
	if (offers_attach(s, w, info->offers, info->n_offers, &offers) < 0) {
		w->glibc = old_glibc;
		sched_worker_gone(s, w, now);
		return -ENOMEM;
	}
	w->offers = offers;
	w->n_offers = info->n_offers;
	doubts_apply(s, w);
	free(w->endpoint);
	free(w->curve);
	w->endpoint = steal_ptr(endpoint);
	w->curve = steal_ptr(curve);
	set_fields(w, info);
	enter(s, w);
	reconcile(s, w, info);
	sched_worker_changed(s, w);
	for (size_t i = 0; i < n_old; i++)
		deny_stranded(s, old[i].pool->tc);
	offers_detach(s, old, n_old);
	*ret = w;
	return 0;
}

/* The worker may have been why nobody opened what was late there. */
static void
forgive_late(struct sched *s, const struct sched_worker *w)
{
	struct sched_job *job, *next;

	for (job = TAILQ_FIRST(&s->late); job; job = next) {
		next = TAILQ_NEXT(job, timed_link);
		if (job->cur != w)
			continue;
		account_opened_late(s, job);
		sched_job_wait(s, job, NULL, 0);
	}
}

void
sched_worker_gone(struct sched *s, struct sched_worker *w, uint64_t now)
{
	struct sched_job *job, *next;
	bool ran = false, probed = w->probe;

	s->now = now;
	leave(s, w);
	for (job = TAILQ_FIRST(&w->jobs); job; job = next) {
		next = TAILQ_NEXT(job, worker_link);
		ran |= job->state == JOB_STARTED && job->owner;
		/* The loss of a worker is one failure, however many jobs are lost with it. */
		job->judged = true;
		job_lost(s, job);
	}
	forgive_late(s, w);
	if (ran && !w->draining)
		failed(s, w, probed);
	w->foreign = 0;
	for (size_t i = 0; i < w->n_offers; i++)
		deny_stranded(s, w->offers[i].pool->tc);
}

void
sched_worker_heard(struct sched *s, struct sched_worker *w, unsigned running, uint64_t now)
{
	unsigned foreign = running > w->started ? running - w->started : 0;

	s->now = now;
	if (foreign == w->foreign)
		return;
	w->foreign = foreign;
	sched_worker_changed(s, w);
}

void
sched_worker_drain(struct sched *s, struct sched_worker *w, uint64_t now)
{
	s->now = now;
	w->draining = true;
	sched_worker_changed(s, w);
}

void
sched_worker_resume(struct sched *s, struct sched_worker *w, uint64_t now)
{
	s->now = now;
	w->draining = false;
	sched_worker_changed(s, w);
}

void
sched_worker_lacks(struct sched *s, const struct sched_job *job)
{
	struct sched_worker *w = job->cur;
	struct tc *tc = tc_find(s, &job->toolchain);

	if (!w || !job->account || !doubt_says(s, w, &job->toolchain, job->account->id))
		return;
	doubts_apply(s, w);
	pools_refresh(s, w);
	if (tc)
		deny_stranded(s, tc);
}

/* What it offers is as it is believed now. */
static void
believe(struct sched *s, const char *name)
{
	struct sched_worker *w = sched_worker_any(s, name);

	if (!w)
		return;
	doubts_apply(s, w);
	sched_worker_changed(s, w);
}

bool
sched_worker_believe(struct sched *s, const char *name, uint64_t now)
{
	s->now = now;
	if (!doubts_forget(s, name))
		return false;
	believe(s, name);
	return true;
}

void
sched_workers_tick(struct sched *s)
{
	struct sched_worker *w, *next;
	const char *name;

	while ((name = doubts_end_one(s)))
		believe(s, name);

	for (w = TAILQ_FIRST(&s->shunned); w; w = next) {
		next = TAILQ_NEXT(w, shunned_link);
		if (s->now < w->shunned_until)
			continue;
		TAILQ_REMOVE(&s->shunned, w, shunned_link);
		set_trust(s, w, SCHED_PROBED);
		sched_worker_changed(s, w);
	}
	while ((w = TAILQ_FIRST(&s->gone)) && s->now - w->gone_ms >= REMEMBER_MS) {
		if (w->refs == 0) {
			worker_free(s, w);
			continue;
		}
		TAILQ_REMOVE(&s->gone, w, all_link);
		TAILQ_INSERT_TAIL(&s->gone, w, all_link);
		w->gone_ms = s->now;
	}
}

void
sched_workers_free(struct sched *s)
{
	struct sched_worker *w;

	while ((w = TAILQ_FIRST(&s->live)))
		leave(s, w);
	while ((w = TAILQ_FIRST(&s->gone)))
		worker_free(s, w);
}
