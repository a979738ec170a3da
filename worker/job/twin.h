/* A job that joins another one that is the same (Twins in proto/job.proto). */
#ifndef DRAY_WORKER_JOB_TWIN_H
#define DRAY_WORKER_JOB_TWIN_H

#include "worker/job/job_priv.h"

/* The unit was checked. 1: the job joins another one (twin_follow); 0: it goes on, and leads if it
 * may (lead.h); -errno: it has no slot to go on with, or there is no memory. */
int twin_begin(struct job *j);
/* Until its client has all, or the job has failed: then with TWIN_LOST or TWIN_DIFFERS, mostly. */
int twin_follow(struct job *j);
/* The thread of any job ends. */
void twin_done(struct job *j);

#endif
