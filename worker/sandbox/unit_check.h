/* Checks that a unit from a client can be laid out. */
#ifndef DRAY_WORKER_SANDBOX_UNIT_CHECK_H
#define DRAY_WORKER_SANDBOX_UNIT_CHECK_H

#include "common/base.h"
#include "proto/job.pb-c.h"

/* Upper bounds. A large workspace with vendored sources has some 20,000 files. */
#define UNIT_FILES_MAX 200000
#define UNIT_DIRS_MAX 10000 /* a file system may take some ms to make and remove one */
#define UNIT_ENV_MAX 4096
#define UNIT_ARGS_MAX 100000
/* Of arguments that go into a file (compiler.h). */
#define UNIT_ARG_FILE_MAX (12u * 1024 * 1024)
/* Of other arguments, and the environment: execve refuses more than a quarter of the stack's limit
 * (8 MiB), and some of it is bwrap's. One string may have 128 KiB less a byte (MAX_ARG_STRLEN). */
#define UNIT_ARG_BYTES_MAX (1792u * 1024)
#define UNIT_STRING_MAX (128u * 1024 - 1)

/* reserved: NULL-terminated directories of the worker's own in the job (system libraries).
 * max_bytes: of all blobs together, 0 for no bound. 0, -EINVAL with a sentence in *ret_error
 * (caller frees), or -ENOMEM. Pure. */
int unit_check(const Dray__Unit *u, char *const *reserved, uint64_t max_bytes, char **ret_error);

/* The umask that its job has, plus one. 0: the worker's own, since the client did not say, or could
 * not read its own files. */
uint32_t unit_umask(const Dray__Unit *u);

/* Order of paths in which everything below a directory follows it directly. */
int unit_path_cmp(const char *a, const char *b);

#endif
