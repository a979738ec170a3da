/* A shared cache that may not be used: the build goes on without, and its user is told once. */
#ifndef DRAY_CLIENT_WRAP_REFUSED_H
#define DRAY_CLIENT_WRAP_REFUSED_H

#include "common/conf/conf.h"

/* Says it, unless the same was said within the hour (noted in cache_dir). */
void refused_say(const struct conf *conf, const char *why);

#endif
