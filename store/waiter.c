#include "config.h"

#include "store/waiter.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

int
waiter_init(struct waiter *w)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };
	int r;

	*w = (struct waiter)WAITER_INIT;
	w->fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->fd < 0)
		return -errno;
	/* CLOCK_MONOTONIC is clock_mono_ms's */
	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (w->timer >= 0 && epoll_ctl(w->fd, EPOLL_CTL_ADD, w->timer, &e) == 0)
		return 0;
	r = -errno;
	waiter_done(w);
	return r;
}

void
waiter_done(struct waiter *w)
{
	closep(&w->timer);
	closep(&w->fd);
}

int
waiter_add(struct waiter *w, int fd, uint32_t events, void *what)
{
	struct epoll_event e = { .events = events, .data.ptr = what };

	return epoll_ctl(w->fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

int
waiter_change(struct waiter *w, int fd, uint32_t events, void *what)
{
	struct epoll_event e = { .events = events, .data.ptr = what };

	return epoll_ctl(w->fd, EPOLL_CTL_MOD, fd, &e) < 0 ? -errno : 0;
}

void
waiter_remove(struct waiter *w, int fd)
{
	(void)epoll_ctl(w->fd, EPOLL_CTL_DEL, fd, NULL);
}

void
waiter_alarm(struct waiter *w, uint64_t at)
{
	struct itimerspec t = { .it_value = { (time_t)(at / 1000), (long)(at % 1000) * 1000000 } };

	if (at == w->alarm)
		return;
	w->alarm = at;
	(void)timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

size_t
waiter_wait(struct waiter *w, int ms, struct epoll_event *ret, size_t max)
{
	int n = epoll_wait(w->fd, ret, (int)max, ms);
	size_t k = 0;

	for (int i = 0; i < n; i++) {
		uint64_t times;

		if (ret[i].data.ptr != NULL) {
			ret[k++] = ret[i];
		} else if (read(w->timer, &times, sizeof(times)) > 0) {
			w->alarm = 0;
		}
	}
	return k;
}
