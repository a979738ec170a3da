/* Invariant: nothing waits for a priming process, and it changes nothing but a state that was not
 * there: what it makes goes to a directory of its own, and a whole state is moved to its place in
 * one step. Where a state came meanwhile, that one stays. */
#include "config.h"

#include "client/wrap/prime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/wrap/incremental.h"
#include "client/wrap/local.h"
#include "client/wrap/memory.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/left.h"
#include "common/proc.h"
#include "common/spawn.h"

#define PARENT_WAIT_MS 3600000
#define LOOK_MS 2000 /* at those that one waits for: whether they are stopped */
#define VIEW_MAX 20000
#define STATE ".dray-state"
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13) /* linux/ioprio.h */

/* ---- whether */

static bool
file_says(const char *dir, const char *name, const char *text)
{
	_cleanup_(freep) char *path = path_join(dir, name);
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	return path && fs_read_file(path, 256, &b) == 0 && b.n >= strlen(text) &&
	       memcmp(b.p, text, strlen(text)) == 0;
}

bool
prime_on_battery(const char *root)
{
	_cleanup_(freep) char *all = path_join(root, "/sys/class/power_supply");
	_cleanup_(closedirp) DIR *d = all ? opendir(all) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_(freep) char *one = path_join(all, e->d_name);

		if (one && *e->d_name != '.' && file_says(one, "type", "Battery") &&
			file_says(one, "status", "Discharging"))
			return true;
	}
	return false;
}

static bool
is_wanted(const struct conf *conf)
{
	const char *ci = getenv("CI"), *dir = conf->client.cache_dir;
	struct memory_now m;

	if (!conf->client.prime || !dir || !*dir || (ci && *ci && !streq(ci, "false")) ||
		prime_on_battery(""))
		return false;
	memory_read("", &m);
	return !m.known ||
	       (m.available > 2 * conf->client.local_memory && m.pressure < MEMORY_PRESSURE_HIGH);
}

/* ---- when */

/* A place among those that wait, held to the end of this process; -1: there are enough. */
static int
take_place(const char *cache_dir)
{
	_cleanup_(freep) char *dir = path_join(cache_dir, "prime");

	if (!dir || fs_mkdir_p(dir, 0700) < 0)
		return -1;
	for (unsigned i = 0; i < PRIME_WAITING_MAX; i++) {
		char path[PATH_MAX];
		int fd;

		if (snprintf(path, sizeof(path), "%s/%u", dir, i) >= (int)sizeof(path))
			return -1;
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			return -1;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		close(fd);
	}
	return -1;
}

/* One at a time compiles; but one that is stopped holds up nobody. */
static int
take_turn(const char *cache_dir)
{
	_cleanup_(freep) char *path = path_join(cache_dir, "prime/turn");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		struct proc_name holder;

		if (errno != EWOULDBLOCK && errno != EINTR) {
			closep(&fd);
			break;
		}
		poll(NULL, 0, LOOK_MS);
		if (proc_signed(fd, &holder) == 0 && proc_state(&holder) == PROC_STOPPED)
			return fd;
	}
	if (fd >= 0)
		(void)proc_sign(fd);
	return fd;
}

/* In a process of nobody's: no terminal, no descriptor of cargo's, the least priority. */
static bool
withdraw(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct sched_param p = { .sched_priority = 0 };
	struct rlimit cpu = { PRIME_CPU_S, PRIME_CPU_S };

	if (null < 0 || setsid() < 0)
		return false;
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (dup2(null, fd) < 0)
			return false;
	if (close_range(STDERR_FILENO + 1, ~0u, 0) < 0)
		return false;
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	setpriority(PRIO_PROCESS, 0, 19);
	sched_setscheduler(0, SCHED_IDLE, &p);
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
	setrlimit(RLIMIT_CPU, &cpu);
	return true;
}

/* Whether cargo has ended. A build that is stopped gives its places to others: no state is made
 * ready for it. */
static bool
wait_for(pid_t cargo, int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	uint64_t end = clock_mono_ms() + PARENT_WAIT_MS;

	while (pidfd >= 0 && clock_mono_ms() < end && poll(&p, 1, LOOK_MS) <= 0)
		if (proc_is_stopped(cargo))
			return false;
	return true;
}

/* ---- what */

/* The out-dir's path is among what rustc holds a state's objects to, so the compile must have the
 * real one; but what it writes there must not be seen. So it runs where another directory is
 * mounted in its place: with other names of all the files (what they hold is never changed in
 * place), but the unit's own. All else is read-only there: who removes the out-dir takes the mount
 * away, and rustc would make it anew. */
static int
make_view(const struct rustc_call *call, const char *view)
{
	_cleanup_(closedirp) DIR *d = opendir(call->out_dir);
	unsigned n = 0;
	struct dirent *e;

	if (!d || mkdir(view, 0700) < 0)
		return -errno;
	while ((e = readdir(d))) {
		_cleanup_(freep) char *from = NULL, *to = NULL;

		if (*e->d_name == '.' || e->d_type == DT_DIR ||
			call_output_name_ok(call->crate_name, call->extra_filename, e->d_name))
			continue;
		from = path_join(call->out_dir, e->d_name);
		to = path_join(view, e->d_name);
		if (!from || !to || ++n > VIEW_MAX)
			return -E2BIG;
		if (link(from, to) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static char ro_bind[] = "--ro-bind", dev_bind[] = "--dev-bind", root[] = "/", dev[] = "/dev",
	    die[] = "--die-with-parent", end[] = "--";

bool
prime_binds_with(const char *bwrap)
{
	static char program[] = "/bin/true";
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	_cleanup_(freep) char *copy = strdup(bwrap);
	char *argv[] = { copy, ro_bind, root, root, dev_bind, dev, dev, die, end, program, NULL };
	int status = 0;

	return copy && spawn_capture(argv, NULL, SPAWN_ASK_MS, 4096, &out, &status) == 0 &&
	       status == 0;
}

/* The call's words, with a state in the view; a linker that does nothing, since only the state
 * counts (rustc finishes it before the link). */
static int
make_argv(const struct rustc_call *call, char *bwrap, const char *view, struct strv *argv)
{
	static char bind[] = "--bind", set[] = "--setenv", tmpdir[] = "TMPDIR";
	_cleanup_(call_done) struct rustc_call plain = { .kind = CALL_UNKNOWN };
	_cleanup_(strv_done) struct strv words = STRV_INIT;
	_cleanup_(freep) char *cwd = getcwd(NULL, 0);
	_cleanup_(freep) char *out_dir = cwd ? path_normalize(cwd, call->out_dir) : NULL;
	_cleanup_(freep) char *copy = strdup(view);
	char *head[] = { bwrap, ro_bind, root, root, dev_bind, dev, dev, bind, copy, out_dir, set,
		tmpdir, out_dir, die, end, NULL };
	int r = out_dir && copy ? incremental_plain(call, &words, &plain) : -ENOMEM;

	if (r == 0)
		r = strv_add_all(argv, head);
	if (r == 0)
		r = strv_add_all(argv, words.v);
	if (r == 0)
		r = strv_addf(argv, "-Cincremental=%s/" STATE, out_dir);
	if (r == 0 && call->calls_linker)
		r = strv_add(argv, "-Clinker=true");
	return r;
}

/* The one directory below view/STATE becomes one of the call's. No directory is made for it: cargo
 * has made them, or they are being removed. */
static void
move_state(const struct rustc_call *call, const char *view, struct memo *m)
{
	_cleanup_(freep) char *state = path_join(view, STATE);
	_cleanup_(closedirp) DIR *d = state ? opendir(state) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_(freep) char *from = path_join(state, e->d_name);
		_cleanup_(freep) char *to = path_join(call->incremental, e->d_name);

		if (*e->d_name == '.' || !from || !to)
			continue;
		if (rename(from, to) == 0)
			incremental_note_state(call, m, e->d_name);
	}
}

static void
compile(const struct rustc_call *call, const char *dir, struct memo *m)
{
	static const char *const dropped[] = { "CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS" };
	_cleanup_(strv_done) struct strv argv = STRV_INIT;
	_cleanup_(freep) char *bwrap = fs_which("bwrap", getenv("PATH"));
	_cleanup_(freep) char *view = path_join(dir, "view");
	pid_t pid;

	for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
		unsetenv(dropped[i]);
	if (!bwrap || !view || make_view(call, view) < 0 || make_argv(call, bwrap, view, &argv) < 0)
		return;
	if (spawn_start(&(struct spawn){ .path = bwrap, .argv = argv.v }, &pid) == 0 &&
		spawn_wait(pid, NULL) == 0 && fs_exists(call->out_dir))
		move_state(call, view, m);
}

/* The view is made beside the cache: a directory in the target directory would be in the way when
 * that is removed. If they are on two file systems there is no view. */
static char *
make_dir(const struct conf *conf, const struct rustc_call *call)
{
	_cleanup_(freep) char *mine = path_join(conf->client.cache_dir, "prime");
	char *dir = NULL;
	struct stat a, b;

	if (!mine || stat(mine, &a) < 0 || stat(call->out_dir, &b) < 0 || a.st_dev != b.st_dev)
		return NULL;
	left_sweep(NULL, mine);
	return left_make_dir(mine, getpid(), &dir) < 0 ? NULL : dir;
}

static void
prime(const struct conf *conf, const struct rustc_call *call)
{
	_cleanup_(memo_closep) struct memo *m = NULL;
	_cleanup_(freep) char *dir = NULL;

	if (memo_open(conf->client.cache_dir, &m) < 0)
		m = NULL;
	/* cargo clean, or an edit that was compiled meanwhile */
	if (!fs_exists(call->out_dir) || incremental_has_state(call, m))
		return;
	dir = make_dir(conf, call);
	if (!dir)
		return;
	compile(call, dir, m);
	fs_rm_rf(dir);
}

void
prime_start(const struct conf *conf, const struct rustc_call *call)
{
	pid_t cargo = getppid();
	int pidfd, place, turn;

	if (!is_wanted(conf) || fork() != 0)
		return;
	/* a second fork, so that nobody need wait for it */
	if (fork() != 0 || !withdraw())
		_exit(0);
	pidfd = (int)syscall(SYS_pidfd_open, cargo, 0);
	place = take_place(conf->client.cache_dir);
	if (place >= 0 && wait_for(cargo, pidfd)) {
		turn = take_turn(conf->client.cache_dir);
		if (turn >= 0)
			prime(conf, call);
	}
	_exit(0);
}
