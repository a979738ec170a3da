/* Invariant: a message is in one list at a time, the outbox or a seat's mail, and every list is
 * changed under the lock; the lock is never held while anything is waited for. */
#include "config.h"

#include "client/dispatch/hub.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/queue.h>

#include "client/dispatch/farm_priv.h"
#include "common/clock.h"

/* More than a connection can make while a thread sleeps. What is above that is forgotten: the last
 * events are what counts. */
#define EVENTS_MAX 16

struct letter {
	TAILQ_ENTRY(letter) link;
	zmq_msg_t msg;
	bool has_payload;
	zmq_msg_t payload; /* initialised always */
};
TAILQ_HEAD(letters, letter);

/* A store over the coordinator's shared cache. What comes for it is bounded by its own credit. */
struct hub_desk {
	TAILQ_ENTRY(hub_desk) link;
	struct hub *hub;
	int fd;
	uint32_t first; /* of its numbers */
	struct letters mail;
	bool lost; /* the connection, since it was told */
};

struct hub_seat {
	TAILQ_ENTRY(hub_seat) link;
	struct hub *hub;
	int fd;
	char job[JOB_ID_SIZE];
	struct letters mail;
	enum monitor_event events[EVENTS_MAX];
	size_t n_events;
};

struct hub {
	pthread_mutex_t lock;
	struct farm *farm; /* the connection; its job is none */
	int wake;	   /* the outbox has something */
	struct letters outbox;
	TAILQ_HEAD(, hub_seat) seats;
	TAILQ_HEAD(, hub_desk) desks;
	uint32_t next_desk;
	bool compress;		 /* what its shares send and are sent */
	bool greeted;		 /* Welcome was heard on this connection */
	bool has_cache, may_put; /* as it said */
	bool refills;		 /* likewise */
	bool asked, vouched;	 /* for whom it vouches, on this connection */
	bool closing;
	enum tier_state told; /* to desks */
	hub_producers_fn on_producers;
	void *producers_arg;
	uint64_t away_ms;
};

static struct letter *
letter_new(void)
{
	struct letter *l = calloc(1, sizeof(*l));

	if (l) {
		zmq_msg_init(&l->msg);
		zmq_msg_init(&l->payload);
	}
	return l;
}

static void
letter_free(struct letter *l)
{
	zmq_msg_close(&l->msg);
	zmq_msg_close(&l->payload);
	free(l);
}

static void
letters_free(struct letters *v)
{
	struct letter *l;

	while ((l = TAILQ_FIRST(v)) != NULL) {
		TAILQ_REMOVE(v, l, link);
		letter_free(l);
	}
}

static void
ring(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

static void
silence(int fd)
{
	uint64_t n;

	(void)!read(fd, &n, sizeof(n));
}

static void
hub_free(struct hub *h)
{
	if (!h)
		return;
	letters_free(&h->outbox);
	farm_close(h->farm, 0);
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

/* A loopback is quicker than that. */
static bool
wants_compression(const struct conf *conf)
{
	const char *endpoint = conf->client.coordinator;

	if (conf->client.compress == COMPRESS_AUTO)
		return endpoint && !endpoint_is_this_machine(endpoint);
	return conf->client.compress == COMPRESS_ALWAYS;
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
	h->compress = wants_compression(conf);
	if (h->wake < 0)
		return -errno;
	r = farm_open(zctx, conf, &h->farm, ret_why);
	if (r < 0)
		return r;
	r = farm_hello(h->farm);
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
	return n;
}

uint64_t
hub_away_since(const struct hub *h)
{
	return h->away_ms;
}

bool
hub_serves(const struct hub *h, uint64_t now)
{
	if (h->farm->welcomed)
		return !h->farm->lost;
	return now - h->away_ms < h->farm->connect_ms / 2;
}

bool
hub_is_refused(const struct hub *h)
{
	return h->farm->rejected;
}

/* ---- out */

static struct letter *
take_first(struct hub *h, struct letters *v)
{
	struct letter *l;

	pthread_mutex_lock(&h->lock);
	l = TAILQ_FIRST(v);
	if (l)
		TAILQ_REMOVE(v, l, link);
	pthread_mutex_unlock(&h->lock);
	return l;
}

/* What follows a first frame that was taken is taken, too (wire.c). */
static void
send_letter(struct hub *h, struct letter *l)
{
	int flags = ZMQ_DONTWAIT | (l->has_payload ? ZMQ_SNDMORE : 0), r;

	do
		r = zmq_msg_send(&l->msg, h->farm->socket, flags);
	while (r < 0 && zmq_errno() == EINTR);
	while (r >= 0 && l->has_payload &&
		zmq_msg_send(&l->payload, h->farm->socket, ZMQ_DONTWAIT) < 0 &&
		zmq_errno() == EINTR)
		;
}

/* What the socket does not take is lost, as it is where a connection is lost: who asked asks anew,
 * or gives up. So is what is said while there is no connection: it would wait in the socket, and be
 * the first that a coordinator hears on the next one, before Hello. */
static void
send_all(struct hub *h)
{
	struct letter *l;

	silence(h->wake);
	while ((l = take_first(h, &h->outbox)) != NULL) {
		if (!h->farm->lost)
			send_letter(h, l);
		letter_free(l);
	}
}

static int
seat_send(struct hub_seat *s, enum wire_type type, const ProtobufCMessage *body)
{
	struct letter *l = letter_new();
	int r = l ? wire_encode(type, body, &l->msg) : -ENOMEM;

	if (r < 0) {
		if (l)
			letter_free(l);
		return r;
	}
	pthread_mutex_lock(&s->hub->lock);
	TAILQ_INSERT_TAIL(&s->hub->outbox, l, link);
	pthread_mutex_unlock(&s->hub->lock);
	ring(s->hub->wake);
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

/* The lock is held. Without memory the seat waits in vain, and its unit is compiled here. */
static void
put_mail(struct hub_seat *s, zmq_msg_t *msg)
{
	struct letter *l = letter_new();

	if (!l)
		return;
	zmq_msg_copy(&l->msg, msg);
	TAILQ_INSERT_TAIL(&s->mail, l, link);
	ring(s->fd);
}

void
hub_on_producers(struct hub *h, hub_producers_fn fn, void *arg)
{
	h->on_producers = fn;
	h->producers_arg = arg;
}

/* It comes before all that is asked for on this connection, and so does its answer. */
static void
ask_for_producers(struct hub *h)
{
	Dray__ProducersAsk m;

	dray__producers_ask__init(&m);
	h->asked = wire_send(h->farm->socket, NULL, WIRE_PRODUCERS_ASK, &m.base, NULL, 0) == 0;
}

/* The lock is held. */
static enum tier_state
state_of(const struct hub *h)
{
	const struct farm *f = h->farm;
	uint64_t now = clock_mono_ms();

	if (h->closing || f->rejected)
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
	ring(d->fd);
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

/* The lock is held. */
static void
hear_welcome(struct hub *h, const Dray__Welcome *m)
{
	h->has_cache = h->may_put = h->refills = false;
	h->greeted = true;
	for (size_t i = 0; i < m->n_features; i++) {
		h->has_cache |= streq(m->features[i], WIRE_SHARED);
		h->may_put |= streq(m->features[i], WIRE_SHARED_PUTS);
		h->refills |= streq(m->features[i], WIRE_REFILLS);
		if (h->on_producers && !h->asked && streq(m->features[i], WIRE_VOUCHES))
			ask_for_producers(h);
	}
}

static void
deliver_shared(struct hub *h, struct wire_raw *raw)
{
	uint32_t first = raw->job - raw->job % TIER_NUMBERS;
	struct letter *l = letter_new();
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
		ring(d->fd);
	}
	pthread_mutex_unlock(&h->lock);
	if (l)
		letter_free(l);
}

static void
deliver(struct hub *h, zmq_msg_t *msg)
{
	struct wire_msg m = WIRE_MSG_INIT;
	struct hub_seat *s;
	const char *job;

	if (wire_decode(zmq_msg_data(msg), zmq_msg_size(msg), NULL, WIRE_FROM_COORDINATOR, &m) <
		0) {
		wire_msg_done(&m);
		return;
	}
	if (m.info->type == WIRE_PRODUCERS) {
		if (h->on_producers && !h->farm->lost)
			h->on_producers(h->producers_arg, (const Dray__Producers *)m.body);
		wire_msg_done(&m);
		pthread_mutex_lock(&h->lock);
		h->vouched = true;
		pthread_mutex_unlock(&h->lock);
		return;
	}
	job = job_of(&m);
	pthread_mutex_lock(&h->lock);
	farm_heard(h->farm, m.info->type);
	if (h->farm->state == FARM_WELCOMED)
		h->away_ms = 0;
	if (m.info->type == WIRE_WELCOME)
		hear_welcome(h, (const Dray__Welcome *)m.body);
	TAILQ_FOREACH(s, &h->seats, link)
	if (!job || streq(s->job, job))
		put_mail(s, msg);
	pthread_mutex_unlock(&h->lock);
	wire_msg_done(&m);
}

static void
receive_all(struct hub *h)
{
	for (;;) {
		_cleanup_(wire_raw_done) struct wire_raw raw;
		int r = wire_take(h->farm->socket, NULL, WIRE_FROM_COORDINATOR, &raw);

		if (r == -EAGAIN)
			return;
		if (r < 0)
			continue;
		if (raw.info->type >= WIRE_SHARED_GET)
			deliver_shared(h, &raw);
		else if (!raw.has_payload)
			deliver(h, &raw.header);
	}
}

/* The lock is held. */
static void
put_event(struct hub_seat *s, enum monitor_event event)
{
	if (s->n_events == EVENTS_MAX)
		memmove(s->events, s->events + 1, --s->n_events * sizeof(s->events[0]));
	s->events[s->n_events++] = event;
	ring(s->fd);
}

/* The lock is held. */
static void
lose_desks(struct hub *h)
{
	struct hub_desk *d;

	h->greeted = h->has_cache = h->may_put = h->refills = h->asked = h->vouched = false;
	TAILQ_FOREACH(d, &h->desks, link)
	{
		letters_free(&d->mail);
		d->lost = true;
		ring(d->fd);
	}
}

static void
watch_connection(struct hub *h)
{
	enum monitor_event event;

	while ((event = monitor_next(h->farm->monitor, NULL)) != MONITOR_NONE) {
		uint64_t now = clock_mono_ms();
		struct hub_seat *s;

		pthread_mutex_lock(&h->lock);
		farm_take_event(h->farm, event, now);
		if (event == MONITOR_DISCONNECTED && !h->away_ms)
			h->away_ms = now;
		TAILQ_FOREACH(s, &h->seats, link)
		put_event(s, event);
		if (event == MONITOR_DISCONNECTED)
			lose_desks(h);
		pthread_mutex_unlock(&h->lock);
	}
}

/* Events come first, as in farm_wait: on a new connection all is said anew, Hello before the rest.
 */
void
hub_step(struct hub *h)
{
	watch_connection(h);
	send_all(h);
	receive_all(h);
	pthread_mutex_lock(&h->lock);
	tell_desks(h);
	pthread_mutex_unlock(&h->lock);
}

void
hub_end_shares(struct hub *h)
{
	pthread_mutex_lock(&h->lock);
	h->closing = true;
	lose_desks(h);
	pthread_mutex_unlock(&h->lock);
}

/* ---- seats */

static void
seat_leave(struct hub_seat *s)
{
	pthread_mutex_lock(&s->hub->lock);
	TAILQ_REMOVE(&s->hub->seats, s, link);
	pthread_mutex_unlock(&s->hub->lock);
	letters_free(&s->mail);
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

static const struct identity *
seat_identity(const struct hub_seat *s)
{
	return farm_identity(s->hub->farm);
}

/* The lock is held. */
static void
silence_if_empty(struct hub_seat *s)
{
	if (s->n_events == 0 && TAILQ_EMPTY(&s->mail))
		silence(s->fd);
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
	letter_free(l);
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
	TAILQ_INSERT_TAIL(&h->seats, s, link);
	f->state = h->farm->state;
	f->rejected = h->farm->rejected;
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
	struct letter *l = letter_new();
	int r = l ? wire_encode_number(type, number, body, &l->msg) : -ENOMEM;

	if (r == 0 && payload) {
		zmq_msg_move(&l->payload, payload);
		l->has_payload = true;
	}
	pthread_mutex_lock(&d->hub->lock);
	if (r == 0 && !is_connected(d->hub))
		r = -ENOTCONN;
	if (r == 0) {
		TAILQ_INSERT_TAIL(&d->hub->outbox, l, link);
		l = NULL;
	}
	pthread_mutex_unlock(&d->hub->lock);
	if (l)
		letter_free(l);
	if (r == 0)
		ring(d->hub->wake);
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
		silence(d->fd);
	pthread_mutex_unlock(&d->hub->lock);
	if (!l)
		return lost ? -ENOTCONN : -EAGAIN;
	r = wire_decode(zmq_msg_data(&l->msg), zmq_msg_size(&l->msg),
		l->has_payload ? &l->payload : NULL, WIRE_FROM_COORDINATOR, ret);
	letter_free(l);
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
	letters_free(&d->mail);
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
