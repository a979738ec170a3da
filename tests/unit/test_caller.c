/* Whose code makes a call: by the ranges of what was mapped when the program said hello. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <unistd.h>

#include "trace/caller.h"

static const char maps[] = "1000-2000 r--p 00000000 fd:00 11 /t/bin/rustc\n"
			   "2000-3000 r-xp 00001000 fd:00 11 /t/bin/rustc\n"
			   "5000-6000 r-xp 00000000 fd:00 12 /t/lib/librustc_driver-1.so\n"
			   "6000-7000 rw-p 00000000 00:00 0 \n"
			   "8000-9000 r--p 00000000 fd:00 13 /d/dray env.so\n"
			   "9000-a000 r-xp 00001000 fd:00 13 /d/dray env.so\n"
			   "b000-c000 r-xp 00000000 fd:01 13 /lib/libc.so.6\n"
			   "ffff0000-ffff1000 r-xp 00000000 00:00 0 [vdso]\n";

static enum trace_who
who(struct trace_caller *c, pid_t pid, uint64_t at)
{
	struct seccomp_notif req = { .pid = (uint32_t)pid };

	req.data.instruction_pointer = at;
	return trace_caller_who(c, &req);
}

static void
test_ranges(void **state)
{
	struct trace_caller c = { .process = getpid() };

	(void)state;
	assert_int_equal(trace_caller_ranges(&c, maps, 0x9123), 0);
	assert_int_equal(c.n, 3);
	assert_int_equal(who(&c, getpid(), 0x2000), TRACE_BY_PROGRAM);
	assert_int_equal(who(&c, getpid(), 0x2fff), TRACE_BY_PROGRAM);
	assert_int_equal(who(&c, getpid(), 0x5800), TRACE_BY_PROGRAM);
	assert_int_equal(who(&c, getpid(), 0xbfff), TRACE_BY_PROGRAM);
	/* data, dray-env.so, and what was loaded later */
	assert_int_equal(who(&c, getpid(), 0x1800), TRACE_BY_MACRO);
	assert_int_equal(who(&c, getpid(), 0x3000), TRACE_BY_MACRO);
	assert_int_equal(who(&c, getpid(), 0x9123), TRACE_BY_MACRO);
	assert_int_equal(who(&c, getpid(), 0xd000), TRACE_BY_MACRO);
	/* another process */
	assert_int_equal(who(&c, getppid(), 0x2000), TRACE_BY_OTHER);
	trace_caller_done(&c);
}

static void
test_doubts(void **state)
{
	struct trace_caller c = { .process = getpid() };
	struct seccomp_notif req = { .pid = (uint32_t)getpid() };

	(void)state;
	/* the object that says hello is mapped from a file */
	assert_int_equal(trace_caller_ranges(&c, maps, 0x6800), 0);
	assert_int_equal(who(&c, getpid(), 0x2000), TRACE_BY_MACRO);
	assert_int_equal(trace_caller_ranges(&c, "rubbish\n\n1-\n", 0x9123), 0);
	assert_int_equal(who(&c, getpid(), 0x2000), TRACE_BY_MACRO);
	/* another program in its place has other code */
	assert_int_equal(trace_caller_ranges(&c, maps, 0x9123), 0);
	trace_caller_exec(&c, &req);
	assert_int_equal(who(&c, getpid(), 0x2000), TRACE_BY_MACRO);
	trace_caller_done(&c);
	assert_int_equal(who(&c, getpid(), 0x2000), TRACE_BY_OTHER);
}

/* By our own maps: what we are is our own, unless it is what says hello. */
static void
test_hello(void **state)
{
	struct trace_caller c = { .process = 0 };
	struct seccomp_notif req = { .pid = (uint32_t)getpid() };

	(void)state;
	req.data.instruction_pointer = (uint64_t)(uintptr_t)(void *)printf;
	trace_caller_hello(&c, &req);
	assert_int_equal(who(&c, getpid(), (uint64_t)(uintptr_t)(void *)printf), TRACE_BY_MACRO);
	assert_int_equal(
		who(&c, getpid(), (uint64_t)(uintptr_t)(void *)test_hello), TRACE_BY_PROGRAM);
	trace_caller_done(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_doubts),
		cmocka_unit_test(test_hello),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
