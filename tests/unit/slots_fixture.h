/* What the tests of client/slots share: a directory of their own, with slots in it. */
#ifndef DRAY_TESTS_UNIT_SLOTS_FIXTURE_H
#define DRAY_TESTS_UNIT_SLOTS_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "client/slots/slots.h"
#include "common/fs.h"

static char *dir;

static inline int
setup(void **state)
{
	return fs_make_temp_dir("/tmp", "dray-slots-", &dir);
}

static inline int
teardown(void **state)
{
	fs_rm_rf(dir);
	free(dir);
	return 0;
}

static inline struct slots *
open_slots(unsigned n)
{
	struct slots *s = NULL;

	assert_int_equal(slots_open(dir, n, &s), 0);
	return s;
}

#endif
