/* What is counted of the farm's work: bounds of all lists, the order of the slowest, what counts as
 * a fault; and its text for Prometheus, in both forms. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "coordinator/page/expose.h"
#include "coordinator/page/tally.h"

static struct tally *
fresh(void **state)
{
	struct tally *t = *state;

	memset(t, 0, sizeof(*t));
	return t;
}

static struct tally_job
job(const char *crate, const char *namespace, uint64_t wall_us)
{
	struct tally_job j = { .at_ms = 1000, .wall_us = wall_us, .cpu_us = wall_us / 2 };

	snprintf(j.crate, sizeof(j.crate), "%s", crate);
	snprintf(j.kind, sizeof(j.kind), "lib");
	snprintf(j.namespace, sizeof(j.namespace), "%s", namespace);
	return j;
}

static void
test_times(void **state)
{
	struct tally_times t = { .more = 0 };

	(void)state;
	tally_times_add(&t, 0);
	tally_times_add(&t, 10000); /* a bound belongs to its bucket */
	tally_times_add(&t, 10001);
	tally_times_add(&t, 300000000);
	tally_times_add(&t, 300000001);
	tally_times_add(&t, UINT64_MAX / 2);
	assert_int_equal(t.n[0], 2);
	assert_int_equal(t.n[1], 1);
	assert_int_equal(t.n[TALLY_BUCKETS - 1], 1);
	assert_int_equal(t.more, 2);
}

static void
test_outcomes(void **state)
{
	struct tally *t = fresh(state);
	struct tally_job j = job("serde", "team", 2000000);

	tally_ended(t, &j);
	j.outcome = TALLY_JOINED;
	tally_ended(t, &j);
	j.outcome = TALLY_FAILED;
	tally_ended(t, &j);
	assert_int_equal(t->outcomes[TALLY_COMPILED], 1);
	assert_int_equal(t->outcomes[TALLY_JOINED], 1);
	assert_int_equal(t->outcomes[TALLY_FAILED], 1);
	/* of a twin no time counts: it is the other one's */
	assert_int_equal(t->cpu_us, 2000000);
	assert_int_equal(t->run.n[6], 1);
	assert_int_equal(t->n_spaces, 1);
	assert_int_equal(t->spaces[0].jobs, 3);
	assert_int_equal(t->spaces[0].wall_us, 4000000);
	assert_int_equal(t->n_slow, 1);
	assert_int_equal(t->slow[0].runs, 1);
}

static void
test_spaces(void **state)
{
	struct tally *t = fresh(state);
	char name[32];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "team-%d", i);
		tally_looked(t, name, TALLY_DISK, 1000, 5000000);
		tally_looked(t, name, TALLY_MISS, 1000, 0);
	}
	assert_int_equal(t->n_spaces, TALLY_SPACES);
	assert_string_equal(t->spaces[0].namespace, "team-0");
	assert_string_equal(t->spaces[TALLY_SPACES - 1].namespace, "(others)");
	assert_int_equal(t->spaces[TALLY_SPACES - 1].hits, 100 - TALLY_SPACES + 1);
	assert_int_equal(t->spaces[TALLY_SPACES - 1].misses, 100 - TALLY_SPACES + 1);
	assert_int_equal(t->looked[TALLY_DISK], 100);
	assert_int_equal(t->looked[TALLY_MISS], 100);
	assert_int_equal(t->saved_us[TALLY_DISK], 500000000);
	assert_int_equal(t->look[0].n[0], 100);
	assert_int_equal(t->look[1].n[0], 100);
	tally_looked(t, "x", TALLY_N_TIERS, 0, 0);
}

static void
test_slowest(void **state)
{
	struct tally *t = fresh(state);
	struct tally_job j;
	char name[16];

	for (unsigned i = 0; i < 3 * TALLY_SLOWEST; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		j = job(name, "", 1000 * (1 + i * 7 % (3 * TALLY_SLOWEST)));
		tally_ended(t, &j);
	}
	assert_int_equal(t->n_slow, TALLY_SLOWEST);
	for (unsigned i = 1; i < t->n_slow; i++)
		assert_true(t->slow[i - 1].longest_us >= t->slow[i].longest_us);
	assert_int_equal(t->slow[0].longest_us, 1000 * 3 * TALLY_SLOWEST);
	/* the same one again, faster: its longest stays */
	snprintf(name, sizeof(name), "%.10s", t->slow[0].crate);
	j = job(name, "", 5);
	tally_ended(t, &j);
	assert_int_equal(t->slow[0].longest_us, 1000 * 3 * TALLY_SLOWEST);
	assert_int_equal(t->slow[0].last_us, 5);
	assert_int_equal(t->slow[0].runs, 2);
	/* a day later all are forgotten */
	j = job("late", "", 7);
	j.at_ms = 1001 + TALLY_DAY_MS;
	tally_ended(t, &j);
	assert_int_equal(t->n_slow, 1);
	assert_string_equal(t->slow[0].crate, "late");
}

static void
test_faults(void **state)
{
	struct tally *t = fresh(state);
	const struct tally_words w = { .crate = "a\nb\x7f", .worker = "w1" };

	tally_failed_verdict(t, DRAY__VERDICT__VERDICT_FULL, &w, 1);
	tally_failed_verdict(t, DRAY__VERDICT__VERDICT_CANCELLED, &w, 1);
	assert_int_equal(t->n_faults, 0);
	tally_failed_verdict(t, DRAY__VERDICT__VERDICT_WORKER_FAULT, &w, 1);
	tally_failed_verdict(t, DRAY__VERDICT__VERDICT_WITHHELD, &w, 2);
	tally_failed_verdict(t, DRAY__VERDICT__VERDICT_NONE, &w, 3);
	tally_failed_verdict(t, (Dray__Verdict)4711, &w, 4);
	assert_int_equal(t->faults[TALLY_WORKER_FAULT], 1);
	assert_int_equal(t->faults[TALLY_UNIT], 1);
	assert_int_equal(t->faults[TALLY_UNREACHABLE], 2);
	assert_int_equal(t->n_faults, 4);
	assert_string_equal(t->fault[0].crate, "a?b?");
	assert_string_equal(t->fault[0].text, "");
	assert_int_equal(t->fault[3].number, 4);
	/* who is refused does not fill the list */
	for (int i = 0; i < 1000; i++)
		tally_failed(t, TALLY_REFUSED_PEER, &w, 5000 + (uint64_t)i);
	assert_int_equal(t->faults[TALLY_REFUSED_PEER], 1000);
	assert_int_equal(t->n_faults, 5);
	tally_denied(t, (Dray__Verdict)4711);
	tally_denied(t, DRAY__VERDICT__VERDICT_QUEUE_FULL);
	assert_int_equal(t->denied[DRAY__VERDICT__VERDICT_QUEUE_FULL], 1);
	assert_int_equal(t->denied[0], 1);
	for (int i = 0; i < 3 * TALLY_FAULTS; i++)
		tally_failed(t, TALLY_LIMIT, &w, 9);
	assert_int_equal(t->faults[TALLY_LIMIT], 3 * TALLY_FAULTS);
}

static void
test_text(void **state)
{
	struct tally_times times = { .more = 1, .sum_us = 1500000 };
	struct expose e = { .b = BUF_INIT };

	(void)state;
	times.n[0] = 2;
	expose_family(&e, "dray_x", EXPOSE_COUNTER, "Things.");
	expose_count(&e, "namespace", "a\"b\\c\nd\xff", 7);
	expose_us(&e, NULL, NULL, 1000001);
	assert_string_equal((char *)e.b.p, "# HELP dray_x_total Things.\n"
					   "# TYPE dray_x_total counter\n"
					   "dray_x_total{namespace=\"a\\\"b\\\\c?d?\"} 7\n"
					   "dray_x_total 1.000001\n");
	buf_done(&e.b);
	e = (struct expose){ .b = BUF_INIT, .open_metrics = true };
	expose_family(&e, "dray_x", EXPOSE_COUNTER, "Things.");
	expose_count(&e, NULL, NULL, 7);
	expose_family(&e, "dray_y_seconds", EXPOSE_HISTOGRAM, "Times.");
	expose_times(&e, "result", "hit", &times);
	expose_end(&e);
	assert_int_equal(e.failed, 0);
	assert_non_null(strstr((char *)e.b.p, "# TYPE dray_x counter\ndray_x_total 7\n"));
	assert_non_null(
		strstr((char *)e.b.p, "dray_y_seconds_bucket{result=\"hit\",le=\"0.01\"} 2\n"));
	assert_non_null(
		strstr((char *)e.b.p, "dray_y_seconds_bucket{result=\"hit\",le=\"1.0\"} 2\n"));
	assert_non_null(
		strstr((char *)e.b.p, "dray_y_seconds_bucket{result=\"hit\",le=\"+Inf\"} 3\n"
				      "dray_y_seconds_sum{result=\"hit\"} 1.500000\n"
				      "dray_y_seconds_count{result=\"hit\"} 3\n# EOF\n"));
	buf_done(&e.b);
}

static int
setup(void **state)
{
	*state = calloc(1, sizeof(struct tally));
	return *state ? 0 : -1;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_times),
		cmocka_unit_test(test_outcomes), cmocka_unit_test(test_spaces),
		cmocka_unit_test(test_slowest), cmocka_unit_test(test_faults),
		cmocka_unit_test(test_text) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
