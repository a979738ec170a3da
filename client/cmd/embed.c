/* Starts and stops an embedded farm.
 *
 * Invariants: what is started here ends with us, however we end (the kernel tells the daemons when
 * their parent dies); keys live in a directory that only this user can enter, and go with the farm.
 * A directory left by a crash is removed by the next farm: its lock is free. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "client/cmd/embed.h"
#include "client/slots/slots.h"
#include "common/process/child.h"
#include "common/clock.h"
#include "common/fs.h"
#include "keys/identity.h"
#include "common/process/spawn.h"
#include "common/strv.h"

/* A worker hashes the toolchains that it finds: gigabytes, from a disk that may be slow. */
#define READY_MS 300000
#define SAY_AFTER_MS 5000
#define STOP_MS 5000
#define READY_FD 3
#define LINE_MAX_BYTES 512
#define LOG_TAIL 2000
#define STALE_S 60
#define UNIX_PATH_MAX 107

struct daemon {
	char name[32];
	pid_t pid; /* 0: not running */
	int ready;
	char line[LINE_MAX_BYTES];
	size_t n_line;
	bool lost;
};

struct embed {
	char *memo_dir; /* stays: the next farm here need not hash the toolchains again */
	char *dir;
	bool keep_dir;
	bool ipc;
	int lock;
	char *endpoint, *key, *identity;
	struct daemon *d; /* d[0] is the coordinator */
	unsigned n;
	struct buf error;
};

static char *
in_dir(const struct embed *e, const char *name)
{
	return path_join(e->dir, name);
}

/* ---- the directory */

static int
lock_dir(struct embed *e)
{
	_cleanup_(freep) char *path = in_dir(e, "lock");

	if (!path)
		return -ENOMEM;
	e->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (e->lock < 0)
		return -errno;
	if (flock(e->lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

/* Removes up-* directories whose owner is dead. A young one may be about to be locked. */
static void
remove_stale(const char *cache_dir)
{
	struct dirent *de;
	DIR *d = opendir(cache_dir);

	while (d && (de = readdir(d))) {
		_cleanup_(freep) char *dir = NULL;
		_cleanup_(freep) char *lock = NULL;
		_cleanup_(closep) int fd = -1;
		struct stat st;

		if (!starts_with(de->d_name, "up-") || !(dir = path_join(cache_dir, de->d_name)) ||
			!(lock = path_join(dir, "lock")))
			continue;
		if (lstat(dir, &st) < 0 || !S_ISDIR(st.st_mode) ||
			st.st_mtim.tv_sec + STALE_S > time(NULL))
			continue;
		fd = open(lock, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 ? errno == ENOENT : flock(fd, LOCK_EX | LOCK_NB) == 0)
			fs_rm_rf(dir);
	}
	if (d)
		closedir(d);
}

static int
make_dir(struct embed *e, const struct embed_options *o)
{
	int r;

	if (o->dir) {
		r = fs_mkdir_p(o->dir, 0700);
		if (r < 0)
			return r;
		e->keep_dir = true;
		e->dir = realpath(o->dir, NULL);
		if (!e->dir)
			return -errno;
		if (chmod(e->dir, 0700) < 0)
			return -errno;
		return lock_dir(e);
	}
	if (!o->cache_dir || !*o->cache_dir)
		return -ENOENT;
	r = fs_mkdir_p(o->cache_dir, 0700);
	if (r < 0)
		return r;
	remove_stale(o->cache_dir);
	e->memo_dir = path_join(o->cache_dir, "worker-memo");
	if (!e->memo_dir)
		return -ENOMEM;
	r = fs_mkdir_p(e->memo_dir, 0700);
	if (r < 0)
		return r;
	r = fs_make_temp_dir(o->cache_dir, "up-", &e->dir);
	return r < 0 ? r : lock_dir(e);
}

/* ---- keys */

static int
make_key(struct embed *e, const char *name, const char *role, struct buf *allowed)
{
	_cleanup_(identity_done) struct identity id;
	_cleanup_(freep) char *path = NULL;
	_cleanup_(freep) char *pub = NULL;
	char sign[SIGN_HEX_SIZE];
	int r;

	memset(&id, 0, sizeof(id));
	if (asprintf(&path, "%s/keys/%s", e->dir, name) < 0 || asprintf(&pub, "%s.pub", path) < 0)
		return -ENOMEM;
	/* of a farm that was in this directory before */
	unlink(path);
	unlink(pub);
	r = identity_generate(name, &id);
	if (r == 0)
		r = identity_save(&id, path);
	identity_sign_hex(&id, sign);
	if (r == 0 && role)
		r = buf_addf(allowed, "%s %s %s sign=%s\n", role, id.curve_public, name, sign);
	return r;
}

static int
make_keys(struct embed *e)
{
	_cleanup_(buf_done) struct buf allowed = BUF_INIT;
	_cleanup_(freep) char *dir = in_dir(e, "keys");
	_cleanup_(freep) char *list = in_dir(e, "keys/allowed");
	int r;

	if (!dir || !list)
		return -ENOMEM;
	r = fs_mkdir_p(dir, 0700);
	if (r == 0)
		r = make_key(e, "coordinator", NULL, &allowed);
	if (r == 0)
		r = make_key(e, "client", "client", &allowed);
	for (unsigned i = 1; r == 0 && i < e->n; i++)
		r = make_key(e, e->d[i].name, "worker", &allowed);
	if (r == 0)
		r = fs_write_atomic(list, allowed.p, allowed.n, 0600);
	e->key = in_dir(e, "keys/coordinator.pub");
	e->identity = in_dir(e, "keys/client");
	return r == 0 && (!e->key || !e->identity) ? -ENOMEM : r;
}

/* ---- daemons */

/* In the child. posix_spawn cannot ask for a signal at the parent's death. */
static void __attribute__((noreturn))
become_daemon(const char *program, char **argv, int ready, int log, pid_t parent)
{
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;

	/* Ctrl-C is for the command; its jobs end first, then we end the daemons */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		_exit(127);
	if (ready == READY_FD ? fcntl(ready, F_SETFD, 0) < 0 : dup2(ready, READY_FD) < 0)
		_exit(127);
	/* what our caller left open is nothing to a daemon */
	close_range(READY_FD + 1, ~0U, 0);
	execv(program, argv);
	dprintf(2, "cannot run %s: %s\n", program, strerror(errno));
	_exit(127);
}

static int
start_daemon(struct embed *e, struct daemon *d, const char *program_name, struct strv *args)
{
	_cleanup_(freep) char *program = spawn_find_program(program_name);
	_cleanup_(freep) char *log_path = NULL;
	_cleanup_(closep) int log = -1;
	_cleanup_(closep) int wr = -1;
	pid_t parent = getpid(), pid;
	int fds[2];

	if (!program) {
		buf_addf(&e->error, "%s is not installed beside this program", program_name);
		return -ENOENT;
	}
	if (asprintf(&log_path, "%s/%s.log", e->dir, d->name) < 0)
		return -ENOMEM;
	log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0 || pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	d->ready = fds[0];
	wr = fds[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become_daemon(program, args->v, wr, log, parent);
	d->pid = pid;
	return 0;
}

/* What its log says, for the search for the reason. */
static void
explain(struct embed *e, struct daemon *d, const char *what)
{
	_cleanup_(buf_done) struct buf log = BUF_INIT;
	_cleanup_(freep) char *path = NULL;
	size_t from;

	buf_addf(&e->error, "%s %s", d->name, what);
	if (asprintf(&path, "%s/%s.log", e->dir, d->name) < 0 ||
		fs_read_file(path, 16u << 20, &log) < 0 || log.n == 0)
		return;
	from = log.n > LOG_TAIL ? log.n - LOG_TAIL : 0;
	while (log.n && log.p[log.n - 1] == '\n')
		log.p[--log.n] = '\0';
	buf_addf(&e->error, "; it said:\n%s", (const char *)log.p + MIN2(from, log.n));
}

/* Reads what is there of the ready line; 1 when it is whole. */
static int
read_ready(struct daemon *d)
{
	ssize_t n = read(d->ready, d->line + d->n_line, sizeof(d->line) - 1 - d->n_line);
	char *nl;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	d->n_line += (size_t)n;
	d->line[d->n_line] = '\0';
	nl = strchr(d->line, '\n');
	if (!nl)
		return d->n_line == sizeof(d->line) - 1 ? -EPROTO : 0;
	*nl = '\0';
	closep(&d->ready);
	return 1;
}

static int
wait_ready(struct embed *e, struct daemon *d, uint64_t deadline, const struct embed_options *o)
{
	uint64_t say = clock_mono_ms() + SAY_AFTER_MS;

	for (;;) {
		struct pollfd pfd = { .fd = d->ready, .events = POLLIN };
		uint64_t now = clock_mono_ms();
		int r;

		if (child_signal())
			return -ECANCELED;
		if (now >= deadline) {
			explain(e, d, "did not begin to serve in time");
			return -ETIMEDOUT;
		}
		if (now >= say && o->waiting) {
			o->waiting(d->name);
			say = UINT64_MAX;
		}
		r = poll(&pfd, 1, (int)MIN2(deadline - now, (uint64_t)200));
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r <= 0)
			continue;
		r = read_ready(d);
		if (r == 1)
			return 0;
		if (r < 0) {
			explain(e, d, "ended instead of serving");
			return r;
		}
	}
}

static int
add_endpoint(struct embed *e, struct strv *args, const char *name)
{
	int r = strv_add(args, "--listen");

	if (r < 0)
		return r;
	if (!e->ipc)
		return strv_add(args, "tcp://127.0.0.1:*");
	if (strlen(e->dir) + strlen(name) + sizeof("/.sock") > UNIX_PATH_MAX) {
		buf_addf(&e->error, "%s is too long a path for a Unix socket; give a shorter --dir",
			e->dir);
		return -ENAMETOOLONG;
	}
	return strv_addf(args, "ipc://%s/%s.sock", e->dir, name);
}

static int
add_ready(struct strv *args)
{
	int r = strv_add(args, "--ready-fd");

	return r < 0 ? r : strv_addf(args, "%d", READY_FD);
}

static int
start_coordinator(struct embed *e, const struct embed_options *o)
{
	_cleanup_(strv_done) struct strv args = STRV_INIT;
	int r;

	r = strv_add(&args, "dray-coordinator");
	if (r == 0)
		r = add_endpoint(e, &args, "coordinator");
	if (r == 0)
		r = strv_addf(&args, "--identity=%s/keys/coordinator", e->dir);
	if (r == 0)
		r = strv_addf(&args, "--allowed-keys=%s/keys/allowed", e->dir);
	/* One user on one machine has a cache already. */
	if (r == 0)
		r = strv_add(&args, "--option=coordinator.cache=no");
	if (r == 0)
		r = add_ready(&args);
	if (r == 0)
		r = start_daemon(e, &e->d[0], "dray-coordinator", &args);
	if (r == 0)
		r = wait_ready(e, &e->d[0], clock_mono_ms() + READY_MS, o);
	if (r < 0)
		return r;
	e->endpoint = strdup(e->d[0].line);
	return e->endpoint ? 0 : -ENOMEM;
}

static int
start_worker(struct embed *e, struct daemon *d, unsigned slots)
{
	_cleanup_(strv_done) struct strv args = STRV_INIT;
	int r;

	r = strv_add(&args, "dray-worker");
	if (r == 0)
		r = strv_addf(&args, "--coordinator=%s", e->endpoint);
	if (r == 0)
		r = strv_addf(&args, "--coordinator-key=%s", e->key);
	if (r == 0)
		r = strv_addf(&args, "--identity=%s/keys/%s", e->dir, d->name);
	if (r == 0)
		r = add_endpoint(e, &args, d->name);
	if (r == 0)
		r = strv_addf(&args, "--state-dir=%s/%s", e->dir, d->name);
	if (r == 0 && e->memo_dir)
		r = strv_addf(&args, "-oworker.memo_dir=%s", e->memo_dir);
	/* what it makes is in this user's cache, and nobody else asks this farm's */
	if (r == 0)
		r = strv_add(&args, "-oworker.share=no");
	/* likewise: nobody else would get there */
	if (r == 0 && geteuid() == 0)
		r = strv_add(&args, "--allow-root");
	if (r == 0)
		r = strv_addf(&args, "--slots=%u", slots);
	if (r == 0)
		r = strv_addf(&args, "--name=%s", d->name);
	if (r == 0)
		r = add_ready(&args);
	return r < 0 ? r : start_daemon(e, d, "dray-worker", &args);
}

static int
start_all(struct embed *e, const struct embed_options *o)
{
	unsigned slots = o->slots ? o->slots : MAX2(slots_cores() / o->workers, 1u);
	uint64_t deadline;
	int r;

	e->ipc = o->ipc;
	r = make_dir(e, o);
	if (r < 0) {
		buf_addf(&e->error, "%s: %s",
			o->dir	       ? o->dir
			: o->cache_dir ? o->cache_dir
				       : "no cache directory",
			r == -EBUSY ? "another farm is there" : strerror(-r));
		return r;
	}
	r = make_keys(e);
	if (r == 0)
		r = start_coordinator(e, o);
	for (unsigned i = 1; r == 0 && i < e->n; i++)
		r = start_worker(e, &e->d[i], slots);
	deadline = clock_mono_ms() + READY_MS;
	for (unsigned i = 1; r == 0 && i < e->n; i++)
		r = wait_ready(e, &e->d[i], deadline, o);
	return r;
}

int
embed_start(const struct embed_options *o, struct embed **ret, char **ret_error)
{
	_cleanup_(embed_stopp) struct embed *e = calloc(1, sizeof(*e));
	int r;

	*ret_error = NULL;
	if (!e)
		return -ENOMEM;
	e->lock = -1;
	e->d = calloc(o->workers + 1, sizeof(*e->d));
	if (!e->d)
		return -ENOMEM;
	e->n = o->workers + 1;
	for (unsigned i = 0; i < e->n; i++) {
		e->d[i].ready = -1;
		snprintf(e->d[i].name, sizeof(e->d[i].name), i ? "worker-%u" : "coordinator", i);
	}
	r = start_all(e, o);
	if (r < 0) {
		*ret_error = strdup(e->error.n ? (const char *)e->error.p : strerror(-r));
		return r;
	}
	*ret = steal_ptr(e);
	return 0;
}

/* ---- the end */

static void
signal_all(struct embed *e, int sig)
{
	/* workers first, so that they can say good-bye to the coordinator */
	for (unsigned i = e->n; i-- > 0;)
		if (e->d[i].pid > 0)
			kill(e->d[i].pid, sig);
}

static bool
reap(struct embed *e)
{
	bool running = false;

	for (unsigned i = 0; i < e->n; i++) {
		struct daemon *d = &e->d[i];

		if (d->pid > 0 && waitpid(d->pid, NULL, WNOHANG) != 0) {
			d->pid = 0;
			d->lost = true;
		}
		running |= d->pid > 0;
	}
	return running;
}

static void
wait_all(struct embed *e, uint64_t ms)
{
	uint64_t deadline = clock_mono_ms() + ms;
	struct timespec pause = { 0, 5000000 };

	while (reap(e) && clock_mono_ms() < deadline)
		nanosleep(&pause, NULL);
}

void
embed_stop(struct embed *e)
{
	if (!e)
		return;
	signal_all(e, SIGTERM);
	wait_all(e, STOP_MS);
	signal_all(e, SIGKILL);
	wait_all(e, STOP_MS);
	for (unsigned i = 0; i < e->n; i++)
		closep(&e->d[i].ready);
	if (e->dir && !e->keep_dir)
		fs_rm_rf(e->dir);
	closep(&e->lock);
	free(e->memo_dir);
	free(e->dir);
	free(e->endpoint);
	free(e->key);
	free(e->identity);
	free(e->d);
	buf_done(&e->error);
	free(e);
}

void
embed_stopp(struct embed **e)
{
	embed_stop(*e);
	*e = NULL;
}

const char *
embed_endpoint(const struct embed *e)
{
	return e->endpoint;
}

const char *
embed_coordinator_key(const struct embed *e)
{
	return e->key;
}

const char *
embed_identity(const struct embed *e)
{
	return e->identity;
}

const char *
embed_lost(struct embed *e)
{
	reap(e);
	for (unsigned i = 0; i < e->n; i++)
		if (e->d[i].lost)
			return e->d[i].name;
	return NULL;
}
