/* dray-trace: the tracer by itself.
 *
 *   dray-trace [--record-fd=FD] [--began=TIME] [--toolchain=DIR]…
 *              [--writable=DIR]… [--temporary=DIR]… [--argv0=NAME]
 *              [--linker | --script [--trust] [--hide-library-path] [--prefix-map=FROM=TO]…]
 *              -- PROGRAM ARGS…
 *
 * The record (trace/watch.h) is written to FD in the end. It stands in for the program: same
 * streams, directory and environment, its exit status, and its death by a signal. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "common/process/child.h"
#include "common/process/daemon.h"
#include "trace/tracer.h"

#define STATUS_USAGE 2
#define STATUS_NOT_STARTED 127

static void
usage(FILE *to)
{
	fputs("usage: dray-trace [--record-fd=FD] [--began=TIME] [--toolchain=DIR]...\n"
	      "                  [--writable=DIR]... [--temporary=DIR]... [--argv0=NAME]\n"
	      "                  [--linker | --script [--trust] [--hide-library-path]\n"
	      "                  [--prefix-map=FROM=TO]...] [--help] [--version] -- PROGRAM "
	      "ARGS...\n"
	      "Runs a compiler, or a build script, and records what it looks at, as dray does.\n",
		to);
}

static bool
parse_one(struct tracer *t, const char *arg, int *record)
{
	static const char record_fd[] = "--record-fd=";

	if (starts_with(arg, record_fd))
		return daemon_parse_fd(arg + strlen(record_fd), record) == 0 &&
		       fcntl(*record, F_SETFD, FD_CLOEXEC) == 0;
	return tracer_option(t, arg) == 0;
}

/* Where the program's arguments begin; NULL: there is nothing to run, and *ret_status is what to
 * exit with. */
static char **
parse(struct tracer *t, int argc, char **argv, int *record, int *ret_status)
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
			return NULL;
		}
		if (parse_one(t, argv[i], record))
			continue;
		fprintf(stderr, "dray-trace: bad argument '%s'\n", argv[i]);
		return NULL;
	}
	if (i + 1 >= argc) {
		usage(stderr);
		return NULL;
	}
	return argv + i + 1;
}

/* The program must not outlive the one who started it. The pipe's end says it where that one ended
 * before. */
static bool
follow_parent(int record)
{
	struct pollfd p = { .fd = record };

	if (record < 0)
		return true;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return poll(&p, 1, 0) <= 0 || !(p.revents & POLLERR);
}

static int
run(struct tracer *t, char **argv, int fd)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT;
	int k;

	if (!follow_parent(fd))
		return SPAWN_SIGNALLED + SIGKILL;
	child_catch_signals();
	k = tracer_run(t, &(struct spawn){ .argv = argv }, &record);
	if (k < 0 && child_signal())
		return SPAWN_SIGNALLED + child_signal();
	if (k < 0) {
		fprintf(stderr, "dray-trace: cannot run %.400s: %s\n", argv[0], strerror(-k));
		return STATUS_NOT_STARTED;
	}
	if (fd >= 0 && record.n)
		child_write(fd, record.p, record.n);
	return k;
}

int
main(int argc, char **argv)
{
	_cleanup_(tracer_freep) struct tracer *t = NULL;
	int record = -1, status = STATUS_NOT_STARTED;
	char **program;

	if (tracer_new(&t) == 0) {
		program = parse(t, argc, argv, &record, &status);
		if (program)
			status = run(t, program, record);
	}
	tracer_freep(&t);
	child_exit(status);
}
