/* Asks the avahi-daemon of this machine which coordinators the network has. For dray-avahi only:
 * libavahi-client and the bus stay out of all other processes. */
#ifndef DRAY_DISCOVERY_BROWSE_H
#define DRAY_DISCOVERY_BROWSE_H

#include "discovery/found.h"

/* Fills the list with what is there within wait_ms; sooner where the daemon knows that it has told
 * all. Where it cannot be asked, `why` says so, at once. Only those of these fingerprints (n of
 * them; 0: all). */
void browse(unsigned wait_ms, char *const *fingerprints, size_t n, struct found *ret);

#endif
