/* Invariant: a path that the compile made is no input, though it was looked for before; everything
 * else that it looked at is, wherever it lies, unless it belongs to the toolchain, is a character
 * device in /dev, or is an entry of the compile's own in /proc. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fs.h"
#include "memo/git_index.h"
#include "trace/paths.h"
#include "trace/runtime.h"
#include "trace/texts.h"
#include "trace/script.h"
#include "trace/watch_priv.h"

void
watch_done(struct watch *w)
{
	strv_done(&w->toolchain);
	strv_done(&w->writable);
	strv_done(&w->project);
	strv_done(&w->temporary);
	strv_done(&w->caches);
	for (size_t i = 0; i < w->n_indexes; i++)
		free(w->indexes[i].path);
	free(w->indexes);
	free(w->rights);
	script_done(&w->script);
	trace_set_done(&w->set);
}

/* git puts a new index in place of the old one (index.lock, then a rename), also where it was only
 * asked whether anything changed: the times in it are others then. What it says is compared in the
 * end. Whether the path is part of that. */
static bool
is_index(const struct watch *w, const char *path)
{
	for (size_t i = 0; i < w->n_indexes; i++) {
		size_t n = strlen(w->indexes[i].path);

		if (strncmp(w->indexes[i].path, path, n) == 0 &&
			(!path[n] || streq(path + n, ".lock")))
			return true;
	}
	return false;
}

static bool
note_index(struct watch *w, const char *path)
{
	struct watch_index *v, one;
	size_t n = strlen(path);

	if (is_index(w, path))
		return true;
	if (ends_with(path, "/index.lock"))
		n -= strlen(".lock");
	one.path = strndup(path, n);
	v = reallocarray(w->indexes, w->n_indexes + 1, sizeof(*v));
	if (v)
		w->indexes = v;
	if (!v || !one.path || git_index_digest(one.path, &one.before) < 0) {
		free(one.path);
		return false;
	}
	v[w->n_indexes++] = one;
	return true;
}

/* Python's compiled modules, and where they lie. What else is there is no business of Python's. */
static bool
is_pycache(const char *path)
{
	static const char dir[] = "/__pycache__/";
	const char *name = path_basename(path);
	size_t n = strlen(dir);

	if (streq(name, "__pycache__"))
		return true;
	return (size_t)(name - path) >= n && memcmp(name - n, dir, n) == 0 && strstr(name, ".pyc");
}

/* Whether the caller is cargo, and the path is its lock of what it downloads, or where it notes
 * when it used that. The project's own programs are known by no name. */
static bool
is_cargos(const struct watch *w, const char *path)
{
	const char *name = path_basename(path), *exe;

	if (!w->exe ||
		!(starts_with(name, ".global-cache") || starts_with(name, ".package-cache") ||
			streq(name, ".rustc_info.json")))
		return false;
	exe = w->exe(w->arg);
	return exe && streq(path_basename(exe), "cargo") && !watch_below_any(exe, &w->project) &&
	       !watch_below_any(exe, &w->writable);
}

/* ldconfig's notes of libraries that it has looked at: with them it only reads less. libtool calls
 * it for each library that it installs. */
static bool
is_ldconfigs(const struct watch *w, const char *path)
{
	const char *exe = streq(path, "/var/cache/ldconfig/aux-cache") && w->exe ? w->exe(w->arg)
										 : NULL;

	return exe && starts_with(path_basename(exe), "ldconfig") && watch_is_systems(w, exe);
}

/* What is neither read for a result nor made as one: what drivers and Python keep for themselves. A
 * driver's settings may lie there too. */
static bool
is_aside(const struct watch *w, const char *path, watch_by_fn by, void *arg)
{
	if (ends_with(path, "/index.lock") && is_index(w, path))
		return true;
	if (watch_below_any(path, &w->caches) && !ends_with(path, ".conf")) {
		enum watch_by who = by(arg);

		/* a driver starts compilers and linkers for what it keeps there */
		if (who == WATCH_BY_DRIVER || who == WATCH_BY_LINKER)
			return true;
	}
	if (is_cargos(w, path) || is_ldconfigs(w, path))
		return true;
	return is_pycache(path) && by(arg) == WATCH_BY_PYTHON;
}

/* The same of what is written: the counts of instrumented code, too, which a macro leaves wherever
 * it runs. One that is read is a file like any other. */
static bool
is_written_aside(const struct watch *w, const char *path, watch_by_fn by, void *arg)
{
	return ends_with(path, ".profraw") || is_aside(w, path, by, arg);
}

static bool
is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool
is_other(enum watch_by who)
{
	return who == WATCH_BY_PYTHON || who == WATCH_BY_DRIVER || who == WATCH_BY_OTHER;
}

/* What a macro asks of a file may be in what it makes; so may what a program says that it runs, of
 * files: directories it only looks into, as far as is known (w->dirs). C drivers and linkers only
 * look whether files are there; git's index is compared by what it says. */
static bool
is_asked_for_result(const struct watch *w, const struct trace_call *c, const char *path,
	watch_by_fn by, void *arg)
{
	if (c->who == TRACE_BY_MACRO)
		return true;
	return c->who == TRACE_BY_OTHER && is_other(by(arg)) &&
	       (!is_dir(path) || (w->dirs && !watch_is_systems(w, path)));
}

/* A macro, or a program, that asks where a link leads and is told that it is none may put the path
 * into a result. The compiler and linkers make nothing of it. */
static void
note_real(struct watch *w, const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0 || S_ISLNK(st.st_mode) || watch_below_any(path, &w->toolchain) ||
		watch_is_made(w, path) || watch_is_kernels(w, path, st.st_dev))
		return;
	trace_set_add(&w->set, TRACE_REALS, path, TRACE_REAL);
}

static void
link_for_result(
	struct watch *w, const struct trace_call *c, const char *path, watch_by_fn by, void *arg)
{
	enum watch_by who;

	if (!c->asks_link || c->who == TRACE_BY_PROGRAM)
		return;
	who = c->who == TRACE_BY_MACRO ? WATCH_BY_OTHER : by(arg);
	if (who != WATCH_BY_COMPILER && who != WATCH_BY_LINKER)
		note_real(w, path);
}

static void
stat_for_result(
	struct watch *w, const struct trace_call *c, const char *path, watch_by_fn by, void *arg)
{
	bool link = c->attributes == TRACE_ATTRIBUTES_OF_LINK;

	if (link && c->who == TRACE_BY_OTHER && is_other(by(arg)) && is_dir(path))
		note_real(w, path);
	if (c->attributes == TRACE_ATTRIBUTES_NONE || !is_asked_for_result(w, c, path, by, arg) ||
		watch_below_any(path, &w->toolchain) || watch_is_made(w, path) ||
		trace_set_get(&w->set, TRACE_PATHS, path) == TRACE_PASSED ||
		(w->script.on && script_is_compilers(w, path)))
		return;
	trace_set_add(&w->set, link ? TRACE_LINK_STATS : TRACE_STATS, path,
		link ? TRACE_STATED_LINK : TRACE_STATED);
}

/* The compiler and linkers ask for none: each question comes from a macro, or from a program that
 * it runs. The answer is an input, also that there are none. */
static void
extended_for_result(struct watch *w, const struct trace_call *c, const char *path)
{
	struct stat st;

	if (!c->asks_extended || lstat(path, &st) < 0 || S_ISCHR(st.st_mode) ||
		watch_below_any(path, &w->toolchain) || watch_is_made(w, path) ||
		watch_is_kernels(w, path, st.st_dev))
		return;
	trace_set_add(&w->set, TRACE_EXTENDEDS, path, TRACE_EXTENDED);
}

/* Opened to be written, or moved: of a file that was there before, and is not emptied, something
 * may be in what is made. */
static bool
is_read_as_well(const struct trace_call *c, const char *path)
{
	struct stat st;

	return (c->op == TRACE_OPEN ? c->keeps : c->moved && path == c->path[0]) &&
	       lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static void
list(struct watch *w, const char *path, watch_by_fn by, void *arg)
{
	struct stat st;

	if (trace_set_get(&w->set, TRACE_LISTINGS, path) != TRACE_NONE ||
		is_aside(w, path, by, arg) || watch_below_any(path, &w->toolchain) ||
		watch_is_made(w, path))
		return;
	if (stat(path, &st) == 0 && watch_is_kernels(w, path, st.st_dev)) {
		if (!watch_is_own_entry(path) && !watch_suits_machine(w, path))
			watch_doubt(w, "it listed what the kernel says in %s", path);
		return;
	}
	trace_set_add(&w->set, TRACE_LISTINGS, path, TRACE_DIR);
}

/* A result holds no attributes but those of its outputs, and no temporary file. */
static void
change_attributes(struct watch *w, const char *path, watch_by_fn by, void *arg)
{
	struct stat st;

	if (watch_is_made(w, path) || watch_below_any(path, &w->writable) ||
		strv_has(&w->writable, path) || is_written_aside(w, path, by, arg))
		return;
	if (lstat(path, &st) < 0) {
		watch_look(w, path, false);
		return;
	}
	if (S_ISCHR(st.st_mode) ||
		(watch_is_own_entry(path) && watch_is_kernels(w, path, st.st_dev)))
		return;
	watch_doubt(w, "it changed the mode, owner or times of %s", path);
}

/* What a call needs that would change it (unlink, a rename's source, chmod, an open that makes
 * nothing), or that something is to be made in: that it is not there makes the call fail, and may
 * decide something. Compilers and linkers remove what an earlier run may have left. */
static bool
is_missed(struct watch *w, const struct trace_call *c, const char *path)
{
	_cleanup_(freep) char *dir = NULL;

	if (!w->script.on && watch_is_writable(w, path))
		return false;
	if (!c->makes || path != c->path[c->n_paths - 1]) {
		watch_look(w, path, false);
		return true;
	}
	dir = path_dirname(path);
	if (!dir || access(dir, F_OK) == 0)
		return false;
	watch_look(w, dir, false);
	return true;
}

static void
change(struct watch *w, const struct trace_call *c, const char *path, watch_by_fn by, void *arg)
{
	struct stat st;
	bool there = lstat(path, &st) == 0, dir = there && S_ISDIR(st.st_mode), replaced = false;

	if (w->script.on)
		script_links(w, c, path);

	/* a result keeps none; a temporary file goes away with its own */
	if (c->sets_extended) {
		if (watch_below_any(path, &w->writable) || !watch_is_writable(w, path))
			watch_doubt(w, "it changed the extended attributes of %s", path);
		return;
	}
	/* an output to nowhere; a setting of its own process */
	if ((there && (S_ISCHR(st.st_mode) || (watch_is_own_entry(path) &&
						      watch_is_kernels(w, path, st.st_dev)))) ||
		is_written_aside(w, path, by, arg))
		return;
	/* removed, and made again: what is in it counts */
	if (w->script.on && strv_has(&w->writable, path))
		return;
	if (!there && is_missed(w, c, path))
		return;
	if ((ends_with(path, "/index") || ends_with(path, "/index.lock")) &&
		by(arg) == WATCH_BY_GIT && note_index(w, path))
		return;
	if (w->script.on && there && script_finds(w, c, path))
		return;
	replaced = w->script.on && there && script_replaces(w, c, path, &st);
	if (!(dir && c->makes_dir) && !replaced &&
		(!watch_is_writable(w, path) || (w->script.on && there && S_ISREG(st.st_mode) &&
							!watch_below_any(path, &w->writable)))) {
		if (!w->script.on)
			watch_doubt(w, "it wrote %s", path);
		else if (script_changes(w, c, path, there ? &st : NULL))
			return;
	}
	/* A mkdir of what is there: what lies below was not made by it. */
	if (dir) {
		watch_look(w, path, false);
		return;
	}
	/* What it was then can be found out no more. (A linker opens what it is to replace.) */
	if (trace_set_get(&w->set, TRACE_PATHS, path) == TRACE_READ && by(arg) != WATCH_BY_LINKER)
		watch_doubt(w, "it read and then wrote %s", path);
	if (w->script.on)
		script_makes(w, c, path);
	/* what it leaves there is there the next time */
	if (trace_set_get(&w->set, TRACE_PATHS, path) == TRACE_ABSENT &&
		!watch_below_any(path, &w->writable) && !watch_is_made(w, path))
		trace_set_add(&w->set, TRACE_BEFORE, path, TRACE_WAS_ABSENT);
	/* A temporary file is one that it made itself. */
	if (there && !replaced && !watch_below_any(path, &w->writable) && !watch_is_made(w, path))
		watch_doubt(w, "it changed %s", path);
	trace_set_put(&w->set, TRACE_PATHS, path, TRACE_MADE);
}

static void
take_said(struct watch *w, const char *said)
{
	bool macro = *said == TRACE_ENV_MACRO;

	if (w->script.on && !macro && !streq(said, TRACE_ENV_HELLO))
		script_said(w, said);
	else if (streq(said, TRACE_ENV_HELLO))
		w->env_seen = true;
	else if (streq(said, TRACE_CLOCK_PREFIX))
		watch_doubt(w, "a macro asked for the time");
	else if (streq(said, TRACE_RANDOM))
		watch_doubt(w, "a macro asked for random numbers");
	else if (starts_with(said, TRACE_REAL_PREFIX "/"))
		note_real(w, said + strlen(TRACE_REAL_PREFIX));
	else if (starts_with(said, TRACE_MACHINE_PREFIX))
		trace_set_add(
			&w->set, TRACE_GROUPS, said + strlen(TRACE_MACHINE_PREFIX), TRACE_GROUP);
	else if (strlen(said) > strlen(TRACE_ENV_PREFIX)) {
		const char *name = said + strlen(TRACE_ENV_PREFIX);

		if (w->script.on)
			script_reads(w, name);
		trace_set_add(&w->set, macro ? TRACE_MACRO_VARS : TRACE_RUSTC_VARS, name,
			macro ? TRACE_ENV_OF_MACRO : TRACE_ENV_OF_RUSTC);
	}
}

/* The compiler opens it only where the call is refused. */
static bool
is_random_for_macro(const char *path)
{
	char byte;

	return (streq(path, "/dev/urandom") || streq(path, "/dev/random")) &&
	       getrandom(&byte, 1, GRND_NONBLOCK) == 1;
}

/* A program that a macro or a script runs says what a limit is (ulimit), or only adapts to it:
 * those that use as many files or threads as they may. The compiler asks for none; of a macro
 * dray-env.so says it. */
static bool
asks_limit_for_result(const struct watch *w, watch_by_fn by, void *arg)
{
	static const char *const adapt[] = { "cargo", "java", "javac", "node", "rustup" };
	enum watch_by who = by(arg);
	const char *exe = w->exe ? w->exe(arg) : "";

	if ((who != WATCH_BY_OTHER && who != WATCH_BY_PYTHON) || !exe)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(adapt); i++)
		if (streq(path_basename(exe), adapt[i]))
			return false;
	return true;
}

/* What a program reads that may ask for any variable: its modules, scripts that it includes. */
static void
note_text(struct watch *w, const char *path, watch_by_fn by, void *arg)
{
	enum watch_by who;

	if (!w->runs_all || watch_is_systems(w, path))
		return;
	who = by(arg);
	if (who == WATCH_BY_OTHER || who == WATCH_BY_PYTHON)
		texts_opened(w, path);
}

/* By which way it looked for what is not there: "N DIRPATH", N the length of the directory that
 * the first ".." led up from; "0 PATH": by another way as well. was: what was known of the path
 * before. */
static void
note_way(struct watch *w, const struct trace_call *c, const char *path, enum trace_kind was)
{
	char way[2 * PATH_MAX + 16];
	bool up = c->n_paths == 1 && *c->up_from;

	if ((was == TRACE_NONE ? !up : trace_set_get(&w->set, TRACE_WAYS, path) == TRACE_NONE) ||
		trace_set_get(&w->set, TRACE_PATHS, path) != TRACE_ABSENT)
		return;
	snprintf(way, sizeof(way), "%zu %s%s", strlen(c->up_from), c->up_from, path);
	if (was == TRACE_NONE)
		trace_set_add(&w->set, TRACE_WAYS, path, TRACE_WENT_UP);
	else if (!up || trace_set_get(&w->set, TRACE_WAYS, way) == TRACE_NONE)
		snprintf(way, sizeof(way), "0 %s", path);
	trace_set_add(&w->set, TRACE_WAYS, way, TRACE_WAY);
}

void
watch_call(struct watch *w, const struct trace_call *c, watch_by_fn by, void *arg)
{
	w->calls++;
	w->by = by;
	w->arg = arg;
	w->pid = c->pid;
	if (c->op == TRACE_SOCKET)
		watch_doubt(w, "it used the network");
	/* nobody listens where there is no socket: glibc asks for its name service so */
	if (c->op == TRACE_CONNECT && (c->n_paths == 0 || access(c->path[0], F_OK) == 0))
		watch_doubt(w, "it asked another process, by a socket");
	if (w->script.on)
		script_calls(w, c);
	if (c->op == TRACE_RANDOM_BYTES)
		script_random(w);
	if (c->op == TRACE_LIMIT && asks_limit_for_result(w, by, arg))
		trace_set_add(&w->set, TRACE_GROUPS, "limits", TRACE_GROUP);
	if (c->op == TRACE_MACHINE && c->machine)
		script_machine(w, c->machine);
	/* a linker only wants to know how to make its output */
	if (c->op == TRACE_UMASK && by(arg) != WATCH_BY_LINKER)
		w->umask = true;
	if (c->op == TRACE_UNSEEN)
		watch_doubt(w, "it opened files by io_uring or handles");
	if (c->op == TRACE_REMOUNT)
		watch_doubt(w, "it changed where paths lead: mount, chroot or setns");
	if (c->error == -EREMOTE)
		watch_doubt(
			w, "one of its paths cannot be resolved: /proc does not say where it is");
	/* A bad pointer is the caller's affair; memory that we may not read is ours. */
	if (c->error && c->error != -EFAULT && c->error != -EBADF)
		watch_doubt(w, "its calls cannot be read: %s", strerror(-c->error));
	for (unsigned i = 0; i < c->n_paths && c->op != TRACE_OTHER; i++) {
		const char *path = c->path[i];
		enum trace_kind was;

		if (script_is_jobserver(w, path) || (w->script.on && script_loads(w, c, path)))
			continue;
		w->environ |= trace_is_environ(path);
		if (trace_is_cmdline(path) && !w->script.on && by(arg) == WATCH_BY_COMPILER)
			watch_doubt(w, "a macro read the compiler's arguments");
		if (c->op == TRACE_SAID)
			take_said(w, path);
		else if (c->op == TRACE_LIST)
			list(w, path, by, arg);
		else if (c->op == TRACE_EXEC)
			watch_run(w, c, path);
		else if (c->op == TRACE_MARK) {
			if (w->script.on && !is_written_aside(w, path, by, arg))
				script_marks(w, path);
			else if (!w->script.on)
				change_attributes(w, path, by, arg);
		} else if (c->op == TRACE_CHANGE || (c->op == TRACE_OPEN && c->write)) {
			bool source = c->from && i == 0;

			if (((source && !c->moved) || is_read_as_well(c, path)) &&
				!is_written_aside(w, path, by, arg))
				watch_look(w, path, true);
			if (!source || c->moved)
				change(w, c, path, by, arg);
		} else if (is_aside(w, path, by, arg)) {
			if (c->op == TRACE_OPEN && !w->script.on)
				note_text(w, path, by, arg);
		} else {
			was = trace_set_get(&w->set, TRACE_PATHS, path);
			watch_look(w, path, c->op == TRACE_OPEN);
			note_way(w, c, path, was);
			if (c->op == TRACE_OPEN && !w->script.on && is_random_for_macro(path) &&
				by(arg) == WATCH_BY_COMPILER)
				watch_doubt(w, "a macro asked for random numbers");
			if (w->script.on && c->op == TRACE_OPEN)
				script_opened(w, path);
			else if (c->op == TRACE_OPEN)
				note_text(w, path, by, arg);
			stat_for_result(w, c, path, by, arg);
			link_for_result(w, c, path, by, arg);
			extended_for_result(w, c, path);
		}
	}
}

void
watch_end(struct watch *w)
{
	if (w->script.on)
		script_end(w);
	texts_end(w);
	if (w->set.lost)
		watch_doubt(w, "it looked at too many files");
	if (!w->ran || w->calls < 2)
		watch_doubt(w, "its calls were not seen");
	else if (!w->env_seen && !w->linker)
		watch_doubt(w, "the variables that it asked for were not seen");
}

static char
letter(enum trace_kind kind)
{
	switch (kind) {
	case TRACE_FILE:
	case TRACE_READ:
		return 'f';
	case TRACE_ABSENT:
		return 'a';
	case TRACE_DIR:
		return 'd';
	case TRACE_ENV_OF_MACRO:
		return 'm';
	case TRACE_ENV_OF_RUSTC:
		return 'r';
	case TRACE_STATED:
		return 's';
	case TRACE_STATED_LINK:
		return 'l';
	case TRACE_REAL:
		return 'n';
	case TRACE_EXTENDED:
		return 'y';
	case TRACE_MADE:
	case TRACE_MADE_DIR:
		return 'w';
	case TRACE_RAN:
		return 'x';
	case TRACE_GROUP:
		return 'q';
	case TRACE_WAS_ABSENT:
		return 'b';
	case TRACE_REPLACED:
		return 'k';
	case TRACE_MODE:
		return 'o';
	case TRACE_WAY:
		return 'i';
	default:
		return '\0';
	}
}

static int
item(struct buf *ret, char kind, const char *name)
{
	int r = buf_add(ret, &kind, 1);

	return r < 0 ? r : buf_add(ret, name, strlen(name) + 1);
}

static int
index_item(struct buf *ret, const struct watch_index *in)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(&in->before, hex);
	return buf_addf(ret, "g%s %s", hex, in->path) < 0 ? -ENOMEM : buf_add(ret, "", 1);
}

/* A temporary file that was looked for, made and removed has another name each time, mostly. */
static bool
is_gone(const struct trace_item *t)
{
	return t->kind == TRACE_WAS_ABSENT && access(t->name, F_OK) < 0;
}

int
watch_record(const struct watch *w, struct buf *ret)
{
	char calls[16];
	int r = 0;

	if (w->started.tv_sec)
		r = buf_addf(ret, "t%lld %ld", (long long)w->started.tv_sec, w->started.tv_nsec);
	if (r == 0 && w->started.tv_sec)
		r = buf_add(ret, "", 1);
	if (r == 0 && w->rights)
		r = item(ret, 'p', w->rights);
	for (size_t i = 0; r == 0 && i < w->set.n; i++) {
		char kind = letter(w->set.v[i]->kind);

		if (kind && !is_gone(w->set.v[i]))
			r = item(ret, kind, w->set.v[i]->name);
	}
	if (r == 0 && w->environ)
		r = item(ret, 'v', "environ");
	if (r == 0 && w->umask)
		r = item(ret, 'u', "umask");
	for (size_t i = 0; r == 0 && i < w->n_indexes; i++)
		r = index_item(ret, &w->indexes[i]);
	if (r == 0 && w->doubt[0])
		r = item(ret, '!', w->doubt);
	snprintf(calls, sizeof(calls), "%u", w->calls);
	return r < 0 ? r : item(ret, 'e', calls);
}
