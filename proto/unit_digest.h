/* What two clients' units have to have in common, so that one compile can serve both: everything
 * that a job is laid out from. Not in it is what the job is told only when it asks for it, which
 * then has to be compared: times and owners of files, and the names of variables that were not
 * sent. It says nothing of who sends the unit.
 *
 * A client makes it of its own, as the hint of JobRequest; a worker of what it got. */
#ifndef DRAY_PROTO_UNIT_DIGEST_H
#define DRAY_PROTO_UNIT_DIGEST_H

#include "common/digest.h"
#include "proto/job.pb-c.h"

/* The order of files and of blobs does not count. 0; -EINVAL: a file without a blob, a blob without
 * a digest, a toolchain that is pushed; -ENOMEM. */
int unit_digest(const Dray__Unit *u, struct digest *ret);

/* What the unit is of, wherever it lies: what a worker calls it (cache/job_key.h), and the content
 * of all that is sent; which content is which file's is not in it. 0; -EINVAL: a blob without a
 * digest; -ENOMEM. */
int unit_alike(const Dray__Unit *u, const struct digest *called, struct digest *ret);

#endif
