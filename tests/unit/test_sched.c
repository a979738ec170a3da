/* Where jobs go, in which order, and when they are denied or tried again; random inputs at the end.
 */
#include "config.h"

#include "tests/unit/sched_fixture.h"

static void
test_job_ids(void **state)
{
	struct job_id id;
	char hex[JOB_ID_HEX_SIZE];

	assert_int_equal(sched_job_id_parse("00112233445566778899aabbccddeeff", &id), 0);
	sched_job_id_hex(&id, hex);
	assert_string_equal(hex, "00112233445566778899aabbccddeeff");
	assert_int_equal(sched_job_id_parse("", &id), -EINVAL);
	assert_int_equal(sched_job_id_parse("00112233445566778899aabbccddeef", &id), -EINVAL);
	assert_int_equal(sched_job_id_parse("00112233445566778899aabbccddeeff0", &id), -EINVAL);
	assert_int_equal(sched_job_id_parse("00112233445566778899AABBCCDDEEFF", &id), -EINVAL);
	assert_int_equal(sched_job_id_parse("0011223344556677 899aabbccddeeff", &id), -EINVAL);
}

static void
test_siphash_vector(void **state)
{
	/* SipHash-1-3 of the bytes 0..n-1 under the key 0..15: the reference's first two vectors.
	 */
	static const uint64_t want[] = { 0xabac0158050fc4dcu, 0xc9f49bf37d57ca93u };
	uint8_t key[16], data[1] = { 0 };

	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	assert_true(table_hash(key, data, 0) == want[0]);
	assert_true(table_hash(key, data, 1) == want[1]);
}

static void
test_least_loaded(void **state)
{
	struct world *w = *state;
	struct sched_worker *b = worker(w, "b", 4), *a = worker(w, "a", 4), *c = worker(w, "c", 2);

	place(w, 1, a); /* all idle: by name */
	place(w, 2, b);
	place(w, 3, c);
	place(w, 4, a); /* 1/4 1/4 1/2 */
	place(w, 5, b);
	place(w, 6, a); /* 2/4 2/4 1/2 */
	place(w, 7, b); /* 3/4 2/4 1/2 */
	place(w, 8, c);
	assert_int_equal(stats(w).used, 8);
	assert_int_equal(finished(w, 8), 0);
	assert_int_equal(view(c).used, 1);
	assert_int_equal(finished(w, 8), -ENOENT);
}

/* All but tc(1), while *arg is set. */
static bool
allows_others(void *arg, const struct digest *toolchain)
{
	const struct digest one = tc(1);

	return !*(bool *)arg || !digest_eq(toolchain, &one);
}

static void
test_limited_to_some(void **state)
{
	struct world limited = { .now = 1000000 }, *w = &limited;
	bool on = true;
	struct sched_conf c;
	struct sched_worker *a;

	(void)state;
	sched_conf_default(&c);
	c.allows = allows_others;
	c.allows_arg = &on;
	assert_int_equal(sched_new(&c, &w->s), 0);
	a = worker_of(w, "a", 1, 36, 1, 2);
	ask(w, 1);
	assert_int_equal(take(w), 1);
	expect_deny(w, 0, 1, DRAY__VERDICT__VERDICT_NOT_PINNED);
	assert_non_null(strstr(w->text, "limited to"));
	assert_non_null(strstr(w->text, "1.95.0"));
	assert_int_equal(ask_of(w, 2, 102, 2, 0, true), 0);
	assert_int_equal(take(w), 1);
	expect_place(w, 0, 2, a);
	/* what is queued is looked at again; what has a slot goes on */
	on = false;
	sched_allows_changed(w->s, w->now);
	assert_int_equal(take(w), 0);
	ask(w, 3);
	assert_int_equal(ask_of(w, 4, 104, 2, 0, true), 0);
	take(w);
	assert_int_equal(stats(w).queued, 2);
	on = true;
	sched_allows_changed(w->s, w->now);
	assert_int_equal(take(w), 1);
	expect_deny(w, 0, 3, DRAY__VERDICT__VERDICT_NOT_PINNED);
	assert_int_equal(stats(w).queued, 1);
	assert_int_equal(stats(w).used, 1);
	/* a job that has to be placed again is not */
	assert_int_equal(finished(w, 2), 0);
	assert_int_equal(take_place(w), 4);
	assert_int_equal(finished(w, 4), 0);
	on = false;
	place(w, 5, a);
	on = true;
	sched_allows_changed(w->s, w->now);
	assert_int_equal(take(w), 0);
	assert_int_equal(retry(w, 5, "a", FAULT), 0);
	take(w);
	assert_int_equal(w->last[w->n - 1].type, SCHED_DENY);
	assert_int_equal(w->last[w->n - 1].verdict, DRAY__VERDICT__VERDICT_NOT_PINNED);
	sched_free(w->s);
}

static void
test_no_worker_says_why(void **state)
{
	struct world *w = *state;

	ask(w, 1);
	take(w);
	expect_deny(w, 0, 1, DRAY__VERDICT__VERDICT_NO_WORKER);
	assert_non_null(strstr(w->text, "no worker is connected"));
	worker_of(w, "a", 1, 31, 7, 1);
	ask(w, 2);
	take(w);
	expect_deny(w, 0, 2, DRAY__VERDICT__VERDICT_NO_WORKER);
	assert_non_null(strstr(w->text, "none of the 1 connected"));
	assert_int_equal(ask_of(w, 3, 1, 7, 36, true), 0);
	take(w);
	expect_deny(w, 0, 3, DRAY__VERDICT__VERDICT_NO_WORKER);
	assert_non_null(strstr(w->text, "glibc 2.36"));
	assert_non_null(strstr(w->text, "2.31"));
	assert_non_null(strstr(w->text, "1.95.0 rustc"));
	assert_int_equal(stats(w).jobs, 0);
}

static void
test_queue_is_fifo(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	place(w, 1, a);
	for (unsigned i = 2; i <= 4; i++) {
		ask(w, i);
		assert_int_equal(take(w), 1);
		assert_int_equal(w->last[0].type, SCHED_QUEUED);
		assert_int_equal(w->last[0].ahead, i - 2);
	}
	started(w, a, 1);
	assert_int_equal(ended(w, a, 1, true), 0);
	assert_int_equal(take(w), 1);
	expect_place(w, 0, 2, a);
	/* Both say it: the slot is freed once. */
	assert_int_equal(finished(w, 1), 0);
	assert_int_equal(take(w), 0);
	assert_int_equal(finished(w, 2), 0);
	take(w);
	expect_place(w, 0, 3, a);
	assert_int_equal(stats(w).queued, 1);
}

static void
test_notices_each_second(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	ask(w, 1);
	ask(w, 2);
	take(w);
	compiles(w, a, 1);
	pass(w, 999);
	assert_int_equal(take(w), 0);
	pass(w, 1);
	assert_int_equal(take(w), 1);
	assert_int_equal(w->last[0].type, SCHED_QUEUED);
	pass(w, 1);
	assert_int_equal(take(w), 0);
}

static void
test_blocked_toolchain_blocks_no_other(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker_of(w, "a", 1, 36, 1, 1),
			    *b = worker_of(w, "b", 1, 36, 2, 1);

	place(w, 1, a);
	assert_int_equal(ask_of(w, 2, 9, 1, 0, true), 0);
	take(w);
	assert_int_equal(ask_of(w, 3, 9, 2, 0, true), 0);
	take(w);
	expect_place(w, 0, 3, b);
}

static void
test_blocked_glibc_blocks_no_other(void **state)
{
	struct world *w = *state;
	struct sched_worker *old = worker_of(w, "old", 1, 31, 1, 1),
			    *new = worker_of(w, "new", 1, 36, 1, 1);

	assert_int_equal(ask_of(w, 1, 101, 1, 36, true), 0);
	take(w);
	expect_place(w, 0, 1, new);
	assert_int_equal(ask_of(w, 2, 102, 1, 36, true), 0);
	take(w);
	assert_int_equal(w->last[0].type, SCHED_QUEUED);
	assert_int_equal(ask_of(w, 3, 103, 1, 30, true), 0);
	take(w);
	expect_place(w, 0, 3, old);
	/* When old is free again it still cannot take job 2. */
	assert_int_equal(finished(w, 3), 0);
	assert_int_equal(take(w), 0);
	assert_int_equal(finished(w, 1), 0);
	take(w);
	expect_place(w, 0, 2, new);
}

static void
test_oldest_over_toolchains(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker_of(w, "a", 1, 36, 1, 2);

	place(w, 1, a);
	assert_int_equal(ask_of(w, 2, 9, 2, 0, true), 0);
	assert_int_equal(ask_of(w, 3, 9, 1, 0, true), 0);
	take(w);
	finished(w, 1);
	take(w);
	expect_place(w, 0, 2, a);
}

static void
test_limits(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	place(w, 1, a);
	assert_int_equal(ask_of(w, 2, 102, 1, 0, false), 0);
	take(w);
	expect_deny(w, 0, 2, DRAY__VERDICT__VERDICT_FULL);
	for (unsigned i = 10; i < 15; i++)
		ask(w, i);
	take(w);
	ask(w, 15);
	take(w);
	expect_deny(w, 0, 15, DRAY__VERDICT__VERDICT_QUEUE_FULL);
	assert_int_equal(ask_of(w, 10, 77, 1, 0, true), -EEXIST);
	assert_int_equal(stats(w).queued, 5);
	/* Another's job is out of reach. */
	struct job_id j = jid(10);
	assert_int_equal(sched_job_cancel(w->s, 77, &j, w->now), -ENOENT);
	assert_int_equal(sched_job_cancel(w->s, 110, &j, w->now), 0);
	assert_int_equal(stats(w).queued, 4);
}

static void
test_owner_limit(void **state)
{
	struct world *w = *state;

	worker(w, "a", 2000);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(ask_of(w, i, 5, 1, 0, true), 0);
		take(w);
		assert_int_equal(w->last[0].type, SCHED_PLACE);
	}
	assert_int_equal(ask_of(w, 1000, 5, 1, 0, true), 0);
	take(w);
	expect_deny(w, 0, 1000, DRAY__VERDICT__VERDICT_QUEUE_FULL);
	assert_int_equal(ask_of(w, 1001, 6, 1, 0, true), 0);
	take(w);
	assert_int_equal(w->last[0].type, SCHED_PLACE);
}

static void
test_unstarted_placement_expires(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	place(w, 1, a);
	pass(w, LIFE - 1);
	assert_int_equal(view(a).used, 1);
	pass(w, 1);
	assert_int_equal(view(a).used, 0);
	place(w, 3, a);
	ask(w, 2);
	take(w);
	pass(w, LIFE_TRIAL - 1);
	for (take(w); w->n > 0; w->n--)
		assert_int_equal(w->last[w->n - 1].type, SCHED_QUEUED);
	pass(w, 1);
	take(w);
	expect_place(w, 0, 2, a);
	/* The client may still ask again; a late start takes its slot back. */
	started(w, a, 1);
	assert_int_equal(view(a).used, 2);
	assert_int_equal(view(a).failures, 0);
}

static void
test_retry_goes_elsewhere_thrice(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1), *b = worker(w, "b", 1), *c = worker(w, "c", 1);

	worker(w, "d", 1);
	place(w, 1, a);
	started(w, a, 1);
	assert_int_equal(retry(w, 1, "nobody", FAULT), -ESTALE);
	assert_int_equal(retry(w, 1, "a", FAULT), 0);
	assert_int_equal(take(w), 2);
	assert_int_equal(w->last[0].type, SCHED_CANCEL);
	assert_ptr_equal(w->last[0].worker, a);
	expect_place(w, 1, 1, b);
	assert_int_equal(retry(w, 1, "a", FAULT), -ESTALE); /* no second placement for one loss */
	assert_int_equal(take(w), 0);
	assert_int_equal(retry(w, 1, "b", FAULT), 0);
	take(w);
	expect_place(w, 1, 1, c);
	assert_int_equal(retry(w, 1, "c", FAULT), 0);
	take(w);
	expect_deny(w, 1, 1, DRAY__VERDICT__VERDICT_NO_TRIES_LEFT);
	assert_non_null(strstr(w->text, "the last worker, c: why"));
	assert_int_equal(stats(w).jobs, 0);
	assert_int_equal(stats(w).used, 0);
}

static int
ask_anew(struct world *w, unsigned id, const struct sched_failed *failed, size_t n)
{
	struct sched_job_info info = { .id = jid(id),
		.owner = 100 + id,
		.toolchain = tc(1),
		.may_wait = true,
		.failed = failed,
		.n_failed = n };

	return sched_job_add(w->s, &info, w->now);
}

/* What failed before this scheduler was there counts as far as it is known, and costs no trust. */
static void
test_asked_anew(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 2), *b = worker(w, "b", 2);
	const struct sched_failed by_a[] = { { "a", FAULT }, { "a", FAULT }, { "nobody", FAULT } };
	const struct sched_failed full[] = { { "a", DRAY__VERDICT__VERDICT_FULL } };
	const struct sched_failed both[] = { { "b", FAULT }, { "a", FAULT } };

	assert_int_equal(ask_anew(w, 1, by_a, 3), 0);
	assert_int_equal(take(w), 1);
	expect_place(w, 0, 1, b);
	assert_int_equal(view(a).failures, 0);
	assert_int_equal(ask_anew(w, 2, full, 1), 0);
	assert_int_equal(take(w), 1);
	expect_place(w, 0, 2, a);
	assert_int_equal(ask_anew(w, 3, both, 2), 0);
	assert_int_equal(take(w), 1);
	expect_deny(w, 0, 3, DRAY__VERDICT__VERDICT_NO_TRIES_LEFT);
	assert_non_null(strstr(w->text, "has not failed it"));
	/* Gone, and back: it is known all the while. */
	sched_worker_gone(w->s, b, w->now);
	assert_int_equal(take(w), 0);
	assert_int_equal(ask_anew(w, 4, both, 1), 0);
	assert_int_equal(take(w), 1);
	expect_place(w, 0, 4, a);
}

static void
test_taken_over(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);
	struct sched_job_info info = {
		.id = jid(1), .owner = 7, .toolchain = tc(1), .may_wait = true
	};

	place(w, 1, a);
	started(w, a, 1);
	assert_int_equal(sched_job_owner(w->s, &info.id), 101);
	assert_int_equal(sched_job_add(w->s, &info, w->now), -EEXIST);
	info.former = 102;
	assert_int_equal(sched_job_add(w->s, &info, w->now), -EEXIST);
	assert_int_equal(take(w), 0);
	info.former = 101;
	assert_int_equal(sched_job_add(w->s, &info, w->now), 0);
	assert_true(take(w) >= 2);
	assert_int_equal(w->last[0].type, SCHED_CANCEL);
	expect_place(w, w->n - 1, 1, a);
	assert_int_equal(w->last[w->n - 1].owner, 7);
	assert_int_equal(sched_job_owner(w->s, &info.id), 7);
	sched_owner_gone(w->s, 101, w->now);
	assert_int_equal(take(w), 0);
	assert_int_equal(stats(w).jobs, 1);
	assert_int_equal(stats(w).used, 1);
	info.id = jid(9);
	assert_int_equal(sched_job_owner(w->s, &info.id), 0);
}

static void
test_retry_waits_for_another(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1), *b = worker(w, "b", 1);

	place(w, 1, a);
	place(w, 2, b);
	ask(w, 3);
	take(w);
	assert_int_equal(retry(w, 1, "a", FAULT), 0);
	take(w);
	/* a is free: 3 has it; 1 waits for b, which it gets before anyone younger. */
	expect_place(w, 1, 3, a);
	ask(w, 4);
	take(w);
	finished(w, 3);
	take(w);
	expect_place(w, 0, 4, a);
	ask(w, 5);
	take(w);
	finished(w, 2);
	take(w);
	expect_place(w, 0, 1, b);
}

/* What a client has, its worker may still be cleaning up after. */
static void
test_slot_is_free_when_the_worker_says_so(void **state)
{
	struct world *w = *state;
	struct sched_worker *a = worker(w, "a", 1);

	place(w, 1, a);
	started(w, a, 1);
	ask(w, 2);
	take(w);
	assert_int_equal(w->last[0].type, SCHED_QUEUED);
	assert_int_equal(finished(w, 1), 0);
	assert_int_equal(take(w), 0);
	assert_int_equal(finished(w, 1), -ENOENT);
	assert_int_equal(ended(w, a, 1, true), 0);
	assert_int_equal(take(w), 1);
	expect_place(w, 0, 2, a);
	/* A message that never comes is waited for, for a while. */
	started(w, a, 2);
	ask(w, 3);
	take(w);
	assert_int_equal(finished(w, 2), 0);
	pass(w, 4999);
	for (int i = take(w); i > 0; i--)
		assert_int_not_equal(w->last[i - 1].type, SCHED_PLACE);
	pass(w, 1);
	assert_true(take(w) > 0);
	expect_place(w, w->n - 1, 3, a);
}

/* The cost of a placement grows with the logarithm of the workers, not with their number. */
static void
test_placement_is_cheap(void **state)
{
	struct world *w = *state;
	uint64_t before, worst = 0;
	char name[32];

	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "w%04u", i);
		worker_of(w, name, 10, 30 + i % 3, 1, 1);
	}
	assert_int_equal(stats(w).slots, 20000);
	for (unsigned i = 0; i < 20000; i++) {
		before = stats(w).compares;
		assert_int_equal(ask_of(w, i, 100 + i, 1, i % 2 ? 0 : 30, true), 0);
		worst = MAX2(worst, stats(w).compares - before);
		take(w);
		assert_int_equal(w->last[0].type, SCHED_PLACE);
	}
	assert_true(worst <= 2 * 11 + 8);
	assert_int_equal(stats(w).used, 20000);
	worst = 0;
	for (unsigned i = 0; i < 20000; i++) {
		before = stats(w).compares;
		finished(w, i);
		worst = MAX2(worst, stats(w).compares - before);
	}
	assert_true(worst <= 2 * 11 + 8);
	assert_int_equal(stats(w).jobs, 0);
	assert_int_equal(stats(w).placed, 20000);
	assert_int_equal(stats(w).ended, 20000);
}

static uint32_t
next_random(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

struct model {
	bool live[200]; /* jobs whose client still gets a last message */
	struct sched_worker *on[200];
	struct sched_worker *workers[8];
};

/* one_input: a tick can place on a worker and then find that it has failed another job. */
static void
fuzz_actions(struct world *w, struct model *m, bool one_input)
{
	struct sched_action a;

	while (sched_next_action(w->s, &a)) {
		unsigned j = jnum(&a.job);

		if (a.type == SCHED_CANCEL)
			continue;
		assert_true(j < 200 && m->live[j]);
		assert_int_equal(a.owner, 100 + j);
		if (a.type == SCHED_DENY)
			m->live[j] = false;
		if (a.type == SCHED_PLACE) {
			struct sched_worker_view v = view(a.worker);

			/* Never twice for one message of its client, never on one that is full or
			 * left. */
			assert_null(m->on[j]);
			assert_true(sched_worker_find(w->s, v.name) == a.worker);
			assert_true(v.trust != SCHED_SHUNNED || !one_input);
			assert_true(!v.draining);
			assert_true(v.used <= v.slots || a.twin || !one_input);
			assert_true(v.twins <= 2 || !a.twin || !one_input);
			m->on[j] = a.worker;
		}
	}
}

static void
fuzz_worker(struct world *w, struct model *m, uint32_t *x)
{
	unsigned i = next_random(x) % 8;
	char name[8];

	snprintf(name, sizeof(name), "w%u", i);
	if (m->workers[i] && next_random(x) % 2) {
		sched_worker_gone(w->s, m->workers[i], w->now);
		m->workers[i] = NULL;
	} else {
		m->workers[i] = worker_of(w, name, 1 + next_random(x) % 4, 30 + next_random(x) % 3,
			1 + next_random(x) % 3, 1 + next_random(x) % 3);
	}
}

static void
fuzz_job(struct world *w, struct model *m, uint32_t *x)
{
	unsigned j = next_random(x) % 200, what = next_random(x) % 10;
	struct job_id id = jid(j);

	if (!m->live[j]) {
		struct sched_job_info info = { .id = id,
			.owner = 100 + j,
			.account = next_random(x) % 2 * (1 + next_random(x) % 6),
			.toolchain = tc(1 + next_random(x) % 5),
			.kin = tc(next_random(x) % 8),
			.glibc = next_random(x) % 34,
			.may_wait = next_random(x) % 8 };

		if (sched_job_add(w->s, &info, w->now) == 0) {
			m->live[j] = true;
			m->on[j] = NULL;
		}
		return;
	}
	if (what < 3 && m->on[j]) {
		struct sched_worker *on = m->on[j];

		m->on[j] = NULL;
		assert_int_not_equal(sched_job_retry(w->s, 100 + j, &id, view(on).name,
					     (Dray__Verdict)(next_random(x) % 22), "x", w->now),
			-ENOENT);
	} else if (what == 3) {
		assert_int_equal(finished(w, j), 0);
		m->live[j] = false;
	} else if (what == 4) {
		sched_owner_gone(w->s, 100 + j, w->now);
		m->live[j] = false;
	} else if (m->workers[what % 8]) {
		if (next_random(x) % 2)
			sched_job_started(w->s, m->workers[what % 8], &id, w->now);
		else
			ended(w, m->workers[what % 8], j, next_random(x) % 2);
	}
}

/* Any order of inputs: no leak, no slot lost for good, no promise broken (and ASan watches). */
static void
test_random_inputs(void **state)
{
	struct world *w = *state;
	struct model m;
	uint32_t x = 2463534242u;

	memset(&m, 0, sizeof(m));
	for (unsigned step = 0; step < 200000; step++) {
		unsigned what = next_random(&x) % 100;

		if (what < 3)
			fuzz_worker(w, &m, &x);
		else if (what < 8)
			pass(w, next_random(&x) % (what == 7 ? 20000 : 500));
		else if (what < 10 && m.workers[what - 8])
			sched_worker_heard(w->s, m.workers[what - 8], next_random(&x) % 5, w->now);
		else
			fuzz_job(w, &m, &x);
		fuzz_actions(w, &m, what < 3 || what >= 8);
	}
	assert_true(stats(w).placed > 10000 && stats(w).twins > 1000);
	for (unsigned j = 0; j < 200; j++)
		sched_owner_gone(w->s, 100 + j, w->now);
	fuzz_actions(w, &m, false);
	for (unsigned i = 0; i < 8; i++) {
		if (!m.workers[i])
			continue;
		sched_worker_gone(w->s, m.workers[i], w->now);
	}
	pass(w, 20000);
	fuzz_actions(w, &m, false);
	assert_int_equal(stats(w).jobs, 0);
	assert_int_equal(stats(w).used, 0);
	assert_int_equal(stats(w).queued, 0);
	assert_int_equal(stats(w).workers, 0);
	assert_int_equal(stats(w).slots, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_job_ids),
		cmocka_unit_test(test_siphash_vector),
		T(test_least_loaded),
		cmocka_unit_test(test_limited_to_some),
		T(test_no_worker_says_why),
		T(test_queue_is_fifo),
		T(test_notices_each_second),
		T(test_blocked_toolchain_blocks_no_other),
		T(test_blocked_glibc_blocks_no_other),
		T(test_oldest_over_toolchains),
		T(test_limits),
		T(test_owner_limit),
		T(test_unstarted_placement_expires),
		T(test_retry_goes_elsewhere_thrice),
		T(test_asked_anew),
		T(test_taken_over),
		T(test_retry_waits_for_another),
		T(test_slot_is_free_when_the_worker_says_so),
		T(test_placement_is_cheap),
		T(test_random_inputs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
