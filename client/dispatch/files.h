/* Files that a compile asks for and that were not sent with the unit: what is there, and whether it
 * may leave this machine.
 *
 * What may: regular files within the package, the workspace, OUT_DIR, the target directory, and the
 * sources that cargo itself fetched, reached by whatever links but lying there in truth; not those
 * that by their name hold secrets. Everything else that exists is refused, and the unit is compiled
 * here; so is what the unit itself made in its out-dir before: a compile that reads it is like no
 * other. */
#ifndef DRAY_CLIENT_DISPATCH_FILES_H
#define DRAY_CLIENT_DISPATCH_FILES_H

#include <limits.h>

#include "common/digest.h"
#include "memo/memo.h"
#include "proto/job.pb-c.h"
#include "rustc/call.h"

/* For one unit. What needs more is odd enough to be compiled where its files are. */
#define FILES_COUNT_MAX 4096
#define FILES_BYTES_MAX (256u * 1024 * 1024)

struct files;

struct files_in {
	struct memo *memo; /* may be NULL */
	const struct rustc_call *call;
	const char *out_dir;	  /* of the call; absolute, normal */
	const char *manifest_dir; /* CARGO_MANIFEST_DIR; this and the next may be NULL */
	const char *gen_dir;	  /* OUT_DIR */
	const char *cwd;	  /* counts when it is a package's or a workspace's root */
	const char *workspace;	  /* of a mapped unit: the same; NULL: it is none */
	const char *target_dir;
	const char *cargo_home, *home; /* $CARGO_HOME, $HOME; may be NULL */
};

struct files_answer {
	uint32_t id;
	Dray__FileKind kind;
	struct digest digest; /* of a regular file */
	uint64_t size;
	Dray__FileTimes times;
	char text[PATH_MAX + 32]; /* what is refused: "the file …" */
};

int files_new(const struct files_in *in, struct files **ret);
void files_free(struct files *f); /* NULL is fine */

/* path: absolute and normal. 0 or -ENOMEM. */
int files_answer(struct files *f, uint32_t id, const char *path, struct files_answer *ret);

/* The attributes of the file. False: they cannot be read. */
bool files_times(const char *path, Dray__FileTimes *ret);

/* Whether a file of this name is likely to hold a password or a private key. */
bool files_is_secret(const char *name);

#endif
