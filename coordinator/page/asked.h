/* What a request says in its headers, as far as the page decodes that itself: which form of the
 * metrics it wants, and by which token it comes; and where the page listens. All of it is from
 * strangers: nothing here trusts a length, or a form. */
#ifndef DRAY_COORDINATOR_PAGE_ASKED_H
#define DRAY_COORDINATOR_PAGE_ASKED_H

#include <sys/socket.h>

#include "common/base.h"

/* Accept: whether OpenMetrics 1.0 is wanted at least as much as plain text. NULL: no header. */
bool asked_open_metrics(const char *accept);

/* Authorization: "Bearer TOKEN", in any case of "bearer". False: it is none. */
bool asked_bearer(const char *header, const char **ret, size_t *ret_n);
/* Cookie: the first one of that name. False: there is none. */
bool asked_cookie(const char *header, const char *name, const char **ret, size_t *ret_n);
/* Host: whether it names this machine's loopback: a page of the web whose name was made to lead
 * here names itself. */
bool asked_loopback(const char *host);

struct page_address {
	struct sockaddr_storage sa;
	socklen_t len;
	bool loopback;
};
/* "127.0.0.1:7421", "[::1]:7421", "localhost:7421"; '*' is any free port. 0 or -EINVAL. */
int asked_address(const char *text, struct page_address *ret);

#endif
