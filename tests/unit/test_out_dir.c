/* What is put into a job's out-dir, and that no link of a job's leads out of it. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/fs.h"
#include "worker/sandbox/out_dir.h"

struct place {
	char *dir, *out, *blob;
	int fd, from;
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	const char *tmp = getenv("TMPDIR");

	assert_non_null(p);
	assert_int_equal(fs_make_temp_dir(tmp ? tmp : "/tmp", "dray-out-", &p->dir), 0);
	p->out = path_join(p->dir, "out");
	p->blob = path_join(p->dir, "blob");
	assert_true(p->out && p->blob);
	assert_int_equal(fs_mkdir_p(p->out, 0755), 0);
	assert_int_equal(fs_write_atomic(p->blob, "content", 7, 0444), 0);
	p->fd = open(p->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	p->from = open(p->blob, O_RDONLY | O_CLOEXEC);
	assert_true(p->fd >= 0 && p->from >= 0);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	closep(&p->fd);
	closep(&p->from);
	fs_rm_rf(p->dir);
	free(p->dir);
	free(p->out);
	free(p->blob);
	free(p);
	return 0;
}

static void
test_put(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *path = path_join(p->out, "a/b/c");
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct stat st, blob;

	assert_int_equal(out_dir_has(p->fd, "a/b/c"), 0);
	assert_int_equal(out_dir_put(p->fd, "a/b/c", p->from, -1500000000), 0);
	assert_int_equal(out_dir_has(p->fd, "a/b/c"), 1);
	assert_int_equal(out_dir_has(p->fd, "a/b"), 1);
	assert_int_equal(out_dir_has(p->fd, "a/b/c/d"), 0);
	assert_int_equal(fs_read_file(path, 100, &b), 0);
	assert_int_equal(b.n, 7);
	assert_memory_equal(b.p, "content", 7);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(stat(p->blob, &blob), 0);
	assert_int_equal(st.st_mtim.tv_sec, -2);
	assert_int_equal(st.st_mtim.tv_nsec, 500000000);
	/* a copy: the job may write to it */
	assert_true(st.st_ino != blob.st_ino);
	assert_int_equal(out_dir_put(p->fd, "a/b/c", p->from, 0), -EEXIST);
	assert_int_equal(out_dir_make(p->fd, "a/x/y"), 0);
	assert_int_equal(out_dir_make(p->fd, "a/x/y"), 0);
	assert_int_equal(out_dir_has(p->fd, "a/x/y"), 1);
	/* a job of another uid writes there, too, whatever the umask */
	for (const char *const *n = (const char *const[]){ "a", "a/x", "a/x/y", NULL }; *n; n++) {
		assert_int_equal(fstatat(p->fd, *n, &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, 0777);
	}
}

static void
test_links(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *link = path_join(p->out, "link"), *made = NULL;

	assert_int_equal(symlink(p->dir, link), 0);
	made = path_join(p->dir, "new");
	assert_int_equal(out_dir_has(p->fd, "link"), 1);
	assert_int_equal(out_dir_has(p->fd, "link/blob"), 0);
	assert_true(out_dir_put(p->fd, "link/new", p->from, 0) < 0);
	assert_true(out_dir_make(p->fd, "link/new") < 0);
	assert_false(fs_exists(made));
	assert_int_equal(out_dir_put(p->fd, "link", p->from, 0), -EEXIST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_put, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_links, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
