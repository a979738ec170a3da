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

#include "trace/preload/env_name.h"
#include "trace/preload/env_priv.h"
#include "trace/preload/say.h"

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

void
env_report(const char *name, const void *pc)
{
	char path[ENV_NAME_PATH];
	bool own = env_is_own(pc);

	if (!(own && is_harmless(name)) &&
		env_name_report(name, own ? TRACE_ENV_TOOLCHAIN : TRACE_ENV_MACRO, path))
		trace_say(path);
}

char *
getenv(const char *name)
{
	env_report(name, __builtin_return_address(0));
	return env_find(name);
}

char *
secure_getenv(const char *name)
{
	env_report(name, __builtin_return_address(0));
	return env_find(name);
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
	char *preload = env_find("LD_PRELOAD");
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
	/* as trace_say, by this library's instruction */
	while (env_direct(SYS_openat, TRACE_SAID_FD, (long)TRACE_ENV_HELLO, O_RDONLY | O_CLOEXEC, 0,
		       0, 0) < 0 &&
		errno == EINTR)
		;
	errno = saved;
}
