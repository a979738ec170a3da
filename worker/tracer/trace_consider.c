/* What each call of a job means, and whether the kernel may go on with it.
 *
 * The job's tree is looked at on the host, where the read-only mount is a directory of the worker.
 * The private /tmp is not there; it is looked at through the caller's own root. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fs.h"
#include "trace/paths.h"
#include "worker/sandbox/out_dir.h"
#include "worker/sandbox/sandbox.h"
#include "worker/sandbox/unit_check.h"
#include "worker/tracer/trace_priv.h"

/* ---- where a path is */

static bool
in_tree(const struct trace *t, const char *path)
{
	struct stat st;

	return fstatat(t->root, path[1] ? path + 1 : ".", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool
in_new(pid_t tid, const char *path)
{
	char host[PATH_MAX + 32];
	struct stat st;

	snprintf(host, sizeof(host), "/proc/%d/root%s", (int)tid, path);
	/* who but the job has closed a directory there? */
	return fstatat(AT_FDCWD, host, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno == EACCES;
}

static bool
exists_below(const char *a, const char *b, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s%s/%s", a, b, name) < (int)sizeof(path) &&
	       access(path, F_OK) == 0;
}

/* For each library the loader tries every directory of LD_LIBRARY_PATH, then its own in their
 * order. A library that the toolchain or the system has is found there in the end, as on the
 * client. */
static bool
is_system_library(const struct trace *t, const char *path)
{
	const char *name = path_basename(path);

	if (!trace_rules_is_library(path))
		return false;
	if (exists_below(t->sysroot->view, "/lib", name))
		return true;
	return strv_has_sorted(&t->sysroot->lib_names, name);
}

/* ---- what each call means */

/* A path of the client is looked at, by its own name or below the alias. The alias has all that the
 * compiler can want of the out-dir; a macro may want more. 0, or -errno: the job ends. */
static int
look(struct trace *t, const char *path)
{
	enum trace_kind kind = TRACE_FILE;
	int r = 0;

	if (trace_set_get(&t->set, TRACE_PATHS, path) != TRACE_NONE)
		return 0;
	if (!in_tree(t, path)) {
		if (trace_rules_loader_dir(&t->rules, path) || is_system_library(t, path)) {
			kind = TRACE_PASSED;
		} else if (trace_rules_known(&t->rules, path)) {
			kind = TRACE_ABSENT;
		} else {
			r = trace_ask(t, path);
			kind = r > 0 ? TRACE_FILE : TRACE_ABSENT;
		}
	}
	if (r >= 0)
		trace_set_add(&t->set, TRACE_PATHS, path, kind);
	return MIN2(r, 0);
}

/* Files that another process left in /tmp or /dev belong to the client. Files that the job made
 * there, and those that every /dev has, do not. */
static int
look_new(struct trace *t, pid_t tid, const char *path)
{
	int r;

	if (in_new(tid, path) || trace_set_get(&t->set, TRACE_PATHS, path) != TRACE_NONE)
		return 0;
	r = trace_ask(t, path);
	if (r > 0)
		return trace_refuse(t, "the file %s", path);
	if (r == 0)
		trace_set_add(&t->set, TRACE_PATHS, path, TRACE_ABSENT);
	return r;
}

/* Where the client does not have the directory, it has nothing in it, so one question answers for
 * all. */
static int
look_tree(struct trace *t, const char *path)
{
	static const char std[] = "/rustc"; /* where the compiler looks for the sources of std */
	int r = 0;

	if (path_is_below(path, std) && !in_tree(t, path)) {
		r = look(t, std);
		if (r < 0 || trace_set_get(&t->set, TRACE_PATHS, std) == TRACE_ABSENT)
			return r;
	}
	return look(t, path);
}

/* The loader opens its cache first (runtime.h), and looks for the list of libraries to preload; the
 * compiler's allocator looks for its settings, by readlink. */
static bool
is_runtimes(struct trace *t, const char *path)
{
	if (!runtime_is(path, RUNTIME_FIRST))
		return false;
	return runtime_loading_reads(&t->loading, (pid_t)t->listener.req->pid, path) ||
	       (t->call.op == TRACE_LOOK && !streq(path, "/etc/ld.so.cache"));
}

/* ---- the out-dir */

static bool
in_out(const struct trace *t, const char *path)
{
	const char *name = path + strlen(t->stage->unit->out_dir);

	return *name == '\0' || out_dir_has(t->out, name + 1) == 1;
}

/* The unit's own outputs count as gone, as in an empty out-dir: the compiler looks for them before
 * it writes them. What the job made is its own; all else is the client's. */
static int
look_out(struct trace *t, const char *path)
{
	bool opens = t->call.op == TRACE_OPEN;
	int r;

	if (in_out(t, path) || trace_set_get(&t->set, TRACE_PATHS, path) != TRACE_NONE)
		return 0;
	if (!opens && trace_rules_own_output(&t->rules, path))
		return 0;
	r = trace_ask(t, path);
	if (r >= 0)
		trace_set_add(&t->set, TRACE_PATHS, path, r > 0 ? TRACE_FILE : TRACE_ABSENT);
	return MIN2(r, 0);
}

/* A change of a client's file in the job would not reach the client. */
static int
change_out(struct trace *t, const char *path)
{
	enum trace_kind kind = trace_set_get(&t->set, TRACE_PATHS, path);
	int r;

	if (kind == TRACE_FILE)
		return trace_refuse(t, "to write %s", path);
	if (kind != TRACE_NONE || trace_rules_own_output(&t->rules, path) ||
		trace_rules_temporary(&t->rules, path) || in_out(t, path))
		return 0;
	r = trace_ask(t, path);
	if (r > 0)
		return trace_refuse(t, "to write %s", path);
	if (r == 0)
		trace_set_add(&t->set, TRACE_PATHS, path, TRACE_ABSENT);
	return r;
}

/* Whether the job made all that is in a directory: the directory, or one above it, was not there
 * before. */
static bool
is_jobs_own(const struct trace *t, const char *path)
{
	size_t out_n = strlen(t->stage->unit->out_dir);
	char dir[PATH_MAX];

	if (trace_rules_temporary(&t->rules, path))
		return true;
	snprintf(dir, sizeof(dir), "%s", path);
	while (strlen(dir) > out_n) {
		if (trace_set_get(&t->set, TRACE_PATHS, dir) == TRACE_ABSENT)
			return true;
		*strrchr(dir, '/') = '\0';
	}
	return false;
}

/* In the job's tree a link of the client is what it leads to. A call that would tell the difference
 * ends the job. whole: links on the way to the path count, too. */
static int
no_link(struct trace *t, const char *path, bool whole)
{
	enum trace_place place = trace_rules_place(&t->rules, path);
	const char *link = trace_rules_link(&t->rules, path, whole);
	const Dray__FileTimes *known;
	int r;

	if (place != PLACE_TREE && !(place == PLACE_OUT && whole))
		return 0;
	if (!link && place == PLACE_TREE && !trace_rules_known(&t->rules, path) &&
		!trace_stat_find(&t->stat, path)) {
		r = trace_ask(t, path);
		if (r < 0)
			return r;
	}
	known = trace_stat_find(&t->stat, path);
	if (link || (known && (known->link || (whole && known->behind))))
		return trace_refuse(t, "the symbolic link %s", link ? link : path);
	return 0;
}

/* ".." after a link is above what the link leads to. */
static int
before_up(void *arg, const char *dir)
{
	struct trace *t = arg;

	if (t->up == 0)
		t->up = no_link(t, dir, false);
	return t->up;
}

static int
take_said(struct trace *t, const char *said)
{
	const char *name = said + strlen(TRACE_ENV_PREFIX);
	bool macro = *said == TRACE_ENV_MACRO;

	if (streq(said, TRACE_CLOCK_PREFIX))
		return trace_refuse(t, "the time, in a macro");
	if (streq(said, TRACE_RANDOM))
		return trace_refuse(t, "random numbers, in a macro");
	if (starts_with(said, TRACE_MACHINE_PREFIX))
		return trace_refuse(t, "what only the user's machine says, in a macro: %s",
			said + strlen(TRACE_MACHINE_PREFIX));
	if (strlen(said) <= strlen(TRACE_ENV_PREFIX))
		return 0;
	if (starts_with(said, TRACE_REAL_PREFIX "/"))
		return no_link(t, said + strlen(TRACE_REAL_PREFIX), true);
	if (trace_rules_withholds_env(&t->rules, name))
		return trace_refuse(t, "the environment: %s", name);
	if (trace_set_get(&t->set, macro ? TRACE_MACRO_VARS : TRACE_RUSTC_VARS, name) == TRACE_NONE)
		trace_note_question(t, name, NULL);
	trace_set_add(&t->set, macro ? TRACE_MACRO_VARS : TRACE_RUSTC_VARS, name,
		macro ? TRACE_ENV_OF_MACRO : TRACE_ENV_OF_RUSTC);
	return 0;
}

static int
list(struct trace *t, const char *path)
{
	enum trace_place place = trace_rules_place(&t->rules, path);

	if (place == PLACE_KERNEL || place == PLACE_DEV || streq(path, "/tmp") ||
		(place == PLACE_OUT && !is_jobs_own(t, path)))
		return trace_refuse(t, "the listing of %s", path);
	if (place != PLACE_TREE || trace_set_get(&t->set, TRACE_LISTINGS, path) != TRACE_NONE)
		return 0;
	if (!trace_rules_listing_known(&t->rules, path))
		return trace_refuse(t, "the listing of %s", path);
	if (trace_rules_link_in(&t->rules, path))
		return trace_refuse(
			t, "the symbolic link %s", trace_rules_link_in(&t->rules, path));
	if (trace_rules_known(&t->rules, path))
		trace_set_add(&t->set, TRACE_LISTINGS, path, TRACE_DIR);
	return 0;
}

static int
change(struct trace *t, const char *path)
{
	enum trace_place place = trace_rules_place(&t->rules, path);

	if (place == PLACE_OUT)
		return change_out(t, path);
	if (place == PLACE_TMP || path_is_below(path, "/proc/self") ||
		(place == PLACE_DEV && in_new((pid_t)t->listener.req->pid, path)))
		return 0;
	return trace_refuse(t, "to write %s", path);
}

static int
run(struct trace *t, const char *path)
{
	const char *name = path_basename(path);

	runtime_loading_begin(&t->loading, (pid_t)t->listener.req->pid);
	if (path_is_below(path, t->stage->unit->sysroot) || streq(path, t->stage->unit->linker))
		return 0;
	if (starts_with(path, SANDBOX_BIN "/") && exists_below(t->stage->bin, "", name))
		return 0;
	return trace_refuse(t, "to run %s", starts_with(path, SANDBOX_BIN "/") ? name : path);
}

/* Whether it is a file of the client that the job sees. */
static bool
is_clients(const struct trace *t, const char *path)
{
	enum trace_place place = trace_rules_place(&t->rules, path);

	if (place == PLACE_OUT)
		return trace_set_get(&t->set, TRACE_PATHS, path) == TRACE_FILE;
	return (place == PLACE_TREE || place == PLACE_IN) && in_tree(t, path);
}

/* A macro asks for attributes: it gets the client's, or the job ends. */
static int
stat_by_macro(struct trace *t, const char *path)
{
	bool link = t->call.attributes == TRACE_ATTRIBUTES_OF_LINK;
	const Dray__FileTimes *known = trace_stat_find(&t->stat, path);
	int r;

	if (trace_set_get(&t->set, link ? TRACE_LINK_STATS : TRACE_STATS, path) != TRACE_NONE ||
		!is_clients(t, path))
		return 0;
	if (trace_rules_place(&t->rules, path) != PLACE_TREE ||
		trace_stat_is_access(t->listener.req))
		return trace_refuse(t, "the attributes of %s", path);
	if (!known) {
		r = trace_ask(t, path);
		if (r < 0)
			return r;
		known = trace_stat_find(&t->stat, path);
	}
	if (!known || !known->mode)
		return trace_refuse(t, "the attributes of %s", path);
	if (link && known->link)
		return trace_refuse(t, "the symbolic link %s", path);
	trace_note_question(t, path, known);
	trace_set_add(&t->set, link ? TRACE_LINK_STATS : TRACE_STATS, path,
		link ? TRACE_STATED_LINK : TRACE_STATED);
	return 0;
}

/* The job's tree holds the worker's files, which have none of the client's. Only a macro asks. */
static int
extended(struct trace *t, const char *path)
{
	return is_clients(t, path) ? trace_refuse(t, "the extended attributes of %s", path) : 0;
}

static int
one_path(struct trace *t, const char *path)
{
	const struct trace_call *c = &t->call;

	if (c->op == TRACE_SAID)
		return take_said(t, path);
	if (trace_is_environ(path))
		return trace_refuse(t, "the whole environment");
	if (trace_is_cmdline(path))
		return trace_refuse(t, "the compiler's arguments");
	if (c->op == TRACE_LIST)
		return list(t, path);
	if (c->op == TRACE_EXEC)
		return run(t, path);
	if (c->op == TRACE_CHANGE || (c->op == TRACE_OPEN && c->write))
		return change(t, path);
	/* dray-ld is there, and reads its own name by /proc/self/exe when it starts */
	if (streq(path, t->stage->unit->linker))
		return c->op == TRACE_OPEN ? trace_refuse(t, "the file %s", path) : 0;
	switch (trace_rules_place(&t->rules, path)) {
	case PLACE_IN:
		return look(t, path);
	case PLACE_TREE:
		return is_runtimes(t, path) ? 0 : look_tree(t, path);
	case PLACE_OUT:
		return look_out(t, path);
	case PLACE_TMP:
	case PLACE_DEV:
		return look_new(t, (pid_t)t->listener.req->pid, path);
	case PLACE_KERNEL:
		return trace_refuse(t, "what the kernel says in %s", path);
	default:
		return 0;
	}
}

/* Asks the client for the attributes of an open file or directory. */
static int
know_of(struct trace *t, const char *path)
{
	if (trace_rules_place(&t->rules, path) != PLACE_TREE || !in_tree(t, path) ||
		trace_stat_find(&t->stat, path))
		return 0;
	return MIN2(trace_ask(t, path), 0);
}

/* The source of a link or of a rename. It is looked at; only a file that the job made may be moved.
 */
static int
source(struct trace *t, const char *path)
{
	int r = 0;

	switch (trace_rules_place(&t->rules, path)) {
	case PLACE_TREE:
	case PLACE_IN:
		r = look(t, path);
		break;
	case PLACE_OUT:
		r = look_out(t, path);
		break;
	case PLACE_TMP:
	case PLACE_DEV:
		r = look_new(t, (pid_t)t->listener.req->pid, path);
		break;
	default:
		break;
	}
	return r < 0 || !t->call.moved ? r : change(t, path);
}

/* The maps that were read are the caller's only if it waits still. */
static void
take_hello(struct trace *t)
{
	trace_caller_hello(&t->caller, t->listener.req);
	if (!trace_listener_waits(&t->listener))
		trace_caller_done(&t->caller);
}

static void
find_caller(struct trace *t)
{
	struct trace_call *c = &t->call;

	if (c->op == TRACE_EXEC)
		trace_caller_exec(&t->caller, t->listener.req);
	else if (c->op == TRACE_SAID && streq(c->path[0], TRACE_ENV_HELLO))
		take_hello(t);
	else if (c->attributes != TRACE_ATTRIBUTES_NONE || c->asks_link)
		c->who = trace_caller_who(&t->caller, t->listener.req);
}

int
trace_consider(struct trace *t)
{
	int r = 0;

	t->up = 0;
	t->call.up = before_up;
	t->call.up_arg = t;
	t->call.listener = &t->listener;
	trace_call_read(t->listener.req, t->moved ? NULL : t->stage->unit->cwd, &t->call);
	if (t->call.gone)
		return 1;
	if (t->up < 0)
		return t->up;
	if (t->call.op == TRACE_SOCKET)
		return trace_refuse(t, "the network");
	if (t->call.op == TRACE_UNSEEN)
		return trace_refuse(t, "files opened by io_uring or handles");
	if (t->call.op == TRACE_REMOUNT)
		return trace_refuse(t, "to change where paths lead");
	if (t->call.sets_extended)
		return trace_refuse(t, "to change extended attributes");
	if (t->call.op == TRACE_UMASK && !unit_umask(t->stage->unit))
		return trace_refuse(t, "the umask");
	t->umask |= t->call.op == TRACE_UMASK;
	t->unread |= t->call.error && t->call.error != -EFAULT && t->call.error != -EBADF;
	if (t->listener.req->data.nr == SCMP_SYS(fchdir) || t->call.op == TRACE_CHDIR)
		t->moved = true;
	find_caller(t);
	for (unsigned i = 0; i < t->call.n_paths && r == 0 && !t->call.by_descriptor; i++)
		r = t->call.from && i == 0 ? source(t, t->call.path[i])
					   : one_path(t, t->call.path[i]);
	if (r == 0 && t->call.nofollow && t->call.n_paths == 1)
		return no_link(t, t->call.path[0], false);
	if (r == 0 && t->call.asks_extended && t->call.n_paths == 1)
		return extended(t, t->call.path[0]);
	if (r == 0 && t->call.asks_link && t->call.who == TRACE_BY_MACRO)
		return no_link(t, t->call.path[0], true);
	/* of a file that is asked by descriptor, size and content are inputs, as at home */
	if (r == 0 && t->call.n_paths == 1 && t->call.who == TRACE_BY_MACRO)
		r = t->call.by_descriptor ? know_of(t, t->call.path[0])
					  : stat_by_macro(t, t->call.path[0]);
	return r;
}

bool
trace_answer_stat(struct trace *t)
{
	const char *path = t->call.path[0];

	return t->call.n_paths == 1 && trace_rules_place(&t->rules, path) == PLACE_TREE &&
	       trace_stat_answer(&t->stat, &t->listener, t->root, path);
}
