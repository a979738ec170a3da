/* What the keys of a namespace may have at a time, all together. */
#include "config.h"

#include "tests/unit/sched_fixture.h"

#define QUOTA DRAY__VERDICT__VERDICT_QUOTA

static struct sched_quota ci; /* of "ci"; others have none */

static void
quota(void *arg, const char *space, struct sched_quota *ret)
{
	(void)arg;
	if (strcmp(space, "ci") == 0)
		*ret = ci;
}

static int
setup_quota(void **state)
{
	struct sched_conf c;
	struct world *w;

	setup(state);
	w = *state;
	sched_free(w->s);
	sched_conf_default(&c);
	c.quota = quota;
	ci = (struct sched_quota){ 2, 3 };
	return sched_new(&c, &w->s);
}

static int
ask_in(struct world *w, unsigned id, uint64_t account, const char *space, bool may_wait)
{
	struct sched_job_info info = { .id = jid(id),
		.owner = 100 + id,
		.account = account,
		.space = space,
		.toolchain = tc(1),
		.may_wait = may_wait };

	return sched_job_add(w->s, &info, w->now);
}

static struct sched_space_view
space(struct world *w, const char *name)
{
	struct sched_space_view v;

	sched_space_get(w->s, name, &v);
	return v;
}

/* Two keys of it each have a job that compiles. */
static struct sched_worker *
full(struct world *w)
{
	struct sched_worker *a = worker(w, "a", 6);

	for (unsigned i = 1; i <= 2; i++) {
		assert_int_equal(ask_in(w, i, i, "ci", true), 0);
		assert_int_equal(take_place(w), i);
		compiles(w, a, i);
	}
	assert_int_equal(space(w, "ci").holding, 2);
	return a;
}

/* Two keys of it hold what it may; a third waits, while slots are free, and the other namespace
 * has them. It gets its own namespace's next one, and at once. */
static void
test_slots(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = full(w);

	assert_int_equal(ask_in(w, 3, 3, "ci", true), 0);
	assert_int_equal(take(w), 1);
	assert_int_equal(w->last[0].type, SCHED_QUEUED);
	assert_int_equal(space(w, "ci").queued, 1);
	assert_int_equal(space(w, "ci").jobs, 3);
	/* it wants nobody's slot */
	assert_false(sched_wanted(w->s));
	assert_false(sched_somebody_waits(w->s));
	for (unsigned i = 10; i < 14; i++) {
		assert_int_equal(ask_in(w, i, i, i % 2 ? "" : "team", true), 0);
		assert_int_equal(take_place(w), i);
		compiles(w, a, i);
	}
	assert_int_equal(ended(w, a, 10, true), 0);
	assert_int_equal(take_place(w), 0);
	assert_int_equal(ended(w, a, 1, true), 0);
	assert_int_equal(take_place(w), 3);
	assert_int_equal(space(w, "ci").holding, 2);
	assert_int_equal(space(w, "ci").queued, 0);
	assert_int_equal(space(w, "team").holding, 1);
	assert_int_equal(space(w, "nobody").jobs, 0);
}

/* It is said what it waits for, and said again; not of one that waits for a free slot. */
static void
test_why(void **state)
{
	struct world *w = *state;
	struct sched_action x;

	full(w);
	assert_int_equal(ask_in(w, 3, 3, "ci", true), 0);
	assert_true(sched_next_action(w->s, &x));
	assert_int_equal(x.type, SCHED_QUEUED);
	assert_string_equal(x.text,
		"the namespace ci has 2 of the farm's slots, and may have 2 at a time "
		"(quota_slots)");
	pass(w, 1100);
	assert_true(sched_next_action(w->s, &x));
	assert_non_null(strstr(x.text, "quota_slots"));
	for (unsigned i = 10; i < 15; i++)
		assert_int_equal(ask_in(w, i, i, "team", true), 0);
	while (sched_next_action(w->s, &x))
		if (x.type == SCHED_QUEUED)
			assert_string_equal(x.text, "");
}

static void
test_no_wait(void **state)
{
	struct world *w = *state;

	full(w);
	assert_int_equal(ask_in(w, 3, 3, "ci", false), 0);
	take(w);
	expect_deny(w, 0, 3, QUOTA);
	assert_non_null(strstr(w->text, "may have 2 at a time"));
	assert_int_equal(space(w, "ci").jobs, 2);
}

static void
test_queue(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = full(w);
	struct job_id four = jid(4), three = jid(3);

	for (unsigned i = 3; i <= 5; i++)
		assert_int_equal(ask_in(w, i, i, "ci", true), 0);
	take(w);
	assert_int_equal(space(w, "ci").queued, 3);
	assert_int_equal(ask_in(w, 6, 6, "ci", true), 0);
	take(w);
	expect_deny(w, 0, 6, QUOTA);
	assert_string_equal(w->text, "3 jobs of the namespace ci wait for a slot, and no more may "
				     "at a time (quota_queue)");
	/* one that waits leaves, and there is room; a retry is never denied for it */
	assert_int_equal(sched_job_cancel(w->s, 104, &four, w->now), 0);
	assert_int_equal(ask_in(w, 6, 6, "ci", true), 0);
	take(w);
	assert_int_equal(w->last[0].type, SCHED_QUEUED);
	assert_int_equal(ended(w, a, 1, true), 0);
	assert_int_equal(take_place(w), 3);
	assert_int_equal(ask_in(w, 7, 7, "ci", true), 0);
	take(w);
	worker(w, "b", 1);
	take(w);
	assert_int_equal(sched_job_retry(w->s, 103, &three, "a", FAULT, "broken", w->now), 0);
	take(w);
	for (unsigned i = 0; i < w->n; i++)
		assert_int_not_equal(w->last[i].type, SCHED_DENY);
}

/* Whatever comes of a job, what it held is given back: each way in which one ends. */
static void
test_given_back(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 6);
	struct job_id j = jid(1);

	/* its client leaves, before it is opened, and while it compiles */
	assert_int_equal(ask_in(w, 1, 1, "ci", true), 0);
	assert_int_equal(take_place(w), 1);
	assert_int_equal(sched_job_cancel(w->s, 101, &j, w->now), 0);
	assert_int_equal(space(w, "ci").holding, 0);
	assert_int_equal(ask_in(w, 2, 1, "ci", true), 0);
	assert_int_equal(take_place(w), 2);
	compiles(w, a, 2);
	sched_owner_gone(w->s, 102, w->now);
	take(w);
	assert_int_equal(ended(w, a, 2, false), 0);
	assert_int_equal(space(w, "ci").holding, 0);
	/* nobody opens it */
	assert_int_equal(ask_in(w, 3, 1, "ci", true), 0);
	assert_int_equal(take_place(w), 3);
	pass(w, LIFE + 1);
	assert_int_equal(space(w, "ci").holding, 0);
	sched_owner_gone(w->s, 103, w->now);
	/* its worker is lost */
	assert_int_equal(ask_in(w, 4, 4, "ci", true), 0);
	assert_int_equal(take_place(w), 4);
	compiles(w, a, 4);
	assert_int_equal(space(w, "ci").holding, 1);
	sched_worker_gone(w->s, a, w->now);
	take(w);
	assert_int_equal(space(w, "ci").holding, 0);
	sched_owner_gone(w->s, 104, w->now);
	assert_int_equal(space(w, "ci").jobs, 0);
}

/* A smaller quota takes nothing away, a larger one counts at once. */
static void
test_changed(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = full(w);

	assert_int_equal(ask_in(w, 3, 3, "ci", true), 0);
	assert_int_equal(take_place(w), 0);
	ci.slots = 1;
	sched_quotas_changed(w->s, w->now);
	assert_int_equal(take_place(w), 0);
	assert_int_equal(space(w, "ci").holding, 2);
	assert_int_equal(ended(w, a, 1, true), 0);
	assert_int_equal(take_place(w), 0);
	ci.slots = 0;
	sched_quotas_changed(w->s, w->now);
	assert_int_equal(take_place(w), 3);
	assert_int_equal(space(w, "ci").may.slots, 0);
}

/* A key that the list has moved: its jobs count where they were asked for. */
static void
test_moved(void **state)
{
	struct world *w = *state;

	full(w);
	assert_int_equal(ask_in(w, 3, 1, "team", true), 0);
	assert_int_equal(take_place(w), 3);
	assert_int_equal(space(w, "ci").holding, 2);
	assert_int_equal(space(w, "team").holding, 1);
	sched_owner_gone(w->s, 101, w->now);
	sched_owner_gone(w->s, 103, w->now);
	pass(w, 700000);
	assert_int_equal(space(w, "team").jobs, 0);
}

static void
test_long_name(void **state)
{
	struct world *w = *state;
	char name[SCHED_NAME_SIZE + 1];

	memset(name, 'x', sizeof(name));
	name[SCHED_NAME_SIZE] = '\0';
	assert_int_equal(ask_in(w, 1, 1, name, true), -EINVAL);
	name[SCHED_NAME_SIZE - 1] = '\0';
	worker(w, "a", 1);
	assert_int_equal(ask_in(w, 1, 1, name, true), 0);
	assert_int_equal(take_place(w), 1);
}

#define Q(name) cmocka_unit_test_setup_teardown(name, setup_quota, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		Q(test_slots),
		Q(test_why),
		Q(test_no_wait),
		Q(test_queue),
		Q(test_given_back),
		Q(test_changed),
		Q(test_moved),
		Q(test_long_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
