#include "config.h"

#include "store/redis/resolve.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/thread.h"

struct resolve {
	atomic_int owners; /* the thread is one while it runs */
	char *host;
	char port[8];
	int done_fd;
	int error; /* of getaddrinfo; its, and found, until done_fd is readable */
	struct addrinfo *found;
};

int
resolve_fd(const struct resolve *r)
{
	return r->done_fd;
}

void
resolve_free(struct resolve *r)
{
	if (r == NULL || atomic_fetch_sub(&r->owners, 1) > 1)
		return;
	if (r->found != NULL)
		freeaddrinfo(r->found);
	closep(&r->done_fd);
	free(r->host);
	free(r);
}

static void
look_up(struct resolve *r, int flags)
{
	const struct addrinfo hints = { .ai_flags = flags | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM };

	r->error = getaddrinfo(r->host, r->port, &hints, &r->found);
}

static void
finish(struct resolve *r)
{
	const uint64_t one = 1;

	/* an eventfd takes that */
	if (write(r->done_fd, &one, sizeof(one)) < 0)
		r->error = EAI_SYSTEM;
}

static void *
thread_main(void *arg)
{
	struct resolve *r = arg;

	look_up(r, AI_ADDRCONFIG);
	finish(r);
	resolve_free(r);
	return NULL;
}

static int
start_thread(struct resolve *r)
{
	int e;

	atomic_fetch_add(&r->owners, 1);
	e = thread_start(THREAD_DETACHED | THREAD_NO_SIGNALS, 0, thread_main, r, NULL);
	if (e < 0)
		atomic_fetch_sub(&r->owners, 1);
	return e;
}

int
resolve_begin(const char *host, uint16_t port, struct resolve **ret)
{
	struct resolve *r = calloc(1, sizeof(*r));
	int e = 0;

	if (r == NULL)
		return -ENOMEM;
	atomic_init(&r->owners, 1);
	snprintf(r->port, sizeof(r->port), "%u", (unsigned)port);
	r->host = strdup(host);
	r->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->host == NULL || r->done_fd < 0)
		e = r->host == NULL ? -ENOMEM : -errno;
	if (e == 0) {
		look_up(r, AI_NUMERICHOST);
		if (r->error == 0)
			finish(r);
		else
			e = start_thread(r);
	}
	if (e < 0)
		resolve_free(r);
	else
		*ret = r;
	return e;
}

int
resolve_end(struct resolve *r, struct addrinfo **ret)
{
	if (r->error == EAI_AGAIN || r->error == EAI_SYSTEM || r->error == EAI_MEMORY)
		return -EAGAIN;
	if (r->error != 0 || r->found == NULL)
		return -EHOSTUNREACH;
	*ret = steal_ptr(r->found);
	return 0;
}
