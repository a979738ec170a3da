/* Invariant: what is noted is what the kernel said of a connection as it gave it out, in that
 * order. */
#include "config.h"

#include "proto/accepted.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base.h"

struct watched {
	int fd;
	struct accepted *notes; /* a ring; NULL: there is nothing here */
	size_t first, n;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct watched watched[ACCEPTED_SOCKETS];

/* The lock is held. */
static struct watched *
find(int listen_fd)
{
	for (size_t i = 0; i < ARRAY_LEN(watched); i++)
		if (watched[i].notes && watched[i].fd == listen_fd)
			return &watched[i];
	return NULL;
}

static struct watched *
find_free(void)
{
	for (size_t i = 0; i < ARRAY_LEN(watched); i++)
		if (!watched[i].notes)
			return &watched[i];
	return NULL;
}

int
accepted_watch(int listen_fd)
{
	struct accepted *notes = calloc(ACCEPTED_NOTES, sizeof(*notes));
	struct watched *w;

	if (!notes)
		return -ENOMEM;
	pthread_mutex_lock(&lock);
	w = find(listen_fd) ? NULL : find_free();
	if (w)
		*w = (struct watched){ .fd = listen_fd, .notes = steal_ptr(notes) };
	pthread_mutex_unlock(&lock);
	free(notes);
	return w ? 0 : -EBUSY;
}

void
accepted_unwatch(int listen_fd)
{
	struct accepted *notes = NULL;
	struct watched *w;

	pthread_mutex_lock(&lock);
	w = find(listen_fd);
	if (w)
		notes = steal_ptr(w->notes);
	pthread_mutex_unlock(&lock);
	free(notes);
}

static struct accepted *
note_at(const struct watched *w, size_t i)
{
	return &w->notes[(w->first + i) % ACCEPTED_NOTES];
}

static bool
waits(const struct watched *w, int fd)
{
	for (size_t i = 0; i < w->n; i++)
		if (note_at(w, i)->fd == fd)
			return true;
	return false;
}

bool
accepted_take(int listen_fd, int fd, struct accepted *ret)
{
	struct watched *w;
	bool found;

	pthread_mutex_lock(&lock);
	w = find(listen_fd);
	found = w && waits(w, fd);
	if (found) {
		*ret = *note_at(w, 0);
		w->first = (w->first + 1) % ACCEPTED_NOTES;
		w->n--;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static void
note(int listen_fd, const struct accepted *a)
{
	struct watched *w;

	pthread_mutex_lock(&lock);
	w = find(listen_fd);
	if (w && w->n < ACCEPTED_NOTES)
		*note_at(w, w->n++) = *a;
	pthread_mutex_unlock(&lock);
}

/* ---- in the place of the C library's; the names are for the linker, since headers word the types
 * differently */

int accepted_accept4(int fd, struct sockaddr *ret, socklen_t *size, int flags) __asm__("accept4");
int accepted_accept(int fd, struct sockaddr *ret, socklen_t *size) __asm__("accept");

int
accepted_accept4(int fd, struct sockaddr *ret, socklen_t *size, int flags)
{
	struct accepted a = { .fd = -1 };
	socklen_t n = sizeof(a.from);

	a.fd = (int)syscall(SYS_accept4, fd, &a.from, &n, flags);
	if (a.fd < 0)
		return -1;
	note(fd, &a);
	if (ret && size) {
		memcpy(ret, &a.from, MIN2(n, *size));
		*size = n;
	}
	return a.fd;
}

int
accepted_accept(int fd, struct sockaddr *ret, socklen_t *size)
{
	return accepted_accept4(fd, ret, size, 0);
}
