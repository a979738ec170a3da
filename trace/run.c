/* Programs that a compile runs: their files are inputs like any other, and so is what they read and
 * look for, since they are traced as well.
 *
 * Invariant: a program whose calls, or whose variables, cannot all be accounted for is a doubt, or
 * depends on all of its environment. What no tracer sees is the clock: programs that are there to
 * tell it are known by their names (program_is_fickle). */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/fs.h"
#include "trace/program.h"
#include "trace/texts.h"
#include "trace/script.h"
#include "trace/watch_priv.h"

#define ARGV_MAX (256u * 1024)
#define ENVP_MAX (1024u * 1024)
#define TEXT_MAX (256u * 1024)
#define SCRIPT_DEPTH 5 /* as the kernel's */

/* What is run by a link in /proc, or by its descriptor: where that leads. -errno: to no file. */
static int
resolve(pid_t pid, const char *path, char ret[PATH_MAX])
{
	char link[PATH_MAX + 32];
	ssize_t n;

	if (starts_with(path, "/proc/self/"))
		snprintf(link, sizeof(link), "/proc/%d/%s", (int)pid, path + strlen("/proc/self/"));
	else if (starts_with(path, "/dev/fd/"))
		snprintf(link, sizeof(link), "/proc/%d/fd/%s", (int)pid, path + strlen("/dev/fd/"));
	else
		snprintf(link, sizeof(link), "%s", path);
	n = readlink(link, ret, PATH_MAX - 1);
	if (n < 0)
		return -errno;
	ret[n] = '\0';
	return *ret == '/' && fs_can_run(ret) ? 0 : -ENOENT;
}

static void
found_name(void *arg, const char *name)
{
	struct watch *w = arg;

	trace_set_add(&w->set, TRACE_MACRO_VARS, name, TRACE_ENV_OF_MACRO);
}

static bool
ends_word(char c)
{
	return c == '\0' || c == ' ' || c == '\t' || c == '\n';
}

/* Whether times are compared in the text: by test, by find, or (of a compile) in another language.
 * Of programs that do no such thing a directory's times say nothing: they only look into it. */
static bool
compares_times(const struct watch *w, const char *p, size_t n)
{
	static const char *const tests[] = { "-nt", "-ot" };

	for (size_t i = 0; i < ARRAY_LEN(tests); i++)
		for (const char *at = p; (at = memmem(at, n - (size_t)(at - p), tests[i], 3)); at++)
			if (at > p && ends_word(at[-1]) && (at + 3 == p + n || ends_word(at[3])))
				return true;
	return memmem(p, n, "-newer", strlen("-newer")) ||
	       (!w->script.on && memmem(p, n, "mtime", strlen("mtime")));
}

/* Notes what the text says of what its program asks for: of variables that an environment is
 * otherwise taken without, those that it names. */
static void
take_text(struct watch *w, const struct buf *b)
{
	program_names((const char *)b->p, b->n, found_name, w);
	w->dirs |= b->n > 0 && compares_times(w, (const char *)b->p, b->n);
}

static void
look_for_time(struct watch *w, const char *program, const char *text, size_t n)
{
	bool is_link = streq(path_basename(program), "awk") ||
		       streq(path_basename(program), "nawk");
	_cleanup_(freep) char *real = is_link ? realpath(program, NULL) : NULL;

	if (!w->script.trust && program_is_fickle_with(real ? real : program, text, n))
		watch_doubt(w, "it ran %s so that it says another thing each time", program);
}

/* program: what reads the file; NULL: that does not matter. */
static void
read_names(struct watch *w, const char *program, const char *path)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (fs_read_file(path, TEXT_MAX, &b) < 0)
		return;
	take_text(w, &b);
	if (program)
		look_for_time(w, program, (const char *)b.p, b.n);
}

/* The same of its arguments (sh -c TEXT), and of the files that these name (python FILE). */
static void
read_arguments(struct watch *w, const struct trace_call *c, const char *program)
{
	_cleanup_(buf_done) struct buf argv = BUF_INIT;
	char path[PATH_MAX + 64];

	if (trace_call_strings(c, c->argv, ARGV_MAX, &argv) < 0)
		return;
	take_text(w, &argv);
	for (size_t i = 0; i < argv.n;) {
		const char *arg = (const char *)argv.p + i;
		size_t n = strlen(arg) + 1;

		if (i > 0)
			look_for_time(w, program, arg, n - 1);
		if (i > 0 && *arg != '-' && n < PATH_MAX && !strchr(arg, '\n')) {
			if (*arg == '/')
				snprintf(path, sizeof(path), "%s", arg);
			else
				snprintf(path, sizeof(path), "/proc/%d/cwd/%s", (int)c->pid, arg);
			read_names(w, program, path);
		}
		i += n;
	}
}

/* Whether the directory is above one of these, or is one. */
static bool
covers_any(const char *dir, const struct strv *dirs)
{
	for (size_t i = 0; i < dirs->n; i++)
		if (path_is_below(dirs->v[i], dir))
			return true;
	return false;
}

/* A directory that the project lies in, too (temporary files on /dev/shm), is no cache: what is
 * read there counts. */
static void
add_caches(struct watch *w, const struct trace_call *c, const char *path)
{
	_cleanup_(buf_done) struct buf env = BUF_INIT;
	_cleanup_(strv_done) struct strv dirs = STRV_INIT;

	if (!program_keeps_cache(path) || trace_call_strings(c, c->envp, ENVP_MAX, &env) < 0 ||
		program_cache_dirs(path, &env, &dirs) < 0)
		return;
	for (size_t i = 0; i < dirs.n; i++)
		if (!strv_has(&w->caches, dirs.v[i]) && !covers_any(dirs.v[i], &w->project) &&
			!covers_any(dirs.v[i], &w->writable) &&
			!covers_any(dirs.v[i], &w->toolchain))
			strv_add(&w->caches, dirs.v[i]);
}

/* The program, and what the kernel opens to run it. *ret: what it is itself. */
static void
look_at(struct watch *w, const char *path, enum program_form *ret)
{
	struct program p = { .form = PROGRAM_NONE };

	*ret = PROGRAM_NONE;
	if (program_read(path, &p) < 0 && p.form == PROGRAM_NONE) {
		/* it may be run without being read */
		watch_doubt(w, "it ran %s, which cannot be read", path);
		return;
	}
	*ret = p.form;
	for (int depth = 0; p.form == PROGRAM_SCRIPT && depth < SCRIPT_DEPTH; depth++) {
		char now[PATH_MAX];

		snprintf(now, sizeof(now), "%s", p.interpreter);
		if (*now != '/') {
			watch_doubt(w, "it ran %s, whose interpreter has no absolute path", path);
			return;
		}
		watch_look(w, now, true);
		if (program_read(now, &p) < 0)
			return;
		if (p.form == PROGRAM_SCRIPT)
			read_names(w, NULL, now);
	}
	if (p.form == PROGRAM_DYNAMIC && *p.interpreter == '/')
		watch_look(w, p.interpreter, true);
	if (p.form == PROGRAM_FOREIGN)
		watch_doubt(w, "it ran %s, whose calls cannot be seen", path);
}

/* A search through PATH tries each of its directories, and most of them have no such program. One
 * that is there and may not be run may be made runnable. */
static void
note_refused(struct watch *w, const char *path)
{
	char item[PATH_MAX + 32];
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	snprintf(item, sizeof(item), PROGRAM_REFUSED " %s", path);
	trace_set_add(&w->set, TRACE_PROGRAMS, item, TRACE_RAN);
}

/* Nothing that is traced gets a program's own rights (no_new_privs): sudo and its like. */
static bool
has_rights(const char *path)
{
	struct statvfs fs;
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || statvfs(path, &fs) < 0 ||
		(fs.f_flag & ST_NOSUID))
		return false;
	if (((st.st_mode & S_ISUID) && st.st_uid != geteuid()) ||
		((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getegid()))
		return true;
	return geteuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0;
}

void
watch_run(struct watch *w, const struct trace_call *c, const char *given)
{
	bool first = !w->ran;
	char real[PATH_MAX], item[PATH_MAX + 32];
	const char *path = given, *class;
	struct program p = { .form = PROGRAM_NONE };
	enum program_form form;

	if (path_is_below(path, "/proc") || path_is_below(path, "/dev/fd")) {
		if (resolve(c->pid, path, real) < 0) {
			watch_doubt(w, "it ran %s", path);
			return;
		}
		path = real;
	}
	watch_look(w, path, true);
	if (!fs_can_run(path)) {
		note_refused(w, path);
		return;
	}
	look_at(w, path, &form);
	if (form == PROGRAM_NONE)
		return;
	if (!w->rights && form != PROGRAM_SCRIPT && has_rights(path))
		w->rights = strdup(path);
	if (w->script.on)
		script_runs(w, c->pid, path, form);
	w->ran = true;
	/* Of the compiler, and of what becomes the compiler (rustup's proxy), dray-env.so reports
	 * each variable. */
	if (!w->linker && !w->env_seen &&
		((first && form == PROGRAM_DYNAMIC) || watch_below_any(path, &w->toolchain))) {
		runtime_loading_begin(&w->loading, c->pid);
		return;
	}
	/* of a script's tree the machine's name is an input, as what uname says (cache/record.c) */
	if (program_is_fickle(path) && !w->script.trust &&
		!(w->script.on && streq(path_basename(path), "hostname")))
		watch_doubt(w, "it ran %s, which says another thing each time", path);
	class = w->script.on ? script_class(w, c, path, form) : watch_class(w, path, form);
	/* where the loader's cache leads is an input of what a macro runs; it changes with each
	 * library that is installed, which a linker's result and a script's do not */
	if (form != PROGRAM_STATIC && (w->script.on || w->linker || streq(class, "linker")))
		runtime_loading_begin(&w->loading, c->pid);
	w->dirs |= !w->script.on && streq(path_basename(path), "ls");
	snprintf(item, sizeof(item), "%s %s", class, path);
	trace_set_add(&w->set, TRACE_PROGRAMS, item, TRACE_RAN);
	if (streq(class, "all")) {
		w->runs_all = true;
		if (!w->script.on && !watch_is_systems(w, path))
			texts_opened(w, path);
		if (form == PROGRAM_SCRIPT && program_read(path, &p) == 0)
			read_names(w, p.interpreter, path);
		read_arguments(w, c, path);
	}
	add_caches(w, c, path);
}
