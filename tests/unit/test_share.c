/* share: groups by name and by number, directories that are believed or refused, and modes that no
 * umask has a part in. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cmocka.h>

#include "common/fs.h"
#include "common/share.h"

static char *dir;
static char group[16]; /* one that this process is of */

static int
setup(void **state)
{
	snprintf(group, sizeof(group), "%u", (unsigned)getegid());
	return fs_make_temp_dir("/tmp", "dray-test-", &dir);
}

static int
teardown(void **state)
{
	int r = fs_rm_rf(dir);

	free(dir);
	umask(022);
	return r;
}

static const char *
at(const char *name)
{
	static char space[4][4096];
	static unsigned next;
	char *p = space[next++ % 4];

	snprintf(p, sizeof(space[0]), "%s/%s", dir, name);
	return p;
}

/* -1: there is none. */
static long
gid_in(const char *text, const char *name)
{
	gid_t gid = 77;

	if (share_parse(text, strlen(text), name, &gid) == 0)
		return (long)gid;
	assert_int_equal(gid, 77);
	return -1;
}

static void
test_parse(void **state)
{
	static const char text[] = "root:x:0:\n"
				   "# a comment\n"
				   "\n"
				   "+\n"
				   "builders:x:1007:ann,bob\n"
				   "short:x\n"
				   "shorter\n"
				   "empty:x::\n"
				   "word:x:12a:\n"
				   "minus:x:-1:\n"
				   "nobody:x:4294967295:\n"
				   "huge:x:99999999999999999999999:\n"
				   "last:x:4294967294:";

	assert_int_equal(gid_in(text, "root"), 0);
	assert_int_equal(gid_in(text, "builders"), 1007);
	assert_int_equal(gid_in(text, "last"), 4294967294);
	/* not by a beginning, a member, or another field */
	assert_int_equal(gid_in(text, "builder"), -1);
	assert_int_equal(gid_in(text, "buildersx"), -1);
	assert_int_equal(gid_in(text, "ann"), -1);
	assert_int_equal(gid_in(text, "x"), -1);
	assert_int_equal(gid_in(text, ""), -1);
	assert_int_equal(gid_in(text, "short"), -1);
	assert_int_equal(gid_in(text, "shorter"), -1);
	assert_int_equal(gid_in(text, "empty"), -1);
	assert_int_equal(gid_in(text, "word"), -1);
	assert_int_equal(gid_in(text, "minus"), -1);
	assert_int_equal(gid_in(text, "nobody"), -1);
	assert_int_equal(gid_in(text, "huge"), -1);
	assert_int_equal(gid_in("", "root"), -1);
	/* numbers, of which nothing is looked up */
	assert_int_equal(gid_in("", "0"), 0);
	assert_int_equal(gid_in("", "4294967294"), 4294967294);
	assert_int_equal(gid_in("", "4294967295"), -1);
	assert_int_equal(gid_in("", "99999999999999999999"), -1);
	/* each cut of it, with nothing behind it */
	for (size_t n = 0; n < sizeof(text); n++) {
		_cleanup_(freep) char *cut = malloc(n + 1);
		gid_t gid;

		assert_non_null(cut);
		memcpy(cut, text, n);
		(void)share_parse(cut, n, "last", &gid);
		assert_int_equal(share_parse(cut, n, "word", &gid), -ENOENT);
	}
}

static void
assert_refused(const char *path, const char *name, const char *want)
{
	struct share s = { .on = false };
	char why[SHARE_WHY_SIZE] = "";

	assert_int_equal(share_check(path, name, &s, why), -EPERM);
	assert_false(s.on);
	if (!strstr(why, want))
		fail_msg("\"%s\" is not in \"%s\"", want, why);
}

static void
assert_accepted(const char *path)
{
	struct share s = { .on = false };
	char why[SHARE_WHY_SIZE] = "";

	if (share_check(path, group, &s, why) < 0)
		fail_msg("%s", why);
	assert_true(s.on);
	assert_int_equal(s.gid, getegid());
}

static void
set_mode(const char *path, mode_t mode)
{
	assert_int_equal(chmod(path, mode), 0);
}

static void
test_check(void **state)
{
	_cleanup_(freep) char *d = path_join(dir, "d");
	_cleanup_(freep) char *deep = NULL;

	assert_refused(d, "no-such-group", "no group no-such-group");
	assert_refused(d, "4294967290", "not of the group 4294967290");
	assert_refused(NULL, group, "cache_dir is not");
	assert_refused("", group, "cache_dir is not");
	/* it can be made */
	assert_accepted(d);
	assert_refused(at("not/there"), group, "install -d -m 2770");
	assert_int_equal(mkdir(d, 0700), 0);
	set_mode(d, 02770);
	assert_accepted(d);
	set_mode(d, 02777);
	assert_refused(d, group, "anybody may write");
	set_mode(d, 02775);
	assert_refused(d, group, "has mode 2775");
	set_mode(d, 0770);
	assert_refused(d, group, "has mode 0770: chmod 2770");
	set_mode(d, 03770);
	assert_refused(d, group, "has mode 3770");
	set_mode(d, 02770);
	assert_int_equal(symlink(d, at("link")), 0);
	assert_refused(at("link"), group, "symbolic link");
	assert_int_equal(fs_write_atomic(at("file"), "x", 1, 02770), 0);
	assert_refused(at("file"), group, "no directory");
	if (geteuid() == 0) {
		assert_int_equal(chown(d, (uid_t)-1, 54321), 0);
		set_mode(d, 02770);
		assert_refused(d, group, "another group");
	}
	/* no path is too long to be spoken of */
	deep = malloc(3001);
	assert_non_null(deep);
	memset(deep, 'x', 3000);
	deep[0] = '/';
	deep[3000] = '\0';
	assert_refused(deep, group, "/xxx");
}

/* As setfacl -m u:54321:rwx makes it, with -d where it is the default of what is made there. False:
 * the file system has no lists. */
static bool
add_list(const char *path, const char *kind)
{
	struct {
		struct posix_acl_xattr_header header;
		struct posix_acl_xattr_entry entries[5];
	} acl = { { htole32(POSIX_ACL_XATTR_VERSION) },
		{
			{ htole16(ACL_USER_OBJ), htole16(7), htole32(ACL_UNDEFINED_ID) },
			{ htole16(ACL_USER), htole16(7), htole32(54321) },
			{ htole16(ACL_GROUP_OBJ), htole16(7), htole32(ACL_UNDEFINED_ID) },
			{ htole16(ACL_MASK), htole16(7), htole32(ACL_UNDEFINED_ID) },
			{ htole16(ACL_OTHER), htole16(0), htole32(ACL_UNDEFINED_ID) },
		} };

	return setxattr(path, kind, &acl, sizeof(acl), 0) == 0;
}

/* The mode tells nothing of it. */
static void
test_access_lists(void **state)
{
	static const char *const kinds[] = { "system.posix_acl_access",
		"system.posix_acl_default" };

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		_cleanup_(freep) char *d = path_join(dir, kinds[i]);
		struct stat st;

		assert_int_equal(mkdir(d, 0700), 0);
		set_mode(d, 02770);
		assert_accepted(d);
		if (!add_list(d, kinds[i]))
			skip();
		assert_int_equal(stat(d, &st), 0);
		assert_int_equal(st.st_mode & 07777, 02770);
		assert_refused(d, group, "has an access list, which may let others in: setfacl -b");
		assert_int_equal(removexattr(d, kinds[i]), 0);
		assert_accepted(d);
	}
}

static void
test_above(void **state)
{
	_cleanup_(freep) char *d = path_join(dir, "open/deep/d");

	assert_int_equal(fs_mkdir_p(at("open/deep"), 0755), 0);
	/* who makes it first has it */
	set_mode(at("open/deep"), 01777);
	assert_refused(d, group, "is not there: install -d");
	set_mode(at("open/deep"), 0755);
	assert_accepted(d);
	assert_int_equal(mkdir(d, 0700), 0);
	set_mode(d, 02770);
	assert_accepted(d);
	/* another one in its place, or in that of one above */
	set_mode(at("open/deep"), 0777);
	assert_refused(d, group, "open/deep, and put another directory in the place");
	set_mode(at("open/deep"), 01777);
	assert_accepted(d);
	set_mode(at("open"), 0777);
	assert_refused(d, group, "open, and put another directory in the place");
	set_mode(at("open"), 01777);
	assert_accepted(d);
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_gid, getegid());
	return st.st_mode & 07777;
}

static unsigned
entries_of(const char *path)
{
	_cleanup_(closedirp) DIR *d = opendir(path);
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	return n - 2;
}

static void
test_modes(void **state)
{
	static const mode_t masks[] = { 0, 022, 077, 0277 };
	const struct share s = { .on = true, .gid = getegid() };
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(masks); i++) {
		_cleanup_(freep) char *top = path_join(dir, "top");
		_cleanup_(closep) int fd = -1, again = -1;
		char text[4] = "";

		umask(masks[i]);
		assert_int_equal(share_mkdir_p(&s, top, at("top/a/b"), 0700), 0);
		assert_int_equal(share_mkdir_p(&s, top, at("top/a/b"), 0700), 0);
		assert_int_equal(mode_of(top), 02770);
		assert_int_equal(mode_of(at("top/a")), 02770);
		assert_int_equal(mode_of(at("top/a/b")), 02770);
		fd = share_open(&s, at("top/a/f"), 0600);
		assert_true(fd >= 0);
		assert_int_equal(mode_of(at("top/a/f")), 0660);
		assert_int_equal(write(fd, "abc", 3), 3);
		/* the one that is there */
		again = share_open(&s, at("top/a/f"), 0600);
		assert_int_equal(read(again, text, 3), 3);
		assert_string_equal(text, "abc");
		assert_int_equal(share_seal(&s, fd, SHARE_SEALED_MODE), 0);
		assert_int_equal(mode_of(at("top/a/f")), 0440);
		/* nothing is left beside them */
		assert_int_equal(entries_of(top), 1);
		assert_int_equal(entries_of(at("top/a")), 2);
		umask(022);
		assert_int_equal(fs_rm_rf(top), 0);
	}
	/* above it nothing is made, and no link is followed */
	assert_int_equal(share_mkdir_p(&s, at("no/top"), at("no/top/a"), 0700), -ENOENT);
	assert_int_equal(lstat(at("no"), &st), -1);
	assert_int_equal(symlink("/tmp", at("tmp")), 0);
	assert_int_equal(share_mkdir_p(&s, dir, at("tmp"), 0700), -ENOTDIR);
	assert_int_equal(symlink("/nonexistent", at("file")), 0);
	assert_int_equal(share_open(&s, at("file"), 0600), -ELOOP);
	assert_int_equal(share_open(&s, at("no/file"), 0600), -ENOENT);
}

static void
test_off(void **state)
{
	const struct share s = { .on = false };
	_cleanup_(closep) int fd = -1;

	umask(022);
	assert_int_equal(share_mkdir_p(&s, at("a"), at("a/b"), 0700), 0);
	assert_int_equal(mode_of(at("a/b")), 0700);
	fd = share_open(&s, at("a/f"), 0600);
	assert_true(fd >= 0);
	assert_int_equal(mode_of(at("a/f")), 0600);
	assert_int_equal(share_seal(&s, fd, 0400), 0);
	assert_int_equal(mode_of(at("a/f")), 0400);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test_setup_teardown(test_check, setup, teardown),
		cmocka_unit_test_setup_teardown(test_access_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_above, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_off, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
