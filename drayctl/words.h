/* The words that several commands show for one thing. */
#ifndef DRAY_DRAYCTL_WORDS_H
#define DRAY_DRAYCTL_WORDS_H

#include <stdint.h>

#include "proto/admin.pb-c.h"

/* "ready", "busy" (all slots are in use), "drained", "draining" (jobs still run), "leaving" (by its
 * own word), "shunned", "probed"; of one that is not here "away" or "removed". */
const char *words_worker_state(const Dray__AdminWorker *w);
/* The first eight characters of a key. */
#define WORDS_KEY_SIZE 12
const char *words_key(const char *curve, char ret[WORDS_KEY_SIZE]);
/* Whose it is: the key's name, or the beginning of the key; "-" for neither. */
const char *words_who(const char *name, const char *curve, char ret[WORDS_KEY_SIZE]);

#endif
