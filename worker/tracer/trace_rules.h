/* What a path means for a job, by its text, the unit, and the directories that the worker mounts.
 * Nothing here looks at the disk. All paths are absolute, normal, and as the job sees them. */
#ifndef DRAY_WORKER_TRACER_TRACE_RULES_H
#define DRAY_WORKER_TRACER_TRACE_RULES_H

#include "common/strv.h"
#include "proto/job.pb-c.h"

struct trace_rules {
	const Dray__Unit *unit;
	char *const *lib_dirs;	/* where the system's libraries appear */
	const struct strv *tmp; /* names in /tmp that are the client's */
	struct strv listed;	/* directories that -L names */
	struct strv library_path;
	char *extra; /* -C extra-filename, or NULL */
};

enum trace_place {
	PLACE_OURS,   /* part of the toolchain's identity, or made by us, or by the job itself: no
			 input */
	PLACE_IN,     /* an artifact in the client's out-dir */
	PLACE_OUT,    /* the out-dir: writable, the job's own */
	PLACE_TMP,    /* the private /tmp */
	PLACE_DEV,    /* /dev, which is new: the client's has more */
	PLACE_LIB,    /* a directory of the system's libraries: those that a compiler needs */
	PLACE_KERNEL, /* what the kernel says of this machine, or of this process */
	PLACE_TREE,   /* the client's */
};

/* All arguments must outlive it. */
int trace_rules_init(struct trace_rules *r, const Dray__Unit *unit, char *const *lib_dirs,
	const struct strv *tmp);
void trace_rules_done(struct trace_rules *r);

enum trace_place trace_rules_place(const struct trace_rules *r, const char *path);
/* Whether the job's tree tells the truth about this path: the client walked the directory, and did
 * not leave this path out. */
bool trace_rules_known(const struct trace_rules *r, const char *path);
/* The same for the names in a directory. True also if no result depends on the listing: the
 * compiler lists directories of -L, and uses only artifacts of the closure. */
bool trace_rules_listing_known(const struct trace_rules *r, const char *dir);
/* The symbolic link of the client's that path is, or with `whole` that it lies below; NULL: none
 * that the unit names. */
const char *trace_rules_link(const struct trace_rules *r, const char *path, bool whole);
/* One that a listing of dir shows, where the listing is more than the compiler's own of a -L; or
 * NULL. */
const char *trace_rules_link_in(const struct trace_rules *r, const char *dir);
/* Whether only the loader looks there: a directory of variants below LD_LIBRARY_PATH.
 */
bool trace_rules_loader_dir(const struct trace_rules *r, const char *path);
/* Whether it is one of this unit's outputs, directly in the out-dir. */
bool trace_rules_own_output(const struct trace_rules *r, const char *path);
/* Whether it is, or lies in, a temporary directory that the compiler or dray-ld makes in the
 * out-dir. */
bool trace_rules_temporary(const struct trace_rules *r, const char *path);
/* Whether the name is one of a shared library: "lib.so", "lib.so.6". */
bool trace_rules_is_library(const char *path);
bool trace_rules_withholds_env(const struct trace_rules *r, const char *name);

#endif
