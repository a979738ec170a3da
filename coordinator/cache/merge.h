/* Two that write one entry lose nothing of each other: what comes is put together with what is
 * there, result by result (cache/shared.h).
 *
 * Where the list of keys names producers for the namespace, an entry has their results alone. So
 * what nobody would believe pushes nothing out. Of what comes a result counts if its seal is right,
 * and is by the one that puts, as its line says; or by any of them, where that has no key. What was
 * there before stays while its producer is named, and not revoked. Readers look at all of it again.
 *
 * What comes out of a store, where anybody may have written it, is of no peer: a result counts if
 * its seal is right, and is by any of those that are named.
 *
 * The list of a build (cache/list.h) is signed by nobody. Where producers are named, publishers may
 * put one, and none comes out of a store; it takes no result's place, and results take its. */
#ifndef DRAY_COORDINATOR_CACHE_MERGE_H
#define DRAY_COORDINATOR_CACHE_MERGE_H

#include "common/buf.h"
#include "common/digest.h"
#include "cache/same.h"
#include "coordinator/cache/signers.h"

/* Of what came, a worker's own result that was not there before. */
struct merge_note {
	bool is;
	struct same same;
	struct same_unit unit; /* without a toolchain: the entry's recipe names none */
	uint8_t producer[SIGN_KEY_SIZE];
	char client[CURVE_KEY_SIZE]; /* as signer.client */
};

/* old: what is there; empty: nothing. signers: NULL: nobody is named, and nobody looks at who
 * signed. who: the one that puts; NULL: it is a store's. 1: put p as it is (there is nothing that
 * it would have to be put together with, or it is no entry of sealed results, as the list of keys,
 * or a build's); 0: put *ret; -EACCES: nothing in it counts; -EBADMSG: it is damaged, or another
 * key's, or results under the name of the list of keys; -EEXIST: one of the two is of a later
 * version, or the old one alone is of sealed results: that is not written over; -EPERM: it is of a
 * package that comes out differently each time (signers_varies); -EOPNOTSUPP: it is of a toolchain
 * that this worker may not share of (signer_may_make); -ENOMEM. *note: of those that are
 * 0; NULL is fine. */
int merge_entry(const struct digest *name, const struct buf *old, const struct signers *signers,
	const struct signer *who, const void *p, size_t n, struct buf *ret,
	struct merge_note *note);

#endif
