/* A packed unit, as a worker gets it in pieces: wire_unpack and unit_check on any bytes. The memory
 * that it takes is bounded, and what decodes and is accepted has all that the checks promise. */
#include "config.h"

#include <errno.h>

#include "common/digest.h"
#include "proto/wire.h"
#include "worker/sandbox/unit_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	ProtobufCMessage *body = NULL;
	const Dray__Unit *u;
	_cleanup_(freep) char *why = NULL;
	int r = wire_unpack(&dray__unit__descriptor, p, n, WIRE_UNIT_MAX, &body);

	if (r < 0) {
		if (body || (r != -EBADMSG && r != -EMSGSIZE))
			abort();
		return 0;
	}
	u = (const Dray__Unit *)body;
	r = unit_check(u, NULL, 0, &why);
	if (r == 0 && (u->toolchain.len != DIGEST_SIZE || u->n_dirs > UNIT_DIRS_MAX))
		abort();
	if (r != 0 && r != -EINVAL && r != -ENOMEM)
		abort();
	protobuf_c_message_free_unpacked(body, NULL);
	return 0;
}
