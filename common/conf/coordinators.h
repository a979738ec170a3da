/* The coordinators of one line of the configuration, the first choice first (dray.conf(5)):
 *
 *   coordinator = tcp://a.example:7420, tcp://b.example:7420
 *   coordinator_key = /etc/dray/a.pub, /etc/dray/b.pub
 *
 * One alone is a list of one. Neither knows of the others. */
#ifndef DRAY_COMMON_CONF_COORDINATORS_H
#define DRAY_COMMON_CONF_COORDINATORS_H

#include "common/strv.h"

#define COORDINATORS_MAX 8
/* Instead of endpoints: those of the keys that are found on the network (discovery/find.h). */
#define COORDINATORS_AUTO "auto"

struct coordinators {
	size_t n;
	struct coordinator_at {
		char *endpoint;
		char *key; /* the path of its public identity file; NULL: none was named */
	} v[COORDINATORS_MAX];
};

#define COORDINATORS_INIT \
	{                 \
		.n = 0    \
	}

/* What stands between commas, without the blanks around it. A comma divides only where the next
 * item begins behind it: an endpoint with tcp:// or ipc://, a path with / or ~/ or ./ . So what was
 * one value before there were lists still is. NULL or "": none. 0 or -ENOMEM. */
int coordinators_split(const char *v, bool paths, struct strv *ret);

/* Of a section ("client", "worker") both values as the configuration has them, each NULL or "" for
 * unset. There are as many keys as coordinators, or none; where all are of this machine (ipc) other
 * numbers of keys count as none. COORDINATORS_AUTO names none. 0 (also for no coordinator);
 * -ENOMEM; -EINVAL, and a full sentence in *ret_why (caller frees). */
int coordinators_parse(const char *section, const char *endpoints, const char *keys,
	struct coordinators *ret, char **ret_why);
void coordinators_done(struct coordinators *c); /* frees all and makes it empty; for _cleanup_ */

#endif
