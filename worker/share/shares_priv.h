/* What shares.c (the queue), make.c (a result of a job) and view.c (its files) share; each is below
 * the one before. */
#ifndef DRAY_WORKER_SHARES_PRIV_H
#define DRAY_WORKER_SHARES_PRIV_H

#include "cache/inputs.h"
#include "cache/result.h"
#include "cache/shared.h"
#include "worker/share/shares.h"

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
	struct buf out, err;
	struct shares_file *v;
	size_t n;
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

/* ---- make.c */

/* Makes what goes into the cache of it: the entry's key and recipe, the result, and its seal.
 * ret_may: of what its namespace's clients may know. 0; -errno: it is not shared, and *ret_why says
 * why (the caller frees it). */
int shares_make(const struct shares_job *j, const struct shares_made *made,
	const struct identity *identity, struct shared_entry *ret, struct result *ret_result,
	char **ret_why);

#endif
