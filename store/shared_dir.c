/* Invariant: every name below DIR is opened from its directory's descriptor, and none of them may
 * be a link. A job has copies of all that it needs: it may outlive its store. */
#include "config.h"

#include "store/shared_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/outdir/left.h"
#include "common/share.h"
#include "store/crew.h"
#include "store/disk_priv.h"
#include "store/incoming.h"
#include "store/outgoing.h"
#include "store/url.h"

#define THREADS 8u
#define REQUEST_MS 30000u
#define DAY_S 86400u
#define TOUCH_S 3600
#define SWEEP_MS (UINT64_C(3600) * 1000)
#define CHUNK ((size_t)256 << 10)

enum op { HAS, GET, PUT, SWEEP };

struct shared_dir {
	struct store base;
	struct waiter waiter;
	struct crew *crew;
	char *dir, *below;	    /* "" or "pr/12/" */
	mode_t dir_mode, file_mode; /* 0: as the umask says */
	uint64_t swept_ms;
	bool working;
};

struct job {
	struct crew_job base;	  /* first */
	struct shared_dir *store; /* not by the thread */
	enum op op;
	char *dir, *below;
	bool read_only;
	mode_t dir_mode, file_mode;
	enum store_kind kind;
	struct digest name;
	struct incoming *in;
	struct object object;
	int error;
	bool was_there, has_clock;
	int64_t clock_ahead_ms; /* of the directory's clock, where has_clock */
	uint64_t size;
	int fd; /* get: the content */
	store_done_fn done;
	void *arg;
};

/* By the threads. */

static int
make_dir(const struct job *j, int at, const char *name)
{
	_cleanup_(closep) int fd = -1;
	struct stat above;

	if (mkdirat(at, name, j->dir_mode != 0 ? j->dir_mode & 0777 : 0777) < 0)
		return errno == EEXIST ? 0 : -errno;
	if (j->dir_mode == 0)
		return 0;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* whatever the umask, and in the group of what it is in: files get theirs from it */
	if (fd >= 0 && fstat(at, &above) == 0)
		(void)!fchown(fd, (uid_t)-1, above.st_gid);
	return fd < 0 || fchmod(fd, j->dir_mode) < 0 ? -errno : 0;
}

/* One directory further; at is closed. A descriptor or -errno. */
static int
step_down(const struct job *j, int at, const char *name, bool make)
{
	_cleanup_(closep) int here = at;
	int fd = openat(here, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd >= 0)
		return fd;
	/* what is no directory, or a link, is nothing of ours */
	if (errno == ENOTDIR || errno == ELOOP)
		return make ? -ENOTDIR : -ENOENT;
	if (errno != ENOENT || !make)
		return -errno;
	r = make_dir(j, here, name);
	if (r < 0)
		return r;
	fd = openat(here, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int
open_root(const struct job *j)
{
	int fd = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	return errno == ENOENT || errno == ENOTDIR ? -ENODEV : -errno;
}

/* The directory of a path below fd, which is closed; *path is what is behind its last '/'. */
static int
walk_down(const struct job *j, int fd, const char **path, bool make)
{
	while (fd >= 0) {
		const char *end = strchr(*path, '/');
		char part[NAME_MAX + 1];

		if (end == NULL)
			break;
		snprintf(part, sizeof(part), "%.*s", (int)(end - *path), *path);
		fd = step_down(j, fd, part, make);
		*path = end + 1;
	}
	return fd;
}

/* The directory that a path names; of a path with a name at its end, *ret_name is that. */
static int
open_dir(const struct job *j, const char *path, bool make, const char **ret_name)
{
	const char *below = j->below;
	int fd = walk_down(j, open_root(j), &below, make);

	*ret_name = path;
	return walk_down(j, fd, ret_name, make);
}

/* A descriptor of what is there under that name. */
static int
open_object(int at, const char *name, struct stat *ret)
{
	/* not waiting for who writes to a FIFO */
	_cleanup_(closep) int fd = openat(
		at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	if (fstat(fd, ret) < 0)
		return -errno;
	return S_ISREG(ret->st_mode) ? steal_fd(&fd) : -EBADMSG;
}

static void
touch(const struct job *j, int fd, const struct stat *st)
{
	if (!j->read_only && time(NULL) - st->st_mtim.tv_sec >= TOUCH_S)
		(void)futimens(fd, NULL);
}

/* What is damaged goes, unless another has come in its place. fd: of the damaged one, or -1. */
static void
discard(const struct job *j, int at, const char *name, int fd)
{
	struct stat ours, there;

	if (j->read_only)
		return;
	if (fd >= 0 &&
		(fstat(fd, &ours) < 0 || fstatat(at, name, &there, AT_SYMLINK_NOFOLLOW) < 0 ||
			ours.st_ino != there.st_ino || ours.st_dev != there.st_dev))
		return;
	if (unlinkat(at, name, 0) < 0 && errno == EISDIR)
		(void)unlinkat(at, name, AT_REMOVEDIR);
}

static bool
has_good_head(const struct job *j, int fd, uint64_t *ret_size)
{
	uint8_t head[OBJECT_HEAD_SIZE];
	struct object_head h;

	if (fs_read_at(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
		object_head_read(head, &h) < 0)
		return false;
	*ret_size = h.size;
	return h.kind == j->kind && digest_eq(&h.name, &j->name);
}

static int
look(struct job *j, int at, const char *name)
{
	_cleanup_(closep) int fd = -1;
	struct stat st;

	fd = open_object(at, name, &st);
	if (fd >= 0 && has_good_head(j, fd, &j->size)) {
		touch(j, fd, &st);
		return 0;
	}
	if (fd < 0 && fd != -EBADMSG)
		return fd;
	discard(j, at, name, fd);
	return -ENOENT;
}

static int
take_in(struct job *j, int fd)
{
	_cleanup_(freep) uint8_t *chunk = malloc(CHUNK);
	int r = chunk == NULL ? -ENOMEM : 0;
	ssize_t k = 0;

	while (r == 0 && (k = read(fd, chunk, CHUNK)) != 0) {
		if (k > 0)
			r = incoming_add(j->in, chunk, (size_t)k);
		else if (errno != EINTR)
			r = -errno;
	}
	if (r < 0)
		return r;
	j->fd = incoming_end(j->in, &j->size);
	return MIN2(j->fd, 0);
}

static int
fetch(struct job *j, int at, const char *name)
{
	_cleanup_(closep) int fd = -1;
	struct stat st;
	int r;

	fd = open_object(at, name, &st);
	r = fd < 0 ? fd : take_in(j, fd);
	if (r == 0)
		touch(j, fd, &st);
	/* also a disk that cannot read it any more */
	else if (r == -EBADMSG || (fd >= 0 && r == -EIO))
		discard(j, at, name, fd);
	return r;
}

/* By what has just been written: a server sets its times. Those of what it was not sent yet are
 * this machine's, so a network's file is flushed first by who asks for its attributes. */
static void
note_clock(struct job *j, int fd)
{
	struct stat st;

	j->has_clock = fstat(fd, &st) == 0;
	if (j->has_clock)
		j->clock_ahead_ms = (int64_t)st.st_mtim.tv_sec * 1000 +
				    st.st_mtim.tv_nsec / 1000000 - (int64_t)clock_wall_ms();
}

/* A whole file with a name of its own in v1/tmp. */
static int
write_temp(struct job *j, int tmp, char ret_name[LEFT_NAME_SIZE + 16])
{
	_cleanup_(closep) int fd = -1;
	char path[PATH_MAX];
	mode_t mode = j->file_mode;
	int r = disk_temp_name("", path);

	if (r < 0)
		return r;
	snprintf(ret_name, LEFT_NAME_SIZE + 16, "%s", path_basename(path));
	fd = openat(tmp, ret_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		mode != 0 ? mode : 0666);
	if (fd < 0)
		return -errno;
	r = lseek(j->object.fd, 0, SEEK_SET) < 0 ? -errno : fs_copy_fd(j->object.fd, fd);
	if (r == 0 && mode != 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0)
		note_clock(j, fd);
	/* only here a network tells that there was no room */
	if (close(steal_fd(&fd)) < 0 && errno != EINTR && r == 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(tmp, ret_name, 0);
	return r;
}

/* Gives a file of v1/tmp its name, unless a blob is there. The first name is gone in the end. */
static int
give_name(struct job *j, int tmp, const char *temp, int at, const char *name)
{
	int r = 0;

	if (j->kind == STORE_BLOB && linkat(tmp, temp, at, name, 0) == 0) {
		(void)unlinkat(tmp, temp, 0);
		return 0;
	}
	/* there are file systems without links */
	if (j->kind == STORE_BLOB && errno != EEXIST) {
		if (renameat2(tmp, temp, at, name, RENAME_NOREPLACE) == 0)
			return 0;
		r = errno == EINVAL || errno == EEXIST ? -errno : 0;
	} else if (j->kind == STORE_BLOB) {
		r = -EEXIST;
	}
	if (r == -EEXIST && look(j, at, name) == 0) {
		j->was_there = true;
		(void)unlinkat(tmp, temp, 0);
		return 0;
	}
	if (renameat(tmp, temp, at, name) == 0)
		return 0;
	r = -errno;
	(void)unlinkat(tmp, temp, 0);
	return r;
}

static int
keep(struct job *j, int at, const char *name)
{
	_cleanup_(closep) int tmp = -1;
	char temp[LEFT_NAME_SIZE + 16];
	const char *nothing;
	int r;

	if (j->kind == STORE_BLOB && look(j, at, name) == 0) {
		j->was_there = true;
		return 0;
	}
	tmp = open_dir(j, "v1/tmp/", true, &nothing);
	if (tmp < 0)
		return tmp;
	r = write_temp(j, tmp, temp);
	return r < 0 ? r : give_name(j, tmp, temp, at, name);
}

static void
sweep(struct job *j)
{
	const char *nothing;
	char path[64];
	_cleanup_(closep) int tmp = open_dir(j, "v1/tmp/", false, &nothing);

	if (tmp < 0)
		return;
	/* that directory, wherever its name leads by now */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", tmp);
	left_sweep(NULL, path);
}

static int
do_job(struct job *j)
{
	char path[OBJECT_PATH_SIZE];
	const char *name;
	_cleanup_(closep) int at = -1;

	object_path(j->kind, &j->name, path);
	at = open_dir(j, path, j->op == PUT, &name);
	if (at < 0)
		return at;
	switch (j->op) {
	case HAS:
		return look(j, at, name);
	case GET:
		return fetch(j, at, name);
	case PUT:
		return keep(j, at, name);
	case SWEEP:
		break;
	}
	return 0;
}

static void
run(struct crew_job *c)
{
	struct job *j = (struct job *)c;

	if (j->op == SWEEP) {
		sweep(j);
		return;
	}
	j->error = do_job(j);
	/* a server that was started anew, or a file that was replaced there while it was read */
	if (j->error == -ESTALE && (j->in == NULL || incoming_restart(j->in) == 0))
		j->error = do_job(j);
}

static void
drop(struct crew_job *c)
{
	struct job *j = (struct job *)c;

	incoming_free(j->in);
	object_done(&j->object);
	closep(&j->fd);
	free(j->dir);
	free(j->below);
	free(j);
}

/* By the store's thread. */

static struct shared_dir *
shared_dir_of(struct store *s)
{
	return (struct shared_dir *)s;
}

static void
done(struct crew_job *c, int error)
{
	struct job *j = (struct job *)c;
	struct shared_dir *d = j->store;
	struct store_reply reply = { .error = error, .fd = -1 };

	if (j->op == SWEEP)
		return;
	if (error == 0)
		reply.error = j->error;
	if (error == 0 && j->has_clock) {
		d->base.has_clock = true;
		d->base.clock_ahead_ms = j->clock_ahead_ms;
	}
	if (reply.error == 0) {
		reply.was_there = j->was_there;
		reply.name = j->name;
		reply.size = j->size;
		reply.fd = steal_fd(&j->fd);
	} else if (reply.error == -ENODEV) {
		snprintf(d->base.why, sizeof(d->base.why), "the directory is not there");
	} else if (reply.error != -ENOENT) {
		snprintf(d->base.why, sizeof(d->base.why), "%s", strerror(-reply.error));
	}
	j->done(j->arg, &reply);
}

static struct job *
new_job(struct shared_dir *d, enum op op, enum store_kind kind, const struct digest *name,
	store_done_fn done_fn, void *arg)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->base.run = run;
	j->base.done = done;
	j->base.drop = drop;
	j->store = d;
	j->op = op;
	j->read_only = d->base.read_only;
	j->dir_mode = d->dir_mode;
	j->file_mode = d->file_mode;
	j->kind = kind;
	j->name = *name;
	j->object.fd = j->fd = -1;
	j->done = done_fn;
	j->arg = arg;
	j->dir = strdup(d->dir);
	j->below = strdup(d->below);
	if (j->dir != NULL && j->below != NULL)
		return j;
	free(j->dir);
	free(j->below);
	free(j);
	return NULL;
}

static void
step(struct shared_dir *d)
{
	if (d->working)
		return;
	d->working = true;
	crew_step(d->crew, clock_mono_ms());
	waiter_alarm(&d->waiter, crew_next(d->crew));
	d->working = false;
}

static void
add(struct shared_dir *d, struct job *j, store_done_fn done_fn, void *arg)
{
	if (j == NULL) {
		store_answer_error(done_fn, arg, -ENOMEM);
		return;
	}
	crew_add(d->crew, &j->base);
	waiter_alarm(&d->waiter, crew_next(d->crew));
}

static void
shared_dir_has(struct store *s, enum store_kind kind, const struct digest *name,
	store_done_fn done_fn, void *arg)
{
	struct shared_dir *d = shared_dir_of(s);

	add(d, new_job(d, HAS, kind, name, done_fn, arg), done_fn, arg);
}

static void
shared_dir_get(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
	store_done_fn done_fn, void *arg)
{
	struct shared_dir *d = shared_dir_of(s);
	struct job *j = new_job(d, GET, kind, name, done_fn, arg);
	int r = j != NULL ? incoming_new(s->tmp, kind, name, max, &j->in) : 0;

	if (r < 0) {
		drop(&j->base);
		store_answer_error(done_fn, arg, r);
		return;
	}
	add(d, j, done_fn, arg);
}

static void
sweep_at_times(struct shared_dir *d)
{
	static const struct digest none;
	uint64_t now = clock_mono_ms();
	struct job *j;

	if (d->swept_ms != 0 && now - d->swept_ms < SWEEP_MS)
		return;
	d->swept_ms = now;
	j = new_job(d, SWEEP, STORE_BLOB, &none, NULL, NULL);
	if (j != NULL)
		crew_add(d->crew, &j->base);
}

static void
shared_dir_put(struct store *s, const struct object *o, store_done_fn done_fn, void *arg)
{
	struct shared_dir *d = shared_dir_of(s);
	struct job *j = new_job(d, PUT, o->head.kind, &o->head.name, done_fn, arg);
	struct object object = *o;

	if (j == NULL) {
		object_done(&object);
	} else {
		j->object = object;
		j->size = o->head.size;
	}
	add(d, j, done_fn, arg);
	sweep_at_times(d);
}

static void
shared_dir_work(struct store *s, int ms)
{
	struct shared_dir *d = shared_dir_of(s);
	struct epoll_event e;

	(void)waiter_wait(&d->waiter, crew_is_idle(d->crew) ? 0 : ms, &e, 1);
	step(d);
}

static void
shared_dir_close(struct store *s)
{
	struct shared_dir *d = shared_dir_of(s);

	crew_free(d->crew);
	waiter_done(&d->waiter);
	free(d->dir);
	free(d->below);
	free(d);
}

static int
shared_dir_open(const struct store_in *in, struct store **ret)
{
	struct shared_dir *d = calloc(1, sizeof(*d));
	const char *access = store_url_get(in->url, STORE_PARAM_ACCESS);
	const char *below = store_url_get(in->url, STORE_PARAM_BELOW);
	uint64_t limit = MIN2(store_url_number(in->url, STORE_PARAM_REQUEST_S, 0), DAY_S) * 1000;
	int r;

	if (d == NULL)
		return -ENOMEM;
	if (limit == 0)
		limit = in->request_ms != 0 ? in->request_ms : REQUEST_MS;
	d->waiter = (struct waiter)WAITER_INIT;
	outgoing_init(&d->base, &store_shared_dir, in);
	if (access != NULL) {
		d->dir_mode = streq(access, "group") ? SHARE_DIR_MODE : 0777;
		d->file_mode = streq(access, "group") ? SHARE_FILE_MODE : 0666;
	}
	d->dir = strdup(in->url->path);
	if (asprintf(&d->below, "%s%s", below != NULL ? below : "", below != NULL ? "/" : "") < 0)
		d->below = NULL;
	r = d->dir == NULL || d->below == NULL ? -ENOMEM : waiter_init(&d->waiter);
	d->base.fd = d->waiter.fd;
	if (r == 0)
		r = crew_new(&d->waiter, THREADS, (unsigned)limit, &d->crew);
	if (r < 0)
		shared_dir_close(&d->base);
	else
		*ret = &d->base;
	return r;
}

const struct store_type store_shared_dir = {
	.name = "shared directory",
	.open = shared_dir_open,
	.close = shared_dir_close,
	.has = shared_dir_has,
	.get = shared_dir_get,
	OUTGOING_FUNCTIONS,
	.put = shared_dir_put,
	.work = shared_dir_work,
};
