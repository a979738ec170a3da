/* Decides whether one unit is compiled on the farm or here. */
#ifndef DRAY_CLIENT_WRAP_CHOOSE_H
#define DRAY_CLIENT_WRAP_CHOOSE_H

#include "rustc/call.h"
#include "client/wrap/local_only.h"
#include "client/slots/slots.h"
#include "common/conf/conf.h"

enum place { PLACE_LOCAL, PLACE_FARM };

struct choice {
	enum place place;
	const char *why; /* for the job log */
	char text[LOCAL_ONLY_REASON_MAX + 16];
	int slot;  /* a local slot taken on the way, or -1 */
	int probe; /* to be kept open while the farm is tried (farm_state.h), or -1 */
};

#define CHOICE_INIT                                           \
	{                                                     \
		.place = PLACE_LOCAL, .slot = -1, .probe = -1 \
	}

/* slots may be NULL. Always decides. */
void choose(const struct conf *conf, const struct rustc_call *call, struct slots *slots,
	struct choice *ret);
void choice_done(struct choice *c);
/* Why it can only be compiled here, as far as that is a matter of its call; NULL: it can go to the
 * farm. */
const char *choose_reason_for_here(const struct conf *conf, const struct rustc_call *call);

/* Bytes of the Rust sources that the unit seems to have: all *.rs files below its source's
 * directory (of a build script: its own file). Stops counting above limit, or after a bounded
 * number of entries, and then returns more than limit. */
uint64_t choose_source_bytes(const struct rustc_call *call, uint64_t limit);

#endif
