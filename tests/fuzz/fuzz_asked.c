/* What the page decodes of a request's headers, on any text: what is found lies within the header,
 * and only what is whole is a token, a name of this machine, or an address. */
#include "config.h"

#include <arpa/inet.h>

#include "coordinator/page/asked.h"
#include "coordinator/page/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check_within(const char *text, const char *found, size_t n)
{
	if (found < text || found + n > text + strlen(text))
		abort();
}

static void
check_host(const char *text)
{
	const char *end = text;

	if (!asked_loopback(text))
		return;
	/* no other name has "localhost" or 127.… whole before its port */
	if (strncasecmp(text, "localhost", 9) == 0)
		end = text + 9;
	else if (starts_with(text, "[::1]"))
		end = text + 5;
	else if (starts_with(text, "127."))
		end = text + strspn(text, "0123456789.");
	if (end == text || (*end && *end != ':'))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char word[] = "0123456789abcdef";
	static struct page_token token;
	static bool made;
	char *text = strndup((const char *)p, n);
	struct page_address a;
	const char *found;
	size_t k;

	if (!text || (!made && page_token_set(word, sizeof(word) - 1, &token) < 0))
		abort();
	made = true;
	(void)asked_open_metrics(text);
	if (asked_bearer(text, &found, &k)) {
		check_within(text, found, k);
		if (page_token_is(&token, found, k) != (k == 16 && memcmp(found, word, 16) == 0))
			abort();
	}
	if (asked_cookie(text, PAGE_COOKIE, &found, &k))
		check_within(text, found, k);
	check_host(text);
	if (asked_address(text, &a) == 0 &&
		(a.len != (a.sa.ss_family == AF_INET ? sizeof(struct sockaddr_in)
						     : sizeof(struct sockaddr_in6))))
		abort();
	free(text);
	return 0;
}
