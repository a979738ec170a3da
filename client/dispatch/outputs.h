/* A unit's outputs as they come from a worker: each is written to a temporary name in the staging
 * directory, hashed on the way, verified, and put in its place by rename when its time has come. */
#ifndef DRAY_CLIENT_DISPATCH_OUTPUTS_H
#define DRAY_CLIENT_DISPATCH_OUTPUTS_H

#include <sys/types.h>

#include "common/buf.h"
#include "common/digest.h"
#include "memo/memo.h"
#include "rustc/call.h"
#include "common/strv.h"
#include "proto/job.pb-c.h"

#define OUTPUTS_MAX 65536
#define OUTPUTS_BYTES_MAX (16ull << 30) /* of one job */

struct outputs;

struct outputs_in {
	const char *out_dir;	       /* absolute, normal */
	const char *staging;	       /* below it, exists */
	const struct rustc_call *call; /* names must be of what it makes */
	unsigned try;		       /* tells the tries' temporary names apart */
	mode_t umask;
	uint64_t max_bytes; /* of all together; 0: OUTPUTS_BYTES_MAX */
	struct memo *memo;  /* gets the digests of what is placed; may be NULL */
};

/* The strings of in must outlive it. */
int outputs_new(const struct outputs_in *in, struct outputs **ret);
/* Removes what was not placed. */
void outputs_free(struct outputs *o);
void outputs_freep(struct outputs **o);

/* The three steps of receiving. A worker's word on the mode counts for nothing: a compiler makes no
 * program, and the umask says the rest. 0; -EBADMSG: not what was promised, or out of order;
 * -EINVAL: a name that this call does not make (call_makes_name, link_check_input_name); -EFBIG;
 * -ESTALE: a file in the out-dir that has content of it was changed; -errno of the disk. One output
 * is open at a time. p and n: the content; n is 0 where m->from names it (job.proto, Pieces). */
int outputs_begin(struct outputs *o, const Dray__OutputBegin *m);
int outputs_chunk(struct outputs *o, const Dray__OutputChunk *m, const void *p, size_t n);
/* That no output is half there now (one of size 0 may have no chunk). */
int outputs_settle(struct outputs *o);
/* Whether there are some, and each is what the compiler itself makes, by its name; no link's. */
bool outputs_none_linked(const struct outputs *o);
size_t outputs_count(const struct outputs *o); /* begun so far */

/* What was received under this name (OUTPUT_FILE only): 0 or -ENOENT. */
int outputs_find(const struct outputs *o, const char *name, struct digest *ret, uint64_t *ret_size);
int outputs_read(const struct outputs *o, const char *name, size_t max, struct buf *ret);

/* Where it is now: the caller frees it. NULL: it was not received, or there is no memory. */
char *outputs_path(const struct outputs *o, const char *name);

/* Puts one, or all that are not yet, at out_dir/name. A name that is placed already stays. */
int outputs_place(struct outputs *o, const char *name);
int outputs_place_all(struct outputs *o);
/* Puts those that rustc makes late (ledger_is_late) where link_run looks for them. */
int outputs_hold_late(struct outputs *o);
/* Drops one: something equal is in its place. */
int outputs_drop(struct outputs *o, const char *name);

/* A link's inputs: those named in response are passed through alias_undo first. */
int outputs_place_links(struct outputs *o, const struct strv *response);
/* The absolute paths they will have, each file before its directory, no directory twice. */
int outputs_link_paths(const struct outputs *o, const struct strv *more_dirs, struct strv *ret);

/* The paths that all of them have, or had for a link: absolute; directories of a link's too. */
int outputs_list(const struct outputs *o, struct strv *ret);

/* A file of our own in the staging directory. */
int outputs_write_staged(const struct outputs *o, const char *name, const void *p, size_t n);

#endif
