/* Which blobs are being fetched just now: of several threads of a farm half that want one, the
 * first fetches it, and the others wait for that. */
#ifndef DRAY_CLIENT_FAR_CLAIMS_H
#define DRAY_CLIENT_FAR_CLAIMS_H

#include "client/far/mail.h"

struct claims;

struct claims *claims_new(void);    /* NULL: no memory */
void claims_free(struct claims *c); /* NULL is fine */

/* True: it is the caller's to fetch, who calls claims_end then, whatever became of it. False:
 * another one fetches it, or there is no memory. With a box that is told (mailbox_poke) when any
 * fetch has ended, as often as that happens, until claims_leave. */
bool claims_begin(struct claims *c, const struct digest *blob, struct mailbox *box);
void claims_end(struct claims *c, const struct digest *blob);
/* Before a box is closed. */
void claims_leave(struct claims *c, struct mailbox *box);

#endif
