/* drayctl top: the farm as it is now, again and again. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "drayctl/ctl.h"
#include "drayctl/top/screen.h"
#include "drayctl/top/top.h"

#define INTERVAL_MS 1000
#define INTERVAL_MIN_MS 100
#define KEY_MS 200

/* The way is gone, or was never there: it is tried again at the next turn. */
static void
lose(struct ctl *c, struct top *t, int r, const char *why)
{
	top_say(t, "%s",
		why		  ? why
		: r == -ETIMEDOUT ? "the coordinator does not answer"
				  : strerror(-r));
	link_freep(&c->link);
}

/* 0, and the answer; else the way is lost. */
static int
ask(struct ctl *c, struct top *t, enum wire_type type, const ProtobufCMessage *body,
	enum wire_type answer, struct wire_msg *ret)
{
	_cleanup_(freep) char *why = NULL;
	uint32_t number = 0;
	int r = c->link ? 0 : link_open(c->conf, &c->where, &c->link, &why);

	if (r == 0)
		r = link_send(c->link, type, body, &number);
	if (r == 0)
		r = link_wait(c->link, answer, number, LINK_ANSWER_MS, -1, ret, &why);
	if (r < 0)
		lose(c, t, r, why);
	return r;
}

static void
look_again(struct ctl *c, struct top *t)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT, events = WIRE_MSG_INIT;
	Dray__AdminLook look = DRAY__ADMIN_LOOK__INIT;
	Dray__AdminFollow follow = DRAY__ADMIN_FOLLOW__INIT;

	look.workers = look.jobs = true;
	if (ask(c, t, WIRE_ADMIN_LOOK, &look.base, WIRE_ADMIN_VIEW, &m) < 0)
		return;
	top_take_view(t, &m);
	follow.after = top_last_event(t);
	if (top_follows(t) &&
		ask(c, t, WIRE_ADMIN_FOLLOW, &follow.base, WIRE_ADMIN_EVENTS, &events) == 0)
		top_take_events(t, (const Dray__AdminEvents *)events.body);
}

static void
act(struct ctl *c, struct top *t, Dray__AdminWhat what)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	_cleanup_(freep) char *worker = strdup(top_chosen(t));
	Dray__AdminAct a = DRAY__ADMIN_ACT__INIT;

	if (!worker)
		return;
	a.what = what;
	a.worker = worker;
	if (ask(c, t, WIRE_ADMIN_ACT, &a.base, WIRE_ADMIN_DONE, &m) < 0)
		return;
	look_again(c, t);
	top_say(t, "%s", ((const Dray__AdminDone *)m.body)->text);
}

static int
show(struct top *t)
{
	struct top_frame frame = { .n = 0 };
	unsigned width, height;
	int r;

	screen_size(&width, &height);
	r = top_draw(t, width, height, &frame);
	if (r == 0)
		screen_show(&frame);
	top_frame_done(&frame);
	return r;
}

/* False: it ends. */
static bool
take_key(struct ctl *c, struct top *t, int key)
{
	switch (key < 0 ? TOP_QUIT : top_key(t, key)) {
	case TOP_QUIT:
		return false;
	case TOP_DRAIN:
		act(c, t, DRAY__ADMIN_WHAT__ADMIN_DRAIN);
		break;
	case TOP_RESUME:
		act(c, t, DRAY__ADMIN_WHAT__ADMIN_RESUME);
		break;
	case TOP_LOOK:
		look_again(c, t);
		break;
	case TOP_NOTHING:
		break;
	}
	return true;
}

static int
loop(struct ctl *c, struct top *t, uint64_t interval_ms)
{
	uint64_t next = 0;
	int r = 0, key;

	for (;;) {
		uint64_t now = clock_mono_ms();

		if (now >= next) {
			look_again(c, t);
			next = clock_mono_ms() + interval_ms;
		}
		r = show(t);
		if (r < 0)
			return r;
		now = clock_mono_ms();
		key = screen_key((unsigned)MIN2(next > now ? next - now : 0, (uint64_t)KEY_MS));
		if (key != 0 && !take_key(c, t, key))
			return 0;
	}
}

static int
run(struct ctl *c)
{
	_cleanup_(top_freep) struct top *t = NULL;
	const char *no_color = getenv("NO_COLOR");
	uint64_t interval_ms = INTERVAL_MS;
	int status, r;

	if (c->interval && !ctl_seconds(c, "--interval", c->interval, &interval_ms))
		return CTL_USAGE;
	/* what is wrong at the begin is said as other commands say it */
	status = ctl_link(c);
	if (status != CTL_OK)
		return status;
	r = top_new(&t);
	if (r == 0)
		r = screen_open(!no_color || !*no_color);
	if (r == 0)
		r = loop(c, t, MAX2(interval_ms, (uint64_t)INTERVAL_MIN_MS));
	screen_close();
	if (r == 0)
		return CTL_OK;
	ctl_error(c, "%s",
		r == -ENOTTY ? "this is no terminal that it knows (TERM); drayctl status and "
			       "workers print the same"
			     : strerror(-r));
	return CTL_FAILED;
}

const struct ctl_command ctl_top = {
	.name = "top",
	.usage = "[--interval SECONDS]",
	.summary = "Show workers, slots, queue, hits and the slowest jobs on the terminal",
	.help = "      --interval SECONDS   between looks, 1\n",
	.options = CTL_INTERVAL,
	.run = run,
};
