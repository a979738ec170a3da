/* Content by name, in one of several kinds of place behind one table of functions (store_row.h).
 * What only a disk can do lies in disk.h. A program links the kinds that it opens.
 *
 * Requests are asynchronous in form: each takes a function, and calls it exactly once, with an
 * error too. A disk calls it before the request returns. A far place may do so too, or calls it
 * from store_work(); it answers every request in the end, with -ETIMEDOUT if need be. The function
 * may make further requests; it does not close the store.
 *
 * The same calls without a function (..._now) wait for the answer.
 *
 * Threads: as the place says (disk.h). A store is closed when no request is open and all writers
 * are gone. */
#ifndef DRAY_STORE_STORE_H
#define DRAY_STORE_STORE_H

#include "common/buf.h"
#include "common/digest.h"

struct store;
struct store_type; /* a kind of place: a row of functions (store_row.h) */
struct store_writer;
struct disk_in;
struct store_url;

enum store_kind {
	STORE_BLOB,  /* the name is the SHA-256 of the content */
	STORE_ENTRY, /* named by a key; the reader finds out whether the content is damaged */
	STORE_N_KINDS
};

struct store_in {
	const char *where; /* of a disk: the directory */
	uint64_t max;	   /* bytes; 0: as the place says */
	const struct disk_in *disk;
	/* Of a far place: */
	const struct store_url *url; /* url.h; read only until it is open */
	const char *below; /* of place_open: a prefix below the URL's (store_url_go_below); NULL */
	const char *tmp;   /* a directory for what is not whole yet, on the disk where content goes;
			    * NULL: memory. It outlives the store. */
	unsigned connect_ms; /* how long at most a connection may take; 0: as the place says */
	unsigned request_ms; /* and an answer, from the request on; 0: the same */
	bool renews;	/* what is read there may be renewed, where a place deletes what is old:
			 * it is one that is written to */
	char **ret_why; /* when it cannot be opened: a sentence for the caller to free, or NULL */
};

struct store_stats {
	uint64_t blobs, entries;
	uint64_t bytes; /* of both */
	uint64_t max;
	uint64_t evicted; /* since it was opened, by this process */
};

struct store_reply {
	int error;	    /* 0 or -errno; then nothing below is set, and fd is -1 */
	bool was_there;	    /* put: the same content was there before, and stays */
	struct digest name; /* put */
	uint64_t size;	    /* of the content */
	int fd;		    /* get: at the content's begin, for reading. The function owns it. */
};
typedef void (*store_done_fn)(void *arg, const struct store_reply *r);

extern const struct store_type store_disk;

/* 0 or -errno, and *ret as it was. */
int store_open(const struct store_type *type, const struct store_in *in, struct store **ret);
void store_close(struct store *s); /* NULL is fine */
void store_closep(struct store **s);

/* Whether it is here: -ENOENT when it is not. Content is not looked at. The size is 0 where a place
 * does not tell. */
void store_has(struct store *s, enum store_kind kind, const struct digest *name, store_done_fn done,
	void *arg);
/* Content of at most max bytes: what is larger is -EFBIG, and nothing of it is read. A blob is what
 * its name says; a damaged one is removed and is -ENOENT or -EBADMSG. */
void store_get(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
	store_done_fn done, void *arg);

/* Blobs are put create-only: content that is there stays. In pieces: to begin and to write is a
 * local matter. The first error stays, whatever is written after it. */
int store_write_begin(struct store *s, struct store_writer **ret);
int store_write(struct store_writer *w, const void *p, size_t n);
/* -EBADMSG when digest or size differ from what is expected: nothing is kept. Frees the writer in
 * every case, before done is called. */
void store_write_commit(struct store_writer *w, const struct digest *expected, uint64_t size,
	store_done_fn done, void *arg);
void store_write_abort(struct store_writer *w); /* NULL is fine */
/* The rest of an open file, read once: what was read is what is kept, even if the file changes. */
void store_put_fd(struct store *s, int fd, store_done_fn done, void *arg);
/* An entry, in the place of an earlier one. */
void store_put_entry(struct store *s, const struct digest *key, const void *p, size_t n,
	store_done_fn done, void *arg);

/* A descriptor that polls as readable while store_work has something to do: also when something is
 * late. -1: each request is answered before its call returns. */
int store_fd(const struct store *s);
/* Does what is to be done, and calls the functions of requests; waits for it ms at most (-1: as
 * long as it takes). Not called by these functions. Without a request that is open it does not
 * wait. */
void store_work(struct store *s, int ms);

/* Evicts what was used least recently until within max, at most max_files of them: call it often.
 */
void store_trim(struct store *s, unsigned max_files);
int store_get_stats(struct store *s, struct store_stats *ret);
/* What went wrong last, in words that show no secret; "" if nothing did. Until the next call. */
const char *store_why(const struct store *s);
/* By how much the place's clock is ahead of ours, as its last answer had it, to a second or so. 0;
 * -EOPNOTSUPP: it has not said. */
int store_get_clock(const struct store *s, int64_t *ret_ahead_ms);
/* For that: asked of a place whose answers do not tell it (a Redis), before the next request. */
void store_ask_clock(struct store *s);
/* Whether the last read was refused (HTTP's 401, 403): what is not there, and what may not be read,
 * is -ENOENT then. */
bool store_was_forbidden(const struct store *s);

/* As above, and wait. ret_size, ret_name: NULL is fine. */
int store_has_now(
	struct store *s, enum store_kind kind, const struct digest *name, uint64_t *ret_size);
/* A descriptor, or -errno. */
int store_get_now(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
	uint64_t *ret_size);
/* Adds the content to *ret. */
int store_read_now(struct store *s, enum store_kind kind, const struct digest *name, size_t max,
	struct buf *ret);
/* 1: it was there; 0: it was not. */
int store_write_commit_now(struct store_writer *w, const struct digest *expected, uint64_t size);
int store_put_fd_now(struct store *s, int fd, struct digest *ret_name, uint64_t *ret_size);
int store_put_entry_now(struct store *s, const struct digest *key, const void *p, size_t n);

#endif
