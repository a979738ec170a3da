/* The key that a worker makes by itself of the unit that a client sent, and that the client makes
 * of its own call, to compare: the unit key (key.h) without what a user's configuration says
 * (namespace, choice of a linker), and with the places that the call tells:
 *
 *   target directory     by the out-dir's name (job_key_target_dir), or by the call's mapping
 *   workspace, cargo's home   by the call's mapping (rustc/mapping.h)
 *
 * So it takes nobody's word for any part of it. */
#ifndef DRAY_CACHE_JOB_KEY_H
#define DRAY_CACHE_JOB_KEY_H

#include "cache/key.h"

struct job_key_in {
	const struct digest *toolchain;
	const char *sysroot;	       /* where the compiler has its toolchain */
	const char *toolchain_dir;     /* where it is for this process */
	const struct rustc_call *call; /* CALL_UNIT */
	const char *cwd;	       /* absolute, normal */
	const struct strv *env;	       /* NAME=VALUE */
	key_digest_fn digest;
	void *arg;
};

/* 0; -errno of an extern's digest; -EINVAL: the call is no unit; -ENOMEM. */
int job_key_make(const struct job_key_in *in, struct unit_key *ret);

/* The key of the unit's entry in a shared cache (key.h), which a client of this namespace makes as
 * well where its configuration is the usual one; of a bundle if bundle, the out-dir, is not NULL.
 * Like job_key_make it takes nobody's word but for the namespace. As job_key_make. */
int job_key_make_entry(const struct job_key_in *in, const char *namespace, const char *bundle,
	struct unit_key *ret);

/* The directory that a unit's out-dir belongs to: TARGET/[TRIPLE/]PROFILE/ and then deps, examples,
 * build/NAME or build/NAME/HASH/out. triple: the value of --target; NULL: none was given. NULL: the
 * out-dir is named otherwise, or no memory. The caller frees it. */
char *job_key_target_dir(const char *out_dir, const char *triple);

#endif
