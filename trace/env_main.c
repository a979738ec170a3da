/* dray-env.so: stands in front of getenv in a compile, and reports each name that is asked for.
 * (env_realpath.c, beside it, saves the tracer questions.)
 *
 * A report is the opening of a name below a descriptor that nobody has (trace/paths.h), m/NAME for
 * a macro or r/NAME for the toolchain itself: the tracer sees it like every other path, so nothing
 * that runs there holds a channel it could write to. Names the toolchain reads in every
 * compile, and that cannot change a result, are not reported when it is the toolchain that asks. A
 * name is reported once (or a few times: the table of what was reported is small and never blocks).
 *
 * It takes itself out of LD_PRELOAD, where it must come first, once the program is the compiler:
 * only there does it say that it was loaded. libc only; async-signal-safe, no allocation: it runs
 * inside programs that it knows nothing of. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace/env_priv.h"
#include "trace/paths.h"

#define NAME_MAX_BYTES 256
#define SEEN 1024 /* a power of two */

extern char **environ;

char *getenv(const char *name);
char *secure_getenv(const char *name);

/* What rustc, LLVM and their allocator ask for by themselves, in every compile; a '*' at the end
 * stands for anything. A worker sets its own PATH and jobserver; the rest only changes what is
 * logged, where temporaries are, or how wide a terminal is. FAKE* are what fakeroot's library asks
 * for: where its server is, another place in each run. */
static const char *const harmless[] = { "CARGO_MAKEFLAGS", "CI", "CLICOLOR", "CLICOLOR_FORCE",
	"COLORTERM", "COLUMNS", "FAKED_*", "FAKEROOT*", "GITHUB_ACTIONS", "GLIBC_TUNABLES", "HOME",
	"INSIDE_EMACS", "JEMALLOC_*", "LANG", "LC_*", "LINES", "LLVM_*", "MAKEFLAGS", "MALLOC_*",
	"MFLAGS", "NO_COLOR", "PATH", "PWD", "RAYON_*", "RUST_BACKTRACE", "RUST_LIB_BACKTRACE",
	"RUST_MIN_STACK", "RUSTC_ICE", "RUSTC_LOG*", "RUSTC_GRAPHVIZ_FONT", "TEMP", "TERM",
	"TERM_PROGRAM", "TF_BUILD", "TMP", "TMPDIR", "VTE_VERSION", "WT_SESSION",
	"_RJEM_MALLOC_CONF" };

static uint32_t seen[SEEN];

static bool
is_harmless(const char *name)
{
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
		size_t n = strlen(harmless[i]);

		if (harmless[i][n - 1] == '*' ? strncmp(harmless[i], name, n - 1) == 0
					      : strcmp(harmless[i], name) == 0)
			return true;
	}
	return false;
}

/* Whether it was reported before. FNV-1a; a collision in the table only costs another report. */
static bool
is_seen(const char *name, char class)
{
	uint32_t h = 2166136261u ^ (unsigned char)class;
	uint32_t *slot;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	h |= 1;
	slot = &seen[(h >> 8) & (SEEN - 1)];
	if (__atomic_load_n(slot, __ATOMIC_RELAXED) == h)
		return true;
	__atomic_store_n(slot, h, __ATOMIC_RELAXED);
	return false;
}

static void
say(const char *what)
{
	int saved = errno;

	openat(TRACE_SAID_FD, what, O_RDONLY | O_CLOEXEC);
	errno = saved;
}

static void
report(const char *name, const void *pc)
{
	char path[sizeof(TRACE_ENV_PREFIX) + NAME_MAX_BYTES];
	size_t at = 0, n = strlen(name);
	bool own = env_is_own(pc);

	if (n == 0 || n > NAME_MAX_BYTES || (own && is_harmless(name)) ||
		is_seen(name, own ? TRACE_ENV_TOOLCHAIN : TRACE_ENV_MACRO))
		return;
	path[at++] = own ? TRACE_ENV_TOOLCHAIN : TRACE_ENV_MACRO;
	path[at++] = '/';
	for (size_t i = 0; i <= n; i++) /* a name is no path */
		path[at++] = name[i] == '/' ? '\\' : name[i];
	say(path);
}

static char *
find(const char *name)
{
	size_t n = strlen(name);

	if (!environ || n == 0)
		return NULL;
	for (char **e = environ; *e; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			return *e + n + 1;
	return NULL;
}

char *
getenv(const char *name)
{
	report(name, __builtin_return_address(0));
	return find(name);
}

char *
secure_getenv(const char *name)
{
	report(name, __builtin_return_address(0));
	return find(name);
}

bool
env_keeps_dirs(void)
{
	return true;
}

static int
find_driver(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	return info->dlpi_name && strstr(info->dlpi_name, "librustc_driver") != NULL;
}

static void __attribute__((constructor)) begin(void)
{
	char *preload = find("LD_PRELOAD");
	char *rest = preload ? strchr(preload, ':') : NULL;
	int saved = errno;

	/* What starts the compiler (rustup's proxy, a script) hands us on to it. */
	if (!dl_iterate_phdr(find_driver, NULL))
		return;
	if (rest)
		memmove(preload, rest + 1, strlen(rest));
	else
		unsetenv("LD_PRELOAD");
	env_note_own();
	env_direct(SYS_openat, TRACE_SAID_FD, (long)TRACE_ENV_HELLO, O_RDONLY | O_CLOEXEC, 0, 0, 0);
	errno = saved;
}
