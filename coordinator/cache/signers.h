/* Whose results a namespace's entries hold: the producers that the list of keys names for it
 * (keys/vouch.h), as they were when a put began. Any thread may read it, and hold it. */
#ifndef DRAY_COORDINATOR_CACHE_SIGNERS_H
#define DRAY_COORDINATOR_CACHE_SIGNERS_H

#include "coordinator/cache/judged.h"
#include "keys/trust.h"

#define SIGNER_TOOLCHAINS 64

struct signers;

/* *keys: its content is taken. judged: of its packages those of the namespace count; NULL: none do.
 * NULL: no memory. The caller holds it. */
struct signers *signers_new(
	struct trust_keys *keys, const char *namespace, const struct judged *judged);
struct signers *signers_hold(struct signers *s); /* NULL is fine */
void signers_release(struct signers *s);	 /* likewise */

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
	/* Of a worker's result: whose job it was; "": not known. */
	char client[CURVE_KEY_SIZE];
	/* Likewise: only those of these toolchains are taken, which others could compile again. */
	bool limited;
	size_t n_toolchains;
	struct digest toolchains[SIGNER_TOOLCHAINS];
};
/* Whether a result with that recipe is. */
bool signer_may_make(const struct signer *s, const struct strv *recipe);

#endif
