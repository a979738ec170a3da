/* Inside the page. page.c: the thread, its sockets and connections, the newest shot; above it
 * route.c: what is answered to whom. Everything but `newest` is the thread's. */
#ifndef DRAY_COORDINATOR_PAGE_PAGE_PRIV_H
#define DRAY_COORDINATOR_PAGE_PAGE_PRIV_H

#include <microhttpd.h>
#include <pthread.h>
#include <sys/queue.h>

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
	uint64_t since_ms; /* it came, or its last answer was read */
};

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
	struct page_counts counts;
	TAILQ_HEAD(, page_connection) connections;
};

/* route.c: of MHD_start_daemon; cls is the page. */
MHD_RESULT route_request(void *cls, struct MHD_Connection *c, const char *url, const char *method,
	const char *version, const char *upload, size_t *upload_n, void **state);

#endif
