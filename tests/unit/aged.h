/* Waits for the clock of a file system: what is remembered of a file is believed once the file is
 * older than its timestamps are coarse. */
#ifndef DRAY_TESTS_UNIT_AGED_H
#define DRAY_TESTS_UNIT_AGED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "common/fs.h"

/* How many milliseconds later than the last change of the file one is that is made now, in `dir` on
 * the same file system. */
static inline int64_t
age_ms(const char *dir, const char *path)
{
	_cleanup_(freep) char *now = path_join(dir, "now");
	struct stat then, st;

	assert_int_equal(fs_write_atomic(now, "", 0, 0644), 0);
	assert_int_equal(stat(path, &then), 0);
	assert_int_equal(stat(now, &st), 0);
	return (st.st_ctim.tv_sec - then.st_ctim.tv_sec) * 1000 +
	       (st.st_ctim.tv_nsec - then.st_ctim.tv_nsec) / 1000000;
}

static inline void
wait_until_aged(const char *dir, const char *path, int64_t ms)
{
	struct timespec t = { 0, 5000000 };

	while (age_ms(dir, path) <= ms)
		nanosleep(&t, NULL);
}

#endif
