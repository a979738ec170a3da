/* An event as a line for people. */
#ifndef DRAY_DRAYCTL_EVENT_LINE_H
#define DRAY_DRAYCTL_EVENT_LINE_H

#include "common/buf.h"
#include "proto/admin.pb-c.h"

/* "2026-11-30 18:00:00 placed  serde lib on w1 for alice", without a line end, and without control
 * characters whatever the event holds. 0 or -ENOMEM. */
int event_line(const Dray__AdminEvent *e, struct buf *b);

#endif
