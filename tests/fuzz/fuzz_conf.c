/* Fuzzes conf_parse: any bytes are either read or refused with a sentence, and leave nothing
 * behind. */
#include "config.h"

#include "common/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	return 0;
}
