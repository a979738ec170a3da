/* Samples in the coordinator: what the sampler (cache/sampler.h) wants becomes messages, and what
 * it finds out has its consequences here: a worker that made what no other makes is as revoked, and
 * what it made is purged; a package that comes out differently each time is not shared.
 *
 * Invariant: a job is handed over only between workers that compile for its namespace. */
#include "config.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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

static struct peer *
find_worker(struct server *s, const char *curve)
{
	struct sched_worker_view view;
	struct sched_worker *w;

	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		sched_worker_get(w, &view);
		if (streq(view.curve, curve)) {
			struct peer *p = peer_by_serial(s, view.tag);

			return p && p->worker == w && !p->doomed ? p : NULL;
		}
	}
	return NULL;
}

static const char *
name_of(struct server *s, const char *curve)
{
	struct peer *p = find_worker(s, curve);
	struct sched_worker_view view;

	if (!p)
		return curve;
	sched_worker_get(p->worker, &view);
	return view.name;
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
	struct peer *p = find_worker(s, m->kept.worker);
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
	struct peer *p = find_worker(s, m->kept.worker);
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

/* The one with the smallest part of its slots in use. 0; -EAGAIN; -ENOENT. */
static int
choose(struct server *s, const struct sample *m, const struct sched_worker_view *lender,
	struct peer **ret, struct sched_worker_view *ret_view)
{
	struct sched_worker *w;
	bool any = false;

	*ret = NULL;
	memset(ret_view, 0, sizeof(*ret_view));
	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		struct sched_worker_view view;
		struct peer *p;

		sched_worker_get(w, &view);
		p = peer_by_serial(s, view.tag);
		if (!p || p->worker != w || !p->samples || p->doomed || view.draining ||
			view.glibc < lender->glibc || !sampler_may_run(m, view.curve) ||
			!may_see(s, p, m->kept.namespace) ||
			!offers(w, &view, &m->kept.unit.toolchain))
			continue;
		any = true;
		if (view.trust != SCHED_TRUSTED || view.used >= view.slots ||
			sampler_runs_on(s->sampler, view.curve) ||
			(*ret && view.used * ret_view->slots >= ret_view->used * view.slots))
			continue;
		*ret = p;
		*ret_view = view;
	}
	return *ret ? 0 : any ? -EAGAIN : -ENOENT;
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

static int
give(void *arg, const struct sample *m, char ret_runner[CURVE_KEY_SIZE])
{
	struct server *s = arg;
	struct peer *lender = find_worker(s, m->kept.worker), *runner;
	struct ticket_terms terms = { .sample = true };
	_cleanup_(freep) uint8_t *ticket = NULL;
	uint8_t signature[SIGNATURE_SIZE];
	struct sched_worker_view from, to;
	struct sched_stats stats;
	Dray__WorkerLend lend;
	size_t n;
	int r;

	if (!lender || !lender->samples)
		return -EAGAIN;
	sched_worker_get(lender->worker, &from);
	r = choose(s, m, &from, &runner, &to);
	if (r < 0)
		return r;
	sched_get_stats(s->sched, &stats);
	if (stats.queued > 0)
		return -EAGAIN;
	memcpy(terms.namespace, m->kept.namespace, sizeof(terms.namespace));
	r = ticket_issue(&s->id, m->job, m->kept.worker, to.curve, &terms, server_time(s), &ticket,
		&n, signature);
	if (r < 0)
		return -EAGAIN;
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
	snprintf(ret_runner, CURVE_KEY_SIZE, "%s", to.curve);
	log_debug("sample=%s job=%s goes from worker=%s to worker=%s", m->id, m->job, from.name,
		to.name);
	return 0;
}

static bool
is_wanted(void *arg, const struct sample *m)
{
	struct server *s = arg;
	struct peer *p = find_worker(s, m->runner);
	struct sched_worker_view view;
	struct sched_stats stats;

	sched_get_stats(s->sched, &stats);
	if (!p || stats.queued == 0)
		return false;
	sched_worker_get(p->worker, &view);
	return view.used >= view.slots;
}

static void
cancel(void *arg, const struct sample *m)
{
	struct server *s = arg;
	struct peer *p = find_worker(s, m->runner);
	Dray__WorkerCancel c;

	if (!p)
		return;
	dray__worker_cancel__init(&c);
	c.job = as_mutable(m->job);
	server_send(s, p, WIRE_WORKER_CANCEL, &c.base);
}

/* ---- what follows */

static void
on_purged(void *arg, const struct desk_purged *p)
{
	char *what = arg;

	log_info("shared cache: %s: results=%llu entries=%llu%s%s", what,
		(unsigned long long)p->results, (unsigned long long)p->entries,
		p->error ? " error=" : "", p->error ? strerror(-p->error) : "");
	free(what);
}

static void
purge(struct server *s, const struct desk_purge *p, const char *fmt, const char *of)
{
	char *what;
	int r = asprintf(&what, "%s %s", fmt, of) < 0 ? -ENOMEM : 0;

	if (r < 0)
		what = NULL;
	if (r == 0)
		r = desk_purge(s->desk, p, on_purged, what);
	if (r == 0)
		return;
	log_warn("shared cache: cannot purge what %s made: %s", of, strerror(-r));
	free(what);
}

/* One result of it, or all that is known of its key. */
static void
purge_one(struct server *s, const struct sample *m, bool all)
{
	struct desk_purge p = {
		.of_key = true, .in_namespace = true, .of_producer = !all, .key = m->kept.key
	};

	memcpy(p.producer, m->kept.sign, SIGN_KEY_SIZE);
	memcpy(p.namespace, m->kept.namespace, sizeof(p.namespace));
	purge(s, &p, "what is known is purged of", m->kept.unit.crate);
}

static void
note_saved(struct server *s, int r)
{
	if (r == 0 || r == -EEXIST)
		return;
	s->judged_unsaved = true;
	log_error("shared cache: what a sample has shown is not kept for the next start: %s",
		strerror(-r));
}

/* Its line in the list counts as revoked from now on. */
static void
shun(struct server *s, const struct sample *m, const char *curve)
{
	const struct allowed_key *k = allowed_keys_find(&s->keys, curve);
	_cleanup_(freep) char *path = judged_path(s);
	struct desk_purge p = { .of_producer = true };
	struct judged_worker w;
	struct peer *peer;

	memset(&w, 0, sizeof(w));
	snprintf(w.curve, sizeof(w.curve), "%s", curve);
	snprintf(w.name, sizeof(w.name), "%s", name_of(s, curve));
	w.since_s = (uint64_t)time(NULL);
	/* clients of every namespace are told: it names no crate */
	snprintf(w.why, sizeof(w.why),
		"of one unit it made what no other worker makes (%zu results are the same)",
		m->panel->n - 1);
	if (k && k->signs)
		memcpy(w.sign, k->sign_public, SIGN_KEY_SIZE);
	log_warn("worker=%s key=%s is shunned, and what it made is purged: crate=%.64s: %s; take "
		 "its line out of "
		 "%s/" JUDGED_FILE " to have it back",
		w.name, curve, CLEAN(m->kept.unit.crate), w.why, s->conf->coordinator.cache_dir);
	note_saved(s, path ? judged_add_worker(&s->judged, path, &w) : -ENOMEM);
	if (k && k->signs) {
		memcpy(p.producer, k->sign_public, SIGN_KEY_SIZE);
		purge(s, &p, "purged is all of worker", w.name);
	}
	sampler_drop(s->sampler, curve);
	peer = find_worker(s, curve);
	if (peer)
		server_refuse(s, &peer->wire, peer, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"This worker is shunned: %s.", w.why);
	judged_apply(&s->judged, &s->keys);
	keys_changed(s);
}

static void
tell_unshared(struct server *s, struct peer *p)
{
	_cleanup_(freep) Dray__UnsharedPackage *v = calloc(s->judged.n_packages + 1, sizeof(*v));
	_cleanup_(freep)
		Dray__UnsharedPackage **list = calloc(s->judged.n_packages + 1, sizeof(*list));
	const char *own = peer_namespace(s, p);
	Dray__WorkerUnshared m;

	if (!v || !list)
		return;
	dray__worker_unshared__init(&m);
	for (size_t i = 0; i < s->judged.n_packages; i++) {
		struct judged_package *k = &s->judged.packages[i];

		if (*own && !streq(own, k->namespace))
			continue;
		list[m.n_package] = &v[m.n_package];
		dray__unshared_package__init(list[m.n_package]);
		list[m.n_package]->namespace_ = k->namespace;
		list[m.n_package]->crate = k->crate;
		list[m.n_package]->source = k->source;
		m.n_package++;
	}
	m.package = list;
	server_send(s, p, WIRE_WORKER_UNSHARED, &m.base);
}

static void
mark(struct server *s, const struct sample *m)
{
	_cleanup_(freep) char *path = judged_path(s);
	struct sched_worker *w;
	struct judged_package p;

	memset(&p, 0, sizeof(p));
	memcpy(p.namespace, m->kept.namespace, sizeof(p.namespace));
	p.since_s = (uint64_t)time(NULL);
	memcpy(p.crate, m->kept.unit.crate, sizeof(p.crate));
	memcpy(p.source, m->kept.unit.source, sizeof(p.source));
	log_warn("crate=%.64s comes out differently each time: it is not shared any more "
		 "(namespace=%s source=%.160s)",
		CLEAN(p.crate), *p.namespace ? p.namespace : "-", CLEAN(p.source));
	note_saved(s, path ? judged_add_package(&s->judged, path, &p) : -ENOMEM);
	/* puts are held against what the next one is told */
	vouch_done(s);
	purge_one(s, m, true);
	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		struct sched_worker_view view;
		struct peer *peer;

		sched_worker_get(w, &view);
		peer = peer_by_serial(s, view.tag);
		if (peer && peer->samples)
			tell_unshared(s, peer);
	}
}

static void
bar(struct server *s, const struct sample *m, const char *text)
{
	struct desk_purge p = { .of_producer = true };

	log_warn("worker=%s key=%s: what it shares cannot be compiled again, is purged, and for %u "
		 "s "
		 "not taken: %s",
		m->kept.name, m->kept.worker, SAMPLER_BARRED_MS / 1000, CLEAN(text));
	memcpy(p.producer, m->kept.sign, SIGN_KEY_SIZE);
	purge(s, &p, "purged is all of worker", m->kept.name);
}

static void
end(void *arg, const struct sample *m, enum sample_outcome o, const char *who, const char *text)
{
	struct server *s = arg;

	if (o != SAMPLE_BARRED)
		log_debug("sample=%s worker=%s crate=%.64s has ended: outcome=%d %s", m->id,
			m->kept.name, CLEAN(m->kept.unit.crate), (int)o, CLEAN(text));
	switch (o) {
	case SAMPLE_ODD:
		shun(s, m, who);
		break;
	case SAMPLE_VARIES:
		mark(s, m);
		break;
	case SAMPLE_UNPROVEN:
		log_throttled(&s->unsampled, 10,
			"crate=%.64s of worker=%s could not be compiled again, and is not shared: "
			"%s",
			CLEAN(m->kept.unit.crate), m->kept.name, CLEAN(text));
		purge_one(s, m, false);
		break;
	case SAMPLE_ALONE:
		log_throttled(&s->unsampled, 10, "crate=%.64s of worker=%s was not looked at: %s",
			CLEAN(m->kept.unit.crate), m->kept.name, CLEAN(text));
		break;
	case SAMPLE_BARRED:
		bar(s, m, text);
		break;
	case SAMPLE_SAME:
		break;
	}
}

/* ---- what comes */

void
samples_start(struct server *s)
{
	const struct sampler_host host = { s, draw, make_name, keep, forget, give, is_wanted,
		cancel, end };

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
	snprintf(k.namespace, sizeof(k.namespace), "%s", namespace);
	snprintf(k.name, sizeof(k.name), "%.64s", name_of(s, by->curve_public));
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

void
samples_worker_here(struct server *s, struct peer *p)
{
	if (p->samples && s->judged.n_packages > 0)
		tell_unshared(s, p);
}

const char *
samples_bar(const struct server *s, const struct peer *p)
{
	if (!s->sampler || p->role != ROLE_WORKER ||
		sampler_may_share(s->sampler, p->wire.curve, s->now))
		return NULL;
	return "what this worker shares could not be compiled again by others";
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
