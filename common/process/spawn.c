/* Starting programs. Invariant: a child gets none of our descriptors but those named for it, an
 * empty signal mask and default actions; but a SIGHUP that is ignored stays so, or `nohup cargo
 * build` would end with its terminal. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/process/environ.h"
#include "common/fs.h"
#include "common/process/spawn.h"

extern char **environ;

/* Whether entry i's source would be overwritten by another entry before it is used. */
static bool
source_is_target(const struct spawn *s, size_t i)
{
	for (size_t k = 0; k < s->n_fds; k++)
		if (k != i && s->fds[k].to == s->fds[i].from)
			return true;
	return false;
}

static bool
is_target(const struct spawn *s, int fd)
{
	for (size_t i = 0; i < s->n_fds; i++)
		if (s->fds[i].to == fd)
			return true;
	return false;
}

/* After the targets are in their places: closes all above them, and what lies between. */
static int
close_others(const struct spawn *s, posix_spawn_file_actions_t *fa, int top)
{
	int r = 0;

	for (int fd = STDERR_FILENO + 1; r == 0 && fd < top; fd++)
		if (!is_target(s, fd))
			r = posix_spawn_file_actions_addclose(fa, fd);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(fa, top + 1);
	return -r;
}

/* Sources that are also targets are first copied above all targets. *copies holds n_fds
 * descriptors, -1 where none was needed. */
static int
add_fds(const struct spawn *s, posix_spawn_file_actions_t *fa, int *copies)
{
	int top = STDERR_FILENO;

	for (size_t i = 0; i < s->n_fds; i++) {
		if (s->fds[i].from < 0 || s->fds[i].to < 0)
			return -EBADF;
		top = MAX2(top, s->fds[i].to);
	}
	for (size_t i = 0; i < s->n_fds; i++) {
		int from = s->fds[i].from, r;

		if (source_is_target(s, i)) {
			copies[i] = fcntl(from, F_DUPFD_CLOEXEC, top + 1);
			if (copies[i] < 0)
				return -errno;
			from = copies[i];
		}
		/* With equal numbers this clears close-on-exec in the child. */
		r = posix_spawn_file_actions_adddup2(fa, from, s->fds[i].to);
		if (r)
			return -r;
	}
	return s->only_fds ? close_others(s, fa, top) : 0;
}

static int
set_attributes(const struct spawn *s, posix_spawnattr_t *attr)
{
	short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
	struct sigaction hup;
	sigset_t set;
	int r;

	sigfillset(&set);
	if (sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler == SIG_IGN)
		sigdelset(&set, SIGHUP);
	r = posix_spawnattr_setsigdefault(attr, &set);
	sigemptyset(&set);
	if (!r)
		r = posix_spawnattr_setsigmask(attr, &set);
	if (!r && s->new_group) {
		flags |= POSIX_SPAWN_SETPGROUP;
		r = posix_spawnattr_setpgroup(attr, 0);
	}
	if (!r)
		r = posix_spawnattr_setflags(attr, flags);
	return -r;
}

static int
spawn_with(const struct spawn *s, posix_spawn_file_actions_t *fa, posix_spawnattr_t *attr,
	int *copies, pid_t *ret_pid)
{
	char *const *envp = s->envp ? s->envp : environ_all();
	pid_t pid = -1;
	int r;

	r = add_fds(s, fa, copies);
	if (r == 0 && s->cwd)
		r = -posix_spawn_file_actions_addchdir_np(fa, s->cwd);
	if (r == 0)
		r = set_attributes(s, attr);
	if (r < 0)
		return r;
	if (strchr(s->path, '/'))
		r = posix_spawn(&pid, s->path, fa, attr, s->argv, envp);
	else
		r = posix_spawnp(&pid, s->path, fa, attr, s->argv, envp);
	if (r)
		return -r;
	*ret_pid = pid;
	return 0;
}

/* ---- a child that is killed when we are: posix_spawn cannot ask for that */

/* Copies are made only where they must be: there may be few descriptors (ulimit -n). */
static int
place_fds(const struct spawn *s, int *copies, int top)
{
	for (size_t i = 0; i < s->n_fds; i++) {
		if (!source_is_target(s, i))
			continue;
		copies[i] = fcntl(s->fds[i].from, F_DUPFD_CLOEXEC, top + 1);
		if (copies[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < s->n_fds; i++) {
		int from = copies[i] < 0 ? s->fds[i].from : copies[i], to = s->fds[i].to;

		if (from == to ? fcntl(to, F_SETFD, 0) < 0 : dup2(from, to) < 0)
			return -errno;
	}
	return 0;
}

/* As the attributes of posix_spawn would leave them. */
static int
reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++) {
		struct sigaction now;

		if (sigaction(sig, NULL, &now) == 0 && now.sa_handler != SIG_DFL &&
			(now.sa_handler != SIG_IGN || sig != SIGHUP))
			signal(sig, SIG_DFL);
	}
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

/* In the child. Returns only when it cannot. */
static int
become(const struct spawn *s, pid_t parent, int *copies, int top, int wr)
{
	char *const *envp = s->envp ? s->envp : environ_all();
	int r;

	/* one that died before this call sends nothing */
	if ((prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 && !s->body) || getppid() != parent)
		return -ECANCELED;
	r = reset_signals();
	if (r == 0)
		r = place_fds(s, copies, top);
	if (r == 0 && ((s->new_group && setpgid(0, 0) < 0) || (s->cwd && chdir(s->cwd) < 0)))
		r = -errno;
	if (r < 0)
		return r;
	if (s->body) {
		environ = (char **)envp;
		if (wr >= 0)
			close(wr);
		_exit(s->body(s->arg));
	}
	if (strchr(s->path, '/'))
		execve(s->path, s->argv, envp);
	else
		execvpe(s->path, s->argv, envp);
	return -errno;
}

/* The pipe (wr) tells why there is no program; its end, that there is one. A body's own work tells
 * as much: where there is no descriptor left for the pipe, it is done without. */
static int
start_tied(const struct spawn *s, int *copies, pid_t *ret_pid)
{
	_cleanup_(closep) int rd = -1;
	_cleanup_(closep) int wr = -1;
	int fds[2] = { -1, -1 }, top = STDERR_FILENO, r = 0;
	pid_t pid, parent = getpid();

	if (s->only_fds)
		return -EINVAL;
	for (size_t i = 0; i < s->n_fds; i++)
		top = MAX2(top, s->fds[i].to);
	if (pipe2(fds, O_CLOEXEC) < 0 && !(s->body && errno == EMFILE))
		return -errno;
	rd = fds[0];
	wr = fds[1];
	if (wr >= 0 && wr <= top) {
		wr = fcntl(fds[1], F_DUPFD_CLOEXEC, top + 1);
		close(fds[1]);
		if (wr < 0)
			return -errno;
	}
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		r = become(s, parent, copies, top, wr);
		_exit(wr >= 0 && write(wr, &r, sizeof(r)) == sizeof(r) ? 127 : 126);
	}
	closep(&wr);
	while (rd >= 0 && read(rd, &r, sizeof(r)) < 0 && errno == EINTR)
		;
	if (r < 0)
		spawn_wait(pid, NULL);
	else
		*ret_pid = pid;
	return r;
}

int
spawn_start(const struct spawn *s, pid_t *ret_pid)
{
	_cleanup_(freep) int *copies = NULL;
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	int r;

	copies = calloc(MAX2(s->n_fds, 1), sizeof(*copies));
	if (!copies)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_fds; i++)
		copies[i] = -1;
	if (s->body && !s->dies_with_us)
		return -EINVAL;
	if (s->dies_with_us)
		return start_tied(s, copies, ret_pid);
	r = posix_spawn_file_actions_init(&fa);
	if (r)
		return -r;
	r = posix_spawnattr_init(&attr);
	if (r) {
		posix_spawn_file_actions_destroy(&fa);
		return -r;
	}
	r = spawn_with(s, &fa, &attr, copies, ret_pid);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	for (size_t i = 0; i < s->n_fds; i++)
		closep(&copies[i]);
	return r;
}

int
spawn_signal(int status)
{
	return status > SPAWN_SIGNALLED ? status - SPAWN_SIGNALLED : 0;
}

int
spawn_shown(int status)
{
	return spawn_signal(status) ? 128 + spawn_signal(status) : status;
}

int
spawn_wait(pid_t pid, struct rusage *ret_usage)
{
	int status = 0;
	pid_t r;

	do
		r = wait4(pid, &status, 0, ret_usage);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return WIFSIGNALED(status) ? SPAWN_SIGNALLED + WTERMSIG(status) : WEXITSTATUS(status);
}

/* What ends a capture early. The signals stay pending meanwhile: a process that waits for them, or
 * dies of them, does so afterwards. */
struct spawn_limits {
	uint64_t end; /* on the monotonic clock, ms */
	sigset_t old;
	int signals; /* signalfd, never read */
};

static int
limits_begin(struct spawn_limits *l, unsigned ms)
{
	static const int watched[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction sa;
	sigset_t set;

	l->end = clock_mono_ms() + ms;
	sigemptyset(&set);
	/* One that is ignored would be pending, too, while it is blocked. */
	for (size_t i = 0; i < ARRAY_LEN(watched); i++)
		if (sigaction(watched[i], NULL, &sa) == 0 && sa.sa_handler != SIG_IGN)
			sigaddset(&set, watched[i]);
	l->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (l->signals < 0)
		return -errno;
	return -pthread_sigmask(SIG_BLOCK, &set, &l->old);
}

static void
limits_end(struct spawn_limits *l)
{
	closep(&l->signals);
	pthread_sigmask(SIG_SETMASK, &l->old, NULL);
}

/* Waits until fd can be read, or for ms when it is -1. 0, -ETIMEDOUT, -ECANCELED (a signal). */
static int
limits_wait(const struct spawn_limits *l, int fd, uint64_t ms)
{
	struct pollfd p[] = { { l->signals, POLLIN, 0 }, { fd, POLLIN, 0 } };
	uint64_t now = clock_mono_ms();

	if (now >= l->end)
		return -ETIMEDOUT;
	ms = MIN2(ms, MIN2(l->end - now, (uint64_t)INT_MAX));
	if (poll(p, 2, (int)ms) < 0 && errno != EINTR)
		return -errno;
	return p[0].revents ? -ECANCELED : 0;
}

static int
read_bounded(int fd, const struct spawn_limits *l, size_t max, struct buf *b)
{
	size_t got = 0;

	for (;;) {
		ssize_t k;
		int r = buf_reserve(b, 4096);

		if (r == 0)
			r = limits_wait(l, fd, UINT64_MAX);
		if (r < 0)
			return r;
		k = read(fd, b->p + b->n, b->cap - b->n - 1);
		if (k < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (k <= 0)
			return k < 0 ? -errno : 0;
		got += (size_t)k;
		if (got > max)
			return -EFBIG;
		b->n += (size_t)k;
		b->p[b->n] = '\0';
	}
}

/* It has closed its stdout, so it is about to end; but it need not. */
static int
wait_for_end(pid_t pid, const struct spawn_limits *l)
{
	siginfo_t si = { .si_pid = 0 };
	int r = 0;

	for (uint64_t ms = 1; r == 0; ms = MIN2(2 * ms, (uint64_t)50)) {
		if (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT | WNOHANG) < 0)
			return -errno;
		if (si.si_pid == pid)
			return 0;
		r = limits_wait(l, -1, ms);
	}
	return r;
}

static int
capture(const struct spawn *s, int rd, int *wr, const struct spawn_limits *l, size_t max,
	struct buf *ret, int *ret_status)
{
	size_t before = ret->n;
	int r, status;
	pid_t pid;

	r = spawn_start(s, &pid);
	closep(wr);
	if (r < 0)
		return r;
	r = read_bounded(rd, l, max, ret);
	if (r == 0)
		r = wait_for_end(pid, l);
	if (r < 0) {
		kill(-pid, SIGKILL);
		ret->n = before;
		if (ret->p)
			ret->p[ret->n] = '\0';
	}
	status = spawn_wait(pid, NULL);
	if (r == 0 && status < 0)
		r = status;
	if (r == 0 && ret_status)
		*ret_status = status;
	return r;
}

int
spawn_capture(char *const *argv, char *const *envp, unsigned limit_ms, size_t max, struct buf *ret,
	int *ret_status)
{
	_cleanup_(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_(closep) int rd = -1;
	_cleanup_(closep) int wr = -1;
	struct spawn_limits limits;
	int pipe_fds[2], r;

	if (null < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	rd = pipe_fds[0];
	wr = pipe_fds[1];
	if (fcntl(rd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	r = limits_begin(&limits, limit_ms);
	if (r < 0) {
		closep(&limits.signals);
		return r;
	}
	r = capture(&(struct spawn){ .path = argv[0],
			    .argv = argv,
			    .envp = envp,
			    .fds = (struct spawn_fd[]){ { null, 0 }, { wr, 1 }, { null, 2 } },
			    .n_fds = 3,
			    .new_group = true },
		rd, &wr, &limits, max, ret, ret_status);
	limits_end(&limits);
	return r;
}

static char *
program_in(const char *dir, const char *sub, const char *name)
{
	/* as the kernel will name it to a tracer */
	_cleanup_(freep) char *with_sub = sub ? path_normalize(dir, sub) : strdup(dir);
	_cleanup_(freep) char *full = with_sub ? path_join(with_sub, name) : NULL;

	return full ? fs_which(full, NULL) : NULL;
}

/* The directory of this executable; NULL when it is not known. */
static char *
own_dir(void)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n <= 0)
		return NULL;
	exe[n] = '\0';
	return exe[0] == '/' ? path_dirname(exe) : NULL;
}

char *
spawn_find_program(const char *name)
{
	static const char *const beside[] = { NULL, "../client", "../coordinator", "../worker",
		"../trace", "../discovery", "../libexec/dray", "../bin" };
	static const char *const installed[] = {
#ifdef PKGLIBEXECDIR
		PKGLIBEXECDIR,
#endif
#ifdef BINDIR
		BINDIR,
#endif
		NULL
	};
	_cleanup_(freep) char *own = own_dir();
	const char *env = getenv("DRAY_LIBEXEC");
	char *found;

	if (!path_is_name(name))
		return NULL;
	if (env && *env) {
		found = program_in(env, NULL, name);
		if (found)
			return found;
	}
	for (size_t i = 0; own && i < ARRAY_LEN(beside); i++) {
		found = program_in(own, beside[i], name);
		if (found)
			return found;
	}
	for (size_t i = 0; installed[i]; i++) {
		found = program_in(installed[i], NULL, name);
		if (found)
			return found;
	}
	return NULL;
}
