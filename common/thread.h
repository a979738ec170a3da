/* Starting threads. */
#ifndef DRAY_COMMON_THREAD_H
#define DRAY_COMMON_THREAD_H

#include <pthread.h>
#include <stddef.h>

enum thread_how {
	THREAD_JOINED = 0,
	THREAD_DETACHED = 1, /* nobody waits for its end */
	/* Signals are for the threads that know of them. What it starts has them blocked as well.
	 */
	THREAD_NO_SIGNALS = 2,
};

/* Starts main(arg) with a stack of so many bytes; 0: the system's. *ret, if ret is not NULL, is its
 * name. 0 or -errno; arg is the caller's then, as before. */
int thread_start(unsigned how, size_t stack, void *(*main)(void *arg), void *arg, pthread_t *ret);

#endif
