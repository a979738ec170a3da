/* clang-format off */
/* Blobs that a job lacks, from those that have them: other workers, then the coordinator's cache
 * (proto/worker.proto, Peers first). The client is asked for what is nowhere.
 *
 *   a job's thread                  the main loop                the thread of seek.c
 *     seek_begin ── question ──▶ seeker_next: WorkerSeek
 *                                seeker_hear: WorkerFound ──▶ asks each that has some, checks what
 *     seek_next: here, or nowhere  ◀────────────────────────  comes, and puts it into the store
 *
 * Bounds. One that does not answer within wait_ms, or gives less than SEEK_PER_MS, is not waited
 * for, nor asked for a while; a blob is asked for at two workers and the cache at most, one after
 * the other. So one that says nothing costs a job wait_ms, and one that is slow SEEK_MOST_MS, once
 * in a while. */
/* clang-format on */
#ifndef DRAY_WORKER_PEERS_SEEK_H
#define DRAY_WORKER_PEERS_SEEK_H

#include "keys/identity.h"
#include "proto/wire.h"
#include "store/store.h"

/* What is less than this in all, and not made by a compiler, is not worth a question. */
#define SEEK_LEAST_BYTES (64u << 10)
#define SEEK_CONNECTIONS 16
#define SEEK_PER_MS 2000   /* bytes: what moves more slowly is had from the client */
#define SEEK_MOST_MS 5000  /* from the latest question on, however much is on its way */
#define SEEK_SHUN_MS 30000 /* how long one that was silent is not asked; */
#define SEEK_SHUN_MAX_MS                                                                      \
	600000		   /* each further time twice as long, up to this; for wrong bytes at \
			      once */
#define SEEK_IDLE_MS 60000 /* after which a connection is closed */

struct seeker;
struct whereabouts;
struct seek;

struct seeker_conf {
	void *ctx; /* of ZeroMQ */
	const struct identity *identity;
	const char *coordinator;
	struct whereabouts *key;   /* has the coordinator's public CURVE key */
	struct whereabouts *moves; /* where the coordinator is now; NULL: it stays */
	struct store *store;
	const char *tmp; /* a directory on the store's disk */
	unsigned wait_ms;
};

/* All of c must outlive it. 0 or -errno. */
int seeker_open(const struct seeker_conf *c, struct seeker **ret);
/* When no job has a seek. */
void seeker_closep(struct seeker **s);

/* What the coordinator is to be asked next. False: nothing. */
struct seeker_question {
	Dray__WorkerSeek ask;
	char job[33];
	ProtobufCBinaryData *names;
	struct digest *digests;
	size_t n;
};
bool seeker_next(struct seeker *s, struct seeker_question *ret);
void seeker_question_done(struct seeker_question *q);
/* Readable when there is something. */
int seeker_fd(const struct seeker *s);
/* Its answer. s may be NULL. */
void seeker_hear(struct seeker *s, const Dray__WorkerFound *m);
/* It was not asked: there is no connection, or it does not know such questions. */
void seeker_unheard(struct seeker *s, const char *job);

/* Whether a compiler may have made such a file, by its name. */
bool seek_is_made(const char *path);

struct seek_blob {
	struct digest digest;
	uint64_t size;
	bool made; /* it may be what a job has made, and so be in the cache */
};

/* For a job; v is copied. What is beyond WIRE_SEEK_MAX is nowhere. s may be NULL. NULL: nobody is
 * asked. */
struct seek *seek_begin(struct seeker *s, const char *job, const struct seek_blob *v, size_t n);
/* Readable when seek_next has something, or seek_is_planned is another. */
int seek_fd(const struct seek *k);
/* What became of one of them; each is told of once. False: nothing more as yet. */
bool seek_next(struct seek *k, size_t *ret_i, bool *ret_here);
/* Whether it is known who is asked for what: seek_next has told of all that nobody has. */
bool seek_is_planned(struct seek *k);
/* Whether all was told. */
bool seek_is_over(struct seek *k);
/* Also before it is over. NULL is fine. */
void seek_end(struct seek *k);

/* Since the start. */
struct seeker_counts {
	uint64_t peers, peers_bytes; /* blobs from workers */
	uint64_t cache, cache_bytes; /* from the coordinator */
	uint64_t nowhere;
	uint64_t shunned; /* times that one was */
};
void seeker_count(struct seeker *s, struct seeker_counts *ret);

#endif
