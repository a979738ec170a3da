/* proc_cover: a row for each entry, in order, with a reason; what has none is covered, and what a
 * process may open of it. */
#include "config.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fs.h"
#include "worker/sandbox/proc_cover.h"

static void
test_rows(void **state)
{
	const char *name, *why, *before = "";
	size_t n = 0;

	(void)state;
	for (; proc_cover_row(n, &name, &why); n++) {
		assert_true(strcmp(before, name) < 0);
		assert_true(strlen(why) > 4);
		before = name;
	}
	assert_true(n > 60);
	assert_true(proc_cover_shows("cpuinfo"));
	assert_true(proc_cover_shows("self"));
	assert_false(proc_cover_shows("sysrq-trigger"));
	assert_false(proc_cover_shows("of-a-kernel-to-come"));
	assert_false(proc_cover_shows(""));
}

/* Whether bwrap is told to put something over it. */
static bool
is_covered(const struct buf *options, const char *path)
{
	const char *p = (const char *)options->p, *end = p + options->n;
	unsigned word = 0;

	for (; p < end; p += strlen(p) + 1, word++)
		if (word % 3 == 2 && streq(p, path))
			return true;
	return false;
}

static bool
has_entries(const char *path)
{
	_cleanup_(closedirp) DIR *d = opendir(path);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	return n > 2;
}

static void
test_this_machine(void **state)
{
	_cleanup_(closedirp) DIR *d = opendir("/proc");
	_cleanup_(buf_done) struct buf options = BUF_INIT;
	const struct dirent *e;

	(void)state;
	assert_non_null(d);
	assert_int_equal(proc_cover_options(&options, "/empty"), 0);
	assert_true(is_covered(&options, "/proc/sys"));
	while ((e = readdir(d))) {
		char path[300];
		bool covered;

		snprintf(path, sizeof(path), "/proc/%s", e->d_name);
		if (e->d_name[0] == '.' || (e->d_name[0] > '0' && e->d_name[0] <= '9') ||
			e->d_type == DT_LNK || streq(e->d_name, "sys"))
			continue;
		covered = is_covered(&options, path);
		if (proc_cover_shows(e->d_name))
			assert_false(covered);
		else if (e->d_type == DT_DIR)
			assert_int_equal(covered, has_entries(path));
		else
			assert_int_equal(
				covered, access(path, R_OK) == 0 || access(path, W_OK) == 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
