/* The tracer's thread. Invariant: a call is answered exactly once, by this thread, or never, when
 * the job is to end; whatever the job does, the thread ends soon after its last process, or at
 * trace_stop.
 *
 * The job's tree is looked at on the host's side (what is mounted read-only is a directory of
 * ours); the private /tmp, which has no other side, through the caller's own root. */
#include "config.h"

#include "worker/tracer/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fs.h"
#include "trace/trace_call.h"
#include "trace/listener.h"
#include "trace/paths.h"
#include "trace/runtime.h"
#include "trace/set.h"
#include "worker/sandbox/out_dir.h"
#include "worker/sandbox/sandbox.h"
#include "worker/tracer/trace_rules.h"
#include "worker/tracer/trace_stat.h"

#define ASKS_MAX 8192 /* questions to one client */

struct trace {
	const struct stage *stage;
	const struct sysroot *sysroot;
	struct trace_rules rules;
	pthread_t thread;
	bool running;
	int root;	   /* the tree's directory */
	int out;	   /* the out-dir's */
	int socket, child; /* the listener comes here */
	int stop, event;   /* eventfds */
	struct trace_listener listener;

	/* The thread's, and after trace_stop the job's. */
	struct trace_set set;
	struct trace_stat stat;
	struct trace_call call;
	struct trace_caller caller;
	bool listening; /* the listener came */
	bool moved;	/* somebody changed the directory: relative paths are looked up */
	bool unread;	/* some call could not be understood */
	struct runtime_loading loading;
	uint32_t calls, fetched, asks;
	uint64_t wait_us;

	pthread_mutex_t lock;
	pthread_cond_t answered;
	enum trace_event news;	  /* under lock, as all that follows */
	char text[PATH_MAX + 64]; /* of the news */
	bool asked, found, ending;
	char refused[PATH_MAX + 64];
};

static void
ring(int fd)
{
	uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* Ends the job: says why, and leaves the call unanswered. */
static int _printf_(2, 3) refuse(struct trace *t, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&t->lock);
	if (t->news != TRACE_REFUSES) {
		t->news = TRACE_REFUSES;
		va_start(ap, fmt);
		vsnprintf(t->text, sizeof(t->text), fmt, ap);
		va_end(ap);
	}
	pthread_mutex_unlock(&t->lock);
	ring(t->event);
	return -EPERM;
}

/* Asks the client through the job's thread, and waits. 1: it is in the tree now; 0: absent; -errno:
 * the job ends. */
static int
ask(struct trace *t, const char *path)
{
	uint64_t begin = clock_mono_us();
	bool found, ending;

	if (++t->asks > ASKS_MAX)
		return refuse(t, "more than %d files that were not sent", ASKS_MAX);
	pthread_mutex_lock(&t->lock);
	if (t->news == TRACE_REFUSES) {
		/* Another thread of the job was refused, and the job's end is on its way: a
		 * question would take the place of its reason. */
		pthread_mutex_unlock(&t->lock);
		return -EPERM;
	}
	snprintf(t->text, sizeof(t->text), "%s", path);
	t->news = TRACE_ASKS;
	t->asked = true;
	t->refused[0] = '\0';
	ring(t->event);
	while (t->asked && !t->ending)
		pthread_cond_wait(&t->answered, &t->lock);
	found = t->found;
	ending = t->ending;
	pthread_mutex_unlock(&t->lock);
	t->wait_us += clock_mono_us() - begin;
	if (ending)
		return -ECANCELED;
	if (t->refused[0])
		return refuse(t, "%s", t->refused);
	t->fetched += found;
	return found;
}

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
	return fstatat(AT_FDCWD, host, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool
exists_below(const char *a, const char *b, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s%s/%s", a, b, name) < (int)sizeof(path) &&
	       access(path, F_OK) == 0;
}

/* The loader tries every directory of LD_LIBRARY_PATH for each library, and then its own in their
 * order; one that the toolchain or the system has is found there in the end, as at the client's. */
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

/* A path of the client's that is looked at, by its own name or below the alias: there is all that
 * the compiler can want of the out-dir, but a macro may want more. 0, or -errno: the job ends. */
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
			r = ask(t, path);
			kind = r > 0 ? TRACE_FILE : TRACE_ABSENT;
		}
	}
	if (r >= 0)
		trace_set_add(&t->set, TRACE_PATHS, path, kind);
	return MIN2(r, 0);
}

/* What another process left in the machine's /tmp, or in its /dev, is the client's; what the job
 * made there, and what every /dev has, is not. */
static int
look_new(struct trace *t, pid_t tid, const char *path)
{
	int r;

	if (in_new(tid, path) || trace_set_get(&t->set, TRACE_PATHS, path) != TRACE_NONE)
		return 0;
	r = ask(t, path);
	if (r > 0)
		return refuse(t, "the file %s", path);
	if (r == 0)
		trace_set_add(&t->set, TRACE_PATHS, path, TRACE_ABSENT);
	return r;
}

/* A client that has none of a directory has nothing in it: one question for all. */
static int
look_tree(struct trace *t, const char *path)
{
	static const char std[] = "/rustc"; /* where the compiler takes the sources of std to be */
	int r = 0;

	if (path_is_below(path, std) && !in_tree(t, path)) {
		r = look(t, std);
		if (r < 0 || trace_set_get(&t->set, TRACE_PATHS, std) == TRACE_ABSENT)
			return r;
	}
	return look(t, path);
}

/* Runtimes look for these in every process: the loader for its cache (see runtime.h) and for what
 * is to be preloaded, the compiler's allocator for its settings, by readlink. There is none here.
 */
static bool
is_runtimes(struct trace *t, const char *path)
{
	if (!path_is_below(path, "/etc"))
		return false;
	return runtime_loading_reads(&t->loading, (pid_t)t->listener.req->pid, path) ||
	       (t->call.op == TRACE_LOOK &&
		       (streq(path, "/etc/ld.so.preload") || streq(path, "/etc/malloc.conf")));
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
	r = ask(t, path);
	if (r >= 0)
		trace_set_add(&t->set, TRACE_PATHS, path, r > 0 ? TRACE_FILE : TRACE_ABSENT);
	return MIN2(r, 0);
}

/* A change of what the client has would not be one there. */
static int
change_out(struct trace *t, const char *path)
{
	enum trace_kind kind = trace_set_get(&t->set, TRACE_PATHS, path);
	int r;

	if (kind == TRACE_FILE)
		return refuse(t, "to write %s", path);
	if (kind != TRACE_NONE || trace_rules_own_output(&t->rules, path) ||
		trace_rules_temporary(&t->rules, path) || in_out(t, path))
		return 0;
	r = ask(t, path);
	if (r > 0)
		return refuse(t, "to write %s", path);
	if (r == 0)
		trace_set_add(&t->set, TRACE_PATHS, path, TRACE_ABSENT);
	return r;
}

/* Whether all that is in a directory was made by the job: it, or one above it, was not there. */
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

static int
take_said(struct trace *t, const char *said)
{
	const char *name = said + strlen(TRACE_ENV_PREFIX);
	bool macro = *said == TRACE_ENV_MACRO;

	if (strlen(said) <= strlen(TRACE_ENV_PREFIX) || starts_with(said, TRACE_REAL_PREFIX))
		return 0;
	if (trace_rules_withholds_env(&t->rules, name))
		return refuse(t, "the environment: %s", name);
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
		return refuse(t, "the listing of %s", path);
	if (place != PLACE_TREE || trace_set_get(&t->set, TRACE_LISTINGS, path) != TRACE_NONE)
		return 0;
	if (!trace_rules_listing_known(&t->rules, path))
		return refuse(t, "the listing of %s", path);
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
	return refuse(t, "to write %s", path);
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
	return refuse(t, "to run %s", starts_with(path, SANDBOX_BIN "/") ? name : path);
}

/* Whether it is one of the client's that the job sees. */
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
		return refuse(t, "the attributes of %s", path);
	if (!known) {
		r = ask(t, path);
		if (r < 0)
			return r;
		known = trace_stat_find(&t->stat, path);
	}
	if (!known || !known->mode)
		return refuse(t, "the attributes of %s", path);
	if (link && known->link)
		return refuse(t, "the symbolic link %s", path);
	trace_set_add(&t->set, link ? TRACE_LINK_STATS : TRACE_STATS, path,
		link ? TRACE_STATED_LINK : TRACE_STATED);
	return 0;
}

static int
one_path(struct trace *t, const char *path)
{
	const struct trace_call *c = &t->call;

	if (c->op == TRACE_SAID)
		return take_said(t, path);
	if (trace_is_environ(path))
		return refuse(t, "the whole environment");
	if (c->op == TRACE_LIST)
		return list(t, path);
	if (c->op == TRACE_EXEC)
		return run(t, path);
	if (c->op == TRACE_CHANGE || (c->op == TRACE_OPEN && c->write))
		return change(t, path);
	/* our stand-in is there: a start of it looks at its own name, by /proc/self/exe */
	if (streq(path, t->stage->unit->linker))
		return c->op == TRACE_OPEN ? refuse(t, "the file %s", path) : 0;
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
		return refuse(t, "what the kernel says in %s", path);
	default:
		return 0;
	}
}

/* Of an open file, or directory: what its owner knows of it. */
static int
know_of(struct trace *t, const char *path)
{
	if (trace_rules_place(&t->rules, path) != PLACE_TREE || !in_tree(t, path) ||
		trace_stat_find(&t->stat, path))
		return 0;
	return MIN2(ask(t, path), 0);
}

/* What a link is made of, or moved away: it is looked at, and must be the job's own to be moved. */
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

static void
find_caller(struct trace *t)
{
	struct trace_call *c = &t->call;

	if (c->op == TRACE_EXEC)
		trace_caller_exec(&t->caller, t->listener.req);
	else if (c->op == TRACE_SAID && streq(c->path[0], TRACE_ENV_HELLO))
		trace_caller_hello(&t->caller, t->listener.req);
	else if (c->attributes != TRACE_ATTRIBUTES_NONE)
		c->who = trace_caller_who(&t->caller, t->listener.req);
}

/* 0: the kernel goes on with it; a positive errno: the caller gets that; negative: no answer. */
static int
consider(struct trace *t)
{
	int r = 0;

	trace_call_read(t->listener.req, t->moved ? NULL : t->stage->unit->cwd, &t->call);
	if (t->call.op == TRACE_SOCKET)
		return refuse(t, "the network");
	if (t->call.op == TRACE_UNSEEN)
		return refuse(t, "files opened by io_uring or handles");
	if (t->call.op == TRACE_REMOUNT)
		return refuse(t, "to change where paths lead");
	if (t->call.error && t->call.error != -EFAULT && t->call.error != -EBADF)
		t->unread |= trace_listener_waits(&t->listener);
	if (t->listener.req->data.nr == SCMP_SYS(fchdir) || t->call.op == TRACE_CHDIR)
		t->moved = true;
	find_caller(t);
	for (unsigned i = 0; i < t->call.n_paths && r == 0 && !t->call.by_descriptor; i++)
		r = t->call.from && i == 0 ? source(t, t->call.path[i])
					   : one_path(t, t->call.path[i]);
	/* of what is asked by its descriptor, size and content are inputs, as at home */
	if (r == 0 && t->call.n_paths == 1 && t->call.who == TRACE_BY_MACRO)
		r = t->call.by_descriptor ? know_of(t, t->call.path[0])
					  : stat_by_macro(t, t->call.path[0]);
	return r;
}

/* The tree's files are the worker's, of its own age and mode; a stat says what it would at the
 * client's. */
static bool
answer_stat(struct trace *t)
{
	const char *path = t->call.path[0];

	return t->call.n_paths == 1 && trace_rules_place(&t->rules, path) == PLACE_TREE &&
	       trace_stat_answer(&t->stat, t->listener.req, t->root, path);
}

/* ---- the thread */

/* Whether there is more to come. */
static bool
serve_one(struct trace *t)
{
	int r = trace_listener_next(&t->listener);

	if (r <= 0)
		return r == 0;
	t->calls++;
	/* a compiler asks this of each file that it reads, for its size alone */
	if (trace_stat_is_by_descriptor(t->listener.req) &&
		trace_caller_who(&t->caller, t->listener.req) != TRACE_BY_MACRO) {
		trace_listener_go_on(&t->listener);
		return true;
	}
	r = consider(t);
	if (r < 0)
		return r != -ECANCELED;
	if (t->call.op == TRACE_STAT && answer_stat(t))
		trace_listener_answer(&t->listener, 0);
	else
		trace_listener_go_on(&t->listener);
	return true;
}

static void
serve(struct trace *t)
{
	struct pollfd fds[2] = { { .fd = t->listener.fd, .events = POLLIN },
		{ .fd = t->stop, .events = POLLIN } };

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return;
		if (fds[1].revents)
			return;
		if (fds[0].revents & POLLIN) {
			if (!serve_one(t))
				return;
		} else if (fds[0].revents) {
			return;
		}
	}
}

static void *
thread_main(void *arg)
{
	struct trace *t = arg;

	if (trace_listener_accept(&t->listener, t->socket, t->stop) == 0) {
		t->listening = true;
		serve(t);
	}
	closep(&t->listener.fd);
	return NULL;
}

static int
start(struct trace *t)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	t->socket = pair[0];
	t->child = pair[1];
	t->stop = eventfd(0, EFD_CLOEXEC);
	t->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t->root = open(t->stage->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	t->out = open(t->stage->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->stop < 0 || t->event < 0 || t->root < 0 || t->out < 0)
		return -errno;
	r = trace_listener_init(&t->listener);
	if (r < 0)
		return r;
	r = trace_rules_init(&t->rules, t->stage->unit, t->sysroot->lib_dirs.v, &t->stage->tmp);
	if (r < 0)
		return r;
	r = trace_stat_init(&t->stat, t->stage->unit);
	if (r < 0)
		return r;
	r = -pthread_create(&t->thread, NULL, thread_main, t);
	t->running = r == 0;
	return r;
}

int
trace_new(const struct stage *stage, const struct sysroot *sysroot, struct trace **ret)
{
	_cleanup_(trace_freep) struct trace *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->stage = stage;
	t->sysroot = sysroot;
	t->listener.fd = -1;
	t->root = t->out = t->socket = t->child = t->stop = t->event = -1;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->answered, NULL);
	r = start(t);
	if (r < 0)
		return r;
	*ret = steal_ptr(t);
	return 0;
}

int
trace_child_socket(const struct trace *t)
{
	return t->child;
}

void
trace_handed(struct trace *t)
{
	closep(&t->child);
}

int
trace_event_fd(const struct trace *t)
{
	return t->event;
}

enum trace_event
trace_event(struct trace *t, char ret_text[PATH_MAX + 64])
{
	enum trace_event news;
	uint64_t count;

	while (read(t->event, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&t->lock);
	news = t->news;
	if (news == TRACE_ASKS)
		t->news = TRACE_QUIET;
	memcpy(ret_text, t->text, sizeof(t->text));
	pthread_mutex_unlock(&t->lock);
	return news;
}

void
trace_set_times(struct trace *t, const char *path, const Dray__FileTimes *times)
{
	/* The thread waits in ask(): the table is ours for the moment. */
	trace_stat_add(&t->stat, path, times);
}

void
trace_answer(struct trace *t, bool found, const char *refused)
{
	pthread_mutex_lock(&t->lock);
	t->asked = false;
	t->found = found;
	if (refused)
		snprintf(t->refused, sizeof(t->refused), "%s", refused);
	pthread_cond_signal(&t->answered);
	pthread_mutex_unlock(&t->lock);
}

void
trace_stop(struct trace *t)
{
	if (!t->running)
		return;
	pthread_mutex_lock(&t->lock);
	t->ending = true;
	pthread_cond_signal(&t->answered);
	pthread_mutex_unlock(&t->lock);
	ring(t->stop);
	pthread_join(t->thread, NULL);
	t->running = false;
}

bool
trace_was_given(const struct trace *t, const char *path)
{
	return trace_set_get(&t->set, TRACE_PATHS, path) == TRACE_FILE;
}

static int
fill(const struct trace_set *s, enum trace_kind kind, char ***ret, size_t *ret_n)
{
	size_t n = 0;

	*ret = calloc(s->n + 1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i]->kind == kind)
			(*ret)[n++] = s->v[i]->name;
	*ret_n = n;
	return 0;
}

bool
trace_message(const struct trace *t, Dray__Trace *m)
{
	const struct trace_set *s = &t->set;

	dray__trace__init(m);
	if (!t->listening)
		return false;
	m->whole = !s->lost && !t->unread;
	m->calls = t->calls;
	m->fetched = t->fetched;
	m->wait_us = t->wait_us;
	if (fill(s, TRACE_FILE, &m->files, &m->n_files) < 0 ||
		fill(s, TRACE_ABSENT, &m->absent, &m->n_absent) < 0 ||
		fill(s, TRACE_DIR, &m->dirs, &m->n_dirs) < 0 ||
		fill(s, TRACE_STATED, &m->stats, &m->n_stats) < 0 ||
		fill(s, TRACE_STATED_LINK, &m->link_stats, &m->n_link_stats) < 0 ||
		fill(s, TRACE_ENV_OF_MACRO, &m->env, &m->n_env) < 0 ||
		fill(s, TRACE_ENV_OF_RUSTC, &m->rustc_env, &m->n_rustc_env) < 0) {
		trace_message_done(m);
		return false;
	}
	return true;
}

void
trace_message_done(Dray__Trace *m)
{
	free(m->files);
	free(m->absent);
	free(m->dirs);
	free(m->stats);
	free(m->link_stats);
	free(m->env);
	free(m->rustc_env);
	dray__trace__init(m);
}

void
trace_freep(struct trace **tp)
{
	struct trace *t = *tp;

	*tp = NULL;
	if (!t)
		return;
	trace_stop(t);
	trace_rules_done(&t->rules);
	trace_set_done(&t->set);
	trace_stat_done(&t->stat);
	trace_caller_done(&t->caller);
	trace_listener_done(&t->listener);
	closep(&t->root);
	closep(&t->out);
	closep(&t->socket);
	closep(&t->child);
	closep(&t->stop);
	closep(&t->event);
	pthread_cond_destroy(&t->answered);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
