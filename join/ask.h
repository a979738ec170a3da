/* A node asks a coordinator to let its key in, by a token (link.proto, Join), or to take another
 * one in its place (Rotate). */
#ifndef DRAY_JOIN_ASK_H
#define DRAY_JOIN_ASK_H

#include "keys/join_word.h"

struct join_in {
	const char *endpoint;	      /* tcp:// */
	const struct join_word *word; /* of which the secret counts where id_token is NULL */
	const char *id_token;	      /* of OpenID Connect; NULL: none */
	const struct identity *id;    /* with its secrets */
	const char *name;	      /* that it would go by */
	bool worker;
	uint64_t wait_ms; /* for all of it */
};

/* What the list of keys says of it now. */
struct joined {
	enum role role;
	char name[KEYS_NAME_MAX + 1], namespace[KEYS_NAME_MAX + 1];
	bool already;		     /* it had that before, and no token was spent */
	struct identity coordinator; /* what is public of it */
};

/* 0; or -errno with what is wrong, and the way out, in *ret_why: -EACCES: it is refused;
 * -ETIMEDOUT: nobody answered; -ENOTCONN: who answered has another key; or another. Only the one
 * with the key of the token learns the secret. */
int join_ask(const struct join_in *in, struct joined *ret, char **ret_why);

struct rotate_in {
	const char *endpoint;		    /* tcp:// */
	const struct identity *coordinator; /* what is public of it */
	const struct identity *old, *fresh; /* both with their secrets */
	bool worker;
	uint64_t overlap_s; /* for which the old one counts beside the new one */
	bool stolen;	    /* it does not at all, nor what it has signed */
	uint64_t wait_ms;   /* for all of it */
};

struct rotated {
	enum role role;
	char name[KEYS_NAME_MAX + 1], namespace[KEYS_NAME_MAX + 1];
	uint64_t until_s; /* since 1970: then the old one ends */
	bool already;	  /* it was so before */
	bool revoked;	  /* the coordinator says that the old one is */
};

/* As join_ask. -ENOKEY: the coordinator does not let the old key in, -EACCES: it refuses the new
 * one, -EOPNOTSUPP: it is an older one. */
int rotate_ask(const struct rotate_in *in, struct rotated *ret, char **ret_why);
/* Whether the coordinator lets the new key in. 0; errors as above. */
int rotate_is_done(const struct rotate_in *in, char **ret_why);

#endif
