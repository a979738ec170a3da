/* Samples in the coordinator: what the sampler (cache/sampler.h) wants becomes messages, and what
 * workers say of it is told to it. What follows of it is in sample_ends.c.
 *
 * Invariant: a job is handed over only between workers that compile for its namespace. */
#include "config.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/fs.h"
#include "coordinator/cache/desk.h"
#include "coordinator/server_priv.h"

/* protobuf-c wants strings that can be written to, though it only reads them. */
static char *
as_mutable(const char *text)
{
	union {
		const char *in;
		char *out;
	} u = { text };

	return u.out;
}

/* ---- what the sampler wants */

/* Without random numbers none is chosen. */
static uint64_t
draw(void *arg, uint64_t below)
{
	uint64_t n, most = UINT64_MAX - UINT64_MAX % below;

	(void)arg;
	do
		if (RAND_bytes((unsigned char *)&n, sizeof(n)) != 1)
			return below - 1;
	while (n >= most);
	return n % below;
}

static void
make_name(void *arg, char ret[SAMPLE_ID_SIZE])
{
	struct job_id id;

	(void)arg;
	if (RAND_bytes(id.b, sizeof(id.b)) != 1)
		memset(id.b, 0, sizeof(id.b));
	sched_job_id_hex(&id, ret);
}

static void
say(struct server *s, struct peer *p, const struct sample *m, Dray__WorkerLend *lend)
{
	lend->sample = as_mutable(m->id);
	server_send(s, p, WIRE_WORKER_LEND, &lend->base);
}

static bool
keep(void *arg, const struct sample *m)
{
	struct server *s = arg;
	struct peer *p = peer_of_worker(s, m->kept.worker);
	Dray__WorkerLend lend;
	struct sample copy = *m;

	if (!p || !p->samples)
		return false;
	dray__worker_lend__init(&lend);
	lend.what = DRAY__LEND_WHAT__LEND_KEEP;
	lend.namespace_ = copy.kept.namespace;
	lend.key = (ProtobufCBinaryData){ DIGEST_SIZE, copy.kept.key.b };
	lend.inputs = (ProtobufCBinaryData){ DIGEST_SIZE, copy.kept.same.inputs.b };
	lend.made = (ProtobufCBinaryData){ DIGEST_SIZE, copy.kept.same.made.b };
	say(s, p, m, &lend);
	log_debug("sample=%s worker=%s crate=%.64s is compiled again", m->id, m->kept.name,
		CLEAN(m->kept.unit.crate));
	return true;
}

static void
forget(void *arg, const struct sample *m)
{
	struct server *s = arg;
	struct peer *p = peer_of_worker(s, m->kept.worker);
	Dray__WorkerLend lend;

	if (!p || !p->samples)
		return;
	dray__worker_lend__init(&lend);
	lend.what = DRAY__LEND_WHAT__LEND_FORGET;
	say(s, p, m, &lend);
}

static bool
offers(const struct sched_worker *w, const struct sched_worker_view *view,
	const struct digest *toolchain)
{
	for (size_t i = 0; i < view->n_offers; i++)
		if (digest_eq(sched_worker_offer(w, i, NULL), toolchain))
			return true;
	return false;
}

/* A worker whose line names a namespace compiles for others too, but is shown nothing of what was
 * compiled for them. */
static bool
may_see(struct server *s, const struct peer *p, const char *namespace)
{
	const char *own = peer_namespace(s, p);

	return !*own || streq(own, namespace);
}

/* By its own word, of what the same compile may come out differently on. */
static void
kind(void *arg, const char *curve, struct digest *ret)
{
	struct server *s = arg;
	struct peer *p = peer_of_worker(s, curve);
	struct sched_worker_view view;
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (!p || !p->has_cpu)
		return;
	sched_worker_get(p->worker, &view);
	if (buf_addf(&b, "glibc=%u cores=%u cpu=", view.glibc, view.cores) == 0 &&
		buf_add(&b, p->cpu.b, DIGEST_SIZE) == 0)
		(void)digest_bytes(b.p, b.n, ret);
}

static size_t
able(void *arg, const struct sample *m, const char **ret)
{
	struct server *s = arg;
	struct peer *from = peer_of_worker(s, m->kept.worker);
	struct sched_worker_view lender;
	struct sched_worker *w;
	size_t n = 0;

	if (!from || !toolchains_allow(s, &m->kept.unit.toolchain))
		return 0;
	sched_worker_get(from->worker, &lender);
	for (w = sched_worker_walk(s->sched, NULL); w && n < SAMPLER_POOL_MAX;
		w = sched_worker_walk(s->sched, w)) {
		struct sched_worker_view view;
		struct peer *p;

		sched_worker_get(w, &view);
		p = peer_by_serial(s, view.tag);
		if (p && p->worker == w && p->samples && !p->doomed && !view.draining &&
			view.trust == SCHED_TRUSTED && view.glibc >= lender.glibc &&
			sampler_may_run(m, view.curve) && may_see(s, p, m->kept.namespace) &&
			offers(w, &view, &m->kept.unit.toolchain) &&
			samples_are_believed(s, view.curve, m->kept.client))
			ret[n++] = view.curve;
	}
	return n;
}

/* The lender comes to it as a client. */
static void
expect(struct server *s, struct peer *runner, const struct sample *m)
{
	static char role[] = "client";
	Dray__WorkerExpect e;

	dray__worker_expect__init(&e);
	e.curve_public = as_mutable(m->kept.worker);
	e.role = role;
	e.namespace_ = as_mutable(m->kept.namespace);
	server_send(s, runner, WIRE_WORKER_EXPECT, &e.base);
}

static bool
tells(void *arg, const char *curve)
{
	const struct peer *p = peer_of_worker(arg, curve);

	return p && p->tells_samples;
}

/* What nobody may put off: beside whatever the worker has to do. */
static bool
is_now(struct server *s, const struct sample *m, const struct peer *runner)
{
	struct sched_worker_view to;

	sched_worker_get(runner->worker, &to);
	return m->overdue || (to.used < to.slots && !sched_somebody_waits(s->sched));
}

static void
cancel_job(struct server *s, struct peer *runner, const char *job)
{
	Dray__WorkerCancel c;

	dray__worker_cancel__init(&c);
	c.job = as_mutable(job);
	server_send(s, runner, WIRE_WORKER_CANCEL, &c.base);
}

/* A refill has the place that samples have. False: there is none, or it was told before. */
static bool
end_refill(struct server *s, struct peer *runner)
{
	struct refill *f = refills_of_worker(&s->refills, runner->serial);

	if (!f || !refills_cancel(&s->refills, f, s->now))
		return false;
	cancel_job(s, runner, f->job);
	return true;
}

static bool
give(void *arg, const struct sample *m, const char *curve)
{
	struct server *s = arg;
	struct peer *lender = peer_of_worker(s, m->kept.worker), *runner = peer_of_worker(s, curve);
	struct ticket_terms terms = { .sample = true };
	_cleanup_(freep) uint8_t *ticket = NULL;
	uint8_t signature[SIGNATURE_SIZE];
	struct sched_worker_view to;
	Dray__WorkerLend lend;
	size_t n;

	if (!lender || !lender->samples || !runner || sampler_runs_on(s->sampler, curve) ||
		!is_now(s, m, runner))
		return false;
	if (end_refill(s, runner))
		return false;
	sched_worker_get(runner->worker, &to);
	memcpy(terms.namespace, m->kept.namespace, sizeof(terms.namespace));
	if (ticket_issue(&s->id, m->job, m->kept.worker, to.curve, &terms, server_time(s), &ticket,
		    &n, signature) < 0)
		return false;
	expect(s, runner, m);
	dray__worker_lend__init(&lend);
	lend.what = DRAY__LEND_WHAT__LEND_GIVE;
	lend.worker = as_mutable(to.name);
	lend.endpoint = as_mutable(to.endpoint);
	lend.curve_public = as_mutable(to.curve);
	lend.ticket = (ProtobufCBinaryData){ n, ticket };
	lend.signature = (ProtobufCBinaryData){ sizeof(signature), signature };
	lend.job = as_mutable(m->job);
	say(s, lender, m, &lend);
	log_debug("sample=%s job=%s goes from worker=%s to worker=%s", m->id, m->job, m->kept.name,
		to.name);
	return true;
}

static bool
is_wanted(void *arg, const struct sample *m)
{
	struct server *s = arg;
	struct peer *p = peer_of_worker(s, m->runner);
	struct sched_worker_view view;

	if (!p || m->overdue || !sched_somebody_waits(s->sched))
		return false;
	sched_worker_get(p->worker, &view);
	return view.used >= view.slots;
}

static void
cancel(void *arg, const struct sample *m)
{
	struct server *s = arg;
	struct peer *p = peer_of_worker(s, m->runner);

	if (p)
		cancel_job(s, p, m->job);
}

/* ---- what comes */

void
samples_start(struct server *s)
{
	const struct sampler_host host = { s, draw, make_name, keep, forget, able, kind, tells,
		give, is_wanted, cancel, samples_doubted, samples_judged };

	if (s->conf->coordinator.sample == 0)
		log_warn(
			"results of workers are not compiled again by others: [coordinator] sample "
			"is 0");
	else if (sampler_new(&host, s->conf->coordinator.sample, &s->sampler) < 0)
		s->sampler = NULL;
}

void
samples_end(struct server *s)
{
	sampler_free(s->sampler);
	s->sampler = NULL;
}

/* The worker whose results that key signs, or NULL. */
static const struct allowed_key *
signing_worker(const struct server *s, const uint8_t *sign)
{
	for (size_t i = 0; i < s->keys.n; i++) {
		const struct allowed_key *k = &s->keys.v[i];

		if (k->role == ROLE_WORKER && k->signs &&
			memcmp(k->sign_public, sign, SIGN_KEY_SIZE) == 0)
			return k;
	}
	return NULL;
}

void
samples_kept(struct server *s, const char *namespace, const struct digest *key,
	const struct merge_note *note)
{
	const struct allowed_key *by = signing_worker(s, note->producer);
	struct sampler_kept k;

	if (!s->sampler || !by)
		return;
	memset(&k, 0, sizeof(k));
	memcpy(k.worker, by->curve_public, sizeof(k.worker));
	memcpy(k.sign, note->producer, SIGN_KEY_SIZE);
	memcpy(k.client, note->client, sizeof(k.client));
	snprintf(k.namespace, sizeof(k.namespace), "%s", namespace);
	snprintf(k.name, sizeof(k.name), "%.64s", peer_worker_name(s, by->curve_public));
	k.key = *key;
	k.same = note->same;
	k.unit = note->unit;
	sampler_kept(s->sampler, &k, s->now);
}

static bool
take_digest(const ProtobufCBinaryData *b, struct digest *ret)
{
	if (b->len == DIGEST_SIZE)
		memcpy(ret->b, b->data, DIGEST_SIZE);
	return b->len == DIGEST_SIZE;
}

bool
samples_ended(struct server *s, const struct peer *p, const Dray__WorkerJobEnded *m)
{
	struct digest key = { { 0 } };
	struct same same;
	bool made = m->sample && take_digest(&m->sample->key, &key) &&
		    take_digest(&m->sample->inputs, &same.inputs) &&
		    take_digest(&m->sample->made, &same.made);

	return s->sampler &&
	       sampler_ended(s->sampler, p->wire.curve, m->job, &key, made ? &same : NULL,
		       m->end == DRAY__JOB_END__END_CLIENT  ? SAMPLER_BY_LENDER
		       : m->end == DRAY__JOB_END__END_WHOLE ? SAMPLER_UNMADE
							    : SAMPLER_BY_RUNNER,
		       s->now);
}

bool
samples_refused(struct server *s, const struct peer *p, const char *job)
{
	return s->sampler && sampler_refused(s->sampler, p->wire.curve, job, s->now);
}

/* One without sign= cannot be told from others, and so its results are looked at by nobody. */
static bool
is_producer(const struct server *s, const struct peer *worker)
{
	const struct allowed_key *k = *worker->wire.curve
					      ? allowed_keys_find(&s->keys, worker->wire.curve)
					      : NULL;

	return k && k->signs && !k->sign_revoked;
}

bool
samples_started(struct server *s, const struct peer *p, const Dray__WorkerJobStarted *m)
{
	if (m->sample && s->sampler)
		(void)sampler_started(s->sampler, p->wire.curve, m->job,
			m->sample == DRAY__SAMPLE_PART__SAMPLE_COMPILES, s->now);
	return m->sample != DRAY__SAMPLE_PART__SAMPLE_NONE;
}

void
samples_worker_here(struct server *s, struct peer *p)
{
	struct sched_worker_view view;

	if (p->samples && s->desk && !is_producer(s, p)) {
		sched_worker_get(p->worker, &view);
		log_info("worker=%s: nothing is taken of what it would share: its line in the list "
			 "of keys has no sign=, or it is not believed any more",
			view.name);
	}
	if (p->samples && s->sampler)
		sampler_here(s->sampler, p->wire.curve, p->instance, s->now);
	if (p->samples && s->judged.n_packages + s->judged.n_notes > 0)
		samples_tell_unshared(s, p);
}

/* Whose job that was, by the ticket with which it was opened on that worker: its node's key. */
static void
client_of(const struct server *s, const struct peer *p, const Dray__SharedPut *m,
	char ret[CURVE_KEY_SIZE])
{
	enum role role = ROLE_NONE;
	const char *node;

	*ret = '\0';
	if (ticket_read(m->ticket.data, m->ticket.len, m->signature.data, m->signature.len,
		    s->id.sign_public, p->wire.curve, server_time(s), ret) == 0)
		role = allowed_keys_role(&s->keys, ret);
	if (role != ROLE_CLIENT && role != ROLE_PUBLISHER)
		memset(ret, 0, CURVE_KEY_SIZE);
	else if ((node = allowed_keys_newest(&s->keys, ret)) != ret)
		snprintf(ret, CURVE_KEY_SIZE, "%s", node);
}

/* Workers that the list names for that namespace. */
static size_t
count_workers(const struct server *s, const char *namespace)
{
	size_t n = 0;

	for (size_t i = 0; i < s->keys.n; i++) {
		const struct allowed_key *k = &s->keys.v[i];

		n += k->role == ROLE_WORKER && !k->revoked &&
		     (!*k->namespace || streq(k->namespace, namespace));
	}
	return n;
}

static bool
is_limited_to(const struct signer *s, const struct digest *toolchain)
{
	for (size_t i = 0; i < s->n_toolchains; i++)
		if (digest_eq(&s->toolchains[i], toolchain))
			return true;
	return false;
}

/* What both have. */
static void
add_common(const struct sched_worker *a, size_t n_offers, const struct sched_worker *b,
	struct signer *ret)
{
	struct sched_worker_view other;

	sched_worker_get(b, &other);
	for (size_t i = 0; i < n_offers && ret->n_toolchains < SIGNER_TOOLCHAINS; i++) {
		const struct digest *d = sched_worker_offer(a, i, NULL);

		if (!is_limited_to(ret, d) && offers(b, &other, d))
			ret->toolchains[ret->n_toolchains++] = *d;
	}
}

/* What a worker shares is taken only where another one that is here could compile it again: one
 * that claims a glibc, or a toolchain, that nobody else has is looked at by nobody. The list says
 * whether there are others: with one worker alone all trust is in that one anyway. */
static void
limit(struct server *s, const struct peer *by, const char *namespace, struct signer *ret)
{
	struct sched_worker_view own;
	struct sched_worker *w;

	ret->limited = count_workers(s, namespace) > 1;
	sched_worker_get(by->worker, &own);
	for (w = sched_worker_walk(s->sched, NULL); w && ret->limited;
		w = sched_worker_walk(s->sched, w)) {
		struct sched_worker_view view;
		const struct peer *p;

		sched_worker_get(w, &view);
		p = peer_by_serial(s, view.tag);
		if (w != by->worker && p && p->worker == w && p->samples && !p->doomed &&
			view.glibc >= own.glibc && may_see(s, p, namespace) &&
			samples_are_believed(s, view.curve, ret->client))
			add_common(by->worker, own.n_offers, w, ret);
	}
}

bool
samples_take(const struct server *s, const struct peer *worker, const char *client)
{
	return s->desk && worker->samples && is_producer(s, worker) &&
	       (!s->sampler || sampler_may_share(s->sampler, worker->wire.curve, client, s->now)) &&
	       samples_are_believed(s, worker->wire.curve, client);
}

const char *
samples_bar(struct server *s, const struct peer *p, const Dray__SharedPut *m, const char *namespace,
	struct signer *ret, Dray__Verdict *ret_verdict)
{
	const struct peer *by;

	*ret_verdict = DRAY__VERDICT__VERDICT_NOT_ALLOWED;
	if (p->role != ROLE_WORKER)
		return NULL;
	if (!is_producer(s, p))
		return "the list of keys has no sign= for this worker, or it is not believed any "
		       "more";
	if (!s->sampler)
		return NULL;
	if (!sampler_may_share(s->sampler, p->wire.curve, NULL, s->now))
		return "what this worker shares could not be compiled again by others";
	if (!m->entry)
		return NULL;
	client_of(s, p, m, ret->client);
	if (!sampler_may_share(s->sampler, p->wire.curve, ret->client, s->now))
		return "what this worker shares for that client could not be compiled again by "
		       "others";
	if (!samples_are_believed(s, p->wire.curve, ret->client))
		return "what this worker made for that client was not what others make";
	by = peer_of_worker(s, p->wire.curve);
	if (!by) {
		*ret_verdict = DRAY__VERDICT__VERDICT_FULL;
		return "this worker has not registered yet";
	}
	if (!by->samples)
		return "this worker does not hand over what it shares, to be compiled again";
	limit(s, by, namespace, ret);
	return NULL;
}

void
on_worker_lent(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__WorkerLent *m = (const Dray__WorkerLent *)body;

	if (s->sampler)
		sampler_lent(s->sampler, from->curve, m->sample, m->job, m->end, m->text, s->now);
	(void)p;
}
