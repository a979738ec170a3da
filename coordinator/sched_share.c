/* Fair shares: what each client key has used and wasted, whose turn it is, and how much it is
 * trusted with.
 *
 * Each account, one for a client key, has a count of processor seconds. Of the jobs that a free
 * slot could take, the one whose account has the least goes first; of one account the oldest. A job
 * is charged what jobs have lately cost in the mean when it is placed, all or its account's, the
 * time that a slot has been kept for it where that is more, and what it did cost when its worker
 * says so, or when it gives its slot up: no less than that time, whatever it did there. An account
 * that had nothing to do begins where the others are: what it did not use is not saved up, and what
 * it used while nobody else wanted anything is not held against it.
 *
 * Slow start. A slot is bare until its worker says that the job's compiler runs: until then it is
 * kept for a client's word. An account has a width: so many bare slots it may have at a time, one
 * at first, and one more for each job that ended as it should (while nobody else waits, half of the
 * farm's). What is fed at once is bare for milliseconds, so that a client notices nothing of it;
 * what nobody opens or feeds takes no more than one slot from others, and not for long: an account
 * of width one is on trial, and others that wait get its slot when it is not opened in
 * OPEN_TRIAL_MS, or as much as its last late opening took.
 *
 * Waste is time for which a slot was kept, and its client did nothing: did not open it, did not
 * feed it, did not take what it made. Only the client's own doing counts, by what workers say of
 * it. What overlaps counts once: eight slots of a laptop that was closed for a second are one
 * second. It makes the width one, and is taken from a credit, which computing earns, a second by a
 * second. Whose debt is above WASTE_MAX_MS gets no slot for 10 s, then one at a time until the debt
 * is paid; each further penalty is twice as long, up to 5 min.
 *
 * Invariant: an account is in the table while a job names it, and for IDLE_MS after. */
#include "config.h"

#include <errno.h>

#include "coordinator/sched_priv.h"

#define IDLE_MS 600000u
#define COST_GUESS_US 1000000u /* of a job, before any has ended */
#define COST_MAX_US (24ull * 3600 * 1000000)
#define WASTE_MAX_MS 2000
#define CREDIT_MAX_MS 10000
#define WASTE_NOTED_MS 200 /* less is not held against a width */
#define WIDTH_MAX 65536u
#define UNSAID_MS 1000 /* of a slot that was opened, while its worker's word may never come */
#define TRIAL_MS 1000
#define OPEN_TRIAL_MS 300u
#define WASTE_WAIT_MS 10000u
#define WASTE_WAIT_MAX_MS 300000u
#define WAKE_MS 500u

static uint64_t
account_hash(struct sched *s, uint64_t id)
{
	return table_hash(s->conf.hash_key, &id, sizeof(id));
}

struct account *
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
		a->width = 1;
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
	/* its key's namespace may be another than it was */
	space_put(s, a->space);
	a->space = space_ref(job->space);
	job->account = a;
	return 0;
}

void
account_leave(struct sched *s, struct sched_job *job)
{
	struct account *a = job->account;

	if (a)
		account_shown(s, job);
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
	space_put(s, a->space);
	free(a);
}

/* No penalty is in its way. */
static bool
is_free(const struct sched *s, const struct account *a)
{
	return s->now >= a->waits_ms && !(a->indebted && a->holding > 0);
}

bool
account_others_wait(const struct sched *s, const struct account *a)
{
	const struct account *b;

	/* one that has to wait in any case wants nobody's slot */
	TAILQ_FOREACH(b, &s->waiting, waiting_link)
	if (b != a && is_free(s, b) && b->bare < b->width && space_has_room(b->space))
		return true;
	return false;
}

bool
account_may(const struct sched *s, const struct sched_job *job)
{
	struct account *a = job->account;
	bool may;

	if (!a)
		return true;
	may = space_may_hold(job->space) && is_free(s, a) &&
	      (a->bare < a->width || (a->bare < s->stats.slots / 2 && !account_others_wait(s, a)));
	a->held_back = a->held_back || !may;
	return may;
}

bool
account_on_trial(const struct account *a)
{
	return a && a->credit_ms < TRIAL_MS;
}

bool
account_may_join(const struct sched *s, const struct sched_job *job)
{
	return !job->account || is_free(s, job->account);
}

uint64_t
account_open_ms(const struct sched *s, const struct account *a)
{
	if (!account_on_trial(a))
		return s->conf.open_wanted_ms;
	return MIN2(MAX2(2 * a->late_ms, (uint64_t)OPEN_TRIAL_MS), s->conf.open_wanted_ms);
}

/* More may be had than before. */
static void
let_on(struct sched *s, struct account *a)
{
	s->let_on = s->let_on || (a->held_back && a->queued > 0);
	a->held_back = false;
}

void
account_queued(struct sched *s, const struct sched_job *job, bool in)
{
	struct account *a = job->account;

	space_queued(job->space, in);
	if (!a)
		return;
	if (in && a->queued++ == 0)
		TAILQ_INSERT_TAIL(&s->waiting, a, waiting_link);
	else if (!in && --a->queued == 0)
		TAILQ_REMOVE(&s->waiting, a, waiting_link);
}

void
account_hold(struct sched *s, struct sched_job *job)
{
	struct account *a = job->account;

	space_holds(s, job->space, 1);
	if (!a)
		return;
	a->holding++;
	if (!job->bare)
		a->bare++;
	job->bare = true;
	job->late = false;
}

void
account_shown(struct sched *s, struct sched_job *job)
{
	if (!job->account || !job->bare)
		return;
	job->bare = false;
	job->account->bare--;
	let_on(s, job->account);
}

static void
punish(struct sched *s, struct account *a)
{
	uint64_t wait = (uint64_t)WASTE_WAIT_MS << MIN2(a->rounds, 5u);

	a->rounds++;
	a->indebted = true;
	a->credit_ms = -WASTE_MAX_MS / 2;
	a->waits_from = s->now;
	a->waits_ms = s->now + MIN2(wait, (uint64_t)WASTE_WAIT_MAX_MS);
}

static void
take_credit(struct sched *s, struct account *a, uint64_t ms)
{
	if (ms >= WASTE_NOTED_MS)
		a->width = 1;
	a->credit_ms -= (int64_t)MIN2(ms, 2 * (uint64_t)CREDIT_MAX_MS);
	if (a->credit_ms < -WASTE_MAX_MS)
		punish(s, a);
}

/* What was placed before a penalty began is no new evidence. */
static bool
is_evidence(const struct sched_job *job)
{
	return job->account && job->held_ms >= job->account->waits_from;
}

void
account_wasted(struct sched *s, struct sched_job *job, uint64_t ms)
{
	/* what was wasted of a slot is its first owner's doing, not a twin's that has it now */
	struct account *a = job->former ? account_find(s, job->former) : job->account;
	uint64_t from = s->now - MIN2(ms, s->now);

	if (!a || (!job->former && !is_evidence(job)))
		return;
	from = MAX2(from, a->wasted_until);
	a->wasted_until = s->now;
	job->wasted_ms += s->now - from;
	take_credit(s, a, s->now - from);
}

void
account_late(struct sched *s, struct sched_job *job)
{
	account_wasted(s, job, MIN2(s->now - job->held_ms, s->conf.open_wanted_ms));
	job->late = job->account;
}

void
account_never_opened(struct sched *s, struct sched_job *job)
{
	uint64_t most = s->conf.open_wanted_ms;

	if (!job->late)
		return;
	if (is_evidence(job) && job->wasted_ms < most)
		take_credit(s, job->account, most - job->wasted_ms);
	job->late = false;
	account_shown(s, job);
}

void
account_opened_late(struct sched *s, struct sched_job *job)
{
	struct account *a = job->account;

	if (!job->late)
		return;
	job->late = false;
	a->late_ms = MAX2(a->late_ms, s->now - job->held_ms);
	a->credit_ms += (int64_t)job->wasted_ms;
	account_shown(s, job);
}

void
account_give(struct sched *s, struct sched_job *job)
{
	struct account *a = job->account;
	uint64_t ms = s->now - job->held_ms;

	space_holds(s, job->space, -1);
	if (!a)
		return;
	if (job->bare && !job->late && !job->excused)
		account_wasted(s, job,
			MIN2(ms, job->state == JOB_PLACED ? s->conf.open_wanted_ms
							  : (uint64_t)UNSAID_MS));
	a->holding--;
	let_on(s, a);
	if (!job->late)
		account_shown(s, job);
}

/* The next penalty is as long as it would have been, until much was done well. */
void
account_used_well(struct sched *s, struct sched_job *job, uint64_t cpu_us)
{
	struct account *a = job->account;

	if (!a)
		return;
	a->credit_ms = MIN2(
		a->credit_ms + (int64_t)MIN2(cpu_us / 1000, CREDIT_MAX_MS), (int64_t)CREDIT_MAX_MS);
	a->width = MIN2(a->width + 1, WIDTH_MAX);
	if (a->credit_ms >= 0)
		a->indebted = false;
	if (a->credit_ms == CREDIT_MAX_MS)
		a->rounds = 0;
	let_on(s, a);
}

static bool
any_held_back(const struct sched *s)
{
	const struct account *a;

	TAILQ_FOREACH(a, &s->waiting, waiting_link)
	if (a->held_back)
		return true;
	return false;
}

bool
accounts_tick(struct sched *s)
{
	bool wake = s->now - s->woken_ms >= WAKE_MS && any_held_back(s);
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
	job->charged_us = MAX2(s->mean_us ? s->mean_us : COST_GUESS_US, a->mean_us);
	a->used_us += job->charged_us;
}

void
account_keep(struct sched *s, struct sched_job *job)
{
	struct account *a = job->account;
	uint64_t kept = 1000 * (s->now - job->held_ms);

	if (!a || job->settled || kept <= job->charged_us)
		return;
	a->used_us += kept - job->charged_us;
	job->charged_us = kept;
	s->most_us = MAX2(s->most_us, a->used_us);
}

void
account_settle(struct sched *s, struct sched_job *job, uint64_t cost_us)
{
	struct account *a = job->account;

	if (!a || job->settled)
		return;
	/* of a slot that was passed on, what it has cost since */
	if (job->former)
		cost_us = 0;
	cost_us = MIN2(MAX2(cost_us, 1000 * (s->now - job->held_ms)), (uint64_t)COST_MAX_US);
	a->used_us = a->used_us - MIN2(a->used_us, job->charged_us) + cost_us;
	a->mean_us = (3 * a->mean_us + cost_us) / 4;
	s->most_us = MAX2(s->most_us, a->used_us);
	job->charged_us = 0;
	job->settled = true;
}

void
account_pass(struct sched *s, struct sched_job *job, struct account *to)
{
	account_settle(s, job, job->charged_us);
	if (!job->former && job->account)
		job->former = job->account->id;
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
