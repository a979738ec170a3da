/* Where dray-ld keeps what it was called with: a directory N for each call, below this one in the
 * job's out-dir. doc/architecture.md says what is in it. */
#ifndef DRAY_WORKER_INSIDE_CAPTURE_DIR_H
#define DRAY_WORKER_INSIDE_CAPTURE_DIR_H

#define CAPTURE_DIR ".dray-cap"
#define CAPTURE_CALLS_MAX 16

#endif
