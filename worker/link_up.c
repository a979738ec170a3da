/* Invariant: nothing is sent on a link that is not up, and the first messages on each new link are
 * Hello and WorkerRegister. So a coordinator that was restarted first learns what runs here. */
#include "config.h"

#include "worker/link_up.h"

#include <errno.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log/log.h"
#include "common/table.h"
#include "proto/socket.h"
#include "proto/wire.h"
#include "keys/ticket.h"

/* After a refusal the coordinator is asked again after this time: an admin may have added our key.
 */
#define AGAIN_MS 5000
/* Clocks that differ by more are logged. */
#define APART_S 60
/* Between heartbeats that tell of slots which other coordinators' jobs took or left. */
#define TELL_MS 20

struct link_up {
	struct link_up_conf c;
	void *ctx;
	void *socket; /* both NULL while a new connection cannot be made */
	struct monitor *monitor;
	bool connected, welcomed, draining;
	bool wanted;	  /* others wait for our slots */
	bool peers;	  /* it says which worker has what */
	size_t n_offers;  /* as it was registered; */
	uint64_t offered; /* and its stamp */
	bool refused;	  /* our key was: a new connection is due at next_register */
	struct ticket_clock clock;
	int64_t told_s; /* how far apart the clocks were when it was last logged */
	uint8_t instance[16];
	uint64_t beat_ms, next_beat, next_register, sequence;
	uint64_t last_beat;
	unsigned elsewhere; /* as it was told last */
	char refusal[512];
	struct log_throttle throttle;
};

static int
connect_up(struct link_up *l)
{
	const struct link_up_conf *c = &l->c;

	if (!*c->at)
		return -EDESTADDRREQ;
	return socket_connect_talking(l->ctx, c->at, c->identity,
		c->coordinator ? c->coordinator->curve_public : NULL, (int)l->beat_ms, &l->socket,
		&l->monitor);
}

/* libzmq never tries again after its key was refused: only a new socket does. */
static void
reconnect_up(struct link_up *l)
{
	monitor_freep(&l->monitor);
	socket_closep(&l->socket);
	l->refused = false;
	if (connect_up(l) < 0)
		l->refused = true;
}

void
link_up_reconnect(struct link_up *l)
{
	l->connected = l->welcomed = false;
	l->next_register = 0;
	reconnect_up(l);
}

int
link_up_new(void *ctx, const struct link_up_conf *c, struct link_up **ret)
{
	struct link_up *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->c = *c;
	table_key(l->instance);
	l->beat_ms = MAX2(c->conf->worker.heartbeat_ms, (uint64_t)50);
	l->ctx = ctx;
	r = connect_up(l);
	if (r == -EDESTADDRREQ) {
		l->refused = true;
		r = 0;
	}
	if (r < 0) {
		link_up_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void
link_up_moved(struct link_up *l)
{
	l->connected = l->welcomed = false;
	reconnect_up(l);
}

void
link_up_free(struct link_up *l)
{
	if (!l)
		return;
	monitor_free(l->monitor);
	socket_closep(&l->socket);
	free(l);
}

void *
link_up_socket(struct link_up *l)
{
	return l->socket;
}

void *
link_up_monitor(struct link_up *l)
{
	return l->monitor ? monitor_socket(l->monitor) : NULL;
}

bool
link_up_welcomed(const struct link_up *l)
{
	return l->welcomed;
}

bool
link_up_wanted(const struct link_up *l)
{
	return l->wanted;
}

const char *
link_up_refusal(const struct link_up *l)
{
	return *l->refusal ? l->refusal : NULL;
}

static void
send_up(struct link_up *l, enum wire_type type, const ProtobufCMessage *body)
{
	int r = wire_send(l->socket, NULL, type, body, NULL, 0);

	if (r < 0)
		log_throttled(&l->throttle, 5, "cannot send %s to the coordinator: %s",
			wire_info(type)->name, strerror(-r));
}

static void
send_hello(struct link_up *l)
{
	char role[] = "worker";
	Dray__Hello m;

	wire_hello_hears(&m, role);
	send_up(l, WIRE_HELLO, &m.base);
}

/* protobuf-c's strings are not const, though packing only reads them. */
static char *
borrow(const char *s)
{
	union {
		const char *from;
		char *to;
	} u = { .from = s };

	return u.to;
}

static uint8_t *
borrow_bytes(const uint8_t *p)
{
	union {
		const uint8_t *from;
		uint8_t *to;
	} u = { .from = p };

	return u.to;
}

static Dray__Offer *
offer_message(Dray__Offer *m, struct digest *id, char *text, const struct offer *o)
{
	dray__offer__init(m);
	m->toolchain.data = id->b;
	m->toolchain.len = DIGEST_SIZE;
	m->text = text;
	m->bytes = o->bytes;
	m->pushed = o->pushed;
	return m;
}

/* offers and list: room for two of each offer. The coordinator refuses a worker with too many. */
static void
fill_register(const struct link_up *l, Dray__WorkerRegister *m, Dray__Offer *offers,
	Dray__Offer **list, const struct strv *running, const struct strv *joined)
{
	struct offer_said said[WIRE_OFFERS_MAX];

	m->offers = list;
	m->n_offers = offers_say(l->c.offers, said, WIRE_OFFERS_MAX);
	for (size_t i = 0; i < m->n_offers; i++) {
		struct offer *o = said[i].offer;

		list[i] = offer_message(&offers[i], said[i].native ? &o->native : &o->toolchain.id,
			said[i].native ? o->text_native : o->text, o);
	}
	m->name = borrow(l->c.name);
	m->endpoint = borrow(l->c.endpoint);
	m->curve_public = borrow(l->c.curve_public);
	m->cores = l->c.cores;
	m->slots = l->c.slots;
	m->memory = l->c.memory;
	m->glibc = toolchain_glibc_minor();
	m->running = running->v;
	m->n_running = running->n;
	m->twins = l->c.twins;
	m->joined = joined->v;
	m->n_joined = joined->n;
	m->draining = l->draining;
	m->samples = m->tells_samples = m->tells_alike = l->c.samples;
	if (l->c.cpu)
		m->cpu = (ProtobufCBinaryData){ DIGEST_SIZE, borrow_bytes(l->c.cpu->b) };
	m->peers = l->c.peers;
	m->takes_toolchains = l->c.takes_toolchains;
	m->instance.data = borrow_bytes(l->instance);
	m->instance.len = sizeof(l->instance);
}

static void
register_now(struct link_up *l, uint64_t now)
{
	Dray__WorkerRegister m = DRAY__WORKER_REGISTER__INIT;
	_cleanup_(strv_done) struct strv running = STRV_INIT, joined = STRV_INIT;
	_cleanup_(freep) Dray__Offer *offers = calloc(2 * l->c.offers->n + 1, sizeof(*offers));
	_cleanup_(freep) Dray__Offer **list = calloc(2 * l->c.offers->n + 1, sizeof(*list));

	l->next_register = now + AGAIN_MS;
	if (!offers || !list)
		return;
	l->n_offers = offers_count(l->c.offers);
	l->offered = offers_stamp(l->c.offers);
	l->c.list_running(l->c.arg, &running, &joined);
	fill_register(l, &m, offers, list, &running, &joined);
	send_hello(l);
	send_up(l, WIRE_WORKER_REGISTER, &m.base);
	/* At once: the answer says whether the coordinator takes this worker. */
	l->next_beat = now;
}

static void
on_event(struct link_up *l, enum monitor_event e, uint64_t now)
{
	switch (e) {
	case MONITOR_CONNECTED:
		l->connected = true;
		register_now(l, now);
		break;
	case MONITOR_DISCONNECTED:
		if (l->connected)
			log_warn("lost the coordinator: endpoint=%s; running jobs go on", l->c.at);
		l->connected = l->welcomed = false;
		break;
	case MONITOR_REFUSED:
	case MONITOR_PUT_OFF:
		l->connected = l->welcomed = false;
		l->refused = true;
		l->next_register = now + AGAIN_MS;
		snprintf(l->refusal, sizeof(l->refusal),
			"The coordinator at %s does not accept this worker's key (or is another "
			"one than its public key says, or too busy to answer in time). Its "
			"allowed-keys file needs the line: worker %s %s",
			l->c.at, l->c.curve_public, l->c.name);
		log_throttled(&l->throttle, 1, "%s", l->refusal);
		break;
	default:
		break;
	}
}

static void
on_refused(struct link_up *l, const Dray__Refused *m)
{
	l->welcomed = false;
	snprintf(l->refusal, sizeof(l->refusal), "%.500s", m->text);
	log_throttled(&l->throttle, 3, "the coordinator refuses this worker: %.400s", m->text);
}

/* Tickets go by the coordinator's clock. A difference from ours is only logged. */
static void
on_time(struct link_up *l, uint64_t time_ms, uint64_t now, uint64_t wall)
{
	int64_t apart;

	ticket_clock_set(&l->clock, time_ms, now);
	apart = (int64_t)(link_up_time(l, now, wall) - wall) / 1000;
	if (llabs(apart - l->told_s) <= APART_S)
		return;
	l->told_s = apart;
	log_throttled(&l->throttle, 5,
		"the coordinator's clock is %lld s %s this machine's; tickets go by the "
		"coordinator's",
		llabs(apart), apart < 0 ? "behind" : "ahead of");
}

static void
on_ack(struct link_up *l, const Dray__HeartbeatAck *m, uint64_t now)
{
	if (!m->known) {
		l->welcomed = false;
		register_now(l, now);
		return;
	}
	if (!l->welcomed)
		log_info("registered: coordinator=%s endpoint=%s slots=%u toolchains=%zu", l->c.at,
			l->c.endpoint, l->c.slots, l->n_offers);
	l->welcomed = true;
	l->wanted = m->wanted;
	l->refusal[0] = '\0';
}

static void
on_features(struct link_up *l, const Dray__Welcome *m)
{
	l->peers = false;
	for (size_t i = 0; i < m->n_features; i++)
		l->peers |= streq(m->features[i], WIRE_PEERS);
}

static void
on_message(struct link_up *l, const struct wire_msg *m, uint64_t now, uint64_t wall)
{
	switch (m->info->type) {
	case WIRE_WELCOME:
		/* The answer to Hello. The first HeartbeatAck says whether the coordinator takes
		 * this worker. */
		on_time(l, ((const Dray__Welcome *)m->body)->now_ms, now, wall);
		on_features(l, (const Dray__Welcome *)m->body);
		break;
	case WIRE_WORKER_FOUND:
		if (l->c.found)
			l->c.found(l->c.arg, (const Dray__WorkerFound *)m->body);
		break;
	case WIRE_HEARTBEAT_ACK:
		on_time(l, ((const Dray__HeartbeatAck *)m->body)->now_ms, now, wall);
		on_ack(l, (const Dray__HeartbeatAck *)m->body, now);
		break;
	case WIRE_WORKER_CANCEL:
		l->c.cancel(l->c.arg, ((const Dray__WorkerCancel *)m->body)->job);
		break;
	case WIRE_WORKER_EXPECT:
		l->c.expect(l->c.arg, (const Dray__WorkerExpect *)m->body);
		break;
	case WIRE_WORKER_LEND:
		if (l->c.lend)
			l->c.lend(l->c.arg, (const Dray__WorkerLend *)m->body);
		break;
	case WIRE_WORKER_DROP:
		if (l->c.drop)
			l->c.drop(l->c.arg, (const Dray__WorkerDrop *)m->body);
		break;
	case WIRE_WORKER_UNSHARED:
		if (l->c.unshared)
			l->c.unshared(l->c.arg, (const Dray__WorkerUnshared *)m->body);
		break;
	case WIRE_SUCCESSOR:
		if (l->c.successor)
			l->c.successor(l->c.arg, ((const Dray__Successor *)m->body)->statement);
		break;
	case WIRE_REFUSED:
		on_refused(l, (const Dray__Refused *)m->body);
		break;
	default:
		log_throttled(
			&l->throttle, 5, "%s from the coordinator is not expected", m->info->name);
	}
}

static uint64_t
memory_available(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kb = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb * 1024;
}

uint64_t
link_up_next(uint64_t now, uint64_t time_ms, uint64_t beat_ms, unsigned moment)
{
	uint64_t at = moment % LINK_UP_MOMENTS * beat_ms / LINK_UP_MOMENTS;
	uint64_t over = (time_ms % beat_ms + beat_ms - at) % beat_ms;

	return now + beat_ms - MIN2(over, beat_ms / 2);
}

static void
beat(struct link_up *l, uint64_t now, const struct link_up_news *news)
{
	Dray__WorkerHeartbeat m = DRAY__WORKER_HEARTBEAT__INIT;
	double load = 0;

	l->last_beat = now;
	l->next_beat = link_up_next(
		now, ticket_clock_get(&l->clock, now, now), l->beat_ms, l->instance[0]);
	l->elsewhere = news->elsewhere;
	if (!l->welcomed && now >= l->next_register)
		register_now(l, now);
	m.sequence = ++l->sequence;
	m.running = news->running;
	m.coordinators = news->coordinators;
	m.memory_available = memory_available();
	if (getloadavg(&load, 1) == 1 && load > 0)
		m.load_percent = (uint32_t)(load * 100 / MAX2(l->c.cores, 1u));
	m.store_bytes = news->store_bytes;
	send_up(l, WIRE_WORKER_HEARTBEAT, &m.base);
}

void
link_up_tell_soon(struct link_up *l)
{
	l->next_beat = MIN2(l->next_beat, l->last_beat + TELL_MS);
}

void
link_up_step(struct link_up *l, uint64_t now, uint64_t wall, const struct link_up_news *news)
{
	enum monitor_event e;

	if (l->refused && now >= l->next_register) {
		l->next_register = now + AGAIN_MS;
		reconnect_up(l);
	}
	if (!l->socket)
		return;
	while ((e = monitor_next(l->monitor, NULL)) != MONITOR_NONE)
		on_event(l, e, now);
	for (;;) {
		struct wire_msg m = WIRE_MSG_INIT;
		int r = wire_recv(l->socket, NULL, WIRE_FROM_COORDINATOR, &m);

		if (r == -EAGAIN)
			break;
		if (r == 0)
			on_message(l, &m, now, wall);
		else
			log_throttled(&l->throttle, 5, "a message from the coordinator: %s",
				strerror(-r));
		wire_msg_done(&m);
	}
	/* The coordinator must send no more jobs for a toolchain that was withdrawn. */
	if (l->welcomed && offers_stamp(l->c.offers) != l->offered)
		register_now(l, now);
	if (news->elsewhere != l->elsewhere)
		link_up_tell_soon(l);
	if (l->connected && now >= l->next_beat)
		beat(l, now, news);
}

uint64_t
link_up_time(const struct link_up *l, uint64_t now, uint64_t wall)
{
	return ticket_clock_get(&l->clock, now, wall);
}

uint64_t
link_up_wait(const struct link_up *l, uint64_t now)
{
	if (!l->connected)
		return 1000;
	return l->next_beat > now ? l->next_beat - now : 0;
}

void
link_up_job_started(struct link_up *l, const char *job, bool twin)
{
	Dray__WorkerJobStarted m = DRAY__WORKER_JOB_STARTED__INIT;

	m.job = borrow(job);
	m.twin = twin;
	if (l->connected)
		send_up(l, WIRE_WORKER_JOB_STARTED, &m.base);
}

void
link_up_job_compiles(struct link_up *l, const char *job, const struct digest *alike)
{
	Dray__WorkerJobStarted m = DRAY__WORKER_JOB_STARTED__INIT;
	struct digest d;

	m.job = borrow(job);
	m.compiles = true;
	if (alike) {
		d = *alike;
		m.alike = (ProtobufCBinaryData){ DIGEST_SIZE, d.b };
	}
	if (l->connected)
		send_up(l, WIRE_WORKER_JOB_STARTED, &m.base);
}

void
link_up_sample_started(struct link_up *l, const char *job, bool compiles)
{
	Dray__WorkerJobStarted m = DRAY__WORKER_JOB_STARTED__INIT;

	m.job = borrow(job);
	m.compiles = true;
	m.sample = compiles ? DRAY__SAMPLE_PART__SAMPLE_COMPILES : DRAY__SAMPLE_PART__SAMPLE_OPENED;
	if (l->connected)
		send_up(l, WIRE_WORKER_JOB_STARTED, &m.base);
}

void
link_up_job_refused(struct link_up *l, const char *job)
{
	Dray__WorkerJobRefused m = DRAY__WORKER_JOB_REFUSED__INIT;

	m.job = borrow(job);
	if (l->connected)
		send_up(l, WIRE_WORKER_JOB_REFUSED, &m.base);
}

void
link_up_job_ended(struct link_up *l, const Dray__WorkerJobEnded *m)
{
	if (l->connected)
		send_up(l, WIRE_WORKER_JOB_ENDED, &m->base);
}

void
link_up_lent(
	struct link_up *l, const char *sample, const char *job, Dray__LendEnd end, const char *text)
{
	Dray__WorkerLent m = DRAY__WORKER_LENT__INIT;

	m.sample = borrow(sample);
	m.job = borrow(job);
	m.end = end;
	m.text = borrow(text);
	if (l->connected)
		send_up(l, WIRE_WORKER_LENT, &m.base);
}

void
link_up_holds(struct link_up *l, const Dray__WorkerHolds *m)
{
	if (l->connected && l->peers)
		send_up(l, WIRE_WORKER_HOLDS, &m->base);
}

bool
link_up_seek(struct link_up *l, const Dray__WorkerSeek *m)
{
	if (!l->connected || !l->welcomed || !l->peers)
		return false;
	send_up(l, WIRE_WORKER_SEEK, &m->base);
	return true;
}

void
link_up_bye(struct link_up *l, const char *why)
{
	Dray__WorkerBye m = DRAY__WORKER_BYE__INIT;

	l->draining = true;
	m.text = borrow(why);
	if (l->connected)
		send_up(l, WIRE_WORKER_BYE, &m.base);
}
