/* Fuzzes conf_parse: any bytes are either read or refused with a sentence, and leave nothing
 * behind; and the lists of coordinators in what was read are whole. */
#include "config.h"

#include "common/conf/conf.h"
#include "common/conf/coordinators.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_coordinators(const char *endpoints, const char *keys)
{
	_cleanup_(coordinators_done) struct coordinators all = COORDINATORS_INIT;
	_cleanup_(freep) char *why = NULL;
	int r = coordinators_parse("client", endpoints, keys, &all, &why);

	if ((r < 0) != (why != NULL) || (r < 0 && all.n > 0))
		abort();
	/* More were refused as a value; and each item is one, as a value was before there were
	 * lists. */
	if (r == 0 && endpoints && *endpoints && all.n == 0)
		abort();
	for (size_t i = 0; i < all.n; i++) {
		const struct coordinator_at *at = &all.v[i];

		if (!starts_with(at->endpoint, "tcp://") && !starts_with(at->endpoint, "ipc:///"))
			abort();
		if (strpbrk(at->endpoint, " \t") || (at->key && at->key[0] != '/'))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(conf_freep) struct conf *c = NULL;
	_cleanup_(freep) char *error = NULL;
	int r = conf_parse((const char *)data, size, "fuzz", &c, &error);

	/* Success without a conf, or failure without a reason, would crash a caller. */
	if ((r == 0) != (c != NULL) || (r < 0) != (error != NULL))
		abort();
	/* Paths are absolute, whatever was asked for. */
	if (c && c->client.identity && c->client.identity[0] != '/')
		abort();
	if (c) {
		check_coordinators(c->client.coordinator, c->client.coordinator_key);
		check_coordinators(c->worker.coordinator, c->worker.coordinator_key);
	}
	return 0;
}
