/* A result: what a compile made, or a build script's run, and what it was made from.
 *
 * Its bytes are a CacheResult (proto/entry.proto). In texts \x01 stands for the out-dir. */
#ifndef DRAY_CACHE_RESULT_H
#define DRAY_CACHE_RESULT_H

#include "cache/inputs.h"
#include "common/buf.h"
#include "common/digest.h"
#include "common/strv.h"

#define RESULT_LINKS_MAX 16 /* calls of one link, as client/dispatch/bundle.h has it */

enum output_kind { OUTPUT_FILE, OUTPUT_DIR, OUTPUT_LINK, OUTPUT_KINDS };

struct output {
	char *name; /* in the out-dir; of a run a relative path */
	enum output_kind kind;
	unsigned mode; /* without the effect of the umask (output_mode_kept) */
	int64_t mtime; /* of a run, where it is older than that (cp -p): nanoseconds since 1970, and
			* one more; 0: the time of now */
	uint64_t size;
	struct digest digest; /* of a blob, when is_blob */
	bool is_blob;
	struct buf text; /* else */
};

/* What a compile made. With `links` it is a bundle: what a compile made before its link; then
 * `inputs` are those of the compile alone. */
struct result {
	struct inputs inputs;
	struct output *outputs;
	size_t n_outputs;
	struct output *temporaries; /* what the links read: blobs, each "name" or "rustc…/name" */
	size_t n_temporaries;
	struct buf *links; /* client/wrap/report.h, link-N */
	size_t n_links;
	struct buf tail; /* said after the links */
	struct buf out, err;
	uint64_t compile_us, time_s;
	char *from, *rustc;
	struct strv argv, env; /* how it was called: the hermetic environment, NAME=VALUE */
	char *cwd;
	unsigned status; /* the exit status */
	bool run;	 /* of a build script: the out-dir is its OUT_DIR, and outputs are sorted by
			    name, each after the directory that it lies in */
	char *producer;	 /* the key of whom made it (result_is_producer); NULL: none is known */
};

#define RESULT_INIT                                                                               \
	{                                                                                         \
		INPUTS_INIT, NULL, 0, NULL, 0, NULL, 0, BUF_INIT, BUF_INIT, BUF_INIT, 0, 0, NULL, \
			NULL, STRV_INIT, STRV_INIT, NULL, 0, false, NULL                          \
	}

/* The mode that an output is kept with. A mode that comes of 0666 or 0777 and the umask is kept as
 * 0666 or 0777, so that a process with another umask gives the file the mode that rustc or a linker
 * would have given it. Any other mode is kept as it is. */
unsigned output_mode_kept(unsigned mode, unsigned umask, const char *name);
/* The mode that the output gets when it is put in place. */
unsigned output_mode_here(unsigned kept, unsigned umask);

/* Adds an empty output at the end. The result owns it. NULL: no memory. */
struct output *result_add_output(struct result *r, const char *name);
struct output *result_add_temporary(struct result *r, const char *name);
struct buf *result_add_link(struct result *r);
void result_done(struct result *r);

/* The blobs of a result, in the order in which they are of use: a library's metadata, for which
 * cargo waits; the other outputs; what a link reads. *at begins at 0. NULL: there are no more. */
const struct output *result_next_blob(const struct result *r, size_t *at);

/* Its bytes, and back; a result may be a bundle. *ret must be empty. 0; -EBADMSG: it may not be put
 * in place; -ENOMEM. */
int result_encode(const struct result *r, struct buf *ret);
int result_decode(const void *p, size_t n, struct result *ret);

/* A producer's public key, as text: a worker's of a farm in Z85, 40 characters; one that signed
 * what came from a shared cache (shared.h), 64 hex digits. */
#define PRODUCER_SIZE 65 /* with its NUL */
bool result_is_producer(const char *s);
/* What such a key is of, for people: "the worker", "the producer". */
const char *result_producer_words(const char *key);

#endif
