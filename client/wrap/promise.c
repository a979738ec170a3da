/* Swallows what has been said before, and only that.
 *
 * Only a digest of the earlier text is known, so bytes are held until as many have come as were
 * said; then the digest decides for all of them at once. Invariant: every byte fed is given out
 * exactly once, or was said before, or belongs to a stream that ended within what was said. */
#include "config.h"

#include <errno.h>

#include "client/wrap/promise.h"

struct promise {
	uint64_t said;
	struct digest digest;
	struct hasher *hasher; /* NULL once the decision fell */
	struct buf held;
};

int
promise_new(uint64_t said, const struct digest *said_digest, struct promise **ret)
{
	_cleanup_(promise_freep) struct promise *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	if (said > 0) {
		if (!said_digest)
			return -EINVAL;
		p->said = said;
		p->digest = *said_digest;
		p->hasher = hasher_new();
		if (!p->hasher)
			return -ENOMEM;
	}
	*ret = steal_ptr(p);
	return 0;
}

void
promise_free(struct promise *p)
{
	if (!p)
		return;
	hasher_free(p->hasher);
	buf_done(&p->held);
	free(p);
}

void
promise_freep(struct promise **p)
{
	promise_free(*p);
	*p = NULL;
}

int
promise_give(struct promise *p, struct buf *ret_out)
{
	int r = p->held.n ? buf_add(ret_out, p->held.p, p->held.n) : 0;

	if (r < 0)
		return r;
	buf_done(&p->held);
	hasher_freep(&p->hasher);
	return 0;
}

int
promise_text(struct promise *p, const void *data, size_t n, struct buf *ret_out)
{
	const uint8_t *bytes = data;
	struct digest d;
	size_t part;
	int r;

	if (p->hasher) {
		part = (size_t)MIN2((uint64_t)n, p->said - p->held.n);
		r = buf_add(&p->held, bytes, part);
		if (r < 0)
			return r;
		hasher_update(p->hasher, bytes, part);
		bytes += part;
		n -= part;
		if (p->held.n < p->said)
			return 0;
		hasher_final(p->hasher, &d);
		if (digest_eq(&d, &p->digest))
			buf_done(&p->held);
		r = promise_give(p, ret_out);
		if (r < 0)
			return r;
	}
	return n ? buf_add(ret_out, bytes, n) : 0;
}

int
promise_end(struct promise *p, struct buf *ret_out)
{
	/* a decision that has not fallen by now is for a shorter text; one that fell left nothing
	 * held */
	if (p->hasher)
		buf_done(&p->held);
	hasher_freep(&p->hasher);
	return 0;
}
