/* A unit while it is made: its parts, and which file fills each. */
#ifndef DRAY_CLIENT_DISPATCH_UNIT_PRIV_H
#define DRAY_CLIENT_DISPATCH_UNIT_PRIV_H

#include "client/dispatch/files.h"
#include "client/dispatch/unit.h"
#include "toolchain/toolchain.h"

struct unit {
	Dray__Unit msg; /* everything in it points into the rest */
	const struct rustc_call *call;
	const struct mapping *mapping; /* NULL: the call is not mapped */
	char *cwd, *out_dir, *source, *linker;
	struct toolchain tc;
	struct strv argv, env, dirs;
	struct strv walked, withheld, withheld_env, links;
	struct files *on_demand;
	struct strv inputs; /* files that options name; absolute */
	uint32_t glibc;
	uint64_t source_bytes;

	/* files, and what their content is */
	struct strv names; /* as the job sees them */
	Dray__UnitFile *files, **files_p;
	Dray__FileTimes *times; /* of files, those that are sources */
	struct strv blob_paths;
	struct digest *digests;
	Dray__Blob *blobs, **blobs_p;
	Dray__EnvVar *vars, **vars_p;
	struct unit_push *push; /* of a toolchain that is given; NULL */
};

struct unit_push {
	Dray__PushedToolchain msg;
	Dray__PushedFile *files, **files_p;
	struct buf version;
};

/* unit_push.c: makes it one of a toolchain, which it takes. */
int unit_fill_push(struct unit *u, struct toolchain *t, struct memo *memo);

/* unit_args.c: the arguments in the job's terms */
int unit_fill_args(struct unit *u);

/* unit_target.c: u->linker, u->inputs */
int unit_find_inputs(struct unit *u, char **ret_home);

/* unit_files.c: files, directories and blobs */
struct unit_paths {
	const struct strv *sources;   /* left out when they cannot be read */
	const struct strv *artifacts; /* likewise, but for those in required */
	const struct strv *required;
	struct strv *withheld; /* gets the sources that cannot be read */
};
int unit_fill_files(
	struct unit *u, struct memo *memo, const struct unit_paths *paths, char **ret_home);

#endif
