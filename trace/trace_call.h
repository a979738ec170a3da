/* One system call that the kernel told us of: what it is, and which paths it names. */
#ifndef DRAY_TRACE_CALL_H
#define DRAY_TRACE_CALL_H

#include <limits.h>
#include <linux/seccomp.h>

#include "common/base.h"

enum trace_op {
	TRACE_LOOK, /* stat, access, readlink */
	TRACE_STAT, /* statx: it may be answered in the kernel's place */
	TRACE_OPEN,
	TRACE_LIST,   /* getdents: path is the directory's */
	TRACE_CHANGE, /* mkdir, unlink, rename, …: it needs the place to be writable */
	TRACE_EXEC,
	TRACE_CHDIR,
	TRACE_SOCKET,
	TRACE_CONNECT, /* to another process of this machine, or to the network */
	TRACE_UNSEEN,  /* io_uring, file handles: what is opened so is not seen */
	TRACE_OTHER, /* not understood, or its memory cannot be read: the kernel says what is wrong
		      */
};

struct trace_call {
	bool here; /* set by the caller: the paths are of this machine, so that where a ".." after a
		    * symbolic link leads can be looked up; otherwise it is taken by text */
	enum trace_op op;
	bool write; /* TRACE_OPEN: for writing, or to be made */
	int error;  /* TRACE_OTHER: -errno of reading the caller's memory; 0: there is no path */
	unsigned n_paths;
	char path[2][PATH_MAX]; /* absolute and normal */
};

/* The numbers that the filter asks about, ended by -1. */
extern const int trace_calls[];

/* Reads the caller's memory. cwd: what relative paths begin with, or NULL to look it up. */
void trace_call_read(const struct seccomp_notif *req, const char *cwd, struct trace_call *ret);

#endif
