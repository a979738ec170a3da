/* Gives a toolchain to a farm that has asked for it (proto/client.proto, JobDenied.give), by a
 * process of its own that nobody waits for. */
#ifndef DRAY_CLIENT_GIVE_BEGIN_H
#define DRAY_CLIENT_GIVE_BEGIN_H

#include "common/conf/conf.h"
#include "toolchain/toolchain.h"

#define PUSH_COMMAND "push-toolchain" /* of dray-dispatch (client/dispatch/push.h) */

/* 0: it has begun; -EBUSY: one is being given; -EAGAIN: not so soon again; -ENOTSUP: not wanted, by
 * the configuration; -errno. t was identified. */
int give_begin(const struct conf *conf, const struct toolchain *t);

#endif
