/* clang-format off */
/* Refills: what was compiled here is compiled again by a worker that has nothing to do, so that the
 * shared cache has it by one whom others believe (doc/shared-cache.md, Refills).
 *
 *   dray (a unit was compiled here)     dray-dispatch --half     dray-dispatch refill KEY RESULT
 *     refill_note ── a small file ────▶   refiller.c, when the   ─▶  dispatch/refill.c: is all as
 *                    (queue.h)            build is quiet             it was? then it is sent, and
 *                                         ◀─ "runs"; how it ended    nothing of what comes is used
 *
 * What waits is a file of the queue: strings, each with its NUL (refill_encode). How the unit was
 * called is in it, with variables that cargo and pass_env set, as in the local cache. */
/* clang-format on */
#ifndef DRAY_CLIENT_FAR_REFILL_H
#define DRAY_CLIENT_FAR_REFILL_H

#include <sys/types.h>

#include "client/far/queue.h"
#include "common/conf/conf.h"
#include "common/digest.h"
#include "common/strv.h"

#define REFILL_COMMAND "refill"	     /* of dray-dispatch */
#define REFILLS_MAX_WAITING 1024     /* of more the oldest is dropped, a few later */
#define REFILL_BYTES_MAX (64u << 10) /* of one; a larger one is not noted */
#define REFILL_RUNS "runs"	     /* its compiler was started */

/* What has become of one: the exit status of the command, which prints a sentence. */
enum refill_end {
	REFILL_DONE,	/* a worker has compiled it */
	REFILL_DROPPED, /* it will not be: it was changed, say */
	REFILL_LATER,	/* no worker is idle now, or the farm is away */
};

struct refill_call {
	struct digest sought; /* the key under which a worker shares it: its own, or its bundle's */
	mode_t umask;
	bool mapped; /* argv is mapped (paths = shared) */
	char *cwd;
	struct strv argv;
	struct strv env;  /* what cargo and pass_env set, NAME=VALUE */
	struct strv base; /* of the rest, what tells where things lie: PATH, HOME and the like */
};

void refill_call_done(struct refill_call *c);
/* Adds its strings to *ret. 0 or -ENOMEM. */
int refill_encode(const struct refill_call *c, struct strv *ret);
/* *ret must be empty, and is so after an error. 0; -EBADMSG; -ENOMEM. */
int refill_decode(const struct strv *from, struct refill_call *ret);

/* Whether what is compiled here is to be noted, by the configuration. */
bool refill_is_wanted(const struct conf *conf);
/* The variables of this process that a call's `base` has, but those in env. 0 or -ENOMEM. */
int refill_base(const struct strv *env, struct strv *ret);
/* Notes one. 0; -E2BIG; -errno. */
int refill_note(const struct conf *conf, const struct queue_item *i, const struct refill_call *c);
/* How many wait, by this configuration's queue. */
size_t refill_count(const struct conf *conf);

#endif
