/* Invariant: of two entries that can be read, no result is lost but those that a later one of the
 * same producer replaces, and the oldest above the bounds of an entry. */
#include "config.h"

#include "coordinator/cache/merge.h"

#include <errno.h>

#include "cache/shared.h"
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

int
merge_entry(
	const struct digest *name, const struct buf *old, const void *p, size_t n, struct buf *ret)
{
	_cleanup_(shared_entry_done) struct shared_entry there = SHARED_ENTRY_INIT;
	_cleanup_(shared_entry_done) struct shared_entry comes = SHARED_ENTRY_INIT;
	int r;

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
		r = shared_entry_encode(&there, ret);
	if (r < 0)
		return r;
	return ret->n > WIRE_SHARED_ENTRY_MAX ? 1 : 0;
}
