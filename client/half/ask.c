/* Invariant: dray never waits for a farm half that does not live: until it has answered (meet.h),
 * and until it has taken the unit if it was stopped meanwhile; then HALF_BEATS of HALF_BEAT_MS from
 * one sign of life to the next, or two if it is stopped. One that was given up after it had got the
 * unit is dead before dray goes on: it writes nothing beside dray. */
#include "config.h"

#include "client/half/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "client/half/meet.h"
#include "client/half/request.h"
#include "common/process/child.h"
#include "common/clock.h"
#include "common/process/environ.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "common/strv.h"

#define DEATH_MS 5000
#define STOP_MS 5000 /* who was interrupted waits no longer, though its unit's thread may hang */

struct ask {
	const struct half_ask *in;
	struct half_meet m;
};

/* ---- handing over */

static int
make_request(const struct half_ask *in)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(closep) int fd = memfd_create("dray-request", MFD_CLOEXEC);
	struct half_request q = { .jobs = in->jobs,
		.mapped = in->mapped,
		.is_alike = in->alike != NULL,
		.umask = fs_umask(),
		.argv = (char **)in->argv,
		.env = (char **)environ_all() };
	int r;

	if (in->alike)
		q.alike = *in->alike;
	r = fd < 0 ? -errno : half_request_encode(&q, &b);

	if (r == 0)
		r = fs_write_all(fd, b.p, b.n);
	return r < 0 ? r : steal_fd(&fd);
}

static int
send_fds(struct ask *a, const int fds[HALF_FDS])
{
	union {
		struct cmsghdr align;
		char b[CMSG_SPACE(HALF_FDS * sizeof(int))];
	} control;
	char word = HALF_UNIT;
	struct iovec iov = { &word, sizeof(word) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c;

	memset(&control, 0, sizeof(control));
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(HALF_FDS * sizeof(int));
	memcpy(CMSG_DATA(c), fds, HALF_FDS * sizeof(int));
	return sendmsg(a->m.conn, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int
hand_over(struct ask *a)
{
	_cleanup_(closep) int request = make_request(a->in);
	_cleanup_(closep) int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fds[HALF_FDS] = { [HALF_OUT] = STDOUT_FILENO,
		[HALF_ERR] = STDERR_FILENO,
		[HALF_CWD] = cwd,
		[HALF_LEDGER] = a->in->ledger_fd,
		[HALF_REQUEST] = request };

	if (request < 0 || cwd < 0)
		return -EIO;
	return send_fds(a, fds);
}

/* ---- waiting */

enum news { NEWS_NONE, NEWS_SOME, NEWS_END };

/* Takes all that has come. */
static enum news
take_news(struct ask *a)
{
	enum news news = NEWS_NONE;

	for (;;) {
		char word[16];
		ssize_t n = recv(a->m.conn, word, sizeof(word), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return news;
		if (n <= 0)
			return NEWS_END;
		news = NEWS_SOME;
	}
}

static void
kill_half(struct ask *a)
{
	struct pollfd p = { a->m.conn, POLLIN, 0 };
	uint64_t now = clock_mono_ms(), end = now + DEATH_MS;

	log_warn("the farm half gives no sign of life, and is killed");
	/* While the connection stands the number is its own, also without a pidfd (Linux 5.3). */
	if (a->m.pidfd >= 0)
		syscall(SYS_pidfd_send_signal, a->m.pidfd, SIGKILL, NULL, 0);
	else if (take_news(a) != NEWS_END)
		kill(a->m.pid, SIGKILL);
	for (; now < end; now = clock_mono_ms()) {
		poll(&p, 1, (int)(end - now));
		if (p.revents && take_news(a) == NEWS_END)
			return;
	}
}

/* The signals that dray notes come only while it waits. */
static void
block_signals(sigset_t *ret_old)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, ret_old);
}

/* Whether to give it up after so many waits without news. */
static bool
is_lost(const struct ask *a, unsigned missed)
{
	if (missed >= HALF_BEATS)
		return true;
	/* it has not begun, or should have given a sign of life between the two */
	return missed >= (a->in->ledger->half == 0 ? 1 : 2) && half_is_stopped(&a->m);
}

/* Says that nobody waits any more, once. Whether that was long ago. */
static bool
was_interrupted(struct ask *a, uint64_t *told_ms)
{
	uint64_t now = clock_mono_ms();

	if (!child_signal())
		return false;
	if (!*told_ms) {
		shutdown(a->m.conn, SHUT_WR);
		*told_ms = now;
	}
	return now - *told_ms >= STOP_MS;
}

/* Counts waits without news, and no time: this process may have been stopped itself. */
static void
wait_end(struct ask *a)
{
	struct timespec tick = { 0, HALF_ASK_MS * 1000000L };
	struct pollfd p = { a->m.conn, POLLIN, 0 };
	unsigned missed = 0;
	uint64_t told_ms = 0;
	sigset_t old;

	block_signals(&old);
	while (!is_lost(a, missed)) {
		enum news news;

		if (was_interrupted(a, &told_ms))
			goto out;
		if (ppoll(&p, 1, &tick, &old) < 0 && errno != EINTR)
			break;
		news = take_news(a);
		if (news == NEWS_END)
			goto out;
		missed = news == NEWS_SOME ? 0 : missed + 1;
		tick.tv_nsec = HALF_BEAT_MS * 1000000L;
	}
	kill_half(a);
out:
	sigprocmask(SIG_SETMASK, &old, NULL);
}

bool
half_run(const struct half_ask *in)
{
	struct ask a = { .in = in, .m = HALF_MEET_INIT };
	bool had = false;

	a.m.conf = in->conf;
	a.m.program = in->program;
	a.m.purpose = HALF_FOR_UNIT;
	/* what it has to log belongs on this process's stderr */
	if (!in->conf->client.farm_half || !in->conf->client.cache_dir ||
		log_enabled(LOG_LEVEL_ERROR))
		return false;
	if (half_meet(&a.m) == 0 && hand_over(&a) == 0) {
		wait_end(&a);
		had = in->ledger->half != 0;
	}
	half_meet_done(&a.m);
	return had;
}

#define FD_LEDGER 3

static int
own_argv(const struct half_ask *in, struct strv *ret)
{
	static const char separator[] = "--";
	char sought[DIGEST_HEX_SIZE], called[DIGEST_HEX_SIZE];
	int r = strv_add(ret, in->program);

	if (r == 0)
		r = strv_addf(ret, "--ledger-fd=%d", FD_LEDGER);
	/* it inherits no jobserver, and cargo is not its parent */
	if (r == 0)
		r = strv_addf(ret, "--jobs=%u", in->jobs);
	if (r == 0 && in->mapped)
		r = strv_add(ret, "--mapped");
	if (r == 0 && in->alike) {
		digest_hex(&in->alike->sought, sought);
		digest_hex(&in->alike->called, called);
		r = strv_addf(ret, "--sought=%s", sought);
		if (r == 0)
			r = strv_addf(ret, "--called=%s", called);
	}
	if (r == 0)
		r = strv_add(ret, separator);
	return r == 0 ? strv_add_all(ret, in->argv) : r;
}

int
half_run_own(const struct half_ask *in)
{
	_cleanup_(strv_done) struct strv argv = STRV_INIT;
	const struct spawn_fd fds[] = { { in->ledger_fd, FD_LEDGER } };
	int r = own_argv(in, &argv);

	return r < 0 ? r
		     : child_run(&(struct spawn){ .path = in->program,
			       .argv = argv.v,
			       .fds = fds,
			       .n_fds = 1,
			       .only_fds = true });
}
