/* Signals and cargo's end of the pipe. Invariant: no wait in dray-dispatch outlives the process
 * that waits for its result. */
#include "config.h"

#include "client/dispatch/tether.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

/* A pipe that polls as writable takes this many bytes without blocking (pipe(7): one page). */
#define WRITE_PART 4096

static void
add_unless_ignored(sigset_t *set, int sig)
{
	struct sigaction sa;

	if (sigaction(sig, NULL, &sa) == 0 && sa.sa_handler != SIG_IGN)
		sigaddset(set, sig);
}

int
tether_open(struct tether *t)
{
	pid_t parent = getppid();
	struct sigaction ignore;
	sigset_t set;

	memset(&ignore, 0, sizeof(ignore));
	ignore.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &ignore, NULL);
	sigemptyset(&set);
	add_unless_ignored(&set, SIGINT);
	add_unless_ignored(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	t->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (t->signals < 0)
		return -errno;
	t->watch_stderr = fcntl(t->err, F_GETFL) >= 0;
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		return -errno;
	/* a parent that died before this call sends no signal */
	return getppid() == parent ? 0 : -ECANCELED;
}

void
tether_hold(struct tether *t, int conn, int out, int err)
{
	*t = (struct tether){
		.signals = conn, .is_dray = true, .out = out, .err = err, .watch_stderr = true
	};
}

void
tether_done(struct tether *t)
{
	if (!t->is_dray)
		closep(&t->signals);
}

size_t
tether_items(const struct tether *t, zmq_pollitem_t *items)
{
	items[0] = (zmq_pollitem_t){ NULL, t->signals, ZMQ_POLLIN, 0 };
	if (!t->watch_stderr)
		return 1;
	/* a pipe without a reader polls as an error, for any events */
	items[1] = (zmq_pollitem_t){ NULL, t->err, ZMQ_POLLERR, 0 };
	return 2;
}

static void
read_signal(struct tether *t)
{
	struct signalfd_siginfo si;

	if (t->is_dray)
		/* it says nothing more: this is its end of file, or the loss of it */
		t->signal = SIGTERM;
	else if (read(t->signals, &si, sizeof(si)) == (ssize_t)sizeof(si) && !t->signal)
		t->signal = (int)si.ssi_signo;
}

bool
tether_look(struct tether *t, const zmq_pollitem_t *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (items[i].fd == t->signals && items[i].revents)
			read_signal(t);
		if (items[i].fd == t->err && (items[i].revents & ZMQ_POLLERR))
			t->reader_gone = true;
	}
	return tether_cut(t);
}

bool
tether_cut(const struct tether *t)
{
	return t->signal || t->reader_gone;
}

static int
wait_writable(struct tether *t, int fd)
{
	struct pollfd p[2] = { { t->signals, POLLIN, 0 }, { fd, POLLOUT, 0 } };

	if (poll(p, 2, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[0].revents)
		read_signal(t);
	if (t->signal)
		return -ECANCELED;
	/* The write itself then returns the error. */
	return p[1].revents != 0;
}

int
tether_write(struct tether *t, bool out, const void *p, size_t n)
{
	const uint8_t *b = p;
	int fd = out ? t->out : t->err;

	while (n > 0) {
		ssize_t k;
		int r = wait_writable(t, fd);

		if (r < 0)
			return r;
		if (r == 0)
			continue;
		k = write(fd, b, MIN2(n, (size_t)WRITE_PART));
		if (k < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (k < 0) {
			if (errno == EPIPE && !out)
				t->reader_gone = true;
			return -errno;
		}
		b += k;
		n -= (size_t)k;
	}
	return 0;
}
