/* drayctl events: what happens in the farm, line by line. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/text/show.h"
#include "drayctl/ctl.h"
#include "drayctl/event_line.h"

#define FOREVER_MS (UINT64_C(1) << 40)

/* ---- one event */

static int
print_json(struct ctl *c, const Dray__AdminEvent *e)
{
	return ctl_print_json_line(
		c, json_pack("{s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "serial",
			   ctl_json_number(e->serial), "at_ms", ctl_json_number(e->at_ms), "event",
			   ctl_json_text(e->kind), "good", e->good, "took_ms",
			   ctl_json_number(e->took_ms), "job", ctl_json_text(e->job), "crate",
			   ctl_json_text(e->crate), "kind", ctl_json_text(e->unit), "worker",
			   ctl_json_text(e->worker), "who", ctl_json_text(e->who), "text",
			   ctl_json_text(e->text)));
}

static int
print_text(struct ctl *c, const Dray__AdminEvent *e)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (event_line(e, &b) < 0) {
		ctl_error(c, "out of memory");
		return CTL_FAILED;
	}
	printf("%s\n", (const char *)b.p);
	return CTL_OK;
}

/* ---- all of them */

static int
print_all(struct ctl *c, const Dray__AdminEvents *m)
{
	int status = CTL_OK;

	if (m->lost && !(c->given & CTL_JSON))
		printf("(%" PRIu64 " events before these are not kept any more)\n", m->lost);
	for (size_t i = 0; status == CTL_OK && i < m->n_event; i++)
		status = c->given & CTL_JSON ? print_json(c, m->event[i])
					     : print_text(c, m->event[i]);
	return status == CTL_OK ? ctl_flush(c) : status;
}

/* SIGINT and SIGTERM end it in good order. */
static int
open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The next ones; *ret_done: it is to end, with CTL_OK. */
static int
ask(struct ctl *c, const Dray__AdminFollow *m, int signals, struct wire_msg *ret, bool *ret_done)
{
	_cleanup_(freep) char *why = NULL;
	uint32_t number = 0;
	int r = link_send(c->link, WIRE_ADMIN_FOLLOW, &m->base, &number);

	if (r == 0)
		r = link_wait(c->link, WIRE_ADMIN_EVENTS, number,
			m->wait ? FOREVER_MS : LINK_ANSWER_MS, signals, ret, &why);
	*ret_done = r == -EINTR;
	if (r == 0 || r == -EINTR)
		return CTL_OK;
	ctl_error(c, "%s", why ? why : r == -ETIMEDOUT ? "no answer" : strerror(-r));
	return r == -ENOTCONN || r == -ETIMEDOUT ? CTL_NO_COORDINATOR : CTL_FAILED;
}

/* Without --follow: what there is now, and no more than that. */
static int
run_with(struct ctl *c, int signals)
{
	Dray__AdminFollow m = DRAY__ADMIN_FOLLOW__INIT;
	bool done = false;
	int status = ctl_link(c);

	m.wait = c->given & CTL_FOLLOW;
	while (status == CTL_OK && !done) {
		_cleanup_(wire_msg_done) struct wire_msg msg = WIRE_MSG_INIT;
		const Dray__AdminEvents *events;

		status = ask(c, &m, signals, &msg, &done);
		if (status != CTL_OK || done)
			break;
		events = (const Dray__AdminEvents *)msg.body;
		status = print_all(c, events);
		done = !m.wait && events->n_event == 0;
		m.after = events->next;
	}
	return status;
}

static int
run(struct ctl *c)
{
	_cleanup_(closep) int signals = open_signals();

	if (signals < 0) {
		ctl_error(c, "cannot wait for signals: %s", strerror(-signals));
		return CTL_FAILED;
	}
	return run_with(c, signals);
}

const struct ctl_command ctl_events = {
	.name = "events",
	.usage = "[--follow]",
	.summary = "Show what has happened last: placements, ends, faults, workers, admins' acts",
	.help = "      --follow             and what happens from now on, until Ctrl-C\n"
		"      --json               a JSON object a line\n",
	.options = CTL_JSON | CTL_FOLLOW,
	.run = run,
};
