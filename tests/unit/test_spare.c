/* Directories that go from one job to the next: nothing of the former is in them. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fs.h"
#include "worker/sandbox/spare.h"

struct place {
	char *dir, *jobs, *tree, *kept;
	struct spare *spare;
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	const char *tmp = getenv("TMPDIR");

	assert_non_null(p);
	assert_int_equal(fs_make_temp_dir(tmp ? tmp : "/tmp", "dray-spare-", &p->dir), 0);
	p->jobs = path_join(p->dir, "jobs");
	p->tree = path_join(p->jobs, "tree");
	p->kept = path_join(p->dir, "jobs-spare");
	assert_true(p->jobs && p->tree && p->kept);
	assert_int_equal(fs_mkdir_p(p->jobs, 0755), 0);
	assert_int_equal(spare_open(p->jobs, &p->spare), 0);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	spare_freep(&p->spare);
	assert_false(fs_exists(p->kept));
	fs_rm_rf(p->dir);
	free(p->dir);
	free(p->jobs);
	free(p->tree);
	free(p->kept);
	free(p);
	return 0;
}

/* A directory and two in it, one with a file; and a link. */
static void
make_tree(struct place *p)
{
	static const char *const dirs[] = { "", "/a", "/b" };
	char path[512];

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		snprintf(path, sizeof(path), "%s%s", p->tree, dirs[i]);
		assert_int_equal(spare_make(p->spare, path), 0);
	}
	snprintf(path, sizeof(path), "%s/a/file", p->tree);
	assert_int_equal(fs_write_atomic(path, "content", 7, 0444), 0);
	snprintf(path, sizeof(path), "%s/link", p->tree);
	assert_int_equal(symlink("..", path), 0);
}

static ino_t
inode(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_ino;
}

static void
test_again(void **state)
{
	struct place *p = *state;
	struct stat st;
	ino_t before;

	make_tree(p);
	before = inode(p->tree);
	assert_int_equal(spare_take_back(p->spare, p->tree), 0);
	assert_false(fs_exists(p->tree));
	assert_int_equal(spare_count(p->spare), 3);
	assert_int_equal(spare_make(p->spare, p->tree), 0);
	assert_int_equal(inode(p->tree), before); /* the last that came */
	assert_int_equal(spare_count(p->spare), 2);
	assert_int_equal(lstat(p->tree, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	/* empty, or it could not be removed */
	assert_int_equal(rmdir(p->tree), 0);
}

static void
test_there_already(void **state)
{
	struct place *p = *state;
	char path[512];

	make_tree(p);
	assert_int_equal(spare_take_back(p->spare, p->tree), 0);
	make_tree(p);
	assert_int_equal(spare_make(p->spare, p->tree), 0);
	assert_int_equal(spare_count(p->spare), 0);
	snprintf(path, sizeof(path), "%s/a/file", p->tree);
	assert_true(fs_exists(path));
	assert_int_equal(spare_make(p->spare, path), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/none/x", p->tree);
	assert_int_equal(spare_make(p->spare, path), -ENOENT);
	assert_int_equal(spare_make(NULL, path), -ENOENT);
	*strrchr(path, '/') = '\0';
	assert_int_equal(spare_make(NULL, path), 0);
}

/* What is not as a new one is removed. */
static void
test_changed(void **state)
{
	struct place *p = *state;
	char path[512];

	make_tree(p);
	snprintf(path, sizeof(path), "%s/b", p->tree);
	assert_int_equal(chmod(path, 0777), 0);
	snprintf(path, sizeof(path), "%s/a", p->tree);
	assert_int_equal(chmod(path, 01755), 0);
	assert_int_equal(spare_take_back(p->spare, p->tree), 0);
	assert_false(fs_exists(p->tree));
	assert_int_equal(spare_count(p->spare), 1);
}

/* One that is too deep is left to others. */
static void
test_deep(void **state)
{
	struct place *p = *state;
	char path[512];
	int n = snprintf(path, sizeof(path), "%s", p->tree);

	assert_int_equal(spare_make(p->spare, path), 0);
	for (int i = 0; i < 70; i++) {
		n += snprintf(path + n, sizeof(path) - (size_t)n, "/d");
		assert_int_equal(spare_make(p->spare, path), 0);
	}
	assert_int_equal(spare_take_back(p->spare, p->tree), -ELOOP);
	assert_int_equal(fs_rm_rf(p->tree), 0);
	assert_int_equal(spare_take_back(p->spare, p->tree), -ENOENT);
}

/* No link is followed to what is to be taken apart. */
static void
test_link(void **state)
{
	struct place *p = *state;
	char other[512], file[530];

	snprintf(other, sizeof(other), "%s/other", p->dir);
	snprintf(file, sizeof(file), "%s/file", other);
	assert_int_equal(fs_mkdir_p(other, 0755), 0);
	assert_int_equal(fs_write_atomic(file, "content", 7, 0444), 0);
	assert_int_equal(symlink(other, p->tree), 0);
	assert_true(spare_take_back(p->spare, p->tree) < 0);
	assert_true(fs_exists(file));
	assert_int_equal(spare_count(p->spare), 0);
}

/* One that held many names is slow to read for ever, where a file system does not make it smaller.
 */
static void
test_large(void **state)
{
	struct place *p = *state;
	char path[512];
	struct stat st;

	assert_int_equal(spare_make(p->spare, p->tree), 0);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 200; i++) {
			snprintf(path, sizeof(path), "%s/%0200d", p->tree, i);
			assert_int_equal(round ? unlink(path) : mknod(path, S_IFREG | 0644, 0), 0);
		}
	assert_int_equal(lstat(p->tree, &st), 0);
	if (st.st_size <= 16384)
		skip();
	assert_int_equal(spare_take_back(p->spare, p->tree), 0);
	assert_false(fs_exists(p->tree));
	assert_int_equal(spare_count(p->spare), 0);
}

static void
test_bounded(void **state)
{
	struct place *p = *state;
	char path[512];

	assert_int_equal(spare_make(p->spare, p->tree), 0);
	for (int i = 0; i < 600; i++) {
		snprintf(path, sizeof(path), "%s/%d", p->tree, i);
		assert_int_equal(spare_make(p->spare, path), 0);
	}
	assert_int_equal(spare_take_back(p->spare, p->tree), 0);
	assert_int_equal(spare_count(p->spare), 512);
}

/* What a worker left that was killed is no new directory. */
static void
test_left_over(void **state)
{
	struct place *p = *state;
	char path[512];

	spare_freep(&p->spare);
	snprintf(path, sizeof(path), "%s/0", p->kept);
	assert_int_equal(fs_mkdir_p(path, 0777), 0);
	assert_int_equal(spare_open(p->jobs, &p->spare), 0);
	assert_int_equal(spare_count(p->spare), 0);
	assert_false(fs_exists(path));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_again),
		TEST(test_there_already),
		TEST(test_changed),
		TEST(test_deep),
		TEST(test_link),
		TEST(test_large),
		TEST(test_bounded),
		TEST(test_left_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
