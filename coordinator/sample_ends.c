/* What follows of samples: of what did not come out the same it is noted which worker was the odd
 * one (cache/blame.h says what that leads to), and it is not shared.
 *
 * Invariant: what a sample has shown is in the file before anything follows of it. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/fs.h"
#include "coordinator/cache/blame.h"
#include "coordinator/cache/desk.h"
#include "coordinator/cache/lender.h"
#include "coordinator/server_priv.h"

#define UNSHARED_TOLD_MAX 4096 /* of worker.proto */

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
	if (r == 0 || r == -EEXIST || r == -E2BIG)
		return;
	s->judged_unsaved = true;
	log_error("shared cache: what a sample has shown is not kept for the next start: %s",
		strerror(-r));
}

/* All of a producer, or (namespace) of it in there. */
static void
purge_worker(struct server *s, const char *curve, const char *name, const char *namespace)
{
	const struct allowed_key *k = NULL;
	struct desk_purge p = { .of_producer = true, .in_namespace = namespace != NULL };

	for (size_t i = 0; i < s->keys.n && !k; i++)
		if (streq(s->keys.v[i].curve_public, curve))
			k = &s->keys.v[i];
	if (!k || !k->signs)
		return;
	memcpy(p.producer, k->sign_public, SIGN_KEY_SIZE);
	if (namespace)
		snprintf(p.namespace, sizeof(p.namespace), "%s", namespace);
	purge(s, &p,
		namespace ? "purged is what is in that namespace of worker"
			  : "purged is all of worker",
		name);
}

static void
fill_worker(struct server *s, const char *curve, bool unlike, struct judged_worker *ret)
{
	const struct allowed_key *k = allowed_keys_find(&s->keys, curve);

	memset(ret, 0, sizeof(*ret));
	ret->unlike = unlike;
	ret->since_s = (uint64_t)time(NULL);
	snprintf(ret->curve, sizeof(ret->curve), "%s", curve);
	snprintf(ret->name, sizeof(ret->name), "%.64s", peer_worker_name(s, curve));
	/* clients of every namespace are told: it names no crate, and none of them */
	snprintf(ret->why, sizeof(ret->why),
		"for %u clients or more it made of %u packages and more each what no other worker "
		"makes%s",
		BLAME_CLIENTS, BLAME_PACKAGES,
		unlike ? "; none of the others has such a machine" : "");
	if (k && k->signs)
		memcpy(ret->sign, k->sign_public, SIGN_KEY_SIZE);
}

/* Shunned: its line in the list counts as revoked from now on. Unlike: what it signs does. */
static void
condemn(struct server *s, const char *curve, bool unlike)
{
	_cleanup_(freep) char *path = judged_path(s);
	struct judged_worker w;
	struct peer *peer;

	fill_worker(s, curve, unlike, &w);
	log_warn("worker=%s key=%s is %s, and what it made is purged: %s; take its lines out of "
		 "%s/" JUDGED_FILE " to have it back",
		w.name, curve, unlike ? "no producer any more" : "shunned", w.why,
		s->conf->coordinator.cache_dir);
	tell_worker(s, w.name, unlike ? "no producer any more, by samples" : "shunned, by samples");
	note_saved(s, path ? judged_add_worker(&s->judged, path, &w) : -ENOMEM);
	purge_worker(s, curve, w.name, NULL);
	sampler_drop(s->sampler, curve);
	peer = peer_of_worker(s, curve);
	if (peer && !unlike)
		server_refuse(s, &peer->wire, peer, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"This worker is shunned: %s.", w.why);
	judged_apply(&s->judged, &s->keys);
	keys_changed(s);
}

bool
samples_are_believed(const struct server *s, const char *curve, const char *client)
{
	return !judged_find(&s->judged, curve) && !blame_is_withheld(&s->judged, curve, client);
}

void
samples_tell_unshared(struct server *s, struct peer *p)
{
	size_t room = s->judged.n_packages + s->judged.n_notes + 1, n, sent = 0;
	_cleanup_(freep) Dray__UnsharedPackage *v = calloc(room, sizeof(*v));
	_cleanup_(freep) Dray__UnsharedPackage **list = calloc(room, sizeof(*list));
	_cleanup_(freep) const struct judged_package **packages = calloc(room, sizeof(*packages));
	_cleanup_(freep) struct judged_package *copy = calloc(room, sizeof(*copy));
	const char *own = peer_namespace(s, p);
	Dray__WorkerUnshared m;

	if (!v || !list || !packages || !copy)
		return;
	n = blame_packages(&s->judged, packages);
	for (size_t i = 0; i < n && sent < UNSHARED_TOLD_MAX; i++) {
		if (*own && !streq(own, packages[i]->namespace))
			continue;
		copy[sent] = *packages[i];
		dray__unshared_package__init(&v[sent]);
		v[sent].namespace_ = copy[sent].namespace;
		v[sent].crate = copy[sent].crate;
		v[sent].source = copy[sent].source;
		list[sent] = &v[sent];
		sent++;
	}
	dray__worker_unshared__init(&m);
	m.n_package = sent;
	m.package = list;
	server_send(s, p, WIRE_WORKER_UNSHARED, &m.base);
}

/* Packages that are not shared are others now. */
static void
unshared_changed(struct server *s)
{
	struct sched_worker *w;

	/* puts are held against what the next one is told */
	vouch_done(s);
	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		struct sched_worker_view view;
		struct peer *peer;

		sched_worker_get(w, &view);
		peer = peer_by_serial(s, view.tag);
		if (peer && peer->samples)
			samples_tell_unshared(s, peer);
	}
}

static void
fill_package(const struct sample *m, struct judged_package *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->namespace, m->kept.namespace, sizeof(ret->namespace));
	ret->since_s = (uint64_t)time(NULL);
	memcpy(ret->crate, m->kept.unit.crate, sizeof(ret->crate));
	memcpy(ret->source, m->kept.unit.source, sizeof(ret->source));
}

static void
mark(struct server *s, const struct sample *m)
{
	_cleanup_(freep) char *path = judged_path(s);
	struct judged_package p;

	fill_package(m, &p);
	log_warn("crate=%.64s comes out differently each time: it is not shared any more "
		 "(namespace=%s source=%.160s)",
		CLEAN(p.crate), *p.namespace ? p.namespace : "-", CLEAN(p.source));
	note_saved(s, path ? judged_add_package(&s->judged, path, &p) : -ENOMEM);
	unshared_changed(s);
	purge_one(s, m, true);
}

static void
log_odd(const struct sample *m, const struct judged_note *n, const char *name, bool other)
{
	log_warn("crate=%.64s of worker=%s %s%s%s: it is not shared (client=%s namespace=%s "
		 "source=%.160s)",
		CLEAN(n->of.crate), m->kept.name,
		other ? "is another job where others compile it again"
		      : "came out otherwise on worker=",
		other ? "" : name,
		other	   ? ""
		: n->alike ? " than on the others, one of them alike"
			   : " than on the others, none of them alike",
		*n->client ? n->client : "-", *n->of.namespace ? n->of.namespace : "-",
		CLEAN(n->of.source));
}

/* That worker made of it what others did not, or (other) what it hands over of it comes to
 * something else. */
static void
note_odd(struct server *s, const struct sample *m, const char *curve, bool other)
{
	_cleanup_(freep) char *path = judged_path(s);
	/* it may have new keys by now */
	const char *node = allowed_keys_newest(&s->keys, curve);
	bool was_withheld = blame_is_withheld(&s->judged, node, m->kept.client);
	char name[KEYS_NAME_MAX + 1];
	struct judged_note n;
	enum blame blame;

	memset(&n, 0, sizeof(n));
	memcpy(n.client, m->kept.client, sizeof(n.client));
	snprintf(n.worker, sizeof(n.worker), "%s", node);
	snprintf(name, sizeof(name), "%.64s", peer_worker_name(s, curve));
	n.alike = !other && panel_is_alike(m->panel, curve);
	fill_package(m, &n.of);
	log_odd(m, &n, name, other);
	judged_expire(&s->judged, n.of.since_s);
	/* of one of which enough is known there is nothing to add */
	note_saved(s, path ? judged_add_note(&s->judged, path, &n) : -ENOMEM);
	blame = blame_of(&s->judged, node);
	if (blame != BLAME_NONE && !judged_find(&s->judged, node)) {
		condemn(s, node, blame == BLAME_UNLIKE);
		if (node != curve && !judged_find(&s->judged, curve))
			condemn(s, curve, blame == BLAME_UNLIKE);
	} else if (!was_withheld && blame_is_withheld(&s->judged, node, n.client)) {
		log_warn("worker=%s key=%s: what it makes for client=%s is not taken any more, and "
			 "what it put into namespace=%s is purged: of %u packages it was what no "
			 "other worker makes",
			name, curve, *n.client ? n.client : "-",
			*n.of.namespace ? n.of.namespace : "-", BLAME_PACKAGES);
		purge_worker(s, node, name, n.of.namespace);
		if (node != curve)
			purge_worker(s, curve, name, n.of.namespace);
	}
	unshared_changed(s);
	purge_one(s, m, true);
}

/* For that client alone. */
static void
withhold(struct server *s, const struct sample *m, const char *text)
{
	log_warn("worker=%s key=%s: what it shares of client=%s cannot be compiled again; what it "
		 "put into namespace=%s is purged, and nothing of that client's is taken for %u s "
		 "or more: %s",
		m->kept.name, m->kept.worker, *m->kept.client ? m->kept.client : "-",
		*m->kept.namespace ? m->kept.namespace : "-", LENDER_BARRED_MS / 1000, CLEAN(text));
	purge_worker(s, m->kept.worker, m->kept.name, m->kept.namespace);
}

static void
bar(struct server *s, const struct sample *m, const char *text)
{
	struct desk_purge p = { .of_producer = true };

	log_warn("worker=%s key=%s: what it shares cannot be compiled again, is purged, and for %u "
		 "s "
		 "or more not taken: %s",
		m->kept.name, m->kept.worker, LENDER_BARRED_MS / 1000, CLEAN(text));
	memcpy(p.producer, m->kept.sign, SIGN_KEY_SIZE);
	purge(s, &p, "purged is all of worker", m->kept.name);
}

/* However it ends, what is known of its key will be purged: it is served to nobody until then. */
void
samples_doubted(void *arg, const struct sample *m)
{
	purge_one(arg, m, true);
}

void
samples_judged(
	void *arg, const struct sample *m, enum sample_outcome o, const char *who, const char *text)
{
	struct server *s = arg;

	if (o != SAMPLE_BARRED && o != SAMPLE_WITHHELD)
		log_debug("sample=%s worker=%s crate=%.64s has ended: outcome=%d %s", m->id,
			m->kept.name, CLEAN(m->kept.unit.crate), (int)o, CLEAN(text));
	switch (o) {
	case SAMPLE_ODD:
	case SAMPLE_OTHER:
		note_odd(s, m, who, o == SAMPLE_OTHER);
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
	case SAMPLE_WITHHELD:
		withhold(s, m, text);
		break;
	case SAMPLE_BARRED:
		bar(s, m, text);
		break;
	case SAMPLE_SAME:
		break;
	}
}
