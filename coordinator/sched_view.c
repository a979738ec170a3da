/* What the scheduler has now, for people. Invariant: it changes nothing. */
#include "config.h"

#include "coordinator/sched_priv.h"

struct sched_job *
sched_job_walk(struct sched *s, struct sched_job *prev)
{
	struct table_node *node = table_walk(&s->jobs, prev ? &prev->node : NULL);

	return node ? table_entry(node, struct sched_job, node) : NULL;
}

void
sched_job_get(const struct sched_job *job, struct sched_job_view *ret)
{
	static const enum sched_job_state states[] = {
		[JOB_QUEUED] = SCHED_JOB_QUEUED,
		[JOB_PLACED] = SCHED_JOB_PLACED,
		[JOB_STARTED] = SCHED_JOB_STARTED,
		[JOB_AWAY] = SCHED_JOB_AWAY,
	};

	*ret = (struct sched_job_view){
		.id = &job->id,
		.state = states[job->state],
		.owner = job->owner ? job->owner->handle : 0,
		.account = job->account ? job->account->id : 0,
		.worker = job->state == JOB_QUEUED ? NULL : job->cur,
		.twin = job->twin,
		.tries = job->tries,
		.held_ms = sched_job_holds(job) ? job->held_ms : 0,
	};
}

bool
sched_account_get(struct sched *s, uint64_t account, struct sched_account_view *ret)
{
	struct table_node *node = table_find(
		&s->accounts, table_hash(s->conf.hash_key, &account, sizeof(account)));

	for (; node; node = table_find_next(node)) {
		const struct account *a = table_entry(node, struct account, node);

		if (a->id != account)
			continue;
		*ret = (struct sched_account_view){ a->jobs, a->queued, a->holding, a->used_us };
		return true;
	}
	*ret = (struct sched_account_view){ .jobs = 0 };
	return false;
}
