/* Each row was seen with the real program (tests/unit/test_script_programs.c). */
#include "config.h"

#include "trace/asks.h"

#include "trace/drivers.h"

#define ALWAYS 0
#define FORKED 10 /* a process that was forked: since then */

static const struct rule {
	const char *program; /* drivers_plain_name; '*' at its end: anything */
	enum ask ask;
	const char *function; /* NULL: any */
	unsigned first;	      /* so many of them do not count; ALWAYS: none does */
} rules[] = {
	/* the tick of -fprofile-generate; __DATE__ and __TIME__ ask by time() */
	{ "cc1", ASK_CLOCK, "gettimeofday", ALWAYS },
	{ "cc1plus", ASK_CLOCK, "gettimeofday", ALWAYS },
	{ "lto1", ASK_CLOCK, "gettimeofday", ALWAYS },
	/* the name of a section of -flto, which the linker reads and drops */
	{ "cc1", ASK_RANDOM, NULL, ALWAYS },
	{ "cc1plus", ASK_RANDOM, NULL, ALWAYS },
	{ "lto1", ASK_RANDOM, NULL, ALWAYS },
	/* names of temporary files */
	{ "clang*", ASK_RANDOM, NULL, ALWAYS },
	{ "ld.lld", ASK_RANDOM, NULL, ALWAYS },
	{ "lld", ASK_RANDOM, NULL, ALWAYS },
	{ "llvm-*", ASK_RANDOM, NULL, ALWAYS },
	{ "rust-lld", ASK_RANDOM, NULL, ALWAYS },
	/* names of the programs that it compiles to try something */
	{ "cmake", ASK_RANDOM, NULL, ALWAYS },
	/* whether a file is younger than now */
	{ "make", ASK_CLOCK, NULL, ALWAYS },
	{ "gmake", ASK_CLOCK, NULL, ALWAYS },
	{ "ninja", ASK_CLOCK, NULL, ALWAYS },
	/* when it began, for its own trace */
	{ "git", ASK_CLOCK, "gettimeofday", 1 },
	{ "git-sh-i18n--envsubst", ASK_CLOCK, "gettimeofday", 1 },
	/* $^T, and the seed of its hashes */
	{ "perl*", ASK_CLOCK, "time", 1 },
	{ "perl*", ASK_RANDOM, NULL, 2 },
	{ "python*", ASK_CLOCK, "time", 1 },
	/* the seed of rand(), of which its text speaks (program_is_fickle_with) */
	{ "mawk", ASK_CLOCK, "time", 1 },
	/* when it began, to compare files with (the same); with a time that is to come */
	{ "find", ASK_CLOCK, "gettimeofday", 1 },
	{ "patch", ASK_CLOCK, NULL, ALWAYS },
	{ "tar", ASK_CLOCK, "clock_gettime", ALWAYS },
	/* its counts, and how old what it keeps is; script.c looks for __DATE__ */
	{ "ccache", ASK_CLOCK, NULL, ALWAYS },
	{ "ccache", ASK_RANDOM, NULL, ALWAYS },
	/* ncurses: how old its list of terminal databases is */
	{ "clear", ASK_CLOCK, "time", ALWAYS },
	{ "infocmp", ASK_CLOCK, "time", ALWAYS },
	{ "tabs", ASK_CLOCK, "time", ALWAYS },
	{ "tic", ASK_CLOCK, "time", ALWAYS },
	{ "toe", ASK_CLOCK, "time", ALWAYS },
	{ "tput", ASK_CLOCK, "time", ALWAYS },
	/* names of temporary files */
	{ "glib-compile-*", ASK_CLOCK, "gettimeofday", ALWAYS },
	{ "msgfmt", ASK_RANDOM, NULL, ALWAYS },
	/* names of temporary files; when it used what it keeps */
	{ "cargo", ASK_CLOCK, NULL, ALWAYS },
	{ "cargo", ASK_RANDOM, NULL, ALWAYS },
	/* of a nightly: the name of the file that it would write if it crashed */
	{ "rustc", ASK_CLOCK, "clock_gettime", 1 },
	{ "rustdoc", ASK_CLOCK, "clock_gettime", 1 },
	{ "clippy-driver", ASK_CLOCK, "clock_gettime", 1 },
	/* when it began, and the seed of $RANDOM, which every configure names a directory by */
	{ "bash", ASK_CLOCK, "gettimeofday", 3 },
	{ "bash", ASK_CLOCK, "gettimeofday", FORKED + 3 },
	/* whether it believes how many links a directory has */
	{ "find", ASK_UNAME, NULL, ALWAYS },
	/* $HOSTNAME: a text that names it counts (cache/record.c) */
	{ "bash", ASK_UNAME, NULL, 1 },
	/* how many threads they have, and how much memory they take */
	{ "cargo", ASK_CPUS, NULL, ALWAYS },
	{ "dray*", ASK_CPUS, NULL, ALWAYS },
	{ "ninja", ASK_CPUS, NULL, ALWAYS },
	{ "rustc", ASK_CPUS, NULL, ALWAYS },
	{ "rustdoc", ASK_CPUS, NULL, ALWAYS },
	{ "clippy-driver", ASK_CPUS, NULL, ALWAYS },
	{ "sort", ASK_CPUS, NULL, ALWAYS },
	{ "xz", ASK_CPUS, NULL, ALWAYS },
	{ "cargo", ASK_LIMITS, NULL, ALWAYS },
	{ "dray*", ASK_LIMITS, NULL, ALWAYS },
	{ "rustc", ASK_LIMITS, NULL, ALWAYS },
	{ "java", ASK_LIMITS, NULL, ALWAYS },
	{ "javac", ASK_LIMITS, NULL, ALWAYS },
	{ "node", ASK_LIMITS, NULL, ALWAYS },
	{ "rustup", ASK_LIMITS, NULL, ALWAYS },
	{ "sort", ASK_LIMITS, NULL, ALWAYS },
	{ "xz", ASK_LIMITS, NULL, ALWAYS },
};

static bool
matches(const char *pattern, const char *name)
{
	size_t k = strlen(pattern);

	return pattern[k - 1] == '*' ? strncmp(pattern, name, k - 1) == 0 : streq(pattern, name);
}

static bool
is_early(const struct rule *r, unsigned nth, unsigned since_fork)
{
	if (r->first > FORKED)
		return since_fork < nth && since_fork > 0 && since_fork <= r->first - FORKED;
	return r->first == ALWAYS || (nth > 0 && nth <= r->first);
}

bool
asks_count(
	const char *program, enum ask ask, const char *function, unsigned nth, unsigned since_fork)
{
	char name[DRIVERS_NAME_MAX];

	drivers_plain_name(program, name);
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		const struct rule *r = &rules[i];

		if (r->ask == ask && matches(r->program, name) &&
			(!r->function || (function && streq(r->function, function))) &&
			is_early(r, nth, since_fork))
			return false;
	}
	return true;
}

/* openssl-src's mkbuildinf.pl and mkrc.pl do. Its Configure asks for the time all the same, for a
 * line in its Makefile that only the manual's pages use. */
bool
asks_heeds_epoch(const char *program)
{
	static const char *const names[] = { "perl*", "python*" };
	char name[DRIVERS_NAME_MAX];

	drivers_plain_name(program, name);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (matches(names[i], name))
			return true;
	return false;
}
