/* The shared cache in the coordinator: it hears what peers say of it, and speaks through the
 * coordinator's socket. Also what the history learns of jobs: what a client called a job, and what
 * its worker says that it took. Invariant: a peer's namespace is the list's for its key. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "common/clock.h"
#include "coordinator/cache/history.h"
#include "coordinator/cache/desk.h"
#include "coordinator/server_priv.h"

#define NOTES_MAX 32768 /* jobs that are remembered until they end */

/* A job that a client asked for. */
struct job_note {
	struct table_node node;
	TAILQ_ENTRY(job_note) link; /* by age */
	struct job_id id;
	uint64_t worker; /* the serial of the one that it was placed with */
	uint64_t source_bytes;
	uint64_t asked_ms;
	uint64_t wait_us; /* from then until it was first placed */
	bool placed, twin;
	bool cancelled; /* and counted as that */
	struct history_unit unit;
};

static void
host_send(void *arg, uint64_t serial, uint32_t number, enum wire_type type,
	const ProtobufCMessage *body, zmq_msg_t *payload)
{
	struct server *s = arg;
	struct peer *p = peer_by_serial(s, serial);

	if (p && p->state != ADMIT_DROPPED)
		server_send_number(s, p, number, type, body, payload);
}

static void
host_drop(void *arg, uint64_t serial, const char *why)
{
	struct server *s = arg;
	struct peer *p = peer_by_serial(s, serial);

	if (!p || p->doomed)
		return;
	log_throttled(&s->slow_peer, 5, "key=%s role=%s: %s; its connection ends",
		p->wire.curve[0] ? p->wire.curve : "-", role_name(p->role), why);
	monitor_end(peer_monitor(s, &p->wire), &p->wire, s->now);
	peer_doom(s, p);
}

static void
host_kept(void *arg, const char *namespace, const struct digest *key, const struct merge_note *note)
{
	alike_made(arg, namespace, key);
	samples_kept(arg, namespace, key, note);
}

static void
host_looked(void *arg, const char *namespace, const struct desk_looked *l)
{
	struct server *s = arg;
	enum tally_tier tier = !l->found ? TALLY_MISS : l->from_store ? TALLY_STORE : TALLY_DISK;

	tally_looked(s->tally, namespace, tier, l->us, l->saved_us);
}

static void
warm(struct server *s)
{
	if (s->local)
		desk_warm(s->desk, "");
	for (size_t i = 0; i < s->keys.n; i++)
		desk_warm(s->desk, s->keys.v[i].namespace);
}

void
cache_start(struct server *s)
{
	const struct desk_host host = { s, host_send, host_drop, host_kept,
		s->page ? host_looked : NULL };
	_cleanup_(freep) char *error = NULL;

	TAILQ_INIT(&s->job_notes);
	if (!s->conf->coordinator.cache)
		return;
	if (desk_new(s->conf, &host, true, &s->desk, &error) < 0) {
		log_warn("there is no shared cache: %s", error ? error : "out of memory");
		s->desk = NULL;
		return;
	}
	warm(s);
	samples_start(s);
}

static void
forget(struct server *s, struct job_note *n)
{
	TAILQ_REMOVE(&s->job_notes, n, link);
	table_del(&s->notes, &n->node);
	free(n);
}

void
cache_end(struct server *s)
{
	struct job_note *n;

	while (s->job_notes.tqh_last && (n = TAILQ_FIRST(&s->job_notes)) != NULL)
		forget(s, n);
	table_done(&s->notes);
	samples_end(s);
	desk_free(s->desk);
	s->desk = NULL;
}

size_t
cache_features(const struct server *s, const struct peer *p, char *ret[CACHE_FEATURES_MAX])
{
	static char cache[] = WIRE_SHARED, puts[] = WIRE_SHARED_PUTS, purges[] = WIRE_PURGES;
	size_t n = 0;

	if (s->desk && p->role == ROLE_ADMIN)
		ret[n++] = purges;
	if (!s->desk || p->role == ROLE_ADMIN)
		return n;
	ret[n++] = cache;
	if (p->role == ROLE_PUBLISHER || p->role == ROLE_WORKER)
		ret[n++] = puts;
	return n;
}

static void
say_none(struct server *s, struct peer *p, const struct wire_msg *m, Dray__Verdict verdict,
	const char *why)
{
	char text[128];
	Dray__SharedEnd end;

	if (m->info->type != WIRE_SHARED_GET && m->info->type != WIRE_SHARED_PUT)
		return;
	dray__shared_end__init(&end);
	snprintf(text, sizeof(text), "%s", why);
	end.verdict = verdict;
	end.text = text;
	server_send_number(s, p, m->job, WIRE_SHARED_END, &end.base, NULL);
}

/* A worker compiles for clients of each namespace, unless its own line names one. It is the only
 * one that may write elsewhere: it says for whom it compiled. NULL: it may not. */
static const char *
namespace_of_put(const struct server *s, const struct peer *p, const Dray__SharedPut *m)
{
	const char *own = peer_namespace(s, p), *asked = m->namespace_;

	if (!*asked || streq(asked, own))
		return own;
	if (p->role != ROLE_WORKER || *own)
		return NULL;
	for (size_t i = 0; i < s->keys.n; i++)
		if (streq(s->keys.v[i].namespace, asked))
			return s->keys.v[i].namespace;
	return NULL;
}

/* A worker may have blobs of another namespace for a job of its. NULL: it may not. */
static const char *
namespace_of_get(struct server *s, const struct peer *p, const Dray__SharedGet *m)
{
	if (!*m->job)
		return peer_namespace(s, p);
	return p->role == ROLE_WORKER && !m->entry ? holders_namespace(s, p, m->job) : NULL;
}

static const char *
namespace_asked(struct server *s, const struct peer *p, const struct wire_msg *m)
{
	switch (m->info->type) {
	case WIRE_SHARED_PUT:
		return namespace_of_put(s, p, (const Dray__SharedPut *)m->body);
	case WIRE_SHARED_GET:
		return namespace_of_get(s, p, (const Dray__SharedGet *)m->body);
	default:
		return peer_namespace(s, p);
	}
}

static void
refuse_put(struct server *s, struct peer *p, const struct wire_msg *m, Dray__Verdict verdict,
	const char *why)
{
	log_throttled(&s->unsampled, 10, "worker=%s shares something that is not taken: %s",
		peer_worker_name(s, p->wire.curve), why);
	say_none(s, p, m, verdict, why);
}

void
on_shared(struct server *s, struct peer *p, const struct wire_peer *from, struct wire_msg *m)
{
	struct desk_who who = { .serial = p->serial,
		.account = peer_account(s, p),
		.namespace = namespace_asked(s, p, m) };
	const char *why = "", *bar;
	Dray__Verdict verdict;

	if (!s->desk)
		say_none(s, p, m, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"this coordinator has no shared cache");
	else if (!who.namespace)
		say_none(s, p, m, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"this namespace is not its to write, or this job's to read");
	else if ((m->info->type == WIRE_SHARED_PUT || m->info->type == WIRE_SHARED_GET) &&
		 vouch_signers(s, p, who.namespace, &who.signers, &who.signer) < 0)
		say_none(s, p, m, DRAY__VERDICT__VERDICT_FULL, "the coordinator is out of memory");
	else if (m->info->type == WIRE_SHARED_PUT &&
		 (bar = samples_bar(s, p, (const Dray__SharedPut *)m->body, who.namespace,
			  &who.signer, &verdict)) != NULL)
		refuse_put(s, p, m, verdict, bar);
	else if (desk_hear(s->desk, &who, m, s->now, &why) < 0)
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_MALFORMED, "%s: %s.",
			m->info->name, why);
}

/* ---- the history */

static struct job_note *
find_note(struct server *s, const struct job_id *id)
{
	struct table_node *node = table_find(
		&s->notes, table_hash(s->hash_key, id->b, sizeof(id->b)));

	for (; node; node = table_find_next(node)) {
		struct job_note *n = table_entry(node, struct job_note, node);

		if (memcmp(&n->id, id, sizeof(*id)) == 0)
			return n;
	}
	return NULL;
}

void
cache_job_asked(
	struct server *s, const struct peer *p, const struct job_id *id, const Dray__JobRequest *m)
{
	struct job_note *n;

	if (find_note(s, id) || (!s->notes.bucket && table_init(&s->notes) < 0))
		return;
	if (s->notes.n >= NOTES_MAX)
		forget(s, TAILQ_FIRST(&s->job_notes));
	n = calloc(1, sizeof(*n));
	if (!n)
		return;
	n->id = *id;
	n->source_bytes = m->source_bytes;
	n->asked_ms = s->now;
	history_name(&n->unit, peer_namespace(s, p), m->crate, m->kind, m->toolchain.data,
		m->toolchain.len);
	table_put(&s->notes, &n->node, table_hash(s->hash_key, id->b, sizeof(id->b)));
	TAILQ_INSERT_TAIL(&s->job_notes, n, link);
}

void
cache_job_placed(struct server *s, const struct job_id *id, uint64_t worker, bool twin)
{
	struct job_note *n = find_note(s, id);

	if (!n)
		return;
	n->worker = worker;
	n->twin = twin;
	if (n->placed)
		return;
	n->placed = true;
	n->wait_us = (s->now - n->asked_ms) * 1000;
	tally_placed(s->tally, n->wait_us);
}

static void
count_end(struct server *s, const struct job_note *n, const struct peer *worker,
	enum tally_outcome outcome, const Dray__WorkerJobEnded *m)
{
	struct tally_job job = { .at_ms = clock_wall_ms(),
		.outcome = outcome,
		.wall_us = m->wall_us,
		.cpu_us = m->cpu_us,
		.peak_rss = m->peak_rss,
		.wait_us = n->wait_us };
	struct sched_worker_view view = { .name = "" };

	if (worker && worker->worker)
		sched_worker_get(worker->worker, &view);
	snprintf(job.crate, sizeof(job.crate), "%s", n->unit.crate);
	snprintf(job.kind, sizeof(job.kind), "%s", n->unit.kind);
	snprintf(job.namespace, sizeof(job.namespace), "%s", n->unit.namespace);
	snprintf(job.worker, sizeof(job.worker), "%s", view.name);
	tally_ended(s->tally, &job);
}

void
cache_job_cancelled(struct server *s, const struct job_id *id)
{
	static const Dray__WorkerJobEnded none = DRAY__WORKER_JOB_ENDED__INIT;
	struct job_note *n = find_note(s, id);

	if (!n || n->cancelled)
		return;
	n->cancelled = true;
	count_end(s, n, NULL, TALLY_CANCELLED, &none);
}

/* Older workers do not say whose fault it is; they say nothing of a client that was silent. */
static bool
is_workers_fault(const Dray__WorkerJobEnded *m)
{
	return m->end == DRAY__JOB_END__END_WORKER ||
	       (m->end == DRAY__JOB_END__END_NOT_SAID && !m->ok && !m->silent);
}

static void
count_worker_end(struct server *s, const struct job_note *n, const struct peer *worker,
	const Dray__WorkerJobEnded *m)
{
	enum tally_outcome outcome = TALLY_STOPPED;

	if (n->cancelled)
		return;
	if (m->ok)
		outcome = n->twin ? TALLY_JOINED : TALLY_COMPILED;
	else if (is_workers_fault(m))
		outcome = TALLY_FAILED;
	count_end(s, n, worker, outcome, m);
}

void
cache_job_ended(struct server *s, const struct peer *worker, const struct job_id *id,
	const Dray__WorkerJobEnded *m)
{
	struct job_note *n = find_note(s, id);
	const struct history_facts facts = { .wall_us = m->wall_us,
		.cpu_us = m->cpu_us,
		.peak_rss = m->peak_rss,
		.source_bytes = n ? n->source_bytes : 0 };

	if (!n || n->worker != worker->serial)
		return;
	if (m->ok && s->desk)
		history_ran(desk_history(s->desk), &n->unit, &facts);
	count_worker_end(s, n, worker, m);
	/* where its worker failed it, its client comes with it again */
	if (m->ok || !is_workers_fault(m))
		forget(s, n);
}

bool
cache_job_told(struct server *s, const struct job_id *id, struct job_told *ret)
{
	const struct job_note *n = find_note(s, id);

	if (!n)
		return false;
	*ret = (struct job_told){ n->unit.crate, n->unit.kind, n->unit.namespace, n->asked_ms };
	return true;
}

void
tell_job(struct server *s, const struct peer *p, const struct job_id *id, struct event *e)
{
	const struct allowed_key *k;
	struct job_told told;

	if (!p)
		p = peer_by_serial(s, sched_job_owner(s->sched, id));
	k = p && p->wire.curve[0] ? allowed_keys_find(&s->keys, p->wire.curve) : NULL;
	sched_job_id_hex(id, e->job);
	if (k)
		snprintf(e->who, sizeof(e->who), "%s", k->name);
	if (cache_job_told(s, id, &told)) {
		snprintf(e->crate, sizeof(e->crate), "%s", told.crate);
		snprintf(e->unit, sizeof(e->unit), "%s", told.kind);
	}
	tell_event(s, e);
}
