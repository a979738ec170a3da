/* Part of dray-env.so: stands in front of what tells the time of day or gives random numbers, and
 * says when a macro asks: what it makes is then another thing each time. The compiler itself asks
 * for its own statistics and tables, and so does std in a macro: the former is known by its code
 * (env_is_own), the latter by the flags that it gives.
 *
 * libc only; async-signal-safe, no allocation. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "trace/preload/env_priv.h"
#include "trace/preload/say.h"

#define CALLER __builtin_return_address(0)

#ifndef GRND_INSECURE
#define GRND_INSECURE 4
#endif

static void
say_once(bool *said, const char *what)
{
	if (!__atomic_exchange_n(said, true, __ATOMIC_RELAXED))
		trace_say(what);
}

static bool
tells_time(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

static void
note_clock(const void *pc, clockid_t clock)
{
	static bool said;

	if (tells_time(clock) && !env_is_own(pc))
		say_once(&said, TRACE_CLOCK_PREFIX);
}

static void
note_random(const void *pc, unsigned flags)
{
	static bool said;

	if (!(flags & (GRND_INSECURE | GRND_NONBLOCK)) && !env_is_own(pc))
		say_once(&said, TRACE_RANDOM);
}

/* The function syscall asks for the time, or for random numbers. a and c: its first and third
 * arguments. */
static void
note_call(const void *pc, long nr, long a, long c)
{
	if (nr == SYS_clock_gettime)
		note_clock(pc, (clockid_t)a);
	else if (nr == SYS_gettimeofday)
		note_clock(pc, CLOCK_REALTIME);
#ifdef SYS_time
	else if (nr == SYS_time)
		note_clock(pc, CLOCK_REALTIME);
#endif
	else if (nr == SYS_getrandom)
		note_random(pc, (unsigned)c);
}

void *
env_next(void **known, const char *name)
{
	void *p = __atomic_load_n(known, __ATOMIC_RELAXED);

	if (!p) {
		p = dlsym(RTLD_NEXT, name);
		__atomic_store_n(known, p, __ATOMIC_RELAXED);
	}
	return p;
}

typedef int (*clock_fn)(clockid_t clock, struct timespec *ret);
typedef ssize_t (*random_fn)(void *p, size_t n, unsigned flags);

static int
now(clockid_t clock, struct timespec *ret)
{
	static void *found;
	union {
		void *object;
		clock_fn function;
	} u = { env_next(&found, "clock_gettime") };

	return u.object ? u.function(clock, ret)
			: (int)env_direct(SYS_clock_gettime, clock, (long)ret, 0, 0, 0, 0);
}

int
clock_gettime(clockid_t clock, struct timespec *ret)
{
	note_clock(CALLER, clock);
	return now(clock, ret);
}

int
gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	struct timespec t;
	int r;

	note_clock(CALLER, CLOCK_REALTIME);
	r = now(CLOCK_REALTIME, &t);
	if (r == 0) {
		ret->tv_sec = t.tv_sec;
		ret->tv_usec = t.tv_nsec / 1000;
	}
	if (zone)
		*(struct timezone *)zone = (struct timezone){ 0, 0 };
	return r;
}

time_t
time(time_t *ret)
{
	struct timespec t = { 0, 0 };

	note_clock(CALLER, CLOCK_REALTIME);
	if (now(CLOCK_REALTIME_COARSE, &t) < 0)
		return -1;
	if (ret)
		*ret = t.tv_sec;
	return t.tv_sec;
}

int
timespec_get(struct timespec *ret, int base)
{
	note_clock(CALLER, CLOCK_REALTIME);
	return base == TIME_UTC && now(CLOCK_REALTIME, ret) == 0 ? base : 0;
}

ssize_t
getrandom(void *p, size_t n, unsigned flags)
{
	static void *found;
	union {
		void *object;
		random_fn function;
	} u = { env_next(&found, "getrandom") };

	note_random(CALLER, flags);
	return u.object ? u.function(p, n, flags)
			: env_direct(SYS_getrandom, (long)p, (long)n, (long)flags, 0, 0, 0);
}

int
getentropy(void *p, size_t n)
{
	static void *found;
	union {
		void *object;
		int (*function)(void *p, size_t n);
	} u = { env_next(&found, "getentropy") };

	note_random(CALLER, 0);
	if (u.object)
		return u.function(p, n);
	errno = ENOSYS;
	return -1;
}

#if defined(__x86_64__) || defined(__aarch64__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wmissing-declarations"
long
syscall(long nr, ...)
{
	long v[6];
	va_list ap;

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		v[i] = va_arg(ap, long);
	va_end(ap);
	note_call(CALLER, nr, v[0], v[2]);
	env_note_machine(CALLER, nr);
	return env_syscall(CALLER, nr, v);
}
#pragma GCC diagnostic pop
#endif
