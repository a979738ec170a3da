/* One system call that the kernel told us of: what it is, and which paths it names. */
#ifndef DRAY_TRACE_CALL_H
#define DRAY_TRACE_CALL_H

#include <limits.h>
#include <linux/seccomp.h>
#include <sys/types.h>

#include "common/buf.h"
#include "trace/caller.h"

enum trace_op {
	TRACE_LOOK, /* access, readlink */
	TRACE_STAT, /* it may be answered in the kernel's place */
	TRACE_OPEN,
	TRACE_LIST,   /* getdents: path is the directory's */
	TRACE_CHANGE, /* mkdir, unlink, rename, …: it needs the place to be writable */
	TRACE_EXEC,
	TRACE_CHDIR,
	TRACE_SOCKET,
	TRACE_CONNECT, /* to another process of this machine (the path is its socket's, where it has
			* one), or to the network */
	TRACE_UNSEEN,  /* io_uring, file handles: what is opened so is not seen */
	TRACE_REMOUNT, /* mount, chroot, …: paths mean another thing from then on */
	TRACE_SAID,    /* dray-env.so says something: path[0] is that (trace/paths.h) */
	TRACE_OTHER, /* not understood, or its memory cannot be read: the kernel says what is wrong
		      */
};

/* Whether a call tells more of a path than whether it is there. */
enum trace_attributes {
	TRACE_ATTRIBUTES_NONE,
	TRACE_ATTRIBUTES,	  /* of what the path leads to: stat, access */
	TRACE_ATTRIBUTES_OF_LINK, /* of the link, where it is one: lstat */
};

struct trace_call {
	bool here; /* set by the caller: the paths are of this machine, so that where a ".." after a
		    * symbolic link leads can be looked up; otherwise it is taken by text */
	pid_t pid; /* the caller's thread */
	enum trace_op op;
	bool write; /* TRACE_OPEN: for writing, or to be made */
	bool keeps; /* with write: what a file held before is not thrown away */
	bool from;  /* TRACE_CHANGE: path[0] is where the content comes from (link, rename), or what
		     * a symbolic link is to lead to: it is read */
	bool moved; /* and is gone then */
	enum trace_attributes attributes;
	enum trace_who who;  /* set by the caller where `attributes` are asked for */
	bool by_descriptor;  /* path[0] is what an open descriptor leads to */
	bool makes_dir;	     /* TRACE_CHANGE: a mkdir */
	bool asks_link;	     /* TRACE_LOOK: a readlink */
	uint64_t argv, envp; /* TRACE_EXEC: where they are in the caller's memory */
	int error; /* TRACE_OTHER: -errno; 0: there is no path. -EFAULT and -EBADF: the caller's own
		    * mistake, which the kernel tells it; all else: what it means is not known */
	unsigned n_paths;
	char path[2][PATH_MAX]; /* absolute and normal; "/proc/self/…" is the caller's entry there,
				 * and no link of the caller's own is left in it */
};

/* The numbers that the filter asks about, ended by -1. */
extern const int trace_calls[];

/* Reads the caller's memory. cwd: what relative paths begin with, or NULL to look it up. */
void trace_call_read(const struct seccomp_notif *req, const char *cwd, struct trace_call *ret);
/* The strings of an array that is ended by NULL (argv, envp), each with its NUL, up to max bytes:
 * what does not fit is left out. 0 or -errno. */
int trace_call_strings(pid_t tid, uint64_t at, size_t max, struct buf *ret);

#endif
