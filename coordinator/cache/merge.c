/* Invariant: of two entries that can be read, no result is lost but those that a later one of the
 * same producer replaces, and the oldest above the bounds of an entry. */
#include "config.h"

#include "coordinator/cache/merge.h"

#include <errno.h>

#include "cache/shared.h"
#include "keys/trust.h"
#include "proto/wire.h"

static const char magic[] = "drayshr";

static bool
is_sealed(const void *p, size_t n)
{
	return n > sizeof(magic) && memcmp(p, magic, sizeof(magic) - 1) == 0;
}

/* The latest is added last, so that it comes first. */
static int
add_all(struct shared_entry *to, const struct shared_entry *from)
{
	int r = 0;

	for (size_t i = from->n; i-- > 0 && r == 0;)
		r = shared_entry_add(to, &from->sealed[i]);
	return r;
}

/* The oldest go where there are too many bytes for an entry. */
static int
encode_within(struct shared_entry *e, struct buf *ret)
{
	int r = shared_entry_encode(e, ret);

	while (r == 0 && ret->n > WIRE_SHARED_ENTRY_MAX && e->n > 1) {
		buf_done(&e->sealed[--e->n]);
		ret->n = 0;
		r = shared_entry_encode(e, ret);
	}
	return r;
}

int
merge_entry(
	const struct digest *name, const struct buf *old, const void *p, size_t n, struct buf *ret)
{
	_cleanup_(shared_entry_done) struct shared_entry there = SHARED_ENTRY_INIT;
	_cleanup_(shared_entry_done) struct shared_entry comes = SHARED_ENTRY_INIT;
	struct digest list;
	int r = keys_object_name(&list);

	if (r < 0)
		return r;
	/* or a writer could keep a list that revokes its key from coming here */
	if (digest_eq(name, &list))
		return is_sealed(p, n) ? -EBADMSG : 1;
	if (!is_sealed(p, n))
		return is_sealed(old->p, old->n) ? -EEXIST : 1;
	r = shared_entry_decode(p, n, name, &comes);
	if (r == -EPROTONOSUPPORT)
		return old->n ? -EEXIST : 1;
	if (r < 0)
		return r;
	if (!is_sealed(old->p, old->n))
		return 1;
	r = shared_entry_decode(old->p, old->n, name, &there);
	if (r == -EPROTONOSUPPORT)
		return -EEXIST;
	if (r == -EBADMSG)
		return 1;
	if (r == 0)
		r = add_all(&there, &comes);
	if (r == 0)
		r = encode_within(&there, ret);
	if (r < 0)
		return r;
	return ret->n > WIRE_SHARED_ENTRY_MAX ? 1 : 0;
}
