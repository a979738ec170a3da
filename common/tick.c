#include "config.h"

#include "common/tick.h"

#include <stddef.h>
#include <sys/time.h>

static void
on_tick(int sig)
{
}

static void
set_timer(unsigned every_ms)
{
	const struct timeval tv = { every_ms / 1000, (every_ms % 1000) * 1000 };

	setitimer(ITIMER_REAL, &(struct itimerval){ tv, tv }, NULL);
}

void
tick_begin(struct tick *t, unsigned every_ms)
{
	struct sigaction sa = { .sa_handler = on_tick };
	sigset_t set;

	sigemptyset(&sa.sa_mask);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigaction(SIGALRM, &sa, &t->old);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	set_timer(every_ms);
}

void
tick_end(const struct tick *t)
{
	set_timer(0);
	sigaction(SIGALRM, &t->old, NULL);
}
