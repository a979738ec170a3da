/* Which farm half a wrapper may speak to (client/half/): the one whose key is its own.
 *
 * Two processes have one key where a process that the one starts could do for the other what that
 * one would do itself: the same user, groups and rights, root directory, namespaces, cgroups,
 * limits, priority, processors, configuration, keys, boot of the machine, and program. What differs
 * from unit to unit (directory, environment, umask, descriptors) is in the request. */
#ifndef DRAY_CLIENT_HALF_KEY_H
#define DRAY_CLIENT_HALF_KEY_H

#include "common/conf/conf.h"
#include "common/digest.h"

/* program: the path of dray-dispatch. 0; -ENOTSUP: this process cannot be told from others
 * (without /proc); -errno. */
int half_key_make(const struct conf *conf, const char *program, struct digest *ret);

#endif
