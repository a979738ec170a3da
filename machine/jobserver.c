/* The pipe form of GNU make's jobserver.
 *
 * Invariant: the descriptors that compilers inherit stay blocking. O_NONBLOCK belongs to the open
 * file description, which parent and children share, and a compiler that waits for a token does so
 * in a plain read. So what must not block here uses a description of its own, opened anew through
 * /proc/self/fd for the one operation. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "machine/jobserver.h"

#define TOKEN '+'	 /* what GNU make writes; readers do not look at it */
#define TOKENS_MAX 4096u /* a pipe of one page, the least the kernel gives, holds that many */

/* The same pipe by another description, which never blocks. */
static int
reopen(int fd, int mode)
{
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = open(path, mode | O_NONBLOCK | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

/* Writes up to n tokens; how many the pipe took, or -errno. */
static int
put_tokens(int wr, unsigned n)
{
	_cleanup_(closep) int fd = reopen(wr, O_WRONLY);
	char tokens[256];
	unsigned done = 0;

	if (fd < 0)
		return fd;
	memset(tokens, TOKEN, sizeof(tokens));
	while (done < n) {
		ssize_t w = write(fd, tokens, MIN2(n - done, (unsigned)sizeof(tokens)));

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return errno == EAGAIN ? (int)done : -errno;
		done += (unsigned)w;
	}
	return (int)done;
}

int
jobserver_make(unsigned tokens, struct jobserver *ret)
{
	_cleanup_(jobserver_done) struct jobserver js = JOBSERVER_INIT;
	int fds[2], r;

	if (tokens > TOKENS_MAX)
		return -EINVAL;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	js.rd = fds[0];
	js.wr = fds[1];
	r = put_tokens(js.wr, tokens);
	if (r < 0)
		return r;
	if ((unsigned)r != tokens)
		return -ENOSPC;
	*ret = js;
	js = (struct jobserver)JOBSERVER_INIT;
	return 0;
}

int
jobserver_take(struct jobserver *js)
{
	_cleanup_(closep) int fd = reopen(js->rd, O_RDONLY);
	char token;
	ssize_t r;

	if (fd < 0)
		return fd;
	do
		r = read(fd, &token, 1);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	/* 0: all writers are gone, so no token will ever come */
	return r == 1 ? 0 : -EAGAIN;
}

void
jobserver_give(struct jobserver *js)
{
	/* A full pipe holds far more tokens than there are cores (a child has written its own): the
	 * one that does not fit is not missed, while a blocking write would stop us. */
	(void)put_tokens(js->wr, 1);
}

void
jobserver_reset(struct jobserver *js, unsigned tokens)
{
	_cleanup_(closep) int fd = reopen(js->rd, O_RDONLY);
	char sink[256];
	ssize_t r;

	if (fd < 0)
		return;
	do
		r = read(fd, sink, sizeof(sink));
	while (r > 0 || (r < 0 && errno == EINTR));
	(void)put_tokens(js->wr, MIN2(tokens, TOKENS_MAX));
}

void
jobserver_done(struct jobserver *js)
{
	closep(&js->rd);
	closep(&js->wr);
	*js = (struct jobserver)JOBSERVER_INIT;
}

static int
tokens_in(int fd)
{
	int n;

	return ioctl(fd, FIONREAD, &n) < 0 ? -errno : n;
}

/* The last one counts, as for those that read it. */
static const char *
find_pool(const char *flags)
{
	static const char *const names[] = { "--jobserver-auth=", "--jobserver-fds=" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *found = NULL;

		for (const char *p = flags; (p = strstr(p, names[i])); p++)
			found = p + strlen(names[i]);
		if (found)
			return found;
	}
	return NULL;
}

int
jobserver_free(const char *flags)
{
	const char *pool = find_pool(flags);
	char path[PATH_MAX];
	int rd, wr;

	if (!pool)
		return -ENOENT;
	if (sscanf(pool, "fifo:%4095[^ ]", path) == 1) {
		_cleanup_(closep) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

		return fd < 0 ? -errno : tokens_in(fd);
	}
	if (sscanf(pool, "%9d,%9d", &rd, &wr) != 2 || rd < 0 || wr < 0 || fcntl(wr, F_GETFD) < 0)
		return -EBADF;
	return tokens_in(rd);
}

int
jobserver_left(const struct jobserver *js)
{
	return tokens_in(js->rd);
}

void
jobserver_flags(char out[96], int rd, int wr)
{
	/* both spellings: old readers know -fds, new ones -auth */
	snprintf(out, 96, "-j --jobserver-fds=%d,%d --jobserver-auth=%d,%d", rd, wr, rd, wr);
}
