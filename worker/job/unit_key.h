/* What a worker says by itself of a unit that a client sent: its key, and what its inputs were. */
#ifndef DRAY_WORKER_JOB_UNIT_KEY_H
#define DRAY_WORKER_JOB_UNIT_KEY_H

#include "cache/job_key.h"
#include "common/digest.h"
#include "common/strv.h"
#include "proto/job.pb-c.h"
#include "rustc/call.h"

/* What was sent for each path, as the job sees it. Its memory is the unit's. */
struct unit_index {
	const Dray__Unit *unit;
	Dray__UnitFile **v; /* by path */
};

/* u: passed by unit_check; it must outlive the index. 0 or -ENOMEM. */
int unit_index_make(const Dray__Unit *u, struct unit_index *ret);
void unit_index_done(struct unit_index *x);
/* NULL: no file was sent for it. */
const Dray__UnitFile *unit_index_find(const struct unit_index *x, const char *path);
/* A digest (DIGEST_SIZE bytes). NULL: no file was sent for it. */
const uint8_t *unit_index_digest(const struct unit_index *x, const char *path);

/* The call as the client made it. */
struct unit_call {
	struct strv words, env; /* env: NAME=VALUE */
	struct rustc_call call; /* of these words */
	struct digest toolchain;
};
/* u: one that unit_key_of has taken. 0 or -errno; unit_call_done in any case. */
int unit_call_make(const Dray__Unit *u, struct unit_call *ret);
void unit_call_done(struct unit_call *c);
/* What its keys are made of; x: its index. It points into all three. */
struct job_key_in unit_key_in(
	const struct unit_index *x, const struct unit_call *c, const char *toolchain_dir);

/* The unit's key (cache/job_key.h), from its own arguments, environment and files. toolchain_dir:
 * where the toolchain is on this machine. 0; -EINVAL: it is no unit that a worker compiles, with
 * the reason in *ret_error (the caller frees it); -ENOMEM. */
int unit_key_of(const struct unit_index *x, const char *toolchain_dir, struct digest *ret,
	char **ret_error);

#endif
