/* jobserver_parse on any text: what it accepts are two descriptors, what it refuses it leaves
 * alone. */
#include "config.h"

#include "common/jobserver.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(freep) char *flags = malloc(n + 1);
	int rd = -7, wr = -7;

	if (flags == NULL)
		return 0;
	if (n > 0)
		memcpy(flags, p, n);
	flags[n] = '\0';
	if (jobserver_parse(flags, &rd, &wr) == 0) {
		if (rd < 0 || wr < 0)
			abort();
	} else if (rd != -7 || wr != -7) {
		abort();
	}
	return 0;
}
