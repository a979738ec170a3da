/* A job's life: made, placed, released, freed; the actions that report it; and its owner.
 *
 * Invariant: a job is in exactly one place: a queue (QUEUED), its worker's list (PLACED, STARTED),
 * or neither (AWAY); a worker's counts are the lengths of its lists. An owner exists while it has
 * jobs. */
#include "config.h"

#include <errno.h>

#include "coordinator/sched_priv.h"

int
sched_job_id_parse(const char *hex, struct job_id *ret)
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
sched_job_id_hex(const struct job_id *id, char out[JOB_ID_HEX_SIZE])
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

/* One step adds at most two actions for each job (cancelled on one worker, placed on another), and
 * a few more. */
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
action_cancel(struct sched *s, const struct sched_job *job, struct sched_worker *w)
{
	action_cancel_id(s, &job->id, w);
}

void
action_queued(struct sched *s, const struct sched_job *job)
{
	struct sched_action a = {
		.type = SCHED_QUEUED, .job = job->id, .owner = job->owner->handle
	};
	char text[256] = "";

	a.ahead = queue_ahead(job);
	if (!space_has_room(job->space))
		space_explain_slots(job->space, text, sizeof(text));
	push(s, &a, *text ? text : NULL);
}

static uint64_t
owner_hash(struct sched *s, uint64_t handle)
{
	return table_hash(s->conf.hash_key, &handle, sizeof(handle));
}

struct owner *
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

void
disown(struct sched *s, struct sched_job *job)
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

struct sched_job *
sched_job_find(struct sched *s, const struct job_id *id)
{
	uint64_t hash = table_hash(s->conf.hash_key, id->b, sizeof(id->b));
	struct table_node *node = table_find(&s->jobs, hash);

	for (; node; node = table_find_next(node)) {
		struct sched_job *job = table_entry(node, struct sched_job, node);

		if (memcmp(&job->id, id, sizeof(*id)) == 0)
			return job;
	}
	return NULL;
}

int
sched_job_new(struct sched *s, const struct job_id *id, uint64_t owner, struct sched_job **ret)
{
	struct sched_job *job = calloc(1, sizeof(*job));

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

void
sched_job_wait(struct sched *s, struct sched_job *job, struct job_list *list, uint64_t ms)
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
set_worker(struct sched_job *job, struct sched_worker *w)
{
	if (job->cur)
		sched_worker_unref(job->cur);
	job->cur = w;
	if (w)
		sched_worker_ref(w);
}

void
sched_job_hold(struct sched *s, struct sched_job *job, struct sched_worker *w, enum job_state state)
{
	set_worker(job, w);
	sched_job_wait(s, job, state == JOB_PLACED ? &s->placed : NULL, s->conf.open_ms);
	job->state = (uint8_t)state;
	job->word = WORD_NONE;
	job->judged = false;
	job->probe = false;
	job->settled = false;
	job->opened = state == JOB_STARTED;
	job->kept = job->excused = job->cut = false;
	account_opened_late(s, job);
	job->held_ms = s->now;
	job->wasted_ms = job->former = 0;
	TAILQ_INSERT_TAIL(&w->jobs, job, worker_link);
	if (job->twin) {
		/* it costs nothing, so there is nothing to settle */
		job->settled = true;
		w->twins++;
		return;
	}
	account_hold(s, job);
	if (state == JOB_PLACED) {
		w->placed++;
		if (w->trust == SCHED_PROBED) {
			job->probe = true;
			w->probe = job;
			w->probed = job->id;
		}
	} else {
		w->started++;
	}
}

void
sched_job_start(struct sched *s, struct sched_job *job)
{
	sched_job_wait(s, job, NULL, 0);
	job->state = JOB_STARTED;
	job->opened = true;
	if (job->twin)
		return;
	job->cur->placed--;
	job->cur->started++;
}

void
sched_job_release(struct sched *s, struct sched_job *job)
{
	struct sched_worker *w = job->cur;

	sched_job_wait(s, job, NULL, 0);
	if (!sched_job_holds(job))
		return;
	/* No matter by whose fault. What its worker says later comes too late: the job may be
	 * another's by then. */
	account_settle(s, job, job->opened ? job->charged_us : 0);
	if (!job->twin)
		account_give(s, job);
	if (job->twin)
		w->twins--;
	else if (job->state == JOB_PLACED)
		w->placed--;
	else
		w->started--;
	TAILQ_REMOVE(&w->jobs, job, worker_link);
	if (w->probe == job)
		w->probe = NULL;
	job->state = JOB_AWAY;
}

void
sched_job_free(struct sched *s, struct sched_job *job)
{
	if (job->state == JOB_QUEUED)
		queue_take(s, job);
	sched_job_release(s, job);
	set_worker(job, NULL);
	for (unsigned i = 0; i < job->n_failed; i++)
		sched_worker_unref(job->failed[i]);
	if (job->tries > 0)
		s->stats.ended++;
	disown(s, job);
	kin_leave(s, job);
	account_leave(s, job);
	space_leave(s, job);
	table_del(&s->jobs, &job->node);
	free(job);
}

void
sched_job_place(struct sched *s, struct sched_job *job, struct sched_worker *w)
{
	struct sched_action a = { .type = SCHED_PLACE, .job = job->id, .worker = w };

	a.owner = job->owner->handle;
	job->tries++;
	job->twin = false;
	s->stats.placed++;
	account_charge(s, job);
	sched_job_hold(s, job, w, JOB_PLACED);
	pools_refresh(s, w);
	push(s, &a, NULL);
}

void
sched_job_place_twin(struct sched *s, struct sched_job *job, struct sched_worker *w)
{
	struct sched_action a = { .type = SCHED_PLACE, .job = job->id, .worker = w, .twin = true };

	a.owner = job->owner->handle;
	job->tries++;
	job->twin = true;
	s->stats.placed++;
	s->stats.twins++;
	sched_job_hold(s, job, w, JOB_PLACED);
	push(s, &a, NULL);
}

void
sched_job_deny(struct sched *s, struct sched_job *job, Dray__Verdict verdict, const char *text)
{
	struct sched_action a = {
		.type = SCHED_DENY, .job = job->id, .verdict = verdict, .toolchain = job->toolchain
	};

	a.owner = job->owner->handle;
	push(s, &a, text);
	sched_job_free(s, job);
}

void
sched_job_deny_stranded(struct sched *s, struct sched_job *job)
{
	char text[512];

	pools_explain(s, job, text, sizeof(text));
	sched_job_deny(s, job,
		!sched_job_allowed(s, job)	      ? DRAY__VERDICT__VERDICT_NOT_PINNED
		: job->tries > 0 || job->n_failed > 0 ? DRAY__VERDICT__VERDICT_NO_TRIES_LEFT
						      : DRAY__VERDICT__VERDICT_NO_WORKER,
		text);
}
