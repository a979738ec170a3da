/* The local cache's locks: of what a key is made of, and of an entry. They end with their process,
 * who is stopped is not waited for, and all that wait go on at once. */
#include "config.h"

#include <poll.h>
#include <sys/time.h>

#include "tests/unit/depot_fixture.h"

static int ready[2];

static void
hold_lock(struct depot *d, int who)
{
	struct digest k = digest_of("k");
	int fd;

	if (depot_lock(d, &k, false, &fd) < 0 || write(ready[1], "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void
wait_lock(struct depot *d, int who)
{
	struct digest k = digest_of("k");
	int fd;

	if (depot_lock(d, &k, true, &fd) < 0)
		_exit(1);
}

static void
must_not_wait(struct depot *d, int who)
{
	struct digest k = digest_of("k");
	int fd;

	if (depot_lock(d, &k, true, &fd) != -EBUSY)
		_exit(1);
}

static void
on_alarm(int sig)
{
}

static void
locks(void **state)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	const struct itimerval often = { { 0, 200000 }, { 0, 200000 } },
			       never = { { 0, 0 }, { 0, 0 } };
	struct depot *d = open_depot();
	struct digest k = digest_of("k"), near = k;
	int fd = -1, other = -1, status;
	pid_t holder, waiter;
	char c;

	near.b[5] ^= 1; /* the same file */
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	holder = fork_with(hold_lock, 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(depot_lock(d, &k, false, &fd), -EWOULDBLOCK);
	assert_int_equal(depot_lock(d, &near, false, &other), 0);
	assert_int_equal(count_in(in("cache/locks")), 1);
	closep(&other);
	assert_false(depot_is_held_in_vain(d, &k));
	/* a signal ends the wait, and one that comes before it is followed by others */
	assert_int_equal(sigaction(SIGALRM, &sa, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	assert_int_equal(depot_lock(d, &k, true, &fd), -EINTR);
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	waiter = fork_with(wait_lock, 0);
	assert_int_equal(kill(holder, SIGKILL), 0);
	assert_ended(holder, SIGKILL);
	assert_ended(waiter, 0);
	/* one that is stopped is not waited for */
	holder = fork_with(hold_lock, 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(kill(holder, SIGSTOP), 0);
	assert_int_equal(waitpid(holder, &status, WUNTRACED), holder);
	assert_int_equal(depot_lock(d, &k, false, &fd), -EWOULDBLOCK);
	assert_true(depot_is_held_in_vain(d, &k));
	assert_int_equal(depot_lock(d, &k, true, &fd), -EBUSY);
	assert_int_equal(kill(holder, SIGKILL), 0);
	assert_ended(holder, SIGKILL);
	/* nor is one that waits for us */
	assert_int_equal(depot_lock(d, &k, false, &fd), 0);
	waiter = fork_with(must_not_wait, 0);
	assert_ended(waiter, 0);
	closep(&fd);
	assert_int_equal(depot_lock(d, &k, true, &fd), 0);
	/* a second one in this process is a second one */
	assert_int_equal(depot_lock(d, &k, false, &other), -EWOULDBLOCK);
	closep(&fd);
	assert_int_equal(depot_lock(d, &k, false, &other), 0);
	closep(&other);
	close(ready[0]);
	close(ready[1]);
	depot_close(d);
}

#define WRITERS 6
#define ADDITIONS 40

/* Each adds its letter to the entry, as often as it is told to. */
static void
add_letters(struct depot *d, int who)
{
	struct digest k = digest_of("shared");

	for (int i = 0; i < ADDITIONS; i++) {
		_cleanup_(closep) int lock = -1;
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		char letter = (char)('a' + who);

		/* on a busy machine a crowd may take longer than anybody waits */
		for (int t = 0; t < 20 && lock < 0; t++)
			lock = depot_lock_entry(d, &k);
		if (lock < 0)
			_exit(2);
		depot_read_entry(d, &k, &b);
		if (buf_add(&b, &letter, 1) < 0 || depot_write_entry(d, &k, b.p, b.n) < 0)
			_exit(1);
	}
}

static void
hold_entry(struct depot *d, int who)
{
	struct digest k = digest_of("shared");

	if (depot_lock_entry(d, &k) < 0 || write(ready[1], "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* Nothing that is added is lost, and a process that is stopped holds up nobody. */
/* One that waits until nobody has the lock has none itself, and goes on living. */
static void
wait_until_free(struct depot *d, int who)
{
	struct digest k = digest_of("k");

	if (depot_wait(d, &k, 600000) < 0 || write(ready[1], "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void
signal_parent(struct depot *d, int who)
{
	for (;;) {
		kill(getppid(), SIGUSR1);
		poll(NULL, 0, 1);
	}
}

static void
waits(void **state)
{
	struct sigaction sa = { .sa_handler = on_alarm }, before, after;
	struct depot *d = open_depot();
	struct digest k = digest_of("k"), near = k;
	pid_t holder, waiters[3], other;
	int fd = -1;
	char c;

	near.b[5] ^= 1;
	assert_int_equal(sigaction(SIGALRM, NULL, &before), 0);
	assert_int_equal(depot_wait(d, &k, 600000), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	holder = fork_with(hold_lock, 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(depot_wait(d, &k, 20), -EAGAIN);
	assert_int_equal(depot_wait(d, &near, 600000), 0);
	/* a signal ends it; the timer's own does afterwards what it did before */
	assert_int_equal(sigaction(SIGUSR1, &sa, NULL), 0);
	other = fork_with(signal_parent, 0);
	assert_int_equal(depot_wait(d, &k, 600000), -EINTR);
	assert_int_equal(kill(other, SIGKILL), 0);
	assert_ended(other, SIGKILL);
	assert_int_equal(sigaction(SIGALRM, NULL, &after), 0);
	assert_ptr_equal(after.sa_handler, before.sa_handler);
	for (size_t i = 0; i < ARRAY_LEN(waiters); i++)
		waiters[i] = fork_with(wait_until_free, 0);
	assert_int_equal(kill(holder, SIGKILL), 0);
	assert_ended(holder, SIGKILL);
	for (size_t i = 0; i < ARRAY_LEN(waiters); i++)
		assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(depot_lock(d, &k, false, &fd), 0);
	for (size_t i = 0; i < ARRAY_LEN(waiters); i++) {
		assert_int_equal(kill(waiters[i], SIGKILL), 0);
		assert_ended(waiters[i], SIGKILL);
	}
	closep(&fd);
	closep(&ready[0]);
	closep(&ready[1]);
	depot_close(d);
}

static void
entry_locks(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct depot *d = open_depot();
	struct digest k = digest_of("shared");
	_cleanup_(closep) int twin = -1, fd = -1;
	pid_t pids[WRITERS], holder;
	char c;

	/* the lock of the twin that makes it is another */
	assert_int_equal(depot_lock(d, &k, false, &twin), 0);
	for (int i = 0; i < WRITERS; i++)
		pids[i] = fork_with(add_letters, i);
	for (int i = 0; i < WRITERS; i++)
		assert_ended(pids[i], 0);
	assert_int_equal(depot_read_entry(d, &k, &b), 0);
	assert_int_equal(b.n, WRITERS * ADDITIONS);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	holder = fork_with(hold_entry, 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	fd = depot_lock_entry(d, &k);
	assert_int_equal(fd, -1);
	assert_int_equal(kill(holder, SIGKILL), 0);
	assert_ended(holder, SIGKILL);
	fd = depot_lock_entry(d, &k);
	assert_true(fd >= 0);
	close(ready[0]);
	close(ready[1]);
	depot_close(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(locks, setup, teardown),
		cmocka_unit_test_setup_teardown(waits, setup, teardown),
		cmocka_unit_test_setup_teardown(entry_locks, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
