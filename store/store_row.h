/* What a kind of place for a store is made of: a row of functions. The first member of a row's own
 * struct is a struct store, and of its writer a struct store_writer. Contracts: store.h. */
#ifndef DRAY_STORE_STORE_ROW_H
#define DRAY_STORE_STORE_ROW_H

#include "store/store.h"

struct object;

struct store_type {
	const char *name;
	int (*open)(const struct store_in *in, struct store **ret);
	void (*close)(struct store *s);
	void (*has)(struct store *s, enum store_kind kind, const struct digest *name,
		store_done_fn done, void *arg);
	void (*get)(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
		store_done_fn done, void *arg);
	int (*write_begin)(struct store *s, struct store_writer **ret);
	int (*write)(struct store_writer *w, const void *p, size_t n);
	void (*write_commit)(struct store_writer *w, const struct digest *expected, uint64_t size,
		store_done_fn done, void *arg);
	void (*write_abort)(struct store_writer *w);
	void (*put_fd)(struct store *s, int fd, store_done_fn done, void *arg);
	void (*put_entry)(struct store *s, const struct digest *key, const void *p, size_t n,
		store_done_fn done, void *arg);
	/* Of a place that keeps objects: its six functions above are outgoing.h's, and this is what
	 * they end in. The object is the row's from now on: o->fd, that is; *o is read only until
	 * this returns. Blobs are made only where there is none, and entries replaced. */
	void (*put)(struct store *s, const struct object *o, store_done_fn done, void *arg);
	/* NULL: what it evicts is its own affair. */
	void (*trim)(struct store *s, unsigned max_files);
	/* NULL: it cannot say; -EOPNOTSUPP. */
	int (*get_stats)(struct store *s, struct store_stats *ret);
	/* NULL: its answers tell its clock, or nothing does. */
	void (*ask_clock)(struct store *s);
	/* NULL: each request is answered before its call returns. Where several threads use a
	 * store, any of them may be told of the requests of all. */
	void (*work)(struct store *s, int ms);
};

#define STORE_WHY_SIZE 512

struct store {
	const struct store_type *type;
	int fd;			  /* where the row has `work`: store_fd */
	char why[STORE_WHY_SIZE]; /* store_why */
	/* Of a place that keeps objects: set by outgoing_init, for what is made in outgoing.c. */
	const char *tmp;
	int coding;	/* enum object_coding */
	bool read_only; /* what is put is -EROFS */
	/* Set by a row that finds it out: store_get_clock, store_was_forbidden. */
	bool has_clock, forbidden;
	int64_t clock_ahead_ms;
};

struct store_writer {
	struct store *store;
};

static inline void
store_answer_error(store_done_fn done, void *arg, int error)
{
	const struct store_reply reply = { .error = error, .fd = -1 };

	done(arg, &reply);
}

#endif
