/* A toolchain that a client gives, from its manifest to an offer: its files are put together in a
 * directory of this worker's, STATE/toolchains/.new-JOB/tree; nothing of it is run, or believed,
 * before all of it is proved; then it is STATE/toolchains/ID.
 *
 *   STATE/toolchains/ID/tree      what jobs see at their sysroot
 *   STATE/toolchains/ID/version   what its driver prints for -vV, which is part of the id; and by
 *                                 this file's time when it was last used
 *   STATE/toolchains/ID/names     driver, host and target, a line each */
#ifndef DRAY_WORKER_PUSH_ASSEMBLY_H
#define DRAY_WORKER_PUSH_ASSEMBLY_H

#include "proto/job.pb-c.h"
#include "store/store.h"
#include "worker/offers.h"

#define ASSEMBLY_DIR "toolchains"

struct assembly;

/* u passed manifest_fault, and outlives it. job: a plain name. 0 or -errno. */
int assembly_begin(
	const char *state_dir, const char *job, const Dray__Unit *u, struct assembly **ret);
/* Copies a blob to where its files are. May be called again. -ENOENT: the store does not have it
 * (now); -EBADMSG: it is not as large as the unit says. */
int assembly_place(struct assembly *a, struct store *store, uint32_t blob);
/* All blobs were placed: proves it (assembly_prove_dir), and gives it its own name. *ret: an offer
 * that nobody has yet. 0; -EBADMSG: it is not what its client says; -ENOEXEC: it does not work
 * here; with a sentence in *ret_why (caller frees); or -errno. */
int assembly_finish(
	struct assembly *a, const struct trial_conf *c, struct offer **ret, char **ret_why);
/* Removes what has not become an offer. NULL is fine. */
void assembly_free(struct assembly *a);
void assembly_freep(struct assembly **a);

/* The same proof of one that this worker has kept: STATE/toolchains/HEX. */
int assembly_prove(const struct trial_conf *c, const char *dir, const struct digest *id,
	const char *job, struct offer **ret, char **ret_why);
/* It was used now; its file is told of it, once in a while. */
void assembly_used(struct offer *o);
/* Removes its directory, and what its jobs had beside it, at once or soon; the main loop's. Its
 * offer was withdrawn, and no job has it. */
void assembly_remove(const char *state_dir, struct offer *o);

#endif
