/* A toolchain that a client gives: the conversation is a job's (proto/job.proto), but what is laid
 * out is a directory of this worker's, and what is run is a proof (worker/push/assembly.h).
 *
 * Invariant: what it becomes is offered by the main loop alone, after this thread has ended. */
#include "config.h"

#include <errno.h>

#include "common/log/log.h"
#include "worker/job/job_priv.h"
#include "worker/push/manifest.h"

static int
check(struct job *j)
{
	const Dray__Unit *u = j->unit;
	uint64_t bytes;
	const char *fault;

	if (u->toolchain.len != j->request->toolchain.len ||
		memcmp(u->toolchain.data, j->request->toolchain.data, u->toolchain.len) != 0)
		return job_fail(j, -EINVAL, DRAY__VERDICT__VERDICT_BAD_UNIT,
			"the toolchain is not the one that was promised");
	fault = manifest_fault(u, j->push_max, &bytes);
	if (fault)
		return job_fail(j, -EINVAL, DRAY__VERDICT__VERDICT_BAD_UNIT,
			"the toolchain cannot be taken: it has %s", fault);
	j->blobs = calloc(u->n_blobs + 1, sizeof(*j->blobs));
	if (!j->blobs)
		return job_fail(j, -ENOMEM, DRAY__VERDICT__VERDICT_WORKER_FAULT, "out of memory");
	for (size_t i = 0; i < u->n_blobs; i++)
		memcpy(j->blobs[i].b, u->blobs[i]->digest.data, DIGEST_SIZE);
	return 0;
}

static int
finish(struct job *j)
{
	_cleanup_(freep) char *why = NULL;
	const struct trial_conf c = { .conf = j->conf,
		.jobs_dir = j->shared->jobs_dir,
		.tools_dir = j->shared->tools_dir,
		.filters = j->shared->filters,
		.users = j->shared->users,
		.cgroup = j->shared->cgroup,
		.stop = job_is_stopped,
		.arg = j };
	int r = assembly_finish(j->assembly, &c, &j->pushed, &why);

	if (r == 0)
		return 0;
	if (r == -ECANCELED)
		return job_stopped(j);
	log_warn("job=%s key=%s: a toolchain that a client gave is not taken: %s", j->id,
		*j->peer.curve ? j->peer.curve : "-", why ? why : strerror(-r));
	return job_fail(j, r,
		r == -EBADMSG ? DRAY__VERDICT__VERDICT_BAD_UNIT
			      : DRAY__VERDICT__VERDICT_WORKER_FAULT,
		"%s", why ? why : strerror(-r));
}

static int
say_done(struct job *j)
{
	Dray__JobResult m = DRAY__JOB_RESULT__INIT;

	m.text = j->text;
	return job_send(j, WIRE_JOB_RESULT, &m.base, NULL);
}

int
push_take(struct job *j)
{
	Dray__JobStarted started = DRAY__JOB_STARTED__INIT;
	int r = check(j);

	if (r < 0)
		return r;
	r = assembly_begin(j->conf->worker.state_dir, j->id, j->unit, &j->assembly);
	if (r < 0)
		return job_fail(j, r, DRAY__VERDICT__VERDICT_WORKER_FAULT,
			"there is no place for the toolchain: %s", strerror(-r));
	r = gather_inputs(j);
	if (r < 0)
		return r;
	j->begun = true;
	r = job_send(j, WIRE_JOB_STARTED, &started.base, NULL);
	if (r == 0)
		r = finish(j);
	return r < 0 ? r : say_done(j);
}
