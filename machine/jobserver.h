/* A GNU make jobserver (the pipe form, which every rustc understands): one byte is one token.
 *
 * A pool of `size` cores hands out size tokens in all; each running compiler holds one implicitly,
 * so the pool's owner takes a token per compiler it starts, and gives it back at its end. */
#ifndef DRAY_MACHINE_JOBSERVER_H
#define DRAY_MACHINE_JOBSERVER_H

#include "common/base.h"

struct jobserver {
	int rd; /* O_CLOEXEC; dup2 them into the child */
	int wr;
};

#define JOBSERVER_INIT \
	{              \
		-1, -1 \
	}

/* A fresh pipe with `tokens` tokens in it. */
int jobserver_make(unsigned tokens, struct jobserver *ret);
/* One token without waiting: 0, or -EAGAIN when there is none. */
int jobserver_take(struct jobserver *js);
void jobserver_give(struct jobserver *js);
/* Makes the pool hold exactly `tokens` again. Only while nobody uses it. */
void jobserver_reset(struct jobserver *js, unsigned tokens);
void jobserver_done(struct jobserver *js);

/* How many tokens are free now in the pool that such a value (of CARGO_MAKEFLAGS, MAKEFLAGS) names,
 * of either form; none is taken. -ENOENT: it names none; -errno: the pool is not there. */
int jobserver_free(const char *flags);
/* The same of this one. */
int jobserver_left(const struct jobserver *js);

/* The value for CARGO_MAKEFLAGS, for descriptors rd and wr as the child sees them. */
void jobserver_flags(char out[96], int rd, int wr);

#endif
