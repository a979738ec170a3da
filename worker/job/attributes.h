/* What clients tell of a file's attributes (FileTimes in proto/job.proto), where two clients' words
 * are compared. */
#ifndef DRAY_WORKER_JOB_ATTRIBUTES_H
#define DRAY_WORKER_JOB_ATTRIBUTES_H

#include "proto/job.pb-c.h"

#include <stdbool.h>

/* Whether they say the same, by all fields that this version knows. What a message has beside, of a
 * later version, or a liar's, is not looked at: it may have been freed with the message that it was
 * copied from. */
bool attributes_are_same(const Dray__FileTimes *a, const Dray__FileTimes *b);

#endif
