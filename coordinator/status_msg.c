/* The farm's status, for `dray doctor` and `dray run`. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "coordinator/cache/blame.h"
#include "coordinator/server_priv.h"

#define LISTED_MAX 1000 /* workers in one Status (client.proto) */
#define SHUNNED_MAX 100
#define UNSHARED_MAX 100
#define TEXTS_MAX 16 /* toolchains that are named for one worker: the message is bounded */

struct worker_row {
	Dray__WorkerStatus status;
	char *texts[TEXTS_MAX];
};

static bool
offers(const struct sched_worker *w, size_t n_offers, const struct digest *wanted)
{
	for (size_t i = 0; i < n_offers; i++)
		if (digest_eq(sched_worker_offer(w, i, NULL), wanted))
			return true;
	return false;
}

static int
fill_texts(struct worker_row *row, const struct sched_worker *w, size_t n_offers)
{
	for (size_t i = 0; i < n_offers && i < TEXTS_MAX; i++) {
		const char *text;
		char hex[DIGEST_HEX_SIZE];

		digest_hex(sched_worker_offer(w, i, &text), hex);
		if (asprintf(&row->texts[i], "%s %.12s", text, hex) < 0) {
			row->texts[i] = NULL;
			return -ENOMEM;
		}
		row->status.n_toolchains = i + 1;
	}
	row->status.toolchains = row->texts;
	return 0;
}

static int
fill_row(struct server *s, struct worker_row *row, const struct sched_worker *w,
	const struct sched_worker_view *view, bool matching)
{
	static char trusted[] = "trusted", shunned[] = "shunned", probed[] = "probed";
	static char *const trusts[] = {
		[SCHED_TRUSTED] = trusted, [SCHED_SHUNNED] = shunned, [SCHED_PROBED] = probed
	};
	struct peer *p = peer_by_serial(s, view->tag);

	dray__worker_status__init(&row->status);
	row->status.name = strdup(view->name);
	if (!row->status.name)
		return -ENOMEM;
	row->status.slots = view->slots;
	row->status.running = MIN2(view->used, view->slots);
	row->status.cores = view->cores;
	row->status.glibc = view->glibc;
	row->status.matching = matching;
	row->status.heard_ms = p ? s->now - p->heard_ms : 0;
	row->status.trust = trusts[view->trust];
	return fill_texts(row, w, view->n_offers);
}

static void
rows_free(struct worker_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < TEXTS_MAX; k++)
			free(rows[i].texts[k]);
		free(rows[i].status.name);
	}
	free(rows);
}

/* Counts all workers into m and fills up to LISTED_MAX rows; returns how many, or -ENOMEM. */
static int
collect(struct server *s, Dray__Status *m, const struct digest *wanted, struct worker_row *rows,
	Dray__WorkerStatus **list)
{
	struct sched_worker_view view;
	struct sched_worker *w;
	size_t n = 0;

	for (w = sched_worker_walk(s->sched, NULL); w; w = sched_worker_walk(s->sched, w)) {
		bool matching;

		sched_worker_get(w, &view);
		matching = wanted && !m->not_pinned && !view.draining &&
			   offers(w, view.n_offers, wanted);
		m->matching += matching;
		m->matching_slots += matching ? view.slots : 0;
		if (n == LISTED_MAX)
			continue;
		list[n] = &rows[n].status;
		n++;
		if (fill_row(s, &rows[n - 1], w, &view, matching) < 0)
			return -ENOMEM;
	}
	m->worker = list;
	m->n_worker = n;
	return 0;
}

/* What samples have shown, for the asker's namespace. */
struct samples_rows {
	Dray__ShunnedStatus v[SHUNNED_MAX], *list[SHUNNED_MAX];
	char hex[SHUNNED_MAX][DIGEST_HEX_SIZE];
	char crates[UNSHARED_MAX][SAME_WORD], *unshared[UNSHARED_MAX];
};

static void
fill_shunned(struct server *s, Dray__Status *m, struct samples_rows *rows)
{
	for (size_t i = 0; i < s->judged.n_workers && m->n_shunned < SHUNNED_MAX; i++) {
		struct judged_worker *w = &s->judged.workers[i];
		size_t n = m->n_shunned++;
		struct digest d;

		memcpy(d.b, w->sign, DIGEST_SIZE);
		digest_hex(&d, rows->hex[n]);
		rows->list[n] = &rows->v[n];
		dray__shunned_status__init(rows->list[n]);
		rows->list[n]->name = w->name;
		rows->list[n]->curve_public = w->curve;
		rows->list[n]->sign_public = rows->hex[n];
		rows->list[n]->since_s = w->since_s;
		rows->list[n]->why = w->why;
		rows->list[n]->compiles = w->unlike;
	}
	m->shunned = rows->list;
}

static void
fill_unshared(struct server *s, const struct peer *p, Dray__Status *m, struct samples_rows *rows)
{
	_cleanup_(freep) const struct judged_package **v = calloc(
		s->judged.n_packages + s->judged.n_notes + 1, sizeof(*v));
	size_t n = v ? blame_packages(&s->judged, v) : 0;

	for (size_t i = 0; i < n && m->n_unshared < UNSHARED_MAX; i++)
		if (streq(v[i]->namespace, peer_namespace(s, p)) || p->role == ROLE_ADMIN) {
			snprintf(rows->crates[m->n_unshared], SAME_WORD, "%s", v[i]->crate);
			rows->unshared[m->n_unshared] = rows->crates[m->n_unshared];
			m->n_unshared++;
		}
}

static void
fill_samples(struct server *s, const struct peer *p, Dray__Status *m, struct samples_rows *rows)
{
	struct sampler_stats stats = { .chosen = 0 };

	if (s->sampler)
		sampler_get_stats(s->sampler, &stats);
	m->samples = stats.same + stats.odd + stats.varies + stats.failed;
	m->samples_same = stats.same;
	m->samples_failed = stats.failed;
	if (!rows)
		return;
	fill_shunned(s, m, rows);
	fill_unshared(s, p, m, rows);
	m->unshared = rows->unshared;
}

void
on_status_request(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__StatusRequest *request = (const Dray__StatusRequest *)body;
	_cleanup_(freep)
		Dray__WorkerStatus **list = calloc(LISTED_MAX, sizeof(Dray__WorkerStatus *));
	struct worker_row *rows = calloc(LISTED_MAX, sizeof(*rows));
	_cleanup_(freep) struct samples_rows *samples = calloc(1, sizeof(*samples));
	Dray__Status m;
	struct sched_stats stats;
	struct digest wanted;
	char role[16];
	struct status_cache cache = { .namespace = "" };
	bool named = request->toolchain.len > 0;

	if (!door_take_request(s->door, from->curve, s->now)) {
		log_throttled(&s->crowd, 5, "key=%s asks for the status too often", from->curve);
		server_waste(s, from);
		rows_free(rows, 0);
		return;
	}
	if (named && request->toolchain.len != DIGEST_SIZE) {
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_MALFORMED,
			"A toolchain's id has %d bytes, not %zu.", DIGEST_SIZE,
			request->toolchain.len);
		rows_free(rows, 0);
		return;
	}
	if (named)
		memcpy(wanted.b, request->toolchain.data, DIGEST_SIZE);
	sched_get_stats(s->sched, &stats);
	dray__status__init(&m);
	m.name = s->id.name;
	m.workers = (uint32_t)stats.workers;
	m.slots = (uint32_t)stats.slots;
	m.running = (uint32_t)stats.used;
	m.queued = (uint32_t)stats.queued;
	m.jobs_placed = stats.placed;
	m.jobs_ended = stats.ended;
	m.not_pinned = named && !toolchains_allow(s, &wanted);
	snprintf(role, sizeof(role), "%s", role_name(p->role));
	m.role = role;
	fill_samples(s, p, &m, samples);
	/* If there is no memory for the list, the sums are sent all the same. */
	if (list && rows && collect(s, &m, named ? &wanted : NULL, rows, list) < 0)
		m.n_worker = 0;
	if (request->cache)
		status_cache_fill(s, p, &m, &cache);
	server_send(s, p, WIRE_STATUS, &m.base);
	status_cache_done(&cache);
	rows_free(rows, rows ? LISTED_MAX : 0);
}
