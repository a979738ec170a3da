/* toolchain_holds over an arbitrary seal, as a damaged file of what is remembered may have one. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "toolchain/toolchain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char sysroot[] = "/tmp/dray-fuzz-XXXXXX";

static void
remove_sysroot(void)
{
	rmdir(sysroot);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char *empty;
	struct toolchain t = { .sysroot = sysroot };

	if (!empty) {
		empty = mkdtemp(sysroot);
		if (!empty || atexit(remove_sysroot) != 0)
			abort();
	}
	if (buf_add(&t.seal, data, size) < 0)
		return 0;
	/* Of a toolchain that is not there, no seal holds. */
	if (toolchain_holds(&t))
		abort();
	buf_done(&t.seal);
	return 0;
}
