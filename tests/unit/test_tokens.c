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

static struct jobserver shared = JOBSERVER_INIT;

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
tick(struct tokens *t)
{
	tokens_tick(t, clock_mono_ms() + 1000);
	t->next_ms = t->next_ms ? 1 : 0;
}

static void
one_job_finds_none(void **state)
{
	struct tokens t = TOKENS_INIT;

	assert_int_equal(tokens_begin(&shared, 1, 8, &t), 0);
	assert_int_equal(jobserver_left(tokens_pool(&t)), 0);
	assert_int_equal(jobserver_left(&shared), 7);
	tick(&t);
	assert_int_equal(jobserver_left(tokens_pool(&t)), 0);
	tokens_done(&t);
	assert_int_equal(jobserver_left(&shared), 8);
}

static void
as_many_as_the_worker_has(void **state)
{
	static const uint32_t jobs[] = { 0, 8, 9, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		struct tokens t = TOKENS_INIT;

		assert_int_equal(tokens_begin(&shared, jobs[i], 8, &t), 0);
		assert_ptr_equal(tokens_pool(&t), &shared);
		assert_int_equal(jobserver_left(&shared), 7);
		tick(&t);
		assert_int_equal(jobserver_left(&shared), 7);
		tokens_done(&t);
		assert_int_equal(jobserver_left(&shared), 8);
	}
}

static void
idle_ones_are_lent(void **state)
{
	struct tokens t = TOKENS_INIT, other = TOKENS_INIT;

	assert_int_equal(tokens_begin(&shared, 6, 8, &t), 0);
	assert_int_equal(jobserver_left(tokens_pool(&t)), 5);
	assert_int_equal(tokens_begin(&shared, 6, 8, &other), 0);
	assert_int_equal(jobserver_left(tokens_pool(&other)), 1);
	/* not yet */
	tokens_tick(&t, t.next_ms - 1);
	assert_int_equal(jobserver_left(tokens_pool(&t)), 5);
	tick(&t);
	assert_int_equal(jobserver_left(tokens_pool(&t)), 1);
	assert_int_equal(jobserver_left(&shared), 4);
	/* the other wants them, and gets no more than its five */
	take_n(&other, 1);
	tick(&other);
	assert_int_equal(jobserver_left(tokens_pool(&other)), 4);
	take_n(&other, 4);
	tick(&other);
	assert_int_equal(jobserver_left(tokens_pool(&other)), 0);
	assert_int_equal(jobserver_left(&shared), 0);
	tokens_done(&other);
	tokens_done(&t);
	assert_int_equal(jobserver_left(&shared), 8);
}

static void
a_job_makes_and_keeps_none(void **state)
{
	struct tokens t = TOKENS_INIT;
	struct jobserver js;

	assert_int_equal(tokens_begin(&shared, 3, 8, &t), 0);
	js = *tokens_pool(&t);
	for (int i = 0; i < 20; i++)
		jobserver_give(&js);
	tick(&t);
	tick(&t);
	assert_true(jobserver_left(&shared) <= 7);
	tokens_done(&t);
	assert_int_equal(jobserver_left(&shared), 8);
	assert_int_equal(tokens_begin(&shared, 3, 8, &t), 0);
	take_n(&t, 2);
	tokens_done(&t);
	assert_int_equal(jobserver_left(&shared), 8);
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
		cmocka_unit_test_setup_teardown(one_job_finds_none, begin_pool, end_pool),
		cmocka_unit_test_setup_teardown(as_many_as_the_worker_has, begin_pool, end_pool),
		cmocka_unit_test_setup_teardown(idle_ones_are_lent, begin_pool, end_pool),
		cmocka_unit_test_setup_teardown(a_job_makes_and_keeps_none, begin_pool, end_pool),
		cmocka_unit_test_setup_teardown(what_cargo_gives, begin_pool, end_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
