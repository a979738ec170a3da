/* An entry of the cache: all results that are known for one unit key, each with its inputs.
 *
 * On disk it is the 8 bytes "drayent4", a CacheEntry (proto/entry.proto) and the SHA-256 of both. A
 * file that was cut or changed, or is of another version, is no entry. In texts \x01 stands for the
 * out-dir. */
#ifndef DRAY_CACHE_ENTRY_H
#define DRAY_CACHE_ENTRY_H

#include "cache/inputs.h"
#include "common/buf.h"
#include "common/digest.h"
#include "common/strv.h"

#define ENTRY_LINKS_MAX 16   /* calls of one link, as client/dispatch/bundle.h has it */
#define ENTRY_RESULTS_MAX 16 /* the least lately used is dropped */
#define ENTRY_MAX (32u << 20)

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
	char *producer;	 /* the key of the worker whose answer it is made of; NULL: none is known */
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

struct entry {
	struct digest key;
	struct strv recipe;
	struct buf *results; /* encoded; the latest used first */
	size_t n_results;
};

#define ENTRY_INIT                            \
	{                                     \
		{ { 0 } }, STRV_INIT, NULL, 0 \
	}

/* *ret must be empty. 0; -EBADMSG: it is damaged, or another key's; -ENOMEM. */
int entry_decode(const void *p, size_t n, const struct digest *key, struct entry *ret);
int entry_encode(const struct entry *e, struct buf *ret); /* 0; -EFBIG; -ENOMEM */
void entry_done(struct entry *e);

/* Decodes one of its results; it may be a bundle. 0; -EBADMSG: it may not be put in place; -ENOMEM.
 */
int entry_result(const struct entry *e, size_t i, struct result *ret);
/* Puts a result first. It replaces one with the same inputs, since only the latest of these would
 * ever be used. 0 or -ENOMEM. */
int entry_add_result(struct entry *e, const struct result *r);
void entry_drop_result(struct entry *e, size_t i);
void entry_make_first(struct entry *e, size_t i);

#define PRODUCER_SIZE 41 /* a key in Z85, with its NUL */
/* Whether s may be a worker's public key: 40 characters of Z85 (ZeroMQ RFC 32). */
bool entry_is_producer(const char *s);
/* Drops the results that are made of this worker's answers. Returns how many. Those that cannot be
 * decoded stay: they are never used. */
size_t entry_drop_producer(struct entry *e, const char *producer);

#endif
