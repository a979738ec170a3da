/* user.c: who is chosen; and as root, what is given away, and that nothing of root is left. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/fs.h"
#include "worker/user.h"

#define OTHER "nobody"

static char *
below(const char *dir, const char *name)
{
	char *s = path_join(dir, name);

	assert_non_null(s);
	return s;
}

static void
put(const char *dir, const char *name)
{
	_cleanup_(freep) char *path = below(dir, name);

	assert_int_equal(fs_mkdir_parent(path, 0755), 0);
	assert_int_equal(fs_write_atomic(path, "x", 1, 0600), 0);
}

static uid_t
owner(const char *dir, const char *name)
{
	_cleanup_(freep) char *path = below(dir, name);
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_uid;
}

static int
choose(const char *set, struct worker_user *ret, char **ret_error)
{
	*ret_error = NULL;
	return worker_user_choose(set, ret, ret_error);
}

static void
test_choice(void **state)
{
	_cleanup_(worker_user_done) struct worker_user u = { .name = NULL };
	_cleanup_(freep) char *unknown = NULL, *refusal = NULL, *root = NULL, *error = NULL;

	assert_int_equal(choose("no-such-user", &u, &unknown), -ENOENT);
	assert_non_null(strstr(unknown, "no-such-user"));
	assert_int_equal(choose("root", &u, &root), 0);
	assert_false(u.becomes);
	if (geteuid() != 0) {
		assert_int_equal(choose(NULL, &u, &error), 0);
		assert_false(u.becomes);
		return;
	}
	if (!getpwnam(USER_DEFAULT)) {
		assert_int_equal(choose("", &u, &refusal), -EPERM);
		assert_non_null(strstr(refusal, "--allow-root"));
	}
	assert_int_equal(choose(OTHER, &u, &error), 0);
	assert_true(u.becomes);
	assert_string_equal(u.name, OTHER);
	assert_int_not_equal(u.uid, 0);
}

static void
as_root(struct worker_user *u, char **ret_dir)
{
	_cleanup_(freep) char *error = NULL;

	if (geteuid() != 0 || !getpwnam(OTHER))
		skip();
	assert_int_equal(choose(OTHER, u, &error), 0);
	assert_int_equal(fs_make_temp_dir("/tmp", "dray-user-", ret_dir), 0);
}

/* A file and a directory that links lead to, and what another user has, stay as they are. */
static void
test_state(void **state)
{
	_cleanup_(worker_user_done) struct worker_user u = { .name = NULL };
	_cleanup_(freep) char *dir = NULL, *work = NULL, *error = NULL, *link = NULL, *to = NULL,
			      *dir_link = NULL, *others = NULL, *inner = NULL;

	as_root(&u, &dir);
	work = below(dir, "state");
	put(dir, "outside/file");
	put(work, "store/a/b/blob");
	put(work, "memo.lmdb");
	put(work, "toolchains/.new-1/tree/bin/rustc");
	put(work, "jobs/theirs/hard");
	to = below(dir, "outside/file");
	link = below(work, "jobs/link");
	inner = below(dir, "outside");
	dir_link = below(work, "base");
	others = below(work, "jobs/theirs");
	assert_int_equal(symlink(to, link), 0);
	assert_int_equal(symlink(inner, dir_link), 0);
	assert_int_equal(chown(others, 12345, 12345), 0);
	assert_int_equal(worker_user_give_state(&u, work, &error), 0);
	assert_int_equal(owner(dir, "state"), u.uid);
	assert_int_equal(owner(work, "store/a/b/blob"), u.uid);
	assert_int_equal(owner(work, "store/a"), u.uid);
	assert_int_equal(owner(work, "memo.lmdb"), u.uid);
	assert_int_equal(owner(work, "toolchains/.new-1/tree/bin/rustc"), u.uid);
	assert_int_equal(owner(work, "jobs/link"), u.uid);
	assert_int_equal(owner(work, "base"), u.uid);
	assert_int_equal(owner(dir, "outside"), 0);
	assert_int_equal(owner(dir, "outside/file"), 0);
	assert_int_equal(owner(work, "jobs/theirs"), 12345);
	assert_int_equal(owner(work, "jobs/theirs/hard"), 0);
	fs_rm_rf(dir);
}

static void
test_foreign_state(void **state)
{
	_cleanup_(worker_user_done) struct worker_user u = { .name = NULL };
	_cleanup_(freep) char *dir = NULL, *error = NULL;

	as_root(&u, &dir);
	put(dir, "store/blob");
	put(dir, "a-letter");
	assert_int_equal(worker_user_give_state(&u, dir, &error), -EEXIST);
	assert_non_null(strstr(error, "a-letter"));
	assert_int_equal(owner(dir, "store/blob"), 0);
	assert_int_equal(owner(dir, "store"), 0);
	fs_rm_rf(dir);
}

/* In a child: 0, or what is not as it is to be. */
static int
become(const struct worker_user *u, const char *dir)
{
	char *error = NULL;
	gid_t groups[64];
	uid_t r, e, s;
	int n;

	if (worker_user_become(u, &error) < 0)
		return 1;
	n = getgroups(ARRAY_LEN(groups), groups);
	if (n < 0 || getegid() != u->gid)
		return 7;
	/* jobs have these groups, and not that one */
	while (n-- > 0)
		if (groups[n] == u->gid)
			return 8;
	if (getresuid(&r, &e, &s) < 0 || r != u->uid || e != u->uid || s != u->uid)
		return 2;
	if (setuid(0) == 0 || setgid(0) == 0 || seteuid(0) == 0)
		return 3;
	if (open("/etc/shadow", O_RDONLY | O_CLOEXEC) >= 0)
		return 4;
	if (access("/proc/self/fd/0", F_OK) < 0)
		return 5;
	return worker_user_check_dir(u, dir, &error) == -EACCES ? 0 : 6;
}

static void
test_become(void **state)
{
	_cleanup_(worker_user_done) struct worker_user u = { .name = NULL };
	_cleanup_(freep) char *dir = NULL;
	int status;
	pid_t pid;

	as_root(&u, &dir);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(become(&u, dir));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	fs_rm_rf(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_foreign_state),
		cmocka_unit_test(test_become),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
