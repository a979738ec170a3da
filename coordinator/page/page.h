/* The coordinator's page: what goes on in the farm, over HTTP, for Prometheus, for programs and for
 * people (doc/page.md). It shows, and changes nothing.
 *
 *   the coordinator's loop ── page_publish, once a second ──▶ the newest shot ──▶ the page's thread
 *
 * One thread of its own serves all connections from the newest shot, so that nothing a visitor does
 * makes the loop wait; the two share a pointer, for as long as it takes to exchange it. Bounded are
 * connections, their headers, and the time that a visitor may take to ask and to read.
 *
 * Without libmicrohttpd (configure --without-page) page_start says that there is none. */
#ifndef DRAY_COORDINATOR_PAGE_PAGE_H
#define DRAY_COORDINATOR_PAGE_PAGE_H

#include "coordinator/page/shot.h"

#define PAGE_CONNECTIONS 64
#define PAGE_PER_ADDRESS 32	/* of these, where it listens elsewhere than on loopback */
#define PAGE_MEMORY (32u << 10) /* of a connection's request line and headers */
#define PAGE_ASK_MS 10000	/* for a whole request, and for reading its answer */
#define PAGE_STALE_MS 10000	/* no newer shot for so long: the coordinator does not turn */

struct page;

/* Binds `address` ("127.0.0.1:7421", the port may be '*'), and starts the thread. token: the path
 * of its file; NULL: there is none, which only loopback may do without. 0; -errno with a sentence
 * in *ret_error (caller frees); -EOPNOTSUPP: this program has no page. */
int page_start(const char *address, const char *token, struct page **ret, char **ret_error);
/* Ends the thread and all connections. NULL is fine. */
void page_end(struct page *p);
/* "http://127.0.0.1:7421/" */
const char *page_url(const struct page *p);

/* Takes the shot. Never waits for a visitor. */
void page_publish(struct page *p, struct page_shot *shot);

#endif
