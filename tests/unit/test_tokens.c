/* A job's tokens: never more than its build's jobs allow, all of them the worker's, and all given
 * back. And what a client can see of its own jobserver. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/slots/given.h"
#include "common/clock.h"
#include "worker/job/tokens.h"

static struct token_bank bank;
static struct jobserver shared = JOBSERVER_INIT; /* of a client's build */

static int
begin_bank(void **state)
{
	token_bank_init(&bank, 8);
	return 0;
}

static int
end_bank(void **state)
{
	token_bank_done(&bank);
	return 0;
}

static int
begin_pool(void **state)
{
	return jobserver_make(8, &shared);
}

static int
end_pool(void **state)
{
	jobserver_done(&shared);
	return 0;
}

static void
take_n(const struct tokens *t, int n)
{
	struct jobserver js = *tokens_pool(t);

	while (n-- > 0)
		assert_int_equal(jobserver_take(&js), 0);
}

static void
give_n(const struct tokens *t, int n)
{
	struct jobserver js = *tokens_pool(t);

	while (n-- > 0)
		jobserver_give(&js);
}

static int
left(const struct tokens *t)
{
	return jobserver_left(tokens_pool(t));
}

static void
tick(struct tokens *t)
{
	tokens_tick(t, clock_mono_ms() + 1000);
	t->next_ms = t->next_ms ? 1 : 0;
}

static void
one_job_finds_none(void **state)
{
	struct tokens t = TOKENS_INIT;

	assert_int_equal(tokens_begin(&bank, 1, &t), 0);
	assert_int_equal(left(&t), 0);
	assert_int_equal(bank.free, 7);
	tick(&t);
	assert_int_equal(left(&t), 0);
	tokens_done(&t);
	assert_int_equal(bank.free, 8);
}

static void
as_many_as_the_worker_has(void **state)
{
	static const uint32_t jobs[] = { 0, 8, 9, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		struct tokens t = TOKENS_INIT;

		assert_int_equal(tokens_begin(&bank, jobs[i], &t), 0);
		assert_int_equal(left(&t), 7);
		assert_int_equal(bank.free, 0);
		tick(&t);
		assert_int_equal(left(&t), 7);
		tokens_done(&t);
		assert_int_equal(bank.free, 8);
	}
}

static void
idle_ones_are_shared(void **state)
{
	struct tokens t = TOKENS_INIT, other = TOKENS_INIT, third = TOKENS_INIT;

	assert_int_equal(tokens_begin(&bank, 0, &t), 0);
	assert_int_equal(left(&t), 7);
	/* at once: one for itself, and half of the others */
	assert_int_equal(tokens_begin(&bank, 0, &other), 0);
	assert_true(other.self);
	assert_int_equal(left(&t), 3);
	assert_int_equal(left(&other), 3);
	/* it wants more, and the other does not; no more than is left */
	take_n(&other, 3);
	tick(&other);
	assert_int_equal(left(&other), 1);
	assert_int_equal(left(&t), 2);
	/* what is in use stays there */
	take_n(&t, 2);
	take_n(&other, 1);
	tick(&t);
	assert_int_equal(left(&t), 0);
	assert_int_equal(tokens_begin(&bank, 0, &third), 0);
	assert_false(third.self);
	assert_int_equal(left(&third), 0);
	/* it is given what becomes free */
	tokens_done(&other);
	assert_true(left(&third) + left(&t) + (int)bank.free == 5);
	assert_true(left(&third) > 0);
	tokens_done(&third);
	tokens_done(&t);
	assert_int_equal(bank.free, 8);
}

static void
a_job_makes_and_keeps_none(void **state)
{
	struct tokens t = TOKENS_INIT, other = TOKENS_INIT;

	assert_int_equal(tokens_begin(&bank, 3, &t), 0);
	assert_int_equal(tokens_begin(&bank, 0, &other), 0);
	give_n(&t, 20);
	for (int i = 0; i < 5; i++) {
		take_n(&other, left(&other));
		tick(&other);
		tick(&t);
	}
	/* two of its own at most, and none that it made */
	assert_true(other.taken <= 7);
	assert_int_equal(bank.free + t.taken + t.self + other.taken + other.self, 8);
	tokens_done(&t);
	tokens_done(&other);
	assert_int_equal(bank.free, 8);
	assert_int_equal(tokens_begin(&bank, 3, &t), 0);
	take_n(&t, 2);
	tokens_done(&t);
	assert_int_equal(bank.free, 8);
}

/* What one does to its pipe does not reach the other's. */
static void
pipes_are_apart(void **state)
{
	struct tokens t = TOKENS_INIT, other = TOKENS_INIT;
	struct jobserver js;

	assert_int_equal(tokens_begin(&bank, 0, &t), 0);
	assert_int_equal(tokens_begin(&bank, 0, &other), 0);
	js = *tokens_pool(&t);
	while (jobserver_take(&js) == 0)
		;
	assert_int_equal(left(&other), 3);
	tokens_done(&t);
	assert_int_equal(left(&other), 3);
	take_n(&other, 3);
	tick(&other);
	assert_int_equal(left(&other), 4);
	tokens_done(&other);
	assert_int_equal(bank.free, 8);
}

/* given_jobs() of a child of a process with that name, which has `others` more children. */
static unsigned
jobs_below(const char *name, unsigned others)
{
	pid_t parent = fork();
	int status;

	assert_true(parent >= 0);
	if (parent == 0) {
		pid_t child, me = getpid();

		prctl(PR_SET_NAME, name);
		for (unsigned i = 0; i < others; i++)
			if (fork() == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				/* it may have ended before the call */
				if (getppid() == me)
					pause();
				_exit(0);
			}
		child = fork();
		if (child == 0)
			_exit((int)given_jobs());
		_exit(waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status)
									       : 99);
	}
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_true(WIFEXITED(status));
	return (unsigned)WEXITSTATUS(status);
}

static void
what_cargo_gives(void **state)
{
	char flags[96];

	setenv("CARGO_MAKEFLAGS", "-j", 1);
	assert_int_equal(given_jobs(), 0);
	setenv("CARGO_MAKEFLAGS", "-j --jobserver-auth=7777,7778", 1);
	assert_int_equal(given_jobs(), 0);
	jobserver_flags(flags, shared.rd, shared.wr);
	setenv("CARGO_MAKEFLAGS", flags, 1);
	assert_int_equal(given_jobs(), 9);
	jobserver_reset(&shared, 0);
	assert_int_equal(jobs_below("cargo", 0), 1);
	assert_int_equal(jobs_below("cargo", 3), 4);
	/* a script's children run on no tokens */
	assert_int_equal(jobs_below("sh", 3), 1);
	jobserver_reset(&shared, 2);
	assert_int_equal(jobs_below("cargo", 3), 6);
	unsetenv("CARGO_MAKEFLAGS");
	unsetenv("MAKEFLAGS");
	unsetenv("MFLAGS");
	assert_int_equal(given_jobs(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_job_finds_none, begin_bank, end_bank),
		cmocka_unit_test_setup_teardown(as_many_as_the_worker_has, begin_bank, end_bank),
		cmocka_unit_test_setup_teardown(idle_ones_are_shared, begin_bank, end_bank),
		cmocka_unit_test_setup_teardown(a_job_makes_and_keeps_none, begin_bank, end_bank),
		cmocka_unit_test_setup_teardown(pipes_are_apart, begin_bank, end_bank),
		cmocka_unit_test_setup_teardown(what_cargo_gives, begin_pool, end_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
