/* Invariant: nobody waits for such a process, and it has no descriptor, no terminal and no
 * priority. */
#include "config.h"

#include "client/incremental/background.h"

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
#include <sys/syscall.h>
#include <unistd.h>

#include "client/slots/memory.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/process/proc.h"

#define PARENT_WAIT_MS 3600000
#define LOOK_MS 2000 /* at those that one waits for: whether they are stopped */
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
background_on_battery(const char *root)
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

	/* of another user's cache nothing is used, and nothing is written there */
	if (!conf->client.prime || !dir || !*dir || (ci && *ci && !streq(ci, "false")) ||
		fs_check_owner(dir) < 0 || background_on_battery(""))
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
	for (unsigned i = 0; i < BACKGROUND_MAX; i++) {
		char path[PATH_MAX];
		int fd;

		if (snprintf(path, sizeof(path), "%s/%u", dir, i) >= (int)sizeof(path))
			return -1;
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return -1;
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return fd;
		close(fd);
	}
	return -1;
}

/* One at a time compiles, and one copies; but one that is stopped holds up nobody. */
static int
take_turn(const char *cache_dir, const char *name)
{
	_cleanup_(freep) char *path = path_join(cache_dir, name);
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;

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

bool
background_withdraw(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || setsid() < 0)
		return false;
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (dup2(null, fd) < 0)
			return false;
	if (close_range(STDERR_FILENO + 1, ~0u, 0) < 0)
		return false;
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	return true;
}

static void
yield_to_all(void)
{
	struct sched_param p = { .sched_priority = 0 };
	struct rlimit cpu = { BACKGROUND_CPU_S, BACKGROUND_CPU_S };

	setpriority(PRIO_PROCESS, 0, 19);
	sched_setscheduler(0, SCHED_IDLE, &p);
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
	setrlimit(RLIMIT_CPU, &cpu);
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

void
background_start(
	const struct conf *conf, const struct rustc_call *call, bool compiles, background_fn what)
{
	pid_t cargo = getppid();
	int pidfd, place;

	if (!is_wanted(conf) || fork() != 0)
		return;
	/* a second fork, so that nobody need wait for it */
	if (fork() != 0 || !background_withdraw())
		_exit(0);
	yield_to_all();
	pidfd = (int)syscall(SYS_pidfd_open, cargo, 0);
	place = take_place(conf->client.cache_dir);
	if (place >= 0 && wait_for(cargo, pidfd) &&
		take_turn(conf->client.cache_dir, compiles ? "prime/turn" : "prime/copies") >= 0)
		what(conf, call);
	_exit(0);
}
