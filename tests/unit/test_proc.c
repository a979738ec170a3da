/* What is known of other processes: where nothing is known, nothing is claimed. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/fs.h"
#include "common/process/proc.h"

static struct proc_name
name_of(pid_t pid)
{
	bool dead;

	return (struct proc_name){
		.place = proc_place(), .start = proc_start(pid, &dead), .pid = pid
	};
}

/* A child that has stopped, or (with `below`) waits for one that has. */
static pid_t
stopped_child(bool below, pid_t *ret_below)
{
	int fds[2], status;
	pid_t pid, inner = 0;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0 && below) {
		inner = fork();
		if (inner == 0) {
			raise(SIGSTOP);
			_exit(0);
		}
		if (waitpid(inner, &status, WUNTRACED) != inner ||
			write(fds[1], &inner, sizeof(inner)) != sizeof(inner))
			_exit(1);
		_exit(waitpid(inner, &status, 0) != inner);
	}
	if (pid == 0) {
		raise(SIGSTOP);
		_exit(0);
	}
	if (below)
		assert_int_equal(read(fds[0], &inner, sizeof(inner)), sizeof(inner));
	else
		assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	*ret_below = inner;
	close(fds[0]);
	close(fds[1]);
	return pid;
}

static void
await(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
test_states(void **state)
{
	struct proc_name me = name_of(getpid()), other;
	pid_t inner, pid = stopped_child(false, &inner);

	assert_int_equal(proc_state(&me), PROC_RUNS);
	other = name_of(pid);
	assert_int_equal(proc_state(&other), PROC_STOPPED);
	assert_true(proc_is_stopped(pid));
	kill(pid, SIGCONT);
	await(pid);
	assert_int_equal(proc_state(&other), PROC_GONE);
	assert_false(proc_is_stopped(pid));
	/* its number is somebody else's now */
	other = me;
	other.start++;
	assert_int_equal(proc_state(&other), PROC_GONE);
	/* elsewhere; unknown */
	other = me;
	other.place++;
	assert_int_equal(proc_state(&other), PROC_UNKNOWN);
	other.place = 0;
	assert_int_equal(proc_state(&other), PROC_UNKNOWN);
	other = me;
	other.start = 0;
	assert_int_equal(proc_state(&other), PROC_UNKNOWN);
	other = me;
	other.pid = -1;
	assert_int_equal(proc_state(&other), PROC_UNKNOWN);
}

static void
test_one_whose_compiler_is_stopped(void **state)
{
	pid_t inner, pid = stopped_child(true, &inner);
	struct proc_name p = name_of(pid);

	/* it comes to its wait in a moment */
	for (unsigned i = 0; proc_state(&p) == PROC_RUNS && i < 10000; i++)
		usleep(1000);
	assert_int_equal(proc_state(&p), PROC_STOPPED);
	kill(inner, SIGCONT);
	await(pid);
}

static void
test_above(void **state)
{
	pid_t me = getpid(), pid = fork();

	if (pid == 0)
		_exit(!proc_is_above(me) || !proc_is_above(1) || proc_is_above(getpid()) ||
			proc_is_above(0));
	await(pid);
	assert_false(proc_is_above(me));
	assert_false(proc_is_above(pid));
}

static void
test_signatures(void **state)
{
	_cleanup_(freep) char *dir = NULL;
	_cleanup_(freep) char *path = NULL;
	_cleanup_(closep) int fd = -1;
	struct proc_name p, me = name_of(getpid());
	pid_t pid;

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-proc-", &dir), 0);
	path = path_join(dir, "lock");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(proc_signed(fd, &p), -ENOENT);
	assert_int_equal(proc_sign(fd), 0);
	assert_int_equal(proc_signed(fd, &p), 0);
	assert_true(p.pid == me.pid && p.place == me.place && p.start == me.start);
	/* a child is somebody else */
	pid = fork();
	if (pid == 0)
		_exit(proc_sign(fd) != 0 || proc_signed(fd, &p) != 0 || p.pid != getpid());
	await(pid);
	assert_int_equal(proc_signed(fd, &p), 0);
	assert_int_equal(p.pid, pid);
	assert_int_equal(proc_state(&p), PROC_GONE);
	proc_unsign(fd);
	assert_int_equal(proc_signed(fd, &p), -ENOENT);
	/* rubbish */
	assert_int_equal(pwrite(fd, "x y z", 5, 0), 5);
	assert_int_equal(proc_signed(fd, &p), -ENOENT);
	for (int i = 0; i < 64; i++)
		assert_int_equal(pwrite(fd, "-1 ", 3, i), 3);
	assert_int_equal(proc_signed(fd, &p), -ENOENT);
	fs_rm_rf(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_one_whose_compiler_is_stopped),
		cmocka_unit_test(test_above),
		cmocka_unit_test(test_signatures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
