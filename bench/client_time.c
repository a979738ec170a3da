/* For bench/overhead. As RUSTC_WRAPPER: runs $CLIENT_DRAY with its arguments, and adds a line to
 * $CLIENT_TIMES for a unit: the microseconds of processor time that dray and all that it waited for
 * have used. With --used PID: prints those of a process until now. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long
used_by(const struct rusage *u)
{
	return (u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000 + u->ru_utime.tv_usec +
	       u->ru_stime.tv_usec;
}

static const char *
crate_of(char **argv)
{
	for (; argv[0] && argv[1]; argv++)
		if (strcmp(argv[0], "--crate-name") == 0)
			return argv[1];
	return "___";
}

static void
note(const char *crate, long us)
{
	const char *path = getenv("CLIENT_TIMES");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;

	if (fd < 0 || strcmp(crate, "___") == 0)
		return;
	dprintf(fd, "%ld %s\n", us, crate);
	close(fd);
}

static int
print_used(const char *pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid((pid_t)atol(pid), &clock) != 0 || clock_gettime(clock, &t) < 0)
		return 1;
	printf("%lld\n", (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *dray = getenv("CLIENT_DRAY");
	struct rusage u;
	int status;
	pid_t pid;

	if (argc == 3 && strcmp(argv[1], "--used") == 0)
		return print_used(argv[2]);
	if (!dray || argc < 2)
		return 2;
	argv[0] = (char *)dray;
	pid = fork();
	if (pid == 0) {
		execv(dray, argv);
		_exit(127);
	}
	signal(SIGINT, SIG_IGN);
	while (pid > 0 && wait4(pid, &status, 0, &u) < 0)
		if (errno != EINTR)
			return 127;
	if (pid < 0)
		return 127;
	note(crate_of(argv), used_by(&u));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
