/* Which worker has which blob, as workers say it, and what one that lacks some is told
 * (worker.proto, Peers first).
 *
 * Invariants: a worker asks, and is heard, for a job that is with it alone; what a job made counts
 * within the namespace of its client, what a client has sent for its key. A worker's word costs
 * others at most the time of asking it. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "common/recent.h"
#include "coordinator/server_priv.h"

#define HOLDERS_MOST (1u << 17) /* pairs; 32 to 64 bytes each, twice */
#define EACH 2			/* holders of a blob that are remembered */

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

/* Whose job it is: the client, or NULL where that is gone, or has no key. */
static const struct peer *
client_of(struct server *s, const struct peer *p, const char *job)
{
	struct job_id id;
	const struct peer *client = p->worker ? push_client(s, p, job) : NULL;

	if (client)
		return !client->doomed && *client->wire.curve ? client : NULL;
	if (!p->worker || sched_job_id_parse(job, &id) < 0 ||
		!sched_job_is_with(s->sched, p->worker, &id))
		return NULL;
	client = peer_by_serial(s, sched_job_owner(s->sched, &id));
	return client && !client->doomed && *client->wire.curve ? client : NULL;
}

/* What jobs of its namespace made, and what it has sent itself. */
struct holders_names {
	char made[KEYS_NAME_MAX + 2], sent[CURVE_KEY_SIZE + 1];
};

static struct holders_names
names_of(const struct server *s, const struct peer *client)
{
	struct holders_names n;

	snprintf(n.made, sizeof(n.made), "*%s", peer_namespace(s, client));
	snprintf(n.sent, sizeof(n.sent), "=%s", client->wire.curve);
	return n;
}

static bool
take_digest(const ProtobufCBinaryData *b, struct digest *ret)
{
	if (b->len == DIGEST_SIZE)
		memcpy(ret->b, b->data, DIGEST_SIZE);
	return b->len == DIGEST_SIZE;
}

/* ---- what workers say */

/* The latest one first: it may be asked before the one that it has it from. */
static void
note(struct server *s, uint64_t serial, const char *name, const ProtobufCBinaryData *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct digest d;
		uint64_t *at = take_digest(&v[i], &d) ? recent_add(s->holders, name, &d) : NULL;

		if (!at || at[0] == serial)
			continue;
		at[1] = at[0];
		at[0] = serial;
	}
}

void
on_worker_holds(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__WorkerHolds *m = (const Dray__WorkerHolds *)body;
	const struct peer *client = p->peers ? client_of(s, p, m->job) : NULL;
	struct holders_names names;

	if (m->n_made + m->n_sent > WIRE_HOLDS_MAX) {
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_MALFORMED,
			"WorkerHolds names more than %u blobs.", WIRE_HOLDS_MAX);
		return;
	}
	if (!client || (!s->holders && recent_new(HOLDERS_MOST, EACH, &s->holders) < 0))
		return;
	names = names_of(s, client);
	note(s, p->serial, names.made, m->made, m->n_made);
	note(s, p->serial, names.sent, m->sent, m->n_sent);
}

/* ---- what they are told */

struct found {
	struct peer *peer;
	Dray__Holder m;
	uint32_t *blobs;
	uint8_t *ticket, signature[SIGNATURE_SIZE];
};

struct finding {
	struct server *s;
	const struct peer *asker, *client;
	struct found v[WIRE_HOLDERS_MAX];
	size_t n, n_blobs;
};

/* NULL: it is none that can be asked, or one too many. */
static struct found *
found_of(struct finding *f, uint64_t serial)
{
	struct peer *p = serial ? peer_by_serial(f->s, serial) : NULL;
	struct sched_worker_view view;

	if (!p || p == f->asker || p->doomed || !p->worker || !p->peers || !*p->wire.curve)
		return NULL;
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].peer == p)
			return &f->v[i];
	sched_worker_get(p->worker, &view);
	if (f->n == WIRE_HOLDERS_MAX || view.trust == SCHED_SHUNNED)
		return NULL;
	f->v[f->n] = (struct found){ .peer = p };
	f->v[f->n].blobs = calloc(f->n_blobs + 1, sizeof(uint32_t));
	return f->v[f->n].blobs ? &f->v[f->n++] : NULL;
}

static void
look_for(struct finding *f, const struct holders_names *names, const ProtobufCBinaryData *b,
	uint32_t i)
{
	const char *const of[] = { names->made, names->sent };
	struct digest d;
	unsigned found = 0;

	for (size_t k = 0; found == 0 && k < ARRAY_LEN(of) && take_digest(b, &d); k++) {
		const uint64_t *at = recent_find(f->s->holders, of[k], &d);

		for (size_t e = 0; at && e < EACH; e++) {
			struct found *w = found_of(f, at[e]);

			if (w)
				w->blobs[w->m.n_blob++] = i;
			found += w != NULL;
		}
	}
}

/* The asker comes to it as a client, which has to be let in. */
static void
name_asker(const struct finding *f, struct peer *holder)
{
	static char role[] = "client";
	Dray__WorkerExpect e;

	dray__worker_expect__init(&e);
	e.curve_public = as_mutable(f->asker->wire.curve);
	e.role = role;
	e.namespace_ = as_mutable(peer_namespace(f->s, f->client));
	server_send(f->s, holder, WIRE_WORKER_EXPECT, &e.base);
}

static int
fill(const struct finding *f, struct found *w, const char *job)
{
	struct ticket_terms terms = { .blobs = true };
	struct sched_worker_view view;
	size_t n = 0, n_blob = w->m.n_blob;
	int r;

	snprintf(terms.owner, sizeof(terms.owner), "%s", f->client->wire.curve);
	sched_worker_get(w->peer->worker, &view);
	r = ticket_issue(&f->s->id, job, f->asker->wire.curve, w->peer->wire.curve, &terms,
		server_time(f->s), &w->ticket, &n, w->signature);
	if (r < 0)
		return r;
	dray__holder__init(&w->m);
	w->m.name = as_mutable(view.name);
	w->m.endpoint = as_mutable(view.endpoint);
	w->m.curve_public = as_mutable(view.curve);
	w->m.ticket = (ProtobufCBinaryData){ n, w->ticket };
	w->m.signature = (ProtobufCBinaryData){ SIGNATURE_SIZE, w->signature };
	w->m.blob = w->blobs;
	w->m.n_blob = n_blob;
	name_asker(f, w->peer);
	return 0;
}

static void
answer(struct finding *f, struct peer *p, char *job)
{
	Dray__Holder *list[WIRE_HOLDERS_MAX];
	Dray__WorkerFound m;

	dray__worker_found__init(&m);
	m.job = job;
	m.holder = list;
	for (size_t i = 0; i < f->n; i++)
		if (fill(f, &f->v[i], job) == 0)
			list[m.n_holder++] = &f->v[i].m;
	server_send(f->s, p, WIRE_WORKER_FOUND, &m.base);
}

void
on_worker_seek(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__WorkerSeek *m = (const Dray__WorkerSeek *)body;
	const struct peer *client = client_of(s, p, m->job);
	struct finding f = { .s = s, .asker = p, .client = client, .n_blobs = m->n_blob };
	char job[JOB_ID_HEX_SIZE] = "";

	if (m->n_blob > WIRE_SEEK_MAX || strlen(m->job) >= sizeof(job)) {
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_MALFORMED,
			"WorkerSeek is about a job, and %u blobs at most.", WIRE_SEEK_MAX);
		return;
	}
	memcpy(job, m->job, strlen(m->job));
	/* its client may just have gone: nobody has it */
	if (client && s->holders && *p->wire.curve) {
		const struct holders_names names = names_of(s, client);

		for (uint32_t i = 0; i < m->n_blob; i++)
			look_for(&f, &names, &m->blob[i], i);
	}
	answer(&f, p, job);
	for (size_t i = 0; i < f.n; i++) {
		free(f.v[i].blobs);
		free(f.v[i].ticket);
	}
}

void
holders_end(struct server *s)
{
	recent_freep(&s->holders);
}

const char *
holders_namespace(struct server *s, const struct peer *p, const char *job)
{
	const struct peer *client = NULL;
	struct sched_worker *w;

	/* it asks on another connection than the one it has registered on */
	for (w = sched_worker_walk(s->sched, NULL); w && !client;
		w = sched_worker_walk(s->sched, w)) {
		struct sched_worker_view view;
		const struct peer *reg;

		sched_worker_get(w, &view);
		reg = *p->wire.curve && streq(view.curve, p->wire.curve)
			      ? peer_by_serial(s, view.tag)
			      : NULL;
		if (reg && reg->worker == w)
			client = client_of(s, reg, job);
	}
	return client ? peer_namespace(s, client) : NULL;
}
