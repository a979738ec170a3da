/* Invariants: the program runs once, traced or not; what was received from it is answered. */
#include "config.h"

#include "trace/tracer.h"

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

#include "common/process/child.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/process/procfs.h"
#include "trace/asked.h"
#include "trace/attach.h"
#include "trace/caller.h"
#include "trace/filter.h"
#include "trace/listener.h"
#include "trace/paths.h"
#include "trace/program.h"
#include "trace/script.h"
#include "trace/watch.h"

extern char **environ;

#define STATUS_NOT_STARTED 127
#define KNOWN 64
#define REST_MS 100
#define RECENT 64
#define RECENT_MS 500
#define STARTED 256
#define EXEC_MS 30000 /* a machine under heavy load */

struct tracer {
	struct watch watch;
	struct trace_call call;
	struct trace_listener listener;
	struct trace_caller caller;
	struct buf filter;
	char *const *argv;
	char *const *envp;
	const char *argv0;     /* the program's name, where it is not its path; NULL */
	struct timespec began; /* the one that asks for the record; 0: nothing is to wait for */
	bool hides;	       /* LD_LIBRARY_PATH, from the loader (trace/preload/run_spawn.c) */
	struct buf maps;       /* TRACE_PREFIX_MAP, as a variable */
	int socket, child_socket;
	char *env;	    /* dray-env.so, or a script's dray-run.so */
	char cwd[PATH_MAX]; /* that all begin in; "": not known */
	bool moved;	    /* one of them has changed it: relative paths are looked up */
	pid_t pid;	    /* the compiler's */
	int ended;	    /* its pidfd */
	uint64_t rest_ms;   /* when its end was seen, while others go on; 0: it was not yet */
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

static int
add_map(struct tracer *r, const char *map)
{
	if (!*map || strchr(map, '\n'))
		return -EINVAL;
	if (buf_adds(&r->maps, r->maps.n ? "\n" : TRACE_PREFIX_MAP) < 0)
		return -ENOMEM;
	return buf_adds(&r->maps, map);
}

int
tracer_option(struct tracer *r, const char *arg)
{
	int k;

	if (starts_with(arg, "--began="))
		return parse_time(arg + strlen("--began="), &r->began) ? 0 : -EINVAL;
	if (starts_with(arg, "--argv0="))
		r->argv0 = arg + strlen("--argv0=");
	else if (streq(arg, "--linker"))
		r->watch.linker = true;
	else if (streq(arg, "--script"))
		r->watch.script.on = true;
	else if (streq(arg, "--hide-library-path"))
		r->hides = true;
	else if (starts_with(arg, "--prefix-map="))
		return add_map(r, arg + strlen("--prefix-map="));
	else if (streq(arg, "--trust"))
		r->watch.script.trust = true;
	else if ((k = parse_list(arg, "--toolchain=", &r->watch.toolchain)) != 0 ||
		 (k = parse_list(arg, "--writable=", &r->watch.writable)) != 0 ||
		 (k = parse_list(arg, "--temporary=", &r->watch.temporary)) != 0)
		return MIN2(k, 0);
	else
		return -EINVAL;
	return 0;
}

/* ---- in the child */

/* Ours stands first; what the user has there is left to the compiler. */
static int
preload(const struct tracer *r)
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
exec_it(const struct tracer *r)
{
	char **argv = (char **)r->argv;
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
run_program(const struct tracer *r, bool traced)
{
	exec_it(r);
	/* the tracer did not get the listener, and starts it once more */
	if (traced && errno == ENOSYS)
		return STATUS_NOT_STARTED;
	fprintf(stderr, "dray: cannot run %.400s: %s\n", r->argv[0], strerror(errno));
	return STATUS_NOT_STARTED;
}

static int
in_untraced_child(void *arg)
{
	return run_program(arg, false);
}

/* Makes room where there are few descriptors (ulimit -n): closes what the exec closes, but for one.
 */
static void
close_spare(int but)
{
	int max = (int)MIN2(sysconf(_SC_OPEN_MAX), 1024L);

	for (int fd = STDERR_FILENO + 1; fd < max; fd++) {
		int flags = fd == but ? 0 : fcntl(fd, F_GETFD);

		if (flags > 0 && (flags & FD_CLOEXEC))
			close(fd);
	}
}

/* Once the filter is in place, the program is run only if the tracer has answered the exec: what
 * cannot be traced is killed before, and run by another child, which has no filter. */
static int
in_child(void *arg)
{
	struct tracer *r = arg;
	char *old = getenv("LD_PRELOAD");
	int k;

	errno = r->watch.linker ? 0 : -preload(r);
	k = errno ? -1 : trace_attach(r->filter.p, r->filter.n, r->child_socket);
	if (k < 0 && errno == EMFILE) {
		close_spare(r->child_socket);
		k = trace_attach(r->filter.p, r->filter.n, r->child_socket);
	}
	if (k < 0)
		trace_attach_refused(errno, r->child_socket);
	if (k > 0)
		return STATUS_NOT_STARTED;
	if (k < 0 && old)
		setenv("LD_PRELOAD", old, 1);
	else if (k < 0)
		unsetenv("LD_PRELOAD");
	if (k == 0 && r->hides)
		hide_library_path();
	if (k == 0 && r->maps.n)
		putenv((char *)r->maps.p);
	return run_program(r, k == 0);
}

/* ---- here */

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
know(struct tracer *r, const char *exe)
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

/* The caller's program; NULL: it is not known. It is looked up again when any process ran another
 * one, and after a while, since numbers of processes are used again. */
static const struct known *
caller_program(struct tracer *r)
{
	pid_t pid = (pid_t)r->listener.req->pid;
	struct recent *c = &r->recent[(unsigned)pid % RECENT];
	uint64_t now = clock_mono_ms();
	char exe[PATH_MAX];

	if (c->known && c->pid == pid && c->runs == r->runs && now - c->when < RECENT_MS &&
		c->known->program)
		return c->known;
	if (!trace_caller_program(pid, exe))
		return NULL;
	*c = (struct recent){ .pid = pid, .when = now, .known = know(r, exe) };
	c->runs = r->runs;
	return c->known;
}

static const char *
exe(void *arg)
{
	struct tracer *r = arg;
	const struct known *k = caller_program(r);

	if (k && k->program)
		return k->program;
	return trace_listener_waits(&r->listener) ? "" : NULL;
}

static bool
code(void *arg, char ret[PATH_MAX])
{
	struct tracer *r = arg;

	return trace_caller_file(r->listener.req, ret) && trace_listener_waits(&r->listener);
}

/* The script's own program is seen to ask for each one. */
static bool
uses_all(void *arg)
{
	struct tracer *r = arg;
	const struct known *k = caller_program(r);
	const char *own = r->watch.script.program;

	return !k || !k->program || ((!own || !streq(k->program, own)) && k->uses_all);
}

/* A process that the compiler forks has its program until it runs another. What was started may
 * become the compiler after a while (rustup's proxy), or start it (a script). */
static enum watch_by
by(void *arg)
{
	struct tracer *r = arg;
	const struct known *k = caller_program(r);
	char compiler[PATH_MAX];
	const char *exe, *name;

	if (!k || !k->program)
		return r->watch.script.on ? WATCH_BY_OTHER : WATCH_BY_COMPILER;
	exe = k->program;
	name = path_basename(exe);
	if (streq(k->class, "linker"))
		return WATCH_BY_LINKER;
	if (k->keeps_cache)
		return WATCH_BY_DRIVER;
	if (streq(k->class, "git"))
		return WATCH_BY_GIT;
	if (starts_with(name, "python") || starts_with(name, "pypy"))
		return WATCH_BY_PYTHON;
	if (r->watch.script.on)
		return k->is_make ? WATCH_BY_MAKE : WATCH_BY_OTHER;
	if (!r->watch.linker && (streq(name, "rustc") || streq(name, "clippy-driver")))
		return WATCH_BY_COMPILER;
	if (!trace_caller_program(r->pid, compiler))
		return WATCH_BY_COMPILER;
	return !r->watch.linker && streq(exe, compiler) ? WATCH_BY_COMPILER : WATCH_BY_OTHER;
}

/* The maps that were read are the caller's only if it waits still. */
static void
take_hello(struct tracer *r)
{
	trace_caller_hello(&r->caller, r->listener.req);
	if (!trace_listener_waits(&r->listener))
		trace_caller_done(&r->caller);
}

static void
find_caller(struct tracer *r)
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
		take_hello(r);
	else if (c->attributes != TRACE_ATTRIBUTES_NONE || c->asks_link)
		c->who = trace_caller_who(&r->caller, r->listener.req);
}

/* Of a call that was read. 0; -errno: its caller is gone, or never gets the answer. */
static int
answer(struct tracer *r)
{
	r->moved |= r->call.op == TRACE_CHDIR || r->listener.req->data.nr == SYS_fchdir;
	find_caller(r);
	watch_pass_links(&r->watch, &r->call);
	watch_call(&r->watch, &r->call, by, r);
	if (r->asked < 0 || r->call.op != TRACE_SAID || !streq(r->call.path[0], TRACE_ASKED))
		return trace_listener_go_on(&r->listener);
	trace_listener_give(&r->listener, r->asked);
	return 0;
}

static void
consider(struct tracer *r)
{
	r->call.listener = &r->listener;
	trace_call_read(r->listener.req, r->moved || !*r->cwd ? NULL : r->cwd, &r->call);
	/* a caller that is gone is not let go on, either */
	if (!r->call.gone)
		(void)answer(r);
}

void
tracer_fds(const struct tracer *r, struct pollfd fds[TRACER_FDS])
{
	fds[0] = (struct pollfd){ .fd = r->listener.fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = r->ended, .events = POLLIN };
}

bool
tracer_serve(struct tracer *r, const struct pollfd fds[TRACER_FDS])
{
	int k;

	if (!(fds[0].revents & POLLIN))
		return !fds[0].revents && !fds[1].revents;
	/* what it left running may never rest */
	if (fds[1].revents && r->rest_ms == 0)
		r->rest_ms = clock_mono_ms();
	if (fds[1].revents && clock_mono_ms() - r->rest_ms > REST_MS)
		return false;
	k = trace_listener_next(&r->listener);
	if (k > 0)
		consider(r);
	return k >= 0;
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
find_rest(struct tracer *r)
{
	for (size_t i = 0; i < MIN2(r->n_started, (size_t)STARTED); i++) {
		pid_t pid = r->started[(r->n_started - 1 - i) % STARTED];

		if (pid != r->pid && trace_caller_program(pid, r->rest))
			return path_basename(r->rest);
	}
	return NULL;
}

/* Whether all processes that have the filter end soon: the last ones of a pipe may take a moment.
 */
static bool
all_end(struct tracer *r)
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
look_for_rest(struct tracer *r)
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
keep_answering(struct tracer *r)
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
untraced(struct tracer *r, const char *what, int error)
{
	if (error)
		watch_doubt(&r->watch, "it was not traced: %s: %s", what, strerror(-error));
	else
		watch_doubt(&r->watch, "it was not traced: %s", what);
	return -ENOTSUP;
}

/* The program's own: name with its "=". */
static const char *
variable(const struct tracer *r, const char *name)
{
	for (char *const *e = r->envp; *e; e++)
		if (starts_with(*e, name))
			return *e + strlen(name);
	return NULL;
}

/* Without it no program gets the table: it could not be told that a link leads elsewhere. */
static void
map_age(struct tracer *r)
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
prepare_script(struct tracer *r)
{
	static const char fifo[] = "--jobserver-auth=fifo:";
	const char *flags = variable(r, "CARGO_MAKEFLAGS="), *at;

	at = flags ? strstr(flags, fifo) : NULL;
	if (!at) {
		flags = variable(r, "MAKEFLAGS=");
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
	r->watch.code = code;
}

static int
prepare(struct tracer *r)
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

/* Answers the first call, by which the child becomes the program, if all works that will be needed.
 */
static int
answer_exec(struct tracer *r)
{
	struct pollfd p = { .fd = r->listener.fd, .events = POLLIN };
	struct trace_call *c = &r->call;
	char cwd[PATH_MAX], link[48];
	int k = 0;

	while (k == 0) {
		if (poll(&p, 1, EXEC_MS) <= 0 && errno != EINTR)
			return untraced(r, "it is not heard of", 0);
		k = trace_listener_next(&r->listener);
	}
	if (k < 0)
		return untraced(r, "its calls cannot be received", 0);
	c->listener = &r->listener;
	trace_call_read(r->listener.req, *r->cwd ? r->cwd : NULL, c);
	if (c->gone || c->error || c->op != TRACE_EXEC || !*c->path[0])
		return untraced(r, "its memory cannot be read", c->error);
	snprintf(link, sizeof(link), "/proc/%ld/cwd", (long)r->pid);
	if (readlink(link, cwd, sizeof(cwd)) < 0)
		return untraced(r, link, -errno);
	/* as late as can be: most of the time the clock has ticked by now */
	r->watch.started = r->began.tv_sec ? clock_stamp_after(&r->began) : clock_stamp();
	return answer(r) < 0 ? untraced(r, "its calls cannot be answered", 0) : 0;
}

/* Takes hold of a child that waits to be traced. 0; -EPIPE: it runs, without a filter; -ENOTSUP:
 * it must not run. */
static int
take_hold(struct tracer *r)
{
	int k;

	closep(&r->child_socket);
	r->ended = (int)syscall(SYS_pidfd_open, r->pid, 0);
	if (r->ended < 0)
		return untraced(r, "pidfd_open", -errno);
	k = trace_listener_accept(&r->listener, r->socket, -1);
	closep(&r->socket);
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
	return k < 0 ? untraced(r, "its listener does not come", k) : answer_exec(r);
}

static int
start_untraced(struct tracer *r, struct spawn *s)
{
	int k;

	if (r->pid > 0) {
		kill(r->pid, SIGKILL);
		child_wait(r->pid);
	}
	closep(&r->listener.fd);
	closep(&r->ended);
	s->body = in_untraced_child;
	k = child_start(s, &r->pid);
	if (k == 0)
		r->ended = (int)syscall(SYS_pidfd_open, r->pid, 0);
	return k;
}

int
tracer_start(struct tracer *r, const struct spawn *spawn)
{
	struct spawn s = *spawn;
	int k;

	r->argv = s.argv;
	r->envp = s.envp ? s.envp : environ;
	s.dies_with_us = true;
	s.body = in_child;
	s.arg = r;
	if (prepare(r) < 0)
		return start_untraced(r, &s);
	k = child_start(&s, &r->pid);
	return k == 0 && take_hold(r) == -ENOTSUP ? start_untraced(r, &s) : k;
}

int
tracer_end(struct tracer *r, struct buf *record)
{
	int k = child_wait(r->pid);

	if (r->watch.script.on)
		look_for_rest(r);
	watch_end(&r->watch);
	if (watch_record(&r->watch, record) < 0)
		buf_done(record);
	keep_answering(r);
	closep(&r->listener.fd);
	return k < 0 ? STATUS_NOT_STARTED : k;
}

int
tracer_run(struct tracer *r, const struct spawn *s, struct buf *record)
{
	struct pollfd fds[TRACER_FDS];
	int k = tracer_start(r, s);

	if (k < 0)
		return k;
	do {
		tracer_fds(r, fds);
		if (fds[1].fd < 0 || (poll(fds, TRACER_FDS, -1) < 0 && errno != EINTR))
			break;
	} while (tracer_serve(r, fds));
	return tracer_end(r, record);
}

int
tracer_new(struct tracer **ret)
{
	struct tracer *r = *ret = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->socket = r->child_socket = r->ended = r->asked = r->listener.fd = -1;
	r->watch.set = (struct trace_set)TRACE_SET_INIT;
	r->call.here = true;
	return 0;
}

void
tracer_freep(struct tracer **t)
{
	struct tracer *r = *t;

	if (!r)
		return;
	trace_listener_done(&r->listener);
	trace_caller_done(&r->caller);
	watch_done(&r->watch);
	buf_done(&r->filter);
	buf_done(&r->maps);
	free(r->env);
	free(r->jobserver);
	for (size_t i = 0; i < KNOWN; i++)
		free(r->known[i].program);
	closep(&r->socket);
	closep(&r->child_socket);
	closep(&r->ended);
	closep(&r->asked);
	if (r->watch.script.age)
		munmap(r->watch.script.age - ASKED_AGE, ASKED_BYTES);
	free(r);
	*t = NULL;
}
