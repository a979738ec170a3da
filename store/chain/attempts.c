#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log/log.h"
#include "store/chain/chain_priv.h"

/* Whether an answer says that something is wrong with the place. */
static bool
is_fault(int error, bool of_put)
{
	switch (error) {
	case 0:
	case -ENOENT:
	case -EFBIG:
	case -EBADMSG: /* damaged, but it answers */
	case -ENOMEM:  /* ours */
	case -EMFILE:
	case -ECANCELED:
		return false;
	case -ENOSPC: /* ours, unless we wrote there */
	case -EDQUOT:
		return of_put;
	default:
		return true;
	}
}

void
chain_judge(struct tier *t, struct breaker *b, int error, const char *why)
{
	if (!is_fault(error, b == &t->writes) || (t->connected && error == -ENOTCONN) ||
		(t->connected && error == -ENOTSUP)) {
		if (error == 0 || error == -ENOENT)
			breaker_ok(b);
		else
			breaker_unsure(b);
		return;
	}
	if (breaker_failed(b, clock_mono_ms()))
		log_warn("The store %s is left alone for a while when %s: %s.", t->shown,
			b == &t->writes ? "writing" : "reading", why);
}

const char *
chain_why_of(const struct tier *t, int error)
{
	const char *why = store_why(t->store);

	return error == -ETIMEDOUT || why[0] == '\0' ? strerror(-error) : why;
}

struct attempt *
chain_new_attempt(struct chain *c, struct tier *t)
{
	struct attempt *y = calloc(1, sizeof(*y));

	if (y == NULL)
		return NULL;
	y->chain = c;
	y->tier = t;
	y->begun = clock_mono_ms();
	y->next = c->tries;
	if (c->tries != NULL)
		c->tries->prev = y;
	c->tries = y;
	return y;
}

void
chain_free_attempt(struct attempt *y)
{
	*(y->prev != NULL ? &y->prev->next : &y->chain->tries) = y->next;
	if (y->next != NULL)
		y->next->prev = y->prev;
	free(y);
}

void
chain_note_why(struct chain *c, const struct tier *t, int error)
{
	if (error != 0 && error != -ENOENT)
		snprintf(c->base.why, sizeof(c->base.why), "%s: %s", t->shown,
			chain_why_of(t, error));
}
