/* The filter that notifies of a compile's calls, run here as the kernel runs it. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <cmocka.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "trace/asked.h"
#include "trace/bpf.h"
#include "trace/filter.h"
#include "trace/trace_call.h"
#include "tests/unit/bpf_fixture.h"

#define CALLS 700 /* numbers above the last call */

/* The architecture that the program asks for. */
static uint32_t
own_arch(const struct buf *program)
{
	const struct sock_filter *v = (const struct sock_filter *)program->p;

	assert_int_equal(v[1].code, BPF_JMP | BPF_JEQ | BPF_K);
	return v[1].k;
}

static bool
notifies(const struct buf *program, uint32_t nr, const uint64_t args[6])
{
	struct seccomp_data data = { .nr = (int)nr, .arch = own_arch(program) };
	uint32_t action;

	if (args)
		memcpy(data.args, args, sizeof(data.args));
	action = bpf_run(program, &data);
	assert_true(action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_USER_NOTIF);
	return action == SECCOMP_RET_USER_NOTIF;
}

static bool
is_in(const int *list, uint32_t nr)
{
	for (; *list >= 0; list++)
		if ((uint32_t)*list == nr)
			return true;
	return false;
}

/* Each call, with arguments of 0: what is in the lists, and nothing else. */
static void
test_calls(void **state)
{
	static const unsigned kinds[] = { 0, TRACE_FILTER_DESCRIPTORS, TRACE_FILTER_SCRIPT };

	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		_cleanup_(buf_done) struct buf p = BUF_INIT;
		bool script = kinds[k] == TRACE_FILTER_SCRIPT,
		     worker = kinds[k] == TRACE_FILTER_DESCRIPTORS;

		assert_int_equal(trace_filter_make(kinds[k], &p), 0);
		for (uint32_t nr = 0; nr < CALLS; nr++) {
			bool wanted = is_in(trace_calls, nr) || nr == SYS_socket;

			wanted |= !worker && is_in(trace_marks, nr) && nr != SYS_utimensat;
			wanted |= worker && nr == SYS_fstat;
			wanted |= script && (nr == SYS_getrandom || nr == SYS_uname ||
						    nr == SYS_sched_getaffinity);
#ifdef SYS_getrlimit
			wanted &= nr != SYS_getrlimit || !script;
#endif
			/* with a new limit that is 0, nothing is asked */
			wanted &= nr != SYS_prlimit64;
			if (notifies(&p, nr, NULL) != wanted)
				fail_msg("call %u, %u", nr, kinds[k]);
		}
		/* of x32, and what ptrace leaves of a call */
		assert_false(notifies(&p, 0x40000000 + SYS_openat, NULL));
		assert_false(notifies(&p, UINT32_MAX, NULL));
	}
}

static void
test_other_architecture(void **state)
{
	_cleanup_(buf_done) struct buf p = BUF_INIT;
	struct seccomp_data data = { .nr = SYS_openat };

	assert_int_equal(trace_filter_make(0, &p), 0);
	data.arch = own_arch(&p);
#ifdef __x86_64__
	assert_int_equal(data.arch, AUDIT_ARCH_X86_64);
#endif
	assert_int_equal(bpf_run(&p, &data), SECCOMP_RET_USER_NOTIF);
	data.arch ^= 1;
	assert_int_equal(bpf_run(&p, &data), SECCOMP_RET_ALLOW);
}

#define HIGH (UINT64_C(1) << 32)

/* Arguments are compared whole. */
static void
test_arguments(void **state)
{
	static const struct {
		unsigned also;
		uint32_t nr;
		uint64_t args[6];
		bool notified;
	} cases[] = {
		{ 0, SYS_statx, { 3, 1, AT_EMPTY_PATH }, false },
		{ 0, SYS_statx, { 3, 1, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW }, false },
		{ 0, SYS_statx, { 3, 1, AT_SYMLINK_NOFOLLOW }, true },
		{ 0, SYS_newfstatat, { 3, 1, 1, AT_EMPTY_PATH }, false },
		{ 0, SYS_newfstatat, { 3, 1, 1, HIGH }, true },
		{ TRACE_FILTER_DESCRIPTORS, SYS_newfstatat, { 3, 1, 1, AT_EMPTY_PATH }, true },
		{ TRACE_FILTER_SCRIPT, SYS_newfstatat, { 3, 1, 1, AT_EMPTY_PATH }, false },
		{ TRACE_FILTER_SCRIPT, SYS_newfstatat, { 3, 1, 1, 0, 0, ASKED_PASS }, false },
		{ TRACE_FILTER_SCRIPT, SYS_openat, { 3, 1, 1, 0, 0, ASKED_PASS }, false },
		{ TRACE_FILTER_SCRIPT, SYS_openat, { 3, 1, 1, 0, 0, ASKED_PASS ^ HIGH }, true },
		{ TRACE_FILTER_SCRIPT, SYS_openat, { 3, 1, 1, 0, 0, ASKED_PASS ^ 1 }, true },
		{ TRACE_FILTER_SCRIPT, SYS_openat2, { 3, 1, 1, 0, 0, ASKED_PASS }, true },
		{ 0, SYS_openat, { 3, 1, 1, 0, 0, ASKED_PASS }, true },
		{ 0, SYS_socket, { AF_UNIX }, false },
		{ 0, SYS_socket, { AF_INET }, true },
		{ 0, SYS_socket, { AF_UNIX | HIGH }, true },
		{ 0, SYS_utimensat, { 3, 0 }, false },
		{ 0, SYS_utimensat, { 3, HIGH }, true },
		{ 0, SYS_utimensat, { 3, 1 }, true },
		{ TRACE_FILTER_DESCRIPTORS, SYS_utimensat, { 3, 1 }, false },
		{ 0, SYS_prlimit64, { 0, RLIMIT_NOFILE, 0, 1 }, true },
		{ 0, SYS_prlimit64, { 0, RLIMIT_NOFILE, 0, HIGH }, true },
		{ 0, SYS_prlimit64, { 0, RLIMIT_NOFILE, 1, 0 }, false },
		{ 0, SYS_prlimit64, { 0, RLIMIT_STACK, 0, 1 }, false },
		{ 0, SYS_prlimit64, { 0, RLIMIT_NPROC, 0, 1 }, false },
		{ 0, SYS_prlimit64, { 0, RLIM_NLIMITS, 0, 1 }, false },
		{ 0, SYS_prlimit64, { 0, RLIM_NLIMITS - 1, 0, 1 }, true },
		{ TRACE_FILTER_SCRIPT, SYS_prlimit64, { 0, RLIMIT_NOFILE, 0, 1 }, false },
		{ TRACE_FILTER_SCRIPT, SYS_getrandom, { 1, 8, 1 }, false },
		{ TRACE_FILTER_SCRIPT, SYS_getrandom, { 1, 8, HIGH }, false },
		{ TRACE_FILTER_SCRIPT, SYS_getrandom, { 1, 8, 0 }, true },
		{ TRACE_FILTER_SCRIPT, SYS_sched_getaffinity, { 0, 8 }, true },
		{ TRACE_FILTER_SCRIPT, SYS_sched_getaffinity, { 0, 15 }, true },
		{ TRACE_FILTER_SCRIPT, SYS_sched_getaffinity, { 0, 16 }, false },
		{ TRACE_FILTER_SCRIPT, SYS_sched_getaffinity, { 0, 127 }, false },
		{ TRACE_FILTER_SCRIPT, SYS_sched_getaffinity, { 0, 128 }, true },
		{ TRACE_FILTER_SCRIPT, SYS_sched_getaffinity, { 0, HIGH | 20 }, true },
		{ TRACE_FILTER_SCRIPT, SYS_sched_getaffinity, { 0, HIGH | 4 }, true },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_(buf_done) struct buf p = BUF_INIT;

		assert_int_equal(trace_filter_make(cases[i].also, &p), 0);
		if (notifies(&p, cases[i].nr, cases[i].args) != cases[i].notified)
			fail_msg("case %zu", i);
	}
}

static bool
holds_below(uint64_t limit, uint64_t value)
{
	_cleanup_(bpf_rules_done) struct bpf_rules r = { .n = 0 };
	_cleanup_(buf_done) struct buf p = BUF_INIT;
	const struct bpf_when below = { 5, BPF_BELOW, limit, 0 };
	const uint64_t args[6] = { 0, 0, 0, 0, 0, value };

	assert_int_equal(bpf_rules_add(&r, 7, &below, 1), 0);
	assert_int_equal(bpf_rules_make(&r, &p), 0);
	return notifies(&p, 7, args);
}

static bool
holds_at_least(uint64_t limit, uint64_t value)
{
	_cleanup_(bpf_rules_done) struct bpf_rules r = { .n = 0 };
	_cleanup_(buf_done) struct buf p = BUF_INIT;
	const struct bpf_when least = { 5, BPF_AT_LEAST, limit, 0 };
	const uint64_t args[6] = { 0, 0, 0, 0, 0, value };

	assert_int_equal(bpf_rules_add(&r, 7, &least, 1), 0);
	assert_int_equal(bpf_rules_make(&r, &p), 0);
	return notifies(&p, 7, args);
}

static void
test_comparisons(void **state)
{
	static const uint64_t v[] = { 0, 1, 15, 16, 17, HIGH - 1, HIGH, HIGH + 1, HIGH + 16,
		2 * HIGH - 1, 2 * HIGH, UINT64_MAX - 1, UINT64_MAX };

	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		for (size_t k = 0; k < ARRAY_LEN(v); k++) {
			assert_int_equal(holds_below(v[i], v[k]), v[k] < v[i]);
			assert_int_equal(holds_at_least(v[i], v[k]), v[k] >= v[i]);
		}
}

/* As many as make the tree's jumps too long for a comparison; a call without a condition beside one
 * that has some; none at all. */
static void
test_sizes(void **state)
{
	_cleanup_(bpf_rules_done) struct bpf_rules r = { .n = 0 };
	_cleanup_(bpf_rules_done) struct bpf_rules none = { .n = 0 };
	_cleanup_(buf_done) struct buf p = BUF_INIT;
	_cleanup_(buf_done) struct buf empty = BUF_INIT;
	const struct bpf_when when[] = { { 0, BPF_IS, 5, UINT64_MAX },
		{ 1, BPF_IS_NOT, 6, UINT64_MAX }, { 2, BPF_IS, 7, UINT64_MAX } };
	const uint64_t yes[6] = { 5, 1, 7 }, no[6] = { 5, 6, 7 };

	assert_int_equal(bpf_rules_make(&none, &empty), 0);
	assert_false(notifies(&empty, 0, NULL));
	assert_int_equal(bpf_rules_add(&r, 3, when, BPF_WHEN_MAX + 1), -EINVAL);
	assert_int_equal(bpf_rules_add(&r, -1, NULL, 0), 0);
	assert_int_equal(r.n, 0);
	for (int call = 398; call >= 0; call -= 2)
		assert_int_equal(bpf_rules_add(&r, call, when, 3), 0);
	assert_int_equal(bpf_rules_add(&r, 200, NULL, 0), 0);
	assert_int_equal(bpf_rules_make(&r, &p), 0);
	for (uint32_t nr = 0; nr < 400; nr++) {
		assert_int_equal(notifies(&p, nr, yes), nr % 2 == 0);
		assert_int_equal(notifies(&p, nr, no), nr == 200);
	}
	for (int call = 400; call < 800; call++)
		assert_int_equal(bpf_rules_add(&r, call, when, 3), 0);
	assert_int_equal(bpf_rules_make(&r, &p), -E2BIG);
}

/* The kernel takes it; what it says is shown by test_watch_programs. */
static void
test_kernel(void **state)
{
	_cleanup_(buf_done) struct buf p = BUF_INIT;

	assert_int_equal(trace_filter_make(TRACE_FILTER_SCRIPT, &p), 0);
	assert_int_equal(p.n % sizeof(struct sock_filter), 0);
	assert_true(p.n / sizeof(struct sock_filter) < BPF_MAXINSNS / 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_other_architecture),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_comparisons),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
