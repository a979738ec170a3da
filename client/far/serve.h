/* The farm half's side of the stores (messages.h). */
#ifndef DRAY_CLIENT_FAR_SERVE_H
#define DRAY_CLIENT_FAR_SERVE_H

#include "common/conf/conf.h"
#include "memo/stay.h"
#include "proto/serve.pb-c.h"

struct far_half;
struct far_farm; /* farm.h */

/* conf, memo and farm (NULL: there is none) outlive it. 0, and NULL in *ret where there are no
 * stores, or remote_mode is off; -errno. */
int far_half_open(const struct conf *conf, struct memo_stay *memo, const struct far_farm *farm,
	struct far_half **ret);
/* When nobody is served any more. What is not uploaded yet stays in the queue. */
void far_half_closep(struct far_half **h);
/* Whether the configuration names stores beside the farm's. */
bool far_half_has_stores(const struct far_half *h);
/* Whether something is being uploaded, or compiled again. */
bool far_half_is_busy(struct far_half *h);
/* Whether builds let it do what can wait (refiller.h). */
void far_half_say_quiet(struct far_half *h, bool quiet);

/* The coordinator has said whom it vouches for. */
void far_half_hear(struct far_half *h, const Dray__Producers *m);

/* Serves a wrapper until its end of file: in a thread of its own. */
void far_serve(struct far_half *h, int conn);

#endif
