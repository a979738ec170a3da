/* The table of what is measured, family by family. */
#include "config.h"

#include "coordinator/page/metrics.h"

#include "coordinator/page/expose.h"

#define COUNTER(e, name, help, n)                             \
	do {                                                  \
		expose_family(e, name, EXPOSE_COUNTER, help); \
		expose_count(e, NULL, NULL, n);               \
	} while (0)
#define GAUGE(e, name, help, n)                             \
	do {                                                \
		expose_family(e, name, EXPOSE_GAUGE, help); \
		expose_count(e, NULL, NULL, n);             \
	} while (0)

static void
write_process(struct expose *e, const struct page_shot *s)
{
	expose_family(e, "dray_coordinator_info", EXPOSE_GAUGE,
		"Always 1; the label says which version of dray-coordinator it is.");
	expose_count(e, "version", PACKAGE_VERSION, 1);
	expose_family(
		e, "process_cpu_seconds", EXPOSE_COUNTER, "Processor time of the coordinator.");
	expose_us(e, NULL, NULL, s->cpu_us);
	GAUGE(e, "process_resident_memory_bytes", "Memory of the coordinator.", s->rss);
	expose_family(e, "process_start_time_seconds", EXPOSE_GAUGE,
		"When the coordinator began, in seconds since 1970.");
	expose_us(e, NULL, NULL, (s->view->at_ms - s->view->up_ms) * 1000);
	GAUGE(e, "dray_ready", "Whether it is bound, and its keys and stores are open.", s->ready);
	GAUGE(e, "dray_connections", "Connections of clients, workers and admins.",
		s->view->connections);
}

static void
write_workers(struct expose *e, const struct page_shot *s)
{
	static const char *const names[] = { "ready", "shunned", "probed", "leaving", "drained" };
	uint64_t n[ARRAY_LEN(names)] = { 0 };

	for (size_t i = 0; i < s->view->n_workers; i++) {
		const struct view_worker *w = &s->view->workers[i];

		n[w->drained ? 4 : w->leaving ? 3 : MIN2((unsigned)w->trust, 2u)]++;
	}
	expose_family(e, "dray_workers", EXPOSE_GAUGE,
		"Workers that are connected, by what they are given: ready get jobs, shunned ones "
		"none for a while, probed ones one at a time, leaving and drained ones none.");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		expose_count(e, "state", names[i], n[i]);
	GAUGE(e, "dray_workers_condemned",
		"Workers whose results were removed because others made something else.",
		s->view->shunned);
	GAUGE(e, "dray_toolchains_doubted",
		"Toolchains of workers that get no jobs, since clients say that they are not "
		"there.",
		s->view->sched.doubted);
	GAUGE(e, "dray_slots", "Slots of all workers.", s->view->sched.slots);
	GAUGE(e, "dray_slots_in_use", "Slots that have a job.", s->view->sched.used);
}

static void
write_queue(struct expose *e, const struct page_shot *s)
{
	GAUGE(e, "dray_queue_jobs", "Jobs that wait for a slot.", s->view->sched.queued);
	expose_family(e, "dray_queue_seconds", EXPOSE_GAUGE,
		"How long the jobs that wait now have waited, all together.");
	expose_us(e, NULL, NULL, s->view->queue_ms * 1000);
	expose_family(e, "dray_queue_oldest_seconds", EXPOSE_GAUGE,
		"How long the job has waited that has waited longest.");
	expose_us(e, NULL, NULL, s->view->queue_oldest_ms * 1000);
}

/* Verdicts without a name of their own are counted together. */
static void
write_denied(struct expose *e, const struct tally *t)
{
	uint64_t other = 0;

	expose_family(e, "dray_jobs_denied", EXPOSE_COUNTER, "Jobs that got no worker, by why.");
	for (size_t i = 0; i < ARRAY_LEN(t->denied); i++) {
		const char *name = tally_verdict_name((Dray__Verdict)i);

		if (streq(name, "other"))
			other += t->denied[i];
		else
			expose_count(e, "reason", name, t->denied[i]);
	}
	expose_count(e, "reason", "other", other);
}

static void
write_jobs(struct expose *e, const struct page_shot *s)
{
	const struct tally *t = &s->tally;

	COUNTER(e, "dray_jobs_placed", "Tries of jobs that were given a worker.",
		s->view->sched.placed);
	expose_family(e, "dray_jobs", EXPOSE_COUNTER,
		"Tries of jobs that ended: compiled ran the compiler to its end, joined shared "
		"another one's compile, failed is the worker's, stopped the client's or the "
		"unit's, cancelled was wanted no more.");
	for (int i = 0; i < TALLY_N_OUTCOMES; i++)
		expose_count(
			e, "outcome", tally_outcome_name((enum tally_outcome)i), t->outcomes[i]);
	write_denied(e, t);
	expose_family(
		e, "dray_job_wait_seconds", EXPOSE_HISTOGRAM, "How long jobs waited for a slot.");
	expose_times(e, NULL, NULL, &t->wait);
	expose_family(e, "dray_job_seconds", EXPOSE_HISTOGRAM, "How long compiles took.");
	expose_times(e, NULL, NULL, &t->run);
	expose_family(e, "dray_job_cpu_seconds", EXPOSE_COUNTER, "Processor time of jobs.");
	expose_us(e, NULL, NULL, t->cpu_us);
	expose_family(e, "dray_faults", EXPOSE_COUNTER,
		"What went wrong, by cause. A job is tried elsewhere then.");
	for (int i = 0; i < TALLY_N_CAUSES; i++)
		expose_count(e, "cause", tally_cause_name((enum tally_cause)i), t->faults[i]);
}

static void
write_lookups(struct expose *e, const struct page_shot *s)
{
	const struct tally *t = &s->tally;

	expose_family(e, "dray_cache_hits", EXPOSE_COUNTER,
		"Results that were asked for and were there, by where.");
	for (int i = TALLY_DISK; i < TALLY_N_TIERS; i++)
		expose_count(e, "tier", tally_tier_name((enum tally_tier)i), t->looked[i]);
	COUNTER(e, "dray_cache_misses", "Results that were asked for and were not there.",
		t->looked[TALLY_MISS]);
	expose_family(e, "dray_cache_saved_seconds", EXPOSE_COUNTER,
		"What the compiles took that made the results which were given, by where they "
		"were.");
	for (int i = TALLY_DISK; i < TALLY_N_TIERS; i++)
		expose_us(e, "tier", tally_tier_name((enum tally_tier)i), t->saved_us[i]);
	expose_family(e, "dray_cache_lookup_seconds", EXPOSE_HISTOGRAM,
		"How long it took until a result was sent, or was known not to be there.");
	expose_times(e, "result", "miss", &t->look[0]);
	expose_times(e, "result", "hit", &t->look[1]);
}

static void
write_cache(struct expose *e, const struct page_shot *s)
{
	const struct desk_stats *d = &s->view->desk;
	size_t n = MIN2(s->view->n_caches, (size_t)TALLY_SPACES);

	COUNTER(e, "dray_cache_stored", "Things that were put into the cache.", d->stored);
	COUNTER(e, "dray_received_bytes", "Bytes of all messages that came.", s->taken_bytes);
	COUNTER(e, "dray_cache_sent_bytes", "Bytes of the cache's content that were sent.",
		d->bytes);
	COUNTER(e, "dray_store_fetched", "Things that came from the stores behind the disk.",
		d->fetched);
	COUNTER(e, "dray_store_refused",
		"Things that came from the stores, and were not what they should be.", d->refused);
	COUNTER(e, "dray_store_uploaded", "Results that were put into the stores.", d->uploaded);
	GAUGE(e, "dray_store_uploads_due", "Results that are yet to be put there.", d->due);
	expose_family(e, "dray_cache_bytes", EXPOSE_GAUGE,
		"Bytes in the cache on the coordinator's disk, by namespace.");
	for (size_t i = 0; i < n; i++)
		expose_count(e, "namespace", s->view->caches[i].namespace,
			s->view->caches[i].space.bytes);
	expose_family(e, "dray_cache_limit_bytes", EXPOSE_GAUGE,
		"Bytes that it may have there, by namespace.");
	for (size_t i = 0; i < n; i++)
		expose_count(
			e, "namespace", s->view->caches[i].namespace, s->view->caches[i].space.max);
}

static void
write_samples(struct expose *e, const struct page_shot *s)
{
	const struct sampler_stats *m = &s->view->samples;

	expose_family(e, "dray_samples", EXPOSE_COUNTER,
		"Results that were compiled again on other workers, by what that showed.");
	expose_count(e, "result", "same", m->same);
	expose_count(e, "result", "odd", m->odd);
	expose_count(e, "result", "varies", m->varies);
	expose_count(e, "result", "failed", m->failed);
	expose_count(e, "result", "alone", m->alone);
}

static void
write_spaces(struct expose *e, const struct page_shot *s)
{
	const struct tally *t = &s->tally;
	const struct tally_space *v = t->spaces;

	expose_family(e, "dray_namespace_jobs", EXPOSE_COUNTER,
		"Tries of jobs that ended, by namespace; the last of many stands for the others.");
	for (size_t i = 0; i < t->n_spaces; i++)
		expose_count(e, "namespace", v[i].namespace, v[i].jobs);
	expose_family(e, "dray_namespace_job_seconds", EXPOSE_COUNTER,
		"Time of slots that jobs took, by namespace.");
	for (size_t i = 0; i < t->n_spaces; i++)
		expose_us(e, "namespace", v[i].namespace, v[i].wall_us);
	expose_family(e, "dray_namespace_job_cpu_seconds", EXPOSE_COUNTER,
		"Processor time of jobs, by namespace.");
	for (size_t i = 0; i < t->n_spaces; i++)
		expose_us(e, "namespace", v[i].namespace, v[i].cpu_us);
	expose_family(e, "dray_namespace_cache_hits", EXPOSE_COUNTER,
		"Results that were given, by namespace.");
	for (size_t i = 0; i < t->n_spaces; i++)
		expose_count(e, "namespace", v[i].namespace, v[i].hits);
	expose_family(e, "dray_namespace_cache_misses", EXPOSE_COUNTER,
		"Results that were not there, by namespace.");
	for (size_t i = 0; i < t->n_spaces; i++)
		expose_count(e, "namespace", v[i].namespace, v[i].misses);
	expose_family(e, "dray_namespace_cache_saved_seconds", EXPOSE_COUNTER,
		"What the compiles took that made the results which were given, by namespace.");
	for (size_t i = 0; i < t->n_spaces; i++)
		expose_us(e, "namespace", v[i].namespace, v[i].saved_us);
}

/* Quotas that there are, and what counts for them. */
static void
write_quotas(struct expose *e, const struct page_shot *s)
{
	const struct view_space *v = s->view->spaces;
	const struct tally *t = &s->tally;
	size_t n = MIN2(s->view->n_spaces, (size_t)TALLY_SPACES);

	expose_family(
		e, "dray_namespace_slots", EXPOSE_GAUGE, "Slots that jobs have now, by namespace.");
	for (size_t i = 0; i < n; i++)
		expose_count(e, "namespace", v[i].namespace, v[i].slots);
	expose_family(e, "dray_namespace_slots_limit", EXPOSE_GAUGE,
		"Slots that they may have, of namespaces with that quota.");
	for (size_t i = 0; i < n; i++)
		if (v[i].slots_max)
			expose_count(e, "namespace", v[i].namespace, v[i].slots_max);
	expose_family(e, "dray_namespace_queue_jobs", EXPOSE_GAUGE,
		"Jobs that wait for a slot, by namespace.");
	for (size_t i = 0; i < n; i++)
		expose_count(e, "namespace", v[i].namespace, v[i].queued);
	expose_family(e, "dray_namespace_queue_limit_jobs", EXPOSE_GAUGE,
		"Jobs that may wait, of namespaces with that quota.");
	for (size_t i = 0; i < n; i++)
		if (v[i].queue_max)
			expose_count(e, "namespace", v[i].namespace, v[i].queue_max);
	expose_family(e, "dray_namespace_uploaded_bytes", EXPOSE_GAUGE,
		"Bytes that count as put into the cache within the hour, of namespaces with that "
		"quota.");
	for (size_t i = 0; i < n; i++)
		if (v[i].upload_max)
			expose_count(e, "namespace", v[i].namespace, v[i].uploaded);
	expose_family(e, "dray_namespace_upload_limit_bytes", EXPOSE_GAUGE,
		"Bytes that may be put there in an hour, of namespaces with that quota.");
	for (size_t i = 0; i < n; i++)
		if (v[i].upload_max)
			expose_count(e, "namespace", v[i].namespace, v[i].upload_max);
	expose_family(e, "dray_namespace_jobs_over_quota", EXPOSE_COUNTER,
		"Jobs that got no worker because of a quota, by namespace.");
	for (size_t i = 0; i < t->n_spaces; i++)
		expose_count(e, "namespace", t->spaces[i].namespace, t->spaces[i].over_quota);
	COUNTER(e, "dray_cache_over_quota",
		"Things that were not taken into the cache because of a quota.",
		s->view->desk.over_quota);
}

static void
write_page(struct expose *e, const struct page_counts *own)
{
	COUNTER(e, "dray_page_requests", "Requests to this page.", own->requests);
	COUNTER(e, "dray_page_refused", "Requests to this page that were refused.", own->refused);
	GAUGE(e, "dray_page_followers", "Connections that follow this page's events.",
		own->followers);
	COUNTER(e, "dray_page_followers_dropped", "Connections that followed and did not read.",
		own->followers_dropped);
}

int
metrics_write(const struct page_shot *s, const struct page_counts *own, bool open_metrics,
	struct buf *ret)
{
	struct expose e = { .b = BUF_INIT, .open_metrics = open_metrics };

	write_process(&e, s);
	write_workers(&e, s);
	write_queue(&e, s);
	write_jobs(&e, s);
	write_lookups(&e, s);
	write_cache(&e, s);
	write_samples(&e, s);
	write_spaces(&e, s);
	write_quotas(&e, s);
	write_page(&e, own);
	expose_end(&e);
	if (e.failed < 0) {
		buf_done(&e.b);
		return e.failed;
	}
	*ret = e.b;
	return 0;
}
