/* Threads whose calls may hang: what is late is told once, and dropped once, whenever it ends; a
 * crew that is freed waits for nobody. Each waits on what happened, not for a time. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "store/crew.h"

static atomic_uint begun, runs, dropped;
static unsigned told, told_late;
static struct crew *busy; /* set: what to do when one is told that it is late */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

struct job {
	struct crew_job base;
	bool held; /* until the gate is free */
};

static void
run(struct crew_job *j)
{
	atomic_fetch_add(&begun, 1);
	if (((struct job *)j)->held) {
		pthread_mutex_lock(&gate);
		pthread_mutex_unlock(&gate);
	}
	atomic_fetch_add(&runs, 1);
}

static void add(struct crew *c, bool held);

/* The one thread ends the job that is being told, and takes another. */
static void
end_meanwhile(struct crew *c)
{
	add(c, false);
	pthread_mutex_unlock(&gate);
	while (atomic_load(&runs) < 2)
		(void)poll(NULL, 0, 1);
}

static void
done(struct crew_job *j, int error)
{
	(void)j;
	told++;
	told_late += error == -ETIMEDOUT;
	if (busy == NULL || error == 0)
		return;
	end_meanwhile(busy);
	busy = NULL;
	/* it is this function's still */
	assert_int_equal(atomic_load(&dropped), 0);
}

static void
drop(struct crew_job *j)
{
	free(j);
	atomic_fetch_add(&dropped, 1);
}

static void
add(struct crew *c, bool held)
{
	struct job *j = calloc(1, sizeof(*j));

	assert_non_null(j);
	j->base.run = run;
	j->base.done = done;
	j->base.drop = drop;
	j->held = held;
	crew_add(c, &j->base);
}

static struct waiter w;

static int
setup(void **state)
{
	atomic_store(&begun, 0);
	atomic_store(&runs, 0);
	atomic_store(&dropped, 0);
	told = told_late = 0;
	return waiter_init(&w);
}

static int
teardown(void **state)
{
	waiter_done(&w);
	return 0;
}

static void
wait_for(struct crew *c)
{
	struct epoll_event e;

	waiter_alarm(&w, crew_next(c));
	(void)waiter_wait(&w, 10000, &e, 1);
	crew_step(c, clock_mono_ms());
}

static void
until_dropped(unsigned n)
{
	for (unsigned i = 0; i < 10000 && atomic_load(&dropped) < n; i++)
		(void)poll(NULL, 0, 1);
	assert_int_equal(atomic_load(&dropped), n);
}

static void
test_done(void **state)
{
	struct crew *c = NULL;

	assert_int_equal(crew_new(&w, 3, 60000, &c), 0);
	assert_true(crew_is_idle(c));
	assert_int_equal(crew_next(c), 0);
	for (unsigned i = 0; i < 1000; i++)
		add(c, false);
	assert_true(crew_next(c) > clock_mono_ms());
	while (!crew_is_idle(c))
		wait_for(c);
	assert_int_equal(told, 1000);
	assert_int_equal(told_late, 0);
	assert_int_equal(atomic_load(&dropped), 1000);
	crew_free(c);
}

/* Two hang, two wait for a thread: all are told in time; what hung is dropped by its thread. */
static void
test_late(void **state)
{
	struct crew *c = NULL;
	uint64_t started = clock_mono_ms();

	pthread_mutex_lock(&gate);
	assert_int_equal(crew_new(&w, 2, 50, &c), 0);
	for (unsigned i = 0; i < 4; i++)
		add(c, true);
	while (!crew_is_idle(c))
		wait_for(c);
	assert_true(clock_mono_ms() - started >= 50);
	assert_int_equal(told_late, 4);
	assert_int_equal(atomic_load(&runs), 0);
	/* at most two had a thread; the others are gone */
	assert_true(atomic_load(&dropped) >= 2);
	pthread_mutex_unlock(&gate);
	until_dropped(4);
	assert_true(atomic_load(&runs) <= 2);
	/* and its threads are of use again */
	add(c, false);
	while (!crew_is_idle(c))
		wait_for(c);
	assert_int_equal(told, 5);
	assert_int_equal(told_late, 4);
	crew_free(c);
}

static void
test_ends_while_it_is_told(void **state)
{
	struct crew *c = NULL;

	pthread_mutex_lock(&gate);
	assert_int_equal(crew_new(&w, 1, 50, &c), 0);
	add(c, true);
	/* one that waits for a thread would just be dropped */
	while (atomic_load(&begun) == 0)
		(void)poll(NULL, 0, 1);
	busy = c;
	while (!crew_is_idle(c))
		wait_for(c);
	assert_int_equal(told, 2);
	assert_int_equal(told_late, 1);
	assert_int_equal(atomic_load(&dropped), 2);
	crew_free(c);
}

static void
test_freed_while_it_hangs(void **state)
{
	struct crew *c = NULL;

	pthread_mutex_lock(&gate);
	assert_int_equal(crew_new(&w, 1, 60000, &c), 0);
	for (unsigned i = 0; i < 3; i++)
		add(c, true);
	crew_free(c);
	assert_int_equal(told, 0);
	pthread_mutex_unlock(&gate);
	until_dropped(3);
	assert_int_equal(told, 0);
}

/* Two that come at once, when there was one thread without work: neither waits for the other. */
static void
test_each_has_a_thread(void **state)
{
	for (unsigned i = 0; i < 50; i++) {
		struct crew *c = NULL;

		told = told_late = 0;
		assert_int_equal(crew_new(&w, 2, 60000, &c), 0);
		add(c, false);
		while (!crew_is_idle(c))
			wait_for(c);
		pthread_mutex_lock(&gate);
		add(c, true);
		add(c, false);
		wait_for(c);
		assert_int_equal(told, 2);
		pthread_mutex_unlock(&gate);
		while (!crew_is_idle(c))
			wait_for(c);
		assert_int_equal(told, 3);
		assert_int_equal(told_late, 0);
		crew_free(c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_done, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_has_a_thread, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ends_while_it_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_freed_while_it_hangs, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
