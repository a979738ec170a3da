/* What is in a build script's OUT_DIR, as outputs of a result, and back. Modes are kept as they
 * are, since a script may set them (fs::copy does): the umask is an input of each run. */
#ifndef DRAY_CLIENT_SCRIPT_TREE_H
#define DRAY_CLIENT_SCRIPT_TREE_H

#include "cache/entry.h"
#include "client/script/place.h"
#include "store/depot.h"

struct tree {
	const struct inputs_place *place;
	const struct place_ways *ways;	/* tree_keep: NULL: relative paths do not matter */
	struct depot *depot;		/* NULL: of blobs only the digest is wanted (tree_keep) */
	const char *root;		/* where OUT_DIR's files are now; NULL: in place->out_dir */
	const struct timespec *started; /* of the run whose files are kept; NULL: times are not */
	bool bound;			/* out: what was kept names the place */
	bool names_unit; /* out: what was kept names the way to OUT_DIR (PLACE_TOLD_UNIT) */
	unsigned named;	 /* out: the places that move which it names (INPUT_PLACE) */
	char *bound_by;	 /* out: the first that does, by its name in OUT_DIR; the caller frees it */
	uint64_t bytes;	 /* out: of files, kept or put in place */
};

/* Whether nothing is in the directory, or it is not there. */
bool tree_is_empty(const char *dir);

/* Adds all of OUT_DIR to the result; or, with `made`, only what of these absolute paths is in it,
 * and the directories above. 0; -ENOTSUP: it cannot be kept, *ret_why says why and is the caller's
 * to free; -errno. */
int tree_keep(struct tree *t, const struct strv *made, struct result *res, char **ret_why);

/* Makes OUT_DIR what the result says, and no more, in one step: another directory takes its place.
 * 0; -errno: it is as it was, or it is empty where the file system knows no such step. */
int tree_put(struct tree *t, const struct result *res);

#endif
