/* Pushes (proto/client.proto): a client gives a worker a toolchain that it lacks. The scheduler
 * knows nothing of them: they have no slot.
 *
 * Invariant: only where the admin's configuration says so, by clients that it names, and of
 * toolchains whose jobs are taken; a worker is given one at a time, as is one by a client's key.
 * Nobody is asked to give one (with `auto`) that some worker has, or that somebody gives. */
#include "config.h"

#include <stdio.h>

#include "coordinator/server_priv.h"

static bool
was_asked(const Dray__JobRequest *m, const char *worker)
{
	for (size_t i = 0; i < m->n_failed; i++)
		if (streq(m->failed[i]->worker, worker))
			return true;
	return false;
}

struct choice {
	struct aside_at at;
	unsigned having; /* workers that have it */
	bool busy;	 /* one that lacks it is being given another one */
};

static bool
takes(struct server *s, const struct sched_worker *w, const struct sched_worker_view *view,
	const struct peer *worker, const struct peer *client)
{
	return worker && worker->worker == w && !worker->doomed && worker->takes_toolchains &&
	       !view->draining && view->trust == SCHED_TRUSTED && aside_may_see(s, worker, client);
}

/* The one with the smallest part of its slots in use. */
static void
choose(struct server *s, const struct peer *client, const Dray__JobRequest *m, struct choice *ret)
{
	struct sched_worker *w;

	*ret = (struct choice){ .at = { .peer = NULL } };
	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		struct sched_worker_view view, *best = &ret->at.view;
		struct peer *p;

		sched_worker_get(w, &view);
		p = peer_by_serial(s, view.tag);
		if (aside_offers(w, &view, &m->toolchain)) {
			ret->having++;
			continue;
		}
		if (!takes(s, w, &view, p, client) || was_asked(m, view.name))
			continue;
		if (refills_runs_on(&s->pushes, p->serial)) {
			ret->busy = true;
			continue;
		}
		if (!ret->at.peer || view.used * best->slots < best->used * view.slots)
			ret->at = (struct aside_at){ p, view };
	}
}

/* ---- who may */

/* list: words with spaces between; NULL: all. */
static bool
names(const char *list, const char *word)
{
	size_t n = strlen(word);

	if (!list || !*list)
		return true;
	for (const char *p = list; *p; p += strcspn(p, " "), p += strspn(p, " "))
		if (n > 0 && strncmp(p, word, n) == 0 && (p[n] == ' ' || !p[n]))
			return true;
	return false;
}

static const char *
why_never(struct server *s, const struct peer *p, const struct digest *id, Dray__Verdict *ret)
{
	*ret = DRAY__VERDICT__VERDICT_NOT_ALLOWED;
	if (s->conf->coordinator.toolchains == TOOLCHAINS_OFFERED)
		return "this farm takes no toolchains from clients: its admin installs it on the "
		       "workers, or sets [coordinator] toolchains = push";
	if (!names(s->conf->coordinator.toolchains_roles, role_name(p->role)) ||
		!names(s->conf->coordinator.toolchains_namespaces, peer_namespace(s, p)))
		return "this farm takes toolchains from other clients than this one "
		       "([coordinator] toolchains_roles, toolchains_namespaces)";
	*ret = DRAY__VERDICT__VERDICT_NOT_PINNED;
	if (!toolchains_allow(s, id))
		return "the toolchain is not among those that this farm is limited to (drayctl "
		       "toolchain pin)";
	*ret = DRAY__VERDICT__VERDICT_DRAINING;
	return s->draining ? "the coordinator is shutting down" : NULL;
}

/* Why none is placed; NULL: one may be. */
static const char *
why_not(struct server *s, const struct peer *p, const struct digest *id, Dray__Verdict *ret)
{
	const char *why = why_never(s, p, id, ret);

	if (why)
		return why;
	*ret = DRAY__VERDICT__VERDICT_FULL;
	return refills_may(&s->pushes, peer_account(s, p))
		       ? NULL
		       : "this client's key gives another one just now";
}

/* Whether there is somebody to give it to, and nobody has it. */
static bool
is_lacked(struct server *s, const struct peer *client, const struct digest *id)
{
	struct digest copy = *id;
	const ProtobufCBinaryData wanted = { DIGEST_SIZE, copy.b };
	struct sched_worker *w;
	bool any = false;

	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		struct sched_worker_view view;

		sched_worker_get(w, &view);
		if (aside_offers(w, &view, &wanted))
			return false;
		any |= takes(s, w, &view, peer_by_serial(s, view.tag), client);
	}
	return any;
}

bool
push_invites(struct server *s, struct peer *client, const struct digest *toolchain)
{
	Dray__Verdict verdict;

	if (s->conf->coordinator.toolchains != TOOLCHAINS_AUTO ||
		why_not(s, client, toolchain, &verdict) || !is_lacked(s, client, toolchain) ||
		!invites_ask(&s->invites, toolchain, peer_account(s, client), s->now))
		return false;
	log_info("key=%s is asked to give a toolchain that no worker has",
		*client->wire.curve ? client->wire.curve : "-");
	return true;
}

/* ---- one */

static void
tell(struct server *s, const struct refill *f, bool good, const char *what)
{
	const struct peer *client = f->client ? peer_by_serial(s, f->client) : NULL;
	const struct allowed_key *k = client ? allowed_keys_find(&s->keys, client->wire.curve)
					     : NULL;
	const struct peer *worker = peer_by_serial(s, f->worker);
	struct event e = { .kind = EVENT_GIVEN, .good = good, .took_ms = s->now - f->since_ms };
	struct sched_worker_view view;
	char hex[DIGEST_HEX_SIZE];

	digest_hex(&f->toolchain, hex);
	if (worker && worker->worker) {
		sched_worker_get(worker->worker, &view);
		clean_text(view.name, e.worker, sizeof(e.worker));
	}
	clean_text(k ? k->name : "", e.who, sizeof(e.who));
	clean_text(f->job, e.job, sizeof(e.job));
	snprintf(e.text, sizeof(e.text), "%.12s: %s", hex, what);
	tell_event(s, &e);
}

/* By its worker's word, or its client's, whichever comes first. */
static void
judge(struct server *s, struct refill *f, bool given)
{
	if (f->told)
		return;
	f->told = true;
	tell(s, f, given, given ? "given" : "it could not be given");
	if (!given) {
		invites_fail(&s->invites, &f->toolchain, f->giver, s->now);
		return;
	}
	/* it goes on with the next worker */
	invites_given(&s->invites, &f->toolchain, f->giver);
	invites_hold(&s->invites, &f->toolchain, f->giver, s->now);
}

static void
place(struct server *s, struct peer *client, const Dray__JobRequest *m, const struct digest *id,
	const struct aside_at *at)
{
	const struct ticket_terms terms = { .push = true, .one = true, .toolchain = *id };
	struct refill *f = aside_place(s, &s->pushes, client, m, at, &terms);

	if (!f)
		return;
	f->toolchain = *id;
	f->giver = f->account;
	log_info("job=%s key=%s gives a toolchain: worker=%s", m->job,
		*client->wire.curve ? client->wire.curve : "-", at->view.name);
	invites_hold(&s->invites, id, f->giver, s->now);
	tell(s, f, true, "a client begins to give it");
}

void
push_asked(struct server *s, struct peer *p, const Dray__JobRequest *m, const struct job_id *job)
{
	struct digest id;
	Dray__Verdict verdict;
	const char *why;
	struct choice c = { .having = 0 };

	memcpy(id.b, m->toolchain.data, DIGEST_SIZE);
	why = why_not(s, p, &id, &verdict);
	if (!why && (refills_find(&s->pushes, m->job) || sched_job_is_known(s->sched, job))) {
		verdict = DRAY__VERDICT__VERDICT_FULL;
		why = "there is such a job already";
	}
	if (!why) {
		choose(s, p, m, &c);
		verdict = c.busy ? DRAY__VERDICT__VERDICT_FULL : DRAY__VERDICT__VERDICT_NO_WORKER;
		if (!c.at.peer)
			why = c.busy	 ? "the workers that lack it are being given others"
			      : c.having ? "no other worker is there that takes it"
					 : "no worker is there that takes toolchains ([worker] "
					   "toolchains_max)";
	}
	if (why)
		send_denied_as(
			s, p, m->job, verdict, why, &(struct denied_more){ .having = c.having });
	else
		place(s, p, m, &id, &c.at);
}

bool
push_left(struct server *s, const struct peer *p, const char *job, bool finished)
{
	struct refill *f = aside_of_client(&s->pushes, p, job);

	if (!f)
		return false;
	judge(s, f, finished);
	/* its key may give the next one */
	f->account = 0;
	aside_left(s, &s->pushes, f, finished);
	return true;
}

bool
push_ended(struct server *s, const struct peer *worker, const char *job, bool given)
{
	struct refill *f = refills_find(&s->pushes, job);

	/* one whose client has gone was cut short: that says nothing of the toolchain */
	if (f && f->worker == worker->serial && f->client)
		judge(s, f, given);
	return aside_ended(&s->pushes, worker, job);
}

const struct peer *
push_client(struct server *s, const struct peer *worker, const char *job)
{
	const struct refill *f = refills_find(&s->pushes, job);

	return f && f->worker == worker->serial && f->client ? peer_by_serial(s, f->client) : NULL;
}

void
on_push_progress(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__PushProgress *m = (const Dray__PushProgress *)body;
	struct refill *f = aside_of_client(&s->pushes, p, m->job);
	bool grows;

	(void)from;
	if (!f || f->told)
		return;
	grows = MIN2(m->done, m->of) > f->done;
	f->done = MIN2(m->done, m->of);
	f->of = m->of;
	if (grows)
		invites_hold(&s->invites, &f->toolchain, f->giver, s->now);
}

void
pushes_tick(struct server *s)
{
	aside_tick(s, &s->pushes, false);
}
