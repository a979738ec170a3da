/* The part of dray-run.so that tells C compilers how places are to be named in debug information
 * (paths = shared): -fdebug-prefix-map=FROM=TO, which gcc has since 4.3 and clang since 3.8.
 *
 * Debug information alone: __FILE__ keeps what it was, since "#include __FILE__" opens it. Of what
 * else holds a place dray knows by searching what was made (client/script/keep.c).
 *
 * A call that has a map of its own is left as it is: gcc takes the last one that fits, but clang 14
 * the longest. What a compiler cache runs is left alone, and so is what that starts: it would keep
 * the objects under the key of another call.
 *
 * Also for the child of a vfork: nothing but the stack is written. */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "trace/drivers.h"
#include "trace/paths.h"
#include "trace/preload/run_priv.h"

#define OPTION "-fdebug-prefix-map="
#define OPTIONS_MAX 8
#define TEXT_MAX 8192

extern char **environ;

/* The variable as it was found, for what is started; "": there is none, or it is not handed on. */
static char variable[TEXT_MAX];
static char options[TEXT_MAX + OPTIONS_MAX * sizeof(OPTION)];
static char *option[OPTIONS_MAX];
static size_t n_options;

static bool
is_one_of(const char *path, const char *const *names, size_t n)
{
	char name[DRIVERS_NAME_MAX];

	drivers_plain_name(path, name);
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static bool
is_compiler_cache(const char *path)
{
	static const char *const names[] = { "buildcache", "cachepot", "ccache", "distcc", "icecc",
		"sccache" };

	return is_one_of(path, names, sizeof(names) / sizeof(names[0]));
}

static void
make_options(const char *maps)
{
	char *to = options;

	while (*maps && n_options < OPTIONS_MAX) {
		size_t n = strcspn(maps, "\n");

		option[n_options++] = to;
		to = (char *)memcpy(to, OPTION, strlen(OPTION)) + strlen(OPTION);
		to = (char *)memcpy(to, maps, n) + n;
		*to++ = '\0';
		maps += n + (maps[n] != '\0');
	}
}

void
map_begin(const char *path)
{
	char **v = environ;
	size_t n;

	while (v && *v && strncmp(*v, TRACE_PREFIX_MAP, strlen(TRACE_PREFIX_MAP)) != 0)
		v++;
	if (!v || !*v)
		return;
	n = strlen(*v) + 1;
	if (n <= sizeof(variable) && !(path && is_compiler_cache(path)) &&
		!is_compiler_cache(program_invocation_name)) {
		memcpy(variable, *v, n);
		make_options(variable + strlen(TRACE_PREFIX_MAP));
	}
	for (; *v; v++)
		*v = v[1];
}

char *
map_variable(void)
{
	return *variable ? variable : NULL;
}

static bool
is_driver(const char *path)
{
	static const char *const names[] = { "c++", "cc", "clang", "clang++", "g++", "gcc" };

	return is_one_of(path, names, sizeof(names) / sizeof(names[0]));
}

static bool
is_map(const char *word)
{
	static const char file[] = "-ffile-prefix-map=";

	return strncmp(word, OPTION, strlen(OPTION)) == 0 || strncmp(word, file, strlen(file)) == 0;
}

/* Whether the call compiles with debug information, and has no map yet. *n: its words. */
static bool
wants_options(char *const *argv, size_t *n)
{
	bool compiles = false, debug = false, told = false;

	for (*n = 0; argv[*n]; ++*n) {
		const char *word = argv[*n];

		compiles |= strcmp(word, "-c") == 0 || strcmp(word, "-S") == 0;
		if (strncmp(word, "-g", 2) == 0)
			debug = strcmp(word, "-g0") != 0;
		told |= is_map(word);
	}
	/* what clang runs, itself or its assembler, takes this as its first word alone */
	return compiles && debug && !told && strncmp(argv[1], "-cc1", strlen("-cc1")) != 0;
}

bool
map_suits(const char *path, char *const *argv, size_t *n)
{
	return n_options > 0 && path && argv && argv[0] && is_driver(path) &&
	       wants_options(argv, n) && *n + n_options + 1 <= MAP_ARGS_MAX;
}

void
map_args(char *const *argv, size_t n, char *with[MAP_ARGS_MAX])
{
	with[0] = argv[0];
	memcpy(with + 1, option, n_options * sizeof(*with));
	memcpy(with + 1 + n_options, argv + 1, n * sizeof(*with)); /* and the NULL */
}
