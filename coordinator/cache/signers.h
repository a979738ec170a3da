/* Whose results a namespace's entries hold: the producers that the list of keys names for it
 * (keys/vouch.h), as they were when a put began. Any thread may read it, and hold it. */
#ifndef DRAY_COORDINATOR_CACHE_SIGNERS_H
#define DRAY_COORDINATOR_CACHE_SIGNERS_H

#include "coordinator/cache/judged.h"
#include "keys/trust.h"

struct signers;

/* *keys: its content is taken. judged: of its packages those of the namespace count; NULL: none do.
 * NULL: no memory. The caller holds it. */
struct signers *signers_new(
	struct trust_keys *keys, const char *namespace, const struct judged *judged);
struct signers *signers_hold(struct signers *s); /* NULL is fine */
void signers_release(struct signers *s);	 /* likewise */
void signers_releasep(struct signers **s);

/* "" for none. */
const char *signers_namespace(const struct signers *s);
/* Whether an entry with this recipe is of a package that comes out differently each time. */
bool signers_varies(const struct signers *s, const struct strv *recipe);
/* While it is held. */
const struct trust *signers_trust(const struct signers *s);

/* The one that puts, by its line in the list. */
struct signer {
	enum trust_kind kind; /* what its role signs as */
	bool signs;	      /* the next one is given */
	uint8_t key[SIGN_KEY_SIZE];
};

#endif
