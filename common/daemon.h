/* What the daemons' beginnings have in common. */
#ifndef DRAY_COMMON_DAEMON_H
#define DRAY_COMMON_DAEMON_H

#include "common/conf.h"
#include "common/strv.h"

/* conf_load, then the "section.key=value" of the command line over it, in their order. */
int daemon_conf(const struct strv *settings, struct conf **ret, char **ret_error);

/* Each connection is a descriptor, and the default limit is far below a farm's: raises it to the
 * hard one. 0 or -errno. */
int daemon_raise_limits(void);

/* The argument of --ready-fd: 0, or -EINVAL. */
int daemon_parse_fd(const char *text, int *ret);

/* Writes the endpoint, one line, to *fd, closes it, and leaves -1 there. Nothing for -1. 0 or
 * -errno. */
int daemon_say_ready(int *fd, const char *endpoint);

#endif
