/* How long a wrapper waits for a farm half that says nothing, and for one whose unit hangs. */
#include "config.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/half/ask.h"
#include "client/half/key.h"
#include "client/half/place.h"
#include "client/half/request.h"
#include "common/process/child.h"
#include "common/clock.h"
#include "tests/unit/half_fixture.h"

#define PATIENCE_MS 60000

static char rustc[] = "/bin/rustc";
static char *argv[] = { rustc, NULL };

/* One that is met and says nothing is waited for so long, and gets nothing of the unit. */
static void
test_no_answer(void **state)
{
	char program[] = "/proc/self/exe", b[sizeof(struct half_hello)];
	struct conf *c = make_conf(*state);
	struct ledger ledger = { .half = 0 };
	const struct half_ask in = {
		.conf = c, .program = program, .argv = argv, .ledger = &ledger, .ledger_fd = -1
	};
	int dir = half_dir_open(*state), listener, conn;
	struct digest key;
	enum half_purpose purpose = HALF_PURPOSES;
	uint64_t start;

	assert_int_equal(half_key_make(c, program, &key), 0);
	listener = half_listen(dir, &key);
	assert_true(listener >= 0);
	start = clock_mono_ms();
	assert_false(half_run(&in));
	/* a busy machine may take longer */
	assert_in_range(clock_mono_ms() - start, HALF_ASK_MS, 20 * HALF_ASK_MS);
	conn = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(conn >= 0);
	assert_int_equal(recv(conn, b, sizeof(b), 0), sizeof(b));
	assert_true(half_hello_ok(b, sizeof(b), &key, &purpose));
	assert_int_equal(purpose, HALF_FOR_UNIT);
	assert_int_equal(recv(conn, b, sizeof(b), 0), 0);
	close(conn);
	close(listener);
	close(dir);
	conf_free(c);
}

/* A farm half whose unit hangs: it takes it, interrupts who waits for it, says on the pipe that it
 * heard of that, and goes on. */
static void
hang(int listener, int wr)
{
	struct half_hello hello;
	struct half_ready ready;
	union {
		struct cmsghdr align;
		char b[CMSG_SPACE(HALF_FDS * sizeof(int))];
	} control;
	char word = HALF_BEAT;
	struct iovec iov = { &word, 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct ledger *ledger = NULL;
	struct pollfd come = { listener, POLLIN, 0 };
	int conn, fds[HALF_FDS];

	if (poll(&come, 1, PATIENCE_MS) != 1)
		_exit(1);
	conn = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	half_ready_make(getpid(), &ready);
	if (recv(conn, &hello, sizeof(hello), 0) != sizeof(hello) ||
		send(conn, &ready, sizeof(ready), MSG_NOSIGNAL) != sizeof(ready) ||
		recvmsg(conn, &m, 0) != 1) {
		close(conn); /* that wrapper has not waited so long */
		return;
	}
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fds));
	if (ledger_map(fds[HALF_LEDGER], &ledger) < 0)
		return;
	__atomic_store_n(&ledger->half, (uint32_t)getpid(), __ATOMIC_SEQ_CST);
	kill(getppid(), SIGTERM);
	word = HALF_BEAT;
	for (bool heard = false; send(conn, &word, 1, MSG_NOSIGNAL) == 1;) {
		struct pollfd p = { heard ? -1 : conn, POLLIN, 0 };

		if (poll(&p, 1, HALF_BEAT_MS) == 1) {
			heard = true;
			(void)!write(wr, "E", 1);
		}
	}
}

/* In a process of its own, which is interrupted. */
static void
run_interrupted(const char *cache, int wr)
{
	char program[] = "/proc/self/exe";
	struct conf *c = make_conf(cache);
	struct ledger *ledger = NULL;
	struct half_ask in = { .conf = c, .program = program, .argv = argv };
	int dir = half_dir_open(cache), listener;
	struct digest key;
	bool ran = false;
	pid_t pid;

	alarm(PATIENCE_MS / 1000);
	child_catch_signals();
	if (half_key_make(c, program, &key) < 0 || (listener = half_listen(dir, &key)) < 0 ||
		ledger_make(&ledger, &in.ledger_fd) < 0)
		_exit(2);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			hang(listener, wr);
	}
	in.ledger = ledger;
	for (unsigned i = 0; i < 100 && !ran; i++)
		ran = half_run(&in);
	if (!ran || child_signal() != SIGTERM || waitpid(pid, NULL, WNOHANG) != 0)
		_exit(3);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	_exit(0);
}

/* Its sign of life is the process's, and not the unit's. */
static void
test_interrupted_while_it_hangs(void **state)
{
	uint64_t start = clock_mono_ms();
	int fds[2], status = -1;
	char word = 0;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0)
		run_interrupted(*state, fds[1]);
	close(fds[1]);
	assert_int_equal(read(fds[0], &word, 1), 1);
	assert_int_equal(word, 'E');
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(clock_mono_ms() - start < PATIENCE_MS);
	close(fds[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_answer, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			test_interrupted_while_it_hangs, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
