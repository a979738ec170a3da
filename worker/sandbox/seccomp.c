/* Which system calls a job may not make. A compiler and proc-macros need files, memory, threads and
 * children. Denied are calls by which sandboxes were broken out of, and calls that no compile needs
 * (by its namespaces a job has no network but Unix sockets of its own).
 *
 * Denied calls fail with EPERM, so that a program that only tries goes on; clone3 with ENOSYS,
 * since its flags are behind a pointer that a filter cannot read, and glibc then uses clone.
 *
 * Invariant: a call passes only if it was looked at, for this list and for the tracer's. Numbers
 * that are not known here do not exist for a job, whatever its kernel can do: ENOSYS, on which
 * programs fall back to what they did before there was such a call. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/base.h"
#include "trace/filter.h"
#include "worker/sandbox/seccomp.h"

static const int denied[] = {
	/* mounts and namespaces */
	SCMP_SYS(mount),
	SCMP_SYS(umount),
	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),
	SCMP_SYS(chroot),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(fsopen),
	SCMP_SYS(fsconfig),
	SCMP_SYS(fsmount),
	SCMP_SYS(fspick),
	SCMP_SYS(open_tree),
	SCMP_SYS(move_mount),
	SCMP_SYS(mount_setattr),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(name_to_handle_at),
	/* other processes */
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(kcmp),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(process_madvise),
	SCMP_SYS(migrate_pages),
	SCMP_SYS(move_pages),
	/* memory that belongs to no process: no limit would count it */
	SCMP_SYS(shmget),
	SCMP_SYS(msgget),
	SCMP_SYS(semget),
	SCMP_SYS(mq_open),
	SCMP_SYS(memfd_secret),
	/* large kernel surfaces */
	SCMP_SYS(keyctl),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	SCMP_SYS(fanotify_init),
	/* the machine */
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(reboot),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(quotactl),
	SCMP_SYS(quotactl_fd),
	SCMP_SYS(acct),
	SCMP_SYS(syslog),
	SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime),
	SCMP_SYS(clock_adjtime),
	SCMP_SYS(adjtimex),
	SCMP_SYS(sethostname),
	SCMP_SYS(setdomainname),
	SCMP_SYS(vhangup),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
	SCMP_SYS(modify_ldt),
	SCMP_SYS(lookup_dcookie),
	SCMP_SYS(uselib),
	SCMP_SYS(nfsservctl),
};

/* A call that this architecture (or this libseccomp) does not know cannot be made, so that is no
 * error. */
static int
deny(scmp_filter_ctx f, int call)
{
	int r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), call, 0);

	return r == -EDOM || r == -EINVAL ? 0 : r;
}

/* In a traced job the tracer refuses sockets, so that it knows of them. */
static int
add_rules(scmp_filter_ctx f, bool traced)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(denied) && r == 0; i++)
		r = deny(f, denied[i]);
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (r == 0 && !traced)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
			SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
	/* By a lease on a blob, which needs no more than to read it, each open of it elsewhere
	 * would wait for up to 45 seconds. */
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fcntl), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, F_SETLEASE));
	/* 0xffffffff only reads it; setting it can switch off address randomisation. */
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(personality), 1,
			SCMP_A0(SCMP_CMP_NE, 0xffffffff, 0));
	/* Typing into a terminal that bwrap may have left open (CVE-2017-5226). */
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, 0x5412u /* TIOCSTI */));
	/* The same by way of a virtual console's selection (CVE-2023-28100). */
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, 0x541cu /* TIOCLINUX */));
	return r;
}

/* The last number that was looked at: set_mempolicy_home_node, Linux 5.17. Since Linux 5.1 a new
 * call has the same number on each of our architectures. Before it is raised, each call that comes
 * with it is to be looked at: is it one to be denied, and does it name a path
 * (trace/trace_call.c)? */
#define NEWEST_KNOWN 450
#define X32_BIT 0x40000000u /* libseccomp's own part refuses such calls */

#if defined(__NR_set_mempolicy_home_node) && !defined(__mips__) && !defined(__alpha__)
_Static_assert(__NR_set_mempolicy_home_node == NEWEST_KNOWN, "the newest call that was looked at");
#endif

/* Whether libseccomp has a name for it. Numbers that a kernel left out may be given later. */
static bool
is_known(uint32_t nr)
{
	_cleanup_(freep) char *name = nr <= NEWEST_KNOWN ? seccomp_syscall_resolve_num_arch(
								   SCMP_ARCH_NATIVE, (int)nr)
							 : NULL;

	return name != NULL;
}

static int
add_code(struct buf *b, unsigned code, uint32_t k, unsigned jt, unsigned jf)
{
	const struct sock_filter f = { (uint16_t)code, (uint8_t)jt, (uint8_t)jf, k };

	return buf_add(b, &f, sizeof(f));
}

/* ENOSYS for the numbers from first to last; the others go on behind it. */
static int
refuse_range(struct buf *b, uint32_t first, uint32_t last)
{
	int r = add_code(b, BPF_JMP | BPF_JGE | BPF_K, first, 0, 2);

	if (r == 0)
		r = add_code(b, BPF_JMP | BPF_JGT | BPF_K, last, 1, 0);
	return r < 0 ? r : add_code(b, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS, 0, 0);
}

static int
refuse_unknown(struct buf *b)
{
	uint32_t first = 0;
	int r = 0;

	for (uint32_t nr = 0; r == 0 && nr <= NEWEST_KNOWN; nr++) {
		if (!is_known(nr))
			continue;
		if (first < nr)
			r = refuse_range(b, first, nr - 1);
		first = nr + 1;
	}
	return r < 0 ? r : refuse_range(b, first, X32_BIT - 1);
}

/* libseccomp cannot compare numbers, so this part is our own. It stands before libseccomp's, which
 * then judges what is left: jumps are relative, and each part loads what it looks at. */
static int
add_known_numbers(struct buf *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = refuse_unknown(&b);

	if (r == 0)
		r = add_code(
			ret, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	if (r == 0)
		r = add_code(ret, BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native(), 1, 0);
	/* another architecture: libseccomp's part refuses it */
	if (r == 0)
		r = add_code(ret, BPF_JMP | BPF_JA,
			(uint32_t)(b.n / sizeof(struct sock_filter)) + 1, 0, 0);
	if (r == 0)
		r = add_code(
			ret, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	return r < 0 ? r : buf_add(ret, b.p, b.n);
}

/* Adds a finished filter to *ret, in the kernel's form. */
static int
export_bpf(scmp_filter_ctx f, struct buf *ret)
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

static int
make_program(bool traced, struct buf *ret)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!f)
		return -ENOMEM;
	r = add_rules(f, traced);
	if (r == 0)
		r = add_known_numbers(ret);
	if (r == 0)
		r = export_bpf(f, ret);
	seccomp_release(f);
	return r;
}

int
filters_make(bool trace, struct filters *ret)
{
	int r = make_program(false, &ret->deny);

	if (r == 0 && trace)
		r = make_program(true, &ret->deny_traced);
	if (r == 0 && trace)
		r = trace_filter_make(TRACE_FILTER_DESCRIPTORS, &ret->trace);
	return r;
}

void
filters_done(struct filters *f)
{
	buf_done(&f->deny);
	buf_done(&f->deny_traced);
	buf_done(&f->trace);
}
