/* A sampler's host with workers that can all compile everything, and what they say to it. */
#ifndef DRAY_TESTS_UNIT_SAMPLER_FIXTURE_H
#define DRAY_TESTS_UNIT_SAMPLER_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "coordinator/cache/lender.h"
#include "coordinator/cache/sampler.h"

#define WORKERS 8

/* A host with workers that can all compile everything. */
struct world {
	struct sampler *s;
	uint64_t now;
	uint64_t below[2048], answer; /* of draws */
	unsigned draws, names;
	bool here[WORKERS], busy[WORKERS], wanted;
	const char *client; /* whose the next results are */
	unsigned kinds[WORKERS], asked[WORKERS];
	unsigned kept, forgotten, cancelled, doubted;
	bool is_old; /* workers that do not say how far a run is */
	char id[SAMPLE_ID_SIZE], job[SAMPLE_ID_SIZE], runner[CURVE_KEY_SIZE];
	unsigned runs;
	/* the last ends */
	struct {
		enum sample_outcome outcome;
		char who[CURVE_KEY_SIZE];
	} ends[64];
	unsigned n;
};

static const char *
key_of(unsigned worker)
{
	static const char *const keys[WORKERS] = { "worker-0", "worker-1", "worker-2", "worker-3",
		"worker-4", "worker-5", "worker-6", "worker-7" };

	return keys[worker];
}

static struct digest
number(unsigned n)
{
	struct digest d = { { 0 } };

	d.b[0] = (uint8_t)n;
	return d;
}

static uint64_t
draw(void *arg, uint64_t below)
{
	struct world *w = arg;

	assert_true(w->draws < 2048);
	w->below[w->draws++] = below;
	return w->answer % below;
}

static void
name(void *arg, char ret[SAMPLE_ID_SIZE])
{
	snprintf(ret, SAMPLE_ID_SIZE, "%032x", ++((struct world *)arg)->names);
}

static unsigned
index_of(const char *key)
{
	for (unsigned i = 0; i < WORKERS; i++)
		if (streq(key_of(i), key))
			return i;
	fail();
	return 0;
}

static bool
keep(void *arg, const struct sample *m)
{
	struct world *w = arg;

	w->kept++;
	memcpy(w->id, m->id, sizeof(w->id));
	return w->here[index_of(m->kept.worker)];
}

static void
forget(void *arg, const struct sample *m)
{
	(void)m;
	((struct world *)arg)->forgotten++;
}

static size_t
able(void *arg, const struct sample *m, const char **ret)
{
	struct world *w = arg;
	size_t n = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		if (w->here[i] && sampler_may_run(m, key_of(i)))
			ret[n++] = key_of(i);
	return n;
}

static void
kind(void *arg, const char *worker, struct digest *ret)
{
	struct world *w = arg;

	*ret = number(w->kinds[index_of(worker)]);
}

static bool
tells(void *arg, const char *worker)
{
	(void)worker;
	return !((struct world *)arg)->is_old;
}

static void
doubt(void *arg, const struct sample *m)
{
	(void)m;
	((struct world *)arg)->doubted++;
}

static bool
give(void *arg, const struct sample *m, const char *runner)
{
	struct world *w = arg;

	assert_true(w->here[index_of(runner)]);
	assert_string_not_equal(runner, m->kept.worker);
	w->asked[index_of(runner)]++;
	if (w->busy[index_of(runner)] && !m->overdue)
		return false;
	memcpy(w->job, m->job, sizeof(w->job));
	memcpy(w->runner, runner, strlen(runner) + 1);
	w->runs++;
	return true;
}

static bool
is_wanted(void *arg, const struct sample *m)
{
	return ((struct world *)arg)->wanted && !m->overdue;
}

static void
cancel(void *arg, const struct sample *m)
{
	struct world *w = arg;

	assert_true(*m->job != '\0');
	w->cancelled++;
}

static void
end(void *arg, const struct sample *m, enum sample_outcome o, const char *who, const char *text)
{
	struct world *w = arg;

	assert_true(w->n < 64);
	assert_true(*text != '\0');
	(void)m;
	w->ends[w->n].outcome = o;
	snprintf(w->ends[w->n++].who, CURVE_KEY_SIZE, "%s", who ? who : "");
}

static void
open_world(struct world *w, uint64_t every)
{
	const struct sampler_host host = { w, draw, name, keep, forget, able, kind, tells, give,
		is_wanted, cancel, doubt, end };

	memset(w, 0, sizeof(*w));
	w->now = 1000;
	w->client = "";
	/* most tests need no more */
	for (unsigned i = 0; i < 4; i++)
		w->here[i] = true;
	assert_int_equal(sampler_new(&host, every, &w->s), 0);
}

static void
close_world(struct world *w)
{
	sampler_free(w->s);
}

static struct sampler_kept
result_of(unsigned worker, unsigned key, unsigned made)
{
	struct sampler_kept k;

	memset(&k, 0, sizeof(k));
	snprintf(k.worker, sizeof(k.worker), "%s", key_of(worker));
	k.key = number(key);
	k.same.inputs = number(100 + key);
	k.same.made = number(made);
	return k;
}

static void
kept(struct world *w, unsigned worker, unsigned key, unsigned made)
{
	struct sampler_kept k = result_of(worker, key, made);

	snprintf(k.client, sizeof(k.client), "%s", w->client);
	sampler_kept(w->s, &k, w->now);
}

static void
lent(struct world *w, unsigned worker, Dray__LendEnd how)
{
	bool of_run = how == DRAY__LEND_END__LENT_UNREACHED || how == DRAY__LEND_END__LENT_FAILED;

	sampler_lent(w->s, key_of(worker), w->id, of_run ? w->job : "", how, "its word", w->now);
}

static bool
may_share(const struct world *w, unsigned worker, const char *client)
{
	return sampler_may_share(w->s, key_of(worker), client, w->now);
}

/* One result that is chosen, and kept by its worker. */
static void
begin(struct world *w, unsigned worker, unsigned key, unsigned made)
{
	unsigned before = w->kept;

	kept(w, worker, key, made);
	assert_int_equal(w->kept, before + 1);
	lent(w, worker, DRAY__LEND_END__LENT_KEPT);
}

static void
tick(struct world *w, uint64_t ms)
{
	w->now += ms;
	sampler_tick(w->s, w->now);
}

/* The next run is by this worker. */
static void
runs_on(struct world *w, unsigned worker)
{
	unsigned before = w->runs;

	tick(w, 1000);
	assert_int_equal(w->runs, before + 1);
	assert_string_equal(w->runner, key_of(worker));
}

static bool
ended(struct world *w, unsigned worker, unsigned key, unsigned inputs, unsigned made)
{
	const struct digest k = number(key);
	const struct same same = { number(inputs), number(made) };

	return sampler_ended(w->s, key_of(worker), w->job, &k, &same, SAMPLER_BY_RUNNER, w->now);
}

/* The run comes to that, of the right job. */
static void
makes(struct world *w, unsigned worker, unsigned key, unsigned made)
{
	assert_true(ended(w, worker, key, 100 + key, made));
}

static void
last_end(const struct world *w, unsigned n, enum sample_outcome o, const char *who)
{
	struct sampler_stats stats;

	assert_int_equal(w->n, n);
	assert_int_equal(w->ends[n - 1].outcome, o);
	assert_string_equal(w->ends[n - 1].who, who);
	sampler_get_stats(w->s, &stats);
	assert_int_equal(stats.open, 0);
	assert_int_equal(w->forgotten, stats.chosen);
}

#endif
