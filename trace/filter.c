#include "config.h"

#include "trace/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace/asked.h"
#include "trace/bpf.h"
#include "trace/trace_call.h"

/* Reads only, and has no sixth argument. */
static bool
may_pass(int call)
{
	return call == SYS_openat || call == SYS_newfstatat || call == SYS_faccessat ||
	       call == SYS_readlinkat;
}

/* What is asked of an open descriptor was seen when it was opened: an fstat, in the ways that glibc
 * and Rust make it, is not notified, unless its answer is another one than the kernel's.
 * (dray-env.so takes AT_EMPTY_PATH away where a path is given.) */
static int
notify(struct bpf_rules *r, int call, unsigned also)
{
	int flags = call == SYS_statx ? 2 : call == SYS_newfstatat ? 3 : -1;
	struct bpf_when when[2];
	unsigned n = 0;

	if (flags >= 0 && !(also & TRACE_FILTER_DESCRIPTORS))
		when[n++] = (struct bpf_when){ (unsigned)flags, BPF_IS, 0, AT_EMPTY_PATH };
	if ((also & TRACE_FILTER_SCRIPT) && may_pass(call))
		when[n++] = (struct bpf_when){ 5, BPF_IS_NOT, ASKED_PASS, 0 };
	return bpf_rules_add(r, call, when, n);
}

static bool
is_limits(int call)
{
#ifdef SYS_getrlimit
	if (call == SYS_getrlimit)
		return true;
#endif
	return call == SYS_prlimit64;
}

/* Whether a limit is asked for. Every program looks at its stack's when it starts, and shells at
 * the number of processes: these two are left out. */
static int
notify_limits(struct bpf_rules *r, int call)
{
	bool two = call == SYS_prlimit64;
	int k = 0;

	for (unsigned which = 0; which < RLIM_NLIMITS && k == 0; which++) {
		const struct bpf_when when[] = { { two ? 1 : 0, BPF_IS, which, UINT64_MAX },
			{ 3, BPF_IS_NOT, 0, 0 } };

		if (which != RLIMIT_STACK && which != RLIMIT_NPROC)
			k = bpf_rules_add(r, call, when, two ? 2 : 1);
	}
	return k;
}

/* What the machine is. Not the affinity as glibc asks for it at each program's start, by 16 to 64
 * bytes (pthread_getattr_np). */
static int
add_machine(struct bpf_rules *r)
{
	static const struct bpf_when large = { 1, BPF_AT_LEAST, 128, 0 },
				     small = { 1, BPF_BELOW, 16, 0 };
	int k = bpf_rules_add(r, SYS_uname, NULL, 0);

	if (k == 0)
		k = bpf_rules_add(r, SYS_sched_getaffinity, &large, 1);
	return k < 0 ? k : bpf_rules_add(r, SYS_sched_getaffinity, &small, 1);
}

/* Without a path it is about a descriptor. */
static int
add_marks(struct bpf_rules *r)
{
	static const struct bpf_when path = { 1, BPF_IS_NOT, 0, 0 };
	int k = 0;

	for (const int *call = trace_marks; *call >= 0 && k == 0; call++)
		k = bpf_rules_add(r, *call, &path, *call == SYS_utimensat);
	return k;
}

static int
add_notified(struct bpf_rules *r, unsigned also)
{
	static const struct bpf_when other = { 0, BPF_IS_NOT, AF_UNIX, 0 },
				     plain = { 2, BPF_IS, 0, UINT64_MAX };
	int k = 0;

	/* of a script's programs dray-run.so says it */
	for (const int *call = trace_calls; *call >= 0 && k == 0; call++)
		if (!is_limits(*call))
			k = notify(r, *call, also);
		else if (!(also & TRACE_FILTER_SCRIPT))
			k = notify_limits(r, *call);
	if (k == 0 && (also & TRACE_FILTER_DESCRIPTORS))
		k = notify(r, SYS_fstat, also);
	if (k == 0)
		k = bpf_rules_add(r, SYS_socket, &other, 1);
	if (k == 0 && (also & TRACE_FILTER_SCRIPT))
		k = bpf_rules_add(r, SYS_getrandom, &plain, 1);
	if (k == 0 && !(also & TRACE_FILTER_DESCRIPTORS))
		k = add_marks(r);
	if (k == 0 && (also & TRACE_FILTER_SCRIPT))
		k = add_machine(r);
	return k;
}

bool
trace_filter_possible(void)
{
	uint32_t action = SECCOMP_RET_USER_NOTIF;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int
trace_filter_make(unsigned also, struct buf *ret)
{
	_cleanup_(bpf_rules_done) struct bpf_rules r = { .n = 0 };
	int k = add_notified(&r, also);

	return k < 0 ? k : bpf_rules_make(&r, ret);
}
