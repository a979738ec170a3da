/* What processes and directories use, held against processes and directories of known size. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "common/fs.h"
#include "worker/sandbox/usage.h"

#define MIB (1ull << 20)

static int
set_up(void **state)
{
	char *dir = NULL;

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-usage-", &dir), 0);
	*state = dir;
	return 0;
}

static int
tear_down(void **state)
{
	fs_rm_rf(*state);
	free(*state);
	return 0;
}

struct family {
	pid_t top;
	int ready, hold; /* pipes: one byte when all is taken; closed to let go */
};

static void
take(const char *dir, size_t private_bytes, size_t memfd_bytes, size_t file_bytes)
{
	_cleanup_(freep) char *path = path_join(dir, "gone");
	char *p = malloc(private_bytes), *zeros = calloc(1, MIB);
	int m = memfd_create("x", 0), f = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);

	unlink(path);
	memset(p, 1, private_bytes);
	for (size_t i = 0; i < memfd_bytes; i += MIB)
		if (write(m, zeros, MIB) < 0)
			_exit(1);
	for (size_t i = 0; i < file_bytes; i += MIB)
		if (write(f, zeros, MIB) < 0)
			_exit(1);
	fsync(f);
	__asm__ volatile("" : : "r"(p) : "memory");
}

/* A process with a child: the child takes 32 MiB, 8 in a memfd and 4 in a file without a name. */
static struct family
start_family(const char *dir)
{
	struct family f;
	int ready[2], hold[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(hold), 0);
	f.top = fork();
	assert_true(f.top >= 0);
	if (f.top == 0) {
		close(hold[1]);
		if (fork() == 0) {
			take(dir, 32 * MIB, 8 * MIB, 4 * MIB);
			if (write(ready[1], "x", 1) < 0)
				_exit(1);
		}
		_exit((int)read(hold[0], &c, 1));
	}
	close(ready[1]);
	close(hold[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	f.ready = ready[0];
	f.hold = hold[1];
	return f;
}

static void
end_family(struct family *f)
{
	close(f->hold);
	close(f->ready);
	assert_int_equal(waitpid(f->top, NULL, 0), f->top);
}

static void
test_processes(void **state)
{
	struct usage u;
	struct stat st;
	struct family f;

	assert_int_equal(stat(*state, &st), 0);
	f = start_family(*state);
	assert_int_equal(usage_of_processes(f.top, st.st_dev, 100, &u), 0);
	assert_int_equal(u.tasks, 2);
	assert_in_range(u.memory, 40 * MIB, 60 * MIB);
	assert_in_range(u.unlinked, 4 * MIB, 5 * MIB);
	/* Cut short: the first is enough to see that it is too many. */
	assert_int_equal(usage_of_processes(f.top, st.st_dev, 0, &u), 0);
	assert_int_equal(u.tasks, 1);
	end_family(&f);
	assert_int_equal(usage_of_processes(f.top, st.st_dev, 100, &u), -ESRCH);
}

/* A memfd that is nowhere but on its way from one end to the other. */
static void
send_memfd(int to)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .room = { 0 } };
	struct iovec one = { (void *)(uintptr_t) "x", 1 };
	struct msghdr m = { .msg_iov = &one,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int fd = memfd_create("x", 0);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, MIB), 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	assert_int_equal(sendmsg(to, &m, 0), 1);
	close(fd);
}

static void
test_sockets(void **state)
{
	struct usage before, u;
	int pair[2];

	assert_int_equal(usage_of_processes(getpid(), 0, 100, &before), 0);
	assert_int_equal(before.in_sockets, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(usage_of_processes(getpid(), 0, 100, &u), 0);
	assert_int_equal(u.in_sockets, 0);
	/* their buffers, full or not */
	assert_true(u.memory >= before.memory + 2 * 100000);
	send_memfd(pair[0]);
	assert_int_equal(usage_of_processes(getpid(), 0, 100, &u), 0);
	assert_int_equal(u.in_sockets, 1);
	close(pair[0]);
	close(pair[1]);
}

static void
test_time_of_the_ended(void **state)
{
	struct usage u;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		while (clock() < CLOCKS_PER_SEC / 5)
			;
		_exit(0);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(usage_of_processes(getpid(), 0, 100, &u), 0);
	assert_in_range(u.cpu_us, 150000, 60000000);
}

static void
put(const char *dir, const char *name, size_t n)
{
	_cleanup_(freep) char *path = path_join(dir, name), *data = calloc(1, n);

	for (size_t i = 0; i < n; i += 512)
		data[i] = (char)i | 1;
	assert_int_equal(fs_mkdir_parent(path, 0755), 0);
	assert_int_equal(fs_write_atomic(path, data, n, 0644), 0);
}

static int
look(const char *dir, uint64_t max, struct usage_dir *ret)
{
	_cleanup_(closep) int fd = open(dir, O_RDONLY | O_DIRECTORY);
	int r = usage_of_dir(fd, max, ret);

	/* The descriptor is the caller's still. */
	assert_true(fcntl(fd, F_GETFD) >= 0);
	return r;
}

static void
test_directory(void **state)
{
	_cleanup_(freep) char *a = path_join(*state, "a"), *b = path_join(*state, "sub/b"),
			      *l = path_join(*state, "link");
	struct usage_dir u;

	put(*state, "a", MIB);
	put(*state, "sub/c", 4096);
	assert_int_equal(link(a, b), 0); /* counts once */
	assert_int_equal(symlink("/usr", l), 0);
	assert_int_equal(look(*state, 100, &u), 0);
	assert_int_equal(u.entries, 5);
	assert_in_range(u.bytes, MIB, MIB + 100000);
	assert_false(u.hidden);
	assert_int_equal(look(*state, 2, &u), 0);
	assert_int_equal(u.entries, 3);
}

static void
test_deep(void **state)
{
	char path[4096];
	size_t n = (size_t)snprintf(path, sizeof(path), "%s", (char *)*state);
	struct usage_dir u;

	for (int i = 0; i < 100; i++)
		n += (size_t)snprintf(path + n, sizeof(path) - n, "/d");
	assert_int_equal(fs_mkdir_p(path, 0755), 0);
	assert_int_equal(look(*state, 1000, &u), 0);
	assert_true(u.hidden);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_processes, set_up, tear_down),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_time_of_the_ended),
		cmocka_unit_test_setup_teardown(test_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_deep, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
