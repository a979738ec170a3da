/* Made with libseccomp, which knows each architecture's numbers. */
#include "config.h"

#include "trace/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace/asked.h"
#include "trace/trace_call.h"

int
trace_filter_export(void *f, struct buf *ret)
{
	_cleanup_(closep) int fd = memfd_create("dray-filter", MFD_CLOEXEC);
	off_t size;
	int r;

	if (fd < 0)
		return -errno;
	r = seccomp_export_bpf(f, fd);
	if (r < 0)
		return r;
	size = lseek(fd, 0, SEEK_END);
	if (size <= 0)
		return -EIO;
	r = buf_reserve(ret, (size_t)size + 1);
	if (r < 0)
		return r;
	if (pread(fd, ret->p + ret->n, (size_t)size, 0) != size)
		return -EIO;
	ret->n += (size_t)size;
	return 0;
}

/* Reads only, and has no sixth argument. */
static bool
may_pass(int call)
{
	return call == SCMP_SYS(openat) || call == SCMP_SYS(newfstatat) ||
	       call == SCMP_SYS(faccessat) || call == SCMP_SYS(readlinkat);
}

/* What is asked of an open descriptor was seen when it was opened: an fstat, in the ways that glibc
 * and Rust make it, is not notified, unless its answer is another one than the kernel's.
 * (dray-env.so takes AT_EMPTY_PATH away where a path is given.) */
static int
notify(scmp_filter_ctx f, int call, unsigned also)
{
	int flags = call == SCMP_SYS(statx) ? 2 : call == SCMP_SYS(newfstatat) ? 3 : -1, r;
	struct scmp_arg_cmp when[2];
	unsigned n = 0;

	if (flags >= 0 && !(also & TRACE_FILTER_DESCRIPTORS))
		when[n++] = SCMP_CMP((unsigned)flags, SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, 0);
	if ((also & TRACE_FILTER_SCRIPT) && may_pass(call))
		when[n++] = SCMP_A5(SCMP_CMP_NE, ASKED_PASS, 0);
	r = seccomp_rule_add_array(f, SCMP_ACT_NOTIFY, call, n, when);
	return r == -EDOM || r == -EINVAL ? 0 : r;
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
notify_limits(scmp_filter_ctx f, int call)
{
	int r = 0;

	for (unsigned which = 0; which < RLIM_NLIMITS && r == 0; which++) {
		const struct scmp_arg_cmp when[] = { SCMP_A0(SCMP_CMP_EQ, which, 0),
			SCMP_A1(SCMP_CMP_EQ, which, 0), SCMP_A3(SCMP_CMP_NE, 0, 0) };
		bool two = call == SCMP_SYS(prlimit64);

		if (which != RLIMIT_STACK && which != RLIMIT_NPROC)
			r = seccomp_rule_add_array(
				f, SCMP_ACT_NOTIFY, call, two ? 2 : 1, two ? when + 1 : when);
	}
	return r == -EDOM || r == -EINVAL ? 0 : r;
}

/* What the machine is. Not the affinity as glibc asks for it at each program's start, by 16 to 64
 * bytes (pthread_getattr_np). */
static int
add_machine(scmp_filter_ctx f)
{
	int r = seccomp_rule_add(f, SCMP_ACT_NOTIFY, SCMP_SYS(uname), 0);

	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_NOTIFY, SCMP_SYS(sched_getaffinity), 1,
			SCMP_A1(SCMP_CMP_GE, 128, 0));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_NOTIFY, SCMP_SYS(sched_getaffinity), 1,
			SCMP_A1(SCMP_CMP_LT, 16, 0));
	return r;
}

/* Without a path it is about a descriptor. */
static int
add_marks(scmp_filter_ctx f)
{
	int r = 0;

	for (const int *call = trace_marks; *call >= 0 && r == 0; call++) {
		r = seccomp_rule_add(f, SCMP_ACT_NOTIFY, *call, *call == SYS_utimensat,
			SCMP_A1(SCMP_CMP_NE, 0, 0));
		if (r == -EDOM || r == -EINVAL)
			r = 0;
	}
	return r;
}

static int
add_notified(scmp_filter_ctx f, unsigned also)
{
	int r = 0;

	/* of a script's programs dray-run.so says it */
	for (const int *call = trace_calls; *call >= 0 && r == 0; call++)
		if (!is_limits(*call))
			r = notify(f, *call, also);
		else if (!(also & TRACE_FILTER_SCRIPT))
			r = notify_limits(f, *call);
	if (r == 0 && (also & TRACE_FILTER_DESCRIPTORS))
		r = notify(f, SYS_fstat, also);
	if (r == 0)
		r = seccomp_rule_add(
			f, SCMP_ACT_NOTIFY, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
	if (r == 0 && (also & TRACE_FILTER_SCRIPT))
		r = seccomp_rule_add(
			f, SCMP_ACT_NOTIFY, SCMP_SYS(getrandom), 1, SCMP_A2(SCMP_CMP_EQ, 0, 0));
	if (r == 0 && !(also & TRACE_FILTER_DESCRIPTORS))
		r = add_marks(f);
	if (r == 0 && (also & TRACE_FILTER_SCRIPT))
		r = add_machine(f);
	return r;
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
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!f)
		return -ENOMEM;
	/* Programs of another architecture are not seen; they are not killed for that, either. */
	r = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
	if (r == 0)
		r = add_notified(f, also);
	if (r == 0)
		r = trace_filter_export(f, ret);
	seccomp_release(f);
	return r;
}
