#include "config.h"

#include "proto/unpack.h"

#include <errno.h>

/* What one message may still take. Total, not peak: what is given back is not counted back. */
struct budget {
	size_t left;
	bool exceeded;
};

static void *
budget_alloc(void *data, size_t n)
{
	struct budget *b = data;

	if (n > b->left) {
		b->exceeded = true;
		return NULL;
	}
	b->left -= n;
	return malloc(n ? n : 1);
}

/* It is malloc's, so that the default allocator may free it as well. */
static void
budget_free(void *data, void *p)
{
	(void)data;
	free(p);
}

int
unpack_within(const ProtobufCMessageDescriptor *desc, const void *p, size_t n, size_t most,
	ProtobufCMessage **ret)
{
	struct budget budget = { .left = most };
	ProtobufCAllocator allocator = { budget_alloc, budget_free, &budget };
	ProtobufCMessage *m = protobuf_c_message_unpack(desc, &allocator, n, p);

	if (!m)
		return budget.exceeded ? -EMSGSIZE : -EBADMSG;
	*ret = m;
	return 0;
}
