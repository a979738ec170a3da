/* Keeps the ledger ahead of the printed text. Invariant: at any time the text that cargo has read
 * is a beginning of the text in the ledger, and no shorter than its "sure" part. */
#include "config.h"

#include "client/dispatch/say.h"

#include <errno.h>
#include <stdio.h>

#include "common/clock.h"

#define KEPT_MAX (64u << 20)

struct say {
	struct ledger *rep;
	struct tether *tether;
	struct hasher *hasher; /* of all that was printed, in all tries */
	bool keeps;
	struct buf err, out;
};

int
say_new(struct ledger *rep, struct tether *tether, struct say **ret)
{
	struct say *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->rep = rep;
	s->tether = tether;
	s->hasher = hasher_new();
	if (!s->hasher) {
		free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

void
say_free(struct say *s)
{
	if (!s)
		return;
	hasher_free(s->hasher);
	buf_done(&s->err);
	buf_done(&s->out);
	free(s);
}

void
say_freep(struct say **s)
{
	say_free(*s);
	*s = NULL;
}

/* The C compiler must not move these stores past the write: dray reads them if this process dies in
 * between. */
static void
settle(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void
say_keep(struct say *s)
{
	s->keeps = true;
}

const struct buf *
say_kept(const struct say *s, bool out)
{
	return !s->keeps ? NULL : out ? &s->out : &s->err;
}

static void
keep(struct say *s, struct buf *to, const void *p, size_t n)
{
	if (s->keeps)
		s->keeps = to->n + n <= KEPT_MAX && buf_add(to, p, n) == 0;
}

int
say_text(struct say *s, const void *p, size_t n)
{
	struct ledger *rep = s->rep;
	struct digest d;
	int r;

	if (n == 0)
		return 0;
	keep(s, &s->err, p, n);
	hasher_update(s->hasher, p, n);
	hasher_peek(s->hasher, &d);
	rep->text_sure_bytes = rep->text_bytes;
	rep->text_sure_digest = rep->text_digest;
	settle();
	rep->text_bytes += n;
	rep->text_digest = d;
	settle();
	r = tether_write(s->tether, false, p, n);
	if (r < 0)
		return r;
	rep->text_sure_bytes = rep->text_bytes;
	rep->text_sure_digest = d;
	settle();
	return 0;
}

int
say_out(struct say *s, const void *p, size_t n)
{
	keep(s, &s->out, p, n);
	return n ? tether_write(s->tether, true, p, n) : 0;
}

int
say_promise_rmeta(struct say *s, const char *path, const struct digest *d)
{
	struct ledger *rep = s->rep;

	if (strlen(path) >= sizeof(rep->rmeta))
		return -ENAMETOOLONG;
	rep->rmeta_digest = *d;
	rep->rmeta_us = clock_mono_us();
	memcpy(rep->rmeta_worker, rep->worker, sizeof(rep->rmeta_worker));
	memcpy(rep->rmeta_key, rep->worker_key, sizeof(rep->rmeta_key));
	settle();
	snprintf(rep->rmeta, sizeof(rep->rmeta), "%s", path);
	settle();
	return 0;
}

int
say_is_promised(const struct say *s, const char *path, const struct digest *d)
{
	const struct ledger *rep = s->rep;

	if (!rep->rmeta[0])
		return 0;
	return streq(rep->rmeta, path) && digest_eq(&rep->rmeta_digest, d) ? 1 : -EEXIST;
}
