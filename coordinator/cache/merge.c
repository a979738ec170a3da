/* Invariant: of two entries that can be read, no result that may stay is lost but those that a
 * later one of the same producer replaces, and the oldest above the bounds of an entry. */
#include "config.h"

#include "coordinator/cache/merge.h"

#include <errno.h>

#include "cache/list.h"
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

/* ---- where the list names producers */

/* Whether what is there may stay. */
static bool
is_named(const struct shared_entry *e, size_t i, const struct signers *signers)
{
	struct shared_seal seal;

	return shared_peek(e, i, &seal) == 0 &&
	       trust_judge(signers_trust(signers), seal.producer, seal.kind,
		       signers_namespace(signers)) == TRUST_OK;
}

/* The one that puts is a worker whose results can be told from others'. False: its result could be
 * compiled again by nobody, since it does not say of what it is. */
static bool
note_it(struct merge_note *note, const struct shared_entry *e, const struct result *res,
	const struct signer *who)
{
	if (!note || !who || who->kind != TRUST_WORKER || !who->signs)
		return true;
	if (same_of(res, &note->same) < 0 || same_unit_of(&e->recipe, &note->unit) < 0)
		return false;
	memcpy(note->producer, who->key, SIGN_KEY_SIZE);
	memcpy(note->client, who->client, sizeof(note->client));
	note->is = true;
	return true;
}

/* Whether what comes counts. */
static bool
is_of(const struct shared_entry *e, size_t i, const struct signers *signers,
	const struct signer *who, struct merge_note *note)
{
	const struct shared_reader reader = { signers_trust(signers), signers_namespace(signers) };
	_cleanup_(result_done) struct result res = RESULT_INIT;
	struct shared_seal seal;

	if (shared_open(e, i, &reader, &res, &seal, NULL) < 0 || (who && seal.kind != who->kind))
		return false;
	if (who && who->signs && memcmp(seal.producer, who->key, SIGN_KEY_SIZE) != 0)
		return false;
	return note_it(note, e, &res, who);
}

static bool
is_in(const struct shared_entry *e, const struct buf *sealed)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->sealed[i].n == sealed->n &&
			memcmp(e->sealed[i].p, sealed->p, sealed->n) == 0)
			return true;
	return false;
}

/* Leaves in *comes what is to be added, and in *there what stays. -EACCES: nothing is left of what
 * comes, and something was refused. */
static int
sift(struct shared_entry *there, struct shared_entry *comes, const struct signers *signers,
	const struct signer *who, struct merge_note *note)
{
	/* a worker brings one result: what is looked at is what it has brought */
	bool one = who && who->kind == TRUST_WORKER && who->signs, refused = false;
	size_t fresh = 0;

	for (size_t i = there->n; i-- > 0;)
		if (!is_named(there, i, signers))
			shared_entry_drop(there, i);
	for (size_t i = comes->n; i-- > 0;) {
		/* one that reads, adds its own, and writes it back brings what it has read */
		bool known = is_in(there, &comes->sealed[i]);

		if (known)
			continue;
		if (!(one && fresh > 0) && is_of(comes, i, signers, who, note)) {
			fresh++;
			continue;
		}
		refused = true;
		shared_entry_drop(comes, i);
	}
	return comes->n == 0 && refused ? -EACCES : 0;
}

/* As merge_entry, of entries by these producers. */
static int
merge_named(const struct digest *name, const struct buf *old, const struct signers *signers,
	const struct signer *who, const void *p, size_t n, struct buf *ret, struct merge_note *note)
{
	_cleanup_(shared_entry_done) struct shared_entry there = SHARED_ENTRY_INIT;
	_cleanup_(shared_entry_done) struct shared_entry comes = SHARED_ENTRY_INIT;
	int r = is_sealed(p, n) ? shared_entry_decode(p, n, name, &comes) : -EACCES;

	/* of a later version nobody here can tell who signed it */
	if (r < 0)
		return r == -EPROTONOSUPPORT ? -EACCES : r;
	if (signers_varies(signers, &comes.recipe))
		return -EPERM;
	if (who && !signer_may_make(who, &comes.recipe))
		return -EOPNOTSUPP;
	r = is_sealed(old->p, old->n) ? shared_entry_decode(old->p, old->n, name, &there)
				      : -EBADMSG;
	if (r == -EPROTONOSUPPORT)
		return -EEXIST;
	there.key = *name;
	if (r < 0 && r != -EBADMSG)
		return r;
	r = sift(&there, &comes, signers, who, note);
	for (size_t i = 0; r == 0 && there.recipe.n < comes.recipe.n; i++)
		r = strv_add(&there.recipe, comes.recipe.v[i]);
	if (r == 0)
		r = add_all(&there, &comes);
	if (r == 0)
		r = encode_within(&there, ret);
	return r == 0 && ret->n > WIRE_SHARED_ENTRY_MAX ? -EBADMSG : r;
}

/* ---- where it names none */

static int
merge_any(
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
		r = encode_within(&there, ret);
	if (r < 0)
		return r;
	return ret->n > WIRE_SHARED_ENTRY_MAX ? 1 : 0;
}

/* Whether a store's bytes are results at all, which the list of keys is not. 0 or -errno, as
 * merge_entry. */
static int
check_far(const struct digest *name, const void *p, size_t n)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	int r = is_sealed(p, n) ? shared_entry_decode(p, n, name, &e) : -EACCES;

	return r == -EPROTONOSUPPORT ? -EACCES : r;
}

/* ---- the list of a build */

/* Signed by nobody: it is a hint, and stands in no result's place. The latest is as good as one
 * made of both: who puts it has read the one before (list_merge). */
static int
merge_list(const struct buf *old, const struct signers *signers, const struct signer *who,
	const void *p, size_t n)
{
	struct list l = { NULL, 0 };
	int r = list_decode(p, n, &l);

	list_done(&l);
	if (r < 0)
		return r;
	if (signers && who->kind != TRUST_PUBLISHER)
		return -EACCES;
	return is_sealed(old->p, old->n) ? -EEXIST : 1;
}

int
merge_entry(const struct digest *name, const struct buf *old, const struct signers *signers,
	const struct signer *who, const void *p, size_t n, struct buf *ret, struct merge_note *note)
{
	struct digest list;
	int r = keys_object_name(&list);

	if (note)
		memset(note, 0, sizeof(*note));
	if (r == 0 && !who)
		r = check_far(name, p, n);
	if (r < 0)
		return r;
	/* or a writer could keep a list that revokes its key from coming here */
	if (digest_eq(name, &list))
		return is_sealed(p, n) || list_is(p, n) ? -EBADMSG : 1;
	if (list_is(p, n))
		return merge_list(old, signers, who, p, n);
	return signers ? merge_named(name, old, signers, who, p, n, ret, note)
		       : merge_any(name, old, p, n, ret);
}
