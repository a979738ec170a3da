/* A store's URL: what is parsed is shown as a URL that is parsed to the same, but for its
 * credentials; and neither what is shown nor an error has a password in it. */
#include "config.h"

#include <stdio.h>

#include "store/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
same(const char *a, const char *b)
{
	return a == b || (a && b && streq(a, b));
}

static void
check_shown(const struct store_url *u, const char *shown)
{
	_cleanup_(store_url_freep) struct store_url *again = NULL;
	_cleanup_(freep) char *why = NULL;

	if (store_url_parse(shown, &again, &why) < 0 || again->scheme != u->scheme ||
		again->port != u->port || !same(again->host, u->host) ||
		!same(again->path, u->path))
		abort();
	for (size_t i = 0; i < STORE_N_PARAMS; i++)
		if (!same(again->params[i], u->params[i]))
			abort();
}

/* A password of letters that no sentence has. */
static void
check_hidden(const char *text)
{
	const char *colons = strstr(text, "://");
	_cleanup_(store_url_freep) struct store_url *u = NULL;
	_cleanup_(freep) char *why = NULL, *shown = NULL, *with = NULL;

	if (!colons ||
		asprintf(&with, "%.*s://:qZ9x@%s", (int)(colons - text), text, colons + 3) < 0)
		return;
	if (strstr(text, "qZ9x"))
		return;
	if (store_url_parse(with, &u, &why) == 0)
		shown = store_url_show(u);
	if ((why && strstr(why, "qZ9x")) || (shown && strstr(shown, "qZ9x")))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *text = strndup((const char *)data, size);
	_cleanup_(store_url_freep) struct store_url *u = NULL;
	_cleanup_(freep) char *why = NULL, *shown = NULL;

	if (!text)
		return 0;
	if (store_url_parse(text, &u, &why) < 0) {
		if (u || !why)
			abort();
	} else {
		shown = store_url_show(u);
		if (shown && strlen(shown) <= STORE_URL_MAX)
			check_shown(u, shown);
	}
	check_hidden(text);
	return 0;
}
