/* dray-trace: runs a compiler, or a build script, on this machine and records what it looked at.
 *
 *   dray-trace [--record-fd=FD] [--began=TIME] [--toolchain=DIR]…
 *              [--writable=DIR]… [--temporary=DIR]… [--argv0=NAME]
 *              [--linker | --script [--trust] [--hide-library-path]]
 *              -- PROGRAM ARGS…
 *
 * The record (trace/watch.h) is written to FD in the end. Where the kernel refuses to tell, the
 * program runs all the same, and the record says so. It stands in for the program: same streams,
 * directory and environment, its exit status, and its death by a signal. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/child.h"
#include "common/clock.h"
#include "common/daemon.h"
#include "common/fs.h"
#include "common/procfs.h"
#include "trace/asked.h"
#include "trace/attach.h"
#include "trace/filter.h"
#include "trace/listener.h"
#include "trace/paths.h"
#include "trace/program.h"
#include "trace/script.h"
#include "trace/watch.h"

extern char **environ;

#define STATUS_USAGE 2
#define STATUS_NOT_STARTED 127
#define KNOWN 64
#define REST_MS 100
#define RECENT 64
#define RECENT_MS 500
#define STARTED 256
#define TRIAL_MS 30000 /* a machine under heavy load */

struct run {
	struct watch watch;
	struct trace_call call;
	struct trace_listener listener;
	struct trace_caller caller;
	struct buf filter;
	char **argv;
	const char *argv0;     /* the program's name, where it is not its path; NULL */
	struct timespec began; /* the one that asks for the record; 0: nothing is to wait for */
	bool hides;	       /* LD_LIBRARY_PATH, from the loader (trace/preload/run_spawn.c) */
	int record, socket, child_socket;
	char *env;	    /* dray-env.so, or a script's dray-run.so */
	char cwd[PATH_MAX]; /* that all begin in; "": not known */
	bool moved;	    /* one of them has changed it: relative paths are looked up */
	pid_t pid;	    /* the compiler's */
	int ended;	    /* its pidfd */
	struct known {
		char *program;
		const char *class;
		bool keeps_cache;	/* it is a driver */
		bool uses_all, is_make; /* of a script's tree */
	} known[KNOWN];			/* programs that `by` has thought about */
	size_t n_known;
	struct recent {
		pid_t pid;
		uint64_t runs, when;
		const struct known *known;
	} recent[RECENT];    /* callers, by number */
	uint64_t runs;	     /* programs that were run */
	char rest[PATH_MAX]; /* the program of a process that stays behind */
	char *jobserver;
	int asked;		/* the table of asked.h; -1: there is none */
	pid_t started[STARTED]; /* that ran a program last */
	size_t n_started;
};

static void
usage(FILE *to)
{
	fputs("usage: dray-trace [--record-fd=FD] [--began=TIME] [--toolchain=DIR]...\n"
	      "                  [--writable=DIR]... [--temporary=DIR]... [--argv0=NAME]\n"
	      "                  [--linker | --script [--trust] [--hide-library-path]]\n"
	      "                  [--help] [--version] -- PROGRAM ARGS...\n"
	      "Runs a compiler, or a build script, and records what it looks at; started by "
	      "dray.\n",
		to);
}

static int
parse_list(const char *arg, const char *option, struct strv *list)
{
	if (!starts_with(arg, option))
		return 0;
	return strv_add(list, arg + strlen(option)) < 0 ? -ENOMEM : 1;
}

static bool
parse_time(const char *arg, struct timespec *ret)
{
	long long sec;
	long nsec;
	int at = 0;

	if (sscanf(arg, "%lld.%9ld%n", &sec, &nsec, &at) != 2 || arg[at])
		return false;
	*ret = (struct timespec){ .tv_sec = (time_t)sec, .tv_nsec = nsec };
	return true;
}

static bool
parse_one(struct run *r, const char *arg)
{
	if (starts_with(arg, "--record-fd="))
		return daemon_parse_fd(arg + strlen("--record-fd="), &r->record) == 0 &&
		       fcntl(r->record, F_SETFD, FD_CLOEXEC) == 0;
	if (starts_with(arg, "--began="))
		return parse_time(arg + strlen("--began="), &r->began);
	if (streq(arg, "--linker")) {
		r->watch.linker = true;
		return true;
	}
	if (starts_with(arg, "--argv0=")) {
		r->argv0 = arg + strlen("--argv0=");
		return true;
	}
	if (streq(arg, "--script")) {
		r->watch.script.on = true;
		return true;
	}
	if (streq(arg, "--hide-library-path")) {
		r->hides = true;
		return true;
	}
	if (streq(arg, "--trust")) {
		r->watch.script.trust = true;
		return true;
	}
	return parse_list(arg, "--toolchain=", &r->watch.toolchain) > 0 ||
	       parse_list(arg, "--writable=", &r->watch.writable) > 0 ||
	       parse_list(arg, "--temporary=", &r->watch.temporary) > 0;
}

/* Whether there is something to run; else *ret_status is what to exit with. */
static bool
parse(struct run *r, int argc, char **argv, int *ret_status)
{
	int i;

	*ret_status = STATUS_USAGE;
	for (i = 1; i < argc && !streq(argv[i], "--"); i++) {
		if (streq(argv[i], "--help") || streq(argv[i], "--version")) {
			if (argv[i][2] == 'h')
				usage(stdout);
			else
				puts("dray-trace " PACKAGE_VERSION);
			*ret_status = 0;
			return false;
		}
		if (parse_one(r, argv[i]))
			continue;
		/* of a dray of another version, while one is installed: the program must run */
		for (int k = i; k + 1 < argc; k++)
			if (streq(argv[k], "--"))
				execvp(argv[k + 1], argv + k + 1);
		fprintf(stderr, "dray-trace: bad argument '%s'\n", argv[i]);
		return false;
	}
	if (i + 1 >= argc) {
		usage(stderr);
		return false;
	}
	r->argv = argv + i + 1;
	return true;
}

/* A compiler must not outlive the one who started it: it would write over what the next one makes.
 * The pipe's end says it where he ended before. */
static bool
follow_parent(const struct run *r)
{
	struct pollfd p = { .fd = r->record };

	if (r->record < 0)
		return true;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return poll(&p, 1, 0) <= 0 || !(p.revents & POLLERR);
}

/* ---- in the child */

/* Ours stands first; what the user has there is left to the compiler. */
static int
preload(const struct run *r)
{
	_cleanup_(freep) char *both = NULL;
	const char *old = getenv("LD_PRELOAD");

	if (old && *old && asprintf(&both, "%s:%s", r->env, old) < 0)
		return -ENOMEM;
	return setenv("LD_PRELOAD", both ? both : r->env, 1) < 0 ? -errno : 0;
}

/* dray-run.so gives it its name again. */
static void
hide_library_path(void)
{
	static const char name[] = TRACE_LIBRARY_PATH, other[] = TRACE_LIBRARY_PATH_HIDDEN;
	char *copy;

	for (char **e = environ; *e; e++) {
		if (starts_with(*e, other))
			return;
		copy = starts_with(*e, name) ? strdup(*e) : NULL;
		if (copy)
			*e = memcpy(copy, other, strlen(other));
	}
}

static void
exec_it(const struct run *r)
{
	char **argv = r->argv;
	char *path = argv[0];
	union {
		const char *in;
		char *out;
	} name = { r->argv0 ? r->argv0 : path };

	argv[0] = name.out;
	execvp(path, argv);
	argv[0] = path;
}

static int
run_program(const struct run *r)
{
	exec_it(r);
	fprintf(stderr, "dray: cannot run %.400s: %s\n", r->argv[0], strerror(errno));
	return STATUS_NOT_STARTED;
}

static int
in_untraced_child(void *arg)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return run_program(arg);
}

/* Once the filter is in place the program is run only if the tracer has answered one call: what
 * cannot be traced is run by another child, which has no filter. */
static int
in_child(void *arg)
{
	struct run *r = arg;
	char *old = getenv("LD_PRELOAD");
	int k;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	errno = r->watch.linker ? 0 : -preload(r);
	k = errno ? -1 : trace_attach(r->filter.p, r->filter.n, r->child_socket);
	if (k < 0)
		trace_attach_refused(errno, r->child_socket);
	if (k > 0 || (k == 0 && !trace_attach_try()))
		return STATUS_NOT_STARTED;
	if (k < 0 && old)
		setenv("LD_PRELOAD", old, 1);
	else if (k < 0)
		unsetenv("LD_PRELOAD");
	else if (r->hides)
		hide_library_path();
	return run_program(r);
}

/* ---- here */

static bool
program_of(pid_t pid, char ret[PATH_MAX])
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%ld/exe", (long)pid);
	n = readlink(link, ret, PATH_MAX - 1);
	ret[MAX2(n, (ssize_t)0)] = '\0';
	return n >= 0;
}

static bool
is_make(const char *exe)
{
	static const char *const names[] = { "cmake", "gmake", "make", "ninja", "samu" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (streq(path_basename(exe), names[i]))
			return true;
	return false;
}

/* What the program is; the one that was not asked about for the longest time makes room. */
static const struct known *
know(struct run *r, const char *exe)
{
	struct known *k;

	for (size_t i = 0; i < MIN2(r->n_known, (size_t)KNOWN); i++)
		if (r->known[i].program && streq(r->known[i].program, exe))
			return &r->known[i];
	k = &r->known[r->n_known++ % KNOWN];
	free(k->program);
	r->runs++; /* what is recent may have been this one */
	*k = (struct known){ .program = strdup(exe),
		.class = watch_class(&r->watch, exe, PROGRAM_DYNAMIC),
		.keeps_cache = program_keeps_cache(exe),
		.uses_all = r->watch.script.on && script_uses_all(&r->watch, exe),
		.is_make = is_make(exe) };
	return k;
}

/* The caller's program; NULL: it is not known. In a script's tree it is looked up again when any of
 * its processes ran another one, and after a while, since numbers of processes are used again. */
static const struct known *
caller_program(struct run *r)
{
	pid_t pid = (pid_t)r->listener.req->pid;
	struct recent *c = &r->recent[(unsigned)pid % RECENT];
	uint64_t now = r->watch.script.on ? clock_mono_ms() : 0;
	char exe[PATH_MAX];

	if (r->watch.script.on && c->known && c->pid == pid && c->runs == r->runs &&
		now - c->when < RECENT_MS && c->known->program)
		return c->known;
	if (!program_of(pid, exe))
		return NULL;
	*c = (struct recent){ .pid = pid, .when = now, .known = know(r, exe) };
	c->runs = r->runs;
	return c->known;
}

static const char *
exe(void *arg)
{
	struct run *r = arg;
	const struct known *k = caller_program(r);

	if (k && k->program)
		return k->program;
	return trace_listener_waits(&r->listener) ? "" : NULL;
}

/* The script's own program is seen to ask for each one. */
static bool
uses_all(void *arg)
{
	struct run *r = arg;
	const struct known *k = caller_program(r);
	const char *own = r->watch.script.program;

	return !k || !k->program || ((!own || !streq(k->program, own)) && k->uses_all);
}

/* A process that the compiler forks has its program until it runs another. What was started may
 * become the compiler after a while (rustup's proxy), or start it (a script). */
static enum watch_by
by(void *arg)
{
	struct run *r = arg;
	const struct known *k = caller_program(r);
	char compiler[PATH_MAX];
	const char *exe;

	if (!k || !k->program)
		return r->watch.script.on ? WATCH_BY_OTHER : WATCH_BY_COMPILER;
	exe = k->program;
	if (streq(k->class, "linker"))
		return WATCH_BY_LINKER;
	if (k->keeps_cache)
		return WATCH_BY_DRIVER;
	if (streq(k->class, "git"))
		return WATCH_BY_GIT;
	if (starts_with(path_basename(exe), "python") || starts_with(path_basename(exe), "pypy"))
		return WATCH_BY_PYTHON;
	if (r->watch.script.on)
		return k->is_make ? WATCH_BY_MAKE : WATCH_BY_OTHER;
	if (!program_of(r->pid, compiler))
		return WATCH_BY_COMPILER;
	return !r->watch.linker && (streq(exe, compiler) || streq(path_basename(exe), "rustc") ||
					   streq(path_basename(exe), "clippy-driver"))
		       ? WATCH_BY_COMPILER
		       : WATCH_BY_OTHER;
}

static void
find_caller(struct run *r)
{
	struct trace_call *c = &r->call;

	r->runs += c->op == TRACE_EXEC;
	if (r->watch.script.on && c->op == TRACE_EXEC)
		r->started[r->n_started++ % STARTED] = (pid_t)r->listener.req->pid;
	/* a script's own code and what it loads are one */
	if (r->watch.script.on)
		return;
	if (c->op == TRACE_EXEC)
		trace_caller_exec(&r->caller, r->listener.req);
	else if (c->op == TRACE_SAID && streq(c->path[0], TRACE_ENV_HELLO))
		trace_caller_hello(&r->caller, r->listener.req);
	else if (c->attributes != TRACE_ATTRIBUTES_NONE || c->asks_link)
		c->who = trace_caller_who(&r->caller, r->listener.req);
}

static void
consider(struct run *r)
{
	const struct seccomp_notif *req = r->listener.req;

	trace_call_read(req, r->moved || !*r->cwd ? NULL : r->cwd, &r->call);
	/* a caller that is gone is not let go on, either */
	if (r->call.error && !trace_listener_waits(&r->listener))
		return;
	r->moved |= r->call.op == TRACE_CHDIR || req->data.nr == SYS_fchdir;
	find_caller(r);
	watch_pass_links(&r->watch, &r->call);
	watch_call(&r->watch, &r->call, by, r);
	if (r->asked >= 0 && r->call.op == TRACE_SAID && streq(r->call.path[0], TRACE_ASKED))
		trace_listener_give(&r->listener, r->asked);
	else
		trace_listener_go_on(&r->listener);
}

static void
serve(struct run *r)
{
	struct pollfd fds[2] = { { .fd = r->listener.fd, .events = POLLIN },
		{ .fd = r->ended, .events = POLLIN } };

	for (;;) {
		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		if (fds[0].revents & POLLIN) {
			int k = trace_listener_next(&r->listener);

			if (k < 0)
				return;
			if (k > 0)
				consider(r);
		} else if (fds[0].revents || fds[1].revents) {
			return;
		}
	}
}

/* All but standard input. */
static int
close_all(void)
{
	DIR *d;
	struct dirent *e;

	if (close_range(1, ~0U, 0) == 0)
		return 0;
	d = opendir("/proc/self/fd");
	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		int fd = atoi(e->d_name);

		if (fd > 0 && fd != dirfd(d))
			close(fd);
	}
	closedir(d);
	return 0;
}

/* Of those that ran a program, one that is still there; NULL: none is known. */
static const char *
find_rest(struct run *r)
{
	for (size_t i = 0; i < MIN2(r->n_started, (size_t)STARTED); i++) {
		pid_t pid = r->started[(r->n_started - 1 - i) % STARTED];

		if (pid != r->pid && program_of(pid, r->rest))
			return path_basename(r->rest);
	}
	return NULL;
}

/* Whether all processes that have the filter end soon: the last ones of a pipe may take a moment.
 */
static bool
all_end(struct run *r)
{
	struct pollfd p = { .fd = r->listener.fd, .events = POLLIN };
	int64_t until = (int64_t)clock_mono_ms() + REST_MS;

	for (;;) {
		int64_t left = until - (int64_t)clock_mono_ms();
		int k = poll(&p, 1, (int)MAX2(left, (int64_t)0));

		if (k > 0 && (p.revents & (POLLHUP | POLLERR)) && !(p.revents & POLLIN))
			return true;
		if (left <= 0 || (k < 0 && errno != EINTR))
			return false;
		if (k <= 0)
			continue;
		k = trace_listener_next(&r->listener);
		if (k < 0)
			return false;
		if (k > 0)
			consider(r);
	}
}

static void
look_for_rest(struct run *r)
{
	const char *program;

	if (r->listener.fd < 0 || all_end(r))
		return;
	program = find_rest(r);
	watch_doubt(&r->watch, "a process that it started still runs%s%s", program ? ": " : "",
		program ? program : "");
}

/* Without an answer to its calls, what was left running (a server that a program of the compile
 * started, for others as well) could open no file any more. */
static void
keep_answering(struct run *r)
{
	struct pollfd p = { .fd = r->listener.fd, .events = POLLIN };

	if (p.fd < 0 || (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR))))
		return;
	if (fork() != 0)
		return;
	/* nobody waits for it: it holds no lock, and no end of a pipe */
	setsid();
	if (dup2(p.fd, 0) != 0 || close_all() < 0)
		_exit(1);
	r->listener.fd = p.fd = 0;
	while (poll(&p, 1, -1) > 0 || errno == EINTR) {
		int k = p.revents & POLLIN ? trace_listener_next(&r->listener) : -EIO;

		if (k < 0)
			break;
		if (k > 0)
			trace_listener_go_on(&r->listener);
	}
	_exit(0);
}

static int
untraced(struct run *r, const char *what, int error)
{
	if (error)
		watch_doubt(&r->watch, "it was not traced: %s: %s", what, strerror(-error));
	else
		watch_doubt(&r->watch, "it was not traced: %s", what);
	return -ENOTSUP;
}

/* Without it no program gets the table: it could not be told that a link leads elsewhere. */
static void
map_age(struct run *r)
{
	void *at = r->asked < 0 ? MAP_FAILED
				: mmap(NULL, ASKED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
					  r->asked, 0);

	if (at == MAP_FAILED)
		closep(&r->asked);
	else
		r->watch.script.age = (uint64_t *)at + ASKED_AGE;
}

static void
prepare_script(struct run *r)
{
	static const char fifo[] = "--jobserver-auth=fifo:";
	const char *flags = getenv("CARGO_MAKEFLAGS"), *at;

	at = flags ? strstr(flags, fifo) : NULL;
	if (!at) {
		flags = getenv("MAKEFLAGS");
		at = flags ? strstr(flags, fifo) : NULL;
	}
	if (at)
		r->jobserver = strndup(at + strlen(fifo), strcspn(at + strlen(fifo), " "));
	if (r->watch.script.on) {
		r->watch.set.max_bytes = TRACE_SET_SCRIPT_BYTES;
		r->asked = memfd_create("dray-asked", MFD_CLOEXEC);
		if (r->asked >= 0 && ftruncate(r->asked, ASKED_BYTES) < 0)
			closep(&r->asked);
		map_age(r);
	}
	r->watch.script.jobserver = r->jobserver;
	r->watch.script.library = r->env;
	r->watch.exe = exe;
	r->watch.all = uses_all;
}

static int
prepare(struct run *r)
{
	int pair[2], k;

	r->env = spawn_find_program(r->watch.script.on ? "dray-run.so" : "dray-env.so");
	if (r->env && strv_add(&r->watch.toolchain, r->env) < 0)
		return -ENOMEM;
	prepare_script(r);
	if (!r->env && !r->watch.linker)
		return untraced(r,
			r->watch.script.on ? "dray-run.so is not installed"
					   : "dray-env.so is not installed",
			0);
	if (!getcwd(r->cwd, sizeof(r->cwd)) || r->cwd[0] != '/')
		r->cwd[0] = '\0';
	if (*r->cwd && strv_add(&r->watch.project, r->cwd) < 0)
		return -ENOMEM;
	if (!procfs_is_ours())
		return untraced(r, "/proc is not of this PID namespace", 0);
	if (!trace_filter_possible())
		return untraced(r, "seccomp user notification", -errno);
	k = trace_filter_make(r->watch.script.on ? TRACE_FILTER_SCRIPT : 0, &r->filter);
	if (k == 0)
		k = trace_listener_init(&r->listener);
	if (k < 0)
		return untraced(r, "seccomp", k);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return untraced(r, "socketpair", -errno);
	r->socket = pair[0];
	r->child_socket = pair[1];
	return 0;
}

/* Answers the call that the child makes to try it: whether all works that will be needed. */
static int
answer_trial(struct run *r)
{
	struct pollfd p = { .fd = r->listener.fd, .events = POLLIN };
	struct trace_call *c = &r->call;
	char cwd[PATH_MAX], link[48];
	int k = 0;

	while (k == 0) {
		if (poll(&p, 1, TRIAL_MS) <= 0 && errno != EINTR)
			return untraced(r, "it is not heard of", 0);
		k = trace_listener_next(&r->listener);
	}
	if (k < 0)
		return untraced(r, "its calls cannot be received", 0);
	trace_call_read(r->listener.req, NULL, c);
	if (c->op != TRACE_SAID || !streq(c->path[0], TRACE_TRIAL))
		return untraced(r, "its memory cannot be read", c->error);
	snprintf(link, sizeof(link), "/proc/%ld/cwd", (long)r->pid);
	if (readlink(link, cwd, sizeof(cwd)) < 0)
		return untraced(r, link, -errno);
	/* as late as can be: most of the time the clock has ticked by now */
	r->watch.started = r->began.tv_sec ? clock_stamp_after(&r->began) : clock_stamp();
	if (trace_listener_go_on(&r->listener) < 0)
		return untraced(r, "its calls cannot be answered", 0);
	return 0;
}

/* Takes hold of a child that waits to be traced. 0; -EPIPE: it runs, without a filter; -ENOTSUP:
 * it must not run. */
static int
take_hold(struct run *r)
{
	int k;

	closep(&r->child_socket);
	r->ended = (int)syscall(SYS_pidfd_open, r->pid, 0);
	if (r->ended < 0)
		return untraced(r, "pidfd_open", -errno);
	k = trace_listener_accept(&r->listener, r->socket, -1);
	if (k == -EPIPE) {
		/* the kernel has one listener for a process and all that it starts */
		if (r->listener.refused == EBUSY)
			untraced(r,
				"another program is told of its calls already: a compile that runs "
				"cargo, or a sandbox",
				0);
		else
			untraced(r, "seccomp is refused", -r->listener.refused);
		return k;
	}
	return k < 0 ? untraced(r, "its listener does not come", k) : answer_trial(r);
}

static int
start_untraced(struct run *r)
{
	int k;

	if (r->pid > 0) {
		kill(r->pid, SIGKILL);
		child_wait(r->pid);
	}
	k = child_fork(in_untraced_child, r, &r->pid);
	return k < 0 ? k : 0;
}

static void
write_record(struct run *r)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (r->record < 0)
		return;
	watch_end(&r->watch);
	if (watch_record(&r->watch, &b) == 0)
		child_write(r->record, b.p, b.n);
}

/* No process can be made for it, so this one becomes the compiler; the record stays empty. */
static int
not_started(struct run *r)
{
	exec_it(r);
	fprintf(stderr, "dray: cannot run %.400s: %s\n", r->argv[0], strerror(errno));
	return STATUS_NOT_STARTED;
}

static int
run(struct run *r)
{
	int k = prepare(r);

	child_catch_signals();
	if (k == 0) {
		k = child_fork(in_child, r, &r->pid);
		if (k == 0 && take_hold(r) == -ENOTSUP)
			k = start_untraced(r);
		else if (k == 0 && r->listener.fd >= 0)
			serve(r);
	} else {
		k = start_untraced(r);
	}
	if (k < 0)
		return child_signal() ? SPAWN_SIGNALLED + child_signal() : not_started(r);
	k = child_wait(r->pid);
	if (r->watch.script.on)
		look_for_rest(r);
	write_record(r);
	keep_answering(r);
	closep(&r->listener.fd);
	return k < 0 ? STATUS_NOT_STARTED : k;
}

int
main(int argc, char **argv)
{
	struct run r = { .record = -1, .socket = -1, .child_socket = -1, .ended = -1, .asked = -1 };
	int status;

	r.watch.set = (struct trace_set)TRACE_SET_INIT;
	r.listener.fd = -1;
	r.call.here = true;
	if (parse(&r, argc, argv, &status))
		status = follow_parent(&r) ? run(&r) : SPAWN_SIGNALLED + SIGKILL;
	trace_listener_done(&r.listener);
	trace_caller_done(&r.caller);
	watch_done(&r.watch);
	buf_done(&r.filter);
	free(r.env);
	free(r.jobserver);
	for (size_t i = 0; i < KNOWN; i++)
		free(r.known[i].program);
	closep(&r.socket);
	closep(&r.child_socket);
	closep(&r.ended);
	closep(&r.asked);
	child_exit(status);
}
