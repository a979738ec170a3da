/* The scheduler's inputs: clients' and workers' messages about jobs, and the time. Invariant: no
 * input can fail half-way. Memory for the actions of a step is reserved when a job is made, so that
 * each decision can be sent. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "coordinator/sched_priv.h"

/* What a client's report of a failed try means. */
struct verdict_rule {
	bool blame;   /* the client complains of the worker */
	bool exclude; /* not there again */
};

static struct verdict_rule
rule_of(Dray__Verdict verdict)
{
	switch (verdict) {
	case DRAY__VERDICT__VERDICT_FULL:
	case DRAY__VERDICT__VERDICT_CANCELLED:
	case DRAY__VERDICT__VERDICT_INPUT_CHANGED:
	case DRAY__VERDICT__VERDICT_TWIN_LOST:
	case DRAY__VERDICT__VERDICT_TWIN_DIFFERS:
		return (struct verdict_rule){ false, false };
	/* The worker was honest, or the job itself is at fault. Another worker may do better, but a
	 * good worker must not lose trust by a few such jobs. */
	case DRAY__VERDICT__VERDICT_DRAINING:
	case DRAY__VERDICT__VERDICT_NO_TOOLCHAIN:
	case DRAY__VERDICT__VERDICT_LIMIT:
	case DRAY__VERDICT__VERDICT_BAD_UNIT:
	case DRAY__VERDICT__VERDICT_TOO_LARGE:
	case DRAY__VERDICT__VERDICT_MALFORMED:
	case DRAY__VERDICT__VERDICT_VERSION:
		return (struct verdict_rule){ false, true };
	default:
		return (struct verdict_rule){ true, true };
	}
}

/* It says nothing of the worker, nor of the job. */
static bool
is_twins(Dray__Verdict verdict)
{
	return verdict == DRAY__VERDICT__VERDICT_TWIN_LOST ||
	       verdict == DRAY__VERDICT__VERDICT_TWIN_DIFFERS;
}

/* It cannot have a slot now, but some worker can run it. */
static void
wait_in_line(struct sched *s, struct sched_job *job)
{
	char text[256];

	if (!job->may_wait && !space_has_room(job->space)) {
		space_explain_slots(job->space, text, sizeof(text));
		sched_job_deny(s, job, DRAY__VERDICT__VERDICT_QUOTA, text);
	} else if (!job->may_wait) {
		sched_job_deny(
			s, job, DRAY__VERDICT__VERDICT_FULL, "all matching workers are busy");
	} else if (!space_may_queue(job->space) && job->tries == 0) {
		space_explain_queue(job->space, text, sizeof(text));
		sched_job_deny(s, job, DRAY__VERDICT__VERDICT_QUOTA, text);
	} else if (s->queued >= s->conf.max_queue && job->tries == 0) {
		sched_job_deny(s, job, DRAY__VERDICT__VERDICT_QUEUE_FULL,
			"the coordinator's queue is full");
	} else if (queue_put(s, job) < 0) {
		sched_job_deny(s, job, DRAY__VERDICT__VERDICT_QUEUE_FULL,
			"the coordinator is out of memory");
	} else {
		action_queued(s, job);
	}
}

/* Finds a place for a job that has none: now, in a queue, or not at all. */
static void
seek(struct sched *s, struct sched_job *job)
{
	struct sched_worker *w;

	if (s->draining) {
		sched_job_deny(s, job, DRAY__VERDICT__VERDICT_DRAINING,
			"the coordinator is shutting down");
		return;
	}
	if (!sched_job_allowed(s, job)) {
		sched_job_deny_stranded(s, job);
		return;
	}
	w = kin_pick(s, job);
	if (w) {
		sched_job_place_twin(s, job, w);
		return;
	}
	w = account_may(s, job) ? pools_pick(s, job) : NULL;
	if (w)
		sched_worker_give(s, w, job);
	else if (!pools_eligible(s, job))
		sched_job_deny_stranded(s, job);
	else
		wait_in_line(s, job);
}

/* The client gave the job up. Its slot counts as used until the worker reports the end, or for
 * SETTLE_MS. */
static void
leave_behind(struct sched *s, struct sched_job *job)
{
	disown(s, job);
	sched_job_wait(s, job, &s->settling, SETTLE_MS);
}

/* Its worker goes on with it while a twin is there. */
static void
look_at_orphan(struct sched *s, struct sched_job *job)
{
	if (kin_wants(s, job)) {
		sched_job_wait(s, job, &s->orphans, ORPHAN_MS);
		return;
	}
	action_cancel(s, job, job->cur);
	sched_job_wait(s, job, &s->settling, SETTLE_MS);
}

static void
cancel(struct sched *s, struct sched_job *job)
{
	struct sched_worker *w = job->cur;

	if (sched_job_holds(job))
		action_cancel(s, job, w);
	if (job->state == JOB_STARTED) {
		/* the worker was told all the same: it knows who has joined */
		/* its worker says how long it waited for its client; what it takes to end it is not
		 * its client's doing */
		job->excused = true;
		leave_behind(s, job);
		if (kin_wants(s, job))
			sched_job_wait(s, job, &s->orphans, ORPHAN_MS);
		return;
	}
	if (job->state == JOB_AWAY && job->word == WORD_OK)
		sched_worker_judge(s, job, true);
	sched_job_free(s, job);
	if (w)
		sched_worker_changed(s, w);
}

/* Workers that the job must not get again. */
static void
exclude(struct sched_job *job, struct sched_worker *w)
{
	if (!w || sched_job_failed_on(job, w) || job->n_failed == MAX_TRIES)
		return;
	job->failed[job->n_failed++] = w;
	sched_worker_ref(w);
}

uint64_t
sched_job_owner(struct sched *s, const struct job_id *id)
{
	struct sched_job *job = sched_job_find(s, id);

	return job && job->owner ? job->owner->handle : 0;
}

bool
sched_job_is_known(struct sched *s, const struct job_id *id)
{
	return sched_job_find(s, id) != NULL;
}

int
sched_job_add(struct sched *s, const struct sched_job_info *info, uint64_t now)
{
	struct sched_job *job = sched_job_find(s, &info->id);
	const struct doubt *pos = NULL;
	const char *doubted;
	struct sched_worker *w;
	int r;

	s->now = now;
	if (job && job->owner && job->owner->handle != info->former)
		return -EEXIST;
	r = actions_reserve(s, 1);
	if (r < 0)
		return r;
	if (job && job->owner) {
		cancel(s, job);
		job = sched_job_find(s, &info->id);
	}
	if (job) {
		/* The client came back after its connection was lost, and starts again. */
		w = job->cur;
		action_cancel(s, job, w);
		sched_job_free(s, job);
		sched_worker_changed(s, w);
	}
	r = sched_job_new(s, &info->id, info->owner, &job);
	if (r < 0)
		return r;
	job->toolchain = info->toolchain;
	job->glibc = info->glibc;
	job->may_wait = info->may_wait;
	r = space_join(s, job, info->space ? info->space : "");
	if (r == 0)
		r = account_join(s, job, info->account ? info->account : info->owner);
	if (r == 0)
		r = kin_join(s, job, &info->kin);
	if (r < 0) {
		sched_job_free(s, job);
		return r;
	}
	for (size_t i = 0; i < info->n_failed; i++)
		if (rule_of(info->failed[i].verdict).exclude)
			exclude(job, sched_worker_any(s, info->failed[i].worker));
	while ((doubted = doubt_next(s, job, &pos)))
		exclude(job, sched_worker_any(s, doubted));
	if (job->account->jobs > s->conf.max_account_jobs)
		sched_job_deny(s, job, DRAY__VERDICT__VERDICT_QUEUE_FULL,
			"this client's key has too many jobs at a time");
	else
		seek(s, job);
	return 0;
}

static struct sched_job *
job_of(struct sched *s, uint64_t owner, const struct job_id *id)
{
	struct sched_job *job = sched_job_find(s, id);

	return job && job->owner && job->owner->handle == owner ? job : NULL;
}

int
sched_job_finished(struct sched *s, uint64_t owner, const struct job_id *id, uint64_t now)
{
	struct sched_job *job = job_of(s, owner, id);
	struct sched_worker *w;

	s->now = now;
	if (!job)
		return -ENOENT;
	w = job->cur;
	if (job->state != JOB_QUEUED && job->word != WORD_BAD)
		sched_worker_judge(s, job, true);
	if (job->state == JOB_STARTED) {
		/* The client has its result before the worker has cleaned up. The slot is free only
		 * when the worker says so: a job that came sooner would be refused there. */
		leave_behind(s, job);
	} else {
		sched_job_free(s, job);
	}
	if (w)
		sched_worker_changed(s, w);
	return 0;
}

int
sched_job_cancel(struct sched *s, uint64_t owner, const struct job_id *id, uint64_t now)
{
	struct sched_job *job = job_of(s, owner, id);

	s->now = now;
	if (!job)
		return -ENOENT;
	cancel(s, job);
	return 0;
}

void
sched_job_withdraw(struct sched *s, uint64_t owner, const struct job_id *id, uint64_t now)
{
	struct sched_job *job = job_of(s, owner, id);
	struct sched_worker *w = job ? job->cur : NULL;

	s->now = now;
	if (!job)
		return;
	sched_job_free(s, job);
	if (w)
		sched_worker_changed(s, w);
}

void
sched_owner_gone(struct sched *s, uint64_t owner, uint64_t now)
{
	struct owner *o = owner_find(s, owner);
	struct sched_job *job, *next;

	s->now = now;
	/* The queued jobs first, so that they do not get the slots of the others. */
	for (job = o ? TAILQ_FIRST(&o->jobs) : NULL; job; job = next) {
		next = TAILQ_NEXT(job, owner_link);
		if (job->state == JOB_QUEUED)
			cancel(s, job);
	}
	while ((o = owner_find(s, owner)))
		cancel(s, TAILQ_FIRST(&o->jobs));
}

/* The worker knows better. It gets no more jobs until it says how many it runs. */
static void
mark_full(struct sched_worker *w)
{
	if (sched_worker_used(w) < w->slots)
		w->foreign += w->slots - sched_worker_used(w);
}

/* Takes the try back from its worker, and notes the client's report of it. */
static void
try_failed(struct sched *s, struct sched_job *job, Dray__Verdict verdict)
{
	struct verdict_rule rule = rule_of(verdict);
	struct sched_worker *w = job->cur;

	if (verdict == DRAY__VERDICT__VERDICT_FULL && job->word == WORD_FULL)
		job->excused = true;
	if (!(verdict == DRAY__VERDICT__VERDICT_FULL && job->word == WORD_NONE))
		account_never_opened(s, job);

	/* One that runs it is not full. */
	if (job->state == JOB_STARTED && !(job->twin && is_twins(verdict)))
		rule.exclude = true;
	if (rule.blame)
		sched_worker_complain(s, job);
	if (verdict == DRAY__VERDICT__VERDICT_NO_TOOLCHAIN && !job->twin)
		sched_worker_lacks(s, job);
	/* A worker that may get the job again is not told: the message could arrive after the job's
	 * next start. */
	if (sched_job_holds(job) && rule.exclude)
		action_cancel(s, job, w);
	sched_job_release(s, job);
	if (rule.exclude) {
		exclude(job, w);
	} else if (verdict == DRAY__VERDICT__VERDICT_FULL || is_twins(verdict)) {
		job->tries -= job->tries > 0;
		job->bounces++;
	}
	if (is_twins(verdict))
		kin_lost(job);
	/* the second time it would join the same one again, in vain */
	if (verdict == DRAY__VERDICT__VERDICT_TWIN_DIFFERS ||
		(verdict == DRAY__VERDICT__VERDICT_TWIN_LOST && job->lost))
		kin_leave(s, job);
	job->lost |= verdict == DRAY__VERDICT__VERDICT_TWIN_LOST;
	if (job->word == WORD_FULL)
		mark_full(w);
	sched_worker_changed(s, w);
}

int
sched_job_retry(struct sched *s, uint64_t owner, const struct job_id *id, const char *worker,
	Dray__Verdict verdict, const char *text, uint64_t now)
{
	struct sched_job *job = job_of(s, owner, id);
	char why[512];

	s->now = now;
	if (!job)
		return -ENOENT;
	if (job->state == JOB_QUEUED || job->timed == &s->doubted || !job->cur ||
		(*worker && !streq(worker, job->cur->name)))
		return -ESTALE;
	try_failed(s, job, verdict);
	if (verdict == DRAY__VERDICT__VERDICT_FULL && job->word == WORD_NONE && !job->opened &&
		job->bounces < MAX_BOUNCES) {
		/* Its worker's word may be on the way; without it the job goes on alone. */
		sched_job_wait(s, job, &s->doubted, DOUBT_MS);
		return 0;
	}
	if (job->tries < MAX_TRIES && job->bounces < MAX_BOUNCES) {
		seek(s, job);
		return 0;
	}
	snprintf(why, sizeof(why), "tried %u times; the last worker, %s: %.300s",
		job->tries + job->bounces, job->cur->name, text);
	sched_job_deny(s, job, DRAY__VERDICT__VERDICT_NO_TRIES_LEFT, why);
	return 0;
}

int
sched_job_started(struct sched *s, struct sched_worker *w, const struct job_id *id, uint64_t now)
{
	struct sched_job *job = sched_job_find(s, id);

	s->now = now;
	if (!job) {
		/* The job's ticket is from before this coordinator was started; it uses a slot all
		 * the same. The bound is against a worker that invents jobs. */
		if (w->started > 2 * w->slots || actions_reserve(s, 1) < 0 ||
			sched_job_new(s, id, 0, &job) < 0)
			return -ENOENT;
		sched_job_hold(s, job, w, JOB_STARTED);
		sched_worker_changed(s, w);
		return 0;
	}
	if (job->cur != w || job->state == JOB_QUEUED) {
		action_cancel(s, job, w);
		return -ENOENT;
	}
	if (job->state == JOB_PLACED) {
		sched_job_start(s, job);
	} else if (job->state == JOB_AWAY && job->word == WORD_NONE) {
		sched_job_hold(s, job, w, JOB_STARTED); /* late: the placement had expired */
		sched_worker_changed(s, w);
	}
	return 0;
}

void
sched_job_compiles(struct sched *s, struct sched_worker *w, const struct job_id *id, uint64_t now)
{
	struct sched_job *job = sched_job_find(s, id);

	s->now = now;
	if (!job || job->cur != w || job->state != JOB_STARTED)
		return;
	account_shown(s, job);
	sched_let_on(s);
}

void
sched_job_cut(struct sched *s, struct sched_worker *w, const struct job_id *id, uint64_t wasted_ms,
	uint64_t now)
{
	struct sched_job *job = sched_job_find(s, id);

	s->now = now;
	/* its client may have asked for another worker meanwhile */
	if (!job || (job->cur != w && !sched_job_failed_on(job, w)))
		return;
	if (!job->twin)
		account_wasted(s, job, wasted_ms);
	if (job->cur == w)
		job->cut = job->excused = true;
}

bool
sched_job_on_trial(struct sched *s, const struct job_id *id)
{
	struct sched_job *job = sched_job_find(s, id);

	return job && account_on_trial(job->account);
}

bool
sched_account_on_trial(struct sched *s, uint64_t account)
{
	const struct account *a = account_find(s, account);

	return !a || account_on_trial(a);
}

bool
sched_job_is_twin(const struct sched *s, const struct job_id *id)
{
	const struct sched_job *job = sched_job_find((struct sched *)s, id);

	return job && job->twin;
}

bool
sched_job_is_with(const struct sched *s, const struct sched_worker *w, const struct job_id *id)
{
	const struct sched_job *job = sched_job_find((struct sched *)s, id);

	return job && job->cur == w;
}

bool
sched_job_has_slot(const struct sched *s, const struct sched_worker *w, const struct job_id *id)
{
	const struct sched_job *job = sched_job_find((struct sched *)s, id);

	return job && job->cur == w && !job->twin && sched_job_holds(job);
}

void
sched_job_kept(struct sched *s, struct sched_worker *w, const struct job_id *id)
{
	struct sched_job *job = sched_job_find(s, id);

	if (job && job->cur == w)
		job->kept = true;
}

bool
sched_wanted(const struct sched *s)
{
	return s->busy > 1 && account_others_wait(s, NULL);
}

bool
sched_somebody_waits(const struct sched *s)
{
	return account_others_wait(s, NULL);
}

int
sched_job_ended(struct sched *s, struct sched_worker *w, const struct job_id *id, bool ok,
	uint64_t cpu_us, uint64_t now)
{
	struct sched_job *job = sched_job_find(s, id);

	s->now = now;
	if (!job || job->cur != w || job->state == JOB_QUEUED || job->word != WORD_NONE) {
		/* The job was given up here before; a heartbeat may have counted it since. Its
		 * client's word may have come first: the worker's own counts all the same. */
		if (!ok && !(job && job->cur == w && job->word != WORD_NONE))
			sched_worker_owns_up(s, w, id);
		if (w->foreign > 0)
			w->foreign--;
		sched_worker_changed(s, w);
		return -ENOENT;
	}
	account_settle(s, job, cpu_us);
	if (!job->twin)
		account_learn(s, cpu_us);
	job->excused = true;
	if (ok && !job->cut && !job->twin)
		account_used_well(s, job, cpu_us);
	job->word = ok ? WORD_OK : WORD_BAD;
	if (job->kept)
		kin_ended(s, job);
	if (!ok)
		sched_worker_judge(s, job, false);
	sched_job_release(s, job);
	if (job->owner)
		sched_job_wait(s, job, &s->settling, SETTLE_MS);
	else
		sched_job_free(s, job);
	sched_worker_changed(s, w);
	return 0;
}

/* Places a job again of which its client said that its worker was full. */
static void
go_on(struct sched *s, struct sched_job *job)
{
	account_never_opened(s, job);
	sched_job_wait(s, job, NULL, 0);
	seek(s, job);
}

int
sched_job_refused(struct sched *s, struct sched_worker *w, const struct job_id *id, uint64_t now)
{
	struct sched_job *job = sched_job_find(s, id);
	bool doubted = job && job->timed == &s->doubted;

	s->now = now;
	if (job && job->cur == w)
		account_opened_late(s, job);
	if (!job || job->cur != w || (job->state != JOB_PLACED && !doubted))
		return -ENOENT;
	job->word = WORD_FULL;
	mark_full(w);
	sched_worker_changed(s, w);
	if (doubted)
		go_on(s, job);
	return 0;
}

/* The client did not say in time what became of its job. */
static void
settle(struct sched *s, struct sched_job *job)
{
	struct sched_worker *w = job->cur;

	if (!job->owner) {
		sched_job_free(s, job);
	} else {
		sched_job_wait(s, job, NULL, 0);
		if (job->word == WORD_OK)
			sched_worker_judge(s, job, true);
	}
	sched_worker_changed(s, w);
}

static void
notices(struct sched *s)
{
	struct sched_job *job;

	for (unsigned i = 0; i < NOTICE_BURST; i++) {
		job = TAILQ_FIRST(&s->notices);
		if (!job || s->now < job->notice_ms)
			return;
		TAILQ_REMOVE(&s->notices, job, notice_link);
		TAILQ_INSERT_TAIL(&s->notices, job, notice_link);
		job->notice_ms = s->now + NOTICE_MS;
		action_queued(s, job);
	}
}

static bool
is_overdue(const struct sched *s, const struct sched_job *job)
{
	return s->now >= job->deadline ||
	       (s->now - job->held_ms >= account_open_ms(s, job->account) &&
		       account_others_wait(s, job->account));
}

/* All that were wasted are taken back before any is given away again: each that is given away may
 * be the last that was waited for, and a slot that counts as wasted must not go on, and count
 * twice. */
static void
take_back_unopened(struct sched *s)
{
	struct job_list back = TAILQ_HEAD_INITIALIZER(back);
	struct sched_job *job, *next;

	for (job = TAILQ_FIRST(&s->placed); job; job = next) {
		next = TAILQ_NEXT(job, timed_link);
		if (is_overdue(s, job))
			sched_job_wait(s, job, &back, 0);
	}
	if (TAILQ_EMPTY(&back))
		return;
	TAILQ_FOREACH(job, &back, timed_link)
	if (!job->twin)
		account_late(s, job);
	while ((job = TAILQ_FIRST(&back))) {
		uint64_t held = s->now - job->held_ms;

		sched_job_release(s, job);
		sched_job_wait(s, job, &s->late, s->conf.open_ms - MIN2(held, s->conf.open_ms));
	}
	sched_look_again(s);
}

/* Of those that were taken back nobody came for these. */
static void
judge_late(struct sched *s)
{
	struct sched_job *job, *next;

	for (job = TAILQ_FIRST(&s->late); job; job = next) {
		next = TAILQ_NEXT(job, timed_link);
		if (s->now < job->deadline)
			continue;
		account_never_opened(s, job);
		sched_job_wait(s, job, NULL, 0);
	}
	sched_let_on(s);
}

static void
charge_running(struct sched *s)
{
	struct sched_worker *w;
	struct sched_job *job;

	TAILQ_FOREACH(w, &s->live, all_link)
	TAILQ_FOREACH(job, &w->jobs, worker_link)
	account_keep(s, job);
}

void
sched_tick(struct sched *s, uint64_t now)
{
	struct sched_job *job;

	s->now = now;
	charge_running(s);
	take_back_unopened(s);
	judge_late(s);
	while ((job = TAILQ_FIRST(&s->doubted)) && now >= job->deadline)
		go_on(s, job);
	while ((job = TAILQ_FIRST(&s->settling)) && now >= job->deadline)
		settle(s, job);
	while ((job = TAILQ_FIRST(&s->orphans)) && now >= job->deadline)
		look_at_orphan(s, job);
	sched_workers_tick(s);
	kins_tick(s);
	if (accounts_tick(s))
		sched_look_again(s);
	notices(s);
}

void
sched_drain(struct sched *s, uint64_t now)
{
	struct sched_job *job;

	s->now = now;
	s->draining = true;
	while ((job = TAILQ_FIRST(&s->notices)))
		sched_job_deny(s, job, DRAY__VERDICT__VERDICT_DRAINING,
			"the coordinator is shutting down");
}

void
sched_get_stats(const struct sched *s, struct sched_stats *ret)
{
	const struct sched_worker *w;

	*ret = s->stats;
	ret->jobs = s->jobs.n;
	ret->queued = s->queued;
	ret->used = 0;
	ret->doubted = 0;
	TAILQ_FOREACH(w, &s->live, all_link)
	{
		ret->used += MIN2(sched_worker_used(w), w->slots);
		ret->doubted += w->n_shut;
	}
}

void
sched_allows_changed(struct sched *s, uint64_t now)
{
	struct sched_job *job, *next;

	s->now = now;
	for (job = TAILQ_FIRST(&s->notices); job; job = next) {
		next = TAILQ_NEXT(job, notice_link);
		if (!sched_job_allowed(s, job))
			sched_job_deny_stranded(s, job);
	}
}

void
sched_conf_default(struct sched_conf *c)
{
	*c = (struct sched_conf){
		.max_queue = 100000,
		.max_account_jobs = 4096,
		.open_ms = OPEN_MS,
		.open_wanted_ms = OPEN_WANTED_MS,
	};
}

int
sched_new(const struct sched_conf *conf, struct sched **ret)
{
	_cleanup_(sched_freep) struct sched *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->conf = *conf;
	TAILQ_INIT(&s->live);
	TAILQ_INIT(&s->gone);
	TAILQ_INIT(&s->shunned);
	TAILQ_INIT(&s->news);
	TAILQ_INIT(&s->placed);
	TAILQ_INIT(&s->settling);
	TAILQ_INIT(&s->doubted);
	TAILQ_INIT(&s->orphans);
	TAILQ_INIT(&s->late);
	TAILQ_INIT(&s->doubts);
	TAILQ_INIT(&s->waiting);
	TAILQ_INIT(&s->notices);
	TAILQ_INIT(&s->idle);
	TAILQ_INIT(&s->idle_kins);
	if (table_init(&s->jobs) < 0 || table_init(&s->owners) < 0 || table_init(&s->workers) < 0 ||
		table_init(&s->tcs) < 0 || table_init(&s->accounts) < 0 ||
		table_init(&s->kins) < 0 || table_init(&s->spaces) < 0 || actions_reserve(s, 1) < 0)
		return -ENOMEM;
	*ret = steal_ptr(s);
	return 0;
}

void
sched_free(struct sched *s)
{
	struct table_node *node;

	if (!s)
		return;
	if (s->jobs.bucket)
		while ((node = table_walk(&s->jobs, NULL)))
			sched_job_free(s, table_entry(node, struct sched_job, node));
	kins_free(s);
	doubts_free(s);
	sched_workers_free(s);
	accounts_free(s);
	table_done(&s->kins);
	table_done(&s->spaces);
	table_done(&s->accounts);
	table_done(&s->jobs);
	table_done(&s->owners);
	table_done(&s->workers);
	table_done(&s->tcs);
	free(s->act);
	buf_done(&s->texts);
	free(s);
}

void
sched_freep(struct sched **s)
{
	sched_free(*s);
}
