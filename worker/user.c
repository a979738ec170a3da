/* Invariant: after worker_user_become nothing of root's rights is left: no uid, no gid, no group,
 * no capability. Nothing is given away that root does not own, and nothing outside of the
 * directory: links are not followed. */
#include "config.h"

#include "worker/user.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "common/fs.h"
#include "common/text/why.h"
#include "worker/push/assembly.h"

#define DEPTH_MAX 16

static const struct passwd *
find(const char *name)
{
	const struct passwd *p = getpwnam(name);
	char *end;
	unsigned long uid = strtoul(name, &end, 10);

	if (!p && *name >= '0' && *name <= '9' && !*end && uid < (uid_t)-1)
		p = getpwuid((uid_t)uid);
	return p;
}

static int
refuse_root(char **ret_error)
{
	return why_set(ret_error, -EPERM,
		"This was started as root, and there is no user " USER_DEFAULT
		" to become: what gets out of a job's sandbox would be root. Make that user "
		"(useradd --system --home-dir /var/lib/dray --shell /usr/sbin/nologin " USER_DEFAULT
		"), name another one by [worker] user, or allow it by --allow-root.");
}

/* Not as root: the user stays as it is. */
static int
check_own(const char *set, const struct passwd *p, char **ret_error)
{
	const struct passwd *own;
	_cleanup_(freep) char *name = NULL;

	if (!p || p->pw_uid == 0 || p->pw_uid == geteuid())
		return 0;
	own = getpwuid(geteuid());
	name = own ? strdup(own->pw_name) : NULL;
	return why_set(ret_error, -EPERM,
		"[worker] user is %s, but this was started by %s, who cannot become %s: start it "
		"as %s or as root.",
		set, name ? name : "another user", set, set);
}

int
worker_user_choose(const char *set, struct worker_user *ret, char **ret_error)
{
	bool named = set && *set;
	const char *wanted = named ? set : USER_DEFAULT;
	const struct passwd *p = find(wanted);

	*ret = (struct worker_user){ .uid = geteuid(), .gid = getegid() };
	if (named && !p)
		return why_set(ret_error, -ENOENT, "[worker] user: there is no user %s.", set);
	if (geteuid() != 0)
		return named ? check_own(set, p, ret_error) : 0;
	if (!p)
		return refuse_root(ret_error);
	if (p->pw_uid == 0)
		return 0;
	ret->name = strdup(p->pw_name);
	if (!ret->name)
		return why_set(ret_error, -ENOMEM, "Out of memory.");
	ret->uid = p->pw_uid;
	ret->gid = p->pw_gid;
	ret->becomes = true;
	return 0;
}

void
worker_user_done(struct worker_user *u)
{
	free(u->name);
	*u = (struct worker_user){ .name = NULL };
}

/* ---- the state directory */

static bool
is_a_workers(const char *name)
{
	static const char *const names[] = { "store", "jobs", "jobs-spare", "base", "bin",
		ASSEMBLY_DIR, "lost+found" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(name, names[i]))
			return true;
	return starts_with(name, "memo");
}

/* Opens a directory at that name; NULL with errno set. */
static DIR *
open_dir(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

static int give_all(const struct worker_user *u, int at, const char *name, unsigned depth);

static int
give_one(const struct worker_user *u, int at, const char *name, unsigned depth)
{
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (st.st_uid != 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		return depth ? give_all(u, at, name, depth - 1) : -ELOOP;
	return fchownat(at, name, u->uid, u->gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* A directory after all that is in it: a walk that was cut short is made again at the next start,
 * and none is made in what another user has, who could have put anything there. */
static int
give_all(const struct worker_user *u, int at, const char *name, unsigned depth)
{
	_cleanup_(closedirp) DIR *d = open_dir(at, name);
	struct dirent *e;
	struct stat st;
	int r = 0;

	if (!d || fstat(dirfd(d), &st) < 0)
		return -errno;
	if (st.st_uid != 0)
		return 0;
	while (r == 0 && (e = readdir(d)))
		if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
			r = give_one(u, dirfd(d), e->d_name, depth);
	if (r == 0 && fchown(dirfd(d), u->uid, u->gid) < 0)
		r = -errno;
	return r;
}

static int
check_names(const char *state_dir, char **ret_error)
{
	_cleanup_(closedirp) DIR *d = open_dir(AT_FDCWD, state_dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (!streq(e->d_name, ".") && !streq(e->d_name, "..") && !is_a_workers(e->d_name))
			return why_set(ret_error, -EEXIST,
				"[worker] state_dir %s: there is %s, which is no worker's; give "
				"the worker "
				"a directory of its own.",
				state_dir, e->d_name);
	return 0;
}

int
worker_user_give_state(const struct worker_user *u, const char *state_dir, char **ret_error)
{
	int r;

	if (!u->becomes)
		return 0;
	/* Those above it are for others as well; nobody but the worker is to look into its own. */
	r = fs_mkdir_parent(state_dir, 0755);
	if (r == 0)
		r = fs_mkdir_p(state_dir, 0700);
	if (r == 0 && check_names(state_dir, ret_error) < 0)
		return -EEXIST;
	if (r == 0)
		r = give_all(u, AT_FDCWD, state_dir, DEPTH_MAX);
	return r < 0 ? why_set(ret_error, r,
			       "[worker] state_dir %s: cannot be given to %s: %s (--allow-root "
			       "keeps root).",
			       state_dir, u->name, strerror(-r))
		     : 0;
}

/* ---- the user */

/* All of its groups but the user's own: a job, whose gid is another, keeps those that are set here.
 */
static int
set_groups(const struct worker_user *u)
{
	_cleanup_(freep) gid_t *all = NULL;
	int n = 0, kept = 0;

	(void)getgrouplist(u->name, u->gid, NULL, &n);
	all = calloc((size_t)n + 1, sizeof(*all));
	if (!all || getgrouplist(u->name, u->gid, all, &n) < 0) {
		errno = ENOMEM;
		return -1;
	}
	for (int i = 0; i < n; i++)
		if (all[i] != u->gid)
			all[kept++] = all[i];
	return setgroups((size_t)kept, all);
}

int
worker_user_become(const struct worker_user *u, char **ret_error)
{
	if (!u->becomes)
		return 0;
	/* glibc does it in every thread; without uid 0 the capabilities are gone, too */
	if (set_groups(u) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 ||
		setresuid(u->uid, u->uid, u->uid) < 0)
		return why_set(ret_error, -errno,
			"Cannot become the user %s: %s (--allow-root keeps root).", u->name,
			strerror(errno));
	if (setuid(0) == 0)
		return why_set(ret_error, -EPERM, "Cannot become the user %s for good.", u->name);
	/* The kernel now hides this process's /proc/self/fd from itself, by which pipes and files
	 * are opened again. Jobs do not see it: their /proc has their own processes only. */
	(void)prctl(PR_SET_DUMPABLE, 1);
	return 0;
}

int
worker_user_check_dir(const struct worker_user *u, const char *dir, char **ret_error)
{
	_cleanup_(freep) char *copy = strdup(dir);

	if (!u->becomes || access(dir, W_OK | X_OK) == 0)
		return 0;
	/* the first that is in the way */
	for (char *p = copy ? copy + 1 : NULL; p && *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (access(copy, X_OK) < 0)
			return why_set(ret_error, -EACCES,
				"[worker] state_dir %s: the user %s cannot get there: chmod o+x "
				"%s, or set "
				"another state_dir.",
				dir, u->name, copy);
		*p = '/';
	}
	return why_set(ret_error, -EACCES,
		"[worker] state_dir %s: the user %s may not write there.", dir, u->name);
}
