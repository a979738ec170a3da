/* The local cache, for one call of the compiler: finds its result, or keeps the one that is made.
 *
 *   cached_open ─▶ off: why
 *        └▶ cached_lookup ─▶ hit: outputs are in place, texts are printed
 *                 └▶ miss: why ─▶ cached_fetch ─▶ hit
 *                            └▶ cached_stage_bundle ─▶ (its link) ─▶ cached_say_bundle
 *                            └▶ (the compile) ─▶ cached_keep
 *
 * Nothing here can fail a build: if something goes wrong, it is a miss or the result is not kept.
 */
#ifndef DRAY_CLIENT_CACHED_CACHED_H
#define DRAY_CLIENT_CACHED_CACHED_H

#include <time.h>

#include "cache/key.h"
#include "cache/result.h"
#include "common/conf/conf.h"
#include "common/digest.h"
#include "memo/memo.h"
#include "common/strv.h"
#include "toolchain/toolchain.h"
#include "rustc/call.h"
#include "rustc/mapping.h"

struct cached;

struct cached_in {
	const struct conf *conf;
	const struct rustc_call *call;
	const struct mapping *mapping; /* of a mapped call; NULL: it is none */
	struct memo *memo;	       /* may be NULL */
	struct timespec began;	       /* of this process, CLOCK_REALTIME */
	const struct strv *env; /* what cargo and pass_env have set; NULL: it is found by what cargo
				   has itself, which has started this process */
};

/* 0; -ENOTSUP and why not in *ret_why (the caller frees it); -ENOMEM. */
int cached_open(const struct cached_in *in, struct cached **ret, char **ret_why);
void cached_close(struct cached *c); /* NULL is fine */
void cached_closep(struct cached **c);

struct cached_said {   /* for the job log */
	char why[512]; /* of a miss: what is new or differs; of a result: why it is not kept */
	char key[DIGEST_HEX_SIZE];
	char producer[PRODUCER_SIZE]; /* of what was found: the key of whom made it; "": none */
	char bound[128]; /* of a mapped unit that was kept: what of it names its place; "": nothing
			  */
	uint64_t saved_us, bytes;
	int status; /* of a hit: the compiler's exit status */
};

/* True: a hit. All outputs are in place and all text is printed; said->status is the compiler's
 * exit status. */
bool cached_lookup(struct cached *c, struct cached_said *said);
/* After a miss: waits, for a bounded time, for another process that makes the same result, unless a
 * signal comes or that process is stopped or waits for us. True: look again, and after another miss
 * call it again: of all that waited one gets the lock, and the others wait for that one. */
bool cached_wait_twin(struct cached *c);

struct ledger;

struct cached_far {	/* for the job log: what the stores gave */
	char store[64]; /* where it was found; "": nowhere */
	char why[384];	/* why it was not taken; "": it was, or nobody was asked */
	uint64_t us, bytes;
	char not_shared[256];	/* why what was made here is not uploaded; "": it is, or need not be
				 */
	unsigned refused;	/* results that were found and are not believed */
	bool answered;		/* what was asked last was answered, whatever it was */
	struct ledger *promise; /* in: may get an rmeta that cargo is told of before all else is
				   here; NULL: nothing is told before. */
};
/* After a miss, and the wait for a twin: looks into the stores that are shared (dray.conf: store),
 * for a time that is bounded by what the compile takes. True: the result is in the local cache now,
 * and a hit, as cached_lookup would make of it. With said NULL it is not put in place: look again.
 * False, with an rmeta in far->promise: cargo was told of it, so what is made now must be the same.
 */
bool cached_fetch(struct cached *c, struct cached_far *far, struct cached_said *said);
/* After that, of a unit that is linked: the same of its bundle, where the stores have answered.
 * True: look for it again (cached_stage_bundle). */
bool cached_fetch_bundle(struct cached *c, struct cached_far *far);
/* The line of the job log then says it; far outlives that. */
struct joblog_entry;
void cached_far_log(const struct cached_far *far, bool hit, struct joblog_entry *e);

/* The arguments of dray-trace for a compile here, up to its "--". Owned by c. */
const struct strv *cached_trace_options(struct cached *c);
/* Just before a compile elsewhere, or a link. */
void cached_begin(struct cached *c);
/* The same of a compile here, or of a build script's run (its program; NULL for a compile); returns
 * local_run's `began`. */
const struct timespec *cached_begin_traced(struct cached *c, const char *program);

struct inputs;
struct cached_made {
	int status;		  /* cached_is_final */
	const struct buf *record; /* trace/watch.h */
	const struct buf *out, *err;
	const char *from;     /* "local", "farm" */
	const char *producer; /* the key of the worker that made it; "" or NULL: it is of none */
	uint64_t compile_us;
	const struct inputs *known;  /* inputs that are not in the record; may be NULL */
	const struct ledger *staged; /* it is a bundle, and no link's result: with these calls,
					whose inputs are set aside (link.h); NULL otherwise */
	const struct buf *tail;	     /* of a bundle: what is printed after the link */
	bool metadata;		     /* of a bundle: only the metadata of rlibs was read */
};

/* Reads what dray-dispatch left in the staging directory of a unit that the farm made, and the
 * records of the linkers that ran here, one after another. Adds to each of the outputs. 0 or
 * -errno.
 */
int cached_read_farm(const struct ledger *said, const struct buf *linked, struct buf *record,
	struct buf *out, struct buf *err);

/* What a unit's key is made of (cache/key.h). namespace and linker may be NULL. */
struct cached_key_in {
	struct memo *memo;  /* may be NULL */
	const char *bundle; /* as in cache/key.h; NULL: it is not a bundle's */
	const struct rustc_call *call;
	const struct toolchain *toolchain;
	const char *namespace, *linker, *cwd;
	const char *target_dir; /* that the out-dir belongs to */
	const char *workspace;	/* of a mapped unit; NULL: it is not one of a workspace */
	const char *cargo_home; /* of a mapped unit; NULL: it is none */
	const struct strv *env; /* the hermetic one */
};
/* Makes the key as unit_key_make does, with relative paths taken from the directory cwd. */
int cached_key(const struct cached_key_in *in, struct unit_key *ret);

/* Whether the result of a compile here is worth keeping: it succeeded, or it was a build script's
 * trial whose source was refused. Such a trial runs again in every build, and the same inputs give
 * the same answer. No other failure is kept. */
bool cached_is_final(const struct rustc_call *call, int status, const struct buf *err);
/* True: kept, and offered to the stores that are shared. Otherwise said->why says why not. */
bool cached_keep(struct cached *c, const struct cached_made *made, struct cached_said *said,
	struct cached_far *far);

/* The key under which the shared cache has what a worker makes of it: the unit's, or its bundle's.
 * 0 or -errno. */
int cached_sought(struct cached *c, struct digest *ret);
/* Whether another client's job may make it, wherever that lies; then it would be there by that
 * key, and *ret_called is what its worker calls it (cache/job_key.h). */
bool cached_may_be_alike(struct cached *c, struct digest *ret_sought, struct digest *ret_called);
/* Whether the unit is still what it was when that result of that entry was made here: so what is
 * compiled of it now is, too. 0; -ESTALE: no, as *ret_why says (the caller frees it); -ENOMEM. */
int cached_is_as_kept(
	struct cached *c, const struct digest *key, const struct digest *result, char **ret_why);

/* ---- bundles: what the farm made of a unit before its link, so that another link needs no compile
 */

/* After a miss: true if there is a bundle and all that its compile read is unchanged. Then its
 * outputs and the inputs of its links are in place, and *ret is for link_run (without a tail). Call
 * link_clean, then cached_say_bundle or cached_drop_bundle. */
bool cached_stage_bundle(struct cached *c, struct ledger *ret);
/* The link succeeded: prints the compiler's text, and fills *said as for a hit. */
void cached_say_bundle(struct cached *c, struct cached_said *said);
/* The link failed: removes the bundle's outputs. */
void cached_drop_bundle(struct cached *c);
/* After cached_say_bundle: keeps the whole result. linked: the linkers' records. As cached_keep. */
bool cached_keep_linked(struct cached *c, const struct buf *linked, uint64_t link_us,
	struct cached_said *said, struct cached_far *far);

/* Keeps a bundle: what the farm made, and the link's inputs that link_run set aside. Call it before
 * link_clean. True: kept. */
bool cached_keep_bundle(struct cached *c, const struct ledger *staged, const struct buf *linked);

/* cargo's home; NULL: it is not known, or no memory. The caller frees it. */
char *cached_cargo_home(void);
/* Of a build script's run: the sysroot of cargo's compiler, to be freed. NULL: not known. */
char *cached_run_sysroot(void);

#endif
