/* slots: nothing of a wait is left after it; and locks as NFS has them, where an exclusive one
 * wants a descriptor that may write. */
#include "config.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/slots/slots_priv.h"
#include "tests/unit/slots_fixture.h"

static bool is_nfs;

/* In libc's place. */
int
flock(int fd, int how)
{
	if (is_nfs && (how & LOCK_EX) && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY) {
		errno = EBADF;
		return -1;
	}
	return (int)syscall(SYS_flock, fd, how);
}

static void
test_nfs(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(2);
	_cleanup_(closep) int a = -1, b = -1, c = -1;

	is_nfs = true;
	a = slots_try(s);
	assert_true(a >= 0);
	b = slots_wait(s);
	assert_true(b >= 0);
	assert_int_equal(slots_try(s), -EAGAIN);
	closep(&a);
	/* no machine has room for a compile of this size: what others hold is counted */
	slots_mind_memory(s, (uint64_t)1 << 60);
	assert_int_equal(slots_try(s), -EAGAIN);
	closep(&b);
	c = slots_try(s);
	assert_true(c >= 0);
}

/* How many of inotify this process has open. */
static unsigned
watches(void)
{
	_cleanup_(closedirp) DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		char to[256] = "";

		if (readlinkat(dirfd(d), e->d_name, to, sizeof(to) - 1) > 0)
			n += strstr(to, "inotify") != NULL;
	}
	return n;
}

/* Whether a process waits, and has said so. */
static bool
waits(void)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char path[4096];

	snprintf(path, sizeof(path), "%s/waiting", dir);
	return fs_read_file(path, 1 << 20, &b) == 0 && b.n > 0;
}

static void
test_nothing_is_left_of_a_wait(void **state)
{
	_cleanup_(slots_closep) struct slots *s = open_slots(1);
	int fd, held = -1, to[2], status;
	char c;
	pid_t pid;

	is_nfs = false;
	assert_int_equal(pipe(to), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(to[0]);
		held = slots_try(s);
		if (held < 0 || write(to[1], "x", 1) != 1)
			_exit(1);
		close(to[1]);
		for (unsigned i = 0; !waits() && i < 10000; i++)
			usleep(1000);
		_exit(!waits());
	}
	close(to[1]);
	assert_int_equal(read(to[0], &c, 1), 1);
	close(to[0]);
	fd = slots_wait(s);
	assert_true(fd >= 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* during the compile */
	assert_int_equal(watches(), 0);
	assert_int_equal(s->watch, -1);
	/* a second wait does not count from the first one's beginning */
	assert_null(s->seen);
	assert_false(s->nested);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nfs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_is_left_of_a_wait, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
