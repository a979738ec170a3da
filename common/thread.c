#include "config.h"

#include "common/thread.h"

#include <signal.h>

int
thread_start(unsigned how, size_t stack, void *(*main)(void *arg), void *arg, pthread_t *ret)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int e = pthread_attr_init(&attr);

	if (e != 0)
		return -e;
	if (how & THREAD_DETACHED)
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (stack > 0)
		pthread_attr_setstacksize(&attr, stack);
	sigfillset(&all);
	if (how & THREAD_NO_SIGNALS)
		pthread_sigmask(SIG_SETMASK, &all, &old);
	/* the thread may look at *ret before this function returns */
	e = pthread_create(ret ? ret : &thread, &attr, main, arg);
	if (how & THREAD_NO_SIGNALS)
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -e;
}
