/* What cargo is told: text on stderr, each byte written down in the ledger before it is said. */
#ifndef DRAY_CLIENT_DISPATCH_SAY_H
#define DRAY_CLIENT_DISPATCH_SAY_H

#include "client/wrap/ledger.h"
#include "client/dispatch/tether.h"
#include "common/buf.h"

struct say;

int say_new(struct ledger *rep, struct tether *tether, struct say **ret);
void say_free(struct say *s);
void say_freep(struct say **s);

/* From now on all that is said is kept, for the cache. */
void say_keep(struct say *s);
/* What was said on stdout or stderr; NULL: it is not kept, or was too much. */
const struct buf *say_kept(const struct say *s, bool out);

/* n bytes to stderr; 0, or as tether_write. */
int say_text(struct say *s, const void *p, size_t n);
/* n bytes to stdout. */
int say_out(struct say *s, const void *p, size_t n);

/* Records that the rmeta at path is about to be put there and announced. -ENAMETOOLONG. */
int say_promise_rmeta(struct say *s, const char *path, const struct digest *d);
/* Whether one was: 0 and no promise; 1: this very one; -EEXIST: another. */
int say_is_promised(const struct say *s, const char *path, const struct digest *d);

#endif
