/* The worker's side towards its clients: greets them, checks tickets, starts jobs, and carries
 * messages between them and the jobs' threads.
 *
 * Invariant: a job runs only for a ticket that the coordinator signed for this client and this
 * worker, and never more jobs than slots. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "worker/service_priv.h"

#define MESSAGES_PER_TURN 512
#define CLIENTS_MAX 16384

static struct client *
find_client(struct service *s, const struct wire_peer *p)
{
	for (size_t i = 0; i < s->n_clients; i++)
		if (wire_peer_eq(&s->clients[i].peer, p))
			return &s->clients[i];
	return NULL;
}

static struct client *
add_client(struct service *s, const struct wire_peer *p)
{
	if (s->n_clients == s->cap_clients) {
		size_t cap = MAX2((size_t)32, 2 * s->cap_clients);
		struct client *v;

		if (cap > CLIENTS_MAX)
			return NULL;
		v = reallocarray(s->clients, cap, sizeof(*v));
		if (!v)
			return NULL;
		s->clients = v;
		s->cap_clients = cap;
	}
	s->clients[s->n_clients] = (struct client){ .peer = *p };
	return &s->clients[s->n_clients++];
}

static void
remove_client(struct service *s, struct client *c)
{
	*c = s->clients[--s->n_clients];
}

static void
refuse(struct service *s, const struct wire_peer *p, Dray__Verdict verdict, const char *text)
{
	Dray__Refused m = DRAY__REFUSED__INIT;
	struct client *c = find_client(s, p);
	_cleanup_(freep) char *copy = strdup(text);

	if (!c)
		c = add_client(s, p);
	if (c) {
		c->dropped = true;
		if (c->job)
			job_stop(c->job, "its client broke the protocol");
	}
	log_throttled(
		&s->bad_peer, 5, "client dropped: key=%s: %s", *p->curve ? p->curve : "-", text);
	m.verdict = verdict;
	m.text = copy;
	if (copy)
		wire_send(s->socket, p, WIRE_REFUSED, &m.base, NULL, 0);
}

static void
on_hello(struct service *s, const struct wire_peer *p, const Dray__Hello *h)
{
	Dray__Welcome m = DRAY__WELCOME__INIT;
	struct client *c = find_client(s, p);

	if (h->version_min > WIRE_VERSION || h->version_max < WIRE_VERSION) {
		char text[160];

		snprintf(text, sizeof(text),
			"This worker (dray %s) speaks protocol version %u only, the client "
			"versions %u "
			"to %u.",
			PACKAGE_VERSION, WIRE_VERSION, h->version_min, h->version_max);
		refuse(s, p, DRAY__VERDICT__VERDICT_VERSION, text);
		return;
	}
	if (!streq(h->role, "client")) {
		refuse(s, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "A worker talks to clients only.");
		return;
	}
	if (!c && !add_client(s, p)) {
		log_throttled(&s->bad_peer, 5, "no room for another client");
		return;
	}
	m.version = WIRE_VERSION;
	m.name = s->name;
	wire_send(s->socket, p, WIRE_WELCOME, &m.base, NULL, 0);
}

static void reject(struct service *s, struct client *c, Dray__Verdict verdict, const char *fmt, ...)
	_printf_(4, 5);

static void
reject(struct service *s, struct client *c, Dray__Verdict verdict, const char *fmt, ...)
{
	Dray__JobRejected m = DRAY__JOB_REJECTED__INIT;
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_throttled(&s->rejected, 10, "job rejected: client=%s: %s",
		*c->peer.curve ? c->peer.curve : "-", text);
	m.verdict = verdict;
	m.text = text;
	wire_send(s->socket, &c->peer, WIRE_JOB_REJECTED, &m.base, NULL, 0);
}

static const char *
ticket_problem(int err)
{
	switch (err) {
	case -EKEYREJECTED:
		return "The ticket is not signed by this worker's coordinator.";
	case -EKEYEXPIRED:
		return "The ticket has expired.";
	case -EALREADY:
		return "The ticket was used before.";
	case -EACCES:
		return "The ticket is for somebody else.";
	case -EBUSY:
		return "Too many tickets at a time.";
	default:
		return "The ticket cannot be read.";
	}
}

static bool
is_job_id(const char *s)
{
	return strlen(s) == 32 && strspn(s, "0123456789abcdef") == 32;
}

static bool
is_running(const struct service *s, const char *job)
{
	for (unsigned i = 0; i < s->n_jobs; i++)
		if (streq(job_id(s->jobs[i]), job))
			return true;
	return false;
}

static struct offer *
wanted_offer(const struct service *s, const Dray__Unit *unit)
{
	struct digest id;

	if (!unit || unit->toolchain.len != DIGEST_SIZE)
		return NULL;
	memcpy(id.b, unit->toolchain.data, DIGEST_SIZE);
	return offers_get(&s->offers, &id);
}

static void
on_job_open(struct service *s, struct client *c, struct wire_msg *msg)
{
	const Dray__JobOpen *o = (const Dray__JobOpen *)msg->body;
	struct offer *offer = wanted_offer(s, o->unit);
	_cleanup_(freep) char *job = NULL;
	int r;

	if (c->job) {
		refuse(s, &c->peer, DRAY__VERDICT__VERDICT_MALFORMED, "A second JobOpen.");
		return;
	}
	r = ticket_check(s->tickets, o->ticket.data, o->ticket.len, o->signature.data,
		o->signature.len, s->coordinator.sign_public, c->peer.curve,
		s->local ? "" : s->identity.curve_public,
		link_up_time(s->link, clock_mono_ms(), clock_wall_ms()), &job);
	if (r < 0) {
		reject(s, c, DRAY__VERDICT__VERDICT_BAD_TICKET, "%s", ticket_problem(r));
		return;
	}
	if (!is_job_id(job) || is_running(s, job)) {
		reject(s, c, DRAY__VERDICT__VERDICT_BAD_TICKET,
			"The ticket's job id is not usable.");
		return;
	}
	if (s->draining) {
		reject(s, c, DRAY__VERDICT__VERDICT_DRAINING, "This worker is going away.");
		return;
	}
	if (s->n_jobs >= s->slots) {
		reject(s, c, DRAY__VERDICT__VERDICT_FULL, "All slots of this worker are in use.");
		return;
	}
	if (!offer) {
		reject(s, c, DRAY__VERDICT__VERDICT_NO_TOOLCHAIN,
			"This worker does not have the unit's toolchain.");
		return;
	}
	log_debug("job=%s crate=%.64s client=%s", job, o->unit->crate, c->peer.curve);
	r = job_start(&s->shared, job, offer, &c->peer, msg, &c->job);
	if (r < 0) {
		c->job = NULL;
		reject(s, c, DRAY__VERDICT__VERDICT_WORKER_FAULT, "Cannot start a job: %s.",
			strerror(-r));
		return;
	}
	s->jobs[s->n_jobs++] = c->job;
	link_up_job_started(s->link, job);
}

static void
on_message(struct service *s, const struct wire_peer *p, struct wire_msg *m)
{
	struct client *c = find_client(s, p);

	if (c && c->dropped)
		return;
	if (m->info->type == WIRE_HELLO) {
		on_hello(s, p, (const Dray__Hello *)m->body);
		return;
	}
	if (!c) {
		refuse(s, p, DRAY__VERDICT__VERDICT_MALFORMED, "Hello must come first.");
		return;
	}
	switch (m->info->type) {
	case WIRE_JOB_OPEN:
		on_job_open(s, c, m);
		break;
	case WIRE_BLOB_CHUNK:
	case WIRE_FILE_ANSWER:
	case WIRE_CREDIT:
	case WIRE_JOB_STOP:
		/* After a job's end its last messages may still be on the way. */
		if (c->job && job_hand(c->job, m) < 0)
			refuse(s, p, DRAY__VERDICT__VERDICT_MALFORMED,
				"More messages than there was credit for.");
		break;
	default:
		refuse(s, p, DRAY__VERDICT__VERDICT_MALFORMED,
			"A message that is not for a worker.");
	}
}

void
clients_receive(struct service *s)
{
	for (unsigned i = 0; i < MESSAGES_PER_TURN; i++) {
		struct wire_msg m = WIRE_MSG_INIT;
		struct wire_peer peer;
		int r;

		memset(&peer, 0, sizeof(peer));
		peer.fd = -1;
		r = wire_recv(s->socket, &peer, WIRE_FROM_CLIENT, &m);
		if (r == -EAGAIN)
			return;
		monitor_note(s->monitor, &peer);
		if (r < 0) {
			const struct client *c = find_client(s, &peer);

			if (!c || !c->dropped)
				refuse(s, &peer, wire_verdict_of(r),
					"A message that cannot be decoded.");
		} else {
			on_message(s, &peer, &m);
		}
		wire_msg_done(&m);
	}
}

void
clients_gone(struct service *s)
{
	struct wire_peer peer;

	while (monitor_next(s->monitor, &peer) == MONITOR_PEER_GONE) {
		struct client *c = find_client(s, &peer);

		if (!c)
			continue;
		if (c->job)
			job_stop(c->job, "its client is gone");
		remove_client(s, c);
	}
}

static enum wire_type
type_of(zmq_msg_t *header)
{
	const uint8_t *p = zmq_msg_data(header);

	return zmq_msg_size(header) < WIRE_HEADER_SIZE ? 0 : (enum wire_type)(p[6] << 8 | p[7]);
}

/* Passes a job's frames on as they are. A client that does not take them loses its job: it is gone,
 * or it reads nothing although its credit promises room. */
static void
pass_on(struct service *s, struct job *j, zmq_msg_t *frames, int n)
{
	const struct wire_peer *p = job_peer(j);
	int r = zmq_send(s->socket, p->id, p->id_len, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0 ? -1 : 0;

	for (int i = 0; r == 0 && i < n; i++)
		if (zmq_msg_send(&frames[i], s->socket,
			    ZMQ_DONTWAIT | (i + 1 < n ? ZMQ_SNDMORE : 0)) < 0)
			r = -1;
	if (r < 0)
		job_stop(j, "its client does not take its messages");
}

/* Joins the job's thread and frees its slot. */
static void
leave_slot(struct service *s, struct job *j)
{
	for (unsigned i = 0; i < s->n_jobs; i++)
		if (s->jobs[i] == j)
			s->jobs[i--] = s->jobs[--s->n_jobs];
	job_join(j);
}

static void
on_job_ended(struct service *s, struct job *j, zmq_msg_t *header)
{
	struct wire_msg m = WIRE_MSG_INIT;

	if (wire_decode(zmq_msg_data(header), zmq_msg_size(header), NULL, WIRE_FROM_WORKER, &m) ==
		0)
		link_up_job_ended(s->link, (const Dray__WorkerJobEnded *)m.body);
	wire_msg_done(&m);
	for (size_t i = 0; i < s->n_clients; i++)
		if (s->clients[i].job == j)
			s->clients[i].job = NULL;
	leave_slot(s, j);
}

bool
clients_from_job(struct service *s, struct job *j)
{
	for (unsigned turn = 0; turn < MESSAGES_PER_TURN; turn++) {
		zmq_msg_t frames[2];
		bool ended = false;
		int n = 0;

		zmq_msg_init(&frames[0]);
		if (zmq_msg_recv(&frames[0], job_socket(j), ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(&frames[0]);
			return false;
		}
		n = 1;
		if (zmq_msg_more(&frames[0])) {
			zmq_msg_init(&frames[n]);
			zmq_msg_recv(&frames[n], job_socket(j), 0);
			n++;
		}
		ended = type_of(&frames[0]) == WIRE_WORKER_JOB_ENDED;
		if (ended)
			on_job_ended(s, j, &frames[0]);
		else
			pass_on(s, j, frames, n);
		for (int i = 0; i < n; i++)
			zmq_msg_close(&frames[i]);
		if (ended)
			return true;
	}
	return false;
}
