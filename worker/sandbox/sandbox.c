/* Builds bwrap's command line and looks after it.
 *
 * Invariants: nothing of the worker's environment and none of its descriptors reaches the command
 * but stdin (/dev/null), its two output pipes and the jobserver; after sandbox_wait no process of
 * the sandbox is left. For the second: the command's process 1 is dray-exec (--as-pid-1), because
 * with bwrap's own reaper bwrap may end before the others do. bwrap ends after process 1 has, and
 * the kernel ends a pid namespace's process 1 only after all others. A kill goes to process 1
 * likewise. */
#include "config.h"

#include "worker/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/process/spawn.h"
#include "worker/sandbox/proc_cover.h"

#define START_TIMEOUT_MS 20000 /* a machine under heavy load; a hung bwrap must not hold a slot */
#define REPORT_MAX 4096
#define PIPE_MIN 65536 /* the size of a pipe, unless a user has very many of them */

/* Descriptors as bwrap gets them. 3 and 4 are the jobserver, inside of the sandbox as well. */
enum {
	FD_ENV = 5, /* of one that waits: its orders */
	FD_REPORT = 6,
	FD_INFO = 7,
	FD_SECCOMP = 8,
	FD_ARGS = 9,
	FD_TRACE = 10,
	FD_TRACE_SOCKET = 11,
	FD_USERNS = 12,
	FD_END = 13
};

int
sandbox_memory_file(const void *p, size_t n)
{
	_cleanup_(closep) int fd = memfd_create("dray", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = n ? fs_write_all(fd, p, n) : 0;
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return steal_fd(&fd);
}

static int
add_words(struct buf *b, const char *const *words)
{
	int r = 0;

	for (size_t i = 0; words[i] && r == 0; i++)
		r = buf_add(b, words[i], strlen(words[i]) + 1);
	return r;
}

static unsigned
inside(const struct sandbox_spec *s)
{
	return s->user ? job_user_inside(s->user) : 1000;
}

/* bwrap's options, NUL-terminated, for --args. */
static int
build_options(const struct sandbox_spec *s, struct buf *b)
{
	/* what /proc is mounted on, which is empty outside */
	_cleanup_(freep) char *empty = path_join(s->root, "proc");
	char seccomp[16], info[16], size[32], userns[16], id[16];
	int r;

	if (!empty)
		return -ENOMEM;

	snprintf(seccomp, sizeof(seccomp), "%d", FD_SECCOMP);
	snprintf(info, sizeof(info), "%d", FD_INFO);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)s->tmp_max);
	snprintf(userns, sizeof(userns), "%d", FD_USERNS);
	snprintf(id, sizeof(id), "%u", inside(s));
	r = add_words(b, s->user ? (const char *const[]){ "--userns", userns, NULL }
				 : (const char *const[]){ "--unshare-user", NULL, NULL });
	if (r == 0)
		r = add_words(
			b, (const char *const[]){ "--unshare-ipc", "--unshare-pid", "--unshare-net",
				   "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent",
				   "--new-session", "--as-pid-1", "--cap-drop", "ALL", "--uid", id,
				   "--gid", id, "--hostname", "dray", "--info-fd", info,
				   "--seccomp", seccomp, "--ro-bind", s->root, "/", "--proc",
				   "/proc", "--dev", "/dev",
				   /* a tmpfs of no set size, else */
				   "--remount-ro", "/dev", NULL });
	/* else by order.h */
	if (r == 0 && !s->waits)
		r = proc_cover_options(b, empty);
	if (r == 0 && s->tmp_max)
		r = add_words(b, (const char *const[]){ "--size", size, NULL });
	if (r == 0)
		r = add_words(b, (const char *const[]){ "--perms", "1777", "--tmpfs", "/tmp",
					 "--ro-bind", s->bin, SANDBOX_BIN, NULL });
	for (size_t i = 0; i < s->n_mounts && r == 0; i++)
		r = add_words(
			b, (const char *const[]){ s->mounts[i].writable ? "--bind" : "--ro-bind",
				   s->mounts[i].from, s->mounts[i].to, NULL });
	if (r == 0)
		r = add_words(b, (const char *const[]){ "--chdir", s->waits ? "/" : s->cwd, NULL });
	return r;
}

static bool
is_traced(const struct sandbox_spec *s)
{
	return s->waits ? s->traced : s->trace_socket >= 0;
}

static int
add_limit(struct strv *argv, const char *option, uint64_t value)
{
	return value ? strv_addf(argv, "%s%llu", option, (unsigned long long)value) : 0;
}

static int
build_argv(const struct sandbox_spec *s, struct strv *argv)
{
	int r = strv_add(argv, "bwrap");

	if (r == 0)
		r = strv_add(argv, "--args");
	if (r == 0)
		r = strv_addf(argv, "%d", FD_ARGS);
	if (r == 0)
		r = strv_add(argv, "--");
	if (r == 0)
		r = strv_add(argv, SANDBOX_BIN "/dray-exec");
	if (r == 0)
		r = add_limit(argv, "--data=", s->data_max);
	if (r == 0)
		r = add_limit(argv, "--fsize=", s->file_max);
	if (r == 0)
		r = add_limit(argv, "--cpu=", s->cpu_s);
	if (r == 0)
		r = add_limit(argv, "--nofile=", s->open_files);
	if (r == 0)
		r = add_limit(argv, "--nproc=", s->processes);
	if (r == 0 && s->umask && !s->waits)
		r = strv_addf(argv, "--umask=%u", s->umask - 1);
	if (r == 0)
		r = strv_addf(argv, "--uid=%u", inside(s));
	if (r == 0)
		r = strv_add(argv, "--core=0");
	if (r == 0)
		r = strv_addf(argv, s->waits ? "--orders-fd=%d" : "--env-fd=%d", FD_ENV);
	if (r == 0)
		r = strv_addf(argv, "--status-fd=%d", FD_REPORT);
	if (r == 0 && is_traced(s))
		r = strv_addf(argv, "--trace-fd=%d", FD_TRACE);
	if (r == 0 && s->waits)
		return strv_add(argv, "--keep-fds=5");
	if (r == 0 && is_traced(s))
		r = strv_addf(argv, "--trace-socket=%d", FD_TRACE_SOCKET);
	if (r == 0)
		r = strv_addf(argv, "--keep-fds=%d", s->js ? 5 : 3);
	if (r == 0)
		r = strv_add(argv, "--");
	return r < 0 ? r : strv_add_all(argv, s->argv);
}

static int
make_pipe(int *ret_rd, int *ret_wr)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	*ret_rd = p[0];
	*ret_wr = p[1];
	return 0;
}

static int
set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static void
take_child(struct sandbox *s, const char *info)
{
	const char *at = strstr(info, "\"child-pid\":");
	long pid = at ? strtol(at + strlen("\"child-pid\":"), NULL, 10) : 0;

	if (pid <= 0)
		return;
	s->child = (pid_t)pid;
	s->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
}

/* Waits for bwrap's {"child-pid": N, ...} and takes hold of that process. It cannot have been
 * reaped before bwrap is, so its number is still its own. Without it (bwrap failed, or a kernel
 * without pidfds) a kill goes to bwrap, and what is inside follows a moment later. */
static void
learn_child(struct sandbox *s, int info)
{
	uint64_t deadline = clock_mono_ms() + START_TIMEOUT_MS;
	char text[512];
	size_t n = 0;

	/* Read to the end: bwrap writes in parts, and would die of SIGPIPE. */
	while (n < sizeof(text) - 1) {
		struct pollfd p = { .fd = info, .events = POLLIN };
		uint64_t now = clock_mono_ms();
		ssize_t r;

		if (now >= deadline)
			return;
		if (poll(&p, 1, (int)(deadline - now)) < 0 && errno != EINTR)
			return;
		if (!p.revents)
			continue;
		r = read(info, text + n, sizeof(text) - 1 - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	text[n] = '\0';
	take_child(s, text);
}

/* bwrap has no child before it has read its options. So all its children begin where it is now: in
 * the job's cgroup, and first to be killed when the machine runs out of memory. */
static int
put_in_place(const struct sandbox_spec *spec, pid_t pid)
{
	static const char score[] = "500";
	char path[48];
	_cleanup_(closep) int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	/* It was higher already, which is fine, too. */
	if (fd >= 0 && write(fd, score, sizeof(score) - 1) < 0)
		closep(&fd);
	return spec->cgroup ? cgroup_job_add(spec->cgroup, pid) : 0;
}

/* Written to the pipe at once, so that a bwrap which does not read holds up nothing. */
static int
give_options(int wr, const struct buf *options)
{
	int r;

	if (options->n > PIPE_MIN && fcntl(wr, F_SETPIPE_SZ, (int)MIN2(options->n, INT_MAX)) < 0)
		return -E2BIG;
	r = set_nonblocking(wr);
	return r < 0 ? r : fs_write_all(wr, options->p, options->n);
}

/* What the command's environment comes by, or all that there is to know of it. A descriptor for the
 * child, or -errno. */
static int
make_orders(const struct sandbox_spec *spec, struct sandbox *s)
{
	int pair[2];

	if (!spec->waits)
		return sandbox_memory_file(spec->env->p, spec->env->n);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	s->orders = pair[0];
	return pair[1];
}

static int
start_bwrap(const struct sandbox_spec *spec, const struct buf *options, const struct strv *argv,
	struct sandbox *s)
{
	bool traced = is_traced(spec);
	const struct buf *deny = traced ? &spec->filters->deny_traced : &spec->filters->deny;
	_cleanup_(closep) int null = -1, env = -1, args = -1, seccomp = -1, info_rd = -1,
			      info_wr = -1, trace = -1, args_wr = -1;
	_cleanup_(closep) int out = -1, err = -1, report = -1;
	char *no_env[] = { NULL };
	struct spawn_fd fds[FD_END];
	size_t n = 0;
	int r;

	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0)
		return -errno;
	env = make_orders(spec, s);
	seccomp = sandbox_memory_file(deny->p, deny->n);
	if (env < 0 || seccomp < 0)
		return env < 0 ? env : seccomp;
	if (traced) {
		trace = sandbox_memory_file(spec->filters->trace.p, spec->filters->trace.n);
		if (trace < 0)
			return trace;
	}
	r = make_pipe(&s->out, &out);
	if (r == 0)
		r = make_pipe(&s->err, &err);
	if (r == 0)
		r = make_pipe(&s->report, &report);
	if (r == 0)
		r = make_pipe(&info_rd, &info_wr);
	if (r == 0)
		r = make_pipe(&args, &args_wr);
	if (r == 0)
		r = set_nonblocking(s->report);
	if (r < 0)
		return r;
	fds[n++] = (struct spawn_fd){ null, STDIN_FILENO };
	fds[n++] = (struct spawn_fd){ out, STDOUT_FILENO };
	fds[n++] = (struct spawn_fd){ err, STDERR_FILENO };
	if (spec->waits) { /* so that nothing else gets these numbers */
		fds[n++] = (struct spawn_fd){ null, 3 };
		fds[n++] = (struct spawn_fd){ null, 4 };
	} else if (spec->js) {
		fds[n++] = (struct spawn_fd){ spec->js->rd, 3 };
		fds[n++] = (struct spawn_fd){ spec->js->wr, 4 };
	}
	fds[n++] = (struct spawn_fd){ env, FD_ENV };
	fds[n++] = (struct spawn_fd){ report, FD_REPORT };
	fds[n++] = (struct spawn_fd){ info_wr, FD_INFO };
	fds[n++] = (struct spawn_fd){ seccomp, FD_SECCOMP };
	fds[n++] = (struct spawn_fd){ args, FD_ARGS };
	if (traced)
		fds[n++] = (struct spawn_fd){ trace, FD_TRACE };
	if (traced && !spec->waits)
		fds[n++] = (struct spawn_fd){ spec->trace_socket, FD_TRACE_SOCKET };
	if (spec->user) {
		fds[n++] = (struct spawn_fd){ job_user_ns(spec->user), FD_USERNS };
		/* so that a job can open them by /dev/stdout as well */
		if (fchmod(out, 0622) < 0 || fchmod(err, 0622) < 0)
			return -errno;
	}
	r = spawn_start(&(struct spawn){ .path = BWRAP_PATH,
				.argv = argv->v,
				.envp = no_env,
				.cwd = "/",
				.fds = fds,
				.n_fds = n },
		&s->pid);
	if (r < 0) {
		s->pid = -1;
		return r;
	}
	closep(&info_wr);
	closep(&args);
	r = put_in_place(spec, s->pid);
	if (r == 0)
		r = give_options(args_wr, options);
	/* bwrap must not take a part of the options for all of them. */
	if (r < 0)
		kill(s->pid, SIGKILL);
	closep(&args_wr);
	learn_child(s, info_rd);
	return r;
}

int
sandbox_start(const struct sandbox_spec *spec, struct sandbox *ret)
{
	_cleanup_(buf_done) struct buf options = BUF_INIT;
	_cleanup_(strv_done) struct strv argv = STRV_INIT;
	struct sandbox s = SANDBOX_INIT;
	int r;

	r = build_options(spec, &options);
	if (r == 0)
		r = build_argv(spec, &argv);
	if (r == 0)
		r = start_bwrap(spec, &options, &argv, &s);
	if (r < 0) {
		sandbox_done(&s);
		return r;
	}
	s.start_us = clock_mono_us();
	*ret = s;
	return 0;
}

/* "N", or "N CPU_US RSS_KIB": then no other process is left. */
static void
take_exit(struct sandbox *s, const char *text)
{
	char *end;

	s->phase = SANDBOX_ENDED;
	s->end_us = clock_mono_us();
	s->status = (int)(strtoul(text, &end, 10) & 0xff);
	if (*end != ' ')
		return;
	s->usage.cpu_us = strtoull(end, &end, 10);
	s->usage.peak_rss = strtoull(end, NULL, 10) * 1024;
	s->alone = true;
}

static void
take_line(struct sandbox *s, const char *line)
{
	if (streq(line, "ready") && s->phase == SANDBOX_STARTING) {
		s->ready = true;
	} else if (streq(line, "started") && s->phase == SANDBOX_STARTING) {
		s->phase = SANDBOX_RUNNING;
		s->start_us = clock_mono_us();
	} else if (starts_with(line, "error ") && s->phase <= SANDBOX_RUNNING) {
		s->phase = SANDBOX_FAILED;
		snprintf(s->failure, sizeof(s->failure), "%s", line + strlen("error "));
	} else if (starts_with(line, "exit ") && s->phase == SANDBOX_RUNNING) {
		take_exit(s, line + strlen("exit "));
	} else if (starts_with(line, "signal ") && s->phase == SANDBOX_RUNNING) {
		s->phase = SANDBOX_ENDED;
		s->signal = (int)(strtoul(line + strlen("signal "), NULL, 10) & 0x7f);
		s->status = 128 + s->signal;
		s->end_us = clock_mono_us();
	}
}

int
sandbox_step(struct sandbox *s)
{
	char text[512];

	while (s->report >= 0) {
		ssize_t n = read(s->report, text, sizeof(text));
		char *nl;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0 || s->said.n > REPORT_MAX || buf_add(&s->said, text, (size_t)n) < 0) {
			closep(&s->report);
			break;
		}
		while ((nl = memchr(s->said.p, '\n', s->said.n))) {
			*nl = '\0';
			take_line(s, (const char *)s->said.p);
			buf_consume(&s->said, (size_t)((uint8_t *)nl - s->said.p) + 1);
		}
	}
	return 1;
}

void
sandbox_kill(struct sandbox *s)
{
	if (s->pid <= 0)
		return;
	s->killed = true;
	if (s->pidfd >= 0 && syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0) == 0)
		return;
	kill(s->pid, SIGKILL);
}

void
sandbox_wait(struct sandbox *s, struct sandbox_usage *ret)
{
	struct rusage u = { 0 };
	int status;

	if (s->pid <= 0)
		return;
	status = spawn_wait(s->pid, &u);
	s->pid = -1;
	s->child = 0;
	sandbox_step(s);
	if (ret) {
		ret->cpu_us = (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
			      (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
		ret->peak_rss = (uint64_t)u.ru_maxrss * 1024;
	}
	if (s->phase == SANDBOX_RUNNING) {
		/* Process 1 itself was killed: by us, or by the kernel for lack of memory. */
		s->phase = SANDBOX_ENDED;
		s->status = 128 + SIGKILL;
		s->signal = SIGKILL;
		s->end_us = clock_mono_us();
	} else if (s->phase == SANDBOX_STARTING) {
		s->phase = SANDBOX_FAILED;
		snprintf(s->failure, sizeof(s->failure), "bwrap ended with status %d", status);
	}
}

void
sandbox_done(struct sandbox *s)
{
	if (s->pid > 0) {
		sandbox_kill(s);
		sandbox_wait(s, NULL);
	}
	closep(&s->pidfd);
	closep(&s->out);
	closep(&s->err);
	closep(&s->report);
	closep(&s->orders);
	buf_done(&s->said);
}
