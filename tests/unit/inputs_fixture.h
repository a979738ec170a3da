/* What the tests of cache/inputs.h share: a directory, a record of a compile in it, and its inputs.
 */
#ifndef DRAY_TESTS_UNIT_INPUTS_FIXTURE_H
#define DRAY_TESTS_UNIT_INPUTS_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/variables.h"
#include "cache/inputs.h"
#include "common/fs.h"
#include "memo/git_index.h"

/* Of each test: a directory with out/ in it, and what is asked there. */
static char dir[PATH_MAX], real_out[PATH_MAX + 8], out[PATH_MAX + 8];
static char *env[8];
static struct inputs_place place;
static struct inputs_from from;
static struct strv ignored, made;
static struct inputs got;
static struct buf record;
static char *why;

static inline const char *
in(const char *name)
{
	static char paths[8][PATH_MAX * 2];
	static size_t next;
	char *p = paths[next++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static inline void
put(const char *name, const char *text)
{
	struct timespec old[2] = { { 1000000000, 0 }, { 1000000000, 0 } };

	assert_int_equal(fs_write_atomic(in(name), text, strlen(text), 0644), 0);
	assert_int_equal(utimensat(AT_FDCWD, in(name), old, 0), 0);
}

static inline void
forget(void)
{
	inputs_done(&got);
	strv_done(&made);
	buf_done(&record);
	free(why);
	why = NULL;
}

static inline int
begin(void **state)
{
	char temp[] = "/tmp/dray-inputs-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(temp));
	snprintf(dir, sizeof(dir), "%s", temp);
	snprintf(out, sizeof(out), "%s/out", dir);
	snprintf(real_out, sizeof(real_out), "%s/out", dir);
	assert_int_equal(mkdir(out, 0755), 0);
	memset(env, 0, sizeof(env));
	place = (struct inputs_place){ .out_dir = out, .real_out_dir = real_out, .envp = env };
	from = (struct inputs_from){ .place = &place, .ignored_lists = &ignored, .cwd = dir };
	/* later than all that a test makes beforehand */
	clock_gettime(CLOCK_REALTIME, &from.started);
	from.started.tv_sec += 3600;
	return 0;
}

static inline int
end(void **state)
{
	(void)state;
	forget();
	strv_done(&ignored);
	return fs_rm_rf(dir);
}

static inline void
item(char kind, const char *name)
{
	assert_int_equal(buf_add(&record, &kind, 1), 0);
	assert_int_equal(buf_add(&record, name, strlen(name) + 1), 0);
}

static inline int
take(void)
{
	return inputs_from_record(&from, &record, &got, &made, &why);
}

static inline void
take_all(void)
{
	item('e', "7");
	if (take() != 0)
		fail_msg("%s", why ? why : "not whole");
}

static inline void
cannot_be_kept(const char *words)
{
	item('e', "7");
	assert_int_equal(take(), -ENOTSUP);
	assert_non_null(why);
	if (!strstr(why, words))
		fail_msg("why: %s", why);
	forget();
}

static inline void
all_is_as_it_was(void)
{
	char *differs;
	int r = inputs_check(&got, &place, &differs);

	if (r != 0)
		fail_msg("%s", differs);
}

static inline void
is_stale(const char *words)
{
	char *differs;

	assert_int_equal(inputs_check(&got, &place, &differs), -ESTALE);
	assert_non_null(differs);
	if (!strstr(differs, words))
		fail_msg("differs: %s", differs);
	free(differs);
}

static inline bool
has(enum input_kind kind, const char *name)
{
	for (size_t i = 0; i < got.n; i++)
		if (got.v[i].kind == kind && streq(got.v[i].name, name))
			return true;
	return false;
}

/* Without what every record has: the loader's variables. */
static inline size_t
n_named(void)
{
	size_t n = 0;

	for (size_t i = 0; i < got.n; i++)
		n += got.v[i].kind != INPUT_VARIABLES;
	return n;
}

#endif
