/* gift_parse over arbitrary lines: what it gives is whole, and says when it may be given again. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "client/give/gift.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *line = strndup((const char *)data, size);
	struct gift g = { .at_s = 0 };

	if (!line || !gift_parse(line, &g))
		return 0;
	if (g.state > GIFT_FAILED || strlen(g.worker) + strlen(g.release) + strlen(g.why) > size ||
		gift_due_s(&g, g.at_s) > g.at_s + GIFT_AGAIN_MAX_S)
		abort();
	return 0;
}
