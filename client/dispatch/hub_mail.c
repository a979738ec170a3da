/* What the hub's seats, desks and connections hand to each other. Invariant: a message is in one
 * list at a time. */
#include "config.h"

#include "client/dispatch/hub_priv.h"
#include "common/clock.h"

struct letter *
hub_letter_new(void)
{
	struct letter *l = calloc(1, sizeof(*l));

	if (l) {
		zmq_msg_init(&l->msg);
		zmq_msg_init(&l->payload);
	}
	return l;
}

void
hub_letter_free(struct letter *l)
{
	zmq_msg_close(&l->msg);
	zmq_msg_close(&l->payload);
	free(l);
}

void
hub_letters_free(struct letters *v)
{
	struct letter *l;

	while ((l = TAILQ_FIRST(v)) != NULL) {
		TAILQ_REMOVE(v, l, link);
		hub_letter_free(l);
	}
}

void
hub_ring(int fd)
{
	const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

void
hub_silence(int fd)
{
	uint64_t n;

	(void)!read(fd, &n, sizeof(n));
}

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
send_letter(void *socket, struct letter *l)
{
	int flags = ZMQ_DONTWAIT | (l->has_payload ? ZMQ_SNDMORE : 0), r;

	do
		r = zmq_msg_send(&l->msg, socket, flags);
	while (r < 0 && zmq_errno() == EINTR);
	while (r >= 0 && l->has_payload && zmq_msg_send(&l->payload, socket, ZMQ_DONTWAIT) < 0 &&
		zmq_errno() == EINTR)
		;
}

/* What the socket does not take is lost, as it is where a connection is lost: who asked asks anew,
 * or gives up. So is what is said while there is no connection: it would wait in the socket, and be
 * the first that a coordinator hears on the next one, before Hello. */
void
hub_send_all(struct hub *h)
{
	struct letter *l;

	hub_silence(h->wake);
	while ((l = take_first(h, &h->outbox)) != NULL) {
		const struct farm *f = l->of_desk ? h->farm : h->ways[l->way].farm;

		if (l->asks && f == h->farm && !h->mute_ms)
			h->mute_ms = clock_mono_ms();
		if (f && !f->lost)
			send_letter(f->socket, l);
		hub_letter_free(l);
	}
}

/* The lock is held. Without memory the seat waits in vain, and its unit is compiled here. */
void
hub_put_mail(struct hub_seat *s, zmq_msg_t *msg)
{
	struct letter *l = hub_letter_new();

	if (!l)
		return;
	zmq_msg_copy(&l->msg, msg);
	TAILQ_INSERT_TAIL(&s->mail, l, link);
	hub_ring(s->fd);
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
void
hub_hear_welcome(struct hub *h, const Dray__Welcome *m)
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

/* The lock is held. */
void
hub_put_event(struct hub_seat *s, enum monitor_event event)
{
	if (s->n_events == EVENTS_MAX)
		memmove(s->events, s->events + 1, --s->n_events * sizeof(s->events[0]));
	s->events[s->n_events++] = event;
	hub_ring(s->fd);
}

/* The lock is held. */
void
hub_lose_desks(struct hub *h)
{
	struct hub_desk *d;

	h->greeted = h->has_cache = h->may_put = h->refills = h->asked = h->vouched = false;
	TAILQ_FOREACH(d, &h->desks, link)
	{
		hub_letters_free(&d->mail);
		d->lost = true;
		hub_ring(d->fd);
	}
}
