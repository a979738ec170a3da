/* Part of dray-env.so and dray-run.so: stands in front of realpath. The compiler asks for the real
 * path of each file, each directory of -L and each extern, and libc then asks the kernel for every
 * directory above it, the same ones hundreds of times (a C compiler does so for each header); under
 * the tracer each question is a message. Here a directory that was found to be its own real path is
 * not asked about again: one question a path is left, for its last name.
 *
 * Invariant: what is answered here is what libc would answer, as long as nobody replaces one of
 * these directories by a symbolic link while the compile runs. What a macro was answered is said.
 * Everything but the plain case is libc's: relative paths, "." and "..", double slashes, symbolic
 * links, errors but ENOENT. libc only; it allocates only the result. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trace/preload/env_priv.h"
#include "trace/paths.h"

#define DIRS_BYTES 32768
#define SLOTS 1024 /* a power of two */

__attribute__((visibility("default"))) char *realpath(
	const char *restrict path, char *restrict resolved);

typedef char *(*realpath_fn)(const char *restrict path, char *restrict resolved);

/* Directories that are their own real paths, one after the other, each ended by a NUL; and where
 * each begins, plus one, by its hash. Both are only added to, by one thread at a time, and read by
 * any. This is not common/table.h: the library lives in the compiler's process, where it may not
 * allocate and has nothing but libc. */
static char dirs[DIRS_BYTES];
static uint32_t slots[SLOTS];
static size_t dirs_used, n_dirs;
static bool dirs_busy;

/* FNV-1a */
static size_t
hash(const char *dir, size_t n)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)dir[i]) * 16777619u;
	return h ^ (h >> 16);
}

/* Its slot: its own, or the free one where it would be put. */
static uint32_t *
slot_of(const char *dir, size_t n)
{
	for (size_t i = hash(dir, n);; i++) {
		uint32_t *slot = &slots[i & (SLOTS - 1)];
		uint32_t at = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

		if (at == 0 || (strncmp(dirs + at - 1, dir, n) == 0 && dirs[at - 1 + n] == '\0'))
			return slot;
	}
}

static bool
has_dir(const char *dir, size_t n)
{
	return __atomic_load_n(slot_of(dir, n), __ATOMIC_ACQUIRE) != 0;
}

/* Never blocks: while another thread adds one, this one is not kept. Half of the slots stay free.
 */
static void
keep_dir(const char *dir, size_t n)
{
	uint32_t *slot;

	if (__atomic_test_and_set(&dirs_busy, __ATOMIC_ACQUIRE))
		return;
	slot = slot_of(dir, n);
	if (*slot == 0 && n_dirs < SLOTS / 2 && dirs_used + n + 1 <= sizeof(dirs)) {
		memcpy(dirs + dirs_used, dir, n);
		dirs[dirs_used + n] = '\0';
		__atomic_store_n(slot, (uint32_t)dirs_used + 1, __ATOMIC_RELEASE);
		dirs_used += n + 1;
		n_dirs++;
	}
	__atomic_clear(&dirs_busy, __ATOMIC_RELEASE);
}

/* An absolute path without "//", "." and "..", and without a slash at its end. */
static bool
is_plain(const char *path)
{
	if (*path != '/')
		return false;
	while (*path) {
		size_t n = strcspn(++path, "/");

		if (n == 0 || (path[0] == '.' && (n == 1 || (n == 2 && path[1] == '.'))))
			return false;
		path += n;
	}
	return true;
}

static realpath_fn
libc_realpath(void)
{
	static void *found;
	union {
		void *object;
		realpath_fn function;
	} u = { __atomic_load_n(&found, __ATOMIC_RELAXED) };

	if (!u.object) {
		/* not the oldest one, which takes no NULL */
		u.object = dlvsym(RTLD_NEXT, "realpath", "GLIBC_2.3");
		if (!u.object)
			u.object = dlsym(RTLD_NEXT, "realpath");
		__atomic_store_n(&found, u.object, __ATOMIC_RELAXED);
	}
	return u.function;
}

/* Whether the first n bytes of path, which is plain, name what is there and is no symbolic link;
 * errno says why not. */
static bool
is_no_link(const char *path, size_t n)
{
	char name[PATH_MAX], link;

	memcpy(name, path, n);
	name[n] = '\0';
	errno = 0; /* it is a link */
	return env_readlink(true, AT_FDCWD, name, &link, 1) < 0 && errno == EINVAL;
}

/* Whether the directory that the first n bytes of a plain path name is its own real path. Each
 * above it is asked about once. *ret_absent: how many bytes name the first one that is not there;
 * 0: it is not that. */
static bool
is_real_dir(const char *path, size_t n, size_t *ret_absent)
{
	size_t known = n;

	while (known > 0 && !has_dir(path, known))
		while (path[--known] != '/')
			;
	while (known < n) {
		known += 1 + strcspn(path + known + 1, "/");
		if (!is_no_link(path, known)) {
			*ret_absent = errno == ENOENT ? known : 0;
			return false;
		}
		keep_dir(path, known);
	}
	return true;
}

/* libc says up to where it came. */
static char *
say_absent(const char *restrict path, size_t n, char *restrict resolved)
{
	if (resolved) {
		memcpy(resolved, path, n);
		resolved[n] = '\0';
	}
	errno = ENOENT;
	return NULL;
}

/* Where nothing else is linked in: trace/preload/run_asked.c has the others. */
__attribute__((weak)) bool
env_knows_real(const char *path, char *ret)
{
	(void)path;
	(void)ret;
	return false;
}

__attribute__((weak)) void
env_note_real(const char *path)
{
	(void)path;
}

/* In a build script's tree what was asked once is known to the tracer. */
static char *
by_libc(realpath_fn libc, const char *restrict path, char *restrict resolved)
{
	char known[PATH_MAX], *real;

	if (path && env_knows_real(path, known))
		return resolved ? memcpy(resolved, known, strlen(known) + 1) : strdup(known);
	real = libc(path, resolved);
	if (real)
		env_note_real(path);
	return real;
}

static char *
find_real(const char *restrict path, char *restrict resolved)
{
	realpath_fn libc = libc_realpath();
	const char *last = path ? strrchr(path, '/') : NULL;
	size_t n = path ? strlen(path) : 0, absent = 0;
	int saved = errno;

	if (!libc) {
		errno = ENOSYS;
		return NULL;
	}
	if (!env_keeps_dirs() || !last || n >= PATH_MAX || !is_plain(path))
		return by_libc(libc, path, resolved);
	if (is_real_dir(path, (size_t)(last - path), &absent)) {
		if (is_no_link(path, n)) {
			errno = saved;
			return resolved ? memcpy(resolved, path, n + 1) : strdup(path);
		}
		absent = errno == ENOENT ? n : 0;
	}
	return absent ? say_absent(path, absent, resolved) : by_libc(libc, path, resolved);
}

/* The compiler makes nothing of it that a link in its way would change; a macro may. */
static void
say_real(const char *real)
{
	char said[sizeof(TRACE_REAL_PREFIX) + PATH_MAX];
	int saved = errno;

	memcpy(said, TRACE_REAL_PREFIX, strlen(TRACE_REAL_PREFIX));
	memcpy(said + strlen(TRACE_REAL_PREFIX), real, strlen(real) + 1);
	openat(TRACE_SAID_FD, said, O_RDONLY | O_CLOEXEC);
	errno = saved;
}

char *
realpath(const char *restrict path, char *restrict resolved)
{
	char *real = find_real(path, resolved);

	if (real && strlen(real) < PATH_MAX && !env_is_own(__builtin_return_address(0)))
		say_real(real);
	return real;
}
