/* Invariant: a job's uid is neither the worker's, nor one that a user of this machine has, nor that
 * of another job that runs. What a child does in a job's namespace follows no link of the job's. */
#include "config.h"

#include "worker/sandbox/job_user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "common/fs.h"
#include "common/process/spawn.h"
#include "common/strv.h"
#include "common/text/why.h"
#include "machine/subids.h"

#define INSIDE_NOBODY 0
#define INSIDE_WORKER 1
#define INSIDE_JOB 1000
#define TREE_DEPTH 64 /* as deep as limits are looked at (usage.c) */

struct job_user {
	struct job_users *of;
	unsigned index;
	int ns; /* -1: not made yet */
	bool taken;
};

struct job_users {
	pthread_mutex_t lock;
	struct subids_range uids, gids; /* the first is INSIDE_NOBODY's */
	uid_t uid;
	gid_t gid;
	bool root, off;
	int all; /* the namespace that has all of them; -1: not made yet */
	unsigned inside, n;
	struct job_user v[];
};

/* ---- namespaces */

static int
join(int ns)
{
	return setns(ns, CLONE_NEWUSER) < 0 ? -errno : 0;
}

/* Only calls that a child of a process with threads may make. */
static _Noreturn void
hold(const struct job_users *p, int ready, int end)
{
	char byte = 0;

	if (p->root && p->uid != 0 &&
		(setgroups(0, NULL) < 0 || setresgid(p->gid, p->gid, p->gid) < 0 ||
			setresuid(p->uid, p->uid, p->uid) < 0))
		_exit(1);
	if (unshare(CLONE_NEWUSER) < 0 || write(ready, &byte, 1) != 1)
		_exit(1);
	while (read(end, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

static int
write_map(pid_t pid, const char *name, const char *text)
{
	char path[48];
	_cleanup_(closep) int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* Of newuidmap and newgidmap: which process, then the map's numbers. */
static int
run_mapper(const char *program, pid_t pid, const char *text)
{
	_cleanup_(strv_done) struct strv argv = STRV_INIT;
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	int status, r = strv_add(&argv, program);

	if (r == 0)
		r = strv_addf(&argv, "%d", (int)pid);
	while (r == 0 && *text) {
		size_t n = strcspn(text, " \n");

		r = strv_addn(&argv, text, n);
		text += n + strspn(text + n, " \n");
	}
	if (r == 0)
		r = spawn_capture(argv.v, NULL, SPAWN_ASK_MS, 4096, &out, &status);
	return r < 0 ? r : status == 0 ? 0 : -EPERM;
}

struct map {
	unsigned long nobody, worker, first, count, inside;
};

static int
set_map(const struct job_users *p, pid_t pid, bool gids, const struct map *m)
{
	char text[160];

	snprintf(text, sizeof(text), "%d %lu 1\n%d %lu 1\n%lu %lu %lu\n", INSIDE_NOBODY, m->nobody,
		INSIDE_WORKER, m->worker, m->inside, m->first, m->count);
	if (p->root)
		return write_map(pid, gids ? "gid_map" : "uid_map", text);
	return run_mapper(gids ? "newgidmap" : "newuidmap", pid, text);
}

static int
map_and_open(const struct job_users *p, pid_t pid, unsigned first, unsigned count)
{
	struct map u = { p->uids.first, p->uid, p->uids.first + 1 + first, count, p->inside };
	struct map g = { p->gids.first, p->gid, p->gids.first + 1 + first, count, p->inside };
	char path[48];
	int r = set_map(p, pid, false, &u);

	if (r == 0)
		r = set_map(p, pid, true, &g);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	r = open(path, O_RDONLY | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

/* A user namespace with these of the jobs' uids. A descriptor, or -errno. */
static int
make_ns(const struct job_users *p, unsigned first, unsigned count)
{
	int ready[2] = { -1, -1 }, end[2] = { -1, -1 }, r;
	char byte;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(end, O_CLOEXEC) < 0) {
		r = -errno;
		close(ready[0]);
		close(ready[1]);
		return r;
	}
	pid = fork();
	if (pid == 0) {
		close(end[1]);
		hold(p, ready[1], end[0]);
	}
	r = pid < 0 ? -errno : 0;
	close(ready[1]);
	close(end[0]);
	if (r == 0)
		r = read(ready[0], &byte, 1) == 1 ? map_and_open(p, pid, first, count) : -EPERM;
	close(ready[0]);
	close(end[1]);
	if (pid > 0)
		spawn_wait(pid, NULL);
	return r;
}

static int
make_all(struct job_users *p)
{
	/* Root can make them only before it becomes another user. Else the first one tells whether
	 * it can be done; a worker seldom has as many jobs as slots. */
	unsigned n = p->root ? p->n : 1;

	p->all = p->root ? make_ns(p, 0, p->n) : -1;
	if (p->root && p->all < 0)
		return p->all;
	for (unsigned i = 0; i < n; i++) {
		p->v[i].ns = make_ns(p, i, 1);
		if (p->v[i].ns < 0)
			return p->v[i].ns;
	}
	return 0;
}

static struct job_users *
new_users(const struct job_users_conf *c)
{
	struct job_users *p = calloc(1, sizeof(*p) + c->n * sizeof(p->v[0]));

	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	p->uid = c->uid;
	p->gid = c->gid;
	p->root = geteuid() == 0;
	p->all = -1;
	p->n = c->n;
	/* bwrap changes to a uid only if that is not the number that it has outside */
	p->inside = INSIDE_JOB;
	while (p->inside == c->uid || p->inside == c->gid)
		p->inside++;
	for (unsigned i = 0; i < c->n; i++)
		p->v[i] = (struct job_user){ .of = p, .index = i, .ns = -1 };
	return p;
}

int
job_users_open(const struct job_users_conf *c, struct job_users **ret, char **ret_why)
{
	_cleanup_(job_users_freep) struct job_users *p = new_users(c);
	int r = p ? subids_find(c->name, c->uid, c->n + 1, p->root, &p->uids, &p->gids, ret_why)
		  : why_set(ret_why, -ENOTSUP, "out of memory");

	if (r < 0)
		return r;
	r = make_all(p);
	if (r == -ENOENT && !p->root)
		return why_set(ret_why, -ENOTSUP, "there is no newuidmap (Debian: uidmap)");
	if (r < 0)
		return why_set(ret_why, -ENOTSUP, "the uids from %lu on cannot be used: %s",
			(unsigned long)p->uids.first, strerror(-r));
	*ret = steal_ptr(p);
	return 0;
}

void
job_users_freep(struct job_users **p)
{
	for (unsigned i = 0; *p && i < (*p)->n; i++)
		closep(&(*p)->v[i].ns);
	if (*p) {
		closep(&(*p)->all);
		pthread_mutex_destroy(&(*p)->lock);
	}
	free(*p);
	*p = NULL;
}

uid_t
job_users_first(const struct job_users *p)
{
	return (uid_t)(p->uids.first + 1);
}

void
job_users_give_up(struct job_users *p)
{
	p->off = true;
}

bool
job_users_are(const struct job_users *p)
{
	return p && !p->off;
}

struct job_user *
job_users_take(struct job_users *p)
{
	struct job_user *u = NULL;

	if (!job_users_are(p))
		return NULL;
	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < p->n && !u; i++)
		if (!p->v[i].taken)
			u = &p->v[i];
	if (u && u->ns < 0)
		u->ns = make_ns(p, u->index, 1);
	if (u && u->ns < 0)
		u = NULL;
	if (u)
		u->taken = true;
	pthread_mutex_unlock(&p->lock);
	return u;
}

void
job_users_give(struct job_user *u)
{
	if (!u)
		return;
	pthread_mutex_lock(&u->of->lock);
	u->taken = false;
	pthread_mutex_unlock(&u->of->lock);
}

int
job_user_ns(const struct job_user *u)
{
	return u->ns;
}

unsigned
job_user_inside(const struct job_user *u)
{
	return u->of->inside;
}

/* ---- files, in a child that has joined the namespace */

static int
take_inode(int fd, const struct stat *st)
{
	static const char *const lists[] = { "system.posix_acl_access",
		"system.posix_acl_default" };

	if (fchown(fd, INSIDE_WORKER, INSIDE_WORKER) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		(void)fremovexattr(fd, lists[i]);
	return fchmod(fd, (st->st_mode & 0777) | (S_ISDIR(st->st_mode) ? 0700 : 0400)) < 0 ? -errno
											   : 0;
}

static int
open_inode(int fd, const struct stat *st)
{
	mode_t mode = (st->st_mode & 07777) | (S_ISDIR(st->st_mode) ? 0555 : 0444);

	return mode == (st->st_mode & 07777) || fchmod(fd, mode) == 0 ? 0 : -errno;
}

static int walk(int dir, bool take, unsigned depth);

static int
visit(int dir, const char *name, bool take, unsigned depth)
{
	_cleanup_(closep) int fd = openat(
		dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	int r;

	/* a link, a socket: nobody opens it */
	if (fd < 0 || fstat(fd, &st) < 0)
		return take &&
				       fchownat(dir, name, INSIDE_WORKER, INSIDE_WORKER,
					       AT_SYMLINK_NOFOLLOW) < 0 &&
				       errno != ENOENT
			       ? -errno
			       : 0;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return take && fchown(fd, INSIDE_WORKER, INSIDE_WORKER) < 0 ? -errno : 0;
	if (st.st_uid != INSIDE_WORKER)
		r = take ? take_inode(fd, &st) : open_inode(fd, &st);
	else
		r = 0;
	return r == 0 && S_ISDIR(st.st_mode) && depth ? walk(fd, take, depth - 1) : r;
}

static int
walk(int dir, bool take, unsigned depth)
{
	_cleanup_(closedirp) DIR *d = NULL;
	int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	struct dirent *e;

	d = own < 0 ? NULL : fdopendir(own);
	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		int one;

		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		one = visit(dir, e->d_name, take, depth);
		r = r == 0 ? one : r;
	}
	return r;
}

enum deed { DEED_OPEN_UP, DEED_TAKE_OVER, DEED_REMOVE };

/* 0 or -errno of what a child does in the namespace. */
static int
in_child(int ns, enum deed deed, int dir, const char *path)
{
	pid_t pid = fork();
	int r;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		r = join(ns);
		if (r == 0)
			r = deed == DEED_REMOVE ? fs_rm_rf(path)
						: walk(dir, deed == DEED_TAKE_OVER, TREE_DEPTH);
		_exit(r < 0 && r > -256 ? -r : r ? 255 : 0);
	}
	r = spawn_wait(pid, NULL);
	return r > 0 ? (r < 256 ? -r : -EIO) : r;
}

int
job_user_open_up(const struct job_user *u, int dir)
{
	return in_child(u->ns, DEED_OPEN_UP, dir, NULL);
}

int
job_user_take_over(const struct job_user *u, int dir)
{
	return in_child(u->ns, DEED_TAKE_OVER, dir, NULL);
}

int
job_users_remove(struct job_users *p, const char *path)
{
	pthread_mutex_lock(&p->lock);
	if (p->all < 0)
		p->all = make_ns(p, 0, p->n);
	pthread_mutex_unlock(&p->lock);
	return p->all < 0 ? p->all : in_child(p->all, DEED_REMOVE, -1, path);
}
