/* Inside the shared cache. From the bottom up: desk_request.c (a request's end), desk_put.c
 * (writes), desk_far.c (what is behind the disk), desk_get.c (reads), desk.c (peers, messages),
 * desk_purge.c (removes). */
#ifndef DRAY_COORDINATOR_CACHE_DESK_PRIV_H
#define DRAY_COORDINATOR_CACHE_DESK_PRIV_H

#include <stdatomic.h>
#include <sys/queue.h>

#include "common/log/log.h"
#include "coordinator/cache/behind.h"
#include "coordinator/cache/history.h"
#include "coordinator/cache/hot.h"
#include "coordinator/cache/pool.h"
#include "coordinator/cache/desk.h"
#include "coordinator/cache/turns.h"
#include "coordinator/cache/vault.h"

/* All connections of one key. Over ipc each connection is one. */
struct desk_account {
	struct table_node node; /* its hash is the account */
	unsigned peers;
	unsigned gets, names, puts, puts_open;
	unsigned fetches; /* from behind the disk, that are under way */
};

struct desk_peer {
	struct table_node node; /* its hash is the serial */
	uint64_t serial;
	struct desk_account *account;
	LIST_HEAD(, desk_request) requests;
	unsigned on_way;   /* chunks that it has not acknowledged */
	uint64_t moved_ms; /* when it last acknowledged one, or had none */
};

enum desk_stage {
	DESK_WAITING,  /* for its store to be open; a put also for its turn */
	DESK_AT_WORK,  /* items are sent, or taken */
	DESK_FINISHED, /* SharedEnd is said; chunks may be on their way still */
};

#define DESK_AHEAD 16	    /* items that are asked for before it is their turn to be sent */
#define DESK_FETCHES_KEY 32 /* of one key, under way at a time */

/* An item, where stores are behind the disk. */
struct desk_far {
	struct behind_wait wait;
	struct desk_request *request;
	enum { FAR_NOT_ASKED, FAR_COMES, FAR_ASKED } state;
};

struct desk_get {
	struct digest *names;
	uint32_t n;
	bool entry, compress, look, near;
	uint64_t most;
	unsigned credit;
	struct turns_job turn;
	struct history_unit unit; /* for the history; its crate is "" when it is not told */
	struct signers *signers;  /* held; NULL: anybody's results */
	struct desk_far *far;	  /* n of them; NULL: there are no stores */
	TAILQ_ENTRY(desk_request) lacking;
	bool lacks_room; /* it waits for others' fetches to end */
	uint64_t began_us;
	bool tells; /* desk_host.looked wants to know of it */

	/* its thread's while `works` is not 0 */
	uint32_t item;
	int fd; /* of the item; -1: not opened yet */
	uint64_t size, offset;
	uint32_t *absent;
	uint64_t *sizes; /* of a look */
	uint32_t n_absent;
	struct pool_work work;
	uint64_t saved_us; /* desk_looked */
	/* the chunk that was read */
	bool has_chunk, zstd, last;
	bool broken;	/* it cannot be read to its end */
	bool open_only; /* its chunk is at hand: the item is opened, and nothing read */
	/* where stores are behind the disk */
	bool *asked; /* of each item: whether they were */
	bool lacks;  /* they are to be, for these, of which the first is the next item */
	uint32_t lack[DESK_AHEAD];
	unsigned n_lack;
	uint32_t chunk_item, chunk_size;
	uint64_t chunk_offset, chunk_total;
	zmq_msg_t chunk;
};

struct desk_put {
	struct digest name;
	bool entry;
	uint64_t size;
	uint64_t came;	  /* bytes that were announced in what came */
	unsigned granted; /* chunks that may still come */
	bool last_came;
	uint64_t allowed; /* bytes, of its namespace's allowance */
	uint64_t moved_ms;
	unsigned lane;
	bool open; /* counted among those that are open */
	TAILQ_ENTRY(desk_request) queue;
	bool queued;
	struct signers *signers; /* held; NULL: anybody's results */
	struct signer signer;
	atomic_bool revoked; /* nothing of it counts any more */

	/* its thread's */
	struct merge_note note;
	struct store_writer *writer;
	struct buf buf; /* an entry */
	int error;
	bool was_there;
};

struct desk_request;

/* What a kind of request has to see to at its end. */
struct desk_kind {
	/* True: a thread removes what was written, and desk_release is called when it has. NULL:
	 * nothing is to be removed. */
	bool (*abort)(struct desk_request *r);
	/* Undoes what it keeps. */
	void (*done)(struct desk_request *r);
};
extern const struct desk_kind desk_kind_get, desk_kind_put;

struct desk_request {
	struct table_node by_number;
	bool numbered; /* it is in that table */
	LIST_ENTRY(desk_request) of_peer;
	TAILQ_ENTRY(desk_request) waiting; /* for its store */
	bool waits;
	struct desk *desk;
	struct desk_peer *peer; /* NULL: it is gone, and this goes when its works are done */
	struct desk_account *account;
	uint32_t number;
	enum desk_stage stage;
	bool stopped;
	struct vault_space *space;
	uint64_t since_ms;
	unsigned works; /* that threads have */
	bool is_put;
	const struct desk_kind *kind;
	struct desk_get get;
	struct desk_put put;
};

struct desk {
	struct desk_host host;
	struct vault *vault;
	struct pool *pool;
	struct turns *turns;
	struct hot *hot;
	struct history *history;
	struct behind *behind; /* NULL: there is none */
	struct table peers, accounts, requests;
	uint64_t n_requests;
	uint8_t hash_key[TABLE_KEY_SIZE];
	TAILQ_HEAD(, desk_request) waiting; /* for stores */
	TAILQ_HEAD(, desk_request) puts;    /* for their turn */
	TAILQ_HEAD(, desk_request) lacking; /* for room among the fetches */
	unsigned puts_open;
	unsigned lane; /* the next one's */
	uint64_t now;
	bool closing;
	struct desk_stats stats;
	unsigned purges; /* that have begun */
	TAILQ_HEAD(, purge) purges_wait;
	size_t n_purges_wait;
	struct log_throttle failed, slow, quota;
};

/* desk.c: opens it where it is not. */
void desk_see_to_space(struct desk *c, struct vault_space *space);

/* desk_request.c */
void desk_say(struct desk_request *r, enum wire_type type, const ProtobufCMessage *body,
	zmq_msg_t *payload);
/* Says SharedEnd. The request is freed when nothing of it is under way. */
void desk_end(struct desk_request *r, Dray__Verdict verdict, const char *text);
/* Frees it if it may go. Call it after all that can have been the last. */
void desk_release(struct desk_request *r);
void desk_release_account(struct desk *c, struct desk_account *a); /* if nobody has it */
void desk_release_peer(struct desk *c, struct desk_peer *p);	   /* likewise */
void desk_stop_waiting(struct desk_request *r);
void desk_leave_peer(struct desk_request *r);

/* desk_get.c */
/* Reads for those whose turn it is. */
void desk_pump(struct desk *c);
/* Its store is open. */
void desk_get_begin(struct desk_request *r);
/* Takes what was asked for. 0; -EBADMSG with the reason; -ENOMEM. */
int desk_hear_get(struct desk_request *r, const Dray__SharedGet *m, const struct desk_who *who,
	const char **ret_why);
/* None of it is here. */
void desk_get_nothing(struct desk_request *r);

/* desk_far.c */
/* Its store is open. 0 or -ENOMEM. */
int desk_far_begin(struct desk_request *r);
/* In a thread: what of its items from the next one on is not on the disk, and was not asked for.
 * False: the next one was. */
bool desk_far_look(struct desk_request *r);
/* Before a thread has it. */
void desk_far_show(struct desk_request *r);
/* Asks for what a thread found lacking; until the next item is here, or nowhere, it has no turns.
 */
void desk_far_ask(struct desk_request *r);
/* Asks for those that waited for room. */
void desk_far_step(struct desk *c);
void desk_far_end(struct desk_request *r);

/* desk_put.c */
/* Makes room on the disk, behind all that is done. */
void desk_trim(struct desk *c, struct vault_space *space);
/* The same; -EFBIG: it is larger than is taken. */
int desk_hear_put(struct desk_request *r, const Dray__SharedPut *m, const struct desk_who *who,
	const char **ret_why);
int desk_put_data(struct desk_request *r, const Dray__SharedData *m, zmq_msg_t *payload,
	const char **ret_why);
/* Opens those whose turn it is. */
void desk_puts_step(struct desk *c);
/* It wants nothing to be written any more. */
void desk_put_stop(struct desk_request *r);
void desk_put_begin(struct desk_request *r);
/* Ends those that owe data and say nothing. */
void desk_puts_check(struct desk *c);

#endif
