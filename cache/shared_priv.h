/* What shared.c, which seals and opens, and shared_may.c, which looks at what is in a result,
 * share. */
#ifndef DRAY_CACHE_SHARED_PRIV_H
#define DRAY_CACHE_SHARED_PRIV_H

#include "cache/shared.h"

/* Whether it is of a form, and within limits, that a shared result may have, whatever it depends
 * on: the same for those who seal and those who open. As shared_may. */
int shared_check_form(enum trust_kind kind, const struct result *r, char **ret_why);

#endif
