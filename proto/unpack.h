/* Decoding within a bound on memory: of a few bytes, each of which is an empty field, protobuf-c
 * makes many times as much. */
#ifndef DRAY_PROTO_UNPACK_H
#define DRAY_PROTO_UNPACK_H

#include <protobuf-c/protobuf-c.h>

#include "common/base.h"

/* most: bytes that are taken for it, all together; what is given back meanwhile counts. *ret is
 * freed by protobuf_c_message_free_unpacked. 0; -EBADMSG; -EMSGSIZE: it would take more. */
int unpack_within(const ProtobufCMessageDescriptor *desc, const void *p, size_t n, size_t most,
	ProtobufCMessage **ret);

/* What an honest message of n bytes takes: short strings, of which a small one may consist, cost up
 * to 32 times their bytes; a large one is of paths, digests and texts. */
static inline size_t
unpack_most(size_t n)
{
	return MIN2((64u << 10) + 32 * n, (8u << 20) + 4 * n);
}

#endif
