/* Part of dray-env.so: stands in front of functions of libc that ask for variables themselves. libc
 * calls its own getenv then, which nothing can stand in front of. So each reports the names for a
 * macro that calls it, and goes on to libc's.
 *
 * libc only; async-signal-safe, no allocation. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <locale.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <wordexp.h>

#include "trace/preload/env_priv.h"

#define CALLER __builtin_return_address(0)

/* A function of libc's, found once: `behind` calls it. */
#define BEHIND(type, name, params)             \
	static void *known;                    \
	union {                                \
		void *object;                  \
		type(*function) params;        \
	} behind = { env_next(&known, name) }; \
                                               \
	if (!behind.object)                    \
	errno = ENOSYS

static void
note_zone(const void *pc)
{
	if (!env_is_own(pc))
		env_report("TZ", pc);
}

/* setlocale(3), newlocale(3): "" stands for what the environment says. */
static void
note_locale(const void *pc, const char *locale)
{
	static const char *const names[] = { "LANG", "LANGUAGE", "LC_ADDRESS", "LC_ALL",
		"LC_COLLATE", "LC_CTYPE", "LC_IDENTIFICATION", "LC_MEASUREMENT", "LC_MESSAGES",
		"LC_MONETARY", "LC_NAME", "LC_NUMERIC", "LC_PAPER", "LC_TELEPHONE", "LC_TIME",
		"LOCPATH" };

	if (!locale || *locale || env_is_own(pc))
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		env_report(names[i], pc);
}

/* ---- the time zone */

void
tzset(void)
{
	BEHIND(void, "tzset", (void));
	note_zone(CALLER);
	if (behind.object)
		behind.function();
}

struct tm *
localtime(const time_t *t)
{
	BEHIND(struct tm *, "localtime", (const time_t *));
	note_zone(CALLER);
	return behind.object ? behind.function(t) : NULL;
}

struct tm *
localtime_r(const time_t *restrict t, struct tm *restrict ret)
{
	BEHIND(struct tm *, "localtime_r", (const time_t *, struct tm *));
	note_zone(CALLER);
	return behind.object ? behind.function(t, ret) : NULL;
}

char *
ctime(const time_t *t)
{
	BEHIND(char *, "ctime", (const time_t *));
	note_zone(CALLER);
	return behind.object ? behind.function(t) : NULL;
}

char *
ctime_r(const time_t *restrict t, char *restrict ret)
{
	BEHIND(char *, "ctime_r", (const time_t *, char *));
	note_zone(CALLER);
	return behind.object ? behind.function(t, ret) : NULL;
}

time_t
mktime(struct tm *tm)
{
	BEHIND(time_t, "mktime", (struct tm *));
	note_zone(CALLER);
	return behind.object ? behind.function(tm) : -1;
}

/* Another name of mktime. */
time_t
timelocal(struct tm *tm)
{
	BEHIND(time_t, "mktime", (struct tm *));
	note_zone(CALLER);
	return behind.object ? behind.function(tm) : -1;
}

size_t
strftime(char *restrict to, size_t n, const char *restrict format, const struct tm *restrict tm)
{
	BEHIND(size_t, "strftime", (char *, size_t, const char *, const struct tm *));
	note_zone(CALLER);
	return behind.object ? behind.function(to, n, format, tm) : 0;
}

size_t
strftime_l(char *restrict to, size_t n, const char *restrict format, const struct tm *restrict tm,
	locale_t locale)
{
	BEHIND(size_t, "strftime_l", (char *, size_t, const char *, const struct tm *, locale_t));
	note_zone(CALLER);
	return behind.object ? behind.function(to, n, format, tm, locale) : 0;
}

size_t
wcsftime(wchar_t *restrict to, size_t n, const wchar_t *restrict format,
	const struct tm *restrict tm)
{
	BEHIND(size_t, "wcsftime", (wchar_t *, size_t, const wchar_t *, const struct tm *));
	note_zone(CALLER);
	return behind.object ? behind.function(to, n, format, tm) : 0;
}

/* ---- the locale */

char *
setlocale(int category, const char *locale)
{
	BEHIND(char *, "setlocale", (int, const char *));
	note_locale(CALLER, locale);
	return behind.object ? behind.function(category, locale) : NULL;
}

locale_t
newlocale(int mask, const char *locale, locale_t base)
{
	BEHIND(locale_t, "newlocale", (int, const char *, locale_t));
	note_locale(CALLER, locale);
	return behind.object ? behind.function(mask, locale, base) : (locale_t)0;
}

/* ---- what a shell would make of a text */

/* It takes any variable that the text names: as if all had been read. */
int
wordexp(const char *restrict words, wordexp_t *restrict ret, int flags)
{
	BEHIND(int, "wordexp", (const char *, wordexp_t *, int));
	if (!env_is_own(CALLER)) {
		long fd = env_direct(SYS_openat, AT_FDCWD, (long)"/proc/self/environ",
			O_RDONLY | O_CLOEXEC, 0, 0, 0);

		if (fd >= 0)
			close((int)fd);
	}
	return behind.object ? behind.function(words, ret, flags) : WRDE_NOSPACE;
}

/* "~" is HOME. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wmissing-declarations"
int
glob(const char *restrict pattern, int flags, int (*failed)(const char *, int),
	glob_t *restrict ret)
{
	BEHIND(int, "glob", (const char *, int, int (*)(const char *, int), glob_t *));
	if ((flags & (GLOB_TILDE | GLOB_TILDE_CHECK)) && !env_is_own(CALLER))
		env_report("HOME", CALLER);
	return behind.object ? behind.function(pattern, flags, failed, ret) : GLOB_ABORTED;
}

int
glob64(const char *restrict pattern, int flags, int (*failed)(const char *, int),
	glob64_t *restrict ret)
{
	BEHIND(int, "glob64", (const char *, int, int (*)(const char *, int), glob64_t *));
	if ((flags & (GLOB_TILDE | GLOB_TILDE_CHECK)) && !env_is_own(CALLER))
		env_report("HOME", CALLER);
	return behind.object ? behind.function(pattern, flags, failed, ret) : GLOB_ABORTED;
}
#pragma GCC diagnostic pop
