/* The real compiler, here: the place where every failure of anything else ends. */
#ifndef DRAY_CLIENT_WRAP_LOCAL_H
#define DRAY_CLIENT_WRAP_LOCAL_H

#include "rustc/call.h"
#include "rustc/mapping.h"
#include "client/wrap/ledger.h"
#include "client/wrap/rmeta.h"
#include "client/slots/slots.h"
#include "common/buf.h"
#include "common/conf/conf.h"
#include "common/strv.h"

/* What a traced compile looked at and said, for the cache. All empty when it could not be traced,
 * or said more than anyone would keep. */
struct local_seen {
	struct buf record, out, err;
};
void local_seen_done(struct local_seen *s);

struct local_run {
	const struct rustc_call *call;
	const struct mapping
		*mapping;	   /* of a mapped call: names are turned back; NULL: it is none */
	const struct ledger *said; /* what was said and promised before; NULL: nothing */
	struct slots *slots;	   /* NULL: they cannot be used; the run goes on without */
	int slot;		   /* one taken already, or -1; left to the caller */
	bool slot_stays;	   /* what it leaves running is to hold no slot (a script) */
	bool takes_rest;	   /* what it leaves running may say something, too (a script) */
	const struct strv *trace;  /* the tracer's options; NULL: it is not traced */
	const struct timespec *began; /* with trace: when this process began; the record says when
					 the program did, later than any file from before then */
	struct local_seen *seen;      /* out, with trace */
	uint64_t slot_wait_us;	      /* out */
	uint64_t compile_start_us;    /* out */
	uint64_t rmeta_us;	      /* out: when cargo was told of the metadata; 0: not seen */
	const struct timespec *since; /* an input that changed after this may be another one than
					 what was promised came of; NULL: not known */
	const char *trouble;	      /* out: a promise that could not be kept, or NULL */
	enum rmeta_fault fault;	      /* out: ... and whose fault that is: rmeta_say tells */
};

/* Runs the compiler with the arguments and the environment as they were given, but for
 * CARGO_MAKEFLAGS (slots_tokens_choose), and waits. Exit status, SPAWN_SIGNALLED + signal, or
 * -errno when it could not be started (-ECANCELED: a signal came first). */
int local_run(struct local_run *l);

/* Status when the compiler did not make the rmeta again that cargo was told of: dependents may have
 * read the former one. The outputs are removed, so building again is right. */
#define LOCAL_STATUS_BROKEN_PROMISE 101

/* The slots of this user, or NULL. The caller closes them. */
struct slots *local_open_slots(const struct conf *conf);
/* The same to look only (slots_look). */
struct slots *local_look_at_slots(const struct conf *conf);
/* How many there are. */
unsigned local_slots_number(const struct conf *conf);

/* The environment with some variables replaced: set is a NULL-terminated list of NAME=value. The
 * array is the caller's to free; the strings are not. NULL: out of memory. */
char **local_environ(const char *const *set);

#endif
