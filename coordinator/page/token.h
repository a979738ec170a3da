/* The page's token: who has it may look. It is in a file that only the coordinator's user can read.
 * Compared in constant time. A browser gets a cookie for it, which is another word, and ends with
 * this process. */
#ifndef DRAY_COORDINATOR_PAGE_TOKEN_H
#define DRAY_COORDINATOR_PAGE_TOKEN_H

#include "common/digest.h"

#define PAGE_TOKEN_LEAST 16
#define PAGE_TOKEN_MOST 512
#define PAGE_COOKIE "dray_page"

struct page_token {
	struct digest digest;	     /* of the token */
	struct digest cookie_digest; /* of the cookie */
	char cookie[DIGEST_HEX_SIZE];
};

/* The first line of the file, without spaces around it. 0; -errno with a sentence in *ret_error
 * (caller frees). */
int page_token_load(const char *path, struct page_token *ret, char **ret_error);
/* The same of a text. -EINVAL: it is too short or too long, or has other characters than
 * 0x21 to 0x7e. */
int page_token_set(const char *text, size_t n, struct page_token *ret);
bool page_token_is(const struct page_token *t, const char *p, size_t n);
bool page_token_is_cookie(const struct page_token *t, const char *p, size_t n);

#endif
