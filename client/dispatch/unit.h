/* A unit as it goes to a worker: arguments, environment, files and their digests.
 *
 * Paths are this machine's own, with one exception: what lies in the unit's out-dir appears in the
 * job below JOB_ALIAS, since the out-dir itself must be writable and empty there
 * (doc/architecture.md). */
#ifndef DRAY_CLIENT_DISPATCH_UNIT_H
#define DRAY_CLIENT_DISPATCH_UNIT_H

#include "rustc/call.h"
#include "rustc/mapping.h"
#include "common/conf/conf.h"
#include "memo/memo.h"
#include "proto/alias.h"
#include "proto/job.pb-c.h"

struct unit_in {
	const struct rustc_call *call; /* CALL_UNIT; this and the next must outlive the unit */
	const struct mapping *mapping; /* of a mapped call; NULL: it is none */
	const struct conf *conf;
	struct memo *memo; /* may be NULL */
	const char *cwd;
	char *const *envp;
	const struct buf *parent_env; /* cargo's environment, NULL when unknown (envscan.h) */
	mode_t umask;
};

struct unit;

/* 0; -errno; or -ENOTSUP with a reason in *ret_home (caller frees): this unit is compiled here. */
int unit_build(const struct unit_in *in, struct unit **ret, char **ret_home);
/* No compile: a toolchain that is to be given to a worker. What is in t is the unit's then if 0 is
 * returned. unit_source_bytes: of its files. 0 or -errno. */
struct toolchain;
int unit_of_toolchain(struct toolchain *t, struct memo *memo, struct unit **ret);
const struct toolchain *unit_toolchain(const struct unit *u);
void unit_free(struct unit *u); /* NULL is fine */
void unit_freep(struct unit **u);

Dray__Unit *unit_message(struct unit *u); /* valid as long as the unit */
const struct rustc_call *unit_call(const struct unit *u);
const struct mapping *unit_mapping(const struct unit *u);	 /* NULL: the call is not mapped */
const char *unit_blob_path(const struct unit *u, uint32_t blob); /* NULL: no such blob */
const char *unit_cwd(const struct unit *u);
const char *unit_out_dir(const struct unit *u); /* absolute, normal */
uint32_t unit_glibc(const struct unit *u);	/* least minor version the worker needs; 0: any */
uint64_t unit_source_bytes(const struct unit *u);
struct files *unit_on_demand(struct unit *u); /* what may be sent beside it; the unit's */

/* path as the job sees it: unchanged, or below the alias. Both absolute and normal. NULL: no
 * memory. */
char *unit_job_path(const char *out_dir, const char *path);
/* The other way: path as this machine has it. */
char *unit_own_path(const char *out_dir, const char *path);

#endif
