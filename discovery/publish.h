/* Has the avahi-daemon of this machine announce a coordinator. For dray-avahi only. */
#ifndef DRAY_DISCOVERY_PUBLISH_H
#define DRAY_DISCOVERY_PUBLISH_H

#include "common/strv.h"

struct publish {
	const char *name;    /* which another one gets a number behind, where it is taken */
	const char *address; /* in numbers, as it is bound: "0.0.0.0" and "::" are all */
	unsigned port;
	const char *host; /* a label of its own for that address: where it is bound to one alone */
	const struct strv *txt;
};

/* Returns when standard input ends, which withdraws it. A bus or a daemon that is not there, or
 * goes, is waited for; that is logged once, and what is announced each time that it is. 0 or
 * -errno. */
int publish(const struct publish *p);

/* An error of libavahi-client, in words. */
const char *avahi_reason(int error);

#endif
