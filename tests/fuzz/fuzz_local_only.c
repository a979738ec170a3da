/* local_only_parse over arbitrary lines: what it gives lies in the line. */
#include "config.h"

#include <stdint.h>

#include "client/wrap/local_only.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *line = strndup((const char *)data, size);
	struct local_only e;

	if (!line)
		return 0;
	if (!local_only_parse(line, UINT64_C(1700000000), &e))
		return 0;
	if (e.time_s > UINT64_C(1700000000) || e.package < line || e.reason < e.crate ||
		strlen(e.package) + strlen(e.version) + strlen(e.crate) + strlen(e.reason) > size)
		abort();
	return 0;
}
