/* Whose results a farm half believes now: the keys that the configuration names (trust_keys), those
 * of the list in the store (trusted.h), and those that the coordinator vouches for (keys/vouch.h),
 * which may change at any time. Any thread may ask. */
#ifndef DRAY_CLIENT_FAR_BELIEVED_H
#define DRAY_CLIENT_FAR_BELIEVED_H

#include "common/conf/conf.h"
#include "keys/trust.h"
#include "proto/serve.pb-c.h"

struct believed;

/* As it is at one time; it stays so while it is held. */
struct believed_now {
	struct trust trust;
	const char *namespace; /* the configuration's; else the coordinator's; "": none */
	const char *off;       /* why nobody is believed; NULL: somebody is */
};

/* conf outlives it. 0 or -ENOMEM: what is wrong with trust_keys is said by `off`. */
int believed_open(const struct conf *conf, struct believed **ret);
void believed_closep(struct believed **b);

/* Whether a coordinator has said whom it vouches for, and with it the client's namespace. */
bool believed_is_told(struct believed *b);
struct believed_now *believed_get(struct believed *b);
void believed_put(struct believed *b, struct believed_now *now);

struct stores;
/* Adds the store's list, where trust_keys names an admin, the first time that this is called. Waits
 * for it (trusted_take). */
void believed_add_list(struct believed *b, struct stores *s);
/* What the coordinator says now: it replaces what it has said before. What makes no sense is taken
 * as a word for nobody. */
void believed_hear(struct believed *b, const Dray__Producers *m);

/* Reads such a message. *ret must be empty, and is so after an error. 0; -EBADMSG: a key or a name
 * is none, or a key is there twice; -ENOMEM. Of kinds that are not known there is nothing. */
int believed_read(
	const Dray__Producers *m, char namespace[KEYS_NAME_MAX + 1], struct trust_keys *ret);

#endif
