/* Fills the JSON. Invariant: a text that is written is whole; where there is no memory there is
 * none. */
#include "config.h"

#include "coordinator/page/api.h"

#include <errno.h>
#include <jansson.h>

#include "common/log/joblog.h"

/* False: there is no value any more, which is jansson's also where it was not taken. */
static bool
put(json_t *o, const char *key, json_t *value, bool *failed)
{
	if (value && json_object_set_new(o, key, value) == 0)
		return true;
	*failed = true;
	return false;
}

static void
put_n(json_t *o, const char *key, uint64_t n, bool *failed)
{
	put(o, key, json_integer((json_int_t)MIN2(n, (uint64_t)INT64_MAX)), failed);
}

static void
put_us(json_t *o, const char *key, uint64_t us, bool *failed)
{
	put(o, key, json_real((double)us / 1e6), failed);
}

static void
put_text(json_t *o, const char *key, const char *text, bool *failed)
{
	put(o, key, joblog_text(text, TALLY_TEXT), failed);
}

static void
put_bool(json_t *o, const char *key, bool value, bool *failed)
{
	put(o, key, json_boolean(value), failed);
}

static json_t *
list(json_t *o, const char *key, bool *failed)
{
	json_t *a = json_array();

	return put(o, key, a, failed) ? a : NULL;
}

static json_t *
object(json_t *o, const char *key, bool *failed)
{
	json_t *child = json_object();

	return put(o, key, child, failed) ? child : NULL;
}

static json_t *
row(json_t *a, bool *failed)
{
	json_t *o = json_object();

	if (o && json_array_append_new(a, o) == 0)
		return o;
	*failed = true;
	return NULL;
}

/* ---- status */

static const char *
state_of(const struct view_worker *w)
{
	if (w->drained)
		return "drained";
	if (w->leaving)
		return "leaving";
	return w->trust == SCHED_TRUSTED ? "ready" : view_trust_name(w->trust);
}

static void
fill_pool(json_t *o, const struct page_shot *s, bool *failed)
{
	static const char *const states[] = { "ready", "shunned", "probed", "leaving", "drained" };
	json_t *workers = object(o, "workers", failed), *slots = object(o, "slots", failed);
	json_t *queue = object(o, "queue", failed);

	put_n(workers, "total", s->view->n_workers, failed);
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		uint64_t n = 0;

		for (size_t k = 0; k < s->view->n_workers; k++)
			n += streq(state_of(&s->view->workers[k]), states[i]);
		put_n(workers, states[i], n, failed);
	}
	put_n(workers, "condemned", s->view->shunned, failed);
	put_n(slots, "total", s->view->sched.slots, failed);
	put_n(slots, "used", s->view->sched.used, failed);
	put_n(queue, "jobs", s->view->sched.queued, failed);
	put_us(queue, "seconds", s->view->queue_ms * 1000, failed);
	put_us(queue, "oldest_seconds", s->view->queue_oldest_ms * 1000, failed);
}

static void
fill_cache(json_t *o, const struct page_shot *s, bool *failed)
{
	json_t *cache = object(o, "cache", failed), *spaces = list(cache, "namespaces", failed);
	const struct tally *t = &s->tally;

	put_bool(cache, "has", s->view->has_cache, failed);
	put_n(cache, "hits_disk", t->looked[TALLY_DISK], failed);
	put_n(cache, "hits_store", t->looked[TALLY_STORE], failed);
	put_n(cache, "misses", t->looked[TALLY_MISS], failed);
	put_us(cache, "saved_seconds", t->saved_us[TALLY_DISK] + t->saved_us[TALLY_STORE], failed);
	put_n(cache, "sent_bytes", s->view->desk.bytes, failed);
	put_n(cache, "fetched", s->view->desk.fetched, failed);
	put_n(cache, "uploads_due", s->view->desk.due, failed);
	for (size_t i = 0; i < s->view->n_caches; i++) {
		const struct view_cache *c = &s->view->caches[i];
		json_t *r = row(spaces, failed);

		put_text(r, "namespace", c->namespace, failed);
		put_bool(r, "open", c->open, failed);
		put_n(r, "bytes", c->open ? c->space.bytes : 0, failed);
		put_n(r, "limit_bytes", c->open ? c->space.max : 0, failed);
		put_n(r, "entries", c->open ? c->space.entries : 0, failed);
	}
}

static void
fill_shares(json_t *o, const struct page_shot *s, bool *failed)
{
	json_t *shares = list(o, "shares", failed);

	for (size_t i = 0; i < s->tally.n_spaces; i++) {
		const struct tally_space *t = &s->tally.spaces[i];
		json_t *r = row(shares, failed);

		put_text(r, "namespace", t->namespace, failed);
		put_n(r, "jobs", t->jobs, failed);
		put_us(r, "seconds", t->wall_us, failed);
		put_us(r, "cpu_seconds", t->cpu_us, failed);
		put_n(r, "hits", t->hits, failed);
		put_n(r, "misses", t->misses, failed);
		put_us(r, "saved_seconds", t->saved_us, failed);
	}
}

static void
put_limit(json_t *o, const char *key, uint64_t max, bool *failed)
{
	if (max)
		put_n(o, key, max, failed);
	else
		put(o, key, json_null(), failed);
}

static void
fill_quotas(json_t *o, const struct page_shot *s, bool *failed)
{
	json_t *quotas = list(o, "quotas", failed);

	for (size_t i = 0; i < s->view->n_spaces; i++) {
		const struct view_space *v = &s->view->spaces[i];
		json_t *r = row(quotas, failed);

		put_text(r, "namespace", v->namespace, failed);
		put_n(r, "slots", v->slots, failed);
		put_limit(r, "slots_limit", v->slots_max, failed);
		put_n(r, "queued", v->queued, failed);
		put_limit(r, "queue_limit", v->queue_max, failed);
		put_n(r, "uploaded_bytes", v->uploaded, failed);
		put_limit(r, "upload_limit_bytes", v->upload_max, failed);
	}
}

static void
fill_status(json_t *o, const struct page_shot *s, bool *failed)
{
	json_t *jobs;
	uint64_t denied = 0, faults = 0;

	put_text(o, "name", s->view->name, failed);
	put_text(o, "version", PACKAGE_VERSION, failed);
	put_us(o, "up_seconds", s->view->up_ms * 1000, failed);
	put_bool(o, "ready", s->ready, failed);
	put_text(o, "not_ready", s->not_ready, failed);
	put_n(o, "connections", s->view->connections, failed);
	put_n(o, "received_bytes", s->taken_bytes, failed);
	put_n(o, "memory_bytes", s->rss, failed);
	put_us(o, "cpu_seconds", s->cpu_us, failed);
	fill_pool(o, s, failed);
	jobs = object(o, "jobs", failed);
	put_n(jobs, "placed", s->view->sched.placed, failed);
	for (int i = 0; i < TALLY_N_OUTCOMES; i++)
		put_n(jobs, tally_outcome_name((enum tally_outcome)i), s->tally.outcomes[i],
			failed);
	for (size_t i = 0; i < ARRAY_LEN(s->tally.denied); i++)
		denied += s->tally.denied[i];
	put_n(jobs, "denied", denied, failed);
	for (int i = 0; i < TALLY_N_CAUSES; i++)
		faults += s->tally.faults[i];
	put_n(o, "faults", faults, failed);
	fill_cache(o, s, failed);
	fill_shares(o, s, failed);
	fill_quotas(o, s, failed);
}

/* ---- workers, jobs, who waits */

static void
fill_workers(json_t *o, const struct page_shot *s, bool *failed)
{
	size_t n = MIN2(s->view->n_workers, (size_t)API_WORKERS_MAX);
	json_t *workers = list(o, "workers", failed);

	put_n(o, "more", s->view->n_workers - n, failed);
	for (size_t i = 0; i < n; i++) {
		const struct view_worker *w = &s->view->workers[i];
		json_t *r = row(workers, failed);

		put_text(r, "name", w->name, failed);
		put_text(r, "state", state_of(w), failed);
		put_n(r, "slots", w->slots, failed);
		put_n(r, "used", w->used, failed);
		put_n(r, "cores", w->cores, failed);
		put_n(r, "toolchains", w->n_offers, failed);
		put_n(r, "jobs", w->ended, failed);
		put_n(r, "failed", w->failed, failed);
		put_us(r, "cpu_seconds", w->cpu_us, failed);
		put_us(r, "heard_seconds", w->heard_ms * 1000, failed);
		put_us(r, "up_seconds", w->up_ms * 1000, failed);
		put_n(r, "load_percent", w->load_percent, failed);
		put_n(r, "memory_bytes", w->memory_available, failed);
		put_n(r, "store_bytes", w->store_bytes, failed);
	}
}

static void
fill_job(json_t *r, const struct view_job *j, bool *failed)
{
	put_text(r, "crate", j->crate, failed);
	put_text(r, "kind", j->kind, failed);
	put_text(r, "namespace", j->namespace, failed);
	put_text(r, "client", j->client, failed);
	put_text(r, "worker", j->worker, failed);
	put_text(r, "state", view_state_name(j->state), failed);
	put_n(r, "tries", j->tries, failed);
	put_us(r, "age_seconds", j->age_ms * 1000, failed);
	put_us(r, "held_seconds", j->held_ms * 1000, failed);
}

/* Those that wait, or those that do not, up to the limit. */
static void
fill_view_jobs(json_t *a, const struct page_shot *s, bool waiting, uint64_t *ret_more, bool *failed)
{
	size_t n = 0;

	*ret_more = 0;
	for (size_t i = 0; i < s->view->n_jobs; i++) {
		const struct view_job *j = &s->view->jobs[i];

		if ((j->state == SCHED_JOB_QUEUED) != waiting || j->state == SCHED_JOB_AWAY)
			continue;
		if (n++ < API_JOBS_MAX)
			fill_job(row(a, failed), j, failed);
		else
			(*ret_more)++;
	}
}

static void
fill_queue(json_t *o, const struct page_shot *s, bool *failed)
{
	json_t *clients = list(o, "clients", failed);
	uint64_t more;
	size_t listed = 0;

	fill_view_jobs(list(o, "jobs", failed), s, true, &more, failed);
	put_n(o, "more",
		MAX2(more,
			s->view->sched.queued - MIN2(s->view->sched.queued, (size_t)API_JOBS_MAX)),
		failed);
	for (size_t i = 0; i < s->view->n_clients && listed < API_JOBS_MAX; i++) {
		const struct view_client *c = &s->view->clients[i];
		json_t *r;

		if (c->jobs == 0)
			continue;
		listed++;
		r = row(clients, failed);
		put_text(r, "name", c->name, failed);
		put_text(r, "namespace", c->namespace, failed);
		put_n(r, "queued", c->queued, failed);
		put_n(r, "slots", c->slots, failed);
		put_n(r, "connections", c->connections, failed);
	}
}

static void
fill_jobs(json_t *o, const struct page_shot *s, bool *failed)
{
	const struct tally *t = &s->tally;
	uint64_t n = MIN2(t->n_jobs, (uint64_t)TALLY_JOBS), more;
	json_t *ended = list(o, "ended", failed);

	fill_view_jobs(list(o, "running", failed), s, false, &more, failed);
	put_n(o, "more", more, failed);
	for (uint64_t i = 1; i <= n; i++) {
		const struct tally_job *j = &t->job[(t->n_jobs - i) % TALLY_JOBS];
		json_t *r = row(ended, failed);

		put_n(r, "at_ms", j->at_ms, failed);
		put_text(r, "crate", j->crate, failed);
		put_text(r, "kind", j->kind, failed);
		put_text(r, "namespace", j->namespace, failed);
		put_text(r, "worker", j->worker, failed);
		put_text(r, "outcome", tally_outcome_name(j->outcome), failed);
		put_us(r, "seconds", j->wall_us, failed);
		put_us(r, "cpu_seconds", j->cpu_us, failed);
		put_us(r, "wait_seconds", j->wait_us, failed);
		put_n(r, "memory_bytes", j->peak_rss, failed);
	}
}

static void
fill_slowest(json_t *o, const struct page_shot *s, bool *failed)
{
	json_t *units = list(o, "units", failed);

	for (size_t i = 0; i < s->tally.n_slow; i++) {
		const struct tally_slow *u = &s->tally.slow[i];
		json_t *r = row(units, failed);

		put_text(r, "crate", u->crate, failed);
		put_text(r, "kind", u->kind, failed);
		put_text(r, "namespace", u->namespace, failed);
		put_us(r, "longest_seconds", u->longest_us, failed);
		put_us(r, "last_seconds", u->last_us, failed);
		put_n(r, "runs", u->runs, failed);
		put_n(r, "at_ms", u->at_ms, failed);
	}
}

static void
fill_fault(json_t *r, const struct tally_fault *f, bool *failed)
{
	put_n(r, "number", f->number, failed);
	put_n(r, "at_ms", f->at_ms, failed);
	put_text(r, "cause", tally_cause_name(f->cause), failed);
	put_text(r, "crate", f->crate, failed);
	put_text(r, "worker", f->worker, failed);
	put_text(r, "text", f->text, failed);
}

static void
fill_faults(json_t *o, const struct page_shot *s, bool *failed)
{
	const struct tally *t = &s->tally;
	uint64_t n = MIN2(t->n_faults, (uint64_t)TALLY_FAULTS);
	json_t *faults = list(o, "faults", failed), *causes = object(o, "causes", failed);

	for (int i = 0; i < TALLY_N_CAUSES; i++)
		put_n(causes, tally_cause_name((enum tally_cause)i), t->faults[i], failed);
	for (uint64_t i = 1; i <= n; i++)
		fill_fault(
			row(faults, failed), &t->fault[(t->n_faults - i) % TALLY_FAULTS], failed);
}

/* ---- history: a list for each field, the oldest point first */

struct field {
	const char *name;
	size_t offset;
	bool ms, us; /* in the file as seconds */
};
#define FIELD(name, member, ...)                                         \
	{                                                                \
		name, offsetof(struct series_point, member), __VA_ARGS__ \
	}
static const struct field fields[] = {
	FIELD("at_ms", at_ms, false, false),
	FIELD("workers", workers, false, false),
	FIELD("slots", slots, false, false),
	FIELD("used", used, false, false),
	FIELD("queued", queued, false, false),
	FIELD("queue_seconds", queue_ms, true, false),
	FIELD("jobs", ended, false, false),
	FIELD("faults", faults, false, false),
	FIELD("hits", hits, false, false),
	FIELD("misses", misses, false, false),
	FIELD("saved_seconds", saved_us, false, true),
	FIELD("sent_bytes", sent, false, false),
	FIELD("received_bytes", received, false, false),
	FIELD("fetched", fetched, false, false),
};

static void
fill_points(json_t *o, const struct series_point *ring, size_t size, uint64_t n, bool *failed)
{
	uint64_t first = n > size ? n - size : 0;

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const struct field *f = &fields[i];
		json_t *a = list(o, f->name, failed);

		for (uint64_t k = first; k < n; k++) {
			uint64_t v;

			memcpy(&v, (const char *)&ring[k % size] + f->offset, sizeof(v));
			if (json_array_append_new(a, f->ms   ? json_real((double)v / 1e3)
						     : f->us ? json_real((double)v / 1e6)
							     : json_integer((json_int_t)v)) < 0)
				*failed = true;
		}
	}
}

static void
fill_history(json_t *o, const struct series *s, bool *failed)
{
	fill_points(object(o, "seconds", failed), s->seconds, SERIES_SECONDS, s->n_seconds, failed);
	fill_points(object(o, "minutes", failed), s->minutes, SERIES_MINUTES, s->n_minutes, failed);
}

/* ---- */

/* Takes o. */
static int
dump(json_t *o, bool failed, struct buf *ret)
{
	char *text = o && !failed ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(10)) : NULL;

	json_decref(o);
	if (!text)
		return -ENOMEM;
	*ret = (struct buf){ (uint8_t *)text, strlen(text), strlen(text) + 1 };
	return 0;
}

int
api_write(
	enum api_what what, const struct page_shot *s, const struct series *series, struct buf *ret)
{
	static void (*const fills[])(json_t * o, const struct page_shot *s, bool *failed) = {
		[API_STATUS] = fill_status,
		[API_WORKERS] = fill_workers,
		[API_QUEUE] = fill_queue,
		[API_JOBS] = fill_jobs,
		[API_SLOWEST] = fill_slowest,
		[API_FAULTS] = fill_faults,
	};
	json_t *o = json_object();
	bool failed = false;

	put_n(o, "api", 1, &failed);
	put_n(o, "at_ms", s->view->at_ms, &failed);
	if (what == API_HISTORY)
		fill_history(o, series, &failed);
	else
		fills[what](o, s, &failed);
	return dump(o, failed, ret);
}

int
api_write_fault(const struct tally_fault *f, struct buf *ret)
{
	json_t *o = json_object();
	bool failed = false;

	fill_fault(o, f, &failed);
	return dump(o, failed, ret);
}
