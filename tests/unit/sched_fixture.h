/* The scheduler, with a clock of the test's own. Each test gives it inputs and looks at the
 * actions. */
#ifndef DRAY_TESTS_UNIT_SCHED_FIXTURE_H
#define DRAY_TESTS_UNIT_SCHED_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "coordinator/sched.h"
#include "common/table.h"

#define LIFE 3000
#define LIFE_WANTED 1500 /* while others wait */
#define LIFE_TRIAL 300	 /* likewise, of a key that has computed nothing */

struct world {
	struct sched *s;
	uint64_t now;
	struct sched_action last[64]; /* of the last take() */
	char text[512];		      /* of its last DENY */
	unsigned n;
};

static inline struct digest
tc(unsigned n)
{
	struct digest d;

	memset(&d, 0, sizeof(d));
	memcpy(d.b, &n, sizeof(n));
	return d;
}

static inline struct job_id
jid(unsigned n)
{
	struct job_id id;

	memset(&id, 0, sizeof(id));
	memcpy(id.b, &n, sizeof(n));
	return id;
}

static inline unsigned
jnum(const struct job_id *id)
{
	unsigned n;

	memcpy(&n, id->b, sizeof(n));
	return n;
}

static inline int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct sched_conf c;

	sched_conf_default(&c);
	assert_int_equal(c.open_ms, LIFE);
	assert_int_equal(c.open_wanted_ms, LIFE_WANTED);
	c.max_queue = 5;
	c.max_account_jobs = 1000;
	w->now = 1000000;
	assert_int_equal(sched_new(&c, &w->s), 0);
	*state = w;
	return 0;
}

static inline int
teardown(void **state)
{
	struct world *w = *state;

	sched_free(w->s);
	free(w);
	return 0;
}

static inline unsigned
take(struct world *w)
{
	struct sched_action a;

	for (w->n = 0; sched_next_action(w->s, &a); w->n++) {
		if (a.type == SCHED_DENY)
			snprintf(w->text, sizeof(w->text), "%s", a.text);
		if (w->n < 64)
			w->last[w->n] = a;
	}
	return w->n;
}

static inline struct sched_worker *
worker_of(struct world *w, const char *name, unsigned slots, unsigned glibc, unsigned first_tc,
	unsigned n_tc)
{
	struct sched_offer offers[8];
	struct sched_worker_info info = { .name = name, .endpoint = "tcp://x:1", .curve = "k" };
	struct sched_worker *ret = NULL;

	for (unsigned i = 0; i < n_tc; i++)
		offers[i] = (struct sched_offer){ tc(first_tc + i), "1.95.0 rustc" };
	info.offers = offers;
	info.n_offers = n_tc;
	info.slots = slots;
	info.glibc = glibc;
	info.twins = 2;
	assert_int_equal(sched_worker_set(w->s, &info, w->now, &ret), 0);
	assert_non_null(ret);
	return ret;
}

static inline struct sched_worker *
worker(struct world *w, const char *name, unsigned slots)
{
	return worker_of(w, name, slots, 36, 1, 1);
}

static inline int
ask_of(struct world *w, unsigned id, uint64_t owner, unsigned toolchain, unsigned glibc,
	bool may_wait)
{
	struct sched_job_info info = {
		.id = jid(id),
		.owner = owner,
		.toolchain = tc(toolchain),
		.glibc = glibc,
		.may_wait = may_wait,
	};

	return sched_job_add(w->s, &info, w->now);
}

static inline void
ask(struct world *w, unsigned id)
{
	assert_int_equal(ask_of(w, id, 100 + id, 1, 0, true), 0);
}

static inline void
expect_place(struct world *w, unsigned i, unsigned job, struct sched_worker *on)
{
	assert_true(i < w->n);
	assert_int_equal(w->last[i].type, SCHED_PLACE);
	assert_int_equal(jnum(&w->last[i].job), job);
	assert_ptr_equal(w->last[i].worker, on);
}

static inline void
expect_deny(struct world *w, unsigned i, unsigned job, Dray__Verdict verdict)
{
	assert_true(i < w->n);
	assert_int_equal(w->last[i].type, SCHED_DENY);
	assert_int_equal(jnum(&w->last[i].job), job);
	assert_int_equal(w->last[i].verdict, verdict);
}

static inline void
place(struct world *w, unsigned id, struct sched_worker *on)
{
	ask(w, id);
	assert_int_equal(take(w), 1);
	expect_place(w, 0, id, on);
}

static inline void
started(struct world *w, struct sched_worker *on, unsigned id)
{
	struct job_id j = jid(id);

	assert_int_equal(sched_job_started(w->s, on, &j, w->now), 0);
}

/* Its client has opened and fed it. */
static inline void
compiles(struct world *w, struct sched_worker *on, unsigned id)
{
	struct job_id j = jid(id);

	started(w, on, id);
	sched_job_compiles(w->s, on, &j, w->now);
}

static inline int
ended(struct world *w, struct sched_worker *on, unsigned id, bool ok)
{
	struct job_id j = jid(id);

	return sched_job_ended(w->s, on, &j, ok, 1000000, w->now);
}

static inline int
refused(struct world *w, struct sched_worker *on, unsigned id)
{
	struct job_id j = jid(id);

	return sched_job_refused(w->s, on, &j, w->now);
}

static inline int
finished(struct world *w, unsigned id)
{
	struct job_id j = jid(id);

	return sched_job_finished(w->s, 100 + id, &j, w->now);
}

static inline int
retry(struct world *w, unsigned id, const char *name, Dray__Verdict verdict)
{
	struct job_id j = jid(id);

	return sched_job_retry(w->s, 100 + id, &j, name, verdict, "why", w->now);
}

static inline void
pass(struct world *w, uint64_t ms)
{
	w->now += ms;
	sched_tick(w->s, w->now);
}

static inline struct sched_worker_view
view(struct sched_worker *w)
{
	struct sched_worker_view v;

	sched_worker_get(w, &v);
	return v;
}

static inline struct sched_stats
stats(struct world *w)
{
	struct sched_stats st;

	sched_get_stats(w->s, &st);
	return st;
}

static inline int
ask_for(struct world *w, unsigned id, uint64_t account)
{
	struct sched_job_info info = { .id = jid(id),
		.owner = 100 + id,
		.account = account,
		.toolchain = tc(1),
		.may_wait = true };

	return sched_job_add(w->s, &info, w->now);
}

static inline unsigned
placed_now(struct world *w)
{
	unsigned n = 0;

	take(w);
	for (unsigned i = 0; i < w->n; i++)
		n += w->last[i].type == SCHED_PLACE;
	return n;
}

/* The one job that is placed now. */
static inline unsigned
take_place(struct world *w)
{
	unsigned job = 0;

	take(w);
	for (unsigned i = 0; i < w->n; i++) {
		if (w->last[i].type != SCHED_PLACE)
			continue;
		assert_int_equal(job, 0);
		job = jnum(&w->last[i].job);
	}
	return job;
}

#define FAULT DRAY__VERDICT__VERDICT_WORKER_FAULT

/* One whole job that its worker spoils, and that then goes nowhere else. */
static inline void
spoil(struct world *w, unsigned id, struct sched_worker *on)
{
	struct job_id j = jid(id);

	place(w, id, on);
	started(w, on, id);
	assert_int_equal(ended(w, on, id, false), 0);
	take(w);
	sched_job_cancel(w->s, 100 + id, &j, w->now);
	take(w);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
