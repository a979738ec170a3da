/* Invariant: dray never waits for a farm half that does not live: HALF_ASK_MS until it answers, or
 * HALF_START_MS where this process has started it, or for_stores_ms() for what no other can give;
 * and that in vain once in AGAIN_S. */
#include "config.h"

#include "client/half/meet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "client/half/key.h"
#include "client/half/place.h"
#include "common/process/child.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/process/proc.h"
#include "common/strv.h"

#define FD_LISTEN 3
/* One that died is not started again at once, and one that cannot be is not tried for each unit. */
#define AGAIN_S 10

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
spawn_half(const struct half_meet *m, int listener, pid_t *ret)
{
	_cleanup_(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	_cleanup_(strv_done) struct strv argv = STRV_INIT;
	char hex[DIGEST_HEX_SIZE];
	struct spawn_fd fds[] = { { null, 0 }, { null, 1 }, { null, 2 }, { listener, FD_LISTEN } };
	int r = null < 0 ? -errno : strv_add(&argv, m->program);

	digest_hex(&m->key, hex);
	if (r == 0)
		r = strv_addf(&argv, "--half=%d", FD_LISTEN);
	if (r == 0)
		r = strv_addf(&argv, "--key=%s", hex);
	return r < 0 ? r
		     : spawn_start(&(struct spawn){ .path = m->program,
					   .argv = argv.v,
					   .fds = fds,
					   .n_fds = ARRAY_LEN(fds),
					   .only_fds = true },
			       ret);
}

/* Its socket listens before it runs: who comes meanwhile need not try again. */
static int
start(struct half_meet *m)
{
	_cleanup_(closep) int lock = -1;
	_cleanup_(closep) int listener = -1;
	char name[HALF_NAME_SIZE];
	int r;

	half_start_name(&m->key, name);
	lock = lock_start(m->dir, name);
	if (lock < 0)
		return -EBUSY;
	/* somebody else may have done it meanwhile */
	m->conn = half_connect(m->dir, &m->key);
	if (m->conn >= 0)
		return 0;
	if (was_just_started(lock))
		return -EAGAIN;
	half_sweep(m->dir, &m->key);
	r = half_sign_start(lock, 0);
	if (r < 0)
		return r;
	listener = half_listen(m->dir, &m->key);
	if (listener < 0)
		return listener;
	r = spawn_half(m, listener, &m->pid);
	if (r < 0)
		return r;
	m->started = true;
	(void)half_sign_start(lock, m->pid);
	m->conn = half_connect(m->dir, &m->key);
	return MIN2(m->conn, 0);
}

static int
find(struct half_meet *m)
{
	m->conn = half_connect(m->dir, &m->key);
	if (m->conn == -ENOENT || m->conn == -ECONNREFUSED)
		return start(m);
	return MIN2(m->conn, 0);
}

/* ---- its answer */

/* Of one that was just started the kernel says that the other end is this process, which made its
 * socket. */
bool
half_is_stopped(const struct half_meet *m)
{
	pid_t pid = m->pid;

	return (pid > 0 || half_peer_is_ours(m->conn, &pid)) && proc_is_stopped(pid);
}

/* What is stopped is met by nobody else: it leaves when it goes on. */
static void
leave_behind(struct half_meet *m)
{
	char name[HALF_NAME_SIZE];

	if (!half_is_stopped(m))
		return;
	half_socket_name(&m->key, name);
	unlinkat(m->dir, name, 0);
}

static int
read_ready(struct half_meet *m)
{
	char b[sizeof(struct half_ready) + 1];
	ssize_t n = recv(m->conn, b, sizeof(b), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0 || !half_ready_ok(b, (size_t)n, &m->pid))
		return -EPROTO;
	/* While the connection stands no other process has that number. */
	m->pidfd = (int)syscall(SYS_pidfd_open, m->pid, 0);
	return 0;
}

static int
wait_ready_until(struct half_meet *m, uint64_t end)
{
	struct pollfd p = { m->conn, POLLIN, 0 };

	for (uint64_t now = clock_mono_ms(); now < end && !child_signal(); now = clock_mono_ms()) {
		int r;

		if (poll(&p, 1, (int)(end - now)) < 0 && errno != EINTR)
			return -errno;
		r = read_ready(m);
		if (r != -EAGAIN)
			return r;
	}
	return -ETIMEDOUT;
}

/* Without that each unit would wait for it anew. */
static bool
was_late(const struct half_meet *m)
{
	char name[HALF_NAME_SIZE];
	struct timespec now;
	struct stat st;

	half_late_name(&m->key, name);
	clock_gettime(CLOCK_REALTIME, &now);
	return fstatat(m->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       now.tv_sec >= st.st_mtim.tv_sec && now.tv_sec - st.st_mtim.tv_sec < AGAIN_S;
}

static void
mark_late(const struct half_meet *m)
{
	char name[HALF_NAME_SIZE];
	_cleanup_(closep) int fd = -1;

	half_late_name(&m->key, name);
	fd = openat(m->dir, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		(void)futimens(fd, NULL);
}

/* A client that lets the stores take longer lets the process that asks them take as long. */
static uint64_t
for_stores_ms(const struct half_meet *m)
{
	uint64_t ms = m->conf->client.store_wait_ms;

	return ms > HALF_STORES_MS ? ms : HALF_STORES_MS;
}

/* On a machine so busy that one needs longer to begin, another program would as well. */
static int
wait_ready(struct half_meet *m)
{
	uint64_t now = clock_mono_ms();
	int r = wait_ready_until(m, now + HALF_ASK_MS);

	if (r == -ETIMEDOUT && m->purpose == HALF_FOR_STORES && !half_is_stopped(m))
		r = wait_ready_until(m, now + for_stores_ms(m));
	else if (r == -ETIMEDOUT && m->started && !half_is_stopped(m))
		r = wait_ready_until(m, now + HALF_START_MS);
	if (r == -ETIMEDOUT && m->purpose == HALF_FOR_STORES)
		mark_late(m);
	if (r == -ETIMEDOUT)
		leave_behind(m);
	return r;
}

int
half_meet(struct half_meet *m)
{
	struct half_hello hello;
	int r;

	m->dir = half_dir_open(m->conf->client.cache_dir);
	if (m->dir < 0)
		return m->dir;
	r = half_key_make(m->conf, m->program, &m->key);
	if (r == 0 && m->purpose == HALF_FOR_STORES && was_late(m))
		r = -EAGAIN;
	if (r == 0)
		r = find(m);
	if (r < 0)
		return r;
	half_hello_make(&m->key, m->purpose, &hello);
	if (send(m->conn, &hello, sizeof(hello), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return -errno;
	return wait_ready(m);
}

void
half_meet_done(struct half_meet *m)
{
	closep(&m->dir);
	closep(&m->conn);
	closep(&m->pidfd);
}
