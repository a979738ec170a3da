/* Which calls a job may make, by both filters; run here as the kernel runs them, and by the kernel.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <sched.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "worker/sandbox/seccomp.h"
#include "tests/unit/bpf_fixture.h"

#define LAST_KNOWN 450
#define NO_CALL SECCOMP_RET_ERRNO | ENOSYS

static uint32_t
action(const struct buf *program, uint32_t nr, uint64_t first_arg)
{
	const struct seccomp_data data = {
		.nr = (int)nr, .arch = seccomp_arch_native(), .args = { first_arg }
	};

	return bpf_run(program, &data);
}

static int
set_up(void **state)
{
	struct filters *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(filters_make(true, f), 0);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	filters_done(*state);
	free(*state);
	return 0;
}

static void
assert_unknown(const struct buf *program, uint32_t nr)
{
	if (action(program, nr, 0) != (NO_CALL))
		fail_msg("call %u: %x", nr, action(program, nr, 0));
}

/* What this kernel can do does not matter. */
static void
test_unknown_numbers(void **state)
{
	const struct filters *f = *state;
	const struct buf *const programs[] = { &f->deny, &f->deny_traced };

	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		for (uint32_t nr = LAST_KNOWN + 1; nr < 2000; nr++)
			assert_unknown(programs[i], nr);
		assert_unknown(programs[i], 0x3fffffff);
#ifdef __x86_64__
		/* numbers that were left out, and are given to calls of Linux 6.11 and later */
		for (uint32_t nr = 337; nr <= 423; nr++)
			assert_unknown(programs[i], nr);
#endif
	}
}

static void
test_known_numbers(void **state)
{
	static const int allowed[] = { SYS_read, SYS_openat, SYS_execve, SYS_clone, SYS_futex,
		SYS_close_range, SYS_openat2, SYS_faccessat2 };
	static const int denied[] = { SYS_mount, SYS_ptrace, SYS_bpf, SYS_unshare, SYS_setns,
		SYS_open_tree, SYS_io_uring_setup };
	const struct filters *f = *state;
	const struct buf *const programs[] = { &f->deny, &f->deny_traced };

	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		for (size_t k = 0; k < ARRAY_LEN(allowed); k++)
			assert_int_equal(
				action(programs[i], (uint32_t)allowed[k], 0), SECCOMP_RET_ALLOW);
		for (size_t k = 0; k < ARRAY_LEN(denied); k++)
			assert_int_equal(action(programs[i], (uint32_t)denied[k], 0),
				SECCOMP_RET_ERRNO | EPERM);
		assert_int_equal(
			action(programs[i], SYS_clone, CLONE_NEWUSER), SECCOMP_RET_ERRNO | EPERM);
		assert_int_equal(action(programs[i], SYS_clone3, 0), NO_CALL);
		assert_int_equal(action(programs[i], LAST_KNOWN, 0), SECCOMP_RET_ALLOW);
	}
}

static void
test_no_leases(void **state)
{
	const struct filters *f = *state;
	struct seccomp_data data = { .nr = SYS_fcntl, .arch = seccomp_arch_native() };

	data.args[1] = F_SETLEASE;
	assert_int_equal(bpf_run(&f->deny, &data), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(bpf_run(&f->deny_traced, &data), SECCOMP_RET_ERRNO | EPERM);
	/* the kernel looks at the lower half */
	data.args[1] |= 1ull << 32;
	assert_int_equal(bpf_run(&f->deny, &data), SECCOMP_RET_ERRNO | EPERM);
	data.args[1] = F_SETFL;
	assert_int_equal(bpf_run(&f->deny, &data), SECCOMP_RET_ALLOW);
}

/* All that libseccomp knows up to there is as it was without the numbers' part. */
static void
test_all_that_is_known(void **state)
{
	const struct filters *f = *state;
	unsigned n = 0;

	for (uint32_t nr = 0; nr <= LAST_KNOWN; nr++) {
		_cleanup_(freep) char *name = seccomp_syscall_resolve_num_arch(
			SCMP_ARCH_NATIVE, (int)nr);

		if (!name)
			assert_unknown(&f->deny, nr);
		else if (nr != SYS_clone3 && action(&f->deny, nr, 0) == (NO_CALL))
			fail_msg("%s (%u) is there, and known", name, nr);
		n += name != NULL;
	}
	assert_true(n > 250);
}

static void
test_other_architecture(void **state)
{
	const struct filters *f = *state;
	struct seccomp_data data = { .nr = SYS_read, .arch = seccomp_arch_native() ^ 1 };

	assert_int_equal(bpf_run(&f->deny, &data), SECCOMP_RET_KILL_THREAD);
	data.nr = LAST_KNOWN + 1;
	assert_int_equal(bpf_run(&f->deny, &data), SECCOMP_RET_KILL_THREAD);
#ifdef __x86_64__
	assert_int_equal(action(&f->deny, 0x40000000 + SYS_read, 0), SECCOMP_RET_KILL_THREAD);
#endif
}

/* In a child: 0, or what was not as it is to be. */
static int
try_in_kernel(const struct buf *program)
{
	struct sock_fprog p = { .len = (unsigned short)(program->n / sizeof(struct sock_filter)),
		.filter = (struct sock_filter *)program->p };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) < 0)
		return 1;
	/* cachestat: EBADF where it is there */
	if (syscall(451, -1, NULL, NULL, 0) != -1 || errno != ENOSYS)
		return 2;
	if (syscall(SYS_mount, "", "/", "", 0, NULL) != -1 || errno != EPERM)
		return 3;
	return syscall(SYS_getppid) > 0 ? 0 : 4;
}

static void
test_kernel(void **state)
{
	const struct filters *f = *state;
	const struct buf *const programs[] = { &f->deny, &f->deny_traced };

	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (pid == 0)
			_exit(try_in_kernel(programs[i]));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_numbers),
		cmocka_unit_test(test_known_numbers),
		cmocka_unit_test(test_no_leases),
		cmocka_unit_test(test_all_that_is_known),
		cmocka_unit_test(test_other_architecture),
		cmocka_unit_test(test_kernel),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
