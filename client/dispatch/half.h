/* The farm half that is resident: one process for the units of all wrappers of one key
 * (client/half/key.h), each in a thread of its own. */
#ifndef DRAY_CLIENT_DISPATCH_HALF_H
#define DRAY_CLIENT_DISPATCH_HALF_H

#include "common/conf/conf.h"

/* Serves the wrappers that connect to listener (client/half/request.h) until nobody has needed it
 * for a while, or SIGTERM. key: in hex, as the wrapper has it that started this process; where it
 * is another here, this process ends at once. The exit status. */
int half_serve(struct conf *conf, int listener, const char *key);

#endif
