/* dray-run.so: loaded into every dynamic program of a build script's tree. It stands in front of
 * getenv, and of what tells the time of day or gives random numbers, and reports each name that is
 * asked for and each such question (trace/paths.h).
 *
 * It stays in LD_PRELOAD, so that programs which the script starts have it, too. Whose question it
 * is, and whether it counts, the tracer decides (trace/asks.h). A variable is reported once in a
 * program (or a few times: the table of what was reported is small and never blocks). Which clocks
 * are left out: those that tell no time of day (CLOCK_MONOTONIC and its like). Random numbers that
 * are asked for as std and libc do for their own tables (GRND_INSECURE, GRND_NONBLOCK) are left out
 * as well.
 *
 * libc only; async-signal-safe, no allocation: it runs inside programs that it knows nothing of. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "trace/drivers.h"
#include "trace/preload/env_name.h"
#include "trace/preload/run_priv.h"
#include "trace/preload/say.h"

#define ASKS_REPORTED 9 /* the number of an ask is one digit */

#ifndef GRND_INSECURE
#define GRND_INSECURE 4
#endif

/* What libc has under the names that are taken here; NULL before `begin`. */
static struct {
	time_t (*time)(time_t *);
	int (*gettimeofday)(struct timeval *restrict, void *restrict);
	int (*clock_gettime)(clockid_t, struct timespec *);
	int (*timespec_get)(struct timespec *, int);
	ssize_t (*getrandom)(void *, size_t, unsigned);
	struct tm *(*localtime)(const time_t *);
	struct tm *(*localtime_r)(const time_t *restrict, struct tm *restrict);
	time_t (*mktime)(struct tm *);
	void (*tzset)(void);
} libc;

static bool is_driver;

/* ---- what is said */

static void
say(const char *what)
{
	/* questions about the time are counted, but in drivers */
	if (is_driver || *what == TRACE_ENV_MACRO)
		asked_say(what);
	else
		trace_say(what);
}

/* What another run of the same build may have otherwise, and what std asks for by itself. */
static bool
is_no_input(const char *name)
{
	static const char *const names[] = { "CARGO_MAKEFLAGS", "LD_PRELOAD", "NUM_JOBS",
		"RUST_BACKTRACE", "RUST_LIB_BACKTRACE", "RUST_MIN_STACK" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	if (is_driver && strcmp(name, "PWD") == 0)
		return !asked_uses_pwd(env_find(name));
	return is_driver && drivers_is_harmless(name);
}

static void
report(const char *name)
{
	char path[ENV_NAME_PATH];

	if (!is_no_input(name) && env_name_report(name, TRACE_ENV_MACRO, path))
		say(path);
}

struct asked {
	unsigned of_program, of_process;
	pid_t process;
};

/* A digit; 9: or more. */
static char
one_more(unsigned *n)
{
	unsigned now = __atomic_add_fetch(n, 1, __ATOMIC_RELAXED);

	if (now > ASKS_REPORTED)
		__atomic_store_n(n, now = ASKS_REPORTED, __ATOMIC_RELAXED);
	return (char)('0' + now);
}

/* Says which time it is that it asks so, in this program and in this process: some programs ask
 * once at their start, or when they were forked. */
static void
report_clock(const char *function, struct asked *asked)
{
	char path[sizeof(TRACE_CLOCK_PREFIX) + 32];
	size_t at = strlen(TRACE_CLOCK_PREFIX), n = strlen(function);
	pid_t self = getpid();

	if (__atomic_exchange_n(&asked->process, self, __ATOMIC_RELAXED) != self)
		__atomic_store_n(&asked->of_process, 0, __ATOMIC_RELAXED);
	if (asked->of_process >= ASKS_REPORTED || n + 4 > 32)
		return;
	memcpy(path, TRACE_CLOCK_PREFIX, at);
	path[at++] = one_more(&asked->of_program);
	path[at++] = one_more(&asked->of_process);
	path[at++] = '/';
	memcpy(path + at, function, n + 1);
	say(path);
}

static void
report_random(void)
{
	static bool said;

	if (!__atomic_exchange_n(&said, true, __ATOMIC_RELAXED))
		say(TRACE_RANDOM);
}

/* ---- variables */

EXPORTED char *
getenv(const char *name)
{
	report(name);
	return env_find(name);
}

EXPORTED char *
secure_getenv(const char *name)
{
	report(name);
	return getauxval(AT_SECURE) ? NULL : env_find(name);
}

/* ---- limits: libc's own questions do not come here (how many descriptors there may be, of each
 * posix_spawn). No header declares these here: with 64 bits both kinds of each are one. */

#if __SIZEOF_LONG__ == 8
#define STACK 3

static int
limits(int pid, int resource, const void *to, void *ret)
{
	if (!to && resource != STACK && !is_driver)
		say(TRACE_MACHINE_PREFIX "limits");
	return (int)syscall(SYS_prlimit64, pid, resource, to, ret);
}

#define GETRLIMIT(name)                                \
	EXPORTED int name(int resource, void *ret);    \
                                                       \
	EXPORTED int name(int resource, void *ret)     \
	{                                              \
		return limits(0, resource, NULL, ret); \
	}
#define PRLIMIT(name)                                                        \
	EXPORTED int name(int pid, int resource, const void *to, void *ret); \
                                                                             \
	EXPORTED int name(int pid, int resource, const void *to, void *ret)  \
	{                                                                    \
		return limits(pid, resource, to, ret);                       \
	}

GETRLIMIT(getrlimit)
GETRLIMIT(getrlimit64)
PRLIMIT(prlimit)
PRLIMIT(prlimit64)
#endif

/* ---- for env_realpath.c: what a C compiler asks about each header */

bool
env_keeps_dirs(void)
{
	return is_driver;
}

bool
env_is_own(const void *pc)
{
	(void)pc;
	return true;
}

/* ---- the time of day */

static bool
tells_time(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

static int
now(clockid_t clock, struct timespec *ret)
{
	return libc.clock_gettime ? libc.clock_gettime(clock, ret)
				  : (int)syscall(SYS_clock_gettime, clock, ret);
}

EXPORTED int
clock_gettime(clockid_t clock, struct timespec *ret)
{
	static struct asked asked;

	if (tells_time(clock))
		report_clock("clock_gettime", &asked);
	return now(clock, ret);
}

EXPORTED time_t
time(time_t *ret)
{
	static struct asked asked;
	struct timespec ts = { 0 };

	report_clock("time", &asked);
	if (libc.time)
		return libc.time(ret);
	now(CLOCK_REALTIME_COARSE, &ts);
	if (ret)
		*ret = ts.tv_sec;
	return ts.tv_sec;
}

EXPORTED int
gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	static struct asked asked;

	report_clock("gettimeofday", &asked);
	return libc.gettimeofday ? libc.gettimeofday(ret, zone)
				 : (int)syscall(SYS_gettimeofday, ret, zone);
}

EXPORTED int
timespec_get(struct timespec *ret, int base)
{
	static struct asked asked;

	if (base == TIME_UTC)
		report_clock("timespec_get", &asked);
	if (libc.timespec_get)
		return libc.timespec_get(ret, base);
	return base == TIME_UTC && now(CLOCK_REALTIME, ret) == 0 ? base : 0;
}

/* Old programs only: libc declares it no more. */
struct old_timeb {
	time_t time;
	unsigned short millitm;
	short timezone, dstflag;
};

EXPORTED int ftime(struct old_timeb *ret);

EXPORTED int
ftime(struct old_timeb *ret)
{
	static struct asked asked;
	struct timespec ts = { 0 };

	report_clock("ftime", &asked);
	now(CLOCK_REALTIME, &ts);
	*ret = (struct old_timeb){ .time = ts.tv_sec,
		.millitm = (unsigned short)(ts.tv_nsec / 1000000) };
	return 0;
}

/* ---- local time: libc asks for TZ by its own getenv, behind which is none of ours. A C compiler
 * wants the local time of a source for __TIMESTAMP__, whose value is the file's time. */

static void
report_zone(struct asked *asked)
{
	report("TZ");
	if (is_driver)
		report_clock("localtime", asked);
}

EXPORTED struct tm *
localtime(const time_t *t)
{
	static struct asked asked;

	report_zone(&asked);
	return libc.localtime ? libc.localtime(t) : NULL;
}

EXPORTED struct tm *
localtime_r(const time_t *restrict t, struct tm *restrict ret)
{
	static struct asked asked;

	report_zone(&asked);
	return libc.localtime_r ? libc.localtime_r(t, ret) : NULL;
}

EXPORTED time_t
mktime(struct tm *tm)
{
	report("TZ");
	return libc.mktime ? libc.mktime(tm) : -1;
}

EXPORTED void
tzset(void)
{
	report("TZ");
	if (libc.tzset)
		libc.tzset();
}

/* ---- random numbers */

static ssize_t
fill(void *to, size_t n, unsigned flags)
{
	return libc.getrandom ? libc.getrandom(to, n, flags)
			      : (ssize_t)syscall(SYS_getrandom, to, n, flags);
}

EXPORTED ssize_t
getrandom(void *to, size_t n, unsigned flags)
{
	if (n > 0 && !(flags & (GRND_NONBLOCK | GRND_INSECURE)))
		report_random();
	return fill(to, n, flags);
}

/* All or nothing, of at most 256 bytes. */
EXPORTED int
getentropy(void *to, size_t n)
{
	char *p = to;

	report_random();
	if (n > 256) {
		errno = EIO;
		return -1;
	}
	while (n > 0) {
		ssize_t got = fill(p, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

/* Those of libc cannot fail: they end the program instead. */
EXPORTED void
arc4random_buf(void *to, size_t n)
{
	char *p = to;

	while (n > 0) {
		size_t part = n < 256 ? n : 256;

		if (getentropy(p, part) < 0)
			abort();
		p += part;
		n -= part;
	}
}

EXPORTED uint32_t
arc4random(void)
{
	uint32_t v;

	arc4random_buf(&v, sizeof(v));
	return v;
}

EXPORTED uint32_t
arc4random_uniform(uint32_t bound)
{
	uint32_t v, lowest = bound ? -bound % bound : 0;

	if (bound < 2)
		return 0;
	do
		v = arc4random();
	while (v < lowest);
	return v % bound;
}

/* ---- */

/* dray-trace has set it for the first program alone: a process that is forked has none. */
static bool
is_first(void)
{
	int signal = 0;

	return prctl(PR_GET_PDEATHSIG, &signal) == 0 && signal == SIGKILL;
}

static void __attribute__((constructor)) begin(void)
{
	const char *program = (const char *)getauxval(AT_EXECFN);
	int saved = errno;
	bool first = is_first();

	*(void **)&libc.time = dlsym(RTLD_NEXT, "time");
	*(void **)&libc.gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
	*(void **)&libc.clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
	*(void **)&libc.timespec_get = dlsym(RTLD_NEXT, "timespec_get");
	*(void **)&libc.getrandom = dlsym(RTLD_NEXT, "getrandom");
	*(void **)&libc.localtime = dlsym(RTLD_NEXT, "localtime");
	*(void **)&libc.localtime_r = dlsym(RTLD_NEXT, "localtime_r");
	*(void **)&libc.mktime = dlsym(RTLD_NEXT, "mktime");
	*(void **)&libc.tzset = dlsym(RTLD_NEXT, "tzset");
	is_driver = program && drivers_has(program);
	if (first)
		say(TRACE_ENV_HELLO);
	/* of a script with "#!" the second one is the interpreter */
	if (program && (is_driver || drivers_has_asker(program) ||
			       drivers_has_asker(program_invocation_name)))
		asked_begin(program, program_invocation_name);
	spawn_begin(program, first);
	errno = saved;
}
