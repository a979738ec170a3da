/* Uploads: what waits in the queue (queue.h) is sealed and put into the stores, behind the builds,
 * by a thread of a farm half. Of several processes one does it. */
#ifndef DRAY_CLIENT_FAR_UPLOAD_H
#define DRAY_CLIENT_FAR_UPLOAD_H

#include "common/base.h"

struct far_half;
struct upload;

/* Begins. h outlives it. 0, and NULL in *ret where nothing is uploaded (remote_mode, no identity);
 * -errno. */
int upload_open(struct far_half *h, struct upload **ret);
/* Ends; what is not uploaded yet stays in the queue. */
void upload_closep(struct upload **u);
/* Whether something waits, and there is hope. */
bool upload_is_busy(struct upload *u);
/* What failed is tried again at once. Returns how many results wait; why: what went wrong last, or
 * "". */
uint64_t upload_kick(struct upload *u, char *why, size_t size);

#endif
