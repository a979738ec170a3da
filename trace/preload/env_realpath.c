/* Part of dray-env.so and dray-run.so: stands in front of realpath. The compiler asks for the real
 * path of each file, each directory of -L and each extern, and libc then asks the kernel for every
 * directory above it, the same ones hundreds of times (a C compiler does so for each header); under
 * the tracer each question is a message. Here a directory that was found to be its own real path is
 * not asked about again: one question a path is left, for its last name.
 *
 * Invariant: what is answered here is what libc would answer, as long as nobody replaces one of
 * these directories by a symbolic link while the compile runs. What a macro was answered is said.
 * What has a symbolic link in it is libc's, and so are all errors but ENOENT. libc only; it
 * allocates only the result. */
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
#include "trace/preload/say.h"

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

/* ---- the walk */

/* As far as it has come: `at` has no link in it, and no slash at its end but the root's. */
struct walk {
	char at[PATH_MAX + sizeof("/.")];
	size_t n;
};

/* Whether it is there, and is no symbolic link; errno says why not. */
static bool
is_no_link(const char *path)
{
	char link;

	errno = 0; /* it is a link */
	return env_readlink(true, AT_FDCWD, path, &link, 1) < 0 && errno == EINVAL;
}

/* The same of what the walk has come to, which has to be a directory. */
static bool
is_dir(struct walk *w)
{
	bool is;

	memcpy(w->at + w->n, "/.", sizeof("/."));
	is = is_no_link(w->at);
	w->at[w->n] = '\0';
	return is;
}

static const char *
skip_slashes(const char *p)
{
	return p + strspn(p, "/");
}

/* Whether libc asks that what comes before is a directory: a slash at the end, "/." there, or
 * "/..".
 */
static bool
wants_dir(const char *rest)
{
	while (*rest == '/') {
		rest = skip_slashes(rest);
		if (!*rest)
			return true;
		if (*rest++ != '.')
			return false;
		if (!*rest || (*rest == '.' && (!rest[1] || rest[1] == '/')))
			return true;
	}
	return false;
}

/* Whether no name follows that would be asked about. */
static bool
is_end(const char *rest)
{
	while (*(rest = skip_slashes(rest))) {
		size_t n = strcspn(rest, "/");

		if (n > 2 || strncmp(rest, "..", n) != 0)
			return false;
		rest += n;
	}
	return true;
}

/* One more name; `rest` is what follows it. A directory is asked about once: it is one where
 * something was looked for in it. 1: go on; 0: it is not there; -1: it is for libc. */
static int
enter(struct walk *w, const char *name, size_t n, const char *rest)
{
	size_t above = w->n;

	if (above + 1 + n >= PATH_MAX)
		return -1;
	if (above > 1)
		w->at[w->n++] = '/';
	memcpy(w->at + w->n, name, n);
	w->n += n;
	w->at[w->n] = '\0';
	/* it may have been removed since then: of what is below the kernel says so */
	if (*rest && has_dir(w->at, w->n))
		return !is_end(rest) || is_dir(w) ? 1 : -1;
	if (!is_no_link(w->at) && errno != ENOENT)
		return -1;
	if (above > 1)
		keep_dir(w->at, above);
	if (errno == EINVAL && wants_dir(rest) && is_dir(w))
		keep_dir(w->at, w->n);
	return errno == EINVAL ? 1 : errno == ENOENT ? 0 : -1;
}

static void
leave(struct walk *w)
{
	while (w->n > 1 && w->at[--w->n] != '/')
		;
	w->at[w->n] = '\0';
}

/* The kernel says the directory without a link. */
static bool
begin(struct walk *w, const char *path)
{
	if (*path == '/')
		memcpy(w->at, "/", sizeof("/"));
	else if (!getcwd(w->at, PATH_MAX) || *w->at != '/')
		return false;
	w->n = strlen(w->at);
	return true;
}

/* As enter(), of a whole path. */
static int
walk(struct walk *w, const char *path)
{
	int r = begin(w, path) ? 1 : -1;

	while (r > 0 && *(path = skip_slashes(path))) {
		size_t n = strcspn(path, "/");

		if (n == 2 && memcmp(path, "..", 2) == 0)
			leave(w);
		else if (n != 1 || *path != '.')
			r = enter(w, path, n, path + n);
		path += n;
	}
	return r;
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
	int saved = errno, r = -1;
	struct walk w;

	if (!libc) {
		errno = ENOSYS;
		return NULL;
	}
	if (env_keeps_dirs() && path && *path && strlen(path) < PATH_MAX)
		r = walk(&w, path);
	if (r < 0)
		return by_libc(libc, path, resolved);
	/* libc says up to where it came */
	if (resolved)
		memcpy(resolved, w.at, w.n + 1);
	errno = r ? saved : ENOENT;
	if (!r)
		return NULL;
	return resolved ? resolved : strdup(w.at);
}

/* The compiler makes nothing of it that a link in its way would change; a macro may. */
static void
say_real(const char *real)
{
	char said[sizeof(TRACE_REAL_PREFIX) + PATH_MAX];

	memcpy(said, TRACE_REAL_PREFIX, strlen(TRACE_REAL_PREFIX));
	memcpy(said + strlen(TRACE_REAL_PREFIX), real, strlen(real) + 1);
	trace_say(said);
}

char *
realpath(const char *restrict path, char *restrict resolved)
{
	char *real = find_real(path, resolved);

	if (real && strlen(real) < PATH_MAX && !env_is_own(__builtin_return_address(0)))
		say_real(real);
	return real;
}
