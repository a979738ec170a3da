/* Part of dray-env.so: stands in front of what says which machine this is: its name, how many
 * processors a process may use, and the limits of one. A macro that asks may put the answer into
 * what it makes; it is reported, and the tracer makes an input of it. The compiler's own questions
 * (env_is_own) only tell it how many threads to start.
 *
 * libc only; async-signal-safe, no allocation. The answers come from the kernel itself where that
 * is simple: an allocator may ask before anything can be looked up by name. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "trace/preload/env_priv.h"
#include "trace/preload/say.h"

#define CALLER __builtin_return_address(0)

enum about { NAME, CPUS, LIMITS };

static void
note(const void *pc, enum about about)
{
	static const char *const messages[] = { [NAME] = TRACE_MACHINE_PREFIX "uname",
		[CPUS] = TRACE_MACHINE_PREFIX "cpus",
		[LIMITS] = TRACE_MACHINE_PREFIX "limits" };
	static bool said[3];

	if (!env_is_own(pc) && !__atomic_exchange_n(&said[about], true, __ATOMIC_RELAXED))
		trace_say(messages[about]);
}

void
env_note_machine(const void *pc, long nr)
{
	if (nr == SYS_uname)
		note(pc, NAME);
	else if (nr == SYS_sched_getaffinity)
		note(pc, CPUS);
	else if (nr == SYS_prlimit64)
		note(pc, LIMITS);
#ifdef SYS_getrlimit
	else if (nr == SYS_getrlimit)
		note(pc, LIMITS);
#endif
}

/* ---- its name */

int
uname(struct utsname *ret)
{
	note(CALLER, NAME);
	return (int)env_direct(SYS_uname, (long)ret, 0, 0, 0, 0, 0);
}

int
gethostname(char *ret, size_t n)
{
	struct utsname u;
	size_t k;

	note(CALLER, NAME);
	if (env_direct(SYS_uname, (long)&u, 0, 0, 0, 0, 0) < 0)
		return -1;
	k = strlen(u.nodename) + 1;
	memcpy(ret, u.nodename, k < n ? k : n);
	if (k <= n)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

/* ---- processors */

int
sched_getaffinity(pid_t pid, size_t n, cpu_set_t *ret)
{
	long r;

	note(CALLER, CPUS);
	r = env_direct(
		SYS_sched_getaffinity, pid, (long)(n < INT_MAX ? n : INT_MAX), (long)ret, 0, 0, 0);
	if (r < 0)
		return -1;
	memset((char *)ret + r, 0, n - (size_t)r);
	return 0;
}

/* By this name libc itself has it, too. */
extern long __sysconf(int name) __attribute__((weak));

static long
get_conf(int name)
{
	if (__sysconf)
		return __sysconf(name);
	errno = EINVAL;
	return -1;
}

long
sysconf(int name)
{
	if (name == _SC_NPROCESSORS_ONLN || name == _SC_NPROCESSORS_CONF)
		note(CALLER, CPUS);
	else if (name == _SC_OPEN_MAX || name == _SC_CHILD_MAX)
		note(CALLER, LIMITS);
	return get_conf(name);
}

int
get_nprocs(void)
{
	note(CALLER, CPUS);
	return (int)get_conf(_SC_NPROCESSORS_ONLN);
}

int
get_nprocs_conf(void)
{
	note(CALLER, CPUS);
	return (int)get_conf(_SC_NPROCESSORS_CONF);
}

/* ---- limits */

static int
limit(const void *pc, pid_t pid, int which, const void *new, void *old)
{
	if (old)
		note(pc, LIMITS);
	return (int)env_direct(SYS_prlimit64, pid, which, (long)new, (long)old, 0, 0);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wmissing-declarations"
#ifdef __LP64__
/* one structure, by two names */
int
getrlimit(__rlimit_resource_t which, struct rlimit *ret)
{
	return limit(CALLER, 0, (int)which, NULL, ret);
}

int
prlimit(pid_t pid, __rlimit_resource_t which, const struct rlimit *new, struct rlimit *old)
{
	return limit(CALLER, pid, (int)which, new, old);
}
#endif

int
getrlimit64(__rlimit_resource_t which, struct rlimit64 *ret)
{
	return limit(CALLER, 0, (int)which, NULL, ret);
}

int
prlimit64(pid_t pid, __rlimit_resource_t which, const struct rlimit64 *new, struct rlimit64 *old)
{
	return limit(CALLER, pid, (int)which, new, old);
}

int
getdtablesize(void)
{
	note(CALLER, LIMITS);
	return (int)get_conf(_SC_OPEN_MAX);
}
#pragma GCC diagnostic pop
