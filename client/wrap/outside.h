/* Path dependencies outside of the workspace. cargo makes its own hash of such a package
 * (-C metadata) of where it lies, and those of all that depend on it of that hash: where they move
 * together with the checkout, all of them have other keys. The memo has a note of each such unit,
 * so that a miss can be explained by it. */
#ifndef DRAY_CLIENT_WRAP_OUTSIDE_H
#define DRAY_CLIENT_WRAP_OUTSIDE_H

#include "memo/memo.h"
#include "rustc/call.h"

struct outside_in {
	struct memo *memo;
	const struct rustc_call *call;
	const char *cwd;
	const struct strv *recipe; /* of its key */
};

/* The directory of a package outside of the workspace that the unit is of, or depends on; it is
 * noted for those that depend on the unit. NULL: none is known. The caller frees it. */
char *outside_find(const struct outside_in *in);
/* Where what is the same unit, but for cargo's hashes, was kept before, if it had another hash
 * there. NULL: it is not known. The caller frees it. */
char *outside_before(const struct outside_in *in);
/* Notes that it is kept now. */
void outside_note(const struct outside_in *in);

#endif
