/* How the compiler is called in a job, and which parts of its toolchain it sees. */
#ifndef DRAY_WORKER_SANDBOX_COMPILER_H
#define DRAY_WORKER_SANDBOX_COMPILER_H

#include "common/strv.h"
#include "toolchain/toolchain.h"
#include "proto/job.pb-c.h"
#include "worker/sandbox/sandbox.h"
#include "worker/sandbox/sysroot.h"

/* Above this, arguments go into a file (`rustc @file`): with the environment they must fit into a
 * quarter of the stack's limit (8 MiB), and one string into 128 KiB less a byte (MAX_ARG_STRLEN).
 */
#define COMPILER_ARGS_MAX (1024u * 1024)
#define COMPILER_STRING_MAX (128u * 1024 - 2)

bool compiler_needs_arg_file(const Dray__Unit *u);

/* Adds the command line: the driver at the client's sysroot, and the unit's arguments or a file
 * with them, which is written below root, the job's root directory on this machine. */
int compiler_argv(const Dray__Unit *u, const char *root, struct strv *argv);

struct compiler {
	const Dray__Unit *unit;
	const struct toolchain *toolchain; /* the offer's */
	const struct sysroot *sysroot;
	const char *root, *bin; /* the job's, on this machine (worker/sandbox/stage.h) */
};

/* Adds to *v and *n the mounts that go over the toolchain's. Strings in *keep. */
int compiler_mounts(
	const struct compiler *c, struct strv *keep, struct sandbox_mount **v, size_t *n);

/* Whether a linker of the toolchain's is covered for this unit. */
bool compiler_covers_linker(const Dray__Unit *u, const struct toolchain *t, const char *view);

#endif
