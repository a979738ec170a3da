/* The rmeta that cargo was told of before a worker failed: units that depend on it may have been
 * compiled with it, so the compile here must make the very same one.
 *
 * If it does, the file that was announced stays, with its inode and times. If it does not, the unit
 * fails, and what it made is removed: cargo then starts nothing else, and the next build makes all
 * that depended on it again, since their times are older. In the cache what they made is bound to
 * the digest of what they read, which no unit has any more. Another compile here tells whose fault
 * it is: where it makes what the first made, the worker's; else the crate's, which comes out
 * differently each time. */
#ifndef DRAY_CLIENT_WRAP_RMETA_H
#define DRAY_CLIENT_WRAP_RMETA_H

#include <time.h>

#include "client/wrap/ledger.h"
#include "common/conf/conf.h"
#include "rustc/call.h"

enum rmeta_fault {
	RMETA_FINE,
	RMETA_UNKNOWN, /* it differs, and nobody knows why */
	RMETA_CRATE,   /* ... since it does each time */
	RMETA_WORKER,  /* ... and the compiler here makes the same each time */
};

struct rmeta {
	const struct ledger *said; /* NULL: nothing was announced */
	char *kept;		   /* a second name of it */
	bool equal;		   /* it was made again, and is in its place */
	bool differs;		   /* another one was made: `made` */
	struct digest made;
};

/* Before the compiler runs. 0 or -ENOMEM. */
int rmeta_keep(struct rmeta *r, const struct ledger *said);
void rmeta_done(struct rmeta *r);
/* Whether the text announces metadata. A line of it that comes in two parts is missed. Within a
 * diagnostic the quotes have a backslash. */
bool rmeta_is_announced(const void *p, size_t n);
/* How far the text goes up to the end of that line; 0: it does not announce any. */
size_t rmeta_announced_end(const void *p, size_t n);
/* Once the compiler announces it: puts the first one back, whatever the second is. False: they
 * differ. */
bool rmeta_look(struct rmeta *r);
/* After the compiler's end. False: they differ. */
bool rmeta_stands(struct rmeta *r, int status);
/* Removes all that the unit made, so that cargo builds it again. */
void rmeta_remove(struct rmeta *r);
/* Whether all that the compiler says that it read is from before then (clock_stamp): the worker had
 * the same. */
bool rmeta_inputs_are_older(
	const struct rmeta *r, const struct rustc_call *call, const struct timespec *then);
/* What the compiler makes now. 0 or -errno. */
int rmeta_digest(const struct rmeta *r, struct digest *ret);
/* Says what is wrong on stderr, for cargo's user, and notes the worker or the crate. */
void rmeta_say(const struct conf *conf, const struct rustc_call *call, const struct ledger *said,
	enum rmeta_fault fault);

#endif
