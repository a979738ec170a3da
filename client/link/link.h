/* Links a unit that was compiled on the farm: makes the linker call here that was captured there.
 */
#ifndef DRAY_CLIENT_LINK_LINK_H
#define DRAY_CLIENT_LINK_LINK_H

#include "rustc/call.h"
#include "client/wrap/ledger.h"
#include "client/slots/slots.h"
#include "memo/memo.h"
#include "common/conf/conf.h"
#include "common/strv.h"

/* One staging/link-N. */
#define LINK_MAX_BYTES (64u << 20) /* of a file */
struct link_call {
	char *path_prefix;
	struct strv argv;
	struct strv temporaries; /* absolute, files before the directories that hold them */
};

/* out_dir: absolute, normal; every temporary must be below it, an object of this call's crate or a
 * part of rustc's own temporary directory. 0, -ENOMEM or -EBADMSG. */
int link_call_parse(const void *p, size_t n, const char *out_dir, const struct rustc_call *call,
	struct link_call *ret);
void link_call_done(struct link_call *l);

struct link_run {
	const struct conf *conf;
	const struct rustc_call *call;
	const struct ledger *said;
	struct memo *memo;	  /* may be NULL */
	const char *sysroot;	  /* absolute, normal; NULL: it is found by the call */
	struct slots *slots;	  /* NULL: they cannot be used */
	const struct strv *trace; /* the tracer's options; NULL: it is not traced */
	struct buf *record;	  /* out, with trace: each linker's record, one after another */
	bool set_aside;	    /* after a success the temporaries are not removed: link_set_aside */
	const char *linker; /* out: what linked it, for the job log */
	char *why;  /* out, to be freed: why the calls are not made (link_check.h); or NULL */
	bool spoke; /* out: the linker printed something, which only rustc can report in its own
		       form */
	uint64_t slot_wait_us; /* out */
	uint64_t link_us;      /* out */
};

/* Links, and prints staging/tail. 0; -ECANCELED: a signal came; -EPERM: a call is not one of
 * rustc's
 * (`why`), and no linker ran; -ENOEXEC: the linker failed, or
 * printed something that rustc would warn of (`spoke`); -errno. After an error the output file is
 * gone and nothing was printed. */
int link_run(struct link_run *l);

/* Where link_run puts temporary k of call i when it is set aside: in the staging directory. NULL:
 * no memory. */
char *link_set_aside(const struct ledger *said, unsigned i, size_t k);

/* Removes the staging directory and the temporaries that the staged links name. Call it for every
 * outcome, and before the compiler runs here: rustc leaves files of the same names after a failed
 * link. */
void link_clean(const struct rustc_call *call, const struct ledger *said);

#endif
