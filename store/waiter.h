/* What a far place waits for, behind one descriptor (store_fd): its own descriptors, and a time. */
#ifndef DRAY_STORE_WAITER_H
#define DRAY_STORE_WAITER_H

#include <sys/epoll.h>

#include "common/base.h"

struct waiter {
	int fd; /* an epoll set; readable when something in it is */
	int timer;
	uint64_t alarm; /* what the timer is set to */
};

/* For `_cleanup_(waiter_done)`, and before waiter_init. */
#define WAITER_INIT       \
	{                 \
		-1, -1, 0 \
	}

int waiter_init(struct waiter *w); /* 0 or -errno */
void waiter_done(struct waiter *w);

/* events: EPOLLIN, EPOLLOUT; each is told as long as it is so. `what` comes back from waiter_wait;
 * it is not NULL. 0 or -errno. */
int waiter_add(struct waiter *w, int fd, uint32_t events, void *what);
int waiter_change(struct waiter *w, int fd, uint32_t events, void *what);
void waiter_remove(struct waiter *w, int fd); /* before fd is closed */
/* When waiter_wait returns at the latest, and the descriptor becomes readable: clock_mono_ms();
 * 0: never. */
void waiter_alarm(struct waiter *w, uint64_t at);
/* Waits ms at most (-1: any time). How many of ret are set; 0 also when the time has come. An alarm
 * that has passed is unset. */
size_t waiter_wait(struct waiter *w, int ms, struct epoll_event *ret, size_t max);

#endif
