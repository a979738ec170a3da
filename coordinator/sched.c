/* The scheduler's jobs: from a client's request to its last word.
 *
 * Invariant: a job is in exactly one place: a queue (QUEUED), its worker's list (PLACED, STARTED), or
 * neither (AWAY); a worker's counts are the lengths of its lists. No input can fail half-way: memory
 * for the actions of a step is reserved when a job is made. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "coordinator/sched_priv.h"
#include "proto/ticket.h"

/* What a client's word on a failed try means. */
struct verdict_rule {
	bool blame;   /* the worker loses trust */
	bool exclude; /* not there again */
};

static struct verdict_rule
rule_of(Dray__Verdict verdict)
{
	switch (verdict) {
	case DRAY__VERDICT__VERDICT_FULL:
	case DRAY__VERDICT__VERDICT_CANCELLED:
	case DRAY__VERDICT__VERDICT_INPUT_CHANGED:
		return (struct verdict_rule){ false, false };
	/* Honest of the worker, or the job's own fault: another may do better, but a few such jobs must
	 * not cost a good worker its trust. */
	case DRAY__VERDICT__VERDICT_DRAINING:
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

int
job_id_parse(const char *hex, struct job_id *ret)
{
	struct job_id id;

	for (size_t i = 0; i < 2 * JOB_ID_SIZE; i++) {
		char c = hex[i];
		int v;

		if (c >= '0' && c <= '9')
			v = c - '0';
		else if (c >= 'a' && c <= 'f')
			v = c - 'a' + 10;
		else
			return -EINVAL;
		id.b[i / 2] = (uint8_t)(i % 2 ? id.b[i / 2] << 4 | v : v);
	}
	if (hex[2 * JOB_ID_SIZE])
		return -EINVAL;
	*ret = id;
	return 0;
}

void
job_id_hex(const struct job_id *id, char out[JOB_ID_HEX_SIZE])
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < JOB_ID_SIZE; i++) {
		out[2 * i] = digit[id->b[i] >> 4];
		out[2 * i + 1] = digit[id->b[i] & 15];
	}
	out[2 * JOB_ID_SIZE] = '\0';
}

static int
actions_grow(struct sched *s, size_t want)
{
	struct pending *act;
	size_t cap = s->act_cap ? s->act_cap : 64;

	if (want <= s->act_cap)
		return 0;
	while (cap < want)
		cap *= 2;
	act = reallocarray(s->act, cap, sizeof(*act));
	if (!act)
		return -ENOMEM;
	s->act = act;
	s->act_cap = cap;
	return 0;
}

/* One step adds at most two actions a job (cancelled there, placed here), and a few of its own. */
int
actions_reserve(struct sched *s, size_t more)
{
	return actions_grow(s, s->act_n + 2 * (s->jobs.n + 2 * more) + 16);
}

static void
push(struct sched *s, const struct sched_action *a, const char *text)
{
	struct pending *p;

	if (s->act_head == s->act_n)
		s->act_head = s->act_n = s->texts.n = 0;
	if (actions_grow(s, s->act_n + 1) < 0)
		return;
	p = &s->act[s->act_n++];
	p->a = *a;
	p->text = NO_TEXT;
	if (text && buf_reserve(&s->texts, strlen(text) + 1) == 0) {
		p->text = s->texts.n;
		buf_add(&s->texts, text, strlen(text) + 1);
	}
}

bool
sched_next_action(struct sched *s, struct sched_action *ret)
{
	struct pending *p;

	if (s->act_head == s->act_n)
		return false;
	p = &s->act[s->act_head++];
	*ret = p->a;
	ret->text = p->text == NO_TEXT ? "" : (const char *)s->texts.p + p->text;
	return true;
}

void
action_cancel_id(struct sched *s, const struct job_id *id, struct sched_worker *w)
{
	struct sched_action a = { .type = SCHED_CANCEL, .job = *id, .worker = w };

	push(s, &a, NULL);
}

void
action_cancel(struct sched *s, const struct job *job, struct sched_worker *w)
{
	action_cancel_id(s, &job->id, w);
}

static void
action_queued(struct sched *s, const struct job *job)
{
	struct sched_action a = { .type = SCHED_QUEUED, .job = job->id, .owner = job->owner->handle };

	a.ahead = queue_ahead(job);
	push(s, &a, NULL);
}

static uint64_t
owner_hash(struct sched *s, uint64_t handle)
{
	return table_hash(s->conf.hash_key, &handle, sizeof(handle));
}

static struct owner *
owner_find(struct sched *s, uint64_t handle)
{
	struct table_node *node = table_find(&s->owners, owner_hash(s, handle));

	for (; node; node = table_find_next(node))
		if (table_entry(node, struct owner, node)->handle == handle)
			return table_entry(node, struct owner, node);
	return NULL;
}

static struct owner *
owner_get(struct sched *s, uint64_t handle)
{
	struct owner *o = owner_find(s, handle);

	if (o)
		return o;
	o = calloc(1, sizeof(*o));
	if (!o)
		return NULL;
	o->handle = handle;
	TAILQ_INIT(&o->jobs);
	table_put(&s->owners, &o->node, owner_hash(s, handle));
	return o;
}

static void
disown(struct sched *s, struct job *job)
{
	struct owner *o = job->owner;

	if (!o)
		return;
	TAILQ_REMOVE(&o->jobs, job, owner_link);
	job->owner = NULL;
	if (--o->n > 0)
		return;
	table_del(&s->owners, &o->node);
	free(o);
}

struct job *
job_find(struct sched *s, const struct job_id *id)
{
	uint64_t hash = table_hash(s->conf.hash_key, id->b, sizeof(id->b));
	struct table_node *node = table_find(&s->jobs, hash);

	for (; node; node = table_find_next(node)) {
		struct job *job = table_entry(node, struct job, node);

		if (memcmp(&job->id, id, sizeof(*id)) == 0)
			return job;
	}
	return NULL;
}

int
job_new(struct sched *s, const struct job_id *id, uint64_t owner, struct job **ret)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return -ENOMEM;
	if (owner) {
		job->owner = owner_get(s, owner);
		if (!job->owner) {
			free(job);
			return -ENOMEM;
		}
		TAILQ_INSERT_TAIL(&job->owner->jobs, job, owner_link);
		job->owner->n++;
	}
	job->id = *id;
	job->state = JOB_AWAY;
	job->seq = ++s->seq;
	table_put(&s->jobs, &job->node, table_hash(s->conf.hash_key, id->b, sizeof(id->b)));
	*ret = job;
	return 0;
}

static void
job_wait(struct sched *s, struct job *job, struct job_list *list, uint64_t ms)
{
	if (job->timed)
		TAILQ_REMOVE(job->timed, job, timed_link);
	job->timed = list;
	if (!list)
		return;
	job->deadline = s->now + ms;
	TAILQ_INSERT_TAIL(list, job, timed_link);
}

static void
set_worker(struct job *job, struct sched_worker *w)
{
	if (job->cur)
		worker_unref(job->cur);
	job->cur = w;
	if (w)
		worker_ref(w);
}

static bool
job_holds(const struct job *job)
{
	return job->state == JOB_PLACED || job->state == JOB_STARTED;
}

void
job_hold(struct sched *s, struct job *job, struct sched_worker *w, enum job_state state)
{
	set_worker(job, w);
	job_wait(s, job, state == JOB_PLACED ? &s->placed : NULL, s->conf.ticket_life_ms);
	job->state = (uint8_t)state;
	job->word = WORD_NONE;
	job->judged = false;
	job->probe = false;
	if (state == JOB_PLACED) {
		w->placed++;
		if (w->trust == SCHED_PROBED) {
			job->probe = true;
			w->probe = job;
		}
	} else {
		w->started++;
	}
	TAILQ_INSERT_TAIL(&w->jobs, job, worker_link);
}

void
job_start(struct sched *s, struct job *job)
{
	job_wait(s, job, NULL, 0);
	job->state = JOB_STARTED;
	job->cur->placed--;
	job->cur->started++;
}

void
job_release(struct sched *s, struct job *job)
{
	struct sched_worker *w = job->cur;

	job_wait(s, job, NULL, 0);
	if (!job_holds(job))
		return;
	if (job->state == JOB_PLACED)
		w->placed--;
	else
		w->started--;
	TAILQ_REMOVE(&w->jobs, job, worker_link);
	if (w->probe == job)
		w->probe = NULL;
	job->state = JOB_AWAY;
}

void
job_free(struct sched *s, struct job *job)
{
	if (job->state == JOB_QUEUED)
		queue_take(s, job);
	job_release(s, job);
	set_worker(job, NULL);
	for (unsigned i = 0; i < job->n_failed; i++)
		worker_unref(job->failed[i]);
	if (job->tries > 0)
		s->stats.ended++;
	disown(s, job);
	table_del(&s->jobs, &job->node);
	free(job);
}

void
job_place(struct sched *s, struct job *job, struct sched_worker *w)
{
	struct sched_action a = { .type = SCHED_PLACE, .job = job->id, .worker = w };

	a.owner = job->owner->handle;
	job->tries++;
	s->stats.placed++;
	job_hold(s, job, w, JOB_PLACED);
	pools_refresh(s, w);
	push(s, &a, NULL);
}

void
job_deny(struct sched *s, struct job *job, Dray__Verdict verdict, const char *text)
{
	struct sched_action a = { .type = SCHED_DENY, .job = job->id, .verdict = verdict };

	a.owner = job->owner->handle;
	push(s, &a, text);
	job_free(s, job);
}

void
job_deny_stranded(struct sched *s, struct job *job)
{
	char text[512];

	pools_explain(s, job, text, sizeof(text));
	job_deny(s, job,
		job->tries > 0 ? DRAY__VERDICT__VERDICT_NO_TRIES_LEFT : DRAY__VERDICT__VERDICT_NO_WORKER,
		text);
}

/* Finds a place for a job that has none: now, in a queue, or not at all. */
static void
seek(struct sched *s, struct job *job)
{
	struct sched_worker *w;

	if (s->draining) {
		job_deny(s, job, DRAY__VERDICT__VERDICT_DRAINING, "the coordinator is shutting down");
		return;
	}
	w = pools_pick(s, job);
	if (w)
		job_place(s, job, w);
	else if (!pools_eligible(s, job))
		job_deny_stranded(s, job);
	else if (!job->may_wait)
		job_deny(s, job, DRAY__VERDICT__VERDICT_FULL, "all matching workers are busy");
	else if (s->queued >= s->conf.max_queue && job->tries == 0)
		job_deny(s, job, DRAY__VERDICT__VERDICT_QUEUE_FULL, "the coordinator's queue is full");
	else if (queue_put(s, job) < 0)
		job_deny(s, job, DRAY__VERDICT__VERDICT_QUEUE_FULL, "the coordinator is out of memory");
	else
		action_queued(s, job);
}

int
sched_job_add(struct sched *s, const struct sched_job_info *info, uint64_t now)
{
	struct job *job = job_find(s, &info->id);
	struct sched_worker *w;
	int r;

	s->now = now;
	if (job && job->owner)
		return -EEXIST;
	r = actions_reserve(s, 1);
	if (r < 0)
		return r;
	if (job) {
		/* Its client came back after this coordinator lost it, and starts afresh. */
		w = job->cur;
		action_cancel(s, job, w);
		job_free(s, job);
		worker_changed(s, w);
	}
	r = job_new(s, &info->id, info->owner, &job);
	if (r < 0)
		return r;
	job->toolchain = info->toolchain;
	job->glibc = info->glibc;
	job->may_wait = info->may_wait;
	if (job->owner->n > s->conf.max_owner_jobs)
		job_deny(s, job, DRAY__VERDICT__VERDICT_QUEUE_FULL,
			"this client has too many jobs at a time");
	else
		seek(s, job);
	return 0;
}

static struct job *
job_of(struct sched *s, uint64_t owner, const struct job_id *id)
{
	struct job *job = job_find(s, id);

	return job && job->owner && job->owner->handle == owner ? job : NULL;
}

int
sched_job_finished(struct sched *s, uint64_t owner, const struct job_id *id, uint64_t now)
{
	struct job *job = job_of(s, owner, id);
	struct sched_worker *w;

	s->now = now;
	if (!job)
		return -ENOENT;
	w = job->cur;
	if (job->state != JOB_QUEUED && job->word != WORD_BAD)
		worker_judge(s, job, true);
	job_free(s, job);
	if (w)
		worker_changed(s, w);
	return 0;
}

static void
cancel(struct sched *s, struct job *job)
{
	struct sched_worker *w = job->cur;

	if (job_holds(job))
		action_cancel(s, job, w);
	if (job->state == JOB_STARTED) {
		/* The slot is in use until the worker has killed it, or for SETTLE_MS. */
		disown(s, job);
		job->quit = true;
		job_wait(s, job, &s->settling, SETTLE_MS);
		return;
	}
	if (job->state == JOB_AWAY && job->word == WORD_OK)
		worker_judge(s, job, true);
	job_free(s, job);
	if (w)
		worker_changed(s, w);
}

int
sched_job_cancel(struct sched *s, uint64_t owner, const struct job_id *id, uint64_t now)
{
	struct job *job = job_of(s, owner, id);

	s->now = now;
	if (!job)
		return -ENOENT;
	cancel(s, job);
	return 0;
}

void
sched_owner_gone(struct sched *s, uint64_t owner, uint64_t now)
{
	struct owner *o = owner_find(s, owner);
	struct job *job, *next;

	s->now = now;
	/* The queued ones first, lest they get the slots of the others. */
	for (job = o ? TAILQ_FIRST(&o->jobs) : NULL; job; job = next) {
		next = TAILQ_NEXT(job, owner_link);
		if (job->state == JOB_QUEUED)
			cancel(s, job);
	}
	while ((o = owner_find(s, owner)))
		cancel(s, TAILQ_FIRST(&o->jobs));
}

/* Takes the try back from its worker, and notes what the client said of it. */
static void
try_failed(struct sched *s, struct job *job, Dray__Verdict verdict)
{
	struct verdict_rule rule = rule_of(verdict);
	struct sched_worker *w = job->cur;

	if (rule.blame)
		worker_judge(s, job, false);
	/* A worker that may get it again is not told: the word could come after the job's next start. */
	if (job_holds(job) && rule.exclude)
		action_cancel(s, job, w);
	job_release(s, job);
	if (verdict == DRAY__VERDICT__VERDICT_FULL) {
		/* It knows better: nothing more for it until it says how many it runs. */
		if (worker_used(w) < w->slots)
			w->foreign += w->slots - worker_used(w);
		job->tries--;
		job->bounces++;
	} else if (rule.exclude && !job_failed_on(job, w) && job->n_failed < MAX_TRIES) {
		job->failed[job->n_failed++] = w;
		worker_ref(w);
	}
	worker_changed(s, w);
}

int
sched_job_retry(struct sched *s, uint64_t owner, const struct job_id *id, const char *worker,
	Dray__Verdict verdict, const char *text, uint64_t now)
{
	struct job *job = job_of(s, owner, id);
	char why[512];

	s->now = now;
	if (!job)
		return -ENOENT;
	if (job->state == JOB_QUEUED || !job->cur || (*worker && !streq(worker, job->cur->name)))
		return -ESTALE;
	try_failed(s, job, verdict);
	if (job->tries < MAX_TRIES && job->bounces < MAX_BOUNCES) {
		seek(s, job);
		return 0;
	}
	snprintf(why, sizeof(why), "tried %u times; the last worker, %s: %.300s", job->tries + job->bounces,
		job->cur->name, text);
	job_deny(s, job, DRAY__VERDICT__VERDICT_NO_TRIES_LEFT, why);
	return 0;
}

int
sched_job_started(struct sched *s, struct sched_worker *w, const struct job_id *id, uint64_t now)
{
	struct job *job = job_find(s, id);

	s->now = now;
	if (!job) {
		/* Its ticket is from before this coordinator was started: it uses a slot all the same.
		 * The bound is for a worker that makes jobs up. */
		if (w->started > 2 * w->slots || actions_reserve(s, 1) < 0 || job_new(s, id, 0, &job) < 0)
			return -ENOENT;
		job_hold(s, job, w, JOB_STARTED);
		worker_changed(s, w);
		return 0;
	}
	if (job->cur != w || job->state == JOB_QUEUED) {
		action_cancel(s, job, w);
		return -ENOENT;
	}
	if (job->state == JOB_PLACED) {
		job_start(s, job);
	} else if (job->state == JOB_AWAY && job->word == WORD_NONE) {
		job_hold(s, job, w, JOB_STARTED); /* late: its placement had expired */
		worker_changed(s, w);
	}
	return 0;
}

int
sched_job_ended(struct sched *s, struct sched_worker *w, const struct job_id *id, bool ok, uint64_t now)
{
	struct job *job = job_find(s, id);

	s->now = now;
	if (!job || job->cur != w || job->state == JOB_QUEUED || job->word != WORD_NONE) {
		/* Given up here before; a heartbeat may have counted it since. */
		if (w->foreign > 0) {
			w->foreign--;
			worker_changed(s, w);
		}
		return -ENOENT;
	}
	job_release(s, job);
	job->word = ok ? WORD_OK : WORD_BAD;
	if (job->owner)
		job_wait(s, job, &s->settling, SETTLE_MS);
	else
		job_free(s, job);
	worker_changed(s, w);
	return 0;
}

/* A client that did not say in time what became of its job. */
static void
settle(struct sched *s, struct job *job)
{
	struct sched_worker *w = job->cur;

	if (!job->owner) {
		job_free(s, job);
	} else {
		job_wait(s, job, NULL, 0);
		worker_judge(s, job, job->word == WORD_OK);
	}
	worker_changed(s, w);
}

static void
notices(struct sched *s)
{
	struct job *job;

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

void
sched_tick(struct sched *s, uint64_t now)
{
	struct sched_worker *w;
	struct job *job;

	s->now = now;
	while ((job = TAILQ_FIRST(&s->placed)) && now >= job->deadline) {
		w = job->cur;
		job_release(s, job);
		worker_changed(s, w);
	}
	while ((job = TAILQ_FIRST(&s->settling)) && now >= job->deadline)
		settle(s, job);
	workers_tick(s);
	notices(s);
}

void
sched_drain(struct sched *s, uint64_t now)
{
	struct job *job;

	s->now = now;
	s->draining = true;
	while ((job = TAILQ_FIRST(&s->notices)))
		job_deny(s, job, DRAY__VERDICT__VERDICT_DRAINING, "the coordinator is shutting down");
}

void
sched_get_stats(const struct sched *s, struct sched_stats *ret)
{
	const struct sched_worker *w;

	*ret = s->stats;
	ret->jobs = s->jobs.n;
	ret->queued = s->queued;
	ret->used = 0;
	TAILQ_FOREACH(w, &s->live, all_link)
		ret->used += MIN2(worker_used(w), w->slots);
}

void
sched_conf_default(struct sched_conf *c)
{
	*c = (struct sched_conf){
		.max_queue = 100000,
		.max_owner_jobs = 4096,
		.ticket_life_ms = TICKET_LIFE_MS,
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
	TAILQ_INIT(&s->placed);
	TAILQ_INIT(&s->settling);
	TAILQ_INIT(&s->notices);
	if (table_init(&s->jobs) < 0 || table_init(&s->owners) < 0 || table_init(&s->workers) < 0 ||
		table_init(&s->tcs) < 0 || actions_reserve(s, 1) < 0)
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
			job_free(s, table_entry(node, struct job, node));
	workers_free(s);
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
