/* trace/preload/env_realpath.c: what it answers is what libc answers. This program's realpath is
 * ours. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fs.h"
#include "trace/preload/env_priv.h"
#include "trace/paths.h"

typedef char *(*realpath_fn)(const char *path, char *resolved);

static char *root;
static bool is_macro;
static char said[PATH_MAX + 8];

/* The answer is what the test says. */
bool
env_is_own(const void *pc)
{
	(void)pc;
	return !is_macro;
}

long
env_readlink(bool own, int fd, const char *path, char *buf, size_t n)
{
	(void)own;
	return readlinkat(fd, path, buf, n);
}

bool
env_keeps_dirs(void)
{
	return true;
}

/* What is said is caught. */
int
openat(int fd, const char *path, int flags, ...)
{
	if (fd != TRACE_SAID_FD)
		return (int)syscall(SYS_openat, fd, path, flags, 0600);
	snprintf(said, sizeof(said), "%s", path);
	errno = EBADF;
	return -1;
}

static realpath_fn
libc(void)
{
	union {
		void *object;
		realpath_fn function;
	} u = { dlvsym(RTLD_NEXT, "realpath", "GLIBC_2.3") };

	assert_non_null(u.object);
	assert_ptr_not_equal(u.function, realpath);
	return u.function;
}

static void
same(const char *path)
{
	char room[PATH_MAX], libc_room[PATH_MAX];
	char *ours, *theirs;
	int error, libc_error;

	errno = 0;
	ours = realpath(path, NULL);
	error = ours ? 0 : errno;
	errno = 0;
	theirs = libc()(path, NULL);
	libc_error = theirs ? 0 : errno;
	if (error != libc_error || (ours && strcmp(ours, theirs) != 0))
		fail_msg("%s: %s (%s), libc: %s (%s)", path, ours ? ours : "", strerror(error),
			theirs ? theirs : "", strerror(libc_error));
	if (ours) {
		assert_ptr_equal(realpath(path, room), room);
		assert_ptr_equal(libc()(path, libc_room), libc_room);
		assert_string_equal(room, libc_room);
	} else if (error == ENOENT) {
		assert_null(realpath(path, room));
		assert_null(libc()(path, libc_room));
		assert_string_equal(room, libc_room);
	}
	free(ours);
	free(theirs);
}

static char *
below(const char *name)
{
	char *path;

	assert_true(asprintf(&path, "%s/%s", root, name) >= 0);
	return path;
}

static void
same_below(const char *name)
{
	char *path = below(name);

	same(path);
	free(path);
}

static void
make_dir(const char *name)
{
	char *path = below(name);

	assert_int_equal(mkdir(path, 0755), 0);
	free(path);
}

static void
make_file(const char *name)
{
	char *path = below(name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	close(fd);
	free(path);
}

static void
make_link(const char *to, const char *name)
{
	char *path = below(name);

	assert_int_equal(symlink(to, path), 0);
	free(path);
}

static int
setup(void **state)
{
	char *real;

	(void)state;
	if (fs_make_temp_dir("/tmp", "dray-realpath-", &root) < 0)
		return -1;
	real = libc()(root, NULL);
	free(root);
	root = real;
	make_dir("a");
	make_dir("a/b");
	make_dir("a/b/c");
	make_file("a/file");
	make_file("a/b/c/file");
	make_link("a", "to-dir");
	make_link("file", "a/to-file");
	make_link("../../a/b", "a/b/up");
	make_link("nowhere", "a/dangling");
	make_link("loop", "a/loop");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fs_rm_rf(root);
	free(root);
	return 0;
}

static const char *const names[] = { "a", "a/b", "a/b/c", "a/file", "a/b/c/file", "to-dir",
	"to-dir/file", "to-dir/b/c/file", "a/to-file", "a/b/up", "a/b/up/c/file", "a/dangling",
	"a/dangling/x", "a/loop", "a/loop/x", "a/none", "a/none/x", "a/file/x", "a/to-file/x", "a/",
	"a/b/", "a/file/", "a//b", "a/./b", "a/.", "a/..", "a/b/../file", "a/b/..", ".", "..",
	"a/.hidden", "a/...", "to-dir/../a/file" };

static void
answers_as_libc(void **state)
{
	char long_name[NAME_MAX + 16], long_path[PATH_MAX + 16];

	(void)state;
	/* twice: what was learned from one is used by the next */
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			same_below(names[i]);
	same("");
	same("/");
	same("//");
	same("/.");
	same("/..");
	same("relative");
	same(".");
	same("/tmp");
	same("/proc/self");
	same("/proc/self/exe");
	memset(long_name, 'n', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	same_below(long_name);
	for (size_t i = 0; i < sizeof(long_path) - 1; i++)
		long_path[i] = i % 2 ? 'p' : '/';
	long_path[sizeof(long_path) - 1] = '\0';
	same(long_path);
}

/* Names in any order, from the root and from a directory. */
static void
answers_as_libc_in_any_order(void **state)
{
	static const char *const parts[] = { "a", "b", "c", "file", "to-dir", "to-file", "up",
		"none", ".", "..", "..", "" };
	char was[PATH_MAX];

	(void)state;
	assert_non_null(getcwd(was, sizeof(was)));
	assert_int_equal(chdir(root), 0);
	srand(1);
	for (int i = 0; i < 20000; i++) {
		char path[PATH_MAX] = "";
		int n = 1 + rand() % 8;

		if (i % 2)
			snprintf(path, sizeof(path), "%s/", root);
		for (int k = 0; k < n; k++) {
			size_t at = strlen(path);

			snprintf(path + at, sizeof(path) - at, "%s%s",
				parts[(size_t)rand() % (sizeof(parts) / sizeof(parts[0]))],
				k + 1 < n || rand() % 8 == 0 ? "/" : "");
		}
		same(path);
		if (i % 1000 == 999)
			assert_int_equal(chdir(i % 2000 == 999 ? "a/b" : root), 0);
	}
	assert_int_equal(chdir(was), 0);
}

/* More directories than it can remember. */
static void
forgets_without_harm(void **state)
{
	char name[64];

	(void)state;
	make_dir("many");
	for (int i = 0; i < 1500; i++) {
		snprintf(name, sizeof(name), "many/directory-of-some-length-%d", i);
		make_dir(name);
		same_below(name);
		snprintf(name, sizeof(name), "many/directory-of-some-length-%d/x", i);
		same_below(name);
		make_file(name);
		same_below(name);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		same_below(names[i]);
}

/* A file that becomes a link, or goes: only directories are remembered, and they were none. */
static void
sees_files_change(void **state)
{
	char *path = below("a/turns"), *file = below("a/file");

	(void)state;
	same(path);
	make_file("a/turns");
	same(path);
	assert_int_equal(unlink(path), 0);
	same(path);
	assert_int_equal(symlink(file, path), 0);
	same(path);
	free(path);
	free(file);
}

/* A directory that was known, and goes, or becomes a file. */
static void
sees_directories_go(void **state)
{
	static const char *const ways[] = { "goes", "goes/", "goes/.", "goes/..", "goes/./../",
		"goes/below/..", "goes/below/../..", "goes/below/", "a/../goes/" };
	char *path = below("goes"), *inner = below("goes/below");

	(void)state;
	make_dir("goes");
	make_dir("goes/below");
	for (int round = 0; round < 4; round++) {
		for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
			same_below(ways[i]);
		if (round == 0)
			assert_int_equal(rmdir(inner), 0);
		else if (round == 1)
			assert_int_equal(rmdir(path), 0);
		else if (round == 2)
			make_file("goes");
	}
	free(path);
	free(inner);
}

/* What a macro is answered is said, also behind a link; what the compiler is, is not. */
static void
says_a_macros(void **state)
{
	char *dir = path_join(root, "said"), *link = path_join(root, "link-to-it"), *want;

	(void)state;
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(symlink("said", link), 0);
	free(realpath(link, NULL));
	assert_string_equal(said, "");
	is_macro = true;
	errno = 7;
	want = realpath(dir, NULL);
	assert_int_equal(errno, 7);
	assert_int_equal(strncmp(said, TRACE_REAL_PREFIX, strlen(TRACE_REAL_PREFIX)), 0);
	assert_string_equal(said + strlen(TRACE_REAL_PREFIX), want);
	*said = '\0';
	free(realpath(link, NULL));
	assert_string_equal(said + strlen(TRACE_REAL_PREFIX), want);
	*said = '\0';
	assert_null(realpath("/nonexistent/x", NULL));
	assert_int_equal(errno, ENOENT);
	assert_string_equal(said, "");
	is_macro = false;
	free(want);
	free(link);
	free(dir);
}

int
main(void)
{
	/* the second one before what fills its memory */
	const struct CMUnitTest tests[] = { cmocka_unit_test(answers_as_libc),
		cmocka_unit_test(sees_directories_go),
		cmocka_unit_test(answers_as_libc_in_any_order),
		cmocka_unit_test(forgets_without_harm), cmocka_unit_test(sees_files_change),
		cmocka_unit_test(says_a_macros) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
