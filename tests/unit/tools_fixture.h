/* What is built for the inside of a sandbox, put where a test's sandbox has its programs. */
#ifndef DRAY_TESTS_UNIT_TOOLS_FIXTURE_H
#define DRAY_TESTS_UNIT_TOOLS_FIXTURE_H

#include <fcntl.h>
#include <stdlib.h>

#include "common/fs.h"

/* The caller frees it. */
static inline char *
below(const char *dir, const char *name)
{
	char *s = path_join(dir, name);

	assert_non_null(s);
	return s;
}

/* tool: its name in the build tree. */
static inline void
install(const char *dir, const char *tool)
{
	const char *build = getenv("DRAY_TEST_BUILDDIR");
	_cleanup_(freep) char *from = below(build ? build : ".", tool);
	_cleanup_(freep) char *to = below(dir, path_basename(tool));
	_cleanup_(closep) int in = fs_open_regular(from, NULL), out = -1;

	if (in < 0)
		fail_msg("%s is not built", from);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	assert_true(out >= 0);
	assert_int_equal(fs_copy_fd(in, out), 0);
}

#endif
