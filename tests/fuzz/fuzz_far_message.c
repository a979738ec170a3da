/* far_message_ok: what it takes is what it gives, its texts end, and it is of a kind that was asked
 * for. */
#include "config.h"

#include "client/far/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const unsigned kinds = (1u << FAR_FIND) | (1u << FAR_FOUND) | (1u << FAR_LEFT) |
			       (1u << FAR_BUILD) | (1u << FAR_WAIT);
	struct far_message m;

	if (!far_message_ok(p, n, kinds, &m))
		return 0;
	if (n != sizeof(m) || memcmp(p, &m, n) != 0 || !(kinds & (1u << m.what)) ||
		strlen(m.store) >= sizeof(m.store) || strlen(m.why) >= sizeof(m.why) || m.error > 0)
		abort();
	return 0;
}
