/* left: what a killed process left goes, what a living one uses stays, and so does whatever it is
 * hard to tell of. Real processes, a real directory. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/fs.h"
#include "common/outdir/left.h"
#include "common/share.h"

static char *dir;

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

static pid_t
living(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		for (;;)
			pause();
	}
	return pid;
}

static void
end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static char *
at(const char *name)
{
	char *p = path_join(dir, name);

	assert_non_null(p);
	return p;
}

static void
put_file(const char *name)
{
	_cleanup_(freep) char *p = at(name);

	assert_int_equal(fs_write_atomic(p, "x", 1, 0644), 0);
}

static void
put_dir(const char *name)
{
	_cleanup_(freep) char *p = at(name);
	_cleanup_(freep) char *sub = path_join(p, "link-0/a");

	assert_int_equal(fs_mkdir_p(sub, 0755), 0);
}

static bool
is_there(const char *name)
{
	_cleanup_(freep) char *p = at(name);
	struct stat st;

	return lstat(p, &st) == 0;
}

static void
test_a_killed_process(void **state)
{
	char kept[LEFT_NAME_SIZE], unit[LEFT_NAME_SIZE], staging[LEFT_NAME_SIZE + 8];
	char put[LEFT_NAME_SIZE], part[LEFT_NAME_SIZE + 8];
	pid_t pid = living();
	siginfo_t info;

	left_name(LEFT_KEPT, pid, kept);
	left_name(LEFT_UNIT, pid, unit);
	left_name(LEFT_PUT, pid, put);
	snprintf(staging, sizeof(staging), "%s-Ab01Zz", unit);
	snprintf(part, sizeof(part), "%s-000001", put);
	put_file(kept);
	put_dir(staging);
	put_file(part);
	put_file("libx-1.rmeta");
	left_sweep(NULL, dir);
	assert_true(is_there(kept) && is_there(staging) && is_there(part));
	/* Stopped is not gone. */
	assert_int_equal(kill(pid, SIGSTOP), 0);
	left_sweep(NULL, dir);
	assert_true(is_there(kept) && is_there(staging) && is_there(part));
	/* Dead is gone, though nobody has collected it. */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	left_sweep(NULL, dir);
	assert_false(is_there(kept) || is_there(staging) || is_there(part));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	put_file(kept);
	left_sweep(NULL, dir);
	assert_false(is_there(kept));
	assert_true(is_there("libx-1.rmeta"));
}

static void
test_a_directory(void **state)
{
	_cleanup_(freep) char *none = at("none");
	_cleanup_(freep) char *a = NULL;
	_cleanup_(freep) char *b = NULL;
	char name[LEFT_NAME_SIZE], *untouched = NULL;
	pid_t pid = living();
	struct stat st;

	assert_int_equal(left_make_dir(none, pid, &untouched), -ENOENT);
	assert_null(untouched);
	assert_int_equal(left_make_dir(dir, pid, &a), 0);
	assert_int_equal(left_make_dir(dir, getpid(), &b), 0);
	assert_int_equal(stat(a, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0700);
	left_name(LEFT_UNIT, pid, name);
	assert_true(starts_with(path_basename(a), name));
	left_sweep(NULL, dir);
	assert_true(is_there(path_basename(a)) && is_there(path_basename(b)));
	end(pid);
	left_sweep(NULL, dir);
	assert_false(is_there(path_basename(a)));
	assert_true(is_there(path_basename(b)));
}

/* A new process under the number of a dead one. */
static void
test_a_number_used_again(void **state)
{
	char mine[LEFT_NAME_SIZE], other[LEFT_NAME_SIZE + 2];

	left_name(LEFT_KEPT, getpid(), mine);
	assert_false(left_may_go(mine, 0));
	assert_false(left_may_go(mine, LEFT_OLD_S + 1)); /* we live: however old */
	snprintf(other, sizeof(other), "%s1", mine);
	assert_true(left_may_go(other, 0));
	/* When it began is not known: it may be the one. */
	snprintf(other, sizeof(other), "%s", mine);
	snprintf(strrchr(other, '-'), 3, "-0");
	assert_false(left_may_go(other, 0));
	/* One that is not ours to signal lives all the same. */
	snprintf(other, sizeof(other), "%s", mine);
	if (geteuid() != 0) {
		snprintf(strchr(other + strlen(".dray-kept-"), '-'), 5, "-1-0");
		assert_false(left_may_go(other, 0));
	}
}

/* Another machine, another boot, another container: their processes are not to be seen from here.
 */
static void
test_another_place(void **state)
{
	char name[LEFT_NAME_SIZE], *place = name + strlen(".dray-kept-");
	pid_t pid = living();

	left_name(LEFT_KEPT, pid, name);
	end(pid);
	assert_true(left_may_go(name, 0));
	place[0] = place[0] == '0' ? '1' : '0';
	assert_false(left_may_go(name, 0));
	assert_false(left_may_go(name, LEFT_OLD_S));
	assert_false(left_may_go(name, -100)); /* a clock that is ahead */
	assert_true(left_may_go(name, LEFT_OLD_S + 1));
	/* A place that could not be told is nobody's. */
	memset(place, '0', 16);
	assert_false(left_may_go(name, 0));
	put_file(name);
	left_sweep(NULL, dir);
	assert_true(is_there(name));
}

static void
test_other_names(void **state)
{
	static const char *const names[] = {
		"",
		"x",
		".dray-",
		".dray-kept-",
		".dray-kept-1",
		".dray-kept-0123456789abcdef-1",
		".dray-kept-0123456789abcdef-1-",
		".dray-kept-0123456789abcdef-0-1",
		".dray-kept-0123456789abcdef--1-1",
		".dray-kept-0123456789abcdef-1-1-",
		".dray-kept-0123456789abcdef-1-1x",
		".dray-kept-0123456789abcdeg-1-1",
		".dray-kept-0123456789abcdef0-1-1",
		".dray-kept-0x23456789abcdef-1-1",
		".dray-unit-0123456789abcdef-1-1",
		".dray-unit-0123456789abcdef-1-1-abcde",
		".dray-unit-0123456789abcdef-1-1-abcdefg",
		".dray-put-0123456789abcdef-1-1",
		".dray-cap",
		".dray-kept-0123456789abcdef-99999999999999999999-1",
		".dray-kept-0123456789abcdef-1-99999999999999999999",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (left_may_go(names[i], LEFT_OLD_S + 1))
			fail_msg("\"%s\" may go", names[i]);
	assert_true(left_may_go(".dray-kept-0123456789abcdef-1-1", LEFT_OLD_S + 1));
	assert_true(left_may_go(".dray-unit-0123456789abcdef-1-1-abcdef", LEFT_OLD_S + 1));
	assert_true(left_may_go(".dray-put-0123456789abcdef-1-1-00000a", LEFT_OLD_S + 1));
}

/* Under a name of ours, but not what ours are. */
static void
test_other_kinds(void **state)
{
	char kept[LEFT_NAME_SIZE], unit[LEFT_NAME_SIZE], staging[LEFT_NAME_SIZE + 8];
	_cleanup_(freep) char *link = NULL;
	pid_t pid = living();

	left_name(LEFT_KEPT, pid, kept);
	left_name(LEFT_UNIT, pid, unit);
	snprintf(staging, sizeof(staging), "%s-abcdef", unit);
	end(pid);
	put_dir(kept);
	put_dir("elsewhere");
	link = at(staging);
	assert_int_equal(symlink("elsewhere", link), 0);
	left_sweep(NULL, dir);
	assert_true(is_there(kept) && is_there(staging) && is_there("elsewhere/link-0/a"));
	left_sweep(NULL, "/none/such");
}

static void
test_not_each_time(void **state)
{
	_cleanup_(freep) char *cache = at("cache");
	_cleanup_(freep) char *pattern = at("cache/swept/*");
	struct timespec old[2] = { { .tv_sec = time(NULL) - 61 }, { .tv_sec = 0 } };
	char name[LEFT_NAME_SIZE];
	pid_t pid = living();
	glob_t g;

	left_name(LEFT_KEPT, pid, name);
	end(pid);
	left_sweep(cache, dir);
	put_file(name);
	left_sweep(cache, dir);
	assert_true(is_there(name));
	assert_int_equal(glob(pattern, 0, NULL, &g), 0);
	assert_int_equal(g.gl_pathc, 1);
	old[1] = old[0];
	assert_int_equal(utimensat(AT_FDCWD, g.gl_pathv[0], old, 0), 0);
	globfree(&g);
	left_sweep(cache, dir);
	assert_false(is_there(name));
}

/* What another user's killed process left: in a directory of one's own, or of several users. */
static void
test_shared(void **state)
{
	const struct share alone = { .on = false }, shared = { .on = true, .gid = getegid() };
	char put[LEFT_NAME_SIZE], part[LEFT_NAME_SIZE + 8], mine[LEFT_NAME_SIZE + 8];
	_cleanup_(freep) char *path = NULL, *cache = at("cache"), *notes = at("cache/swept");
	pid_t dead, alive;
	struct stat st;

	if (geteuid() != 0)
		skip();
	dead = living();
	alive = living();
	left_name(LEFT_PUT, dead, put);
	snprintf(part, sizeof(part), "%s-000001", put);
	left_name(LEFT_PUT, alive, put);
	snprintf(mine, sizeof(mine), "%s-000001", put);
	put_file(part);
	put_file(mine);
	path = at(part);
	assert_int_equal(chown(path, 54321, 54321), 0);
	end(dead);
	left_sweep_shared(&alone, NULL, dir);
	assert_true(is_there(part));
	left_sweep_shared(&shared, cache, dir);
	assert_false(is_there(part));
	assert_true(is_there(mine));
	end(alive);
	/* the note that says when is for all of them */
	assert_int_equal(stat(notes, &st), 0);
	assert_int_equal(st.st_mode & 07777, SHARE_DIR_MODE);
	left_sweep_shared(&shared, cache, dir);
	assert_true(is_there(mine));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_killed_process),
		T(test_a_directory),
		T(test_a_number_used_again),
		T(test_another_place),
		T(test_other_names),
		T(test_other_kinds),
		T(test_not_each_time),
		T(test_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
