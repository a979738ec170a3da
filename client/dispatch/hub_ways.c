/* Which of the coordinators of the configuration the hub's jobs have.
 *
 *   the one in use does not answer  the others are connected to, in turn; the first that welcomes
 *                                   us is taken, and all that waits is asked for there
 *   one that is not the first is    those before it are connected to all the time (libzmq tries
 *   in use                          again by itself, once a second); the first that has stood for
 *                                   HUB_STEADY_MS is taken
 *
 * What runs on workers goes on: it needs no coordinator. For a seat another coordinator is what one
 * that was started again is: it has lost the connection, and there is a new one.
 *
 * Invariant: farm is ways[at].farm, and never NULL once the hub is open. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "client/dispatch/hub_priv.h"
#include "client/wrap/farm_state.h"
#include "common/clock.h"
#include "common/log/log.h"

#define STAGGER_MS 100 /* between the first tries of the others */
#define AGAIN_MS 30000 /* after a refusal: libzmq does not try again by itself */
#define IDLE_WAIT_MS 1000

/* A loopback is quicker than that. */
static bool
wants_compression(const struct conf *conf, const char *endpoint)
{
	if (conf->client.compress == COMPRESS_AUTO)
		return !endpoint_is_this_machine(endpoint);
	return conf->client.compress == COMPRESS_ALWAYS;
}

/* Seats keep it, so that it is no connection's. */
static int
load_identity(struct hub *h)
{
	if (h->has_identity)
		return 0;
	h->has_identity = identity_load_unchecked(h->conf->client.identity, &h->identity, NULL) ==
			  0;
	return h->has_identity ? 0 : -EACCES;
}

static int
open_way(struct hub *h, size_t i, char **ret_why)
{
	struct hub_way *w = &h->ways[i];
	int r = farm_open_at(h->zctx, h->conf, i, &w->farm, ret_why);

	if (r == 0 && w->farm->has_identity)
		r = load_identity(h);
	if (r == 0)
		r = farm_hello(w->farm);
	if (r < 0)
		farm_closep(&w->farm);
	w->since_ms = 0;
	w->failed_ms = r < 0 ? clock_mono_ms() : 0;
	return r;
}

static void
close_way(struct hub_way *w)
{
	farm_closep(&w->farm);
	zmq_msg_close(&w->welcome);
	zmq_msg_init(&w->welcome);
	w->since_ms = 0;
}

static void
use(struct hub *h, size_t i)
{
	h->at = i;
	h->farm = h->ways[i].farm;
	h->compress = wants_compression(h->conf, h->coordinators.v[i].endpoint);
	h->mute_ms = 0;
}

int
hub_ways_open(struct hub *h, char **ret_why)
{
	int r = coordinators_parse("client", h->conf->client.coordinator,
		h->conf->client.coordinator_key, &h->coordinators, ret_why);
	size_t i;

	if (r < 0)
		return r;
	for (i = 0; i < h->coordinators.n; i++)
		zmq_msg_init(&h->ways[i].welcome);
	h->n_ways = h->coordinators.n;
	/* one whose key cannot be read keeps none from the others */
	r = -EINVAL;
	for (i = 0; r < 0 && i < h->n_ways; i++) {
		free(steal_ptr(*ret_why));
		r = open_way(h, i, ret_why);
	}
	if (r == 0)
		use(h, i - 1);
	return r;
}

void
hub_ways_close(struct hub *h)
{
	for (size_t i = 0; i < h->n_ways; i++)
		close_way(&h->ways[i]);
	identity_done(&h->identity);
	coordinators_done(&h->coordinators);
}

/* ---- seats */

static bool
has_seats(struct hub *h, size_t way)
{
	struct hub_seat *s;

	pthread_mutex_lock(&h->lock);
	TAILQ_FOREACH(s, &h->seats, link)
	if (s->way == way)
		break;
	pthread_mutex_unlock(&h->lock);
	return s != NULL;
}

/* It is told that it has lost its connection, and that there is a new one. */
static void
move_seat(struct hub *h, struct hub_seat *s)
{
	s->way = h->at;
	hub_put_event(s, MONITOR_DISCONNECTED);
	hub_put_event(s, MONITOR_CONNECTED);
	hub_put_mail(s, &h->ways[h->at].welcome);
}

/* Of a way that was lost, or never stood. The lock is held. */
static void
move_all(struct hub *h, size_t way)
{
	struct hub_seat *s;

	TAILQ_FOREACH(s, &h->seats, link)
	if (s->way == way)
		move_seat(h, s);
}

static void
take_back(const struct hub_way *w, char *job)
{
	Dray__JobCancel m = DRAY__JOB_CANCEL__INIT;

	m.job = job;
	(void)wire_send(w->farm->socket, NULL, WIRE_JOB_CANCEL, &m.base, NULL, 0);
}

/* Of a way that stands, but says nothing: what waits there goes. What runs stays, or that
 * coordinator would end it when it hears that its client is gone. The lock is held. */
static void
move_waiting(struct hub *h, size_t way)
{
	struct hub_seat *s;

	TAILQ_FOREACH(s, &h->seats, link)
	{
		if (s->way != way || !s->waits)
			continue;
		take_back(&h->ways[way], s->job);
		move_seat(h, s);
	}
}

/* ---- what is heard */

void
hub_way_welcomed(struct hub_way *w, zmq_msg_t *welcome, uint64_t now)
{
	if (!w->since_ms)
		w->since_ms = now;
	zmq_msg_copy(&w->welcome, welcome);
}

void
hub_way_lost(struct hub *h, size_t way)
{
	h->ways[way].since_ms = 0;
	if (way == h->at)
		h->mute_ms = 0;
	else if (h->ways[h->at].since_ms)
		move_all(h, way);
}

/* ---- which are there */

/* Since when the one in use does not answer; 0: it does, as far as is known. */
static uint64_t
silent_since(const struct hub *h)
{
	if (!h->ways[h->at].since_ms)
		return h->away_ms;
	return h->mute_ms;
}

/* When the way is to be opened; UINT64_MAX: not as things are. */
static uint64_t
due(const struct hub *h, size_t i)
{
	const struct hub_way *w = &h->ways[i];
	uint64_t silent = silent_since(h), again = w->failed_ms ? w->failed_ms + AGAIN_MS : 0;
	uint64_t stagger = MIN2((uint64_t)STAGGER_MS, h->farm->connect_ms / (2 * h->n_ways));
	size_t rank = (i + h->n_ways - h->at) % h->n_ways; /* in turn behind it */

	if (i == h->at)
		return UINT64_MAX;
	if (!silent)
		return i < h->at ? again : UINT64_MAX;
	/* one that was there and is not any more has had its time */
	if (h->farm->lost || h->farm->rejected)
		rank--;
	silent += rank * stagger;
	if (h->mute_ms && h->ways[h->at].since_ms)
		silent += h->farm->connect_ms / 2;
	return MAX2(silent, again);
}

static void
open_due(struct hub *h, uint64_t now)
{
	for (size_t i = 0; i < h->n_ways; i++) {
		_cleanup_(freep) char *why = NULL;

		if (!h->ways[i].farm && now >= due(h, i))
			(void)open_way(h, i, &why);
	}
}

/* Refused ones are given up until it is time again; those behind one that answers are not needed,
 * once no job is left that was asked for there. One that was mute says nothing by itself: it is
 * connected to anew. */
static void
close_rest(struct hub *h, uint64_t now)
{
	for (size_t i = 0; i < h->n_ways; i++) {
		struct hub_way *w = &h->ways[i];
		bool mute = w->farm && w->farm->state == FARM_WELCOMED && !w->since_ms;

		if (i == h->at || !w->farm || has_seats(h, i))
			continue;
		if (w->farm->rejected && !w->failed_ms)
			w->failed_ms = now;
		if ((i > h->at && !silent_since(h)) || mute ||
			(w->farm->rejected && now - w->failed_ms >= AGAIN_MS))
			close_way(w);
	}
}

/* ---- the change */

static void
take(struct hub *h, size_t i)
{
	size_t old = h->at;
	struct hub_way *was = &h->ways[old], *w = &h->ways[i];
	struct wire_msg m = WIRE_MSG_INIT;
	bool up = was->since_ms != 0, mute = h->mute_ms != 0;

	log_info("coordinator=%s is asked from now on, not %s, which %s",
		h->coordinators.v[i].endpoint, h->coordinators.v[old].endpoint,
		!silent_since(h) ? "is not the first choice"
		: up		 ? "says nothing"
				 : "is away");
	/* what was asked for there goes there before it is taken back */
	hub_send_all(h);
	pthread_mutex_lock(&h->lock);
	hub_lose_desks(h);
	use(h, i);
	h->away_ms = 0;
	if (wire_decode(zmq_msg_data(&w->welcome), zmq_msg_size(&w->welcome), NULL,
		    WIRE_FROM_COORDINATOR, &m) == 0)
		hub_hear_welcome(h, (const Dray__Welcome *)m.body);
	if (!up)
		move_all(h, old);
	else if (mute)
		move_waiting(h, old);
	pthread_mutex_unlock(&h->lock);
	wire_msg_done(&m);
	/* it does not count again before it greets anew */
	if (mute)
		was->since_ms = 0;
	if (was->farm->rejected)
		was->failed_ms = clock_mono_ms();
}

/* The one to be taken; n_ways: none. */
static size_t
better(const struct hub *h, uint64_t now)
{
	uint64_t silent = silent_since(h);

	for (size_t i = 0; i < h->n_ways; i++) {
		const struct hub_way *w = &h->ways[i];

		if (i == h->at || !w->since_ms)
			continue;
		if (i < h->at && now - w->since_ms >= h->steady_ms)
			return i;
		if (silent &&
			(!h->ways[h->at].since_ms || now - silent >= h->farm->connect_ms * 3 / 4))
			return i;
	}
	return h->n_ways;
}

/* For calls that ask by themselves, and for people, when that has changed (farm_state.h). */
static void
note(struct hub *h, size_t i, uint64_t now)
{
	struct hub_way *w = &h->ways[i];
	bool up = w->since_ms != 0;

	if (!up && !w->farm->lost && !w->farm->rejected &&
		now - w->farm->opened_ms <= w->farm->connect_ms)
		return;
	if (w->noted && w->noted_up == up)
		return;
	w->noted = true;
	w->noted_up = up;
	farm_state_set(h->conf->client.cache_dir, h->coordinators.v[i].endpoint, up);
}

void
hub_ways_step(struct hub *h, uint64_t now)
{
	size_t i;

	if (h->n_ways == 1)
		return;
	open_due(h, now);
	i = better(h, now);
	if (i < h->n_ways)
		take(h, i);
	close_rest(h, now);
	for (i = 0; i < h->n_ways; i++)
		if (h->ways[i].farm)
			note(h, i, now);
}

size_t
hub_ways_items(const struct hub *h, zmq_pollitem_t *items)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n_ways; i++)
		if (i != h->at && h->ways[i].farm)
			n += farm_items(h->ways[i].farm, items + n);
	return n;
}

uint64_t
hub_ways_wait(const struct hub *h, uint64_t now)
{
	uint64_t wait = IDLE_WAIT_MS;

	for (size_t i = 0; h->n_ways > 1 && i < h->n_ways; i++) {
		uint64_t at = h->ways[i].farm ? UINT64_MAX : due(h, i);

		if (at != UINT64_MAX)
			wait = MIN2(wait, at > now ? at - now : 0);
	}
	/* a welcome that is there already is taken when the other has been mute for long enough */
	return h->n_ways > 1 && h->mute_ms ? MIN2(wait, h->farm->connect_ms / 8 + 1) : wait;
}
