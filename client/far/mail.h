/* What the stores answer to one thread: it waits for them and for others by poll(), and may forget
 * what it has asked for. */
#ifndef DRAY_CLIENT_FAR_MAIL_H
#define DRAY_CLIENT_FAR_MAIL_H

#include "client/far/stores.h"

struct mailbox;

#define MAIL_ENTRY SIZE_MAX /* a number of no blob */

struct mail {
	struct clerk_request q;
	struct mailbox *box;
	unsigned round;
	size_t number; /* as it was asked for */
	struct store_reply reply;
	TAILQ_ENTRY(mail) link;
};

struct mailbox *mailbox_new(void); /* NULL: no memory, or no descriptor */
/* Forgets all, and is gone. */
void mailbox_close(struct mailbox *b);
/* Readable when there is some. */
int mailbox_fd(const struct mailbox *b);

/* Asks for content of at most max bytes, within ms (clerk_request). 0 or -ENOMEM. */
int mailbox_get(struct mailbox *b, struct stores *s, enum store_kind kind,
	const struct digest *name, uint64_t max, unsigned ms, size_t number);
/* What was asked for until now is not wanted any more. */
void mailbox_forget(struct mailbox *b);
/* Makes it readable, also when there is no mail: its thread is to look at something else. By any
 * thread. */
void mailbox_poke(struct mailbox *b);
/* The next answer, to be freed; NULL: there is none yet. */
struct mail *mailbox_take(struct mailbox *b);
void mail_free(struct mail *m);

#endif
