/* Messages of workers. Invariant: a connected worker has one peer, REGISTERED, and the scheduler's
 * tag of the worker is that peer's serial. When a worker comes on a new connection, its old
 * connection has it no more. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "coordinator/server_priv.h"

#define OLD_PATIENCE_MS 5000 /* of workers that do not say how long they waited */
#define WANTED_MS 500

static bool
name_ok(const char *name)
{
	static const char set[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = strlen(name);

	return n > 0 && n < SCHED_NAME_SIZE && strspn(name, set) == n;
}

static bool
endpoint_ok(const char *endpoint)
{
	size_t n = strlen(endpoint);

	if (n > 512 || (!starts_with(endpoint, "tcp://") && !endpoint_is_local(endpoint)))
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)endpoint[i] <= ' ' || (unsigned char)endpoint[i] >= 0x7f)
			return false;
	return true;
}

/* The mistake in a registration; NULL: none. */
static const char *
register_fault(const Dray__WorkerRegister *m)
{
	if (!name_ok(m->name))
		return "a name is 1 to 64 of A-Z a-z 0-9 . _ -";
	if (!endpoint_ok(m->endpoint))
		return "the endpoint is neither tcp:// nor ipc://";
	if (m->slots < 1 || m->slots > SLOTS_MAX)
		return "a worker has 1 to 4096 slots";
	if (m->n_offers > WIRE_OFFERS_MAX)
		return "too many toolchains";
	if (m->glibc > GLIBC_MAX)
		return "glibc is the minor version of 2.x";
	for (size_t i = 0; i < m->n_offers; i++)
		if (m->offers[i]->toolchain.len != DIGEST_SIZE)
			return "a toolchain's id has 32 bytes";
	for (size_t i = 0; i < m->n_running; i++) {
		struct job_id id;

		if (sched_job_id_parse(m->running[i], &id) < 0)
			return "a running job's id is not 32 hex digits";
	}
	if (!endpoint_is_local(m->endpoint) && strlen(m->curve_public) != CURVE_KEY_SIZE - 1)
		return "a worker on tcp needs its CURVE key";
	return NULL;
}

static bool
is_told(const uint8_t instance[INSTANCE_SIZE])
{
	static const uint8_t none[INSTANCE_SIZE];

	return memcmp(instance, none, INSTANCE_SIZE) != 0;
}

/* Whether m comes from the process behind old. */
static bool
is_same_process(const struct peer *old, const Dray__WorkerRegister *m)
{
	if (m->instance.len != INSTANCE_SIZE || !is_told(old->instance))
		return true;
	return memcmp(old->instance, m->instance.data, INSTANCE_SIZE) == 0;
}

/* Another process with p's key that is connected, and heard. The elder stays: or two machines with
 * one identity file would take each other's place for ever. */
static const struct peer *
elder_of(struct server *s, const struct peer *p, const Dray__WorkerRegister *m)
{
	uint64_t silence = WORKER_SILENCE * s->conf->coordinator.heartbeat_ms;
	struct sched_worker *w;
	struct sched_worker_view view;

	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		const struct peer *other;

		sched_worker_get(w, &view);
		other = peer_by_serial(s, view.tag);
		if (other && other != p && !other->doomed && other->wire.curve[0] &&
			streq(other->wire.curve, p->wire.curve) && !is_same_process(other, m) &&
			s->now - other->heard_ms <= silence)
			return other;
	}
	return NULL;
}

/* Whether p's key has come in the place of the other one's (link.proto, Rotate). */
static bool
comes_after(const struct server *s, const struct peer *p, const struct peer *old)
{
	const struct allowed_key *was = allowed_keys_find(&s->keys, old->wire.curve);
	const struct allowed_key *is = allowed_keys_find(&s->keys, p->wire.curve);

	/* of a name one line alone has no until= */
	return was && is && was->until_s && !is->until_s && *is->name && streq(was->name, is->name);
}

/* A name belongs to the worker that holds it now, but the same node may come again on a new
 * connection before the loss of its old one was noticed. */
static bool
take_over(struct server *s, struct peer *p, const Dray__WorkerRegister *m)
{
	struct sched_worker *w = sched_worker_find(s->sched, m->name);
	struct sched_worker_view view;
	struct peer *old;

	if (!w || w == p->worker)
		return true;
	sched_worker_get(w, &view);
	old = peer_by_serial(s, view.tag);
	if (old && !old->doomed) {
		bool same_key = p->wire.curve[0] &&
				(streq(p->wire.curve, old->wire.curve) || comes_after(s, p, old));
		bool same_place = !p->wire.curve[0] && streq(view.endpoint, m->endpoint);

		if (!same_key && !same_place)
			return false;
	}
	if (old) {
		/* The scheduler does not count the worker as gone: the jobs that it still lists go
		 * on. */
		old->worker = NULL;
		old->state = ADMIT_GREETED;
	}
	return true;
}

/* The offers without repetitions: two installations of one toolchain have one id. texts holds the
 * strings. */
static size_t
take_offers(const Dray__WorkerRegister *m, struct sched_offer *v, char (*texts)[128])
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_offers; i++) {
		size_t k;

		memcpy(v[n].toolchain.b, m->offers[i]->toolchain.data, DIGEST_SIZE);
		for (k = 0; k < n && !digest_eq(&v[k].toolchain, &v[n].toolchain); k++)
			;
		if (k < n)
			continue;
		v[n].text = clean_text(m->offers[i]->text, texts[n], sizeof(texts[n]));
		n++;
	}
	return n;
}

static void
note_offer(struct server *s, const Dray__Offer *o)
{
	struct digest id;

	memcpy(id.b, o->toolchain.data, DIGEST_SIZE);
	toolchains_offered(s->toolchains, &id, CLEAN(o->text), o->bytes, o->pushed);
}

static int
do_register(struct server *s, struct peer *p, const Dray__WorkerRegister *m)
{
	_cleanup_(freep) struct sched_offer *offers = calloc(m->n_offers + 1, sizeof(*offers));
	_cleanup_(freep) char(*texts)[128] = calloc(m->n_offers + 1, sizeof(*texts));
	_cleanup_(freep) struct job_id *running = calloc(m->n_running + 1, sizeof(*running));
	_cleanup_(freep) struct job_id *joined = calloc(m->n_joined + 1, sizeof(*joined));
	struct sched_worker_info info = {
		.name = m->name,
		.endpoint = m->endpoint,
		.curve = m->curve_public,
		.tag = p->serial,
		.slots = m->slots,
		.cores = m->cores,
		.glibc = m->glibc,
		.draining = m->draining || standings_get(&s->standings, m->name, m->curve_public) ==
						   STANDING_DRAINED,
		.twins = MIN2(m->twins, SLOTS_MAX),
	};
	int r;

	if (!offers || !texts || !running || !joined)
		return -ENOMEM;
	info.offers = offers;
	info.n_offers = take_offers(m, offers, texts);
	info.running = running;
	for (size_t i = 0; i < m->n_running; i++)
		if (sched_job_id_parse(m->running[i], &running[info.n_running]) == 0)
			info.n_running++;
	info.joined = joined;
	for (size_t i = 0; i < m->n_joined; i++)
		if (sched_job_id_parse(m->joined[i], &joined[info.n_joined]) == 0)
			info.n_joined++;
	p->worker = NULL;
	r = sched_worker_set(s->sched, &info, s->now, &p->worker);
	if (r < 0)
		return r;
	if (p->state != ADMIT_REGISTERED)
		p->did = (struct peer_did){ .since_ms = s->now };
	p->state = ADMIT_REGISTERED;
	p->heard_ms = s->now;
	p->leaving = m->draining;
	if (m->instance.len == INSTANCE_SIZE)
		memcpy(p->instance, m->instance.data, INSTANCE_SIZE);
	p->samples = m->samples && p->wire.curve[0];
	p->peers = m->peers && p->wire.curve[0];
	p->takes_toolchains = m->takes_toolchains;
	p->tells_samples = m->tells_samples;
	p->tells_alike = m->tells_alike;
	p->has_cpu = m->cpu.len == DIGEST_SIZE;
	if (p->has_cpu)
		memcpy(p->cpu.b, m->cpu.data, DIGEST_SIZE);
	toolchains_stale(s->toolchains);
	for (size_t i = 0; i < m->n_offers; i++)
		note_offer(s, m->offers[i]);
	log_info("worker=%s registered: endpoint=%s slots=%u cores=%u glibc=2.%u toolchains=%zu "
		 "running=%zu%s",
		m->name, m->endpoint, m->slots, m->cores, m->glibc, info.n_offers, info.n_running,
		m->draining ? " draining" : "");
	tell_worker(s, m->name, info.draining ? "is here, and gets no jobs" : "is here");
	samples_worker_here(s, p);
	return 0;
}

void
on_worker_register(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__WorkerRegister *m = (const Dray__WorkerRegister *)body;
	const char *fault = register_fault(m);
	const struct peer *elder;
	struct sched_worker_view view;

	if (fault) {
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_MALFORMED,
			"The worker cannot be registered: %s.", fault);
		return;
	}
	if (from->curve[0] && !streq(from->curve, m->curve_public)) {
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"The worker %s names another key than it has.", m->name);
		return;
	}
	if (from->curve[0] && !allowed_keys_may_be(&s->keys, from->curve, m->name)) {
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"The list of allowed keys has another name for this worker's key, or "
			"another key for the name %s.",
			m->name);
		return;
	}
	if (standings_get(&s->standings, m->name, m->curve_public) == STANDING_REMOVED) {
		admin_bar(s, from, p, m->name);
		return;
	}
	elder = elder_of(s, p, m);
	if (elder) {
		sched_worker_get(elder->worker, &view);
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"Another worker with this key is connected: %s at %s. Each worker needs an "
			"identity of its own (dray keygen).",
			view.name, view.endpoint);
		return;
	}
	if (!take_over(s, p, m)) {
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"Another worker is connected under the name %s.", m->name);
		return;
	}
	if (p->worker) {
		sched_worker_get(p->worker, &view);
		if (!streq(view.name, m->name))
			peer_lose_worker(s, p, "it has another name now");
	}
	if (do_register(s, p, m) < 0) {
		p->state = ADMIT_GREETED;
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_WORKER_FAULT,
			"The coordinator is out of memory.");
	}
}

void
on_worker_heartbeat(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__WorkerHeartbeat *m = (const Dray__WorkerHeartbeat *)body;
	Dray__HeartbeatAck ack = DRAY__HEARTBEAT_ACK__INIT;

	ack.sequence = m->sequence;
	ack.known = p && p->worker;
	ack.now_ms = server_time(s);
	ack.wanted = sched_wanted(s->sched);
	if (!p) {
		/* The worker's next heartbeat shows a failure. */
		(void)wire_send(s->socket, from, WIRE_HEARTBEAT_ACK, &ack.base, NULL, 0);
		return;
	}
	if (p->worker) {
		p->heard_ms = s->now;
		p->did.load_percent = m->load_percent;
		p->did.coordinators = m->coordinators;
		p->did.memory_available = m->memory_available;
		p->did.store_bytes = m->store_bytes;
		sched_worker_heard(s->sched, p->worker, m->running, s->now);
	}
	server_send(s, p, WIRE_HEARTBEAT_ACK, &ack.base);
}

void
workers_tell_wanted(struct server *s)
{
	Dray__HeartbeatAck ack = DRAY__HEARTBEAT_ACK__INIT;
	bool wanted = sched_wanted(s->sched);
	struct sched_worker *w;

	if (wanted == s->wanted || s->now - s->wanted_ms < WANTED_MS)
		return;
	s->wanted = wanted;
	ack.wanted = wanted;
	s->wanted_ms = s->now;
	ack.known = true;
	ack.now_ms = server_time(s);
	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		struct sched_worker_view view;
		struct peer *p;

		sched_worker_get(w, &view);
		p = view.used > 0 ? peer_by_serial(s, view.tag) : NULL;
		if (p && p->worker == w)
			server_send(s, p, WIRE_HEARTBEAT_ACK, &ack.base);
	}
}

static bool
worker_job(struct server *s, struct peer *p, const struct wire_peer *from, const char *job,
	struct job_id *ret)
{
	if (!p || !p->worker)
		return false;
	if (sched_job_id_parse(job, ret) == 0)
		return true;
	server_refuse(s, from, p, DRAY__VERDICT__VERDICT_MALFORMED,
		"A job's id is 32 lower-case hex digits, not \"%.40s\".", CLEAN(job));
	return false;
}

void
on_worker_started(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__WorkerJobStarted *m = (const Dray__WorkerJobStarted *)body;
	struct job_id id;

	if (!worker_job(s, p, from, m->job, &id) || samples_started(s, p, m))
		return;
	if (m->compiles) {
		alike_compiles(s, p, &id, m);
		sched_job_compiles(s->sched, p->worker, &id, s->now);
		return;
	}
	/* A twin whose client is not known here has no slot that could be counted. */
	if (m->twin && (sched_job_owner(s->sched, &id) == 0 || !sched_job_is_twin(s->sched, &id)))
		return;
	if (sched_job_started(s->sched, p->worker, &id, s->now) < 0)
		log_debug("job=%s started on a worker that it is not with", m->job);
}

/* For a client that is to blame. */
static uint64_t
wasted_ms(const Dray__WorkerJobEnded *m)
{
	if (m->end == DRAY__JOB_END__END_CLIENT)
		return m->wasted_ms;
	return m->end == DRAY__JOB_END__END_NOT_SAID ? OLD_PATIENCE_MS : 0;
}

static void
count_end(struct peer *p, const Dray__WorkerJobEnded *m)
{
	p->did.ended++;
	p->did.failed += !m->ok || m->end == DRAY__JOB_END__END_WORKER;
	p->did.cpu_us += m->cpu_us;
	p->did.wall_us += m->wall_us;
}

static void
tell_end(struct server *s, struct peer *p, const struct job_id *id, const Dray__WorkerJobEnded *m)
{
	struct event e = { .kind = EVENT_ENDED, .good = m->ok, .took_ms = m->wall_us / 1000 };
	struct sched_worker_view view;

	sched_worker_get(p->worker, &view);
	clean_text(view.name, e.worker, sizeof(e.worker));
	clean_text(m->text, e.text, sizeof(e.text));
	tell_job(s, NULL, id, &e);
}

void
on_worker_ended(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__WorkerJobEnded *m = (const Dray__WorkerJobEnded *)body;
	struct job_id id;

	if (!worker_job(s, p, from, m->job, &id) || samples_ended(s, p, m) ||
		refill_ended(s, p, m->job) ||
		push_ended(s, p, m->job, m->end == DRAY__JOB_END__END_WHOLE))
		return;
	log_debug("job=%s ended: ok=%d wall_ms=%llu cpu_ms=%llu %s", m->job, m->ok,
		(unsigned long long)m->wall_us / 1000, (unsigned long long)m->cpu_us / 1000,
		CLEAN(m->text));
	/* the try that its job has now is another one */
	if (m->twin && !sched_job_is_twin(s->sched, &id))
		return;
	alike_ended(s, p, &id, m);
	count_end(p, m);
	tell_end(s, p, &id, m);
	cache_job_ended(s, p, &id, m);
	if (m->end != DRAY__JOB_END__END_WHOLE && (m->end || m->silent))
		sched_job_cut(s->sched, p->worker, &id, wasted_ms(m), s->now);
	if (m->kept)
		sched_job_kept(s->sched, p->worker, &id);
	(void)sched_job_ended(s->sched, p->worker, &id, m->ok, m->cpu_us, s->now);
}

void
on_worker_refused(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__WorkerJobRefused *m = (const Dray__WorkerJobRefused *)body;
	struct job_id id;

	if (!worker_job(s, p, from, m->job, &id) || samples_refused(s, p, m->job) ||
		refill_ended(s, p, m->job) || push_ended(s, p, m->job, false))
		return;
	log_debug("job=%s not taken by its worker: no slot is free", m->job);
	(void)sched_job_refused(s->sched, p->worker, &id, s->now);
}

void
on_worker_bye(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__WorkerBye *m = (const Dray__WorkerBye *)body;
	struct sched_worker_view view;

	if (!p || !p->worker)
		return;
	sched_worker_get(p->worker, &view);
	log_info("worker=%s is draining: %s", view.name, CLEAN(m->text));
	p->leaving = true;
	tell_worker(s, view.name, "takes nothing more, by its own word");
	sched_worker_drain(s->sched, p->worker, s->now);
}

void
workers_check(struct server *s)
{
	uint64_t silence = WORKER_SILENCE * s->conf->coordinator.heartbeat_ms;
	struct sched_worker *w, *next;
	struct sched_worker_view view;

	for (w = sched_worker_walk(s->sched, NULL); w; w = next) {
		struct peer *p;

		next = sched_worker_walk(s->sched, w);
		sched_worker_get(w, &view);
		p = peer_by_serial(s, view.tag);
		if (p && p->worker == w && s->now - p->heard_ms > silence)
			peer_lose_worker(s, p, "its heartbeats have stopped");
	}
}
