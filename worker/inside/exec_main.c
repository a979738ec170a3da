/* dray-exec: process 1 of a job's sandbox.
 *
 *   dray-exec [--data=N] [--fsize=N] [--nofile=N] [--nproc=N] [--cpu=N] [--core=N]
 *             [--umask=N] [--uid=N] [--env-fd=FD] [--status-fd=FD] [--keep-fds=N]
 *             [--trace-fd=FD --trace-socket=FD] -- PROGRAM ARGS…
 *   dray-exec --orders-fd=FD …                  without PROGRAM, for a sandbox that stands ready
 *
 * It starts PROGRAM with exactly the environment found in FD (NUL-terminated NAME=VALUE strings;
 * read here, so that no LD_ variable of a client ever acts outside the sandbox), with these limits,
 * and with descriptors 0 to N-1 only. It reaps whatever is left to it, and ends when PROGRAM ends:
 * with process 1 the kernel ends all others, so no process of a job outlives it.
 *
 * The BPF program in --trace-fd is put in place last of all. Its listener goes out through
 * --trace-socket: from then on the tracer must answer there, or PROGRAM's calls wait.
 *
 * With --orders-fd it says "ready" and waits for one message there (orders.h), which has all that
 * is a job's own: PROGRAM, its directory, environment, umask and jobserver. It gets no second one.
 *
 * Status lines for the worker on --status-fd: "started" (just before exec), then "exit N" or
 * "signal N"; as process 1 "exit N CPU RSS" (µs, KiB) when no other process is left; or "error
 * TEXT": PROGRAM never ran. Its own exit status says the same: PROGRAM's, 128
 * + signal, or 127; or 1: nobody reads the status any more, so the sandbox ends. libc only. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trace/attach.h"
#include "worker/inside/orders.h"

#define STRINGS_MAX (4u * 1024 * 1024)
#define EXIT_FAILURE_OURS 127

struct limit {
	const char *option;
	int resource;
	bool set;
	rlim_t value;
};

struct stub_options {
	struct limit *limits;
	long env_fd;
	long orders_fd;
	long status_fd;
	long keep_fds;
	long trace_fd, trace_socket;
	bool umask_set;
	uint64_t umask;
	long uid;	/* of this process, or nothing is run; -1: any */
	char **command; /* NULL: to be ordered */
	char **env;
};

static struct limit limits[] = {
	{ "--data=", RLIMIT_DATA, false, 0 },
	{ "--fsize=", RLIMIT_FSIZE, false, 0 },
	{ "--nofile=", RLIMIT_NOFILE, false, 0 },
	{ "--nproc=", RLIMIT_NPROC, false, 0 },
	{ "--cpu=", RLIMIT_CPU, false, 0 },
	{ "--core=", RLIMIT_CORE, false, 0 },
};

/* One write a line: it is shorter than PIPE_BUF, so lines never mix. A worker that does not listen
 * any more is killing us anyway. */
static void
say(long fd, const char *what, const char *arg, int number)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "%s%s", what, arg ? arg : "");

	if (n < 0 || fd < 0)
		return;
	n = (int)strlen(line);
	if (!arg && number >= 0)
		n += snprintf(line + n, sizeof(line) - (size_t)n, " %d", number);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	while (write((int)fd, line, (size_t)n) < 0 && errno == EINTR)
		;
}

static int
fail(const struct stub_options *o, const char *what)
{
	char text[400];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
	if (o->status_fd >= 0)
		say(o->status_fd, "error ", text, -1);
	else
		fprintf(stderr, "dray-exec: %s\n", text);
	return EXIT_FAILURE_OURS;
}

static bool
parse_number(const char *s, uint64_t *ret)
{
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	*ret = strtoull(s, &end, 10);
	return errno == 0 && *end == '\0';
}

static bool
parse_fd(const char *arg, const char *option, long *ret)
{
	uint64_t n;

	if (strncmp(arg, option, strlen(option)) != 0)
		return false;
	if (!parse_number(arg + strlen(option), &n) || n > 1u << 20)
		return false;
	*ret = (long)n;
	return true;
}

/* In decimal. */
static bool
parse_umask(const char *arg, struct stub_options *o)
{
	size_t n = strlen("--umask=");

	if (strncmp(arg, "--umask=", n) != 0 || !parse_number(arg + n, &o->umask) ||
		o->umask > 0777)
		return false;
	o->umask_set = true;
	return true;
}

static bool
parse_limit(const char *arg)
{
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct limit *l = &limits[i];
		uint64_t n;

		if (strncmp(arg, l->option, strlen(l->option)) != 0)
			continue;
		if (!parse_number(arg + strlen(l->option), &n))
			return false;
		l->set = true;
		l->value = (rlim_t)n;
		return true;
	}
	return false;
}

static void
usage(FILE *to)
{
	fputs("usage: dray-exec [--data=BYTES] [--fsize=BYTES] [--nofile=N] [--nproc=N] "
	      "[--cpu=SECONDS]\n"
	      "                 [--core=BYTES] [--umask=N] [--env-fd=FD] [--status-fd=FD] "
	      "[--uid=N] [--keep-fds=N]\n"
	      "                 [--trace-fd=FD --trace-socket=FD] [--help] [--version]\n"
	      "                 -- PROGRAM ARGS... | --orders-fd=FD\n"
	      "Process 1 of a dray job's sandbox; started by dray-worker.\n",
		to);
}

/* Whether there is a command to run; else *ret_status is what to exit with. */
static bool
parse(int argc, char **argv, struct stub_options *o, int *ret_status)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (!strcmp(argv[i], "--help")) {
			usage(stdout);
			*ret_status = 0;
			return false;
		}
		if (!strcmp(argv[i], "--version")) {
			puts("dray-exec " PACKAGE_VERSION);
			*ret_status = 0;
			return false;
		}
		if (!parse_limit(argv[i]) && !parse_umask(argv[i], o) &&
			!parse_fd(argv[i], "--uid=", &o->uid) &&
			!parse_fd(argv[i], "--env-fd=", &o->env_fd) &&
			!parse_fd(argv[i], "--orders-fd=", &o->orders_fd) &&
			!parse_fd(argv[i], "--status-fd=", &o->status_fd) &&
			!parse_fd(argv[i], "--keep-fds=", &o->keep_fds) &&
			!parse_fd(argv[i], "--trace-fd=", &o->trace_fd) &&
			!parse_fd(argv[i], "--trace-socket=", &o->trace_socket)) {
			fprintf(stderr, "dray-exec: bad argument '%s'\n", argv[i]);
			*ret_status = EXIT_FAILURE_OURS;
			return false;
		}
	}
	if (o->orders_fd >= 0 && i == argc)
		return true;
	if (i + 1 >= argc || o->orders_fd >= 0) {
		usage(stderr);
		*ret_status = EXIT_FAILURE_OURS;
		return false;
	}
	o->command = argv + i + 1;
	return true;
}

/* The strings in fd, as execve takes them; NULL with errno set. They live until exec. */
static char **
read_strings(int fd)
{
	struct stat st;
	size_t n = 0, count = 0, at = 0;
	char *p, **env;

	if (fstat(fd, &st) < 0)
		return NULL;
	if (st.st_size < 0 || st.st_size > (off_t)STRINGS_MAX) {
		errno = E2BIG;
		return NULL;
	}
	p = malloc((size_t)st.st_size + 1);
	if (!p)
		return NULL;
	while (n < (size_t)st.st_size) {
		ssize_t r = pread(fd, p + n, (size_t)st.st_size - n, (off_t)n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) {
			free(p);
			errno = r < 0 ? errno : EIO;
			return NULL;
		}
		n += (size_t)r;
	}
	p[n] = '\0';
	for (size_t i = 0; i < n; i += strlen(p + i) + 1)
		count++;
	env = calloc(count + 1, sizeof(*env));
	if (!env) {
		free(p);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		env[i] = p + at;
		at += strlen(p + at) + 1;
	}
	return env;
}

static int
set_limits(void)
{
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit now, r = { limits[i].value, limits[i].value };

		if (!limits[i].set)
			continue;
		/* A lower limit of the worker's own stays. */
		if (getrlimit(limits[i].resource, &now) == 0 && now.rlim_max < r.rlim_max)
			r.rlim_cur = r.rlim_max = now.rlim_max;
		if (setrlimit(limits[i].resource, &r) < 0)
			return -1;
	}
	return 0;
}

static int
trace(const struct stub_options *o)
{
	static struct sock_filter code[BPF_MAXINSNS];
	ssize_t n = pread((int)o->trace_fd, code, sizeof(code), 0);

	if (n < 0 || trace_attach(code, (size_t)n, (int)o->trace_socket) != 0)
		return -1;
	return trace_attach_try() ? 0 : -1;
}

static int
run_child(const struct stub_options *o)
{
	static char *none[] = { NULL };

	if (o->umask_set)
		umask((mode_t)o->umask);
	if (set_limits() < 0)
		return fail(o, "setrlimit");
	if (o->status_fd >= 0 && fcntl((int)o->status_fd, F_SETFD, FD_CLOEXEC) < 0)
		return fail(o, "status descriptor");
	if (o->keep_fds > 0) {
		long max = sysconf(_SC_OPEN_MAX);

		/* Higher descriptors belong to dray-exec or bwrap, and the program must not have
		 * them. */
		if (close_range((unsigned)o->keep_fds, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
			for (long fd = o->keep_fds; fd < max && fd < 65536; fd++)
				fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	}
	if (o->trace_fd >= 0 && trace(o) < 0)
		return fail(o, "the tracer");
	say(o->status_fd, "started", NULL, -1);
	execve(o->command[0], o->command, o->env ? o->env : none);
	return fail(o, o->command[0]);
}

/* 0: the worker has thrown this sandbox away, or is gone. */
static ssize_t
receive(int socket, struct orders *m, int fds[ORDERS_FDS])
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * ORDERS_FDS)];
		struct cmsghdr align;
	} u;
	struct iovec iov = { m, sizeof(*m) };
	struct msghdr h = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = u.buf,
		.msg_controllen = sizeof(u.buf) };
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(socket, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n;
	c = CMSG_FIRSTHDR(&h);
	if (n != sizeof(*m) || (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || !c ||
		c->cmsg_type != SCM_RIGHTS ||
		c->cmsg_len != CMSG_LEN(sizeof(int) * (ORDERS_TRACE + (m->traced != 0)))) {
		errno = EBADMSG;
		return -1;
	}
	memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return n;
}

/* The jobserver has its numbers free: 3 and 4 were opened for it before. */
static const char *
follow(struct stub_options *o, const struct orders *m, const int fds[ORDERS_FDS])
{
	char **words = read_strings(fds[ORDERS_COMMAND]);

	o->env = read_strings(fds[ORDERS_ENV]);
	if (!words || !o->env)
		return "orders";
	if (!words[0] || !words[1]) {
		errno = EBADMSG;
		return "orders";
	}
	o->command = words + 1;
	o->umask_set = m->umask != 0;
	o->umask = m->umask ? m->umask - 1 : 0;
	if (m->traced)
		o->trace_socket = fds[ORDERS_TRACE];
	if (dup2(fds[ORDERS_TOKENS_READ], 3) < 0 || dup2(fds[ORDERS_TOKENS_WRITE], 4) < 0)
		return "the jobserver";
	for (int i = 0; i < ORDERS_TRACE; i++)
		close(fds[i]);
	return chdir(words[0]) < 0 ? words[0] : NULL;
}

/* Returns when there is a command. */
static void
wait_for_orders(struct stub_options *o)
{
	int fds[ORDERS_FDS];
	struct orders m;
	const char *wrong;
	ssize_t n;

	say(o->status_fd, "ready", NULL, -1);
	n = receive((int)o->orders_fd, &m, fds);
	if (n == 0)
		_exit(1);
	wrong = n < 0 ? "orders" : follow(o, &m, fds);
	if (wrong)
		_exit(fail(o, wrong));
	close((int)o->orders_fd);
}

/* Process 1 ends all others, and reaps them: who is left without a parent is its own. So the worker
 * may look at what the job made, and need not wait until the kernel has taken the sandbox down. */
static void
say_alone(long status_fd, int status)
{
	struct rusage u;
	char text[96];

	kill(-1, SIGKILL);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	if (getrusage(RUSAGE_CHILDREN, &u) < 0)
		return;
	snprintf(text, sizeof(text), "exit %d %lld %ld", status,
		(long long)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
			u.ru_stime.tv_usec,
		u.ru_maxrss);
	say(status_fd, text, NULL, -1);
}

/* Reaps until `child` ends. */
static int
wait_for(const struct stub_options *o, pid_t child)
{
	int status;

	for (;;) {
		pid_t pid = wait(&status);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return fail(o, "wait");
		if (pid == child)
			break;
	}
	if (WIFSIGNALED(status)) {
		say(o->status_fd, "signal", NULL, WTERMSIG(status));
		return 128 + WTERMSIG(status);
	}
	if (getpid() == 1)
		say_alone(o->status_fd, WEXITSTATUS(status));
	else
		say(o->status_fd, "exit", NULL, WEXITSTATUS(status));
	return WEXITSTATUS(status);
}

/* bubblewrap has become that user for good, and may do nothing else. */
static bool
is_user(uid_t id)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	return getresuid(&r, &e, &s) == 0 && r == id && e == id && s == id &&
	       getresgid(&rg, &eg, &sg) == 0 && rg == id && eg == id && sg == id;
}

static int watched = -1;

/* The pipe was read, or has no reader any more. */
static void
on_pipe(int sig)
{
	struct pollfd p = { .fd = watched };
	int saved = errno;

	(void)sig;
	if (poll(&p, 1, 0) > 0 && (p.revents & POLLERR))
		_exit(1);
	errno = saved;
}

/* Where a job has a uid of its own, the kernel does not let bwrap's death end this process
 * (PR_SET_PDEATHSIG asks whether the one may signal the other). The worker's end of the pipe does:
 * with process 1 all others of the sandbox end. */
static void
end_with_worker(long status_fd)
{
	const struct sigaction act = { .sa_handler = on_pipe, .sa_flags = SA_RESTART };

	watched = (int)status_fd;
	if (watched < 0 || sigaction(SIGIO, &act, NULL) < 0 ||
		fcntl(watched, F_SETOWN, getpid()) < 0 ||
		fcntl(watched, F_SETFL, fcntl(watched, F_GETFL) | O_ASYNC) < 0)
		return;
	on_pipe(SIGIO);
}

int
main(int argc, char **argv)
{
	struct stub_options o = { .limits = limits,
		.env_fd = -1,
		.orders_fd = -1,
		.status_fd = -1,
		.trace_fd = -1,
		.trace_socket = -1,
		.uid = -1 };
	int status = 0;
	pid_t child;

	if (!parse(argc, argv, &o, &status))
		return status;
	/* Same user, same namespace: keep the job's processes out of /proc/1/fd and its memory. */
	prctl(PR_SET_DUMPABLE, 0);
	if (o.env_fd >= 0) {
		o.env = read_strings((int)o.env_fd);
		if (!o.env)
			_exit(fail(&o, "environment"));
		close((int)o.env_fd);
	}
	if (o.uid >= 0 && !is_user((uid_t)o.uid)) {
		errno = EPERM;
		_exit(fail(&o, "the job's uid"));
	}
	if (o.orders_fd >= 0)
		wait_for_orders(&o);
	child = fork();
	if (child < 0)
		_exit(fail(&o, "fork"));
	if (child > 0)
		end_with_worker(o.status_fd);
	if (child == 0) {
		prctl(PR_SET_DUMPABLE, 1);
		_exit(run_child(&o));
	}
	_exit(wait_for(&o, child));
}
