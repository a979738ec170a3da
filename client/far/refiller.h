/* The farm half's side of refills (refill.h): a thread that takes what waits, one after another,
 * while no build is there, and has it compiled again by a process of its own for each. */
#ifndef DRAY_CLIENT_FAR_REFILLER_H
#define DRAY_CLIENT_FAR_REFILLER_H

#include "common/base.h"

struct far_half;
struct refiller;

/* Begins. h outlives it. 0, and NULL in *ret where nothing is compiled again, by the configuration;
 * -errno. */
int refiller_open(struct far_half *h, struct refiller **ret);
/* Ends; what is not done stays in the queue. */
void refiller_closep(struct refiller **r);
/* Builds are quiet, or not any more. In that case what has begun ends, unless its compiler runs:
 * then it costs this machine nothing. */
void refiller_say_quiet(struct refiller *r, bool quiet);
/* Whether one is being done. */
bool refiller_is_busy(struct refiller *r);

#endif
