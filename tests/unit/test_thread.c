/* Threads: what they are given, what comes to them, and that one which cannot be started says so.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base.h"
#include "common/thread.h"

struct seen {
	bool blocked, joined;
	size_t stack;
	int fd; /* a byte is written to it at the end */
};

static void *
look(void *arg)
{
	struct seen *s = arg;
	pthread_attr_t attr;
	sigset_t now;
	int state;

	pthread_sigmask(SIG_SETMASK, NULL, &now);
	s->blocked = sigismember(&now, SIGTERM) == 1;
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstacksize(&attr, &s->stack);
	pthread_attr_getdetachstate(&attr, &state);
	s->joined = state == PTHREAD_CREATE_JOINABLE;
	pthread_attr_destroy(&attr);
	(void)!write(s->fd, "", 1);
	return s;
}

static void
test_how(void **state)
{
	static const unsigned how[] = { THREAD_JOINED, THREAD_DETACHED, THREAD_NO_SIGNALS,
		THREAD_DETACHED | THREAD_NO_SIGNALS };
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	for (size_t i = 0; i < ARRAY_LEN(how); i++) {
		struct seen s = { .fd = fds[1] };
		pthread_t thread;
		void *result;
		sigset_t now;
		char c;

		assert_int_equal(thread_start(how[i], 1u << 18, look, &s,
					 how[i] & THREAD_DETACHED ? NULL : &thread),
			0);
		assert_int_equal(read(fds[0], &c, 1), 1);
		if (!(how[i] & THREAD_DETACHED)) {
			assert_int_equal(pthread_join(thread, &result), 0);
			assert_ptr_equal(result, &s);
		}
		assert_int_equal(s.blocked, (how[i] & THREAD_NO_SIGNALS) != 0);
		assert_int_equal(s.joined, !(how[i] & THREAD_DETACHED));
		assert_in_range(s.stack, 1u << 17, 1u << 19);
		/* the caller's are as they were */
		pthread_sigmask(SIG_SETMASK, NULL, &now);
		assert_false(sigismember(&now, SIGTERM));
	}
	close(fds[0]);
	close(fds[1]);
}

/* More than there is room for. */
static void
test_too_large(void **state)
{
	struct seen s = { .fd = -1 };

	(void)state;
	assert_true(thread_start(THREAD_DETACHED, SIZE_MAX / 4096 * 4096, look, &s, NULL) < 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_how),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
