/* failure_is_final over arbitrary text: it ends, and one line that is not the compiler's makes a
 * failure doubtful, wherever it stands. */
#include "config.h"

#include <stdint.h>

#include "client/dispatch/failure.h"
#include "common/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char other[] = "\nwhat a macro says\n";
	_cleanup_(buf_done) struct buf after = BUF_INIT, before = BUF_INIT;

	if (!failure_is_final((const char *)data, size))
		return 0;
	if (buf_add(&after, data, size) < 0 || buf_adds(&after, other) < 0 ||
		buf_adds(&before, other + 1) < 0 || buf_add(&before, data, size) < 0)
		return 0;
	if (failure_is_final((const char *)after.p, after.n) ||
		failure_is_final((const char *)before.p, before.n))
		abort();
	return 0;
}
