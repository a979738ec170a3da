/* When times stop to count. Many derives look at a manifest's time only to know whether to read it
 * again, and a fresh checkout has new times: a unit that was compiled again for times alone, and
 * came out byte for byte as before, does not depend on those that moved.
 *
 * Evidence holds for the result that it was seen of. What it says of the package with these macros
 * (a lesson) holds for its later results too: of a manifest at once, of any other file once it was
 * seen of two states of the package's sources. Where times alone made other bytes, no lesson is
 * ever taken of them. */
#ifndef DRAY_CACHE_TIMES_H
#define DRAY_CACHE_TIMES_H

#include "cache/entry.h"

enum times_verdict {
	TIMES_OTHER, /* they differ in more than times, or not even in times */
	TIMES_IDLE,  /* nothing but times differs in what was read, and nothing in what was made */
	TIMES_MATTER /* nothing but times in what was read, and something in what was made */
};

struct times_lesson {
	char *name;	      /* of the input */
	unsigned once, twice; /* times that moved and made nothing else, in one state, in two */
	unsigned matter;      /* times that made something else */
	uint64_t state;	      /* the first of them */
};

struct times {
	struct times_lesson *v;
	size_t n, cap;
};

#define TIMES_INIT         \
	{                  \
		NULL, 0, 0 \
	}

void times_done(struct times *t);
/* From and to a note of the memo; what cannot be read is nothing. 0 or -ENOMEM. */
int times_decode(const struct buf *b, struct times *ret);
int times_encode(const struct times *t, struct buf *ret);

/* Whether a result depends on times at all. */
bool times_matter_to(const struct result *r);
/* Compares a result that was kept with one just made, and learns. With TIMES_IDLE the times that
 * moved are ignored in now->inputs, as those that kept ignores. 0 or -ENOMEM. */
int times_compare(
	const struct result *kept, struct result *now, struct times *t, enum times_verdict *ret);
/* Ignores in now->inputs what the lessons say, and counts again what matters. 0 or -ENOMEM. */
int times_apply(const struct times *t, struct result *now);

#endif
