/* slots: never more than n at a time, given back by death, waited for in turn; the jobserver's
 * tokens come back after a crash. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "client/wrap/memory.h"
#include "client/wrap/slots.h"
#include "common/fs.h"

static char *dir;

static int
setup(void **state)
{
	return fs_make_temp_dir("/tmp", "dray-slots-", &dir);
}

static int
teardown(void **state)
{
	fs_rm_rf(dir);
	free(dir);
	return 0;
}

static struct slots *
open_slots(unsigned n)
{
	struct slots *s = NULL;

	assert_int_equal(slots_open(dir, n, &s), 0);
	return s;
}

static void
test_as_many_as_there_are(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(2);
	_cleanup_(slots_closep) struct slots *other_build = open_slots(2);
	int a = slots_try(s), b = slots_try(other_build), c;

	assert_true(a >= 0 && b >= 0);
	assert_int_equal(slots_try(s), -EAGAIN);
	assert_int_equal(slots_try(other_build), -EAGAIN);
	assert_true(fcntl(a, F_GETFD) & FD_CLOEXEC);
	close(a);
	c = slots_wait(other_build);
	assert_true(c >= 0);
	assert_int_equal(slots_try(s), -EAGAIN);
	close(b);
	close(c);
}

static bool
is_under_pressure(void)
{
	struct memory_now m;

	memory_read("", &m);
	return m.pressure >= MEMORY_PRESSURE_HIGH;
}

/* No machine has room for a compile of this size. */
#define HUGE_NEED ((uint64_t)1 << 60)

static void
test_one_at_least_however_little_memory_there_is(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(4);
	_cleanup_(slots_closep) struct slots *other_build = open_slots(4);
	_cleanup_(slots_closep) struct slots *careless = open_slots(4);
	int a, b;

	slots_mind_memory(s, HUGE_NEED);
	slots_mind_memory(other_build, HUGE_NEED);
	a = slots_try(s);
	assert_true(a >= 0);
	assert_int_equal(slots_try(s), -EAGAIN);
	assert_int_equal(slots_try(other_build), -EAGAIN);
	/* it is the memory that is short, not the slots */
	b = slots_try(careless);
	assert_true(b >= 0);
	close(a);
	assert_int_equal(slots_try(s), -EAGAIN);
	close(b);
	a = slots_wait(other_build);
	assert_true(a >= 0);
	close(a);
	/* enough for all: a byte each */
	slots_mind_memory(s, 1);
	a = slots_try(s);
	b = slots_try(s);
	assert_true(a >= 0 && (b >= 0 || is_under_pressure()));
	close(a);
	closep(&b);
}

static void
test_who_waits_is_not_overtaken(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(2);
	_cleanup_(freep) char *path = path_join(dir, "queue");
	int queue, fd = slots_try(s);

	assert_true(fd >= 0);
	close(fd);
	/* as slots_wait does, while it looks */
	queue = open(path, O_RDWR | O_CLOEXEC);
	assert_true(queue >= 0);
	assert_int_equal(flock(queue, LOCK_EX), 0);
	assert_int_equal(slots_try(s), -EAGAIN);
	close(queue);
	fd = slots_try(s);
	assert_true(fd >= 0);
	close(fd);
}

/* A child that holds a slot until it is killed; returns once it has it. */
static pid_t
holder(struct slots *s)
{
	int fds[2];
	char got = 0;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = slots_wait(s);
		char c = fd >= 0 ? 'y' : 'n';

		if (write(fds[1], &c, 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &got, 1), 1);
	assert_int_equal(got, 'y');
	close(fds[0]);
	return pid;
}

static void
end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
test_a_killed_holder_gives_back(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(1);
	pid_t pid = holder(s);
	int fd;

	assert_int_equal(slots_try(s), -EAGAIN);
	end(pid);
	fd = slots_wait(s);
	assert_true(fd >= 0);
	close(fd);
}

static void
test_a_slot_lasts_as_long_as_the_child_that_inherited_it(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(1);
	int fd = slots_try(s), gate[2];
	pid_t pid;

	assert_true(fd >= 0);
	assert_int_equal(pipe(gate), 0);
	pid = fork();
	if (pid == 0) {
		char c;

		close(gate[1]);
		_exit(read(gate[0], &c, 1) < 0);
	}
	/* the wrapper is gone, its compiler is not */
	close(fd);
	assert_int_equal(slots_try(s), -EAGAIN);
	close(gate[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	fd = slots_wait(s);
	assert_true(fd >= 0);
	close(fd);
	close(gate[0]);
}

/* Many processes, two slots: a counter in shared files says how many ran at one time. */
static void
worker(struct slots *s, int counter)
{
	for (int i = 0; i < 5; i++) {
		int fd = slots_wait(s);
		struct flock lock = { .l_type = F_WRLCK };
		int now[2] = { 0, 0 };

		if (fd < 0)
			_exit(2);
		for (int step = 1; step >= -1; step -= 2) {
			lock.l_type = F_WRLCK;
			if (fcntl(counter, F_SETLKW, &lock) < 0 ||
				pread(counter, now, sizeof(now), 0) < 0)
				_exit(3);
			now[0] += step;
			now[1] = MAX2(now[1], now[0]);
			if (pwrite(counter, now, sizeof(now), 0) != sizeof(now))
				_exit(3);
			lock.l_type = F_UNLCK;
			fcntl(counter, F_SETLK, &lock);
			usleep(500);
		}
		close(fd);
	}
	_exit(0);
}

static void
test_never_one_too_many(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(2);
	_cleanup_(freep) char *path = path_join(dir, "counter");
	int counter = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), now[2], status;

	for (int i = 0; i < 12; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0)
			worker(s, counter);
	}
	for (int i = 0; i < 12; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(pread(counter, now, sizeof(now), 0), sizeof(now));
	assert_int_equal(now[0], 0);
	assert_int_equal(now[1], 2);
	close(counter);
}

static void
test_a_signal_ends_the_wait(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(1);
	pid_t pid = holder(s), waiter = fork();
	int status;

	if (waiter == 0) {
		/* the default action */
		int fd = slots_wait(s);

		_exit(fd >= 0);
	}
	kill(waiter, SIGTERM);
	assert_int_equal(waitpid(waiter, &status, 0), waiter);
	assert_true(WIFSIGNALED(status));
	end(pid);
}

static void
stop(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
}

static void
test_a_stopped_holders_slot_is_lent(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(1);
	pid_t pid = holder(s), other;

	stop(pid);
	/* another one, and that one is in use */
	other = holder(s);
	assert_int_equal(slots_try(s), -EAGAIN);
	end(other);
	/* so it is with memory that is short: one can always be had */
	slots_mind_memory(s, HUGE_NEED);
	other = holder(s);
	end(other);
	kill(pid, SIGCONT);
	assert_int_equal(slots_try(s), -EAGAIN);
	end(pid);
	other = slots_try(s);
	assert_true(other >= 0);
	close(other);
}

/* What a compile left running has the lock, and always will. */
static void
test_a_dead_holders_slot_is_lent(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(1);
	int gate[2], fd;
	pid_t pid, left = 0;

	assert_int_equal(pipe(gate), 0);
	pid = fork();
	if (pid == 0) {
		if (slots_wait(s) < 0)
			_exit(1);
		left = fork();
		if (left == 0)
			for (;;)
				pause();
		_exit(write(gate[1], &left, sizeof(left)) != sizeof(left));
	}
	assert_int_equal(read(gate[0], &left, sizeof(left)), sizeof(left));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(slots_try(s), -EAGAIN);
	fd = slots_wait(s);
	assert_true(fd >= 0);
	close(fd);
	kill(left, SIGKILL);
	close(gate[0]);
	close(gate[1]);
}

/* Takes a slot and starts another of its kind, which needs one too: a macro that runs cargo. */
static void
nest(unsigned depth)
{
	struct slots *s = NULL;
	pid_t pid = 0;
	int fd, status = 0;

	do {
		slots_closep(&s);
		s = open_slots(1);
		fd = slots_wait(s);
		/* the compiler inherits it */
		if (fd < 0 || fcntl(fd, F_SETFD, 0) < 0)
			_exit(1);
		pid = depth > 0 ? fork() : 0;
	} while (pid == 0 && depth-- > 0);
	_exit(pid > 0 && (waitpid(pid, &status, 0) != pid || status != 0));
}

static pid_t
start_nest(unsigned depth)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		nest(depth);
	return pid;
}

static void
test_nested_ones_do_not_wait_for_their_own(void **state)
{
	pid_t pids[6];
	int status;

	for (size_t i = 0; i < ARRAY_LEN(pids); i++)
		pids[i] = start_nest(3);
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

/* Neither is who stands in the queue, and waits for that very slot. */
static void
test_nested_ones_pass_the_queue(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(1);
	_cleanup_(freep) char *path = path_join(dir, "queue");
	int fd = slots_wait(s), queue, status;
	pid_t pid;

	assert_true(fd >= 0);
	pid = fork();
	if (pid == 0) {
		queue = open(path, O_RDWR | O_CLOEXEC);
		if (flock(queue, LOCK_EX) < 0)
			_exit(1);
		pid = fork();
		if (pid == 0)
			nest(1);
		_exit(waitpid(pid, &status, 0) != pid || status != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fd);
}

static void
test_a_stopped_head_of_the_queue_is_passed(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(1);
	_cleanup_(freep) char *path = path_join(dir, "queue");
	pid_t pid = holder(s), head = fork();
	int queue, fd;

	if (head == 0) {
		fd = slots_wait(s);
		_exit(fd < 0);
	}
	/* it stands there once its name does */
	queue = open(path, O_RDWR | O_CLOEXEC);
	for (struct stat st = { 0 }; st.st_size == 0; usleep(1000))
		assert_int_equal(fstat(queue, &st), 0);
	stop(head);
	end(pid);
	fd = slots_wait(s);
	assert_true(fd >= 0);
	close(fd);
	kill(head, SIGCONT);
	assert_int_equal(waitpid(head, &fd, 0), head);
	assert_int_equal(fd, 0);
	close(queue);
}

static unsigned
count_tokens(struct jobserver *js)
{
	unsigned n = 0;

	while (jobserver_take(js) == 0)
		n++;
	return n;
}

static void
test_lost_tokens_come_back(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(3);
	_cleanup_(jobserver_done) struct jobserver a = JOBSERVER_INIT;
	_cleanup_(jobserver_done) struct jobserver b = JOBSERVER_INIT;
	_cleanup_(jobserver_done) struct jobserver c = JOBSERVER_INIT;
	unsigned size = slots_cores() - 1;
	int one = slots_try(s), two;

	assert_int_equal(slots_jobserver(s, one, &a), 0);
	assert_int_equal(count_tokens(&a), size);
	/* another run finds the pool as it is: it may be in use */
	two = slots_try(s);
	assert_int_equal(slots_jobserver(s, two, &b), 0);
	assert_int_equal(count_tokens(&b), 0);
	close(one);
	/* the only one left: whoever took tokens is gone */
	assert_int_equal(slots_jobserver(s, two, &c), 0);
	assert_int_equal(count_tokens(&c), size);
	/* and it held no lock for longer than that */
	one = slots_try(s);
	assert_true(one >= 0);
	close(one);
	close(two);
}

static void
test_a_wider_build_counts_as_company(void **state)
{
	_cleanup_(slots_closep) struct slots *wide = open_slots(4);
	_cleanup_(slots_closep) struct slots *narrow = open_slots(1);
	_cleanup_(jobserver_done) struct jobserver a = JOBSERVER_INIT;
	_cleanup_(jobserver_done) struct jobserver b = JOBSERVER_INIT;
	int fds[4];

	for (int i = 0; i < 4; i++)
		fds[i] = slots_try(wide);
	assert_int_equal(slots_jobserver(wide, fds[3], &a), 0);
	count_tokens(&a);
	close(fds[0]);
	close(fds[1]);
	close(fds[2]);
	fds[0] = slots_try(narrow);
	assert_true(fds[0] >= 0);
	assert_int_equal(slots_jobserver(narrow, fds[0], &b), 0);
	assert_int_equal(count_tokens(&b), 0);
	close(fds[0]);
	close(fds[3]);
}

static void
test_what_is_no_fifo_is_not_used(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(1);
	_cleanup_(freep) char *path = path_join(dir, "jobserver");
	struct jobserver js = JOBSERVER_INIT;
	int fd = slots_try(s);

	assert_int_equal(fs_write_atomic(path, "x", 1, 0600), 0);
	assert_int_equal(slots_jobserver(s, fd, &js), -EBADF);
	assert_int_equal(js.rd, -1);
	close(fd);
}

static void
test_a_directory_that_cannot_be_had(void **state)
{
	_cleanup_(slots_closep) struct slots *s = NULL;
	_cleanup_(freep) char *file = path_join(dir, "file");
	_cleanup_(freep) char *below = path_join(dir, "file/slots");
	_cleanup_(freep) char *slot = path_join(dir, "slot-0");
	char fallback[64];

	assert_int_equal(fs_write_atomic(file, "", 0, 0600), 0);
	assert_int_equal(slots_open(below, 1, &s), 0);
	snprintf(fallback, sizeof(fallback), "/tmp/dray-%u", (unsigned)geteuid());
	assert_true(fs_exists(fallback));
	slots_closep(&s);
	/* one that others can write to is not trusted either */
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(slots_open(dir, 1, &s), 0);
	close(slots_wait(s));
	assert_false(fs_exists(slot));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_as_many_as_there_are, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_one_at_least_however_little_memory_there_is, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_waits_is_not_overtaken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_killed_holder_gives_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_slot_lasts_as_long_as_the_child_that_inherited_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_never_one_too_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_signal_ends_the_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_stopped_holders_slot_is_lent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_dead_holders_slot_is_lent, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_nested_ones_do_not_wait_for_their_own, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nested_ones_pass_the_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_stopped_head_of_the_queue_is_passed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_tokens_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_wider_build_counts_as_company, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_fifo_is_not_used, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_directory_that_cannot_be_had, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
