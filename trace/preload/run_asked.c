/* The part of dray-run.so that stands in front of what C drivers, shells and the like ask of paths
 * (trace/asked.h). In every other program it hands on.
 *
 * Invariant: a question is passed by the tracer only after the tracer has seen the same one, of the
 * same program in the same tree. The directory stands before a relative path. Opening to write is
 * never passed.
 *
 * No header that declares stat is included: some make other names of it (as in env_call.c). */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace/asked.h"
#include "trace/drivers.h"
#include "trace/paths.h"
#include "trace/preload/run_priv.h"
#include "trace/preload/say.h"

#define PROBES 8

static uint64_t *mapped; /* the tree's table, wherever it is used */
static uint64_t *table;	 /* the same; NULL: this program asks each time */
static uint64_t seed;
static const char *script_dirs; /* asked_first */

/* ---- the call */

#if defined(__x86_64__)
#define PASSES
static long
instruction(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	register uint64_t r9 __asm__("r9") = ASKED_PASS;
	long ret;

	/* no later call may find it there by chance */
	__asm__ volatile("syscall\n\txor %%r9d, %%r9d"
			 : "=a"(ret), "+r"(r9)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory", "cc");
	return ret;
}
#elif defined(__aarch64__)
#define PASSES
static long
instruction(long nr, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register uint64_t x5 __asm__("x5") = ASKED_PASS;

	__asm__ volatile("svc 0\n\tmov x5, xzr"
			 : "+r"(x0), "+r"(x5)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3)
			 : "memory");
	return x0;
}
#endif

#ifdef PASSES

/* ---- the table */

/* Eight bytes at a time; what is left has its number in it. */
static uint64_t
mix(uint64_t h, const char *p, size_t n)
{
	uint64_t word;

	for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 32;
	}
	word = (uint64_t)n << 56;
	memcpy(&word, p, n);
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ (h >> 32);
}

/* 0 is no hash, or the directory is not known. */
static uint64_t
hash(char what, const char *path)
{
	uint64_t age = __atomic_load_n(&table[ASKED_AGE], __ATOMIC_ACQUIRE);
	uint64_t h = mix(mix(seed, &what, 1), (const char *)&age, sizeof(age));

	if (*path != '/') {
		char cwd[PATH_MAX];

		if (!getcwd(cwd, sizeof(cwd)) || *cwd != '/')
			return 0;
		h = mix(h, cwd, strlen(cwd));
		h = mix(h, "/", 1);
	}
	h = mix(h, path, strlen(path));
	h = (h ^ (h >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
	return h | 1;
}

static bool
has_in(const uint64_t *t, uint64_t h)
{
	for (size_t i = 0; i < PROBES; i++) {
		uint64_t at = __atomic_load_n(
			&t[((h >> 16) + i) & (ASKED_SLOTS - 1)], __ATOMIC_ACQUIRE);

		if (at == h || at == 0)
			return at == h;
	}
	return false;
}

static bool
has(uint64_t h)
{
	return has_in(table, h);
}

static void
put_in(uint64_t *t, uint64_t h)
{
	for (size_t i = 0; i < PROBES; i++) {
		uint64_t none = 0;

		if (__atomic_compare_exchange_n(&t[((h >> 16) + i) & (ASKED_SLOTS - 1)], &none, h,
			    false, __ATOMIC_RELEASE, __ATOMIC_RELAXED) ||
			none == h)
			return;
	}
}

static void
put(uint64_t h)
{
	put_in(table, h);
}

static uint64_t *
map_table(void)
{
	uint64_t *t = __atomic_load_n(&mapped, __ATOMIC_ACQUIRE);
	void *at;
	int fd;

	if (t)
		return t;
	fd = trace_say(TRACE_ASKED);
	if (fd < 0)
		return NULL;
	at = mmap(NULL, ASKED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		return NULL;
	/* that of another thread is the same */
	__atomic_store_n(&mapped, at, __ATOMIC_RELEASE);
	return at;
}

/* What is another thing in each process, or is counted. */
static bool
is_kernels(const char *path)
{
	return strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0 ||
	       strncmp(path, "/sys/", 5) == 0;
}

/* 0: it is asked, and not noted. */
static uint64_t
begin(char what, const char *path, bool *ret_known)
{
	uint64_t h;

	*ret_known = false;
	if (!table || !path || !*path || is_kernels(path))
		return 0;
	h = hash(what, path);
	*ret_known = h && has(h);
	return h;
}

static long
passed(long nr, long a, const char *path, long c, long d)
{
	long r = instruction(nr, a, (long)path, c, d);

	if (r < 0 && r > -4096) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

/* /proc/self/fd/N */
static void
name_descriptor(char to[32], unsigned fd)
{
	static const char dir[] = "/proc/self/fd/";
	char digits[12];
	size_t n = 0, at = sizeof(dir) - 1;

	memcpy(to, dir, at);
	do
		digits[n++] = (char)('0' + fd % 10);
	while (fd /= 10);
	while (n > 0)
		to[at++] = digits[--n];
	to[at] = '\0';
}

/* what: a letter, another one for each question and its flags. A signal of the program ends the
 * call before the tracer has seen it; without the tracer nothing would: it is made again. */
static long
ask(char what, long nr, const char *path, long c, long d)
{
	bool known;
	uint64_t h = begin(what, path, &known);
	long r;

	if (known)
		return passed(nr, AT_FDCWD, path, c, d);
	do
		r = syscall(nr, AT_FDCWD, path, c, d);
	while (r < 0 && errno == EINTR);
	if (h)
		put(h);
	return r;
}

#endif

void
asked_say(const char *what)
{
#ifdef PASSES
	uint64_t h;

	if (!table) {
		trace_say(what);
		return;
	}
	h = (mix(mix(seed, "/+", 2), what, strlen(what)) * UINT64_C(0x9e3779b97f4a7c15)) | 1;
	if (has(h))
		return;
	trace_say(what);
	put(h);
#else
	trace_say(what);
#endif
}

bool
asked_uses_pwd(const char *pwd)
{
#ifdef PASSES
	/* the kernel's struct stat, which begins with the device and the file's number */
	uint64_t here[32], there[32];

	char cwd[PATH_MAX];

	if (!table || !getcwd(cwd, sizeof(cwd)))
		return pwd != NULL;
	if (!pwd || *pwd != '/' || strcmp(pwd, cwd) == 0 ||
		ask('s', SYS_newfstatat, pwd, (long)there, 0) < 0)
		return false;
	return syscall(SYS_newfstatat, AT_FDCWD, "", here, AT_EMPTY_PATH) < 0 ||
	       (here[0] == there[0] && here[1] == there[1]);
#else
	return pwd != NULL;
#endif
}

void
asked_begin(const char *path, const char *name)
{
#ifdef PASSES
	uint64_t *t = map_table();

	if (!t)
		return;
	seed = mix(UINT64_C(14695981039346656037), path, strlen(path) + 1);
	seed = mix(seed, name, strlen(name) + 1);
	table = t;
#else
	(void)path;
	(void)name;
#endif
}

bool
asked_loads(const char *path)
{
	static const char *const others[] = { "bash", "dash", "gmake", "make", "sh" };
	char name[DRIVERS_NAME_MAX];

	drivers_plain_name(path, name);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(others[i], name) == 0)
			return true;
	return drivers_has(path);
}

void
asked_first(const char *dirs)
{
#ifdef PASSES
	script_dirs = dirs;
#else
	(void)dirs;
#endif
}

#ifdef PASSES

static uint64_t
hash_values(char what, const char *a, const char *b, const char *c)
{
	uint64_t h = mix(UINT64_C(14695981039346656037), &what, 1);

	h = mix(h, a, strlen(a) + 1);
	h = mix(h, b, strlen(b) + 1);
	h = mix(h, c, strlen(c) + 1);
	return ((h ^ (h >> 32)) * UINT64_C(0x9e3779b97f4a7c15)) | 1;
}

/* The script's own program writes it before it starts the first one. */
static bool
is_scripts(uint64_t *t, const char *dirs)
{
	if (script_dirs)
		put_in(t, hash_values('P', script_dirs, "", ""));
	return has_in(t, hash_values('P', dirs, "", ""));
}

void
asked_loaded(const char *path, const char *dirs, const char *preload)
{
	uint64_t *t = map_table();

	if (t && is_scripts(t, dirs))
		put_in(t, hash_values('L', path, dirs, preload));
}

bool
asked_has_loaded(const char *path, const char *dirs, const char *preload)
{
	uint64_t *t = map_table();

	return t && is_scripts(t, dirs) && has_in(t, hash_values('L', path, dirs, preload));
}

/* By the kernel, which resolves links as libc does. */
bool
env_knows_real(const char *path, char *ret)
{
	static const char gone[] = " (deleted)";
	char link[32];
	bool known;
	long fd, n = -1;
	int saved = errno;

	begin('p', path, &known);
	if (!known)
		return false;
	fd = passed(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);
	if (fd >= 0) {
		name_descriptor(link, (unsigned)fd);
		n = passed(SYS_readlinkat, AT_FDCWD, link, (long)ret, PATH_MAX - 1);
		close((int)fd);
	}
	errno = saved;
	if (n <= 0 || *ret != '/')
		return false;
	ret[n] = '\0';
	return (size_t)n < sizeof(gone) || strcmp(ret + n - (sizeof(gone) - 1), gone) != 0;
}

void
env_note_real(const char *path)
{
	bool known;
	uint64_t h = begin('p', path, &known);

	if (h && !known)
		put(h);
}

void
asked_search(const char *name, const char *path, const char *dirs)
{
	uint64_t *t = map_table();

	if (t)
		put_in(t, hash_values('S', name, path, dirs));
}

bool
asked_has_searched(const char *name, const char *path, const char *dirs)
{
	uint64_t *t = map_table();

	return t && has_in(t, hash_values('S', name, path, dirs));
}

bool
asked_can_run(const char *path)
{
	return passed(SYS_faccessat, AT_FDCWD, path, X_OK, 0) == 0;
}

int
asked_open(const char *path)
{
	return (int)passed(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
}

long
env_readlink(bool own, int fd, const char *path, char *buf, size_t n)
{
	(void)own;
	if (!table)
		return readlinkat(fd, path, buf, n);
	return ask('r', SYS_readlinkat, path, (long)buf, (long)n);
}

/* ---- what stands in front of libc's: the names that it has had for them */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wmissing-declarations"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wbuiltin-declaration-mismatch"
#endif

/* Whose library stands behind this one (fakeroot's, or libc itself). */
static void *
next(void **known, const char *name)
{
	void *f = __atomic_load_n(known, __ATOMIC_RELAXED);

	if (!f) {
		f = dlsym(RTLD_NEXT, name);
		__atomic_store_n(known, f, __ATOMIC_RELAXED);
	}
	return f;
}

typedef int (*stat_fn)(const char *path, void *buf);
typedef int (*old_stat_fn)(int version, const char *path, void *buf);
typedef int (*access_fn)(const char *path, int mode);
typedef ssize_t (*readlink_fn)(const char *path, char *buf, size_t n);
typedef int (*open_fn)(const char *path, int flags, ...);

#define NEXT(type, name)       \
	static void *known;    \
	union {                \
		void *object;  \
		type function; \
	} behind = { NULL };   \
	if (!table)            \
	behind.object = next(&known, name)

#define BY_PATH(name, what, flags)                                                   \
	EXPORTED int name(const char *path, void *buf)                               \
	{                                                                            \
		NEXT(stat_fn, #name);                                                \
		if (behind.object)                                                   \
			return behind.function(path, buf);                           \
		return (int)ask(what, SYS_newfstatat, path, (long)buf, (long)flags); \
	}
/* Before glibc 2.33, with a version that says nothing any more. */
#define OLD_BY_PATH(name, what, flags)                                               \
	EXPORTED int name(int version, const char *path, void *buf)                  \
	{                                                                            \
		NEXT(old_stat_fn, #name);                                            \
		if (behind.object)                                                   \
			return behind.function(version, path, buf);                  \
		return (int)ask(what, SYS_newfstatat, path, (long)buf, (long)flags); \
	}

BY_PATH(stat, 's', 0)
BY_PATH(stat64, 's', 0)
BY_PATH(lstat, 'l', AT_SYMLINK_NOFOLLOW)
BY_PATH(lstat64, 'l', AT_SYMLINK_NOFOLLOW)
OLD_BY_PATH(__xstat, 's', 0)
OLD_BY_PATH(__xstat64, 's', 0)
OLD_BY_PATH(__lxstat, 'l', AT_SYMLINK_NOFOLLOW)
OLD_BY_PATH(__lxstat64, 'l', AT_SYMLINK_NOFOLLOW)

EXPORTED int
access(const char *path, int mode)
{
	NEXT(access_fn, "access");
	if (behind.object)
		return behind.function(path, mode);
	return (int)ask('a', SYS_faccessat, path, mode, 0);
}

EXPORTED ssize_t
readlink(const char *restrict path, char *restrict buf, size_t n)
{
	NEXT(readlink_fn, "readlink");
	if (behind.object)
		return behind.function(path, buf, n);
	return ask('r', SYS_readlinkat, path, (long)buf, (long)n);
}
#pragma GCC diagnostic pop

/* Libraries behind this one, and a thread's end while it waits, are as without: what is not known
 * to be seen is opened by libc. */
static int
open_by(open_fn behind, const char *path, int flags, unsigned mode)
{
	bool known = false, reads = (flags & O_ACCMODE) == O_RDONLY &&
				    !(flags & (O_CREAT | O_TRUNC | O_DIRECTORY | O_PATH));
	uint64_t h = reads ? begin('o', path, &known) : 0;
	int r;

	if (known)
		return (int)passed(SYS_openat, AT_FDCWD, path, flags, 0);
	r = behind ? behind(path, flags, mode)
		   : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	if (h && (r >= 0 || errno != EINTR))
		put(h);
	return r;
}

#define OPEN(name)                                                  \
	EXPORTED int name(const char *path, int flags, ...)         \
	{                                                           \
		static void *known;                                 \
		union {                                             \
			void *object;                               \
			open_fn function;                           \
		} behind = { next(&known, #name) };                 \
		unsigned mode = 0;                                  \
		va_list ap;                                         \
                                                                    \
		if (flags & (O_CREAT | O_TMPFILE)) {                \
			va_start(ap, flags);                        \
			mode = va_arg(ap, unsigned);                \
			va_end(ap);                                 \
		}                                                   \
		return open_by(behind.function, path, flags, mode); \
	}

OPEN(open)
OPEN(open64)

#else

void
asked_loaded(const char *path, const char *dirs, const char *preload)
{
	(void)path;
	(void)dirs;
	(void)preload;
}

bool
asked_has_loaded(const char *path, const char *dirs, const char *preload)
{
	(void)path;
	(void)dirs;
	(void)preload;
	return false;
}

bool
asked_can_run(const char *path)
{
	(void)path;
	return false;
}

int
asked_open(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

void
asked_search(const char *name, const char *path, const char *dirs)
{
	(void)name;
	(void)path;
	(void)dirs;
}

bool
asked_has_searched(const char *name, const char *path, const char *dirs)
{
	(void)name;
	(void)path;
	(void)dirs;
	return false;
}

long
env_readlink(bool own, int fd, const char *path, char *buf, size_t n)
{
	(void)own;
	return readlinkat(fd, path, buf, n);
}

#endif
