/* The part of dray-env.so that tells a macro from the program, and stands in front of what asks for
 * a file's attributes: a macro's question is put to the kernel from here, the program's by libc,
 * and the tracer sees which instruction it was (trace/caller.h).
 *
 * No header that declares stat is included: some make other names of it. The kernel's struct stat
 * is libc's on the machines that have instructions here; on others everything goes through libc,
 * and all questions are taken for a macro's, since libc is then where the hello comes from. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace/preload/env_priv.h"

#define OBJECTS 512

static struct {
	uintptr_t begin, end;
} own[OBJECTS];
static size_t n_own;
static bool noted;
static long (*libc_syscall)(long nr, ...);

/* ---- whose code it is */

static bool
is_in(const struct dl_phdr_info *o, const ElfW(Phdr) * p, uintptr_t at)
{
	uintptr_t begin = o->dlpi_addr + p->p_vaddr;

	return p->p_type == PT_LOAD && at >= begin && at < begin + p->p_memsz;
}

static int
note_object(struct dl_phdr_info *o, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	for (int i = 0; i < o->dlpi_phnum; i++)
		if (is_in(o, &o->dlpi_phdr[i], (uintptr_t)(void *)note_object))
			return 0;
	for (int i = 0; i < o->dlpi_phnum && n_own < OBJECTS; i++) {
		const ElfW(Phdr) *p = &o->dlpi_phdr[i];

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		own[n_own].begin = o->dlpi_addr + p->p_vaddr;
		own[n_own].end = own[n_own].begin + p->p_memsz;
		n_own++;
	}
	return 0;
}

void
env_note_own(void)
{
	*(void **)&libc_syscall = dlsym(RTLD_NEXT, "syscall");
	dl_iterate_phdr(note_object, NULL);
	noted = true;
}

bool
env_is_own(const void *pc)
{
	uintptr_t at = (uintptr_t)pc;

	if (!noted)
		return true;
	/* the compiler's driver makes nearly all calls: it is among the first */
	for (size_t i = 0; i < n_own; i++)
		if (at >= own[i].begin && at < own[i].end)
			return true;
	return false;
}

/* ---- the call */

#if defined(__x86_64__)
static long
instruction(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
static long
instruction(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
#else
#define NO_INSTRUCTION
#endif

long
env_direct(long nr, long a, long b, long c, long d, long e, long f)
{
#ifdef NO_INSTRUCTION
	return libc_syscall ? libc_syscall(nr, a, b, c, d, e, f) : (errno = ENOSYS, -1);
#else
	long r = instruction(nr, a, b, c, d, e, f);

	if (r < 0 && r > -4096) {
		errno = (int)-r;
		return -1;
	}
	return r;
#endif
}

static long
call(const void *pc, long nr, long a, long b, long c, long d, long e)
{
	if (env_is_own(pc) && libc_syscall)
		return libc_syscall(nr, a, b, c, d, e, 0);
	return env_direct(nr, a, b, c, d, e, 0);
}

long
env_readlink(bool is_own, int fd, const char *path, char *buf, size_t n)
{
	if (is_own && libc_syscall)
		return libc_syscall(SYS_readlinkat, fd, path, buf, n);
	return env_direct(SYS_readlinkat, fd, (long)path, (long)buf, (long)n, 0, 0);
}

/* With a path AT_EMPTY_PATH means nothing, but by it the kernel's filter knows what is asked of a
 * descriptor. */
static long
flags_for(const char *path, long flags)
{
	return path && *path ? flags & ~(long)AT_EMPTY_PATH : flags;
}

/* ---- what stands in front of libc's: the names that it has had for them */

#define CALLER __builtin_return_address(0)

static int
ask(const void *pc, int fd, const char *path, void *buf, long flags)
{
	return (int)call(pc, SYS_newfstatat, fd, (long)path, (long)buf, flags_for(path, flags), 0);
}

#define BY_PATH(name, flags)                                    \
	int name(const char *path, void *buf)                   \
	{                                                       \
		return ask(CALLER, AT_FDCWD, path, buf, flags); \
	}
#define BY_FD(name)                                             \
	int name(int fd, void *buf)                             \
	{                                                       \
		return ask(CALLER, fd, "", buf, AT_EMPTY_PATH); \
	}
#define BY_DIR(name)                                             \
	int name(int fd, const char *path, void *buf, int flags) \
	{                                                        \
		return ask(CALLER, fd, path, buf, flags);        \
	}
/* Before glibc 2.33, with a version that says nothing any more. */
#define OLD_BY_PATH(name, flags)                                \
	int name(int version, const char *path, void *buf)      \
	{                                                       \
		(void)version;                                  \
		return ask(CALLER, AT_FDCWD, path, buf, flags); \
	}
#define OLD_BY_FD(name)                                         \
	int name(int version, int fd, void *buf)                \
	{                                                       \
		(void)version;                                  \
		return ask(CALLER, fd, "", buf, AT_EMPTY_PATH); \
	}
#define OLD_BY_DIR(name)                                                      \
	int name(int version, int fd, const char *path, void *buf, int flags) \
	{                                                                     \
		(void)version;                                                \
		return ask(CALLER, fd, path, buf, flags);                     \
	}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wmissing-declarations"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wbuiltin-declaration-mismatch"
#endif

#if defined(__x86_64__) || defined(__aarch64__)
BY_PATH(stat, 0)
BY_PATH(stat64, 0)
BY_PATH(lstat, AT_SYMLINK_NOFOLLOW)
BY_PATH(lstat64, AT_SYMLINK_NOFOLLOW)
BY_FD(fstat)
BY_FD(fstat64)
BY_DIR(fstatat)
BY_DIR(fstatat64)
OLD_BY_PATH(__xstat, 0)
OLD_BY_PATH(__xstat64, 0)
OLD_BY_PATH(__lxstat, AT_SYMLINK_NOFOLLOW)
OLD_BY_PATH(__lxstat64, AT_SYMLINK_NOFOLLOW)
OLD_BY_FD(__fxstat)
OLD_BY_FD(__fxstat64)
OLD_BY_DIR(__fxstatat)
OLD_BY_DIR(__fxstatat64)

int
statx(int fd, const char *path, int flags, unsigned mask, void *buf)
{
	return (int)call(
		CALLER, SYS_statx, fd, (long)path, flags_for(path, flags), mask, (long)buf);
}

int
access(const char *path, int mode)
{
	return (int)call(CALLER, SYS_faccessat, AT_FDCWD, (long)path, mode, 0, 0);
}

/* Flags came with Linux 5.8; a compile's user and its effective one are the same. */
int
faccessat(int fd, const char *path, int mode, int flags)
{
	int r = flags ? (int)call(CALLER, SYS_faccessat2, fd, (long)path, mode, flags, 0) : -1;

	if (flags && (r == 0 || errno != ENOSYS))
		return r;
	return (int)call(CALLER, SYS_faccessat, fd, (long)path, mode, 0, 0);
}

ssize_t
readlink(const char *restrict path, char *restrict buf, size_t n)
{
	return env_readlink(env_is_own(CALLER), AT_FDCWD, path, buf, n);
}

ssize_t
readlinkat(int fd, const char *restrict path, char *restrict buf, size_t n)
{
	return env_readlink(env_is_own(CALLER), fd, path, buf, n);
}
#endif
#pragma GCC diagnostic pop

long
env_syscall(const void *pc, long nr, const long v[6])
{
	if (libc_syscall && env_is_own(pc))
		return libc_syscall(nr, v[0], v[1], v[2], v[3], v[4], v[5]);
	return env_direct(nr, v[0], v[1], v[2], v[3], v[4], v[5]);
}
