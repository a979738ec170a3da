/* Fair shares: what each client key has used, and whose turn it is.
 *
 * Each account, one for a client key, has a count of processor seconds. Of the jobs that a free
 * slot could take, the one whose account has the least goes first; of one account the oldest. A job
 * is charged what jobs have lately cost in the mean when it is placed, and what it did cost when
 * its worker says so, or when it gives its slot up: no less than the time that a slot was kept for
 * it, whatever it did there. An account that had nothing to do begins where the others are: what it
 * did not use is not saved up, and what it used while nobody else wanted anything is not held
 * against it.
 *
 * A slot is wasted when its job was never opened, or its client owed something to the worker, and
 * was silent. An account that wastes two in a row gets none for 10 s, then one at a time until a
 * job of it ends as it should; each further waste doubles the wait, up to 5 min.
 *
 * Invariant: an account is in the table while a job names it, and for IDLE_MS after. */
#include "config.h"

#include <errno.h>

#include "coordinator/sched_priv.h"

#define IDLE_MS 600000u
#define COST_GUESS_US 1000000u /* of a job, before any has ended */
#define COST_MAX_US (24ull * 3600 * 1000000)
#define WASTED_MAX 2
#define WASTE_WAIT_MS 10000u
#define WASTE_WAIT_MAX_MS 300000u
#define WAKE_MS 500u

static uint64_t
account_hash(struct sched *s, uint64_t id)
{
	return table_hash(s->conf.hash_key, &id, sizeof(id));
}

static struct account *
account_find(struct sched *s, uint64_t id)
{
	struct table_node *node = table_find(&s->accounts, account_hash(s, id));

	for (; node; node = table_find_next(node))
		if (table_entry(node, struct account, node)->id == id)
			return table_entry(node, struct account, node);
	return NULL;
}

int
account_join(struct sched *s, struct sched_job *job, uint64_t id)
{
	struct account *a = account_find(s, id);

	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a)
			return -ENOMEM;
		a->id = id;
		table_put(&s->accounts, &a->node, account_hash(s, id));
	} else if (a->jobs == 0) {
		TAILQ_REMOVE(&s->idle, a, idle_link);
	}
	if (a->jobs++ == 0) {
		/* The first to come: all that was used before is the past. */
		if (s->busy++ == 0)
			s->floor_us = MAX2(s->floor_us, s->most_us);
		a->used_us = MAX2(a->used_us, s->floor_us);
	}
	job->account = a;
	return 0;
}

void
account_leave(struct sched *s, struct sched_job *job)
{
	struct account *a = job->account;

	job->account = NULL;
	if (!a || --a->jobs > 0)
		return;
	s->busy--;
	a->idle_ms = s->now;
	TAILQ_INSERT_TAIL(&s->idle, a, idle_link);
}

static void
account_free(struct sched *s, struct account *a)
{
	TAILQ_REMOVE(&s->idle, a, idle_link);
	table_del(&s->accounts, &a->node);
	free(a);
}

bool
account_may(const struct sched *s, const struct sched_job *job)
{
	const struct account *a = job->account;

	return !a || a->wasted < WASTED_MAX || (s->now >= a->waits_ms && a->holding == 0);
}

bool
account_others_wait(const struct sched *s, const struct account *a)
{
	/* of its jobs that hold no slot some are not queued either: then the answer may be no */
	return s->queued > (a ? a->jobs - a->holding : 0);
}

void
account_wasted(struct sched *s, struct sched_job *job)
{
	struct account *a = job->account;
	uint64_t wait;

	/* What was placed before the penalty began is no new evidence. */
	if (!a || (a->wasted >= WASTED_MAX && job->held_ms <= a->waits_from))
		return;
	if (++a->wasted < WASTED_MAX)
		return;
	wait = (uint64_t)WASTE_WAIT_MS << MIN2(a->rounds, 5u);
	a->rounds++;
	a->waits_from = s->now;
	a->waits_ms = s->now + MIN2(wait, (uint64_t)WASTE_WAIT_MAX_MS);
	s->waits_ms = MAX2(s->waits_ms, a->waits_ms);
}

/* The next penalty is as long as it would have been. */
void
account_used_well(struct sched_job *job)
{
	if (job->account)
		job->account->wasted = 0;
}

bool
accounts_tick(struct sched *s)
{
	bool wake = s->waits_ms && s->now - s->woken_ms >= WAKE_MS &&
		    s->now < s->waits_ms + IDLE_MS;
	struct account *a;

	if (wake)
		s->woken_ms = s->now;
	while ((a = TAILQ_FIRST(&s->idle)) && s->now - a->idle_ms >= IDLE_MS)
		account_free(s, a);
	return wake;
}

void
accounts_free(struct sched *s)
{
	struct account *a;

	while ((a = TAILQ_FIRST(&s->idle)))
		account_free(s, a);
}

bool
account_before(const struct sched_job *a, const struct sched_job *b)
{
	uint64_t ua = a->account ? a->account->used_us : 0,
		 ub = b->account ? b->account->used_us : 0;

	return ua != ub ? ua < ub : a->seq < b->seq;
}

void
account_charge(struct sched *s, struct sched_job *job)
{
	struct account *a = job->account;

	if (!a)
		return;
	s->floor_us = MAX2(s->floor_us, a->used_us);
	job->charged_us = s->mean_us ? s->mean_us : COST_GUESS_US;
	a->used_us += job->charged_us;
}

void
account_settle(struct sched *s, struct sched_job *job, uint64_t cost_us)
{
	struct account *a = job->account;

	if (!a || job->settled)
		return;
	cost_us = MIN2(MAX2(cost_us, 1000 * (s->now - job->held_ms)), (uint64_t)COST_MAX_US);
	a->used_us = a->used_us - MIN2(a->used_us, job->charged_us) + cost_us;
	s->most_us = MAX2(s->most_us, a->used_us);
	job->charged_us = 0;
	job->settled = true;
}

void
account_pass(struct sched *s, struct sched_job *job, struct account *to)
{
	account_settle(s, job, job->charged_us);
	if (job->account)
		job->account->holding--;
	account_leave(s, job);
	to->jobs++;
	to->holding++;
	job->account = to;
	job->held_ms = s->now;
	job->settled = false;
	account_charge(s, job);
}

void
account_learn(struct sched *s, uint64_t cost_us)
{
	cost_us = MIN2(cost_us, (uint64_t)COST_MAX_US);
	s->mean_us = s->mean_us ? (7 * s->mean_us + cost_us) / 8 : MAX2(cost_us, (uint64_t)1);
}
