/* Whether a place is asked: after BREAKER_FAILURES failures in a row it is left alone for a while,
 * then one request tries. If that fails, too, it is left alone for twice as long. No I/O: the time
 * is passed in (clock_mono_ms). */
#ifndef DRAY_STORE_CHAIN_BREAKER_H
#define DRAY_STORE_CHAIN_BREAKER_H

#include "common/base.h"

#define BREAKER_FAILURES 3u
#define BREAKER_REST_MS 5000u
#define BREAKER_REST_MAX_MS 300000u

/* All zero: closed. */
struct breaker {
	unsigned failures; /* in a row */
	unsigned rests;	   /* in a row */
	uint64_t until;	   /* 0: it is asked */
	bool probing;
};

/* Whether it may be asked now. True means that breaker_ok or breaker_failed follows. */
bool breaker_may(struct breaker *b, uint64_t now);
void breaker_ok(struct breaker *b);
/* True: it is left alone from now on. */
bool breaker_failed(struct breaker *b, uint64_t now);
/* Neither: the answer says nothing about the place. */
void breaker_unsure(struct breaker *b);
bool breaker_is_open(const struct breaker *b);

#endif
