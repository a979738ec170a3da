/* Inside the page. From the bottom up: book.c (each kind of JSON, written once a shot), follow.c
 * (those that follow), route.c (what is answered to whom), page.c (the thread, its sockets and
 * connections, the newest shot). Everything but `newest` is the thread's. */
#ifndef DRAY_COORDINATOR_PAGE_PAGE_PRIV_H
#define DRAY_COORDINATOR_PAGE_PAGE_PRIV_H

#include <microhttpd.h>
#include <pthread.h>
#include <sys/queue.h>

#include "coordinator/page/api.h"
#include "coordinator/page/metrics.h"
#include "coordinator/page/page.h"
#include "coordinator/page/token.h"

#if MHD_VERSION >= 0x00097002
#define MHD_RESULT enum MHD_Result
#else
#define MHD_RESULT int
#endif

struct page_connection {
	TAILQ_ENTRY(page_connection) link;
	int fd;
	uint64_t since_ms; /* it came, its request began, or its last answer was read */
	bool follows;	   /* follow.c sees to it */
};

/* What several may ask for, of one shot. */
struct page_book {
	uint64_t shot; /* the number of the one that it is of; 0: none */
	struct buf text;
	struct MHD_Response *response; /* it has the text; NULL: not yet */
};

struct page_follower;

struct page {
	char *url;
	bool loopback;
	bool has_token;
	struct page_token token;

	pthread_mutex_t lock;
	struct page_shot *newest; /* under the lock: not taken by the thread yet; or NULL */

	pthread_t thread;
	bool runs;
	int wake; /* an eventfd: there is a newer shot, or the end */
	_Atomic bool ends;
	struct MHD_Daemon *daemon;
	struct page_shot *shot; /* the one that is shown; NULL: none yet */
	uint64_t shots;		/* its number */
	struct series series;
	struct page_book book[API_N];
	TAILQ_HEAD(, page_follower) followers;
	struct page_counts counts;
	TAILQ_HEAD(, page_connection) connections;
};

/* book.c: the headers that all answers have. */
void page_add_headers(struct MHD_Response *r, const char *type);
/* The text of that kind for the shot that is shown is in p->book. False: there is no shot,
 * or no memory. */
bool page_book(struct page *p, enum api_what what);
/* The text as a response, which is the book's: others queue it, and do not destroy it. NULL as
 * above. */
struct MHD_Response *page_book_response(struct page *p, enum api_what what);
void page_book_done(struct page *p);

/* route.c: of MHD_start_daemon; cls is the page. */
MHD_RESULT route_request(void *cls, struct MHD_Connection *c, const char *url, const char *method,
	const char *version, const char *upload, size_t *upload_n, void **state);

#endif
