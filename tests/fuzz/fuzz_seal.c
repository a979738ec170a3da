/* toolchain_holds over an arbitrary seal, as a damaged file of what is remembered may have one. */
#include "config.h"

#include <stdint.h>

#include "common/toolchain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char sysroot[] = "/usr/lib";
	struct toolchain t = { .sysroot = sysroot };

	if (buf_add(&t.seal, data, size) < 0)
		return 0;
	/* Of a toolchain that is not there, no seal holds. */
	if (toolchain_holds(&t))
		abort();
	buf_done(&t.seal);
	return 0;
}
