/* Invariant: what a script's tree asks for, and what it writes, counts unless it is known here that
 * no result depends on it. */
#include "config.h"

#include "trace/script.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/fs.h"
#include "trace/asks.h"
#include "trace/drivers.h"
#include "trace/paths.h"
#include "trace/runtime.h"
#include "trace/texts.h"
#include "trace/watch_priv.h"

#define ARGV_MAX (256u * 1024)
#define ENVP_MAX (1024u * 1024)
#define OPENED_MAX 256 /* locks that are held; each is looked for one after another */
#define MISSING_MAX 4096
#define C_MAX (16u * 1024 * 1024)
#define EPOCH "SOURCE_DATE_EPOCH"
#define OWN_PROGRAM "its own program"
#define CLOCK_DOUBT "it asked for the time: %s"
#define RANDOM_DOUBT "it asked for random numbers: %s"

void
script_done(struct watch_script *s)
{
	for (size_t i = 0; i < s->n_opened; i++)
		free(s->opened[i].path);
	free(s->opened);
	free(s->found_dir);
	free(s->program);
	strv_done(&s->moved);
	strv_done(&s->missing);
}

/* ---- programs */

static bool
is_script(const struct watch *w, const char *exe)
{
	return w->script.program && streq(exe, w->script.program);
}

/* Named by what it is, so that no path of this place is in the text. */
static const char *
caller_name(const struct watch *w, const char *exe)
{
	return !*exe || is_script(w, exe) ? OWN_PROGRAM : path_basename(exe);
}

void
script_runs(struct watch *w, pid_t pid, const char *path, enum program_form form)
{
	struct watch_process *p = &w->script.processes[(unsigned)pid % WATCH_PROCESSES];

	if (!w->ran && !w->script.program && form == PROGRAM_DYNAMIC)
		w->script.program = realpath(path, NULL);
	*p = (struct watch_process){ .pid = pid };
}

static bool
has_library(const struct watch *w, const struct trace_call *c)
{
	_cleanup_(buf_done) struct buf env = BUF_INIT;

	if (!w->script.library || trace_call_strings(c, c->envp, ENVP_MAX, &env) < 0)
		return false;
	for (size_t i = 0; i < env.n; i += strlen((const char *)env.p + i) + 1) {
		const char *e = (const char *)env.p + i;
		size_t n = strlen(w->script.library);

		if (starts_with(e, "LD_PRELOAD="))
			return strncmp(e + strlen("LD_PRELOAD="), w->script.library, n) == 0;
	}
	return false;
}

/* The project's own programs, and those that the script makes, are known by no name. */
static bool
is_own(const struct watch *w, const char *path)
{
	return watch_below_any(path, &w->project) || watch_below_any(path, &w->writable);
}

/* Whether the program is one of these, by its name behind links, without a version. */
static bool
is_one_of(const char *path, const char *const *names, size_t n)
{
	_cleanup_(freep) char *real = realpath(path, NULL);
	char name[DRIVERS_NAME_MAX];

	drivers_plain_name(real ? real : path, name);
	for (size_t i = 0; i < n; i++)
		if (streq(names[i], name))
			return true;
	return false;
}

static bool
asks_by_name(const char *path)
{
	static const char *const names[] = { "llvm-config", "pkg-config", "pkgconf", "protoc",
		"rustc", "rustdoc", "rustup" };

	return is_one_of(path, names, ARRAY_LEN(names));
}

bool
script_is_compilers(const struct watch *w, const char *path)
{
	static const char *const names[] = { "clippy-driver", "rustc", "rustdoc" };
	const char *exe = w->exe ? w->exe(w->arg) : NULL;
	_cleanup_(freep) char *bin = exe && *exe && !is_own(w, exe) ? path_dirname(exe) : NULL;
	_cleanup_(freep) char *sysroot = bin ? path_dirname(bin) : NULL;

	if (!sysroot || !path_is_below(path, sysroot))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(names[i], path_basename(exe)))
			return !streq(sysroot, "/");
	return false;
}

static bool
compiles_c(const char *path)
{
	static const char *const names[] = { "cc1", "cc1plus", "clang", "clang++", "tcc", "zig" };
	char name[DRIVERS_NAME_MAX];

	drivers_plain_name(path, name);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(names[i], name))
			return true;
	return false;
}

/* Programs that may be run without dray-run.so, or be static: neither the time nor random numbers
 * are in what they make. */
static bool
is_plain_tool(const char *path)
{
	static const char *const names[] = { "[", "ar", "basename", "cat", "chmod", "cmp", "cp",
		"cut", "dash", "diff", "dirname", "dray", "echo", "egrep", "env", "expr", "false",
		"fgrep", "gmake", "grep", "head", "hostname", "install", "ldconfig",
		"ldconfig.real", "ln", "make", "mkdir", "mv", "ninja", "nproc", "pwd", "readlink",
		"realpath", "rm", "rmdir", "sed", "sh", "tail", "tee", "test", "touch", "tr",
		"true", "uname", "uniq", "wc", "which" };

	return is_one_of(path, names, ARRAY_LEN(names));
}

/* Of such a program no question is seen: a static one asks the time without a call, and one without
 * dray-run.so (another LD_PRELOAD) tells nothing. C compilers are looked at by what they read. */
static void
runs_blindly(struct watch *w, const char *path, enum program_form form)
{
	struct program p = { .form = form };

	if (compiles_c(path)) {
		w->script.blind = true;
		return;
	}
	if (form == PROGRAM_SCRIPT && program_read(path, &p) == 0 && *p.interpreter)
		path = p.interpreter;
	if (w->script.trust ||
		(!is_own(w, path) && (asks_by_name(path) || is_plain_tool(path) ||
					     !streq(program_class(path, PROGRAM_DYNAMIC), "all"))))
		return;
	watch_doubt(w, "it ran %s, which is not seen to ask for the time or for random numbers",
		path_basename(path));
}

/* A compiler that is told to make code for this processor asks that itself. */
static void
look_at_driver(struct watch *w, const struct trace_call *c)
{
	_cleanup_(buf_done) struct buf argv = BUF_INIT;

	if (trace_set_get(&w->set, TRACE_GROUPS, "cpu") != TRACE_NONE ||
		trace_call_strings(c, c->argv, ARGV_MAX, &argv) < 0)
		return;
	for (size_t i = 0; i < argv.n; i += strlen((const char *)argv.p + i) + 1) {
		const char *arg = (const char *)argv.p + i;

		if ((starts_with(arg, "-m") && ends_with(arg, "=native")) ||
			ends_with(arg, "target-cpu=native") || ends_with(arg, "target_cpu=native"))
			trace_set_add(&w->set, TRACE_GROUPS, "cpu", TRACE_GROUP);
	}
}

bool
script_uses_all(const struct watch *w, const char *path)
{
	return is_own(w, path) ||
	       (streq(program_class(path, PROGRAM_DYNAMIC), "all") && !asks_by_name(path));
}

const char *
script_class(struct watch *w, const struct trace_call *c, const char *path, enum program_form form)
{
	const char *class = watch_class(w, path, form);

	/* it may ask the processor what it can do by an instruction: GMP's configure, openblas */
	if (form != PROGRAM_SCRIPT && is_own(w, path))
		trace_set_add(&w->set, TRACE_GROUPS, "instructions", TRACE_GROUP);
	if (form == PROGRAM_DYNAMIC && !is_own(w, path) && asks_by_name(path))
		class = "linker";
	if (streq(class, "linker"))
		look_at_driver(w, c);
	/* what it kept of today's __DATE__, no compiler asks for */
	w->script.blind |= program_keeps_cache(path);
	if (form == PROGRAM_STATIC || !has_library(w, c)) {
		runs_blindly(w, path, form);
		class = form != PROGRAM_DYNAMIC || streq(class, "linker") ? "all" : class;
	}
	return class;
}

/* ---- the time, and random numbers */

static void
asked(struct watch *w, enum ask ask, const char *function, unsigned nth, unsigned since_fork)
{
	const char *exe = w->exe ? w->exe(w->arg) : "";

	/* one that is gone is told nothing */
	if (!exe || w->script.trust ||
		(*exe && !is_own(w, exe) && !asks_count(exe, ask, function, nth, since_fork)))
		return;
	if (ask == ASK_CLOCK && *exe && !is_own(w, exe) && getenv(EPOCH) && asks_heeds_epoch(exe)) {
		trace_set_add(&w->set, TRACE_MACRO_VARS, EPOCH, TRACE_ENV_OF_MACRO);
		return;
	}
	if (ask == ASK_CLOCK && is_script(w, exe) && getenv(EPOCH)) {
		w->script.own_clock = true;
		return;
	}
	watch_doubt(w, ask == ASK_CLOCK ? CLOCK_DOUBT : RANDOM_DOUBT, caller_name(w, exe));
}

/* A script that takes this date instead of the time may ask for the time all the same: chrono's
 * Local does, to know when to read the time zone again. */
void
script_reads(struct watch *w, const char *name)
{
	const char *exe = streq(name, EPOCH) && w->exe ? w->exe(w->arg) : NULL;

	if (exe && is_script(w, exe))
		w->script.reads_epoch = true;
}

/* The process whose call is being answered. */
static struct watch_process *
process(struct watch *w)
{
	struct watch_process *p = &w->script.processes[(unsigned)w->pid % WATCH_PROCESSES];

	if (p->pid != w->pid)
		*p = (struct watch_process){ .pid = w->pid };
	return p;
}

void
script_machine(struct watch *w, const char *what)
{
	const char *exe = w->exe ? w->exe(w->arg) : "";
	struct watch_process *p = process(w);
	enum ask ask = ASK_CPUS;
	unsigned nth = 0;

	if (streq(what, "uname")) {
		ask = ASK_UNAME;
		nth = ++p->names;
	} else if (streq(what, "limits")) {
		ask = ASK_LIMITS;
	}
	if (!exe || trace_set_get(&w->set, TRACE_GROUPS, what) != TRACE_NONE)
		return;
	/* by these they share their work, and take memory */
	if (*exe && !is_own(w, exe) &&
		((ask != ASK_UNAME && streq(program_class(exe, PROGRAM_DYNAMIC), "linker")) ||
			!asks_count(exe, ask, NULL, nth, 0)))
		return;
	trace_set_add(&w->set, TRACE_GROUPS, what, TRACE_GROUP);
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

void
script_said(struct watch *w, const char *said)
{
	const char *at = said + strlen(TRACE_CLOCK_PREFIX);

	if (streq(said, TRACE_RANDOM))
		script_random(w);
	else if (starts_with(said, TRACE_MACHINE_PREFIX))
		script_machine(w, said + strlen(TRACE_MACHINE_PREFIX));
	else if (starts_with(said, TRACE_CLOCK_PREFIX) && is_digit(at[0]) && is_digit(at[1]) &&
		 at[2] == '/')
		asked(w, ASK_CLOCK, at + 3, (unsigned)(at[0] - '0'), (unsigned)(at[1] - '0'));
}

void
script_random(struct watch *w)
{
	asked(w, ASK_RANDOM, NULL, 0, 0);
}

/* ---- libraries */

static bool
is_by_loader(const struct watch *w)
{
	char path[PATH_MAX];

	return w->code && w->code(w->arg, path) && runtime_is_loader(path) &&
	       watch_is_systems(w, path);
}

/* The loader does not find it where it looks; or, later, it does. */
static void
note_missing(struct watch *w, const char *path, bool there)
{
	struct strv *v = &w->script.missing;
	char item[NAME_MAX + 16];

	snprintf(item, sizeof(item), "%d %s", (int)w->pid, path_basename(path));
	for (size_t i = 0; i < v->n; i++) {
		if (!streq(v->v[i], item))
			continue;
		if (there) {
			free(v->v[i]);
			v->v[i] = v->v[--v->n];
			v->v[v->n] = NULL;
		}
		return;
	}
	if (!there && (v->n == MISSING_MAX || strv_add(v, item) < 0))
		w->set.lost = true;
}

/* What dlopen reads of the loader's cache decides which file is opened, which is an input by
 * itself: that a package was installed makes no run another one. Where the cache leads to no such
 * library the loader goes on to its own directories. What these do not have, either, the cache may
 * have next time: then it is an input (script_end). Whether the path is the cache, and is passed
 * over. */
bool
script_loads(struct watch *w, const struct trace_call *c, const char *path)
{
	if (c->op != TRACE_OPEN)
		return false;
	if (streq(path, RUNTIME_LOADERS_CACHE))
		return runtime_loading_reads(&w->loading, w->pid, path) || is_by_loader(w);
	if (w->script.missing.n > 0 && fs_exists(path))
		note_missing(w, path, true);
	else if (runtime_is_default_library(path) && !fs_exists(path) && is_by_loader(w))
		note_missing(w, path, false);
	return false;
}

/* ---- texts */

/* std's fs::copy, and what copies like it, take the mode from the descriptor. Programs that are
 * known by name make no such copy, or look at the file by its path. */
static void
note_mode(struct watch *w, const char *path)
{
	const char *exe = w->exe ? w->exe(w->arg) : NULL;
	struct stat st;

	if (exe && (is_script(w, exe) || w->all(w->arg)) && !watch_is_systems(w, path) &&
		!watch_is_made(w, path) && stat(path, &st) == 0 && S_ISREG(st.st_mode))
		trace_set_add(&w->set, TRACE_MODES, path, TRACE_MODE);
}

void
script_opened(struct watch *w, const char *path)
{
	note_mode(w, path);
	if (streq(path, "/dev/urandom") || streq(path, "/dev/random"))
		asked(w, ASK_RANDOM, NULL, ++process(w)->devices, 0);
	else if (streq(path, "/proc/cpuinfo"))
		trace_set_add(&w->set, TRACE_GROUPS, "cpu", TRACE_GROUP);
	else if (streq(path, "/proc/version"))
		trace_set_add(&w->set, TRACE_GROUPS, "uname", TRACE_GROUP);
	else if (trace_set_get(&w->set, TRACE_TEXTS, path) == TRACE_NONE && w->all &&
		 w->all(w->arg))
		texts_opened(w, path);
}

/* ---- what it writes */

static bool
is_alike(const struct stat *a, const struct stat *b)
{
	return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
	       a->st_size == b->st_size;
}

bool
script_is_jobserver(const struct watch *w, const char *path)
{
	struct stat st;

	return w->script.jobserver && streq(path, w->script.jobserver) && stat(path, &st) == 0 &&
	       S_ISFIFO(st.st_mode);
}

static bool
note_opened(
	struct watch *w, const char *path, const struct stat *st, bool only_marked, bool replaced)
{
	struct watch_script *s = &w->script;
	struct watch_opened *v;

	for (size_t i = 0; i < s->n_opened; i++)
		if (streq(s->opened[i].path, path)) {
			s->opened[i].only_marked &= only_marked;
			s->opened[i].replaced &= replaced;
			return true;
		}
	if (s->n_opened == OPENED_MAX)
		return false;
	v = reallocarray(s->opened, s->n_opened + 1, sizeof(*v));
	if (!v)
		return false;
	s->opened = v;
	v[s->n_opened] = (struct watch_opened){ .path = strdup(path),
		.before = *st,
		.only_marked = only_marked,
		.replaced = replaced };
	if (!v[s->n_opened].path)
		return false;
	s->n_opened++;
	return true;
}

static bool
is_asked_about(const struct watch *w, const char *path)
{
	enum trace_kind k = trace_set_get(&w->set, TRACE_PATHS, path);

	return (k != TRACE_NONE && k != TRACE_PASSED) ||
	       trace_set_get(&w->set, TRACE_STATS, path) != TRACE_NONE ||
	       trace_set_get(&w->set, TRACE_LINK_STATS, path) != TRACE_NONE;
}

/* An earlier run's: it is filled anew, or another file takes its place. What was asked about it, or
 * that it could be removed, holds for the next run if the new one is alike. */
bool
script_replaces(
	struct watch *w, const struct trace_call *c, const char *path, const struct stat *st)
{
	bool whole = c->op == TRACE_OPEN ? c->write && !c->keeps && c->makes && !c->fails_if_there
					 : c->removes || (c->moved && path == c->path[1]);

	if (!whole || !S_ISREG(st->st_mode) || watch_below_any(path, &w->writable) ||
		!watch_is_writable(w, path) || watch_is_made(w, path) ||
		trace_set_get(&w->set, TRACE_PATHS, path) == TRACE_READ)
		return false;
	if (!c->removes && !is_asked_about(w, path))
		return true;
	if (!note_opened(w, path, st, false, true))
		return false;
	trace_set_add(&w->set, TRACE_BEFORE, path, TRACE_REPLACED);
	return true;
}

/* A lock, mostly (cargo's): opened to be written, and never written. */
bool
script_changes(struct watch *w, const struct trace_call *c, const char *path, const struct stat *st)
{
	if (!st || watch_is_made(w, path))
		return false;
	if (c->op == TRACE_OPEN && c->keeps && S_ISREG(st->st_mode) &&
		note_opened(w, path, st, false, false))
		return true;
	watch_doubt(w, "it changed %s", path);
	return false;
}

/* Often it is the same one again (chmod +x configure). */
void
script_marks(struct watch *w, const char *path)
{
	struct stat st;

	if (watch_below_any(path, &w->writable) || watch_is_made(w, path))
		return;
	if (lstat(path, &st) < 0) {
		watch_look(w, path, false);
		return;
	}
	if (watch_is_kernels(w, path, st.st_dev) || S_ISCHR(st.st_mode))
		return;
	if (!note_opened(w, path, &st, true, false))
		watch_doubt(w, "it changed %s", path);
}

/* ---- what an earlier run left in OUT_DIR */

static void
found_dir(struct watch *w, bool is_made)
{
	_cleanup_(freep) char *dir = steal_ptr(w->script.found_dir);

	if (dir && is_made)
		trace_set_add(&w->set, TRACE_PATHS, dir, TRACE_MADE_DIR);
	else if (dir)
		watch_look(w, dir, false);
}

static void
age(struct watch *w)
{
	if (w->script.age)
		__atomic_add_fetch(w->script.age, 1, __ATOMIC_RELEASE);
}

/* A link, or what links may lie in. A second name of a link is one, too. */
static bool
may_lead(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && (S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode));
}

void
script_links(struct watch *w, const struct trace_call *c, const char *path)
{
	bool makes = c->from && !c->moved && path == c->path[1] &&
		     (c->points || may_lead(c->path[0])) && !watch_is_made(w, c->path[0]);
	bool moves = c->moved && path == c->path[1] && w->script.leads_out && may_lead(c->path[0]);

	if (!makes && !moves)
		return;
	w->script.leads_out |= makes;
	w->script.linked_by = c->pid;
	age(w);
}

/* Library functions that make a directory unless it is there (create_dir_all, mkdir -p) try to,
 * and then look whether it is one. That says no more than if they had made it. Of another mkdir
 * that it failed may decide something. */
void
script_calls(struct watch *w, const struct trace_call *c)
{
	/* the last call of this thread is done now: what was asked meanwhile may be of either link
	 */
	if (w->script.linked_by == c->pid) {
		w->script.linked_by = 0;
		age(w);
	}
	if (w->script.found_dir && w->script.found_by == c->pid)
		found_dir(w, c->op == TRACE_STAT && !c->by_descriptor && c->n_paths == 1 &&
				     streq(c->path[0], w->script.found_dir));
}

bool
script_finds(struct watch *w, const struct trace_call *c, const char *path)
{
	struct stat st;

	if (!c->fails_if_there || path != c->path[c->n_paths - 1] || watch_is_made(w, path))
		return false;
	found_dir(w, false);
	if (c->makes_dir && watch_below_any(path, &w->writable) && lstat(path, &st) == 0 &&
		S_ISDIR(st.st_mode) && trace_set_get(&w->set, TRACE_PATHS, path) == TRACE_NONE) {
		w->script.found_dir = strdup(path);
		w->script.found_by = c->pid;
	}
	if (!w->script.found_dir)
		watch_look(w, path, false);
	return true;
}

/* ar takes the members of an archive that is there. */
static bool
is_archiver(const struct watch *w)
{
	static const char *const names[] = { "ar", "gcc-ar", "llvm-ar", "llvm-ranlib", "ranlib" };
	char name[DRIVERS_NAME_MAX];

	drivers_plain_name(w->exe ? w->exe(w->arg) : "", name);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(names[i], name))
			return true;
	return false;
}

/* What was looked at, and is then made, is no input: nothing else says that it was there. Compilers
 * and linkers look at what they replace. What is made in a directory says that this is there. */
void
script_makes(struct watch *w, const struct trace_call *c, const char *path)
{
	enum trace_kind kind = trace_set_get(&w->set, TRACE_PATHS, path);
	_cleanup_(freep) char *dir = NULL;
	struct stat st;

	if (!watch_below_any(path, &w->writable))
		return;
	if (c->moved && path == c->path[1] && lstat(c->path[0], &st) == 0 && S_ISDIR(st.st_mode) &&
		strv_add(&w->script.moved, path) < 0)
		w->set.lost = true;
	if ((kind == TRACE_FILE && w->by(w->arg) != WATCH_BY_LINKER) ||
		(kind == TRACE_READ && is_archiver(w)))
		watch_doubt(w, "it looked at %s, which an earlier run left in OUT_DIR",
			path_basename(path));
	dir = path_dirname(path);
	if (dir && watch_below_any(dir, &w->writable) && !strv_has(&w->writable, dir))
		watch_look(w, dir, false);
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool
is_marked_same(const struct stat *a, const struct stat *b)
{
	return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Of C compilers that are static, or run without dray-run.so, and of ccache all that is known is
 * what they read. */
static bool
has_time(const struct watch *w, const char *path)
{
	static const char *const macros[] = { "__DATE__", "__TIME__", "__TIMESTAMP__" };
	static const char *const endings[] = { ".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp",
		".hxx", ".i", ".ii", ".inc", ".m", ".S" };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	bool c = false;

	for (size_t i = 0; i < ARRAY_LEN(endings); i++)
		c |= ends_with(path, endings[i]);
	if (!c || watch_is_systems(w, path) || fs_read_file(path, C_MAX, &b) < 0 || b.n == 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(macros); i++)
		if (memmem(b.p, b.n, macros[i], strlen(macros[i])))
			return true;
	return false;
}

static void
look_for_time(struct watch *w)
{
	for (size_t i = 0; i < w->set.n; i++) {
		const struct trace_item *t = w->set.v[i];

		if ((t->kind == TRACE_READ || t->kind == TRACE_MADE) && has_time(w, t->name))
			watch_doubt(w, "a C compiler may have put the time into %s", t->name);
	}
}

/* What lies in a directory that was moved was made under another name. */
static void
note_moved(struct watch *w, const char *path)
{
	_cleanup_(closedirp) DIR *d = opendir(path);
	struct dirent *e;
	struct stat st;

	while (d && (e = readdir(d))) {
		_cleanup_(freep) char *name = path_join(path, e->d_name);

		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		if (!name || lstat(name, &st) < 0) {
			w->set.lost |= !name;
			continue;
		}
		trace_set_put(&w->set, TRACE_PATHS, name, TRACE_MADE);
		if (S_ISDIR(st.st_mode))
			note_moved(w, name);
	}
}

void
script_end(struct watch *w)
{
	struct stat st;

	found_dir(w, false);
	if (w->script.missing.n > 0)
		watch_look(w, RUNTIME_LOADERS_CACHE, true);
	for (size_t i = 0; i < w->script.moved.n; i++)
		note_moved(w, w->script.moved.v[i]);
	if (w->script.own_clock && !w->script.reads_epoch)
		watch_doubt(w, CLOCK_DOUBT, OWN_PROGRAM);
	if (w->script.blind && !w->script.trust && !getenv(EPOCH))
		look_for_time(w);
	for (size_t i = 0; i < w->script.n_opened; i++) {
		const struct watch_opened *o = &w->script.opened[i];

		if (lstat(o->path, &st) < 0 || !(o->only_marked	     ? is_marked_same
						       : o->replaced ? is_alike
								     : is_same)(&o->before, &st))
			watch_doubt(w, "it changed %s", o->path);
	}
	for (size_t i = 0; i < w->set.n; i++) {
		const struct trace_item *t = w->set.v[i];

		if (t->kind == TRACE_MADE && !watch_is_writable(w, t->name) &&
			lstat(t->name, &st) == 0)
			watch_doubt(w, "it wrote %s", t->name);
	}
}
