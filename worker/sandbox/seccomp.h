/* The system calls that a job may not make, and those that the tracer is notified of. */
#ifndef DRAY_WORKER_SANDBOX_SECCOMP_H
#define DRAY_WORKER_SANDBOX_SECCOMP_H

#include "common/buf.h"

/* BPF programs. deny goes to bwrap's --seccomp, for a job without tracer; deny_traced for one with;
 * trace is put in place by dray-exec, last, and gives the tracer its listener. */
struct filters {
	struct buf deny, deny_traced, trace; /* the last two are empty where nothing is traced */
};

#define FILTERS_INIT                         \
	{                                    \
		BUF_INIT, BUF_INIT, BUF_INIT \
	}

/* 0 or -errno. */
int filters_make(bool trace, struct filters *ret);
void filters_done(struct filters *f);

#endif
