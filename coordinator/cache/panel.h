/* What several workers made of one unit, and what follows. Pure: no clock, no I/O.
 *
 *   the first one is the one that shared it
 *   two are the same               SAME
 *   two differ                     a third decides. All three differ: VARIES
 *   one of three differs           it is the odd one, unless it is the unit that comes out now one
 *                                  way, now the other: so others compile it again, until
 *                                  PANEL_AGREE results are the same. One more that differs: VARIES
 *
 * Each worker counts once as one that agrees. A second run by the same one can only show that the
 * unit varies: so it has one where nobody is left that has not run it (panel_runs).
 *
 * That a worker is the odd one is no proof against it: its processor, or its glibc, may be another
 * one, and a unit may look at that. It says more where one with a machine of its kind made what the
 * others made (panel_is_alike); what follows of all that is in blame.h. */
#ifndef DRAY_COORDINATOR_CACHE_PANEL_H
#define DRAY_COORDINATOR_CACHE_PANEL_H

#include "common/digest.h"
#include "keys/identity.h"

#define PANEL_AGREE 6 /* a unit of two equally likely outcomes looks so once in 32 samples */
#define PANEL_RUNS_MAX (PANEL_AGREE + 1)

struct panel_run {
	char worker[CURVE_KEY_SIZE];
	struct digest kind; /* of its machine, by its own word; zeros: it does not say */
	struct digest made;
};

struct panel {
	struct panel_run v[PANEL_RUNS_MAX];
	size_t n;
};

enum panel_next { PANEL_ANOTHER, PANEL_AGAIN, PANEL_SAME, PANEL_ODD, PANEL_VARIES };

/* At least one has run it. ANOTHER: a worker that has not run it yet has to; AGAIN: one that may
 * (panel_may_run). ret_odd: of ODD and AGAIN the worker that differs, else NULL. */
enum panel_next panel_judge(const struct panel *p, const char **ret_odd);
/* Whether what this worker makes would be the next to count. */
bool panel_may_run(const struct panel *p, const char *worker);
/* How often it has run it. */
size_t panel_runs(const struct panel *p, const char *worker);
/* One more; not after SAME, ODD or VARIES. */
void panel_add(
	struct panel *p, const char *worker, const struct digest *kind, const struct digest *made);
/* Whether two results differed. */
bool panel_is_split(const struct panel *p);
/* Of ODD: whether one that makes something else has a machine of the same kind. */
bool panel_is_alike(const struct panel *p, const char *odd);

#endif
