/* `dray-dispatch --status`: what the coordinator says of the farm, for people and for dray's
 * commands. */
#ifndef DRAY_CLIENT_DISPATCH_FARM_STATUS_H
#define DRAY_CLIENT_DISPATCH_FARM_STATUS_H

#include "common/conf/conf.h"

/* compiler: when not NULL, workers with its toolchain are counted as matching. json: the Status
 * message as one JSON object, with "endpoint", "reachable" and "error". 0: reachable; 1: not. */
int farm_status_print(const struct conf *conf, const char *compiler, bool json);

#endif
