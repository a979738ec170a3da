/* killat.so, preloaded: a process that is killed at one of its steps on the disk, for tests.
 *
 * KILLAT=N kills it with SIGKILL in place of its Nth step; a write is cut in half by it. Without it
 * nothing is done but counting. KILLAT_COUNT names a file that gets the number of steps when the
 * process exits. A program that looks for them finds killat_arm and killat_count: it counts from
 * where it wants, in each of its forks. A step is a call that makes, names, changes, locks or opens
 * a file, or starts a program (before it, and after it).
 *
 * KILLAT_PROGRAM=NAME: only a process of that name counts, and what it starts is left alone.
 * KILLAT_CHANGES=1: what only opens a file to read it is no step. KILLAT_FROM_CHILD=1: counts from
 * its first child on.
 *
 * libc only, no allocation: it runs before everything else. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static unsigned long count, fatal;
static bool idle, from_child, changes_only;
static char count_file[4096];

static void __attribute__((constructor)) read_settings(void)
{
	const char *n = getenv("KILLAT"), *file = getenv("KILLAT_COUNT");
	const char *program = getenv("KILLAT_PROGRAM");

	if (program && strcmp(program, program_invocation_short_name) != 0) {
		idle = true;
		return;
	}
	if (program)
		unsetenv("LD_PRELOAD");
	changes_only = getenv("KILLAT_CHANGES") != NULL;
	idle = from_child = getenv("KILLAT_FROM_CHILD") != NULL;
	if (n)
		fatal = strtoul(n, NULL, 10);
	if (file && strlen(file) < sizeof(count_file))
		memcpy(count_file, file, strlen(file) + 1);
}

static void __attribute__((destructor)) tell_count(void)
{
	char text[24];
	long fd;
	int n;

	if (!*count_file)
		return;
	n = snprintf(text, sizeof(text), "%lu", count);
	fd = syscall(SYS_openat, AT_FDCWD, count_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd >= 0) {
		syscall(SYS_write, fd, text, n);
		syscall(SYS_close, fd);
	}
}

/* Counts from here. */
void killat_arm(unsigned long n);
unsigned long killat_count(void);

void
killat_arm(unsigned long n)
{
	count = 0;
	fatal = n;
}

unsigned long
killat_count(void)
{
	return count;
}

static void
die(void)
{
	syscall(SYS_kill, getpid(), SIGKILL);
}

/* Whether the step that comes is the last one. */
static bool
is_fatal(void)
{
	return !idle && __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) == fatal;
}

static void
step(void)
{
	if (is_fatal())
		die();
}

static int
open_at(int at, const char *path, int flags, va_list ap)
{
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;

	if (!changes_only || flags & (O_CREAT | O_TMPFILE | O_TRUNC))
		step();
	return (int)syscall(SYS_openat, at, path, flags, mode);
}

#define OPEN(name)                                       \
	int name(const char *path, int flags, ...)       \
	{                                                \
		va_list ap;                              \
		int fd;                                  \
                                                         \
		va_start(ap, flags);                     \
		fd = open_at(AT_FDCWD, path, flags, ap); \
		va_end(ap);                              \
		return fd;                               \
	}
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                       \
	int name(int at, const char *path, int flags, ...) \
	{                                                  \
		va_list ap;                                \
		int fd;                                    \
                                                           \
		va_start(ap, flags);                       \
		fd = open_at(at, path, flags, ap);         \
		va_end(ap);                                \
		return fd;                                 \
	}
OPENAT(openat)
OPENAT(openat64)

#define CREAT(name)                                                                      \
	int name(const char *path, mode_t mode)                                          \
	{                                                                                \
		step();                                                                  \
		return (int)syscall(                                                     \
			SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); \
	}
CREAT(creat)
CREAT(creat64)

int
mkdir(const char *path, mode_t mode)
{
	step();
	return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int
linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
	step();
	return (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
}

int
link(const char *from, const char *to)
{
	return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
	step();
	return (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
}

int
renameat(int from_at, const char *from, int to_at, const char *to)
{
	return renameat2(from_at, from, to_at, to, 0);
}

int
rename(const char *from, const char *to)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
unlinkat(int at, const char *path, int flags)
{
	step();
	return (int)syscall(SYS_unlinkat, at, path, flags);
}

int
unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

ssize_t
write(int fd, const void *p, size_t n)
{
	if (is_fatal()) {
		syscall(SYS_write, fd, p, n / 2);
		die();
	}
	return syscall(SYS_write, fd, p, n);
}

#define PWRITE(name, off)                                        \
	ssize_t name(int fd, const void *p, size_t n, off at)    \
	{                                                        \
		if (is_fatal()) {                                \
			syscall(SYS_pwrite64, fd, p, n / 2, at); \
			die();                                   \
		}                                                \
		return syscall(SYS_pwrite64, fd, p, n, at);      \
	}
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t
writev(int fd, const struct iovec *v, int n)
{
	if (is_fatal()) {
		syscall(SYS_writev, fd, v, n / 2);
		die();
	}
	return syscall(SYS_writev, fd, v, n);
}

ssize_t
copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t n, unsigned flags)
{
	struct stat st;

	if (is_fatal()) {
		if (fstat(from, &st) == 0)
			syscall(SYS_copy_file_range, from, from_at, to, to_at,
				(size_t)st.st_size / 2, flags);
		die();
	}
	return syscall(SYS_copy_file_range, from, from_at, to, to_at, n, flags);
}

#define TRUNCATE(name, off)                                \
	int name(int fd, off n)                            \
	{                                                  \
		step();                                    \
		return (int)syscall(SYS_ftruncate, fd, n); \
	}
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int
fchmod(int fd, mode_t mode)
{
	step();
	return (int)syscall(SYS_fchmod, fd, mode);
}

int
futimens(int fd, const struct timespec times[2])
{
	step();
	return (int)syscall(SYS_utimensat, fd, NULL, times, 0);
}

int
utimensat(int at, const char *path, const struct timespec times[2], int flags)
{
	step();
	return (int)syscall(SYS_utimensat, at, path, times, flags);
}

int
flock(int fd, int how)
{
	step();
	return (int)syscall(SYS_flock, fd, how);
}

int
ioctl(int fd, unsigned long what, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, what);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (what == FICLONE)
		step();
	return (int)syscall(SYS_ioctl, fd, what, arg);
}

static int
control(int fd, int what, void *arg)
{
	if (what == F_SETLK || what == F_SETLKW || what == F_OFD_SETLK || what == F_OFD_SETLKW)
		step();
	return (int)syscall(SYS_fcntl, fd, what, arg);
}

#define FCNTL(name)                            \
	int name(int fd, int what, ...)        \
	{                                      \
		va_list ap;                    \
		void *arg;                     \
                                               \
		va_start(ap, what);            \
		arg = va_arg(ap, void *);      \
		va_end(ap);                    \
		return control(fd, what, arg); \
	}
FCNTL(fcntl)
FCNTL(fcntl64)

/* ---- programs */

/* One was started: from here on, if not before. */
static void
after_child(void)
{
	idle = idle && !from_child;
	step();
}

#define SPAWN(name)                                                                    \
	int name(pid_t *pid, const char *path, const posix_spawn_file_actions_t *fa,   \
		const posix_spawnattr_t *attr, char *const argv[], char *const envp[]) \
	{                                                                              \
		int (*next)(pid_t *, const char *, const posix_spawn_file_actions_t *, \
			const posix_spawnattr_t *, char *const *, char *const *);      \
		int r;                                                                 \
                                                                                       \
		*(void **)&next = dlsym(RTLD_NEXT, #name);                             \
		step();                                                                \
		r = next(pid, path, fa, attr, argv, envp);                             \
		after_child();                                                         \
		return r;                                                              \
	}
SPAWN(posix_spawn)
SPAWN(posix_spawnp)

/* What the child does before it runs a program is none of this process' steps. */
pid_t
fork(void)
{
	pid_t (*next)(void);
	pid_t pid;

	*(void **)&next = dlsym(RTLD_NEXT, "fork");
	pid = next();
	if (pid > 0 && from_child)
		after_child();
	return pid;
}
