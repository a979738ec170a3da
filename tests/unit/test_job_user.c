/* Uids of jobs' own: what a job makes is out of the worker's reach, until the worker takes it; and
 * nothing that it leaves in its place is followed. Root's tests; others need newuidmap(1). */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "common/fs.h"
#include "worker/sandbox/job_user.h"

struct place {
	char *dir, *out;
	int fd; /* of out */
	struct job_users *users;
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	const struct passwd *own = getpwuid(geteuid());
	const struct job_users_conf c = { own ? own->pw_name : NULL, geteuid(), getegid(), 2 };
	const char *tmp = getenv("TMPDIR");
	_cleanup_(freep) char *why = NULL;

	assert_non_null(p);
	assert_int_equal(fs_make_temp_dir(tmp ? tmp : "/tmp", "dray-user-", &p->dir), 0);
	p->out = path_join(p->dir, "out");
	assert_non_null(p->out);
	assert_int_equal(mkdir(p->out, 0777), 0);
	assert_int_equal(chmod(p->out, 0777), 0);
	p->fd = open(p->out, O_RDONLY | O_DIRECTORY);
	assert_true(p->fd >= 0);
	if (job_users_open(&c, &p->users, &why) < 0)
		print_message("%s\n", why);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	if (p->users)
		assert_int_equal(job_users_remove(p->users, p->dir), 0);
	fs_rm_rf(p->dir);
	job_users_freep(&p->users);
	close(p->fd);
	free(p->dir);
	free(p->out);
	free(p);
	return 0;
}

#define NEEDS_USERS(p)           \
	do {                     \
		if (!(p)->users) \
			skip();  \
	} while (0)

/* As bwrap does it; the script's status. */
static int
as_job(const struct job_user *u, const struct place *p, const char *script)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		gid_t id = job_user_inside(u);

		if (fchdir(p->fd) < 0 || setns(job_user_ns(u), CLONE_NEWUSER) < 0 ||
			setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
			_exit(100);
		execl("/bin/sh", "sh", "-c", script, NULL);
		_exit(101);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static struct stat
look(const struct place *p, const char *name)
{
	struct stat st;

	if (fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		fail_msg("%s: %s", name, strerror(errno));
	return st;
}

static void
test_each_its_own(void **state)
{
	struct place *p = *state;
	struct job_user *a, *b;

	NEEDS_USERS(p);
	a = job_users_take(p->users);
	b = job_users_take(p->users);
	assert_non_null(a);
	assert_non_null(b);
	assert_null(job_users_take(p->users));
	assert_int_equal(as_job(a, p, "echo a > a && test $(id -u) = 1000"), 0);
	assert_int_equal(as_job(b, p, "echo b > b && test $(id -u) = 1000"), 0);
	assert_int_not_equal(look(p, "a").st_uid, look(p, "b").st_uid);
	assert_int_not_equal(look(p, "a").st_gid, look(p, "b").st_gid);
	assert_true(look(p, "a").st_uid >= job_users_first(p->users));
	assert_true(look(p, "b").st_uid >= job_users_first(p->users));
	/* neither what is the worker's nor what is another job's */
	assert_int_not_equal(as_job(b, p, "echo x >> a"), 0);
	assert_int_not_equal(as_job(a, p, "chmod 777 ."), 0);
	job_users_give(a);
	assert_ptr_equal(job_users_take(p->users), a);
}

static void
test_taken_over(void **state)
{
	struct place *p = *state;
	struct job_user *u;
	_cleanup_(freep) char *own = NULL, *theirs = NULL;
	struct stat st;

	NEEDS_USERS(p);
	u = job_users_take(p->users);
	own = path_join(p->dir, "own");
	theirs = path_join(p->out, "theirs");
	assert_int_equal(fs_write_atomic(theirs, "blob", 4, 0600), 0);
	assert_int_equal(fs_write_atomic(own, "mine", 4, 0600), 0);
	assert_int_equal(as_job(u, p,
				 "umask 077; mkdir -p d/e; echo x > d/e/f; ln -s ../own link; "
				 "ln -s .. up; mkfifo fifo; echo run > run; chmod 4711 run; "
				 "chmod 0 d/e/f d/e d"),
		0);
	assert_int_not_equal(look(p, "d").st_uid, geteuid());
	assert_int_equal(job_user_open_up(u, p->fd), 0);
	assert_int_equal(look(p, "d/e/f").st_mode & 07777, 0444);
	assert_int_equal(look(p, "d").st_mode & 07777, 0555);
	/* the worker's own, which may be a name of a blob */
	assert_int_equal(look(p, "theirs").st_mode & 07777, 0600);
	assert_int_not_equal(look(p, "d").st_uid, geteuid());
	assert_int_equal(job_user_take_over(u, p->fd), 0);
	for (const char *const *n = (const char *const[]){ "d", "d/e", "d/e/f", "link", "up",
		     "fifo", "run", NULL };
		*n; n++) {
		assert_int_equal(look(p, *n).st_uid, geteuid());
		assert_int_equal(look(p, *n).st_gid, getegid());
	}
	assert_int_equal(look(p, "run").st_mode & 07777, 0711 | 0444);
	/* nothing beside it, by no link */
	assert_int_equal(stat(own, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(p->dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void
test_access_lists_go(void **state)
{
	/* version 2; the owner, user 1000 (of the job's own namespace), the group, a mask, others
	 */
	static const char script[] = "echo x > f && python3 -c 'import os,struct; E=lambda t,p,i: "
				     "struct.pack(\"<HHI\",t,p,i);"
				     "os.setxattr(\"f\",\"system.posix_acl_access\",struct.pack(\"<"
				     "I\",2)+E(1,6,2**32-1)+"
				     "E(2,6,1000)+E(4,4,2**32-1)+E(16,6,2**32-1)+E(32,4,2**32-1))'";
	struct place *p = *state;
	struct job_user *u;
	_cleanup_(freep) char *path = NULL;

	NEEDS_USERS(p);
	u = job_users_take(p->users);
	if (as_job(u, p, script) != 0)
		skip(); /* no such lists here */
	path = path_join(p->out, "f");
	assert_true(getxattr(path, "system.posix_acl_access", NULL, 0) > 0);
	assert_int_equal(job_user_take_over(u, p->fd), 0);
	assert_true(getxattr(path, "system.posix_acl_access", NULL, 0) < 0);
	assert_int_not_equal(as_job(u, p, "echo y >> f"), 0);
}

/* Deeper than what is taken over. */
static void
test_removed(void **state)
{
	struct place *p = *state;
	struct job_user *u;

	NEEDS_USERS(p);
	u = job_users_take(p->users);
	assert_int_equal(as_job(u, p,
				 "d=d/d/d/d/d; d=$d/$d/$d/$d/$d; mkdir -p $d/$d/$d/$d && "
				 "echo x > $d/$d/$d/$d/f && chmod 0 $d/$d/$d/$d"),
		0);
	assert_int_equal(job_user_take_over(u, p->fd), 0);
	assert_int_equal(look(p, "d").st_uid, geteuid());
	assert_int_equal(job_users_remove(p->users, p->out), 0);
	assert_false(fs_exists(p->out));
	/* nothing is there: as fs_rm_rf */
	assert_int_equal(job_users_remove(p->users, p->out), 0);
}

static void
test_given_up(void **state)
{
	struct place *p = *state;

	assert_null(job_users_take(NULL));
	assert_false(job_users_are(NULL));
	job_users_give(NULL);
	NEEDS_USERS(p);
	assert_true(job_users_are(p->users));
	job_users_give_up(p->users);
	assert_false(job_users_are(p->users));
	assert_null(job_users_take(p->users));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_its_own, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_taken_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_access_lists_go, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_given_up, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
