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
#define SILENT_MS 15000 /* a connection that has not said a word */
/* Of one client key: content sent and not acknowledged, in chunks of 256 KiB at most; and packed
 * units, which take about four times as much memory. */
#define KEY_UNREAD_MAX(slots) MAX2(256u, 8 * (slots))
#define KEY_UNITS_MAX (64u * 1024 * 1024)

int
clients_init(struct service *s)
{
	table_key(s->hash_key);
	return table_init(&s->clients);
}

void
clients_done(struct service *s)
{
	struct table_node *node, *next;

	for (node = s->clients.bucket ? table_walk(&s->clients, NULL) : NULL; node; node = next) {
		next = table_walk(&s->clients, node);
		free(table_entry(node, struct client, by_id));
	}
	table_done(&s->clients);
}

static uint64_t
id_hash(const struct service *s, const struct wire_peer *p)
{
	return table_hash(s->hash_key, p->id, p->id_len);
}

static struct client *
find_client(struct service *s, const struct wire_peer *p)
{
	struct table_node *node = table_find(&s->clients, id_hash(s, p));

	for (; node; node = table_find_next(node)) {
		struct client *c = table_entry(node, struct client, by_id);

		if (wire_peer_eq(&c->peer, p))
			return c;
	}
	return NULL;
}

static struct client *
add_client(struct service *s, const struct wire_peer *p, enum role role)
{
	struct client *c = s->clients.n < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;

	if (!c)
		return NULL;
	c->peer = *p;
	c->state = ADMIT_GREETED;
	c->role = role;
	c->crowded = !door_enter(s->door, p->curve, clock_mono_ms());
	table_put(&s->clients, &c->by_id, id_hash(s, p));
	return c;
}

static void
remove_client(struct service *s, struct client *c)
{
	table_del(&s->clients, &c->by_id);
	door_unread(s->door, c->peer.curve, -(int)c->unread);
	door_leave(s->door, c->peer.curve);
	free(c);
}

static struct job *
find_job(const struct service *s, const struct wire_peer *p, uint32_t number)
{
	for (unsigned i = 0; i < s->n_jobs; i++)
		if (job_number(s->jobs[i]) == number && wire_peer_eq(job_peer(s->jobs[i]), p) &&
			job_phase(s->jobs[i]) != ADMIT_DROPPED)
			return s->jobs[i];
	return NULL;
}

static void
stop_jobs(struct service *s, const struct wire_peer *p, const char *why)
{
	for (unsigned i = 0; i < s->n_jobs; i++)
		if (wire_peer_eq(job_peer(s->jobs[i]), p))
			job_stop(s->jobs[i], why);
}

/* A message that was of no use. */
static void
note_waste(struct service *s, const struct wire_peer *p)
{
	uint64_t now = clock_mono_ms();
	unsigned ms = door_waste(s->door, p->curve, now);

	if (ms > 0)
		monitor_hold(s->monitor, p, ms, now);
}

static void
refuse(struct service *s, const struct wire_peer *p, Dray__Verdict verdict, const char *text)
{
	Dray__Refused m = DRAY__REFUSED__INIT;
	struct client *c = find_client(s, p);
	_cleanup_(freep) char *copy = strdup(text);

	if (!c)
		c = add_client(s, p, ROLE_NONE);
	if (c)
		c->state = ADMIT_DROPPED;
	stop_jobs(s, p, "its client broke the protocol");
	note_waste(s, p);
	log_throttled(
		&s->bad_peer, 5, "client dropped: key=%s: %s", *p->curve ? p->curve : "-", text);
	m.verdict = verdict;
	m.text = copy;
	if (copy)
		wire_send(s->socket, p, WIRE_REFUSED, &m.base, NULL, 0);
	monitor_end(s->monitor, p, clock_mono_ms());
}

static void
on_hello(struct service *s, const struct wire_peer *p, const Dray__Hello *h)
{
	static char in_turn[] = WIRE_IN_TURN, at_once[] = WIRE_AT_ONCE, peers[] = WIRE_PEERS;
	char *features[] = { in_turn, at_once, peers };
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
	if (!c)
		c = add_client(s, p, s->local ? ROLE_CLIENT : upstreams_role(s, p));
	if (!c) {
		log_throttled(&s->bad_peer, 5, "no room for another client");
		return;
	}
	if (c->crowded) {
		refuse(s, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"This key has too many connections.");
		return;
	}
	m.version = WIRE_VERSION;
	m.name = s->name;
	m.features = features;
	m.n_features = ARRAY_LEN(features) - (others_serve(s) ? 0 : 1);
	wire_send(s->socket, p, WIRE_WELCOME, &m.base, NULL, 0);
}

static void reject(struct service *s, struct client *c, uint32_t number, Dray__Verdict verdict,
	const char *fmt, ...) _printf_(5, 6);

static void
reject(struct service *s, struct client *c, uint32_t number, Dray__Verdict verdict, const char *fmt,
	...)
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
	wire_send_job(s->socket, &c->peer, number, WIRE_JOB_REJECTED, &m.base, NULL);
}

static const char *
ticket_problem(int err)
{
	switch (err) {
	case -EKEYREJECTED:
		return "The ticket is not signed by a coordinator of this worker.";
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

/* Of the units that one key has here, as they came. */
static uint64_t
unit_bytes(const struct service *s, const struct wire_peer *p)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->n_jobs; i++)
		if (streq(job_peer(s->jobs[i])->curve, p->curve))
			sum += job_unit_size(s->jobs[i]);
	return sum;
}

static unsigned
slots_used(const struct service *s)
{
	return s->n_jobs - s->n_twins - s->n_samples - s->n_pushes;
}

static struct offer *
wanted_offer(const struct service *s, const ProtobufCBinaryData *toolchain)
{
	struct digest id;

	if (toolchain->len != DIGEST_SIZE)
		return NULL;
	memcpy(id.b, toolchain->data, DIGEST_SIZE);
	return offers_get(&s->offers, &id);
}

/* Where what is made for it is shared: as the coordinator's list has it for the client's key. NULL:
 * nowhere. */
static const char *
share_in(const struct upstream *up, const struct wire_peer *p)
{
	return up->service->local || door_role(up->door, p->curve) == ROLE_NONE ||
			       !door_shares(up->door, p->curve)
		       ? NULL
		       : door_namespace(up->door, p->curve);
}

/* A sample has no slot: the coordinator says when one is to run, whatever else does. A refill,
 * which takes its place, is only taken where a slot is free. */
static bool
has_room(const struct service *s, const struct upstream *up, const struct job_in *start)
{
	if (start->sample)
		return s->n_samples < SAMPLES && up->share &&
		       (!start->refill || slots_used(s) < s->slots);
	return start->twin || slots_used(s) < s->slots;
}

/* The same for one who gives a toolchain. */
static const char *
why_not_given(const struct service *s, const Dray__JobOpen *o, const struct job_in *start,
	Dray__Verdict *ret)
{
	*ret = DRAY__VERDICT__VERDICT_NOT_ALLOWED;
	if (s->conf->worker.toolchains_max == 0)
		return "This worker takes no toolchains: its [worker] toolchains_max is 0.";
	*ret = DRAY__VERDICT__VERDICT_FULL;
	if (s->n_pushes >= PUSHES)
		return "This worker is being given another toolchain.";
	if (start->offer)
		return "This worker has the toolchain already.";
	if (given_still_has(s, &o->toolchain))
		return "This worker still has jobs of the toolchain, which was withdrawn.";
	*ret = DRAY__VERDICT__VERDICT_LIMIT;
	return given_has_room(s, start->push_max)
		       ? NULL
		       : "The toolchain has no room beside those in use here ([worker] "
			 "toolchains_max).";
}

/* Why a job with a good ticket is not taken; NULL: it is. */
static const char *
why_not(struct service *s, const struct upstream *up, const struct client *c,
	const Dray__JobOpen *o, const struct job_in *start, Dray__Verdict *ret)
{
	*ret = DRAY__VERDICT__VERDICT_BAD_TICKET;
	if (!is_job_id(start->id))
		return "The ticket's job id is not usable.";
	if (start->sample && (s->local || !*c->peer.curve))
		return "What is compiled again is of those that have keys.";
	/* it may be here for another coordinator's jobs; what this one says of it is on its way */
	*ret = DRAY__VERDICT__VERDICT_FULL;
	if (!upstream_names(up, &c->peer))
		return "The coordinator has not named this client's key yet.";
	*ret = DRAY__VERDICT__VERDICT_NOT_ALLOWED;
	if (start->refill && (!up->share || !start->share_in))
		return "This worker shares nothing of what it would make.";
	/* an earlier try of it is being cleared away: nobody's fault */
	*ret = DRAY__VERDICT__VERDICT_FULL;
	if (is_running(s, start->id))
		return "An earlier try of this job has not ended here.";
	*ret = DRAY__VERDICT__VERDICT_DRAINING;
	if (s->draining)
		return "This worker is going away.";
	*ret = DRAY__VERDICT__VERDICT_LIMIT;
	if (unit_bytes(s, &c->peer) + o->unit_size > KEY_UNITS_MAX)
		return "The units of this client's key take too much memory.";
	if (start->push)
		return why_not_given(s, o, start, ret);
	*ret = DRAY__VERDICT__VERDICT_TWIN_DIFFERS;
	if (start->twin && s->n_twins >= s->twins)
		return "This worker has too many jobs that join others.";
	*ret = DRAY__VERDICT__VERDICT_FULL;
	if (!has_room(s, up, start))
		return start->sample ? "This worker compiles nothing again now."
				     : "All slots of this worker are in use.";
	*ret = DRAY__VERDICT__VERDICT_NO_TOOLCHAIN;
	return start->offer ? NULL : "This worker does not have the unit's toolchain.";
}

static void
on_job_open(struct service *s, struct client *c, struct wire_msg *msg)
{
	const Dray__JobOpen *o = (const Dray__JobOpen *)msg->body;
	_cleanup_(freep) char *job = NULL;
	struct job_in start = {
		.offer = wanted_offer(s, &o->toolchain), .peer = &c->peer, .open = msg
	};
	struct ticket_terms terms = { .twin = false };
	struct upstream *up = NULL;
	struct job *started = NULL;
	uint32_t number = msg->job;
	Dray__Verdict verdict;
	const char *why;
	int r;

	r = upstreams_issuer(s, &c->peer, o, &up, &job, &terms);
	if (r < 0) {
		reject(s, c, number, DRAY__VERDICT__VERDICT_BAD_TICKET, "%s", ticket_problem(r));
		return;
	}
	start.id = job;
	start.namespace = door_namespace(up->door, c->peer.curve);
	start.share_in = share_in(up, &c->peer);
	start.twin = terms.twin;
	start.sample = terms.sample || terms.refill;
	start.refill = terms.refill;
	start.push = terms.push;
	start.push_max = o->push_bytes;
	if (terms.sample)
		start.namespace = start.share_in = terms.namespace;
	if (!ticket_is_for(&terms, o->toolchain.data, o->toolchain.len)) {
		link_up_job_refused(up->link, job);
		reject(s, c, number, DRAY__VERDICT__VERDICT_BAD_TICKET,
			"The ticket is for another toolchain.");
		return;
	}
	why = why_not(s, up, c, o, &start, &verdict);
	if (why) {
		if (start.sample || start.push ||
			(verdict == DRAY__VERDICT__VERDICT_FULL && !is_running(s, job)))
			link_up_job_refused(up->link, job);
		/* it takes this worker for full now */
		if (slots_used(s) < s->slots)
			link_up_tell_soon(up->link);
		reject(s, c, number, verdict, "%s", why);
		return;
	}
	log_debug("job=%s client=%s unit_bytes=%u", job, c->peer.curve, o->unit_size);
	if (start.push)
		start.offer = NULL;
	r = job_start(&up->shared, &start, &started);
	if (r < 0) {
		reject(s, c, number, DRAY__VERDICT__VERDICT_WORKER_FAULT, "Cannot start a job: %s.",
			strerror(-r));
		return;
	}
	if (door_is_on_trial(up->door, c->peer.curve))
		job_put_on_trial(started);
	s->jobs[s->n_jobs++] = started;
	s->n_twins += start.twin;
	s->n_samples += start.sample;
	s->n_pushes += start.push;
	given_use(s, start.offer);
	if (start.sample)
		link_up_sample_started(up->link, job, false);
	else if (!start.push)
		link_up_job_started(up->link, job, start.twin);
}

/* It has acknowledged content. */
static void
took(struct service *s, struct client *c, uint32_t n)
{
	n = MIN2(n, c->unread);
	c->unread -= n;
	door_unread(s->door, c->peer.curve, -(int)n);
}

/* ---- blobs for other workers */

static void
end_get(struct service *s, const struct wire_peer *p, uint32_t number, Dray__Verdict verdict,
	const char *why)
{
	Dray__SharedEnd m = DRAY__SHARED_END__INIT;
	char text[128];

	snprintf(text, sizeof(text), "%s", why);
	m.verdict = verdict;
	m.text = text;
	wire_send_job(s->socket, p, number, WIRE_SHARED_END, &m.base, NULL);
}

static void
on_get(struct service *s, struct client *c, const struct wire_msg *msg)
{
	const Dray__SharedGet *m = (const Dray__SharedGet *)msg->body;
	char owner[CURVE_KEY_SIZE];
	struct upstream *up = NULL;
	int r = upstreams_getter(s, &c->peer, m, &up, owner);

	if (r < 0) {
		note_waste(s, &c->peer);
		end_get(s, &c->peer, msg->job, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			r == -EOPNOTSUPP ? "This worker gives no blobs." : ticket_problem(r));
		return;
	}
	r = serve_get(up->serve, &c->peer, msg->job, owner, m);
	if (r == -EBADMSG)
		refuse(s, &c->peer, DRAY__VERDICT__VERDICT_MALFORMED,
			"A request for blobs that makes no sense.");
	if (r == -EBADMSG || r == 0)
		return;
	/* one request too many: answering it without end is work of no use, too */
	note_waste(s, &c->peer);
	end_get(s, &c->peer, msg->job, DRAY__VERDICT__VERDICT_FULL,
		"There are too many requests for blobs.");
}

static void
on_get_credit(struct service *s, struct client *c, const struct wire_msg *msg)
{
	uint32_t n = ((const Dray__SharedCredit *)msg->body)->n;

	took(s, c, n);
	others_credit(s, &c->peer, msg->job, n);
}

static void
refuse_unheard(struct service *s, const struct wire_peer *p, enum admit why)
{
	switch (why) {
	case ADMIT_NOT_HERE:
		refuse(s, p, DRAY__VERDICT__VERDICT_MALFORMED,
			"A message that is not for a worker.");
		return;
	case ADMIT_NOT_OF_ROLE:
		refuse(s, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"A message that this key may not send.");
		return;
	default:
		refuse(s, p, DRAY__VERDICT__VERDICT_MALFORMED,
			find_client(s, p) ? "A message that is not allowed now."
					  : "Hello must come first.");
	}
}

/* For the messages that this loop reads itself. */
static void
on_own_message(struct service *s, const struct wire_peer *p, struct client *c, struct wire_raw *raw)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	int r = wire_open(raw, &m);

	if (r < 0)
		refuse(s, p, wire_verdict_of(r), "A message that cannot be decoded.");
	else if (m.info->type == WIRE_HELLO)
		on_hello(s, p, (const Dray__Hello *)m.body);
	else if (m.info->type == WIRE_JOB_OPEN && c)
		on_job_open(s, c, &m);
	else if (m.info->type == WIRE_SHARED_GET && c)
		on_get(s, c, &m);
	else if (m.info->type == WIRE_SHARED_STOP && c)
		others_stop(s, &c->peer, m.job);
	else if (m.info->type == WIRE_SHARED_CREDIT && c && others_serve(s))
		on_get_credit(s, c, &m);
}

static void
note_credit(struct service *s, struct client *c, struct wire_raw *raw)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;

	if (wire_open(raw, &m) == 0)
		took(s, c, ((const Dray__Credit *)m.body)->n);
}

/* err: of wire_take. Nothing is decoded before proto/admit.c has allowed it. */
static void
on_message(struct service *s, const struct wire_peer *p, int err, struct wire_raw *raw)
{
	struct client *c = find_client(s, p);
	enum admit_state state = c ? c->state : ADMIT_NEW;
	enum role role = c ? c->role : upstreams_role(s, p);
	struct job *j = NULL;
	enum admit admit;

	if (state == ADMIT_DROPPED) {
		note_waste(s, p);
		return;
	}
	if (err < 0) {
		refuse(s, p, wire_verdict_of(err), "A message that cannot be decoded.");
		return;
	}
	if (c && wire_is_of_job(raw->info->type))
		j = find_job(s, p, raw->job);
	admit = admit_look(ADMIT_WORKER, j ? job_phase(j) : state, role, raw->info->type);
	/* Content of a job that has ended is acknowledged, too. */
	if (c && raw->info->type == WIRE_CREDIT && (admit == ADMIT_YES || admit == ADMIT_UNHEARD))
		note_credit(s, c, raw);
	if (admit == ADMIT_UNHEARD)
		return;
	if (admit != ADMIT_YES)
		refuse_unheard(s, p, admit);
	else if (!j)
		on_own_message(s, p, c, raw);
	else if (job_hand(j, raw) < 0)
		refuse(s, p, DRAY__VERDICT__VERDICT_MALFORMED,
			"More messages than there was credit for.");
}

bool
clients_receive(struct service *s)
{
	for (unsigned i = 0; i < MESSAGES_PER_TURN; i++) {
		_cleanup_(wire_raw_done) struct wire_raw raw;
		struct wire_peer peer;
		int r;

		memset(&peer, 0, sizeof(peer));
		peer.fd = -1;
		r = wire_take(s->socket, &peer, WIRE_FROM_CLIENT, &raw);
		if (r == -EAGAIN)
			return true;
		/* who chose its own name says nothing: its connection ends as a silent one */
		if (peer.id_len == 0)
			continue;
		monitor_note(s->monitor, &peer);
		monitor_took(s->monitor, &peer, wire_raw_size(&raw));
		s->passed += wire_raw_size(&raw);
		on_message(s, &peer, r, &raw);
	}
	return false;
}

void
clients_expire(struct service *s, bool caught_up)
{
	uint64_t now = clock_mono_ms();
	char address[GATE_TEXT_SIZE];

	monitor_look(s->monitor, caught_up, now);
	if (monitor_shut_out(s->monitor, address))
		log_throttled(&s->bad_peer, 5,
			"address=%s makes connections that say nothing; shut out for some seconds",
			address);
	if (now - s->expired_ms < 1000)
		return;
	s->expired_ms = now;
	monitor_expire(s->monitor, SILENT_MS, now);
	(void)daemon_rest(&s->rest, s->passed, now);
}

void
clients_gone(struct service *s)
{
	struct wire_peer peer;

	while (monitor_next(s->monitor, &peer) == MONITOR_PEER_GONE) {
		struct client *c = find_client(s, &peer);

		if (!c)
			continue;
		stop_jobs(s, &peer, "its client is gone");
		others_gone(s, &peer);
		remove_client(s, c);
	}
}

static enum wire_type
type_of(zmq_msg_t *header)
{
	const uint8_t *p = zmq_msg_data(header);

	return zmq_msg_size(header) < WIRE_HEADER_SIZE ? 0 : (enum wire_type)(p[6] << 8 | p[7]);
}

static void
say_compiles(const struct job *j)
{
	if (job_is_sample(j))
		link_up_sample_started(upstream_of(j)->link, job_id(j), true);
	else
		link_up_job_compiles(upstream_of(j)->link, job_id(j), job_alike(j));
}

/* What the client may say next depends on what it was told. */
static void
note_phase(struct job *j, enum wire_type type)
{
	if (type == WIRE_BLOB_NEED && job_phase(j) == ADMIT_OPENING)
		job_set_phase(j, ADMIT_FEEDING);
	else if (type == WIRE_JOB_STARTED)
		job_set_phase(j, ADMIT_RUNNING);
	else if (type == WIRE_JOB_RESULT || type == WIRE_JOB_REJECTED)
		job_set_phase(j, ADMIT_DROPPED);
}

/* Memory of one key, over all its connections: what it was sent and did not acknowledge. */
static bool
takes_more(struct service *s, struct client *c, enum wire_type type)
{
	if (type != WIRE_JOB_TEXT && type != WIRE_OUTPUT_CHUNK && type != WIRE_SHARED_DATA)
		return true;
	if (door_unread(s->door, c->peer.curve, 1) > KEY_UNREAD_MAX(s->slots)) {
		door_unread(s->door, c->peer.curve, -1);
		return false;
	}
	c->unread++;
	return true;
}

/* Frames as they are. False: the peer does not take them. */
static bool
send_frames(struct service *s, const struct wire_peer *p, zmq_msg_t *frames, int n)
{
	int r = zmq_send(s->socket, p->id, p->id_len, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0 ? -1 : 0;

	for (int i = 0; r == 0 && i < n; i++)
		if (zmq_msg_send(&frames[i], s->socket,
			    ZMQ_DONTWAIT | (i + 1 < n ? ZMQ_SNDMORE : 0)) < 0)
			r = -1;
	return r == 0;
}

/* Passes on a job's frames. A client that does not take them loses its job: it is gone, or it reads
 * nothing although its credit promises room. */
static void
pass_on(struct service *s, struct job *j, zmq_msg_t *frames, int n)
{
	const struct wire_peer *p = job_peer(j);
	struct client *c = find_client(s, p);

	if (!c || !takes_more(s, c, type_of(&frames[0])))
		job_stop(j, "its client does not read what it is sent");
	else if (!send_frames(s, p, frames, n))
		job_stop(j, "its client does not take its messages");
}

static void
serve_from(struct service *s, struct serve *from)
{
	struct serve_word w;

	for (unsigned i = 0; i < MESSAGES_PER_TURN && serve_next(from, &w); i++) {
		struct client *c = find_client(s, &w.peer);

		s->passed += zmq_msg_size(&w.frames[1]);
		if (!c || !takes_more(s, c, type_of(&w.frames[0])) ||
			!send_frames(s, &w.peer, w.frames, w.data ? 2 : 1))
			serve_gone(from, &w.peer);
		zmq_msg_close(&w.frames[0]);
		zmq_msg_close(&w.frames[1]);
	}
}

void
clients_serve(struct service *s)
{
	for (size_t i = 0; i < s->n_up; i++)
		if (s->up[i].serve)
			serve_from(s, s->up[i].serve);
}

/* Joins the job's thread and frees its slot. */
static void
leave_slot(struct service *s, struct job *j)
{
	for (unsigned i = 0; i < s->n_jobs; i++)
		if (s->jobs[i] == j)
			s->jobs[i--] = s->jobs[--s->n_jobs];
	s->n_twins -= job_is_twin(j);
	s->n_samples -= job_is_sample(j);
	s->n_pushes -= job_is_push(j);
	given_take(s, job_take_pushed(j));
	given_leave(s, job_offer(j));
	job_join(j);
}

static void
on_job_ended(struct service *s, struct job *j, zmq_msg_t *header)
{
	struct wire_msg m = WIRE_MSG_INIT;

	if (wire_decode(zmq_msg_data(header), zmq_msg_size(header), NULL, WIRE_FROM_WORKER, &m) ==
		0)
		link_up_job_ended(upstream_of(j)->link, (const Dray__WorkerJobEnded *)m.body);
	wire_msg_done(&m);
	leave_slot(s, j);
}

static void
on_job_holds(const struct job *j, zmq_msg_t *header)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;

	if (wire_decode(zmq_msg_data(header), zmq_msg_size(header), NULL, WIRE_FROM_WORKER, &m) ==
		0)
		link_up_holds(upstream_of(j)->link, (const Dray__WorkerHolds *)m.body);
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
			s->passed += zmq_msg_size(&frames[n]);
			n++;
		}
		ended = type_of(&frames[0]) == WIRE_WORKER_JOB_ENDED;
		if (ended) {
			on_job_ended(s, j, &frames[0]);
		} else if (type_of(&frames[0]) == WIRE_WORKER_HOLDS) {
			on_job_holds(j, &frames[0]);
		} else {
			note_phase(j, type_of(&frames[0]));
			if (type_of(&frames[0]) == WIRE_JOB_STARTED && !job_is_push(j))
				say_compiles(j);
			pass_on(s, j, frames, n);
		}
		for (int i = 0; i < n; i++)
			zmq_msg_close(&frames[i]);
		if (ended)
			return true;
	}
	return false;
}
