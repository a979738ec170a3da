/* Starting programs. */
#ifndef DRAY_COMMON_PROCESS_SPAWN_H
#define DRAY_COMMON_PROCESS_SPAWN_H

#include <sys/types.h>

#include "common/base.h"
#include "common/buf.h"

/* One descriptor for the child: `from` here becomes `to` there. */
struct spawn_fd {
	int from;
	int to;
};

struct spawn {
	const char *path; /* absolute, or a name looked up in this process's PATH */
	char *const *argv;
	char *const *envp;	    /* NULL: ours */
	const char *cwd;	    /* NULL: ours */
	const struct spawn_fd *fds; /* 0, 1 and 2 stay as they are unless named here */
	size_t n_fds;
	bool new_group;	   /* own process group */
	bool only_fds;	   /* what we inherited ourselves stays here: 0, 1, 2 and fds are all */
	bool dies_with_us; /* killed when this thread ends; costs a fork; not with only_fds */
	/* NULL; else instead of path and argv: the child, a fork, runs this, which should exec
	 * soon, since only that closes what is O_CLOEXEC; what it returns is the exit status.
	 * environ is envp there. With dies_with_us; but where prctl is refused it runs all the
	 * same. */
	int (*body)(void *arg);
	void *arg; /* body's */
};

/* posix_spawn with default signal handling and an empty mask in the child. Everything else opened
 * O_CLOEXEC by us is closed there. 0 and the pid, or -errno (-ENOENT: no such program). */
int spawn_start(const struct spawn *s, pid_t *ret_pid);
/* Added to the signal that ended a process: apart from every exit status, of which 128 and more are
 * a program's own as well. */
#define SPAWN_SIGNALLED 256
/* The signal that ended it, or 0. */
int spawn_signal(int status);
/* As a shell shows it: an exit status, or 128 + signal. */
int spawn_shown(int status);
/* Waits; exit status, or SPAWN_SIGNALLED + signal. ret_usage may be NULL (struct rusage). -errno on
 * failure. */
struct rusage;
int spawn_wait(pid_t pid, struct rusage *ret_usage);
/* Runs a program to its end, in a process group of its own, and returns what it wrote on stdout (at
 * most max bytes, else -EFBIG); stderr is dropped. *ret_status as from spawn_wait. The group is
 * killed when it takes longer than limit_ms (-ETIMEDOUT), and when we are to end ourselves
 * (-ECANCELED): a SIGINT, SIGTERM, SIGHUP or SIGQUIT that is not ignored stays pending until this
 * returns. */
int spawn_capture(char *const *argv, char *const *envp, unsigned limit_ms, size_t max,
	struct buf *ret, int *ret_status);

/* Limits for programs that say something of themselves, on a machine that is busy or swaps. */
#define SPAWN_ASK_MS 60000

/* The path of another of dray's programs ("dray-dispatch"), looked for in: $DRAY_LIBEXEC; the
 * directory of this executable; client/, coordinator/, worker/, trace/ and discovery/ beside that
 * directory (a build tree);
 * ../libexec/dray and ../bin from there (an installed tree that was moved); PKGLIBEXECDIR; BINDIR.
 * The first executable wins; NULL when there is none. The caller frees it. */
char *spawn_find_program(const char *name);

#endif
