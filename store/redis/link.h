/* One connection to a Redis server. Commands go out in order, and replies come back in that order,
 * many under way at once. It is made when there is something to send, and again after it was lost.
 *
 *   DOWN -> RESOLVING -> CONNECTING -> (SHAKING: TLS) -> GREETING: AUTH, SELECT -> UP
 *
 * Invariants: a command that was taken is given back once, by `replied` or by `lost`. Whatever the
 * server does or leaves undone, `lost` comes within connect_ms, or LINK_SILENT_MS after the last
 * byte went either way. After two failures in a row the server is left alone for a while. */
#ifndef DRAY_STORE_REDIS_LINK_H
#define DRAY_STORE_REDIS_LINK_H

#include "common/buf.h"
#include "store/redis/reply.h"
#include "store/waiter.h"

#define LINK_SILENT_MS 5000u

struct link;
struct tls_context;

struct link_in {
	const char *host; /* NULL: path */
	uint16_t port;
	const char *path;	 /* a socket */
	struct tls_context *tls; /* NULL: none */
	const char *user, *password;
	uint64_t db;
	unsigned connect_ms;
};

struct link_command {
	struct link_command *next;
	struct buf head; /* what goes out: this, */
	int fd;		 /* then n bytes of this file from there on (the caller's; n is 0: none), */
	uint64_t at, n;
	char tail[64];	  /* then this text */
	bool is_upload;	  /* waits for all that are none */
	bool is_download; /* few of these are under way at a time */
	/* Either ends it. They may send others, and free this one. */
	void (*replied)(struct link_command *c, const struct reply *r);
	void (*lost)(struct link_command *c, int error);
};

/* Strings of *in outlive it; the waiter, too. 0 or -errno. */
int link_new(const struct link_in *in, struct waiter *w, struct link **ret);
/* What is under way is lost, by -ECANCELED. NULL is fine. */
void link_free(struct link *l);

/* 0: it is taken, and goes out by link_step; -errno: the server is left alone, after that error. */
int link_send(struct link *l, struct link_command *c);
/* What is to be done: after link_send, after the waiter told of the link (events, else 0), and when
 * link_next has come. Not from the functions of commands. */
void link_step(struct link *l, uint32_t events, uint64_t now);
/* The events that there are, for link_step: a caller that was busy for long looks before it says
 * that something is late. */
uint32_t link_ready(const struct link *l);
/* When it has to be called at the latest; 0: never. */
uint64_t link_next(const struct link *l);
/* Why it was lost last; no secrets. */
const char *link_why(const struct link *l);

/* Adds "*3\r\n$3\r\nSET\r\n…" to a head: arguments up to NULL. more: of arguments that follow in
 * another way. 0 or -ENOMEM. */
int link_words(struct buf *head, const char *const *words, unsigned more);
/* Adds one argument of n bytes; its value may follow by fd: then p is NULL, and tail "\r\n". */
int link_value(struct buf *head, const void *p, uint64_t n);

#endif
