/* Signals between cargo and the child. Invariant: a signal is passed on only to a child that has
 * not been waited for yet, so never to another process that got its number. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/process/child.h"

static const int passed_on[] = { SIGINT, SIGTERM, SIGHUP };

static volatile sig_atomic_t current_child;
static volatile sig_atomic_t caught;

static void
on_signal(int sig)
{
	int saved = errno;

	if (!caught)
		caught = sig;
	if (current_child > 0)
		kill((pid_t)current_child, sig);
	errno = saved;
}

static void
block(sigset_t *ret_old)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(passed_on); i++)
		sigaddset(&set, passed_on[i]);
	sigprocmask(SIG_BLOCK, &set, ret_old);
}

void
child_catch_signals(void)
{
	struct sigaction sa, old;

	/* an inherited SIG_IGN would make every wait fail */
	signal(SIGCHLD, SIG_DFL);
	for (size_t i = 0; i < ARRAY_LEN(passed_on); i++) {
		if (sigaction(passed_on[i], NULL, &old) < 0 || old.sa_handler == SIG_IGN)
			continue;
		memset(&sa, 0, sizeof(sa));
		sa.sa_handler = on_signal;
		sigemptyset(&sa.sa_mask);
		sigaction(passed_on[i], &sa, NULL);
	}
}

static void
on_file_limit(int sig)
{
	(void)sig;
}

/* A handler is gone after an exec, and SIG_IGN is not. */
void
child_survive_file_limit(void)
{
	struct sigaction sa = { .sa_handler = on_file_limit, .sa_flags = SA_RESTART }, old;

	if (sigaction(SIGXFSZ, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
		sigaction(SIGXFSZ, &sa, NULL);
}

int
child_signal(void)
{
	return caught;
}

int
child_start(const struct spawn *s, pid_t *ret_pid)
{
	sigset_t old;
	int r;

	block(&old);
	if (caught) {
		r = -ECANCELED;
	} else {
		r = spawn_start(s, ret_pid);
		if (r == 0)
			current_child = *ret_pid;
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}

void
child_end(void)
{
	if (current_child > 0)
		kill((pid_t)current_child, SIGTERM);
}

int
child_wait(pid_t pid)
{
	sigset_t old;
	siginfo_t si;
	int r;

	do
		r = waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT);
	while (r < 0 && errno == EINTR);
	block(&old);
	current_child = 0;
	r = spawn_wait(pid, NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}

int
child_run(const struct spawn *s)
{
	pid_t pid;
	int r = child_start(s, &pid);

	return r < 0 ? r : child_wait(pid);
}

void
child_exit(int status)
{
	int sig = spawn_signal(status);
	struct rlimit none = { 0, 0 };
	sigset_t set;

	if (sig == 0 || sig >= NSIG)
		exit(spawn_shown(status));
	setrlimit(RLIMIT_CORE, &none);
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(sig);
	/* a signal that does not kill: the number must do */
	exit(spawn_shown(status));
}

int
child_write(int fd, const void *p, size_t n)
{
	const uint8_t *bytes = p;

	while (n > 0) {
		ssize_t k = write(fd, bytes, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0 && errno == EAGAIN) {
			struct pollfd pfd = { .fd = fd, .events = POLLOUT };

			poll(&pfd, 1, -1);
			continue;
		}
		if (k < 0)
			return -errno;
		bytes += k;
		n -= (size_t)k;
	}
	return 0;
}
