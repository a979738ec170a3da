/* The part of dray-run.so that stands in front of what starts programs.
 *
 * This library is in LD_PRELOAD. A program may write down all of its variables, and must not find
 * it there: the variable is taken out of its environment, and given to what it starts. What is
 * started in another way (system, popen, a call of its own) has no library; the tracer sees that
 * (script.c).
 *
 * cargo gives a build script an LD_LIBRARY_PATH of four directories or so. The loader looks into
 * each of them, and into a dozen variants of each, whenever a program starts: that is two thirds of
 * what a tree of C compilers asks the tracer. dray starts the script with the variable under
 * another name (TRACE_LIBRARY_PATH_HIDDEN) where these directories have nothing for the loader
 * (client/script/loader.c); here a compiler is started so, too, if it was started before without
 * that and the loader took nothing of them. The name is put back before the program's own code
 * runs.
 *
 * Invariant: a program gets the libraries and the environment that it would have got. So one from
 * which LD_LIBRARY_PATH is hidden is one of the system's that loads nothing later (asked_loads),
 * the value is the script's own, and this library alone is preloaded.
 *
 * Also for the child of a vfork: nothing but the stack is written. */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "trace/preload/env_name.h"
#include "trace/paths.h"
#include "trace/preload/run_priv.h"

/* On the stack: of a larger environment nothing is hidden. */
#define VARS_MAX 1024
#define VALUE_MAX 8192

extern char **environ;

/* What libc has under the names that are taken here. */
static struct {
	int (*execve)(const char *, char *const *, char *const *);
	int (*execvpe)(const char *, char *const *, char *const *);
	int (*spawn)(pid_t *, const char *, const posix_spawn_file_actions_t *,
		const posix_spawnattr_t *, char *const *, char *const *);
	int (*spawnp)(pid_t *, const char *, const posix_spawn_file_actions_t *,
		const posix_spawnattr_t *, char *const *, char *const *);
	int (*addchdir)(posix_spawn_file_actions_t *, const char *);
} libc;

/* Where a program is to be started, which it may have a path from. */
static __thread struct {
	const posix_spawn_file_actions_t *actions;
	char dir[PATH_MAX];
} there;

static const char hidden[] = TRACE_LIBRARY_PATH_HIDDEN, variable[] = TRACE_LIBRARY_PATH;
static const char preload_is[] = "LD_PRELOAD=";
/* What was in the environment, LD_PRELOAD=…, and what is there in its place: the user's, or "". */
static char taken[VALUE_MAX], users[VALUE_MAX];

/* The number of the variable; -1: it is not there. */
static ptrdiff_t
find(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (ptrdiff_t i = 0; envp && envp[i]; i++)
		if (strncmp(envp[i], name, n) == 0)
			return i;
	return -1;
}

static void
find_libc(void)
{
	*(void **)&libc.execvpe = dlsym(RTLD_NEXT, "execvpe");
	*(void **)&libc.spawn = dlsym(RTLD_NEXT, "posix_spawn");
	*(void **)&libc.spawnp = dlsym(RTLD_NEXT, "posix_spawnp");
	*(void **)&libc.execve = dlsym(RTLD_NEXT, "execve");
	*(void **)&libc.addchdir = dlsym(RTLD_NEXT, "posix_spawn_file_actions_addchdir_np");
}

/* ---- at a program's start */

static bool
is_below_any(const char *path, const char *dirs)
{
	while (*dirs) {
		size_t n = strcspn(dirs, ":");

		if (n > 0 && strncmp(path, dirs, n) == 0 && path[n] == '/')
			return true;
		dirs += n + (dirs[n] != '\0');
	}
	return false;
}

/* The program itself, and what the kernel maps, have no name. */
static int
is_taken(struct dl_phdr_info *info, size_t size, void *dirs)
{
	const char *name = info->dlpi_name;

	(void)size;
	return strchr(name, '/') && (*name != '/' || is_below_any(name, dirs));
}

/* Not from dray, which asks for it. */
static void
take_preload(const char *path)
{
	ptrdiff_t at = find(environ, preload_is);
	const char *name = path ? strrchr(path, '/') : NULL, *rest;
	size_t n;

	n = at < 0 ? 0 : strlen(environ[at]) + 1;
	if (n == 0 || n > sizeof(taken) || (name && strncmp(name, "/dray", strlen("/dray")) == 0))
		return;
	memcpy(taken, environ[at], n);
	rest = strpbrk(taken, ": ");
	if (rest) {
		memcpy(users, preload_is, strlen(preload_is));
		memcpy(users + strlen(preload_is), rest + 1, strlen(rest + 1) + 1);
		environ[at] = users;
		return;
	}
	for (char **v = environ + at; *v; v++)
		*v = v[1];
}

static void
look_at_libraries(const char *path, bool is_first)
{
	ptrdiff_t at = find(environ, hidden);
	const char *preload = env_find("LD_PRELOAD");
	char *dirs;

	if (at >= 0)
		memcpy(environ[at], variable, strlen(variable));
	dirs = env_find("LD_LIBRARY_PATH");
	if (!dirs || !preload || strpbrk(preload, ": "))
		return;
	if (is_first && at >= 0)
		asked_first(dirs);
	/* the second name is the interpreter's of a script with "#!" */
	else if (path && at < 0 && asked_loads(path) && asked_loads(program_invocation_name) &&
		 dl_iterate_phdr(is_taken, dirs) == 0)
		asked_loaded(path, dirs, preload);
}

void
spawn_begin(const char *path, bool is_first)
{
	find_libc();
	fits_begin();
	map_begin(path);
	look_at_libraries(path, is_first);
	take_preload(path);
}

/* ---- where one is started */

enum how { BY_PATH, BY_NAME, SPAWN_BY_PATH, SPAWN_BY_NAME };

struct start {
	enum how how;
	const char *name;
	char *const *argv;
	pid_t *pid;
	const posix_spawn_file_actions_t *actions;
	const posix_spawnattr_t *attributes;
};

static bool
is_by_name(const struct start *s)
{
	return (s->how == BY_NAME || s->how == SPAWN_BY_NAME) && s->name && !strchr(s->name, '/');
}

/* The file that libc would run; NULL: it is not known. */
static const char *
find_file(const char *name, const char *dirs, char found[PATH_MAX])
{
	size_t k = strlen(name);

	while (dirs && *dirs) {
		size_t n = strcspn(dirs, ":");

		if (n == 0 || *dirs != '/' || n + k + 2 > PATH_MAX)
			return NULL;
		memcpy(found, dirs, n);
		found[n] = '/';
		memcpy(found + n + 1, name, k + 1);
		if (asked_can_run(found))
			return found;
		dirs += n + (dirs[n] != '\0');
	}
	return NULL;
}

/* The same of any start. */
static const char *
find_path(const struct start *s, char found[PATH_MAX])
{
	size_t n, k;

	if (is_by_name(s))
		return find_file(s->name, env_find("PATH"), found);
	if (!s->name || *s->name == '/' || !s->actions || s->actions != there.actions)
		return s->name;
	n = strlen(there.dir);
	k = strlen(s->name);
	if (n + k + 2 > PATH_MAX)
		return NULL;
	memcpy(found, there.dir, n);
	found[n] = '/';
	memcpy(found + n + 1, s->name, k + 1);
	return found;
}

/* Where a program is found by its name, the directories before it need not be told again, either:
 * the tracer has seen that they were tried, and they still have none. */
static void
take_file(struct start *s, const char *path, const char *dirs)
{
	if (!asked_has_searched(s->name, path, dirs)) {
		asked_search(s->name, path, dirs);
		return;
	}
	s->name = path;
	s->how = s->how == BY_NAME ? BY_PATH : SPAWN_BY_PATH;
}

/* The number of the variable, if the program need not look into its directories; -1. */
static ptrdiff_t
may_hide(struct start *s, char *const *envp, const char *path)
{
	const char *dirs = env_find("PATH");
	bool by_name = is_by_name(s);
	ptrdiff_t at, preload;

	if (!path || !asked_loads(s->name))
		return -1;
	at = find(envp, variable);
	preload = find(envp, preload_is);
	if (at < 0 || (preload < 0 && !*taken) || find(envp, hidden) >= 0 ||
		find(envp + at + 1, variable) >= 0)
		return -1;
	if (!asked_has_loaded(path, envp[at] + strlen(variable),
		    (preload < 0 ? taken : envp[preload]) + strlen(preload_is)))
		return -1;
	if (by_name)
		take_file(s, path, dirs);
	return at;
}

static int
run(const struct start *s, char *const *envp)
{
	switch (s->how) {
	case BY_PATH:
		return libc.execve(s->name, s->argv, envp);
	case BY_NAME:
		return libc.execvpe(s->name, s->argv, envp);
	case SPAWN_BY_PATH:
		return libc.spawn(s->pid, s->name, s->actions, s->attributes, s->argv, envp);
	default:
		return libc.spawnp(s->pid, s->name, s->actions, s->attributes, s->argv, envp);
	}
}

/* n: the variables; at: the number of the one to be hidden, or -1; size: of that. */
static int
run_changed(const struct start *s, char *const *envp, ptrdiff_t at, size_t n, size_t size)
{
	char *with[VARS_MAX];
	char text[VALUE_MAX];
	char *map = *taken ? map_variable() : NULL;
	ptrdiff_t preload;

	if (n > 0)
		memcpy(with, envp, n * sizeof(*with));
	if (at >= 0) {
		memcpy(text, envp[at], size);
		memcpy(text, hidden, strlen(hidden));
		with[at] = text;
	}
	preload = find(envp, preload_is);
	if (*users && preload >= 0 && strcmp(with[preload], users) == 0)
		with[preload] = taken;
	else if (*taken && !*users && preload < 0)
		with[n++] = taken;
	if (map)
		with[n++] = map;
	with[n] = NULL;
	return run(s, with);
}

static int
hand_on(struct start *s, char *const *envp, const char *path)
{
	int saved = errno;
	ptrdiff_t at = may_hide(s, envp, path);
	size_t n = 0, size;

	errno = saved;
	while (envp && envp[n])
		n++;
	size = at < 0 ? 0 : strlen(envp[at]) + 1;
	if ((at < 0 && !*taken) || n + 3 > VARS_MAX || size > VALUE_MAX)
		return run(s, envp);
	return run_changed(s, envp, at, n, size);
}

/* On its own: a thread that starts other programs may have a small stack. */
static __attribute__((noinline)) int
hand_on_mapped(struct start *s, char *const *envp, const char *path, size_t n)
{
	char *args[MAP_ARGS_MAX];

	map_args(s->argv, n, args);
	s->argv = args;
	return hand_on(s, envp, path);
}

static int
start(struct start s, char *const *envp)
{
	char found[PATH_MAX];
	const char *path;
	int saved = errno;
	size_t n;

	if (!libc.execve)
		find_libc();
	path = find_path(&s, found);
	if (path && !fits(path)) {
		errno = saved;
		return run(&s, envp);
	}
	errno = saved;
	return map_suits(path, s.argv, &n) ? hand_on_mapped(&s, envp, path, n)
					   : hand_on(&s, envp, path);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wmissing-declarations"

EXPORTED int
execve(const char *path, char *const *argv, char *const *envp)
{
	return start((struct start){ .how = BY_PATH, .name = path, .argv = argv }, envp);
}

EXPORTED int
execv(const char *path, char *const *argv)
{
	return start((struct start){ .how = BY_PATH, .name = path, .argv = argv }, environ);
}

EXPORTED int
execvpe(const char *name, char *const *argv, char *const *envp)
{
	return start((struct start){ .how = BY_NAME, .name = name, .argv = argv }, envp);
}

EXPORTED int
execvp(const char *name, char *const *argv)
{
	return start((struct start){ .how = BY_NAME, .name = name, .argv = argv }, environ);
}

/* The arguments up to NULL. */
static int
take_args(char *argv[RUN_ARGS_MAX], const char *first, va_list *list)
{
	const char *arg = first;

	for (size_t n = 0; n < RUN_ARGS_MAX; n++) {
		memcpy(argv + n, &arg, sizeof(arg));
		if (n > 0 && !arg)
			return 0;
		arg = va_arg(*list, const char *);
	}
	errno = E2BIG;
	return -1;
}

EXPORTED int
execl(const char *path, const char *first, ...)
{
	char *argv[RUN_ARGS_MAX];
	va_list list;
	int r;

	va_start(list, first);
	r = take_args(argv, first, &list);
	va_end(list);
	return r < 0 ? r : execv(path, argv);
}

EXPORTED int
execlp(const char *name, const char *first, ...)
{
	char *argv[RUN_ARGS_MAX];
	va_list list;
	int r;

	va_start(list, first);
	r = take_args(argv, first, &list);
	va_end(list);
	return r < 0 ? r : execvp(name, argv);
}

EXPORTED int
execle(const char *path, const char *first, ...)
{
	char *const *envp = NULL;
	char *argv[RUN_ARGS_MAX];
	va_list list;
	int r;

	va_start(list, first);
	r = take_args(argv, first, &list);
	if (r == 0)
		envp = va_arg(list, char *const *);
	va_end(list);
	return r < 0 ? r : execve(path, argv, envp);
}

EXPORTED int
posix_spawn_file_actions_addchdir_np(
	posix_spawn_file_actions_t *restrict actions, const char *restrict dir)
{
	size_t n = strlen(dir);
	int r;

	if (!libc.addchdir)
		find_libc();
	r = libc.addchdir ? libc.addchdir(actions, dir) : ENOSYS;
	there.actions = NULL;
	if (r == 0 && n < sizeof(there.dir)) {
		memcpy(there.dir, dir, n + 1);
		there.actions = actions;
	}
	return r;
}

EXPORTED int
posix_spawn(pid_t *restrict pid, const char *restrict path,
	const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *restrict attributes,
	char *const *restrict argv, char *const *restrict envp)
{
	return start((struct start){ SPAWN_BY_PATH, path, argv, pid, actions, attributes }, envp);
}

EXPORTED int
posix_spawnp(pid_t *restrict pid, const char *restrict name,
	const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *restrict attributes,
	char *const *restrict argv, char *const *restrict envp)
{
	return start((struct start){ SPAWN_BY_NAME, name, argv, pid, actions, attributes }, envp);
}
#pragma GCC diagnostic pop
