/* One system call that the kernel reported: what it is, and which paths it names. */
#ifndef DRAY_TRACE_CALL_H
#define DRAY_TRACE_CALL_H

#include <limits.h>
#include <linux/seccomp.h>
#include <sys/types.h>

#include "common/buf.h"
#include "trace/caller.h"
#include "trace/listener.h"

enum trace_op {
	TRACE_LOOK, /* access, readlink, getxattr */
	TRACE_STAT, /* the tracer may answer it itself */
	TRACE_OPEN,
	TRACE_LIST,   /* getdents: path is the directory's */
	TRACE_CHANGE, /* mkdir, unlink, rename, … */
	TRACE_MARK,   /* chmod, chown, utimes and their like of a path, where they are notified */
	TRACE_EXEC,
	TRACE_CHDIR,
	TRACE_SOCKET,
	TRACE_CONNECT, /* to another process of this machine (the path is its socket's, where it has
			* one), or to the network */
	TRACE_UNSEEN,  /* io_uring, file handles: they open files unseen */
	TRACE_REMOUNT, /* mount, chroot, …: from then on paths mean something else */
	TRACE_UMASK,   /* umask: it can only be asked for by setting it */
	TRACE_LIMIT,   /* getrlimit and its like, of the limits that the filter names */
	TRACE_RANDOM_BYTES, /* getrandom, where it is notified */
	TRACE_MACHINE,	    /* what the machine is: see machine; where it is notified */
	TRACE_SAID,	    /* a message of dray-env.so: path[0] (trace/paths.h) */
	TRACE_OTHER,	    /* not understood, or its memory cannot be read: see error
			     */
};

/* What a call asks about a path beside whether it is there. */
enum trace_attributes {
	TRACE_ATTRIBUTES_NONE,
	TRACE_ATTRIBUTES,	  /* of what the path leads to: stat, access */
	TRACE_ATTRIBUTES_OF_LINK, /* of the link, where it is one: lstat */
};

struct trace_call {
	bool here; /* set by the caller: the paths are this machine's, so a ".." after a symbolic
		      link can be resolved; otherwise it is taken as text */
	int (*up)(void *arg, const char *dir); /* set by the caller, or NULL: where the paths are
						  not this machine's, asked before a ".." goes
						  up from dir. Negative: nothing more is read */
	void *up_arg;
	const struct trace_listener *listener; /* set by the caller: what is read counts only if the
						  call waits there still. NULL: not looked at */
	bool gone;			       /* it does not: nothing of this is the caller's */
	pid_t pid;			       /* the caller's thread */
	enum trace_op op;
	bool write;    /* TRACE_OPEN: for writing, or to be made */
	bool keeps;    /* with write: the file's earlier content stays */
	bool from;     /* TRACE_CHANGE: path[0] is the source (link, rename), or the target of a
			  symbolic link: it is read */
	bool moved;    /* the source is gone afterwards (rename) */
	bool points;   /* path[1] becomes a symbolic link, to path[0] */
	bool nofollow; /* TRACE_OPEN: it fails where the path is a symbolic link */
	enum trace_attributes attributes;
	enum trace_who who;  /* set by the caller where it matters */
	bool by_descriptor;  /* path[0] is what an open descriptor leads to */
	bool makes_dir;	     /* TRACE_CHANGE: a mkdir */
	bool removes;	     /* TRACE_CHANGE: an unlink */
	bool fails_if_there; /* the last path: a mkdir, a link, an open that must make the file */
	bool makes;	    /* TRACE_OPEN, TRACE_CHANGE: the last path is made if it is not there */
	bool asks_link;	    /* TRACE_LOOK: a readlink */
	bool asks_extended; /* TRACE_LOOK: a question about extended attributes */
	bool sets_extended; /* TRACE_CHANGE: of extended attributes, which say more than the mode */
	const char *machine; /* TRACE_MACHINE: "uname" or "cpus" (cache/variables.h) */
	uint64_t argv, envp; /* TRACE_EXEC: where they are in the caller's memory */
	int error; /* TRACE_OTHER: -errno; 0: there is no path. With -EFAULT and -EBADF the caller
		      made a mistake, and the kernel will say so; any other: the call's meaning is
		      not known */
	char up_from[PATH_MAX]; /* with `here`: the directory, as text, that the first ".." of the
				   last path leads up from; "": it has none */
	unsigned n_paths;
	char path[2][PATH_MAX]; /* absolute and normal; "/proc/self/…" is the caller's own entry,
				   with all links below it resolved */
};

/* The numbers of the calls that the filter notifies of, ended by -1. */
extern const int trace_calls[];
/* Those of TRACE_MARK, which a worker's filter has not. What is done to a descriptor needs none: a
 * file that is open is an input or an output, and its ctime tells. */
extern const int trace_marks[];

/* Reads the caller's memory. cwd: the caller's directory, for relative paths; NULL: it is looked
 * up. */
void trace_call_read(const struct seccomp_notif *req, const char *cwd, struct trace_call *ret);
/* Reads the strings of an array that ends with NULL (argv, envp), each with its NUL, up to max
 * bytes; what does not fit is left out. 0 or -errno; -ESRCH: the caller is gone. */
int trace_call_strings(const struct trace_call *c, uint64_t at, size_t max, struct buf *ret);

#endif
