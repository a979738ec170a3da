/* trace/borrow.c, with a process of the same uid: the calls are the same for one of another, which
 * 0982 has. */
#include "config.h"

#include "trace/borrow.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static char word[16] = "before";

struct place {
	pid_t child;
	int ask[2], answer[2];
};

/* Says what is in its memory when it is asked. */
static void
run_child(const struct place *p)
{
	char c;

	close(p->ask[1]);
	while (read(p->ask[0], &c, 1) == 1)
		if (write(p->answer[1], word, sizeof(word)) != (ssize_t)sizeof(word))
			break;
	_exit(0);
}

static int
setup(void **state)
{
	static struct place p;

	assert_int_equal(pipe(p.ask), 0);
	assert_int_equal(pipe(p.answer), 0);
	p.child = fork();
	if (p.child == 0)
		run_child(&p);
	close(p.ask[0]);
	*state = &p;
	return 0;
}

static void
end_child(struct place *p)
{
	if (p->child <= 0)
		return;
	kill(p->child, SIGKILL);
	waitpid(p->child, NULL, 0);
	p->child = 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;

	end_child(p);
	close(p->ask[1]);
	close(p->answer[0]);
	close(p->answer[1]);
	return 0;
}

static void
test_descriptor(void **state)
{
	struct place *p = *state;
	int fd = borrow_fd(p->child, p->answer[1]);
	char c = 'x', got = 0;

	assert_true(fd >= 0);
	/* it is the very pipe */
	assert_int_equal(write(fd, &c, 1), 1);
	assert_int_equal(read(p->answer[0], &got, 1), 1);
	assert_int_equal(got, 'x');
	close(fd);
	assert_int_equal(borrow_fd(p->child, 1000), -EBADF);
	end_child(p);
}

static void
test_memory(void **state)
{
	struct place *p = *state;
	char got[sizeof(word)], c = 'a';
	pid_t process = 0;
	int pidfd = borrow_process(p->child, &process);

	assert_true(pidfd >= 0);
	assert_int_equal(process, p->child);
	assert_true(borrow_write(pidfd, process, (uint64_t)(uintptr_t)word, "after", 6));
	assert_int_equal(write(p->ask[1], &c, 1), 1);
	assert_int_equal(read(p->answer[0], got, sizeof(got)), sizeof(got));
	assert_string_equal(got, "after");
	assert_string_equal(word, "before");
	/* nothing is there */
	assert_false(borrow_write(pidfd, process, 8, "after", 6));
	close(pidfd);
}

/* One that has ended, and is not waited for yet, has its number, and no memory. */
static void
test_gone(void **state)
{
	struct place *p = *state;
	siginfo_t info;
	pid_t process = 0;
	int pidfd = borrow_process(p->child, &process);

	assert_true(pidfd >= 0);
	kill(p->child, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)p->child, &info, WEXITED | WNOWAIT), 0);
	assert_false(borrow_write(pidfd, process, (uint64_t)(uintptr_t)word, "after", 6));
	close(pidfd);
	end_child(p);
	assert_int_equal(borrow_fd(0x3fffffff, 0), -ESRCH);
	assert_int_equal(borrow_process(0x3fffffff, &process), -ESRCH);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_descriptor, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
