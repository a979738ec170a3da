/* slots: never more than n at a time, given back by death, waited for in turn; the jobserver's
 * tokens come back after a crash, and are never more than there would be without dray. */
#include "config.h"

#include <poll.h>
#include <sys/stat.h>

#include "client/slots/memory.h"
#include "common/clock.h"
#include "tests/unit/slots_fixture.h"

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
	return m.pressure >= MEMORY_PRESSURE_HIGH || m.io >= MEMORY_IO_HIGH;
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
say(const char *path, const char *text)
{
	_cleanup_(freep) char *full = path_join(dir, path);

	assert_int_equal(fs_mkdir_parent(full, 0755), 0);
	assert_int_equal(fs_write_atomic(full, text, strlen(text), 0644), 0);
}

/* A machine with much memory, and one slot of which is in use. */
static void
test_under_pressure_none_beyond_the_first(void **state)
{
	static const char calm[] = "some avg10=9.99 avg60=0 avg300=0 total=1\n"
				   "full avg10=9.99 avg60=0 avg300=0 total=1\n";
	static const char high[] = "some avg10=80.00 avg60=0 avg300=0 total=1\n"
				   "full avg10=80.00 avg60=0 avg300=0 total=1\n";
	_cleanup_(slots_closep) struct slots *s = open_slots(4);
	static const char *const files[] = { "/proc/pressure/memory", "/proc/pressure/io" };
	int a, b;

	slots_mind_memory(s, 1 << 20);
	slots_read_below(s, dir);
	say("/proc/meminfo", "MemAvailable: 99999999 kB\n");
	/* the kernel does not tell */
	a = slots_try(s);
	b = slots_try(s);
	assert_true(a >= 0 && b >= 0);
	close(b);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		say(files[0], calm);
		say(files[1], calm);
		b = slots_try(s);
		assert_true(b >= 0);
		close(b);
		say(files[i], high);
		assert_int_equal(slots_try(s), -EAGAIN);
		/* one always runs */
		close(a);
		a = slots_wait(s);
		assert_true(a >= 0);
		assert_int_equal(slots_try(s), -EAGAIN);
	}
	/* nor is it looked at */
	slots_mind_memory(s, 0);
	b = slots_try(s);
	assert_true(b >= 0);
	close(a);
	close(b);
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
	/* likewise if memory is short: one slot can always be taken */
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

/* What a holder starts: it waits for a slot, says by a byte that it has one, and keeps it until the
 * gate is closed. 2: it waited until slots are added (slots_usual_end). */
static void
nested(int said, int gate)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(2);
	uint64_t begun = clock_mono_ms();
	int fd = slots_wait(s);
	uint64_t waited = clock_mono_ms() - begun;
	char c;

	if (fd < 0 || write(said, "", 1) != 1 || read(gate, &c, 1) != 0)
		_exit(1);
	_exit(waited < 1000 ? 0 : 2);
}

static pid_t
start_holder(int said, const int gate[2])
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		_cleanup_(slots_closep) struct slots *s = open_slots(2);
		int fd = slots_wait(s), status = 0;

		close(gate[1]);
		pid = fd >= 0 && write(said, "", 1) == 1 ? fork() : -1;
		if (pid == 0)
			nested(said, gate[0]);
		_exit(pid < 0 || waitpid(pid, &status, 0) != pid ? 1 : WEXITSTATUS(status));
	}
	return pid;
}

/* Two tests that wait for what they started: these two run at once, and no third one. */
static void
test_nested_ones_take_each_others(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(2);
	int said[2], gate[2], status;
	pid_t pids[2];
	char c;

	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		pids[i] = start_holder(said[1], gate);
		/* the holder, and what it started */
		for (int k = 0; k < 2; k++)
			assert_int_equal(read(said[0], &c, 1), 1);
	}
	assert_int_equal(slots_try(s), -EAGAIN);
	close(gate[1]);
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	close(gate[0]);
	close(said[0]);
	close(said[1]);
}

/* Neither does one whose processes wait for us, though it is not above us. */
static void
test_an_idle_holders_slot_is_lent(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(1);
	pid_t pid = holder(s);
	int fd;

	slots_believe_idle(s, 300);
	fd = slots_wait(s);
	assert_true(fd >= 0);
	close(fd);
	end(pid);
}

/* A holder in another PID namespace, or on another machine: what it does is not seen. */
static void
test_a_holder_out_of_sight_is_not_waited_for_for_ever(void **state)
{
	static const char name[64] =
		"00000000000000ab 17 4711                                      \n";
	_cleanup_(slots_closep) struct slots *s = open_slots(1);
	int fd = slots_try(s), other;

	assert_int_equal(pwrite(fd, name, sizeof(name), 0), sizeof(name));
	slots_believe_idle(s, 300);
	other = slots_wait(s);
	assert_true(other >= 0);
	close(other);
	close(fd);
}

/* Not so if only what it started does something. */
static void
test_a_busy_holders_slot_is_not_lent(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(1);
	int gate[2], fd;
	pid_t pid, waiter, busy = 0;
	struct pollfd p;

	assert_int_equal(pipe(gate), 0);
	pid = fork();
	if (pid == 0) {
		fd = slots_wait(s);
		busy = fork();
		if (busy == 0)
			for (;;)
				(void)getppid();
		_exit(fd < 0 || write(gate[1], &busy, sizeof(busy)) != sizeof(busy) ||
			waitpid(busy, NULL, 0) != busy);
	}
	assert_int_equal(read(gate[0], &busy, sizeof(busy)), sizeof(busy));
	waiter = fork();
	if (waiter == 0) {
		slots_believe_idle(s, 600);
		fd = slots_wait(s);
		_exit(write(gate[1], &fd, sizeof(fd)) != sizeof(fd));
	}
	p = (struct pollfd){ .fd = gate[0], .events = POLLIN };
	assert_int_equal(poll(&p, 1, 2000), 0);
	/* it still waits */
	assert_int_equal(kill(busy, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &fd, 0), pid);
	assert_int_equal(fd, 0);
	assert_int_equal(read(gate[0], &fd, sizeof(fd)), sizeof(fd));
	assert_true(fd >= 0);
	assert_int_equal(waitpid(waiter, NULL, 0), waiter);
	close(gate[0]);
	close(gate[1]);
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
	struct stat st = { 0 };
	int queue, fd;

	if (head == 0) {
		fd = slots_wait(s);
		_exit(fd < 0);
	}
	/* it stands there once its name does */
	queue = open(path, O_RDWR | O_CLOEXEC);
	for (unsigned i = 0; st.st_size == 0; i++, usleep(1000)) {
		assert_true(i < 10000);
		assert_int_equal(fstat(queue, &st), 0);
	}
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

/* Of the machine's tokens each compile has one for itself, as long as there are some. */
static void
test_lost_tokens_come_back(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(3);
	_cleanup_(slots_closep) struct slots *other_build = open_slots(1);
	_cleanup_(slots_tokens_done) struct slots_tokens a = SLOTS_TOKENS_INIT;
	_cleanup_(slots_tokens_done) struct slots_tokens b = SLOTS_TOKENS_INIT;
	_cleanup_(slots_tokens_done) struct slots_tokens c = SLOTS_TOKENS_INIT;
	unsigned size = slots_cores() - 1;

	assert_int_equal(slots_tokens_open(s, &a), 0);
	assert_true(a.owes);
	assert_int_equal(count_tokens(&a.js), size);
	/* another run finds the pool as it is: it may be in use */
	assert_int_equal(slots_tokens_open(other_build, &b), 0);
	assert_false(b.owes);
	assert_int_equal(count_tokens(&b.js), 0);
	jobserver_give(&a.js);
	assert_int_equal(slots_tokens_open(s, &c), 0);
	assert_true(c.owes);
	assert_int_equal(count_tokens(&c.js), 0);
	slots_tokens_done(&c);
	assert_int_equal(count_tokens(&b.js), 1);
	/* the process that took tokens is gone: killed, so that it gave none back */
	jobserver_done(&a.js);
	jobserver_done(&b.js);
	a.owes = false;
	assert_int_equal(slots_tokens_open(s, &c), 0);
	assert_int_equal(count_tokens(&c.js), size);
}

/* A pool as cargo has one, and what is said of it. */
static void
give(unsigned tokens, struct jobserver *js)
{
	char flags[96];

	jobserver_done(js);
	assert_int_equal(jobserver_make(tokens, js), 0);
	jobserver_flags(flags, js->rd, js->wr);
	setenv("CARGO_MAKEFLAGS", flags, 1);
}

static void
test_the_given_pool_is_passed_on_unless_it_is_too_large(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(3);
	_cleanup_(slots_tokens_done) struct slots_tokens t = SLOTS_TOKENS_INIT;
	_cleanup_(jobserver_done) struct jobserver given = JOBSERVER_INIT;
	unsigned cores = slots_cores();

	for (unsigned n = 0; n < cores; n++) {
		give(n, &given);
		assert_int_equal(slots_tokens_choose(s, &t), 0);
		assert_true(t.js.rd == -1 && !t.owes);
	}
	give(cores, &given);
	assert_int_equal(slots_tokens_choose(s, &t), 0);
	assert_int_equal(count_tokens(&t.js), cores - 1);
	slots_tokens_done(&t);
	/* nothing was taken of it */
	assert_int_equal(count_tokens(&given), cores);
	/* it is closed here, or there is none: rustc would make one of 32 */
	jobserver_done(&given);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(slots_tokens_choose(s, &t), 0);
		assert_int_equal(count_tokens(&t.js), cores - 1);
		slots_tokens_done(&t);
		unsetenv("CARGO_MAKEFLAGS");
	}
}

static void
test_what_is_no_fifo_is_not_used(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(1);
	_cleanup_(freep) char *path = NULL;
	struct slots_tokens t = SLOTS_TOKENS_INIT;

	assert_true(asprintf(&path, "%s/jobserver-%u", dir, slots_cores()) > 0);
	assert_int_equal(fs_write_atomic(path, "x", 1, 0600), 0);
	assert_int_equal(slots_tokens_open(s, &t), -EBADF);
	assert_int_equal(t.js.rd, -1);
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
		cmocka_unit_test_setup_teardown(
			test_under_pressure_none_beyond_the_first, setup, teardown),
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
		cmocka_unit_test_setup_teardown(test_nested_ones_take_each_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_an_idle_holders_slot_is_lent, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_holder_out_of_sight_is_not_waited_for_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_busy_holders_slot_is_not_lent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nested_ones_pass_the_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_stopped_head_of_the_queue_is_passed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_tokens_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_given_pool_is_passed_on_unless_it_is_too_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_fifo_is_not_used, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_directory_that_cannot_be_had, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
