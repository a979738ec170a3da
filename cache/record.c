/* Makes inputs of the tracer's record. Invariant: an item is left out only if another input covers
 * it or if it cannot change a result. Any other item that cannot become an input prevents the
 * result from being kept. */
#include "config.h"

#include "cache/record_priv.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cache/variables.h"
#include "common/fs.h"
#include "memo/git_index.h"

/* In a class's place (trace/program.h): there was a file, and it could not be run. */
#define REFUSED "refused "

static int
split_env(const struct recorder *r, const char *name, struct strv *to)
{
	const char *p = variables_get(r->in->place->envp, name);
	int k = 0;

	while (k == 0 && p && *p) {
		size_t n = strcspn(p, ":");

		if (n > 0 && *p == '/') {
			_cleanup_(freep) char *dir = strndup(p, n);

			k = dir ? strv_take(to, path_normalize("/", dir)) : -ENOMEM;
		} else if (n > 0) {
			k = strv_addn(to, p, n);
		}
		p += n + (p[n] == ':');
	}
	return k;
}

static int
add_umask(struct recorder *r)
{
	char mask[8];

	inputs_umask(r->in->place, mask);
	return inputs_add(r->inputs, INPUT_UMASK, "umask", mask, strlen(mask));
}

static int
add_env(struct recorder *r, const char *name)
{
	return inputs_add_env(r->inputs, inputs_env(r->in->place), name);
}

/* The variables that C drivers and linkers use. Their calls of getenv are not reported, so all
 * count (gcc manual, "Environment Variables"; manuals of ld, lld, mold and clang). */
static int
add_linker_env(struct recorder *r)
{
	static const char *const names[] = { "CCC_OVERRIDE_OPTIONS", "CLANG_CONFIG_FILE_SYSTEM_DIR",
		"CLANG_CONFIG_FILE_USER_DIR", "COMPILER_PATH", "GCC_COMPARE_DEBUG",
		"GCC_EXEC_PREFIX", "GCC_ROOT", "GNUTARGET", "LDEMULATION", "LD_RUN_PATH",
		"LIBRARY_PATH", "LLD_REPRODUCE", "LPATH", "MOLD_PATH", "MOLD_REPRO" };
	int k = 0;

	for (size_t i = 0; k == 0 && i < ARRAY_LEN(names); i++)
		k = add_env(r, names[i]);
	/* only the header of a PE file has a time in it */
	return k == 0 && r->in->stamps ? add_env(r, "SOURCE_DATE_EPOCH") : k;
}

/* The same of C compilers that a macro runs (gcc and clang manuals). */
static int
add_compiler_env(struct recorder *r)
{
	static const char *const names[] = { "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH",
		"DEPENDENCIES_OUTPUT", "LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES",
		"OBJC_INCLUDE_PATH", "SDKROOT", "SOURCE_DATE_EPOCH", "SUNPRO_DEPENDENCIES" };
	int k = 0;

	for (size_t i = 0; k == 0 && i < ARRAY_LEN(names); i++)
		k = add_env(r, names[i]);
	return k;
}

/* Adds, for each library that was loaded, where LD_LIBRARY_PATH leads to. The record alone does not
 * say: the loader may not have looked for it by that path. */
static int
add_libraries(struct recorder *r)
{
	const struct strv *own = r->in->libraries;
	int k = 0;

	for (size_t i = 0; k == 0 && own && i < own->n; i++)
		k = strv_add(&r->libraries, own->v[i]);
	strv_sort_unique(&r->libraries);
	for (size_t i = 0; k == 0 && i < r->libraries.n; i++) {
		const char *name = r->libraries.v[i];
		_cleanup_(freep) char *at = NULL;

		k = inputs_find_library(r->in->place, name, &at);
		if (k == 0)
			k = inputs_add(r->inputs, INPUT_LIBRARY, name, at, at ? strlen(at) : 0);
	}
	return k;
}

static int
add_environ(struct recorder *r)
{
	struct digest d;
	bool counts = r->environ && !r->in->run; /* of a run all variables do */
	int k = counts ? inputs_environ(r->in->place->cargo_env, &d) : 0;

	return k < 0 || !counts
		       ? k
		       : inputs_add(r->inputs, INPUT_ENVIRON, "environment", d.b, DIGEST_SIZE);
}

static int
add_variables(struct recorder *r)
{
	int k = strv_add(&r->variables, r->ran || r->in->run ? "loader" : "compile");

	if (k == 0 && r->in->asks_processor)
		k = strv_add(&r->variables, "instructions");
	/* what walks its environment may take any variable of it */
	if (k == 0 && (r->walks || (r->in->run && (r->environ || r->in->walks_environ))))
		k = strv_add(&r->variables, "all");

	strv_sort_unique(&r->variables);
	for (size_t i = 0; k == 0 && i < r->variables.n; i++) {
		struct digest d;

		k = variables_digest(r->variables.v[i], inputs_env(r->in->place), &d);
		if (k == 0)
			k = inputs_add(
				r->inputs, INPUT_VARIABLES, r->variables.v[i], d.b, DIGEST_SIZE);
		else if (k == -ENOENT)
			k = -EBADMSG;
	}
	return k;
}

static int
add_programs(struct recorder *r)
{
	int k = 0;

	strv_sort_unique(&r->programs);
	for (size_t i = 0; k == 0 && i < r->programs.n; i++) {
		_cleanup_(buf_done) struct buf at = BUF_INIT;

		k = inputs_find_program(r->in->place, r->programs.v[i], &at);
		if (k == 0)
			k = inputs_add(r->inputs, INPUT_PROGRAM, r->programs.v[i], at.p, at.n);
	}
	return k;
}

/* Adds the same file by the out-dir's other name. */
static int
add_own_as(struct recorder *r, const char *path, const char *from, const char *to)
{
	if (streq(from, to) || !path_is_below(path, from))
		return 0;
	return strv_addf(&r->own, "%s%s", to, path + strlen(from));
}

static int
collect_own(struct recorder *r, const struct buf *record)
{
	const struct inputs_place *place = r->in->place;
	const char *p = (const char *)record->p, *end = p + record->n;
	int k = 0;

	for (; k == 0 && p < end; p += strlen(p) + 1) {
		if (*p != 'w')
			continue;
		k = strv_add(&r->own, p + 1);
		if (k == 0)
			k = add_own_as(r, p + 1, place->out_dir, place->real_out_dir);
		if (k == 0)
			k = add_own_as(r, p + 1, place->real_out_dir, place->out_dir);
	}
	strv_sort_unique(&r->own);
	return k;
}

static bool
says_user(const char *program)
{
	static const char *const names[] = { "groups", "id", "logname", "whoami" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(program, names[i]))
			return true;
	return false;
}

/* Takes a program that was run, "CLASS PATH". If it was found in PATH, another PATH may lead to
 * another program.
 */
static int
collect_program(struct recorder *r, const char *item)
{
	const char *path = strchr(item, ' ');
	size_t n;
	int k = 0;

	if (!path || path == item)
		return -EBADMSG;
	n = (size_t)(path++ - item);
	if (starts_with(item, REFUSED))
		return record_in_path(r, path) ? strv_add(&r->programs, path_basename(path)) : 0;
	r->ran = true;
	if (n == strlen("linker") && strncmp(item, "linker", n) == 0)
		r->drivers = true;
	else
		k = strv_addn(&r->variables, item, n);
	if (k == 0 &&
		(streq(path_basename(path), "uname") || streq(path_basename(path), "hostname")))
		k = strv_add(&r->variables, "uname");
	if (k == 0 && says_user(path_basename(path)))
		k = strv_add(&r->variables, "user");
	/* in a script's tree the tracer sees who asks, and for what */
	if (k == 0 && !r->in->run &&
		(streq(path_basename(path), "nproc") || streq(path_basename(path), "lscpu")))
		k = strv_add(&r->variables, "cpus");
	return k < 0 || !record_in_path(r, path) ? k : strv_add(&r->programs, path_basename(path));
}

static int
collect_trees(struct recorder *r, const struct buf *record)
{
	static const char index[] = "/.git/index";
	const char *p = (const char *)record->p, *end = p + record->n;
	int k = 0;

	for (; k == 0 && p < end; p += strlen(p) + 1) {
		if (*p != 'f' || !streq(path_basename(p + 1), "index") ||
			!git_index_has_untracked(p + 1))
			continue;
		/* a tree that has its index elsewhere may be anywhere */
		k = ends_with(p, index) ? strv_addn(&r->trees, p + 1, strlen(p + 1) - strlen(index))
					: cannot(r, "git knows by %s what is untracked", p + 1);
	}
	return k;
}

/* Collects what the other items depend on. */
static int
collect_ran(struct recorder *r, const struct buf *record)
{
	const char *p = (const char *)record->p, *end = p + record->n;
	int k = 0;

	r->ran = r->drivers = r->in->linked;
	for (; k == 0 && p < end; p += strlen(p) + 1) {
		if (*p == 'x')
			k = collect_program(r, p + 1);
		else if (*p == 'g')
			k = strv_add(&r->indexes, p + 1);
		else if (*p == 'q')
			k = strv_add(&r->variables, p + 1);
		/* bash sets it by what uname says, where it is not set */
		else if (*p == 'm' && streq(p + 1, "HOSTNAME"))
			k = strv_add(&r->variables, "uname");
		else if (*p == 'f' && record_is_c(p + 1))
			r->compiles = true;
	}
	/* of a script's compilers the tracer says what they ask for */
	r->compiles &= r->drivers && !r->in->run;
	strv_sort_unique(&r->variables);
	if (k == 0 && strv_has_sorted(&r->variables, "git"))
		k = collect_trees(r, record);
	return k;
}

static int
check_ways(struct recorder *r)
{
	int k = 0;

	for (size_t i = 0; k == 0 && i < r->up.n; i++)
		k = record_check_way(r, r->up.v[i], 0);
	return k;
}

/* Collects all directories above recorded paths, and the compiler's own places. */
static int
collect_up(struct recorder *r, const struct buf *record)
{
	_cleanup_(freep) char *last = NULL;
	const char *p = (const char *)record->p, *end = p + record->n;
	int k = strv_add(&r->up, "/");

	if (k == 0)
		k = strv_add(&r->up, r->in->place->out_dir);
	if (k == 0)
		k = strv_add(&r->up, r->in->cwd);
	/* here a file of it is in each record; on a worker only the directories above */
	if (k == 0 && !r->in->run && r->in->place->sysroot)
		k = strv_add(&r->up, r->in->place->sysroot);
	for (; k == 0 && p < end; p += strlen(p) + 1) {
		_cleanup_(freep) char *dir = *p == 'f' ? path_dirname(p + 1) : NULL;

		if (!dir || (last && streq(last, dir)))
			continue;
		k = strv_add(&r->up, dir);
		free(last);
		last = steal_ptr(dir);
	}
	for (size_t i = 0, n = r->up.n; k == 0 && i < n; i++) {
		char *s = r->up.v[i];

		/* a parent that is known has its own parents known: stop there */
		for (size_t at = strlen(s); k == 0 && at > 1; at--)
			if (s[at] == '/')
				k = strv_addn(&r->up, s, at);
	}
	strv_sort_unique(&r->up);
	return k;
}

/* A program that another one in PATH stands for, or that is run by its path, may become runnable,
 * or stop to be. */
static int
add_runs(struct recorder *r, const char *item)
{
	const char *path = strchr(item, ' ');
	bool refused = starts_with(item, REFUSED), runs;

	if (!path)
		return -EBADMSG;
	if (strv_has_sorted(&r->own, ++path))
		return 0;
	runs = fs_can_run(path);
	if (runs == refused)
		return cannot(r, "%s changed while it was run", path);
	return record_add(r, INPUT_RUNS, path, INPUT_RUNS_YES, runs ? strlen(INPUT_RUNS_YES) : 0);
}

/* A worker says what it was given of a file. Here that may be another one by now. */
static int
check_sent(struct recorder *r, const char *item)
{
	const char *path = strchr(item, ' ');
	char hex[DIGEST_HEX_SIZE + 1];
	struct digest sent, now;
	int k;

	if (!path)
		return -EBADMSG;
	snprintf(hex, sizeof(hex), "%.*s", (int)(path - item), item);
	if (digest_parse(hex, &sent) < 0)
		return -EBADMSG;
	k = memo_digest_file(r->in->place->memo, ++path, &now, NULL);
	if (k == -ENOMEM)
		return k;
	return k == 0 && digest_eq(&sent, &now) ? 0
						: cannot(r, "%s changed after it was sent", path);
}

/* A worker says which unit it compiled. */
static int
check_key(struct recorder *r, const char *hex)
{
	struct digest key;

	if (digest_parse(hex, &key) < 0)
		return -EBADMSG;
	return r->in->job_key && digest_eq(&key, r->in->job_key)
		       ? 0
		       : cannot(r, "the worker compiled it with another key");
}

static int
add_item(struct recorder *r, char kind, const char *name, bool *ret_end)
{
	/* the link's inputs were made by the compile, which has a record of its own */
	if ((kind == 'f' || kind == 'a' || kind == 's' || kind == 'l' || kind == 'n' ||
		    kind == 'y' || kind == 'o') &&
		strv_has_sorted(&r->own, name))
		return 0;
	/* what a script left in a temporary directory (trace/script.c): not as it was before the
	 * run */
	if ((kind == 'b' || kind == 'k') && !r->in->run)
		return -EBADMSG;
	switch (kind) {
	case 'f':
		return record_add_file(r, name);
	case 'a':
		return record_add_absent(r, name);
	case 'd':
		return record_add_listing(r, name);
	case 's':
	case 'l':
		return record_add_attributes(r, name, kind == 's');
	case 'n':
		return record_add_real(r, name);
	case 'y':
		return record_add_extended(r, name);
	case 'b':
		return record_add(r, INPUT_ABSENT, name, NULL, 0);
	case 'k':
		return record_add_replaced(r, name);
	case 'o':
		return record_add_mode(r, name);
	case 'u':
		return r->in->run ? 0 : add_umask(r);
	case 'm':
		return add_env(r, name);
	case 'r':
		/* rustup's proxy adds to it and hands it on; add_libraries has what it leads to */
		return streq(name, "LD_LIBRARY_PATH") ? 0 : add_env(r, name);
	case 'v':
		r->environ = r->walks = true;
		return 0;
	case 'w':
		return strv_add(r->made, name);
	case 'x':
		return add_runs(r, name);
	case 'i':
		return record_note_way(r, name);
	case 'g':
	case 'q':
	case 't':
		return 0;
	case 'p':
		return cannot(r, INPUTS_LOST_RIGHTS, path_basename(name));
	case 'h':
		return check_sent(r, name);
	case 'j':
		return check_key(r, name);
	case '!':
		return cannot(r, "%s", name);
	case 'e':
		*ret_end = true;
		return 0;
	default:
		return -EBADMSG;
	}
}

static int
read_record(struct recorder *r, const struct buf *record)
{
	const char *p = (const char *)record->p, *end = p + record->n;
	bool whole = false;
	int k = 0;

	if (record->n == 0 || end[-1] != '\0')
		return -EBADMSG;
	for (; k == 0 && p < end; p += strlen(p) + 1) {
		if (whole || !*p)
			return -EBADMSG;
		k = add_item(r, *p, p + 1, &whole);
	}
	return k < 0 ? k : whole ? 0 : -EBADMSG;
}

/* When the program began, where the record begins with it. */
static void
take_start(const struct buf *record, struct timespec *ret)
{
	long long sec;
	long nsec;

	if (record->n > 1 && record->p[0] == 't' && memchr(record->p, '\0', record->n) &&
		sscanf((const char *)record->p + 1, "%lld %ld", &sec, &nsec) == 2)
		*ret = (struct timespec){ .tv_sec = (time_t)sec, .tv_nsec = nsec };
}

int
inputs_from_record(const struct inputs_from *in, const struct buf *record, struct inputs *ret,
	struct strv *ret_made, char **ret_why)
{
	struct inputs_from from = *in;
	struct recorder r = { .in = &from, .inputs = ret, .made = ret_made, .why = ret_why };
	int k;

	*ret_why = NULL;
	take_start(record, &from.started);
	k = record->n > 0 && record->p[record->n - 1] == '\0' ? collect_up(&r, record) : -EBADMSG;
	if (k == 0)
		k = collect_own(&r, record);
	if (k == 0)
		k = split_env(&r, "PATH", &r.path);
	if (k == 0)
		k = split_env(&r, "LD_LIBRARY_PATH", &r.library_path);
	if (k == 0)
		k = collect_ran(&r, record);
	if (k == 0)
		k = check_ways(&r);
	if (k == 0)
		k = read_record(&r, record);
	if (k == 0 && r.drivers)
		k = add_linker_env(&r);
	if (k == 0 && r.compiles)
		k = add_compiler_env(&r);
	/* all that a run makes has its mode by it */
	if (k == 0 && in->run)
		k = add_umask(&r);
	if (k == 0)
		k = add_environ(&r);
	if (k == 0)
		k = add_variables(&r);
	if (k == 0)
		k = add_programs(&r);
	if (k == 0)
		k = add_libraries(&r);
	if (k == 0)
		k = record_add_around(&r);
	strv_done(&r.around);
	strv_done(&r.ways);
	strv_done(&r.other_ways);
	strv_done(&r.libraries);
	strv_done(&r.own);
	strv_done(&r.up);
	strv_done(&r.trees);
	strv_done(&r.programs);
	strv_done(&r.path);
	strv_done(&r.library_path);
	strv_done(&r.variables);
	strv_done(&r.indexes);
	return k;
}

const char *
inputs_lost_rights(const struct buf *record)
{
	const char *p = (const char *)record->p, *end = p + record->n;

	if (record->n == 0 || end[-1] != '\0')
		return NULL;
	for (; p < end; p += strlen(p) + 1)
		if (*p == 'p')
			return p + 1;
	return NULL;
}
