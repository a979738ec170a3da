/* /api/v1/events: server-sent events, for those that follow. A bounded number of them; each second
 * the newest status, and each fault as it comes; one that does not read is dropped. A slow one
 * misses statuses, since each is whole, and gets the newest when it reads again. */
#ifndef DRAY_COORDINATOR_PAGE_FOLLOW_H
#define DRAY_COORDINATOR_PAGE_FOLLOW_H

#include "coordinator/page/page_priv.h"

#define FOLLOWERS_MAX 16
#define FOLLOW_STALL_MS 15000	 /* for which one may leave what it was sent unread */
#define FOLLOW_UNREAD (8u << 10) /* bytes that wait for it in the system */

/* *ret is the response for that connection, or NULL without memory. False: there are too many. */
bool follow_begin(struct page *p, struct MHD_Connection *c, struct MHD_Response **ret);
/* There is a newer shot. */
void follow_wake(struct page *p);
/* Drops those that do not read. */
void follow_sweep(struct page *p, uint64_t now);
/* All end: before the daemon does. */
void follow_end_all(struct page *p);

#endif
