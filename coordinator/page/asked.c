/* Decodes headers. Invariant: no position is read before it is known to be within the text. */
#include "config.h"

#include "coordinator/page/asked.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>

static bool
is_word(const char *p, size_t n, const char *word)
{
	return strlen(word) == n && strncasecmp(p, word, n) == 0;
}

static void
trim(const char **p, size_t *n)
{
	while (*n && isspace((unsigned char)**p)) {
		(*p)++;
		(*n)--;
	}
	while (*n && isspace((unsigned char)(*p)[*n - 1]))
		(*n)--;
}

/* Takes what is before the next separator; false at the end. */
static bool
take(const char **at, const char *end, char separator, const char **ret, size_t *ret_n)
{
	const char *stop;

	if (!*at || *at > end)
		return false;
	stop = memchr(*at, separator, (size_t)(end - *at));
	*ret = *at;
	*ret_n = (size_t)((stop ? stop : end) - *at);
	*at = stop ? stop + 1 : end + 1;
	trim(ret, ret_n);
	return true;
}

/* ---- Accept (RFC 9110, 12.5.1) */

/* "0.3" in thousandths; -1: it is no weight. */
static int
weight(const char *p, size_t n)
{
	int v;

	if (n == 0 || n > 5 || (p[0] != '0' && p[0] != '1') || (n > 1 && p[1] != '.'))
		return -1;
	v = (p[0] - '0') * 1000;
	for (size_t i = 2, k = 100; i < n; i++, k /= 10) {
		if (!isdigit((unsigned char)p[i]))
			return -1;
		v += (p[i] - '0') * (int)k;
	}
	return v <= 1000 ? v : -1;
}

struct wish {
	bool metrics, text, any;
	int q;
};

/* One item: "application/openmetrics-text; version=1.0.0; q=0.5". */
static struct wish
read_wish(const char *p, size_t n)
{
	const char *at = p, *end = p + n, *part;
	struct wish w = { .q = 1000 };
	size_t len;

	if (!take(&at, end, ';', &part, &len))
		return w;
	w.metrics = is_word(part, len, "application/openmetrics-text");
	w.text = is_word(part, len, "text/plain") || is_word(part, len, "text/*");
	w.any = is_word(part, len, "*/*");
	while (take(&at, end, ';', &part, &len)) {
		if (len > 2 && strncasecmp(part, "q=", 2) == 0)
			w.q = weight(part + 2, len - 2);
		else if (w.metrics && len > 8 && strncasecmp(part, "version=", 8) == 0)
			w.metrics = is_word(part + 8, len - 8, "1.0.0");
	}
	return w;
}

bool
asked_open_metrics(const char *accept)
{
	const char *at = accept, *item, *end = accept ? accept + strlen(accept) : NULL;
	int metrics = 0, text = 0;
	size_t n;

	while (take(&at, end, ',', &item, &n)) {
		struct wish w = read_wish(item, n);

		if (w.metrics)
			metrics = MAX2(metrics, w.q);
		else if (w.text)
			text = MAX2(text, w.q);
	}
	return metrics > 0 && metrics >= text;
}

/* ---- who asks */

bool
asked_bearer(const char *header, const char **ret, size_t *ret_n)
{
	if (!header || strncasecmp(header, "bearer ", 7) != 0)
		return false;
	*ret = header + 7;
	*ret_n = strlen(*ret);
	trim(ret, ret_n);
	return *ret_n > 0;
}

bool
asked_cookie(const char *header, const char *name, const char **ret, size_t *ret_n)
{
	const char *at = header, *end = header ? header + strlen(header) : NULL, *part;
	size_t n, len = strlen(name);

	while (take(&at, end, ';', &part, &n))
		if (n > len && part[len] == '=' && memcmp(part, name, len) == 0) {
			*ret = part + len + 1;
			*ret_n = n - len - 1;
			return true;
		}
	return false;
}

/* How much of it is the host: a port may be behind that, and nothing else. 0: it is no such name.
 */
static size_t
host_len(const char *text)
{
	const char *end = *text == '[' ? strchr(text, ']') : strrchr(text, ':');

	if (!end)
		return *text == '[' ? 0 : strlen(text);
	if (*text == '[' && *++end == '\0')
		return (size_t)(end - text);
	if (*end != ':' || end[1 + strspn(end + 1, "0123456789")] != '\0')
		return 0;
	return (size_t)(end - text);
}

bool
asked_loopback(const char *host)
{
	char address[INET_ADDRSTRLEN];
	struct in_addr in;
	size_t n;

	if (!host)
		return false;
	n = host_len(host);
	if (is_word(host, n, "localhost") || is_word(host, n, "[::1]"))
		return true;
	if (n >= sizeof(address))
		return false;
	memcpy(address, host, n);
	address[n] = '\0';
	return inet_pton(AF_INET, address, &in) == 1 && ntohl(in.s_addr) >> 24 == 127;
}

/* ---- where it listens */

static int
parse_port(const char *p, uint16_t *ret)
{
	unsigned long n = 0;

	if (streq(p, "*")) {
		*ret = 0;
		return 0;
	}
	if (!*p || strlen(p) > 5)
		return -EINVAL;
	for (; *p; p++) {
		if (!isdigit((unsigned char)*p))
			return -EINVAL;
		n = n * 10 + (unsigned long)(*p - '0');
	}
	if (n < 1 || n > 65535)
		return -EINVAL;
	*ret = htons((uint16_t)n);
	return 0;
}

int
asked_address(const char *text, struct page_address *ret)
{
	const char *port = strrchr(text, ':');
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	char host[INET6_ADDRSTRLEN];
	size_t n = port ? (size_t)(port - text) : 0;
	bool six = n > 2 && text[0] == '[' && text[n - 1] == ']';

	if (six) {
		text++;
		n -= 2;
	}
	if (n == 0 || n >= sizeof(host) ||
		parse_port(port + 1, six ? &in6.sin6_port : &in.sin_port) < 0)
		return -EINVAL;
	memcpy(host, text, n);
	host[n] = '\0';
	*ret = (struct page_address){ .len = six ? sizeof(in6) : sizeof(in) };
	if (six) {
		if (inet_pton(AF_INET6, host, &in6.sin6_addr) != 1)
			return -EINVAL;
		ret->loopback = IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
		memcpy(&ret->sa, &in6, sizeof(in6));
	} else {
		if (inet_pton(AF_INET, strcasecmp(host, "localhost") == 0 ? "127.0.0.1" : host,
			    &in.sin_addr) != 1)
			return -EINVAL;
		ret->loopback = ntohl(in.sin_addr.s_addr) >> 24 == 127;
		memcpy(&ret->sa, &in, sizeof(in));
	}
	return 0;
}
