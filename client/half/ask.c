/* Invariant: dray never waits for a farm half that does not live: HALF_ASK_MS until it answers, and
 * until it has taken the unit if it was stopped meanwhile; then HALF_BEATS of HALF_BEAT_MS from one
 * sign of life to the next, or two if it is stopped. One that was given up after it had got the
 * unit is dead before dray goes on: it writes nothing beside dray. */
#include "config.h"

#include "client/half/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "client/half/key.h"
#include "client/half/place.h"
#include "client/half/request.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/environ.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/proc.h"
#include "common/strv.h"

#define FD_LISTEN 3
/* One that died is not started again at once, and one that cannot be is not tried for each unit. */
#define AGAIN_S 10
#define DEATH_MS 5000

struct ask {
	const struct half_ask *in;
	int dir, conn, pidfd;
	pid_t pid; /* of the half; 0: not known yet */
	struct digest key;
	bool started;
};

/* ---- starting it */

/* The lock that who starts one holds for some milliseconds. -1: nobody let go of it in time. */
static int
lock_start(int dir, const char *name)
{
	_cleanup_(closep) int fd = openat(
		dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	uint64_t end = clock_mono_ms() + HALF_ASK_MS;

	if (fd < 0)
		return -1;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (clock_mono_ms() >= end)
			return -1;
		poll(NULL, 0, 1);
	}
	return steal_fd(&fd);
}

/* Whether the last one was started that lately. It leaves an empty file when it goes in order. */
static bool
was_just_started(int lock)
{
	struct timespec now;
	struct stat st;

	clock_gettime(CLOCK_REALTIME, &now);
	return fstat(lock, &st) == 0 && st.st_size > 0 && now.tv_sec >= st.st_mtim.tv_sec &&
	       now.tv_sec - st.st_mtim.tv_sec < AGAIN_S;
}

static int
spawn_half(const struct ask *a, int listener, pid_t *ret)
{
	_cleanup_(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_(strv_done) struct strv argv = STRV_INIT;
	char hex[DIGEST_HEX_SIZE];
	struct spawn_fd fds[] = { { null, 0 }, { null, 1 }, { null, 2 }, { listener, FD_LISTEN } };
	int r = null < 0 ? -errno : strv_add(&argv, a->in->program);

	digest_hex(&a->key, hex);
	if (r == 0)
		r = strv_addf(&argv, "--half=%d", FD_LISTEN);
	if (r == 0)
		r = strv_addf(&argv, "--key=%s", hex);
	return r < 0 ? r
		     : spawn_start(&(struct spawn){ .path = a->in->program,
					   .argv = argv.v,
					   .fds = fds,
					   .n_fds = ARRAY_LEN(fds),
					   .only_fds = true },
			       ret);
}

/* Its socket listens before it runs: who comes meanwhile need not try again. */
static int
start(struct ask *a)
{
	_cleanup_(closep) int lock = -1;
	_cleanup_(closep) int listener = -1;
	char name[HALF_NAME_SIZE], text[32];
	int r;

	half_start_name(&a->key, name);
	lock = lock_start(a->dir, name);
	if (lock < 0)
		return -EBUSY;
	/* somebody else may have done it meanwhile */
	a->conn = half_connect(a->dir, &a->key);
	if (a->conn >= 0)
		return 0;
	if (was_just_started(lock))
		return -EAGAIN;
	half_sweep(a->dir, &a->key);
	if (pwrite(lock, "0\n", 2, 0) != 2)
		return -EIO;
	listener = half_listen(a->dir, &a->key);
	if (listener < 0)
		return listener;
	r = spawn_half(a, listener, &a->pid);
	if (r < 0)
		return r;
	a->started = true;
	snprintf(text, sizeof(text), "%ld\n", (long)a->pid);
	(void)!pwrite(lock, text, strlen(text), 0);
	a->conn = half_connect(a->dir, &a->key);
	return MIN2(a->conn, 0);
}

static int
find(struct ask *a)
{
	a->conn = half_connect(a->dir, &a->key);
	if (a->conn == -ENOENT || a->conn == -ECONNREFUSED)
		return start(a);
	return MIN2(a->conn, 0);
}

/* ---- handing over */

static int
make_request(const struct half_ask *in)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(closep) int fd = memfd_create("dray-request", MFD_CLOEXEC);
	struct half_request q = { .jobs = in->jobs,
		.mapped = in->mapped,
		.umask = fs_umask(),
		.argv = (char **)in->argv,
		.env = (char **)environ_all() };
	int r = fd < 0 ? -errno : half_request_encode(&q, &b);

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
	return sendmsg(a->conn, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
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
		ssize_t n = recv(a->conn, word, sizeof(word), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return news;
		if (n <= 0)
			return NEWS_END;
		news = NEWS_SOME;
	}
}

/* Of one that was just started the kernel says that the other end is this process, which made its
 * socket. */
static bool
is_stopped(const struct ask *a)
{
	pid_t pid = a->pid;

	return (pid > 0 || half_peer_is_ours(a->conn, &pid)) && proc_is_stopped(pid);
}

/* What is stopped is met by nobody else: it leaves when it goes on. */
static void
leave_behind(struct ask *a)
{
	char name[HALF_NAME_SIZE];

	if (!is_stopped(a))
		return;
	half_socket_name(&a->key, name);
	unlinkat(a->dir, name, 0);
}

static int
read_ready(struct ask *a)
{
	char b[sizeof(struct half_ready) + 1];
	ssize_t n = recv(a->conn, b, sizeof(b), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0 || !half_ready_ok(b, (size_t)n, &a->pid))
		return -EPROTO;
	/* While the connection stands no other process has that number. */
	a->pidfd = (int)syscall(SYS_pidfd_open, a->pid, 0);
	return 0;
}

static int
wait_ready_until(struct ask *a, uint64_t end)
{
	struct pollfd p = { a->conn, POLLIN, 0 };

	for (uint64_t now = clock_mono_ms(); now < end && !child_signal(); now = clock_mono_ms()) {
		int r;

		if (poll(&p, 1, (int)(end - now)) < 0 && errno != EINTR)
			return -errno;
		r = read_ready(a);
		if (r != -EAGAIN)
			return r;
	}
	return -ETIMEDOUT;
}

/* On a machine so busy that one needs longer to begin, another program would as well. */
static int
wait_ready(struct ask *a)
{
	uint64_t now = clock_mono_ms();
	int r = wait_ready_until(a, now + HALF_ASK_MS);

	if (r == -ETIMEDOUT && a->started && !is_stopped(a))
		r = wait_ready_until(a, now + HALF_START_MS);
	if (r == -ETIMEDOUT)
		leave_behind(a);
	return r;
}

static void
kill_half(struct ask *a)
{
	struct pollfd p = { a->conn, POLLIN, 0 };
	uint64_t now = clock_mono_ms(), end = now + DEATH_MS;

	log_warn("the farm half gives no sign of life, and is killed");
	/* While the connection stands the number is its own, also without a pidfd (Linux 5.3). */
	if (a->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, a->pidfd, SIGKILL, NULL, 0);
	else if (take_news(a) != NEWS_END)
		kill(a->pid, SIGKILL);
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
	return missed >= (a->in->ledger->half == 0 ? 1 : 2) && is_stopped(a);
}

/* Counts waits without news, and no time: this process may have been stopped itself. */
static void
wait_end(struct ask *a)
{
	struct timespec tick = { 0, HALF_ASK_MS * 1000000L };
	struct pollfd p = { a->conn, POLLIN, 0 };
	unsigned missed = 0;
	bool told = false;
	sigset_t old;

	block_signals(&old);
	while (!is_lost(a, missed)) {
		enum news news;

		if (child_signal() && !told) {
			shutdown(a->conn, SHUT_WR);
			told = true;
		}
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

static void
done(struct ask *a)
{
	closep(&a->dir);
	closep(&a->conn);
	closep(&a->pidfd);
}

static int
ask(struct ask *a)
{
	struct half_hello hello;
	int r;

	a->dir = half_dir_open(a->in->conf->client.cache_dir);
	if (a->dir < 0)
		return a->dir;
	r = half_key_make(a->in->conf, a->in->program, &a->key);
	if (r == 0)
		r = find(a);
	if (r < 0)
		return r;
	half_hello_make(&a->key, &hello);
	if (send(a->conn, &hello, sizeof(hello), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return -errno;
	r = wait_ready(a);
	return r < 0 ? r : hand_over(a);
}

bool
half_run(const struct half_ask *in)
{
	_cleanup_(done) struct ask a = { .in = in, .dir = -1, .conn = -1, .pidfd = -1 };

	/* what it has to log belongs on this process's stderr */
	if (!in->conf->client.farm_half || !in->conf->client.cache_dir ||
		log_enabled(LOG_LEVEL_ERROR))
		return false;
	if (ask(&a) < 0)
		return false;
	wait_end(&a);
	return in->ledger->half != 0;
}
