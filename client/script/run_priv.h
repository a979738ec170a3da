/* What run.c, which finds a run or makes it, keep.c, which keeps it, given_up.c and log.c share. */
#ifndef DRAY_CLIENT_SCRIPT_RUN_PRIV_H
#define DRAY_CLIENT_SCRIPT_RUN_PRIV_H

#include "client/cached/cached_priv.h"
#include "client/wrap/local.h"
#include "client/slots/slots.h"

struct run {
	int launcher;	     /* the end of its pipe */
	struct strv argv;    /* the real program, and its arguments */
	char *argv0;	     /* the name by which cargo called it */
	const char *package; /* its name */
	struct timespec began;
	struct conf *conf;
	struct memo *memo;
	struct cached *c; /* the cache, the key, and where it runs */
	struct strv marked, trace;
	struct strv maps, marked_maps; /* place_maps */
	struct slots *slots;
	struct local_seen seen;
	struct cached_said said;
	struct cached_far far;
	char why[512];		/* of a miss */
	char *off, *not_stored; /* not_stored before it began: it is not traced */
	char *bound;		/* what of it names its place: a file in OUT_DIR, or a text */
	bool was_empty;		/* OUT_DIR, when it began */
	bool began_run;
	uint64_t start_us, lookup_us, restore_us, slot_wait_us, run_start_us, run_us, store_us;
};

/* Notes r->not_stored if it is a doubt about what such a script does each time. What it left or
 * wrote may have been an accident. */
void run_give_up(struct run *r);
/* Sets r->not_stored where that was noted of the same run within a day, and what it read of the
 * package, and the programs that it ran, have not changed. */
void run_give_up_again(struct run *r);
/* Keeps what the run made, if it ended well; else r->not_stored says why not. */
void run_keep(struct run *r, int status);
/* Adds the run's line to the job log. `where` as there. */
void run_log(struct run *r, const char *where, int status);

#endif
