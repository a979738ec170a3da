/* What shares.c (the queue), make.c (a result of a job), bundle.c (its links) and view.c (its
 * files) share; each is below the one before. */
#ifndef DRAY_WORKER_SHARES_PRIV_H
#define DRAY_WORKER_SHARES_PRIV_H

#include "cache/inputs.h"
#include "cache/job_key.h"
#include "cache/keep/keep.h"
#include "cache/result.h"
#include "cache/shared.h"
#include "worker/share/loans.h"
#include "worker/share/shares.h"

#define SHARES_ANSWERS_MAX 2000	   /* files on demand of a job */
#define SHARES_TEXT_MAX (1u << 20) /* of what a job prints; more is not shared */

struct shares_file {
	char *name;
	unsigned mode;
	struct digest digest;
	uint64_t size;
};

struct shares_job {
	struct shares *share;
	char *namespace;
	char client[CURVE_KEY_SIZE]; /* whose it is */
	struct buf out, err;
	struct shares_file *v;
	size_t n;
	struct strv asked; /* files on demand: to each the packed answer */
	struct buf *answers;
	bool too_much; /* something of it is lacking */
};

/* ---- view.c */

/* A job's files, and what it was told of them. */
struct shares_view {
	struct inputs_view view;
	const struct shares_made *made;
	const struct shares_job *job;
	const Dray__FileRead **read; /* by path */
	size_t n_read;
};

/* 0 or -ENOMEM; *ret must not be moved. */
int shares_view_init(
	struct shares_view *ret, const struct shares_made *made, const struct shares_job *job);
void shares_view_done(struct shares_view *v);

/* ---- bundle.c */

/* What the links of a job need, and its client does not have; names relative to its out-dir. */
struct shares_bundle {
	const struct shares_made *made;
	struct strv files, dirs; /* as the client removes them: sorted; the deeper ones first */
	bool own;		 /* all are the crate's own (keep_is_own_temporary) */
};

/* shares_bundle_done in any case. 0; -errno, and *ret_why as of shares_make. */
int shares_bundle_make(const struct shares_made *made, struct shares_bundle *ret, char **ret_why);
void shares_bundle_done(struct shares_bundle *b);
/* Calls add for each of them, until an error, which it returns. */
int shares_bundle_record(
	const struct shares_bundle *b, int (*add)(void *arg, const char *name), void *arg);
/* keep_made.add_links; arg: a shares_bundle. */
int shares_bundle_add(
	struct keep *keep, const void *arg, struct result *res, struct strv *objects, bool *bound);
/* Takes a captured file into the store, and leaves it in place. 0 or -errno. */
int shares_bundle_take(
	const struct shares_bundle *b, const char *path, struct digest *ret, uint64_t *ret_size);
/* How many bytes of what it printed come before its link. */
size_t shares_bundle_split(const struct rustc_call *call, const struct buf *err);

/* For the key of a bundle (key.h), where rlibs count by their metadata: a key_digest_fn. */
struct shares_bundle_key {
	const struct inputs_view *view;
	const Dray__Unit *unit;
	struct job_key_in whole; /* of whole files */
};
int shares_bundle_digest(void *arg, const char *path, struct digest *ret);

/* ---- make.c */

/* Makes what goes into the cache of it: the entry's key and recipe, the result, and its seal.
 * ret_may: of what its namespace's clients may know. 0; -errno: it is not shared, and *ret_why says
 * why (the caller frees it). */
int shares_make(const struct shares_job *j, const struct shares_made *made,
	const struct identity *identity, struct shared_entry *ret, struct result *ret_result,
	char **ret_why);

#endif
