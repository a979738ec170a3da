/* What dray cache status, gc, verify and purge say of a place, for people (tend.h). */
#ifndef DRAY_CLIENT_CMD_CACHE_TEND_SAY_H
#define DRAY_CLIENT_CMD_CACHE_TEND_SAY_H

#include "client/cmd/cache/tend.h"

void tend_say(enum tend_what what, const json_t *o);

#endif
