/* clang-format off */
/* Passes on what a compiler on a worker prints, and puts each output in its place before the line
 * that announces it.
 *
 *   dep-info line   its .d is checked (environment) and placed, then the line is printed
 *   metadata line   the rmeta is promised, placed and remembered, then the line is printed
 *   link line       this line and all that follow wait until the outputs, or the link, are done
 *   an error, or a line that is no JSON
 *                   this line and all that follow wait for the metadata line, or until the compiler
 *                   succeeded all the same
 *
 * cargo takes any line for a metadata line that is an object with an "artifact" which ends in
 * .rmeta: one that is not as rustc writes it is the worker's fault.
 *
 * Text goes out by whole lines, as the compiler here would say them: names of a mapped unit
 * (paths = shared) are turned back. In a second try, text that was printed before is dropped
 * (promise.h). */
/* clang-format on */
#ifndef DRAY_CLIENT_DISPATCH_RELAY_H
#define DRAY_CLIENT_DISPATCH_RELAY_H

#include "client/dispatch/outputs.h"
#include "client/wrap/promise.h"
#include "client/dispatch/say.h"
#include "client/dispatch/unit.h"

#define RELAY_TEXT_MAX                                                             \
	(64u * 1024 * 1024) /* held at once; a worker's own limit is of this order \
			     */

struct relay;

/* Why a relay could not go on. */
enum relay_fault {
	RELAY_FINE,
	RELAY_HOME,	/* this unit must be compiled here */
	RELAY_WITHHELD, /* likewise, since it needs what only this machine has */
	RELAY_WORKER,	/* the worker broke its word: another may do better */
	RELAY_LIED,	/* likewise, and no honest one does that: it is not asked again */
};

struct relay_in {
	const struct unit *unit;
	struct memo *memo;
	char *const *envp;
	struct say *say;
	struct outputs *outputs;
	struct ledger *rep; /* what was said before this try */
};

/* All in `in` must outlive it. */
int relay_new(const struct relay_in *in, struct relay **ret);
void relay_free(struct relay *r);

/* n bytes of stderr (or of stdout, which is held to the end). 0; -errno of writing (say.h); or
 * -ENOTSUP: see relay_fault. */
int relay_text(struct relay *r, bool out, const void *p, size_t n);

/* After the compiler's success: says all but the link line and what follows it; then puts every
 * output in place. links: it will be linked here; what rustc makes late waits for that. */
int relay_finish(struct relay *r, bool links);
/* After the compiler's failure: whether its messages are about the crate alone (failure.h). If so
 * it prints all of them, which ends the unit. */
bool relay_failure_is_final(const struct relay *r);
int relay_say_failure(struct relay *r);
/* What waits for the link; valid until the relay is freed. */
const struct buf *relay_tail(const struct relay *r);
int relay_say_tail(struct relay *r);

enum relay_fault relay_fault(const struct relay *r, const char **ret_why);

#endif
