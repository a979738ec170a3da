/* A program under a filter that refuses it one system call, as old or strict containers do; for the
 * scenarios.
 *
 *     refuse CALL ERRNO PROGRAM ARGS…
 * CALL is the call's name; ERRNO is ENOSYS, EPERM or EACCES. The filter is inherited by all that
 * the program starts. Exits with 99 where no filter can be installed or this machine has no such
 * call. */
#include "config.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base.h"

#define STATUS_CANNOT 99
#define STATUS_NOT_STARTED 127

static int
number_of(const char *name)
{
	if (streq(name, "ENOSYS"))
		return ENOSYS;
	if (streq(name, "EPERM"))
		return EPERM;
	return streq(name, "EACCES") ? EACCES : 0;
}

static int
refuse(const char *name, int error)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int call = seccomp_syscall_resolve_name(name), r;

	if (!filter)
		return -ENOMEM;
	r = call == __NR_SCMP_ERROR
		    ? -EINVAL
		    : seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint16_t)error), call, 0);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

int
main(int argc, char **argv)
{
	int error = argc > 3 ? number_of(argv[2]) : 0, r;

	if (error == 0) {
		fputs("usage: refuse CALL ENOSYS|EPERM|EACCES PROGRAM ARGS...\n", stderr);
		return STATUS_CANNOT;
	}
	r = refuse(argv[1], error);
	if (r < 0) {
		fprintf(stderr, "refuse: %s: %s\n", argv[1], strerror(-r));
		return STATUS_CANNOT;
	}
	execvp(argv[3], argv + 3);
	fprintf(stderr, "refuse: %s: %s\n", argv[3], strerror(errno));
	return STATUS_NOT_STARTED;
}
