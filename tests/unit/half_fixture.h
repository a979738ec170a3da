/* A cache directory for farm halves, and a configuration with it. */
#ifndef DRAY_TESTS_UNIT_HALF_FIXTURE_H
#define DRAY_TESTS_UNIT_HALF_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "common/conf/conf.h"
#include "common/fs.h"

static inline int
make_dir(void **state)
{
	char *dir = NULL;

	if (fs_make_temp_dir("/tmp", "dray-half-", &dir) < 0)
		return -1;
	*state = dir;
	return 0;
}

static inline int
remove_dir(void **state)
{
	int r = fs_rm_rf(*state);

	free(*state);
	return r;
}

static inline struct conf *
make_conf(const char *dir)
{
	_cleanup_(freep) char *set = NULL;
	struct conf *c = NULL;
	char *error = NULL;

	assert_true(asprintf(&set, "client.cache_dir=%s", dir) > 0);
	assert_int_equal(conf_parse("", 0, "none", &c, &error), 0);
	assert_int_equal(conf_set(c, set, &error), 0);
	return c;
}

#endif
