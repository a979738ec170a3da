/* A job's directory on disk: JOBS/<job>/ with root/ (the client's files, hard links to blobs, at
 * the client's paths), out/ (the out-dir), bin/ (dray-exec, and dray-ld under the linker's name).
 */
#ifndef DRAY_WORKER_SANDBOX_STAGE_H
#define DRAY_WORKER_SANDBOX_STAGE_H

#include "store/store.h"
#include "common/strv.h"
#include "proto/job.pb-c.h"
#include "worker/sandbox/sandbox.h"
#include "worker/sandbox/spare.h"

struct stage {
	char *dir, *root, *out, *bin;
	const Dray__Unit *unit;	 /* the caller's, and it must outlive this */
	uint32_t *by_blob;	 /* indexes of unit->files, ordered by blob */
	struct strv tmp;	 /* names in root/tmp */
	struct job_users *users; /* NULL: none */
	const char *tools;	 /* the caller's, likewise */
	struct spare *spare;	 /* likewise; NULL: none */
	/* Laying out ends with -ECANCELED once this says so; NULL: it does not. */
	bool (*is_stopped)(void *arg);
	void *arg;
};

struct stage_spec {
	const char *jobs;	       /* directory */
	const char *job;	       /* a plain name */
	const char *tools;	       /* directory with dray-exec and dray-ld, same file system */
	char *const *lib_dirs;	       /* where the worker's libraries appear; NULL-terminated */
	const Dray__Unit *unit;	       /* passed by unit_check with these lib_dirs */
	struct job_users *users;       /* whose the job is; NULL: the worker's own */
	struct spare *spare;	       /* of jobs in this directory; NULL: none */
	bool (*is_stopped)(void *arg); /* see there */
	void *arg;
};

/* Makes the directories. 0 or -errno; nothing is left behind on failure. */
int stage_new(const struct stage_spec *spec, struct stage *ret);
/* The same in two steps: what all jobs of a toolchain have (of the unit only its sysroot counts,
 * and lib_dirs), then what this unit has. If the second fails, stage_done is the caller's. */
int stage_begin(const struct stage_spec *spec, struct stage *ret);
int stage_fill(struct stage *s, const Dray__Unit *unit);
/* In between: it is that job's from now on. What was mounted stays. */
int stage_rename(struct stage *s, const char *jobs, const char *job);
/* Links the files of one blob. If it has more files than a file system takes links, one copy is
 * made for each so many. -ENOENT: the store does not have it (now). May be called again. */
int stage_link_blob(struct stage *s, struct store *store, uint32_t blob);
/* The mounts that go over the private /tmp, then `sysroot_from` at the unit's sysroot, the
 * libraries of lib_root, and the out-dir. Strings in *keep; *ret has to be freed. */
int stage_mounts(const struct stage *s, const char *sysroot_from, const char *lib_root,
	char *const *lib_dirs, struct strv *keep, struct sandbox_mount **ret, size_t *ret_n);
/* Removes the directory, even while killed processes still write to it. */
void stage_done(struct stage *s);
/* Removes what a crash left below jobs. users: NULL, or those of the jobs. */
int stage_clean(const char *jobs, struct job_users *users);

#endif
