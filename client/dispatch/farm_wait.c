/* Waiting for the coordinator's answer: a step over each message, a check of the time, and the poll
 * loop around them. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "client/dispatch/farm_priv.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/text/clean.h"

#define TICK_MS 100

enum step { STEP_ON, STEP_PLACED, STEP_HOME };

struct wait {
	struct farm *farm;
	struct placement *placement;
	char **ret_why;
	bool queued;	       /* news of the queue came since the last look */
	uint64_t connected_ms; /* when the wait for Welcome began on this connection */
};

void
placement_done(struct placement *p)
{
	free(p->worker);
	free(p->endpoint);
	free(p->curve);
	if (p->ticket)
		buf_done(p->ticket);
	if (p->signature)
		buf_done(p->signature);
	free(p->ticket);
	free(p->signature);
	memset(p, 0, sizeof(*p));
}

static enum step
home(struct wait *w, const char *what, const char *detail)
{
	if (asprintf(w->ret_why, "%s%s%s", what, detail && *detail ? ": " : "",
		    detail && *detail ? detail : "") < 0)
		*w->ret_why = NULL;
	return STEP_HOME;
}

static struct buf *
copy_bytes(const ProtobufCBinaryData *d)
{
	struct buf *b = calloc(1, sizeof(*b));

	if (b && buf_add(b, d->data, d->len) < 0) {
		free(b);
		return NULL;
	}
	return b;
}

static enum step
take_placed(struct wait *w, const Dray__JobPlaced *m)
{
	struct placement *p = w->placement;

	placement_done(p);
	p->worker = strdup(m->worker);
	p->endpoint = strdup(m->endpoint);
	p->curve = strdup(m->curve_public);
	p->ticket = copy_bytes(&m->ticket);
	p->signature = copy_bytes(&m->signature);
	if (!p->worker || !p->endpoint || !p->curve || !p->ticket || !p->signature) {
		placement_done(p);
		return home(w, "out of memory", NULL);
	}
	w->farm->waiting = false;
	return STEP_PLACED;
}

static bool
is_ours(const struct wait *w, const char *job)
{
	return streq(job, w->farm->id);
}

/* A denial by a coordinator that was restarted, or that lost this client's connection, is not
 * final. */
static enum step
take_denied(struct wait *w, const Dray__JobDenied *m)
{
	struct farm *f = w->farm;

	if (m->verdict == DRAY__VERDICT__VERDICT_UNKNOWN_JOB && f->retried) {
		f->retried = false;
		if (farm_ask_anew(f, f->heard_ms) == 0)
			return STEP_ON;
	}
	/* The workers reconnect to it as well, perhaps later than this client. */
	if (m->verdict == DRAY__VERDICT__VERDICT_NO_WORKER && f->anew_ms &&
		f->heard_ms - f->anew_ms < FARM_RECONNECT_MS) {
		f->ask_ms = f->heard_ms + FARM_REPEAT_MS;
		w->queued = true;
		return STEP_ON;
	}
	f->waiting = false;
	f->denied = m->verdict;
	f->having = m->having;
	f->give = m->give;
	return home(w, "farm", m->text);
}

static void
take_queued(struct wait *w, const Dray__JobQueued *m)
{
	w->queued = !m->made;
	if (*m->why)
		clean_text(m->why, w->farm->queue_why, sizeof(w->farm->queue_why));
}

static void
note_features(struct farm *f, const Dray__Welcome *m)
{
	for (size_t i = 0; i < m->n_features; i++) {
		f->knows_pushes |= streq(m->features[i], WIRE_PUSHES);
		f->knows_progress |= streq(m->features[i], WIRE_PROGRESS);
	}
}

static enum step
step_message(struct wait *w, const struct wire_msg *m)
{
	struct farm *f = w->farm;

	f->heard_ms = clock_mono_ms();
	farm_heard(f, m->info->type);
	switch (m->info->type) {
	case WIRE_WELCOME:
		note_features(f, (const Dray__Welcome *)m->body);
		return STEP_ON;
	case WIRE_SUCCESSOR:
		farm_hear_successor(f, (const Dray__Successor *)m->body);
		return STEP_ON;
	case WIRE_REFUSED:
		return home(w, "the coordinator refuses", ((const Dray__Refused *)m->body)->text);
	case WIRE_JOB_QUEUED:
		if (is_ours(w, ((const Dray__JobQueued *)m->body)->job))
			take_queued(w, (const Dray__JobQueued *)m->body);
		return STEP_ON;
	case WIRE_JOB_DENIED:
		if (!is_ours(w, ((const Dray__JobDenied *)m->body)->job))
			return STEP_ON;
		return take_denied(w, (const Dray__JobDenied *)m->body);
	case WIRE_JOB_PLACED:
		if (!is_ours(w, ((const Dray__JobPlaced *)m->body)->job))
			return STEP_ON;
		return take_placed(w, (const Dray__JobPlaced *)m->body);
	default:
		return STEP_ON;
	}
}

static enum step
unreachable(struct wait *w, const char *what)
{
	w->farm->unreachable = true;
	return home(w, what, NULL);
}

/* Checks the time. now in ms. */
static enum step
step_time(struct wait *w, uint64_t now)
{
	struct farm *f = w->farm;

	if (f->rejected && !f->welcomed)
		return unreachable(w,
			"farm unreachable (the coordinator does not know this client's key, or "
			"is not the one its key file names)");
	switch (f->state) {
	case FARM_CONNECTING:
		/* Packing the unit took a part of this time. Events that came meanwhile count. */
		if (now - f->opened_ms > f->connect_ms)
			return unreachable(w, "farm unreachable");
		return STEP_ON;
	case FARM_CONNECTED:
		if (!w->connected_ms)
			w->connected_ms = now;
		if (now - w->connected_ms <=
			(f->welcomed ? (uint64_t)FARM_RECONNECT_MS : f->connect_ms))
			return STEP_ON;
		return f->welcomed ? home(w, "farm silent", NULL)
				   : unreachable(w, "farm unreachable (it does not answer)");
	case FARM_AWAY:
		w->connected_ms = 0;
		if (!f->welcomed && now - f->opened_ms > f->connect_ms)
			return unreachable(w, "farm unreachable");
		return now - f->away_ms > FARM_RECONNECT_MS ? home(w, "farm lost", NULL) : STEP_ON;
	case FARM_WELCOMED:
		w->connected_ms = 0;
		/* a connection of its own would not have been answered either */
		if (f->asked_ms && now - f->asked_ms > f->connect_ms)
			return unreachable(w, "farm unreachable (it does not answer)");
		if (f->ask_ms && now >= f->ask_ms) {
			f->ask_ms = 0;
			if (farm_ask(f) < 0)
				return home(w, "farm lost", NULL);
		}
		return now - f->heard_ms > FARM_SILENT_MS ? home(w, "farm silent", NULL) : STEP_ON;
	}
	return STEP_ON;
}

static enum step
take_messages(struct wait *w)
{
	for (;;) {
		struct wire_msg m = WIRE_MSG_INIT;
		enum step s = STEP_ON;
		int r = farm_receive(w->farm, &m);

		if (r == 0)
			s = step_message(w, &m);
		else if (r != -EAGAIN)
			s = home(w, "the coordinator's words make no sense", strerror(-r));
		wire_msg_done(&m);
		if (r == -EAGAIN || s != STEP_ON)
			return s;
	}
}

/* Runs the loop until there is a placement (or a Welcome, if the caller wants no more), or a reason
 * to compile here. */
static enum farm_answer
turn(struct wait *w, struct tether *t, bool until_welcome, farm_local_free_fn local_free, void *arg)
{
	struct farm *f = w->farm;
	zmq_pollitem_t items[FARM_ITEMS + TETHER_ITEMS];

	for (;;) {
		size_t n = farm_items(f, items), k = tether_items(t, items + n);
		enum step s;

		farm_connection_events(f, clock_mono_ms());
		s = take_messages(w);
		if (s == STEP_ON && w->queued && local_free) {
			w->queued = false;
			if (local_free(arg))
				s = home(w, "farm busy", f->queue_why);
		}
		if (s == STEP_ON)
			s = step_time(w, clock_mono_ms());
		if (s == STEP_PLACED || (s == STEP_ON && until_welcome && f->welcomed))
			return FARM_PLACED;
		if (s == STEP_HOME)
			return FARM_HOME;
		if (zmq_poll(items, (int)(n + k), TICK_MS) < 0 && errno != EINTR) {
			home(w, "poll", strerror(errno));
			return FARM_HOME;
		}
		if (tether_look(t, items + n, k))
			return FARM_CUT;
	}
}

enum farm_answer
farm_wait(struct farm *f, struct tether *t, farm_local_free_fn local_free, void *arg,
	struct placement *ret, char **ret_why)
{
	struct wait w = { .farm = f, .placement = ret, .ret_why = ret_why };

	*ret_why = NULL;
	return turn(&w, t, false, local_free, arg);
}

int
farm_greet(struct farm *f, struct tether *t, char **ret_why)
{
	struct wait w = { .farm = f, .ret_why = ret_why };
	int r = farm_hello(f);

	*ret_why = NULL;
	if (r < 0)
		return r;
	f->greeted = true;
	return turn(&w, t, true, NULL, NULL) == FARM_PLACED ? 0 : -EHOSTUNREACH;
}

/* -EAGAIN of a send: the connection is gone already, since the toolchain's id took long. The
 * monitor tells why; if it comes back the question is asked then. */
static int
ask(struct farm *f, const uint8_t *toolchain)
{
	int r = farm_hello(f);

	f->asks_status = true;
	f->has_toolchain = toolchain != NULL;
	if (toolchain)
		memcpy(f->toolchain, toolchain, sizeof(f->toolchain));
	if (r == 0)
		r = farm_ask_look(f);
	return r == -EAGAIN ? 0 : r;
}

/* Until there is an answer of that type, in *ret. */
static int
await_answer(
	struct farm *f, enum wire_type type, uint64_t wait_ms, struct wire_msg *ret, char **ret_why)
{
	uint64_t until = clock_mono_ms() + wait_ms;
	struct wait w = { .farm = f, .ret_why = ret_why };
	int r = 0;

	while (r == 0 && clock_mono_ms() < until) {
		zmq_pollitem_t items[FARM_ITEMS];
		size_t n = farm_items(f, items);
		bool refused;

		zmq_poll(items, (int)n, TICK_MS);
		farm_connection_events(f, clock_mono_ms());
		if (f->rejected) {
			home(&w,
				"the coordinator does not know this client's key, or is not the "
				"one its key "
				"file names",
				NULL);
			return -ECONNREFUSED;
		}
		r = farm_receive(f, ret);
		if (r == 0 && ret->info->type == type)
			return 0;
		if (r == -EAGAIN) {
			r = 0;
			continue;
		}
		refused = r == 0 && step_message(&w, ret) == STEP_HOME;
		wire_msg_done(ret);
		*ret = (struct wire_msg)WIRE_MSG_INIT;
		if (refused)
			return -ECONNREFUSED;
	}
	return r < 0 ? r : -ETIMEDOUT;
}

int
farm_ask_status(struct farm *f, const uint8_t *toolchain, uint64_t wait_ms, struct wire_msg *ret,
	char **ret_why)
{
	int r = ask(f, toolchain);

	*ret_why = NULL;
	if (r == 0)
		r = await_answer(f, WIRE_STATUS, wait_ms, ret, ret_why);
	if (r == 0)
		f->asks_status = false;
	return r;
}

int
farm_ask_purge(struct farm *f, const Dray__CachePurge *m, uint64_t wait_ms, struct wire_msg *ret,
	char **ret_why)
{
	int r = farm_hello(f);

	*ret_why = NULL;
	if (r == 0)
		r = wire_send(f->socket, NULL, WIRE_CACHE_PURGE, &m->base, NULL, 0);
	return r < 0 ? r : await_answer(f, WIRE_CACHE_PURGED, wait_ms, ret, ret_why);
}
