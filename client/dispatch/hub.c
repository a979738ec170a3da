/* Invariant: a message is in one list at a time, the outbox or a seat's mail, and every list is
 * changed under the lock; the lock is never held while anything is waited for. */
#include "config.h"

#include "client/dispatch/hub.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "client/dispatch/hub_priv.h"
#include "common/clock.h"

static void
hub_free(struct hub *h)
{
	if (!h)
		return;
	hub_letters_free(&h->outbox);
	hub_ways_close(h);
	closep(&h->wake);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

void
hub_closep(struct hub **h)
{
	hub_free(*h);
	*h = NULL;
}

int
hub_open(void *zctx, const struct conf *conf, struct hub **ret, char **ret_why)
{
	_cleanup_(hub_closep) struct hub *h = calloc(1, sizeof(*h));
	int r;

	*ret_why = NULL;
	if (!h)
		return -ENOMEM;
	pthread_mutex_init(&h->lock, NULL);
	TAILQ_INIT(&h->outbox);
	TAILQ_INIT(&h->seats);
	TAILQ_INIT(&h->desks);
	h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	h->away_ms = clock_mono_ms();
	h->zctx = zctx;
	h->steady_ms = HUB_STEADY_MS;
	h->conf = conf;
	if (h->wake < 0)
		return -errno;
	r = hub_ways_open(h, ret_why);
	if (r < 0)
		return r;
	*ret = steal_ptr(h);
	return 0;
}

size_t
hub_items(const struct hub *h, zmq_pollitem_t *items)
{
	size_t n = farm_items(h->farm, items);

	items[n++] = (zmq_pollitem_t){ NULL, h->wake, ZMQ_POLLIN, 0 };
	return n + hub_ways_items(h, items + n);
}

uint64_t
hub_wait(const struct hub *h, uint64_t now)
{
	return hub_ways_wait(h, now);
}

uint64_t
hub_away_since(const struct hub *h)
{
	return h->away_ms;
}

bool
hub_serves(const struct hub *h, uint64_t now)
{
	if (h->farm->welcomed && (!h->farm->lost || h->n_ways == 1))
		return !h->farm->lost;
	return now - h->away_ms < h->farm->connect_ms / 2;
}

void
hub_set_steady(struct hub *h, uint64_t ms)
{
	h->steady_ms = ms;
}

bool
hub_has_several(const struct hub *h)
{
	return h->n_ways > 1;
}

bool
hub_is_refused(const struct hub *h)
{
	for (size_t i = 0; i < h->n_ways; i++)
		if (!h->ways[i].farm || !h->ways[i].farm->rejected)
			return false;
	return true;
}

/* ---- out */

static int
seat_send(struct hub_seat *s, enum wire_type type, const ProtobufCMessage *body)
{
	struct letter *l = hub_letter_new();
	int r = l ? wire_encode(type, body, &l->msg) : -ENOMEM;

	if (r < 0) {
		if (l)
			hub_letter_free(l);
		return r;
	}
	l->asks = type == WIRE_JOB_REQUEST;
	pthread_mutex_lock(&s->hub->lock);
	/* what is asked anew goes to the one that is in use now, all else to where it was asked */
	if (l->asks)
		s->way = s->hub->at;
	l->way = s->way;
	s->waits = l->asks || type == WIRE_JOB_RETRY;
	TAILQ_INSERT_TAIL(&s->hub->outbox, l, link);
	pthread_mutex_unlock(&s->hub->lock);
	hub_ring(s->hub->wake);
	return 0;
}

/* ---- in */

/* The job that a message is about; NULL: all. */
static const char *
job_of(const struct wire_msg *m)
{
	switch (m->info->type) {
	case WIRE_JOB_QUEUED:
		return ((const Dray__JobQueued *)m->body)->job;
	case WIRE_JOB_PLACED:
		return ((const Dray__JobPlaced *)m->body)->job;
	case WIRE_JOB_DENIED:
		return ((const Dray__JobDenied *)m->body)->job;
	default:
		return NULL;
	}
}

void
hub_on_producers(struct hub *h, hub_producers_fn fn, void *arg)
{
	h->on_producers = fn;
	h->producers_arg = arg;
}

/* The lock is held. */
static enum tier_state
state_of(const struct hub *h)
{
	const struct farm *f = h->farm;
	uint64_t now = clock_mono_ms();

	if (h->closing || hub_is_refused(h))
		return TIER_AWAY;
	if (f->state == FARM_CONNECTING)
		return now - f->opened_ms < f->connect_ms ? TIER_COMING : TIER_AWAY;
	if (f->lost || f->state == FARM_AWAY)
		return TIER_AWAY;
	if (!h->greeted)
		return now - f->heard_ms < f->connect_ms ? TIER_COMING : TIER_AWAY;
	return !h->has_cache ? TIER_NONE : h->may_put ? TIER_WRITES : TIER_READS;
}

/* The lock is held. */
static void
tell_desks(struct hub *h)
{
	enum tier_state now = state_of(h);
	struct hub_desk *d;

	if (now == h->told)
		return;
	h->told = now;
	TAILQ_FOREACH(d, &h->desks, link)
	hub_ring(d->fd);
}

enum tier_state
hub_share_state(struct hub *h)
{
	enum tier_state state;

	pthread_mutex_lock(&h->lock);
	state = state_of(h);
	pthread_mutex_unlock(&h->lock);
	return state;
}

bool
hub_will_vouch(struct hub *h)
{
	bool will;

	pthread_mutex_lock(&h->lock);
	will = state_of(h) == TIER_COMING || (h->asked && !h->vouched);
	pthread_mutex_unlock(&h->lock);
	return will;
}

bool
hub_takes_refills(struct hub *h)
{
	bool takes;

	pthread_mutex_lock(&h->lock);
	takes = h->greeted && h->refills && !h->closing;
	pthread_mutex_unlock(&h->lock);
	return takes;
}

static void
deliver_shared(struct hub *h, struct wire_raw *raw)
{
	uint32_t first = raw->job - raw->job % TIER_NUMBERS;
	struct letter *l = hub_letter_new();
	struct hub_desk *d;

	pthread_mutex_lock(&h->lock);
	TAILQ_FOREACH(d, &h->desks, link)
	if (d->first == first)
		break;
	if (d && l) {
		zmq_msg_move(&l->msg, &raw->header);
		zmq_msg_move(&l->payload, &raw->payload);
		l->has_payload = raw->has_payload;
		TAILQ_INSERT_TAIL(&d->mail, l, link);
		l = NULL;
		hub_ring(d->fd);
	}
	pthread_mutex_unlock(&h->lock);
	if (l)
		hub_letter_free(l);
}

static void
hear_producers(struct hub *h, const Dray__Producers *m)
{
	if (h->on_producers && !h->farm->lost)
		h->on_producers(h->producers_arg, m);
	pthread_mutex_lock(&h->lock);
	h->vouched = true;
	pthread_mutex_unlock(&h->lock);
}

/* The lock is held. */
static void
deliver_to_seats(struct hub *h, size_t way, enum wire_type type, const char *job, zmq_msg_t *msg)
{
	struct hub_seat *s;

	TAILQ_FOREACH(s, &h->seats, link)
	{
		if (s->way != way || (job && !streq(s->job, job)))
			continue;
		if (type == WIRE_JOB_PLACED || type == WIRE_JOB_DENIED)
			s->waits = false;
		hub_put_mail(s, msg);
	}
}

static void
deliver(struct hub *h, size_t way, zmq_msg_t *msg)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	struct farm *f = h->ways[way].farm;

	if (wire_decode(zmq_msg_data(msg), zmq_msg_size(msg), NULL, WIRE_FROM_COORDINATOR, &m) < 0)
		return;
	if (m.info->type == WIRE_PRODUCERS) {
		if (way == h->at)
			hear_producers(h, (const Dray__Producers *)m.body);
		return;
	}
	if (m.info->type == WIRE_SUCCESSOR) {
		farm_hear_successor(f, (const Dray__Successor *)m.body);
		return;
	}
	pthread_mutex_lock(&h->lock);
	farm_heard(f, m.info->type);
	if (way == h->at && f->state == FARM_WELCOMED)
		h->away_ms = 0;
	if (m.info->type == WIRE_WELCOME && !f->lost) {
		hub_way_welcomed(&h->ways[way], msg, clock_mono_ms());
		if (way == h->at)
			hub_hear_welcome(h, (const Dray__Welcome *)m.body);
	}
	deliver_to_seats(h, way, m.info->type, job_of(&m), msg);
	pthread_mutex_unlock(&h->lock);
}

static void
receive_all(struct hub *h, size_t way)
{
	for (;;) {
		_cleanup_(wire_raw_done) struct wire_raw raw;
		int r = wire_take(h->ways[way].farm->socket, NULL, WIRE_FROM_COORDINATOR, &raw);

		if (r == -EAGAIN)
			return;
		if (way == h->at)
			h->mute_ms = 0;
		if (r < 0)
			continue;
		if (raw.info->type < WIRE_SHARED_GET && !raw.has_payload)
			deliver(h, way, &raw.header);
		else if (raw.info->type >= WIRE_SHARED_GET && way == h->at)
			deliver_shared(h, &raw);
	}
}

static void
watch_connection(struct hub *h, size_t way)
{
	struct farm *f = h->ways[way].farm;
	enum monitor_event event;

	while ((event = monitor_next(f->monitor, NULL)) != MONITOR_NONE) {
		uint64_t now = clock_mono_ms();
		struct hub_seat *s;

		pthread_mutex_lock(&h->lock);
		farm_take_event(f, event, now);
		if (event == MONITOR_DISCONNECTED && way == h->at && !h->away_ms)
			h->away_ms = now;
		/* that one of several refuses this client is not the end */
		TAILQ_FOREACH(s, &h->seats, link)
		if (s->way == way && (!f->rejected || hub_is_refused(h)))
			hub_put_event(s, event);
		if (event == MONITOR_DISCONNECTED && way == h->at)
			hub_lose_desks(h);
		if (event == MONITOR_DISCONNECTED)
			hub_way_lost(h, way);
		pthread_mutex_unlock(&h->lock);
	}
}

/* Events come first, as in farm_wait: on a new connection all is said anew, Hello before the rest.
 */
void
hub_step(struct hub *h)
{
	for (size_t i = 0; i < h->n_ways; i++)
		if (h->ways[i].farm)
			watch_connection(h, i);
	hub_ways_step(h, clock_mono_ms());
	hub_send_all(h);
	for (size_t i = 0; i < h->n_ways; i++)
		if (h->ways[i].farm)
			receive_all(h, i);
	pthread_mutex_lock(&h->lock);
	tell_desks(h);
	pthread_mutex_unlock(&h->lock);
}

void
hub_end_shares(struct hub *h)
{
	pthread_mutex_lock(&h->lock);
	h->closing = true;
	hub_lose_desks(h);
	pthread_mutex_unlock(&h->lock);
}

/* ---- seats */

static void
seat_leave(struct hub_seat *s)
{
	pthread_mutex_lock(&s->hub->lock);
	TAILQ_REMOVE(&s->hub->seats, s, link);
	pthread_mutex_unlock(&s->hub->lock);
	hub_letters_free(&s->mail);
	close(s->fd);
	free(s);
}

static void
seat_name(struct hub_seat *s, const char *job)
{
	pthread_mutex_lock(&s->hub->lock);
	snprintf(s->job, sizeof(s->job), "%s", job);
	pthread_mutex_unlock(&s->hub->lock);
}

static int
seat_fd(const struct hub_seat *s)
{
	return s->fd;
}

static const char *
seat_at(const struct hub_seat *s)
{
	size_t way;

	pthread_mutex_lock(&s->hub->lock);
	way = s->way;
	pthread_mutex_unlock(&s->hub->lock);
	return s->hub->n_ways > 1 ? s->hub->coordinators.v[way].endpoint : NULL;
}

static const struct identity *
seat_identity(const struct hub_seat *s)
{
	return s->hub->has_identity ? &s->hub->identity : NULL;
}

/* The lock is held. */
static void
silence_if_empty(struct hub_seat *s)
{
	if (s->n_events == 0 && TAILQ_EMPTY(&s->mail))
		hub_silence(s->fd);
}

static int
seat_receive(struct hub_seat *s, struct wire_msg *ret)
{
	struct letter *l;
	int r;

	pthread_mutex_lock(&s->hub->lock);
	l = TAILQ_FIRST(&s->mail);
	if (l)
		TAILQ_REMOVE(&s->mail, l, link);
	else
		silence_if_empty(s);
	pthread_mutex_unlock(&s->hub->lock);
	if (!l)
		return -EAGAIN;
	r = wire_decode(
		zmq_msg_data(&l->msg), zmq_msg_size(&l->msg), NULL, WIRE_FROM_COORDINATOR, ret);
	hub_letter_free(l);
	return r;
}

static enum monitor_event
seat_event(struct hub_seat *s)
{
	enum monitor_event event = MONITOR_NONE;

	pthread_mutex_lock(&s->hub->lock);
	if (s->n_events) {
		event = s->events[0];
		memmove(s->events, s->events + 1, --s->n_events * sizeof(s->events[0]));
	} else {
		silence_if_empty(s);
	}
	pthread_mutex_unlock(&s->hub->lock);
	return event;
}

static const struct farm_line line = { .send = seat_send,
	.receive = seat_receive,
	.event = seat_event,
	.fd = seat_fd,
	.identity = seat_identity,
	.at = seat_at,
	.name = seat_name,
	.leave = seat_leave };

int
hub_sit(struct hub *h, const struct conf *conf, struct farm **ret)
{
	struct hub_seat *s = calloc(1, sizeof(*s));
	struct farm *f = farm_new(conf);
	int fd = s && f ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;

	if (fd < 0) {
		int r = s && f ? -errno : -ENOMEM;

		free(s);
		free(f);
		return r;
	}
	s->hub = h;
	s->fd = fd;
	TAILQ_INIT(&s->mail);
	pthread_mutex_lock(&h->lock);
	s->way = h->at;
	TAILQ_INSERT_TAIL(&h->seats, s, link);
	f->state = h->farm->state;
	f->rejected = hub_is_refused(h);
	f->lost = h->farm->lost;
	f->away_ms = f->heard_ms = clock_mono_ms();
	f->welcomed = f->state == FARM_WELCOMED;
	pthread_mutex_unlock(&h->lock);
	f->seat = s;
	f->line = &line;
	*ret = f;
	return 0;
}

/* ---- the shared cache */

/* Whether what is sent now can arrive; the lock is held. */
static bool
is_connected(const struct hub *h)
{
	return h->has_cache && !h->farm->lost && !h->closing;
}

static enum tier_state
desk_state(void *arg)
{
	return hub_share_state(((struct hub_desk *)arg)->hub);
}

static int
desk_send(void *arg, uint32_t number, enum wire_type type, const ProtobufCMessage *body,
	zmq_msg_t *payload)
{
	struct hub_desk *d = arg;
	struct letter *l = hub_letter_new();
	int r = l ? wire_encode_number(type, number, body, &l->msg) : -ENOMEM;

	if (r == 0 && payload) {
		zmq_msg_move(&l->payload, payload);
		l->has_payload = true;
	}
	pthread_mutex_lock(&d->hub->lock);
	if (r == 0 && !is_connected(d->hub))
		r = -ENOTCONN;
	if (r == 0) {
		l->of_desk = true;
		TAILQ_INSERT_TAIL(&d->hub->outbox, l, link);
		l = NULL;
	}
	pthread_mutex_unlock(&d->hub->lock);
	if (l)
		hub_letter_free(l);
	if (r == 0)
		hub_ring(d->hub->wake);
	return r;
}

static int
desk_receive(void *arg, struct wire_msg *ret)
{
	struct hub_desk *d = arg;
	struct letter *l;
	bool lost;
	int r;

	pthread_mutex_lock(&d->hub->lock);
	lost = d->lost;
	d->lost = false;
	l = lost ? NULL : TAILQ_FIRST(&d->mail);
	if (l)
		TAILQ_REMOVE(&d->mail, l, link);
	else if (TAILQ_EMPTY(&d->mail))
		hub_silence(d->fd);
	pthread_mutex_unlock(&d->hub->lock);
	if (!l)
		return lost ? -ENOTCONN : -EAGAIN;
	r = wire_decode(zmq_msg_data(&l->msg), zmq_msg_size(&l->msg),
		l->has_payload ? &l->payload : NULL, WIRE_FROM_COORDINATOR, ret);
	hub_letter_free(l);
	return r;
}

static int
desk_fd(void *arg)
{
	return ((struct hub_desk *)arg)->fd;
}

static void
desk_close(void *arg)
{
	struct hub_desk *d = arg;

	pthread_mutex_lock(&d->hub->lock);
	TAILQ_REMOVE(&d->hub->desks, d, link);
	pthread_mutex_unlock(&d->hub->lock);
	hub_letters_free(&d->mail);
	close(d->fd);
	free(d);
}

static const struct tier_line desk_line = { .send = desk_send,
	.receive = desk_receive,
	.fd = desk_fd,
	.state = desk_state,
	.close = desk_close };

/* The lock is held. Numbers come round after as many desks as there are ranges. */
static uint32_t
free_range(struct hub *h)
{
	struct hub_desk *d;
	uint32_t first;

	do {
		first = h->next_desk++ * TIER_NUMBERS;
		TAILQ_FOREACH(d, &h->desks, link)
		if (d->first == first)
			break;
	} while (d);
	return first;
}

int
hub_share(struct hub *h, bool read_only, const struct store_in *in, struct store **ret)
{
	struct hub_desk *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	d->hub = h;
	TAILQ_INIT(&d->mail);
	d->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->fd < 0) {
		free(d);
		return -EMFILE;
	}
	pthread_mutex_lock(&h->lock);
	d->first = free_range(h);
	TAILQ_INSERT_TAIL(&h->desks, d, link);
	pthread_mutex_unlock(&h->lock);
	r = tier_open(&desk_line, d, d->first, read_only, in, ret);
	if (r == 0)
		tier_compress(*ret, h->compress);
	return r;
}
