/* Learns which times of files do not matter. Many derives look at a manifest's time only to know
 * whether to read it again, and a fresh checkout has new times. If a unit was compiled again for
 * times alone and its bytes are the same, it does not depend on the times that moved.
 *
 * What was seen holds for the very result. A lesson is what it says of the package with these
 * macros, and holds for later results too: for a manifest at once, for any other file after it was
 * seen in two states of the package's sources. If times alone ever changed the bytes, no lesson
 * about them is used again. */
#ifndef DRAY_CACHE_TIMES_H
#define DRAY_CACHE_TIMES_H

#include "cache/entry.h"

enum times_verdict {
	TIMES_OTHER, /* more than times differs, or nothing does */
	TIMES_IDLE,  /* of the inputs only times differ, and the outputs are equal */
	TIMES_MATTER /* of the inputs only times differ, and the outputs differ */
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
/* Decodes and encodes a note of the memo; one that cannot be read counts as empty. 0 or -ENOMEM. */
int times_decode(const struct buf *b, struct times *ret);
int times_encode(const struct times *t, struct buf *ret);

/* Whether a result depends on times at all. */
bool times_matter_to(const struct result *r);
/* Compares a kept result with one that was just made, and learns. With TIMES_IDLE, now->inputs
 * ignores the times that moved and those that `kept` ignores. 0 or -ENOMEM. */
int times_compare(
	const struct result *kept, struct result *now, struct times *t, enum times_verdict *ret);
/* Makes now->inputs ignore the times that the lessons name, and count those that matter. 0 or
 * -ENOMEM. */
int times_apply(const struct times *t, struct result *now);

#endif
