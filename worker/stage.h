/* Lays out one job on disk: <state>/jobs/<job>/ with
 *   root/   the job's tree, mounted read-only as /: hard links to blobs at the client's paths
 *   out/    the writable out-dir
 *
 * Invariant: nothing that a client names can lead outside root/: paths are checked as text before any
 * is used, and root/ holds only directories and regular files made here. */
#ifndef DRAY_WORKER_STAGE_H
#define DRAY_WORKER_STAGE_H

#include "common/store.h"
#include "proto/wire.h"
#include "worker/offers.h"

/* A unit that passed every check, in the worker's terms. Pointers into the message stay valid as long
 * as that does. */
struct stage_unit {
	const Dray__Unit *unit;
	const struct offer *offer;
	struct digest *blobs;      /* n_blobs */
	size_t n_blobs;
};

/* Checks all of a unit. 0; -EINVAL and a sentence in *ret_why (caller frees). offer may be NULL in tests. */
int stage_check(const Dray__Unit *unit, const struct offer *offer, struct stage_unit *ret,
	char **ret_why);
void stage_unit_done(struct stage_unit *u);

struct stage {
	char *dir;       /* <state>/jobs/<job> */
	char *root;
	char *out;
	struct strv tmp_tops; /* names below root/tmp that must be mounted over the private /tmp */
};

/* Builds the tree; every blob must be in the store. On failure nothing is left, *ret_why says what
 * (-ENOSPC, -ENOENT for a blob that is gone, …). */
int stage_build(const char *state_dir, const char *job, const struct stage_unit *u, struct store *s,
	struct stage *ret, char **ret_why);
/* Removes the directory. */
void stage_done(struct stage *s);
/* Removes what a crash left under <state>/jobs. */
void stage_clean(const char *state_dir);

#endif
