/* The deny list that every job runs under. */
#ifndef DRAY_WORKER_SECCOMP_H
#define DRAY_WORKER_SECCOMP_H

#include "common/buf.h"

/* The filter as a BPF program for bwrap's --seccomp. 0 or -errno. */
int seccomp_program(struct buf *ret);

#endif
