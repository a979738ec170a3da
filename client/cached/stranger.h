/* Whether a result that a stranger made, and that came by a shared cache (cache/shared.h), is one
 * of this call of the compiler, or of this build script's run: the rules that a worker's answer is
 * held against (client/dispatch/relay.c, outputs.c), for a result that is whole. Its seal says who
 * made it; this, that it does nothing on this machine but what this call would do.
 *
 * What its content says is looked at once that has come: its digest, and rlib_agrees of a library
 * and the metadata that was put in place before. Its links are checked when they are made
 * (link_check.h). */
#ifndef DRAY_CLIENT_CACHED_STRANGER_H
#define DRAY_CLIENT_CACHED_STRANGER_H

#include "cache/result.h"
#include "rustc/call.h"

/* Writes a text to the empty *to as it is shown here: with places in the stead of their marks. 0 or
 * -ENOMEM. */
typedef int (*stranger_show_fn)(const void *arg, const struct buf *text, struct buf *to);

struct stranger {
	const struct rustc_call *call; /* NULL: it is a build script's run */
	const struct inputs_place *place;
	const char *cwd;
	const struct strv *known; /* of a call: what the toolchain's id speaks for (crosscheck.h) */
	bool links; /* its producer may have linked it: a publisher; a worker's is linked here */
	stranger_show_fn show, show_link; /* a text; a call of the linker */
	const void *arg;
};

/* To be called before its inputs are looked at. 0; -EPERM: it is not to be put in place, and
 * *ret_why says why (the caller frees it); -ENOMEM. */
int stranger_check(const struct stranger *s, const struct result *r, char **ret_why);

/* Whether a file that a stranger names may be read to make a digest of it. The kernel's files may
 * have no end, or make their reader wait: also what a link of the user's own leads to. */
bool stranger_may_read(const char *path);

#endif
