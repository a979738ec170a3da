/* The jobserver: tokens are neither lost nor made, nothing here blocks, and what children inherit
 * does. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "machine/jobserver.h"

static int
tokens_in(const struct jobserver *js)
{
	int n = -1;

	assert_int_equal(ioctl(js->rd, FIONREAD, &n), 0);
	return n;
}

static void
take_and_give(void **state)
{
	_cleanup_(jobserver_done) struct jobserver js = JOBSERVER_INIT;

	assert_int_equal(jobserver_make(2, &js), 0);
	assert_int_equal(tokens_in(&js), 2);
	assert_int_equal(jobserver_take(&js), 0);
	assert_int_equal(jobserver_take(&js), 0);
	assert_int_equal(jobserver_take(&js), -EAGAIN);
	jobserver_give(&js);
	assert_int_equal(jobserver_take(&js), 0);
	assert_int_equal(jobserver_take(&js), -EAGAIN);
}

static void
descriptors_stay_blocking(void **state)
{
	_cleanup_(jobserver_done) struct jobserver js = JOBSERVER_INIT;

	assert_int_equal(jobserver_make(1, &js), 0);
	assert_int_equal(jobserver_take(&js), 0);
	assert_int_equal(jobserver_take(&js), -EAGAIN);
	jobserver_give(&js);
	jobserver_reset(&js, 3);
	assert_int_equal(fcntl(js.rd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(js.wr, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(js.rd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fcntl(js.wr, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void
reset_puts_tokens_right(void **state)
{
	_cleanup_(jobserver_done) struct jobserver js = JOBSERVER_INIT;

	assert_int_equal(jobserver_make(1, &js), 0);
	jobserver_reset(&js, 5);
	assert_int_equal(tokens_in(&js), 5);
	jobserver_reset(&js, 0);
	assert_int_equal(tokens_in(&js), 0);
	jobserver_reset(&js, 2);
	assert_int_equal(tokens_in(&js), 2);
}

static void
limits(void **state)
{
	_cleanup_(jobserver_done) struct jobserver js = JOBSERVER_INIT, none = JOBSERVER_INIT;
	int size;

	assert_int_equal(jobserver_make(1000000, &none), -EINVAL);
	assert_int_equal(none.rd, -1);
	assert_int_equal(jobserver_make(4096, &js), 0);
	assert_int_equal(tokens_in(&js), 4096);

	/* a child that filled the pipe cannot stop us */
	size = fcntl(js.wr, F_SETPIPE_SZ, 4096);
	assert_true(size >= 4096);
	jobserver_reset(&js, 4096);
	while (tokens_in(&js) < size)
		assert_int_equal(write(js.wr, "xxxxxxxxxxxxxxxx", 16), 16);
	jobserver_give(&js);
	assert_int_equal(tokens_in(&js), size);
}

static void
works_on_a_fifo(void **state)
{
	_cleanup_(jobserver_done) struct jobserver js = JOBSERVER_INIT;
	char path[64];

	snprintf(path, sizeof(path), "/tmp/dray-jobserver-%ld", (long)getpid());
	assert_int_equal(mkfifo(path, 0600), 0);
	js.rd = open(path, O_RDWR | O_CLOEXEC);
	js.wr = open(path, O_RDWR | O_CLOEXEC);
	unlink(path);
	assert_true(js.rd >= 0 && js.wr >= 0);
	jobserver_reset(&js, 1);
	assert_int_equal(jobserver_take(&js), 0);
	assert_int_equal(jobserver_take(&js), -EAGAIN);
	jobserver_give(&js);
	assert_int_equal(tokens_in(&js), 1);
}

static void
gone_pool(void **state)
{
	_cleanup_(jobserver_done) struct jobserver js = JOBSERVER_INIT;

	assert_int_equal(jobserver_take(&js), -ENOENT);
	jobserver_give(&js);
	assert_int_equal(jobserver_make(0, &js), 0);
	closep(&js.wr);
	assert_int_equal(jobserver_take(&js), -EAGAIN);
}

/* Many processes take and give at once: in the end, every token is there again. */
static void
many_users(void **state)
{
	_cleanup_(jobserver_done) struct jobserver js = JOBSERVER_INIT;
	int i, status;

	assert_int_equal(jobserver_make(3, &js), 0);
	for (i = 0; i < 8; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			int k, held = 0;

			for (k = 0; k < 500; k++) {
				int r = jobserver_take(&js);

				if (r != 0 && r != -EAGAIN)
					_exit(1);
				held += r == 0;
				if (held > 3)
					_exit(2);
				if (r == -EAGAIN || k % 3 == 0) {
					for (; held > 0; held--)
						jobserver_give(&js);
				}
			}
			for (; held > 0; held--)
				jobserver_give(&js);
			_exit(0);
		}
	}
	for (i = 0; i < 8; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(tokens_in(&js), 3);
}

static void
flags_name_the_descriptors(void **state)
{
	char flags[96];

	jobserver_flags(flags, 8, 9);
	assert_string_equal(flags, "-j --jobserver-fds=8,9 --jobserver-auth=8,9");
	jobserver_flags(flags, 2147483647, 2147483647);
	assert_true(ends_with(flags, " --jobserver-auth=2147483647,2147483647"));
}

static void
free_tokens(void **state)
{
	_cleanup_(jobserver_done) struct jobserver js = JOBSERVER_INIT;
	char flags[512], dir[] = "/tmp/dray-jobserver-XXXXXX", fifo[64];
	int fd;

	assert_int_equal(jobserver_make(2, &js), 0);
	jobserver_flags(flags, js.rd, js.wr);
	assert_int_equal(jobserver_free(flags), 2);
	assert_int_equal(tokens_in(&js), 2);
	/* as GNU make says it; the last one counts */
	snprintf(flags, sizeof(flags),
		" -j3 --jobserver-auth=7777,7777 --jobserver-auth=%d,%d -- A=1", js.rd, js.wr);
	assert_int_equal(jobserver_free(flags), 2);
	snprintf(flags, sizeof(flags), "-j --jobserver-fds=%d,%d", js.rd, js.wr);
	assert_int_equal(jobserver_free(flags), 2);
	/* make's own names, 4.4 */
	assert_non_null(mkdtemp(dir));
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	fd = open(fifo, O_RDWR | O_CLOEXEC);
	assert_int_equal(write(fd, "+++", 3), 3);
	snprintf(flags, sizeof(flags), "-j4 --jobserver-auth=fifo:%s --x", fifo);
	assert_int_equal(jobserver_free(flags), 3);
	close(fd);
	unlink(fifo);
	rmdir(dir);
	assert_int_equal(jobserver_free(flags), -ENOENT);
	/* not for us, or nothing */
	assert_int_equal(jobserver_free("-j --jobserver-auth=-2,-2"), -EBADF);
	assert_int_equal(jobserver_free("-j --jobserver-auth=7777,7778"), -EBADF);
	assert_int_equal(jobserver_free("-j --jobserver-auth="), -EBADF);
	assert_int_equal(jobserver_free("-k"), -ENOENT);
	assert_int_equal(jobserver_free(""), -ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(take_and_give),
		cmocka_unit_test(descriptors_stay_blocking),
		cmocka_unit_test(free_tokens),
		cmocka_unit_test(reset_puts_tokens_right),
		cmocka_unit_test(limits),
		cmocka_unit_test(works_on_a_fifo),
		cmocka_unit_test(gone_pool),
		cmocka_unit_test(many_users),
		cmocka_unit_test(flags_name_the_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
