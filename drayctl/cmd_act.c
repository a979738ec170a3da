/* drayctl drain, resume, remove: what is done with a worker. */
#include "config.h"

#include <poll.h>
#include <stdio.h>

#include "common/clock.h"
#include "drayctl/ctl.h"

#define LOOK_MS 250
#define WAIT_S "86400"

static int
act_on(struct ctl *c, Dray__AdminWhat what, unsigned *ret_running)
{
	Dray__AdminAct m = DRAY__ADMIN_ACT__INIT;

	m.what = what;
	m.worker = c->args[0];
	m.now = c->given & CTL_NOW;
	return ctl_act(c, &m, ret_running);
}

/* How many jobs run there now; a worker that is not here runs none that anybody knows of. */
static int
count_running(struct ctl *c, unsigned *ret)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	Dray__AdminLook look = DRAY__ADMIN_LOOK__INIT;
	const Dray__AdminView *v;
	int status;

	look.workers = true;
	status = ctl_look(c, &look, &m);
	if (status != CTL_OK)
		return status;
	v = (const Dray__AdminView *)m.body;
	*ret = 0;
	for (size_t i = 0; i < v->n_worker; i++)
		if (streq(v->worker[i]->name, c->args[0]))
			*ret = v->worker[i]->used + v->worker[i]->twins;
	return CTL_OK;
}

static int
wait_idle(struct ctl *c, unsigned running)
{
	uint64_t ms, end;
	int status;

	if (!ctl_seconds(c, "--timeout", c->timeout ? c->timeout : WAIT_S, &ms))
		return CTL_USAGE;
	end = clock_mono_ms() + ms;
	while (running > 0) {
		if (clock_mono_ms() >= end) {
			ctl_error(c, "%u jobs still run on %s", running, c->args[0]);
			return CTL_FAILED;
		}
		poll(NULL, 0, LOOK_MS);
		status = count_running(c, &running);
		if (status != CTL_OK)
			return status;
	}
	if (!(c->given & CTL_JSON))
		printf("nothing runs on %s any more\n", c->args[0]);
	return ctl_flush(c);
}

static int
drain(struct ctl *c)
{
	unsigned running = 0;
	int status = act_on(c, DRAY__ADMIN_WHAT__ADMIN_DRAIN, &running);

	return status == CTL_OK && c->given & CTL_WAIT ? wait_idle(c, running) : status;
}

static int
resume(struct ctl *c)
{
	return act_on(c, DRAY__ADMIN_WHAT__ADMIN_RESUME, NULL);
}

static int
remove_worker(struct ctl *c)
{
	return act_on(c, DRAY__ADMIN_WHAT__ADMIN_REMOVE, NULL);
}

const struct ctl_command ctl_drain = {
	.name = "drain",
	.usage = "[--wait] [--timeout SECONDS] WORKER",
	.summary = "Give a worker no new jobs; those that run there end",
	.help = "      --wait               until nothing runs there\n"
		"      --timeout SECONDS    at most so long\n"
		"      --json               as one JSON object\n",
	.options = CTL_JSON | CTL_WAIT | CTL_TIMEOUT,
	.least = 1,
	.most = 1,
	.run = drain,
};

const struct ctl_command ctl_resume = {
	.name = "resume",
	.usage = "WORKER",
	.summary = "Take a worker that was drained, or removed, again",
	.help = "      --json               as one JSON object\n",
	.options = CTL_JSON,
	.least = 1,
	.most = 1,
	.run = resume,
};

const struct ctl_command ctl_remove = {
	.name = "remove",
	.usage = "[--now] WORKER",
	.summary = "Let a worker in no more, until it is resumed",
	.help = "      --now                also while jobs run there: they go on without the "
		"farm\n"
		"      --json               as one JSON object\n",
	.options = CTL_JSON | CTL_NOW,
	.least = 1,
	.most = 1,
	.run = remove_worker,
};
