/* One command in a sandbox made by bubblewrap: new user, mount, pid, net, ipc, uts and cgroup
 * namespaces, no capabilities, a seccomp deny list, resource limits, and a root directory that
 * holds only what is named here. dray-exec is process 1 in it, so the end of the sandbox is the end
 * of every process in it.
 *
 * The thread that starts a sandbox must live until it has waited for it: bwrap dies with that
 * thread. */
#ifndef DRAY_WORKER_SANDBOX_SANDBOX_H
#define DRAY_WORKER_SANDBOX_SANDBOX_H

#include <sys/types.h>

#include "common/buf.h"
#include "machine/jobserver.h"
#include "common/strv.h"
#include "worker/sandbox/cgroup.h"
#include "worker/sandbox/job_user.h"
#include "worker/sandbox/seccomp.h"

#define SANDBOX_BIN \
	"/.dray/bin" /* PATH in the sandbox; holds dray-exec and the linkers' stand-in */

/* Of a sandbox that waits, until its command is ordered: where the out-dir is mounted, and a place
 * for the tree itself, whose /tmp the private one covers. Empty directories afterwards. */
#define SANDBOX_AHEAD_OUT "/.dray/out"
#define SANDBOX_AHEAD_TREE "/.dray/tree"

struct sandbox_mount {
	const char *from;
	const char *to;
	bool writable;
};

struct sandbox_spec {
	const char *root;		    /* becomes /, read-only; holds every mount point */
	const char *bin;		    /* appears at SANDBOX_BIN */
	const struct sandbox_mount *mounts; /* in this order, after the private /tmp */
	size_t n_mounts;
	const char *cwd;
	char *const *argv;     /* argv[0]: absolute, inside */
	const struct buf *env; /* NUL-terminated NAME=VALUE */
	const struct filters *filters;
	int trace_socket; /* where dray-exec sends the tracer's listener; -1: the job is not traced
			   */
	const struct jobserver *js;	    /* 3 and 4 inside; NULL: none */
	const struct cgroup_job *cgroup;    /* NULL: none */
	const struct job_user *user;	    /* NULL: the command has this process's uid */
	uint64_t tmp_max;		    /* bytes, 0: as the kernel limits tmpfs */
	uint64_t data_max, file_max, cpu_s; /* per process, 0: none */
	uint64_t open_files, processes;	    /* 0: none */
	uint32_t umask;			    /* plus one; 0: this process's */
	/* It waits for order.h, which brings cwd, argv, env, trace_socket, js and umask: these are
	 * not looked at here. */
	bool waits;
	bool traced; /* so it will be, where it waits */
};

struct sandbox_usage {
	uint64_t cpu_us;
	uint64_t peak_rss; /* bytes, of the largest process */
};

enum sandbox_phase {
	SANDBOX_STARTING, /* bwrap prepares: text on err is its own */
	SANDBOX_RUNNING,  /* the command runs */
	SANDBOX_ENDED,	  /* the command ended: status is known */
	SANDBOX_FAILED,	  /* the command never ran: failure says why */
};

struct sandbox {
	pid_t pid;    /* bwrap */
	pid_t child;  /* process 1 inside, until it is waited for; 0 when unknown */
	int pidfd;    /* the same; -1 when unknown */
	int out, err; /* what the command writes */
	int report;   /* dray-exec's reports: poll it, then call sandbox_step */
	int orders;   /* where it waits for its command; -1: it does not */
	bool ready;   /* it waits, and all its mounts are there */
	enum sandbox_phase phase;
	int status; /* exit status, or 128 + signal */
	int signal; /* that signal; 0: none */
	char failure[256];
	struct buf said;
	bool killed;
	bool alone;		    /* it ended, and no process but dray-exec is left inside */
	struct sandbox_usage usage; /* then */
	uint64_t start_us, end_us;  /* of the command, monotonic */
};

#define SANDBOX_INIT                                                                     \
	{                                                                                \
		.pid = -1, .pidfd = -1, .out = -1, .err = -1, .report = -1, .orders = -1 \
	}

/* What a program in a sandbox is to read from a descriptor. That, or -errno. */
int sandbox_memory_file(const void *p, size_t n);

/* 0 or -errno (nothing runs then). */
int sandbox_start(const struct sandbox_spec *spec, struct sandbox *ret);
/* Reads dray-exec's reports, without blocking. Call it before reading err: then all text that is
 * read in SANDBOX_STARTING is bwrap's. 0, or 1 at their end. */
int sandbox_step(struct sandbox *s);
/* SIGKILL to everything inside. */
void sandbox_kill(struct sandbox *s);
/* Waits until all processes have ended. It does not take long after out and err have ended, or
 * after a kill. */
void sandbox_wait(struct sandbox *s, struct sandbox_usage *ret);
/* Kills and waits, unless that was done, and closes the descriptors. */
void sandbox_done(struct sandbox *s);

#endif
