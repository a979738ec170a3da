/* The farm half's side of the stores (messages.h). */
#ifndef DRAY_CLIENT_FAR_SERVE_H
#define DRAY_CLIENT_FAR_SERVE_H

#include "common/conf.h"
#include "memo/stay.h"

struct far_half;

/* conf and memo outlive it. 0, and NULL in *ret where no stores are configured; -errno. */
int far_half_open(const struct conf *conf, struct memo_stay *memo, struct far_half **ret);
/* When nobody is served any more. What is not uploaded yet stays in the queue. */
void far_half_closep(struct far_half **h);
/* Whether something is being uploaded. */
bool far_half_is_busy(struct far_half *h);

/* Serves a wrapper until its end of file: in a thread of its own. */
void far_serve(struct far_half *h, int conn);

#endif
