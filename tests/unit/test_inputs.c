/* Inputs from records of the tracer, checked again: files, links, listings, places. */
#include "config.h"

#include <poll.h>
#include <stdio.h>
#include <sys/xattr.h>

#include "common/clock.h"
#include "tests/unit/inputs_fixture.h"

static void
every_letter(void **state)
{
	char listed[] = "LISTED=1";

	(void)state;
	env[0] = listed;
	put("lib.rs", "fn a() {}");
	assert_int_equal(mkdir(in("src"), 0755), 0);
	put("src/b.rs", "");
	assert_int_equal(mkdir(in("lone"), 0755), 0);
	item('f', in("lib.rs"));
	item('f', in("src/b.rs"));
	item('f', in("src"));
	item('f', in("lone"));
	item('a', in("src/c.rs"));
	item('d', in("src"));
	item('m', "LISTED");
	item('r', "UNSET");
	item('w', in("out/liba.rlib"));
	take_all();
	assert_true(has(INPUT_FILE, in("lib.rs")));
	assert_true(has(INPUT_FILE, in("src/b.rs")));
	/* a file below it says that it is there */
	assert_false(has(INPUT_EXISTS, in("src")));
	assert_true(has(INPUT_EXISTS, in("lone")));
	assert_true(has(INPUT_ABSENT, in("src/c.rs")));
	assert_true(has(INPUT_LISTING, in("src")));
	assert_true(has(INPUT_ENV, "LISTED"));
	assert_true(has(INPUT_ENV, "UNSET"));
	assert_int_equal(n_named(), 7);
	assert_int_equal(made.n, 1);
	assert_string_equal(made.v[0], in("out/liba.rlib"));
	all_is_as_it_was();
}

static void
what_changes(void **state)
{
	char set[] = "SEEN=1", other[] = "SEEN=2", empty[] = "SEEN=";

	(void)state;
	put("a", "one");
	put("gone", "x");
	assert_int_equal(mkdir(in("d"), 0755), 0);
	item('f', in("a"));
	item('f', in("d"));
	item('a', in("n"));
	item('d', in("d"));
	item('m', "SEEN");
	take_all();
	all_is_as_it_was();
	put("a", "two");
	is_stale("a changed");
	assert_int_equal(unlink(in("a")), 0);
	is_stale("a is gone");
	assert_int_equal(mkdir(in("a"), 0755), 0);
	is_stale("a is gone");
	assert_int_equal(rmdir(in("a")), 0);
	put("a", "one");
	all_is_as_it_was();
	put("n", "");
	is_stale("n is new");
	assert_int_equal(unlink(in("n")), 0);
	put("d/x", "");
	is_stale("d has other files");
	assert_int_equal(unlink(in("d/x")), 0);
	all_is_as_it_was();
	assert_int_equal(rmdir(in("d")), 0);
	is_stale("d is gone");
	put("d", "");
	is_stale("d is a file now");
	assert_int_equal(unlink(in("d")), 0);
	assert_int_equal(mkdir(in("d"), 0755), 0);
	env[0] = set;
	is_stale("variable SEEN is set now");
	env[0] = empty;
	is_stale("variable SEEN is set now");
	forget();
	env[0] = set;
	item('r', "SEEN");
	take_all();
	all_is_as_it_was();
	env[0] = other;
	is_stale("variable SEEN changed");
	env[0] = NULL;
	is_stale("variable SEEN is not set now");
}

/* A name and its kind: a file in a directory's place is another listing. */
static void
listings(void **state)
{
	(void)state;
	assert_int_equal(mkdir(in("d"), 0755), 0);
	assert_int_equal(mkdir(in("d/x"), 0755), 0);
	put("d/y", "1");
	item('d', in("d"));
	take_all();
	put("d/y", "22");
	all_is_as_it_was();
	assert_int_equal(rmdir(in("d/x")), 0);
	put("d/x", "");
	is_stale("other files");
	forget();
	/* the out-dir's own, and -L's */
	assert_int_equal(strv_add(&ignored, in("d")), 0);
	item('d', in("d"));
	item('d', out);
	take_all();
	assert_int_equal(n_named(), 0);
}

static void
links(void **state)
{
	(void)state;
	assert_int_equal(mkdir(in("v1"), 0755), 0);
	put("v1/x", "same");
	assert_int_equal(mkdir(in("v2"), 0755), 0);
	put("v2/x", "same");
	assert_int_equal(symlink("v1", in("now")), 0);
	assert_int_equal(symlink("nowhere", in("dead")), 0);
	item('f', in("now"));
	item('f', in("now/x"));
	item('a', in("dead"));
	take_all();
	assert_true(has(INPUT_LINK, in("now")));
	assert_true(has(INPUT_LINK, in("dead")));
	all_is_as_it_was();
	assert_int_equal(unlink(in("now")), 0);
	assert_int_equal(symlink("v2", in("now")), 0);
	is_stale("now leads elsewhere");
	assert_int_equal(unlink(in("now")), 0);
	assert_int_equal(rename(in("v2"), in("now")), 0);
	is_stale("now is no symbolic link now");
	assert_int_equal(fs_rm_rf(in("now")), 0);
	assert_int_equal(symlink("v1", in("now")), 0);
	all_is_as_it_was();
	assert_int_equal(unlink(in("dead")), 0);
	is_stale("dead is no symbolic link now");
}

static void
torn(void **state)
{
	(void)state;
	put("a", "");
	assert_int_equal(take(), -EBADMSG);
	forget();
	item('f', in("a"));
	assert_int_equal(take(), -EBADMSG);
	forget();
	item('f', in("a"));
	item('e', "1");
	record.n--;
	assert_int_equal(take(), -EBADMSG);
	forget();
	item('f', in("a"));
	item('?', "what");
	item('e', "1");
	assert_int_equal(take(), -EBADMSG);
	forget();
	item('e', "1");
	item('f', in("a"));
	assert_int_equal(take(), -EBADMSG);
	forget();
	/* an empty item */
	assert_int_equal(buf_add(&record, "", 1), 0);
	item('e', "1");
	assert_int_equal(take(), -EBADMSG);
	forget();
	item('!', "it used the network");
	cannot_be_kept("it used the network");
}

static void
moving_ground(void **state)
{
	(void)state;
	/* what was there is not, and the other way round */
	item('f', in("a"));
	cannot_be_kept("was there, and is not any more");
	put("a", "");
	item('a', in("a"));
	cannot_be_kept("was not there, and is now");
	/* by its mtime, and by its ctime alone */
	clock_gettime(CLOCK_REALTIME, &from.started);
	from.started.tv_sec -= 60;
	item('f', in("a"));
	cannot_be_kept("changed while it was read");
	assert_int_equal(fs_write_atomic(in("b"), "", 0, 0644), 0);
	item('f', in("b"));
	cannot_be_kept("changed while it was read");
	/* cargo links what lies in the out-dir: its ctime says nothing, its mtime does */
	put("out/liba.rlib", "rlib");
	item('f', in("out/liba.rlib"));
	take_all();
	forget();
	assert_int_equal(fs_write_atomic(in("out/libb.rlib"), "", 0, 0644), 0);
	item('f', in("out/libb.rlib"));
	cannot_be_kept("changed while it was read");
	assert_int_equal(mkdir(in("d"), 0755), 0);
	item('d', in("d"));
	cannot_be_kept("changed while it was listed");
}

/* What a path leads to by other ways than its last name. */
static void
ways_that_change_meanwhile(void **state)
{
	struct timespec old[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
	const char *const dirs[] = { "one", "one/sub", "two", "two/sub" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		assert_int_equal(mkdir(in(dirs[i]), 0755), 0);
	put("one/sub/a", "1");
	put("two/sub/a", "2");
	assert_int_equal(symlink("one", in("now")), 0);
	assert_int_equal(symlink("now/sub", in("far")), 0);
	item('f', in("now/sub/a"));
	item('f', in("far/a"));
	take_all();
	forget();
	/* all files here are older than the compile */
	poll(NULL, 0, 20);
	clock_gettime(CLOCK_REALTIME_COARSE, &from.started);
	poll(NULL, 0, 20);
	item('f', in("now/sub/a"));
	item('f', in("far/a"));
	take_all();
	forget();
	assert_int_equal(symlink("two", in("new")), 0);
	assert_int_equal(rename(in("new"), in("now")), 0);
	item('f', in("now/sub/a"));
	cannot_be_kept("now changed while it was read");
	item('d', in("now/sub"));
	cannot_be_kept("now changed while it was read");
	/* a link to a path with a link in it */
	item('f', in("far/a"));
	cannot_be_kept("now changed while it was read");
	/* a directory in another one's place */
	assert_int_equal(rename(in("one"), in("old")), 0);
	assert_int_equal(utimensat(AT_FDCWD, in("two"), old, 0), 0);
	assert_int_equal(rename(in("two"), in("one")), 0);
	item('f', in("one/sub/a"));
	cannot_be_kept("one changed while it was read");
	/* a new file in it is none of its business */
	put("one/b", "");
	item('f', in("one/sub/a"));
	take_all();
}

static void
odd_names(void **state)
{
	(void)state;
	put("a\nb", "x");
	put("with space", "x");
	item('f', in("a\nb"));
	item('f', in("with space"));
	take_all();
	assert_int_equal(n_named(), 2);
	all_is_as_it_was();
	forget();
	put("a\x01z", "x");
	item('f', in("a\x01z"));
	cannot_be_kept("odd name");
}

/* Wherever the out-dir is, and by whichever of its names. */
static void
out_dir_is_relative(void **state)
{
	char other[PATH_MAX + 16];

	(void)state;
	put("out/liba.rmeta", "a");
	snprintf(real_out, sizeof(real_out), "%s/disk", dir);
	assert_int_equal(rename(out, real_out), 0);
	assert_int_equal(symlink("disk", out), 0);
	item('f', in("out/liba.rmeta"));
	item('f', in("disk/liba.rmeta"));
	item('a', in("disk/libc.rmeta"));
	/* where the out-dir lies is the user's choice */
	item('f', out);
	/* made by one name, looked for by the other */
	item('a', in("disk/new.d"));
	item('w', in("out/new.d"));
	item('f', in("out/old.d"));
	item('w', in("disk/old.d"));
	take_all();
	assert_true(has(INPUT_FILE, "\x01liba.rmeta"));
	assert_true(has(INPUT_ABSENT, "\x01libc.rmeta"));
	assert_int_equal(n_named(), 3);
	all_is_as_it_was();
	snprintf(other, sizeof(other), "%s/other", dir);
	assert_int_equal(rename(real_out, other), 0);
	place.out_dir = place.real_out_dir = other;
	all_is_as_it_was();
	place.out_dir = place.real_out_dir = dir;
	is_stale("liba.rmeta is gone");
}

/* Elsewhere in the target directory: by its place in it. */
static void
what_is_in_the_target_directory(void **state)
{
	static char target[PATH_MAX + 16], other[PATH_MAX + 16];

	(void)state;
	snprintf(target, sizeof(target), "%s/target", dir);
	snprintf(other, sizeof(other), "%s/elsewhere", dir);
	assert_int_equal(mkdir(target, 0755), 0);
	assert_int_equal(mkdir(in("target/build"), 0755), 0);
	place.target_dir = place.real_target_dir = target;
	put("target/liba.rlib", "a");
	put("target/build/made.rs", "b");
	put("beside", "c");
	item('f', in("target/liba.rlib"));
	item('f', in("target/build/made.rs"));
	item('a', in("target/build/none"));
	item('f', in("beside"));
	take_all();
	assert_true(has(INPUT_FILE, "\2liba.rlib"));
	assert_true(has(INPUT_FILE, "\2build/made.rs"));
	assert_true(has(INPUT_ABSENT, "\2build/none"));
	assert_true(has(INPUT_FILE, in("beside")));
	all_is_as_it_was();
	/* another one, while the first is what it was */
	assert_int_equal(mkdir(other, 0755), 0);
	assert_int_equal(mkdir(in("elsewhere/build"), 0755), 0);
	put("elsewhere/liba.rlib", "a");
	put("elsewhere/build/made.rs", "other");
	place.target_dir = place.real_target_dir = other;
	is_stale("build/made.rs changed");
	put("elsewhere/build/made.rs", "b");
	all_is_as_it_was();
	put("elsewhere/build/none", "");
	is_stale("build/none is new");
	place.target_dir = place.real_target_dir = NULL;
	is_stale("liba.rlib is gone");
	forget();
	place.target_dir = place.real_target_dir = target;
	put("target/odd\x02name", "");
	item('f', in("target/odd\x02name"));
	cannot_be_kept("an input with an odd name");
}

static void
extended_attributes(void **state)
{
	(void)state;
	put("file", "x");
	put("plain", "x");
	assert_int_equal(symlink("file", in("link")), 0);
	if (setxattr(in("file"), "user.a", "1", 1, 0) < 0 && errno == ENOTSUP)
		skip();
	item('y', in("plain"));
	item('y', in("link"));
	item('y', in("absent"));
	take_all();
	assert_int_equal(n_named(), 2);
	all_is_as_it_was();
	/* that there is none is an input, too */
	assert_int_equal(setxattr(in("plain"), "user.a", "", 0, 0), 0);
	is_stale("/plain changed");
	assert_int_equal(removexattr(in("plain"), "user.a"), 0);
	all_is_as_it_was();
	assert_int_equal(setxattr(in("file"), "user.a", "2", 1, 0), 0);
	is_stale("/link changed");
	assert_int_equal(setxattr(in("file"), "user.a", "1", 1, 0), 0);
	assert_int_equal(setxattr(in("file"), "user.b", "1", 1, 0), 0);
	is_stale("/link changed");
	assert_int_equal(unlink(in("plain")), 0);
	is_stale("/plain changed");
	forget();
	from.started.tv_sec -= 7200;
	item('y', in("file"));
	cannot_be_kept("file changed while it was looked at");
}

/* cargo gives what is there other names while it is read. */
static void
an_artifact_gets_another_name(void **state)
{
	static char target[PATH_MAX + 16];

	(void)state;
	snprintf(target, sizeof(target), "%s/target", dir);
	assert_int_equal(mkdir(target, 0755), 0);
	place.target_dir = place.real_target_dir = target;
	put("target/liba.rlib", "a");
	put("target/made.rs", "b");
	/* between their mtimes and now, which are their ctimes */
	from.started.tv_sec -= 7200;
	item('f', in("target/liba.rlib"));
	take_all();
	forget();
	item('f', in("target/made.rs"));
	cannot_be_kept("made.rs changed while it was read");
}

/* Later than what was written before the process began, and by the clock that files have. */
static void
start(void **state)
{
	struct timespec began, now;
	struct stat st;
	char stamp[64];

	(void)state;
	assert_int_equal(fs_write_atomic(in("before"), "", 0, 0644), 0);
	assert_int_equal(stat(in("before"), &st), 0);
	clock_gettime(CLOCK_REALTIME, &began);
	now = clock_stamp_after(&began);
	assert_true(st.st_mtim.tv_sec < now.tv_sec ||
		    (st.st_mtim.tv_sec == now.tv_sec && st.st_mtim.tv_nsec < now.tv_nsec));
	from.started = now;
	item('f', in("before"));
	take_all();
	forget();
	/* the record knows better */
	from.started = began;
	from.started.tv_sec -= 60;
	item('f', in("before"));
	cannot_be_kept("before changed while it was read");
	forget();
	snprintf(stamp, sizeof(stamp), "%lld %ld", (long long)now.tv_sec, now.tv_nsec);
	item('t', stamp);
	item('f', in("before"));
	take_all();
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
		T(every_letter),
		T(what_changes),
		T(listings),
		T(links),
		T(torn),
		T(moving_ground),
		T(ways_that_change_meanwhile),
		T(odd_names),
		T(out_dir_is_relative),
		T(what_is_in_the_target_directory),
		T(an_artifact_gets_another_name),
		T(extended_attributes),
		T(start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
