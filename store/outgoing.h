/* Objects (object.h) for a far place, made of what is put: six functions of a row (store_row.h),
 * the same for all places that keep objects. Such a row names these, and its own `put` for what
 * they make. Content is written once, compressed and hashed on its way. */
#ifndef DRAY_STORE_OUTGOING_H
#define DRAY_STORE_OUTGOING_H

#include "store/object.h"
#include "store/store_row.h"

/* Sets the base of a row's own struct, when it is opened: as the URL says, if there is one. */
void outgoing_init(struct store *s, const struct store_type *type, const struct store_in *in);
/* For the row: OUTGOING_FUNCTIONS is all of them. */
int outgoing_write_begin(struct store *s, struct store_writer **ret);
int outgoing_write(struct store_writer *w, const void *p, size_t n);
void outgoing_write_commit(struct store_writer *w, const struct digest *expected, uint64_t size,
	store_done_fn done, void *arg);
void outgoing_write_abort(struct store_writer *w);
void outgoing_put_fd(struct store *s, int fd, store_done_fn done, void *arg);
void outgoing_put_entry(struct store *s, const struct digest *key, const void *p, size_t n,
	store_done_fn done, void *arg);
#define OUTGOING_FUNCTIONS                                                          \
	.write_begin = outgoing_write_begin, .write = outgoing_write,               \
	.write_commit = outgoing_write_commit, .write_abort = outgoing_write_abort, \
	.put_fd = outgoing_put_fd, .put_entry = outgoing_put_entry

/* For rows that pass objects on, and tests: the rest of fd as a blob; these bytes as an entry. The
 * caller has *ret (object_done). 0 or -errno. */
int outgoing_blob(const char *tmp, enum object_coding coding, int fd, struct object *ret);
int outgoing_entry(const char *tmp, enum object_coding coding, const struct digest *key,
	const void *p, size_t n, struct object *ret);

#endif
