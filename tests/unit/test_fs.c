/* fs: whole reads and writes, trees that are hard to remove, names that are not what they seem. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "common/fs.h"

static char *dir;
static char path_space[4][4096];

/* A path below the test's directory; four may be in use at a time. */
static const char *
in(const char *name)
{
	static unsigned next;
	char *p = path_space[next++ % 4];

	snprintf(p, sizeof(path_space[0]), "%s/%s", dir, name);
	return p;
}

static int
setup(void **state)
{
	return fs_make_temp_dir("/tmp", "dray-test-", &dir);
}

static int
teardown(void **state)
{
	int r = fs_rm_rf(dir);

	free(dir);
	return r;
}

static void
test_mkdir(void **state)
{
	struct stat st;

	assert_int_equal(fs_mkdir_p(in("a/b/c"), 0700), 0);
	assert_int_equal(fs_mkdir_p(in("a/b/c"), 0700), 0);
	assert_int_equal(fs_mkdir_p(in("a//d/"), 0700), 0);
	assert_int_equal(fs_mkdir_parent(in("x/y/file"), 0700), 0);
	assert_int_equal(stat(in("x/y"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_false(fs_exists(in("x/y/file")));
	assert_int_equal(fs_write_atomic(in("file"), "", 0, 0600), 0);
	assert_int_equal(fs_mkdir_p(in("file"), 0700), -ENOTDIR);
	assert_int_equal(fs_mkdir_p(in("file/sub"), 0700), -ENOTDIR);
	assert_int_equal(fs_mkdir_p("/proc/none/such", 0700), -ENOENT);
	assert_int_equal(fs_mkdir_p("", 0700), -ENOENT);
	assert_int_equal(fs_mkdir_p("/", 0700), 0);
}

static void
test_owner(void **state)
{
	(void)state;
	assert_int_equal(fs_mkdir_p(in("d"), 0700), 0);
	assert_int_equal(fs_check_owner(in("d")), 0);
	assert_int_equal(chmod(in("d"), 0770), 0); /* a group is chosen */
	assert_int_equal(fs_check_owner(in("d")), 0);
	assert_int_equal(chmod(in("d"), 01777), 0);
	assert_int_equal(fs_check_owner(in("d")), -EPERM);
	assert_int_equal(chmod(in("d"), 0755), 0);
	assert_int_equal(fs_check_owner(in("none")), -ENOENT);
	assert_int_equal(fs_write_atomic(in("file"), "", 0, 0600), 0);
	assert_int_equal(fs_check_owner(in("file")), -ENOTDIR);
	if (geteuid() != 0)
		return;
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(chown(in("d"), 12345, 12345), 0);
	assert_int_equal(fs_check_owner(in("d")), 0); /* root's own affair */
	assert_int_equal(seteuid(23456), 0);
	assert_int_equal(fs_check_owner(in("d")), -EPERM);
	assert_int_equal(fs_check_owner("/usr"), 0);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(seteuid(12345), 0);
	assert_int_equal(fs_check_owner(in("d")), 0);
	assert_int_equal(seteuid(0), 0);
}

static void
test_rm_rf_plain(void **state)
{
	assert_int_equal(fs_mkdir_p(in("t/a/b"), 0700), 0);
	assert_int_equal(fs_mkdir_p(in("keep"), 0700), 0);
	assert_int_equal(fs_write_atomic(in("keep/file"), "x", 1, 0600), 0);
	assert_int_equal(fs_write_atomic(in("t/a/b/f"), "x", 1, 0400), 0);
	assert_int_equal(symlink(in("keep"), in("t/link")), 0);
	assert_int_equal(symlink("nowhere", in("t/a/dangling")), 0);
	assert_int_equal(fs_rm_rf(in("t")), 0);
	assert_false(fs_exists(in("t")));
	assert_true(fs_exists(in("keep/file")));
	/* The top itself may be a link, a file, or not there. */
	assert_int_equal(symlink(in("keep"), in("top")), 0);
	assert_int_equal(fs_rm_rf(in("top")), 0);
	assert_true(fs_exists(in("keep/file")));
	assert_int_equal(fs_rm_rf(in("keep/file")), 0);
	assert_int_equal(fs_rm_rf(in("missing")), 0);
	assert_int_equal(fs_rm_rf(in("missing/below")), 0);
}

static void
test_rm_rf_without_permission(void **state)
{
	assert_int_equal(fs_mkdir_p(in("t/a/b"), 0700), 0);
	assert_int_equal(fs_write_atomic(in("t/a/b/f"), "x", 1, 0400), 0);
	assert_int_equal(chmod(in("t/a/b"), 0000), 0);
	assert_int_equal(chmod(in("t/a"), 0500), 0);
	assert_int_equal(chmod(in("t"), 0000), 0);
	/* Root needs no permission: let it be somebody for whom this test means something. */
	if (geteuid() == 0)
		assert_int_equal(chown(in("."), 65534, 65534) | chown(in("t"), 65534, 65534) |
					 chown(in("t/a"), 65534, 65534) |
					 chown(in("t/a/b"), 65534, 65534) |
					 chown(in("t/a/b/f"), 65534, 65534) | seteuid(65534),
			0);
	assert_int_equal(fs_rm_rf(in("t")), 0);
	assert_int_equal(seteuid(getuid()), 0);
	assert_false(fs_exists(in("t")));
}

static void
test_rm_rf_very_deep(void **state)
{
	_cleanup_(closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct rlimit old, few;

	/* Far longer than any path may be, and deeper than descriptors reach. */
	assert_int_equal(mkdirat(fd, "t", 0700), 0);
	for (int i = 0; i < 3000; i++) {
		int next = openat(fd, "t", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		assert_true(next >= 0);
		close(fd);
		fd = next;
		assert_int_equal(mkdirat(fd, "t", 0700), 0);
		if (i % 100 == 0)
			close(openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(fs_rm_rf(in("t")), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_false(fs_exists(in("t")));
	/* What was moved up on the way is gone too. */
	assert_int_equal(rmdir(dir), 0);
}

static void
test_read(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *big = malloc(300000);

	memset(big, 'z', 300000);
	assert_int_equal(fs_write_atomic(in("f"), big, 300000, 0600), 0);
	assert_int_equal(buf_adds(&b, "had"), 0);
	assert_int_equal(fs_read_file(in("f"), 299999, &b), -EFBIG);
	assert_int_equal(b.n, 3);
	assert_string_equal((char *)b.p, "had");
	assert_int_equal(fs_read_file(in("f"), 300000, &b), 0);
	assert_int_equal(b.n, 300003);
	assert_int_equal(b.p[b.n], 0);
	assert_memory_equal(b.p + 3, big, 300000);
	/* Its stat says that it has no bytes. */
	b.n = 0;
	assert_int_equal(fs_read_file("/proc/self/stat", 65536, &b), 0);
	assert_true(b.n > 20);
	b.n = 0;
	assert_int_equal(fs_read_file("/proc/self/stat", 5, &b), -EFBIG);
	assert_int_equal(mkfifo(in("fifo"), 0600), 0);
	assert_int_equal(fs_read_file(in("fifo"), 5, &b), -EINVAL);
	assert_int_equal(fs_read_file(dir, 5, &b), -EISDIR);
	assert_int_equal(fs_read_file(in("none"), 5, &b), -ENOENT);
	assert_int_equal(b.n, 0);
}

/* What was written just now is in memory; what was dropped from it is not, or there is no telling.
 */
static void
test_read_cached(void **state)
{
	static uint8_t data[300000], got[300000];
	int fd;
	ssize_t r;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	assert_int_equal(fs_write_atomic(in("f"), data, sizeof(data), 0600), 0);
	fd = open(in("f"), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	r = fs_read_cached(fd, got, 1000, 250000);
	if (r == -EOPNOTSUPP) {
		close(fd);
		skip();
	}
	assert_int_equal(r, 1000);
	assert_memory_equal(got, data + 250000, 1000);
	assert_int_equal(fs_read_cached(fd, got, 1000, sizeof(data) - 10), 10);
	assert_int_equal(fs_read_cached(fd, got, 1000, sizeof(data)), 0);
	/* a part of it, perhaps nothing; never anything else */
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	memset(got, 0, sizeof(got));
	r = fs_read_cached(fd, got, sizeof(got), 0);
	assert_true(r == -EAGAIN || (r >= 0 && memcmp(got, data, (size_t)r) == 0));
	close(fd);
	fd = open(in("f"), O_WRONLY | O_CLOEXEC);
	assert_int_equal(fs_read_cached(fd, got, 1, 0), -EBADF);
	close(fd);
}

static unsigned
count_names(const char *path)
{
	_cleanup_(closedirp) DIR *d = opendir(path);
	unsigned n = 0;

	assert_non_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += e->d_name[0] != '.';
	return n;
}

/* Of a file that somebody else has written to, or put another one in its place, nothing is lost. */
static void
test_replace(void **state)
{
	struct stat st, now;

	assert_int_equal(fs_mkdir_p(in("r"), 0700), 0);
	assert_int_equal(fs_replace(in("r/f"), "one", 3, 0640, NULL), 0);
	assert_int_equal(stat(in("r/f"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(fs_replace(in("r/f"), "two", 3, 0600, &st), 0);
	assert_int_equal(stat(in("r/f"), &now), 0);
	assert_false(fs_same_file(&st, &now));
	assert_true(fs_same_file(&now, &now));
	/* another file */
	assert_int_equal(fs_replace(in("r/f"), "three", 5, 0600, &st), -ESTALE);
	/* the same one, longer */
	assert_int_equal(truncate(in("r/f"), 9), 0);
	assert_int_equal(fs_replace(in("r/f"), "three", 5, 0600, &now), -ESTALE);
	/* none */
	assert_int_equal(stat(in("r/f"), &now), 0);
	assert_int_equal(now.st_size, 9);
	assert_int_equal(unlink(in("r/f")), 0);
	assert_int_equal(fs_replace(in("r/f"), "three", 5, 0600, &now), -ESTALE);
	assert_int_equal(count_names(in("r")), 0);
	assert_int_equal(fs_replace(in("none/f"), "x", 1, 0600, NULL), -ENOENT);
}

static void
test_write_atomic(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct stat st;

	assert_int_equal(fs_mkdir_p(in("w"), 0700), 0);
	assert_int_equal(fs_write_atomic(in("w/f"), "one", 3, 0644), 0);
	assert_int_equal(stat(in("w/f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(fs_write_atomic(in("w/f"), "two", 3, 0600), 0);
	assert_int_equal(fs_write_atomic(in("none/f"), "x", 1, 0600), -ENOENT);
	/* A directory cannot be replaced; the temporary must be gone (rmdir says so). */
	assert_int_equal(fs_mkdir_p(in("w/d"), 0700), 0);
	assert_true(fs_write_atomic(in("w/d"), "x", 1, 0600) < 0);
	assert_int_equal(fs_read_file(in("w/f"), 10, &b), 0);
	assert_string_equal((char *)b.p, "two");
	assert_int_equal(rmdir(in("w/d")), 0);
	assert_int_equal(unlink(in("w/f")), 0);
	assert_int_equal(rmdir(in("w")), 0);
}

static void
test_write_fails_midway(void **state)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *big = calloc(1, 65536);
	_cleanup_(closep) int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct rlimit old, small;

	assert_int_equal(fs_write_all(full, "x", 1), -ENOSPC);
	assert_int_equal(fs_mkdir_p(in("w"), 0700), 0);
	assert_int_equal(fs_write_atomic(in("w/f"), "old", 3, 0644), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 1000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(fs_write_atomic(in("w/f"), big, 65536, 0644), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(fs_read_file(in("w/f"), 10, &b), 0);
	assert_string_equal((char *)b.p, "old");
	assert_int_equal(unlink(in("w/f")), 0);
	assert_int_equal(rmdir(in("w")), 0);
}

static void
check_copy(const char *from, const char *want, size_t n)
{
	_cleanup_(closep) int a = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_(closep) int b = open(in("copy"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	_cleanup_(buf_done) struct buf got = BUF_INIT;

	assert_int_equal(fs_copy_fd(a, b), 0);
	assert_int_equal(fs_read_file(in("copy"), 1 << 20, &got), 0);
	if (want) {
		assert_int_equal(got.n, n);
		assert_memory_equal(got.p, want, n);
	} else {
		assert_true(got.n > 0);
	}
}

static void
test_copy(void **state)
{
	_cleanup_(freep) char *big = malloc(200000);
	_cleanup_(closep) int from = -1;
	_cleanup_(closep) int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	for (int i = 0; i < 200000; i++)
		big[i] = (char)(i * 7 % 251);
	assert_int_equal(fs_write_atomic(in("f"), big, 200000, 0600), 0);
	check_copy(in("f"), big, 200000);
	check_copy("/dev/null", "", 0);
	check_copy("/proc/self/status", NULL, 0);
	from = open(in("f"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(fs_copy_fd(from, full), -ENOSPC);
	assert_int_equal(fs_copy_fd(from, -1), -EBADF);
}

static void
test_open_regular(void **state)
{
	_cleanup_(closep) int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct stat st;
	int fd;

	assert_int_equal(fs_write_atomic(in("f"), "abc", 3, 0600), 0);
	fd = fs_open_regular(in("f"), &st);
	assert_true(fd >= 0);
	assert_int_equal(st.st_size, 3);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_int_equal(symlink("f", in("link")), 0);
	assert_int_equal(fs_open_regular(in("link"), NULL), -ELOOP);
	assert_int_equal(fs_open_regular(dir, NULL), -EINVAL);
	assert_int_equal(mkfifo(in("fifo"), 0600), 0);
	assert_int_equal(fs_open_regular(in("fifo"), NULL), -EINVAL);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", in("sock"));
	assert_int_equal(bind(sock, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(fs_open_regular(in("sock"), NULL), -EINVAL);
	assert_int_equal(fs_open_regular("/dev/null", NULL), -EINVAL);
	assert_int_equal(fs_open_regular(in("none"), NULL), -ENOENT);
}

static void
check_which(const char *name, const char *path_env, const char *want)
{
	_cleanup_(freep) char *got = fs_which(name, path_env);

	if (!want)
		assert_null(got);
	else
		assert_string_equal(got ? got : "(null)", want);
}

static void
test_which(void **state)
{
	_cleanup_(freep) char *env = NULL;

	assert_int_equal(fs_mkdir_p(in("one/prog"), 0700), 0);
	assert_int_equal(fs_mkdir_p(in("two"), 0700), 0);
	assert_int_equal(fs_mkdir_p(in("three"), 0700), 0);
	/* A directory and a file that cannot be run are passed over. */
	assert_int_equal(fs_write_atomic(in("two/prog"), "", 0, 0600), 0);
	assert_int_equal(fs_write_atomic(in("three/prog"), "", 0, 0700), 0);
	assert_true(asprintf(&env, "%s:%s:/none:%s", in("one"), in("two"), in("three")) > 0);
	check_which("prog", env, in("three/prog"));
	check_which("nope", env, NULL);
	check_which("", env, NULL);
	check_which(in("three/prog"), "", in("three/prog"));
	check_which(in("two/prog"), env, NULL);
	check_which("sh", NULL, "/bin/sh");
	assert_int_equal(chdir(in("three")), 0);
	check_which("prog", "/none:", "./prog");
	check_which("./prog", "/none", "./prog");
	assert_int_equal(chdir("/"), 0);
}

static void
test_temp_dir(void **state)
{
	char *a = NULL, *b = NULL;
	struct stat st;

	assert_int_equal(fs_make_temp_dir(dir, "p-", &a), 0);
	assert_int_equal(fs_make_temp_dir(dir, "p-", &b), 0);
	assert_string_not_equal(a, b);
	assert_true(starts_with(a, in("p-")));
	assert_int_equal(stat(a, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	free(a);
	free(b);
	a = NULL;
	assert_int_equal(fs_make_temp_dir(in("none"), "p-", &a), -ENOENT);
	assert_null(a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static bool
is_b_or_root(const char *path)
{
	return ends_with(path, "/b") || streq(path, "/");
}

static void
test_find_up(void **state)
{
	static const struct {
		const char *from, *found;
		unsigned most;
	} rows[] = { { "/a/b/c/d", "/a/b", 8 }, { "/a/b", "/a/b", 1 }, { "/a/b/c", NULL, 1 },
		/* never the root */
		{ "/a/c", NULL, 8 }, { "/", NULL, 8 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(freep) char *found = fs_find_up(rows[i].from, is_b_or_root, rows[i].most);

		if (rows[i].found)
			assert_string_equal(found, rows[i].found);
		else
			assert_null(found);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_mkdir),
		TEST(test_owner),
		TEST(test_rm_rf_plain),
		TEST(test_rm_rf_without_permission),
		TEST(test_rm_rf_very_deep),
		TEST(test_read),
		TEST(test_read_cached),
		TEST(test_replace),
		TEST(test_write_atomic),
		TEST(test_write_fails_midway),
		TEST(test_copy),
		TEST(test_open_regular),
		TEST(test_which),
		TEST(test_find_up),
		TEST(test_temp_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
