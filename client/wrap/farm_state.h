/* What the last tries to reach the farm told, shared by all of a user's calls: one stamp file
 * <cache_dir>/farm-<hash of the endpoint>, `up <ms>` or `down <ms>` (CLOCK_BOOTTIME).
 *
 *   up             everybody tries; the first that fails says down
 *   down, fresh    nobody tries for retry_s
 *   down, expired  one call tries (it holds the lock of farm-<hash>.probe); the others stay here
 * Where the configuration names several coordinators, all of them are one farm, and each has a
 * stamp of its own beside; of how long it is as it is, `down` keeps the time when that began.
 *
 *   no stamp       one call tries; the others wait for what it finds, since a first build must not
 *                  run here for its first half second
 *
 * So an unreachable farm costs all calls together one connect_ms per retry_s. */
#ifndef DRAY_CLIENT_WRAP_FARM_STATE_H
#define DRAY_CLIENT_WRAP_FARM_STATE_H

#include "common/base.h"

enum farm_state {
	FARM_TRY,  /* go */
	FARM_DOWN, /* left alone for now */
};

/* May wait for another call's try: as long as that takes, connect_ms mostly, four times that at
 * most. *ret_probe: a descriptor that this call must keep open until its own try has told
 * (farm_state_set, by the process that tries) and then close; -1 when it is not the one that
 * probes. */
enum farm_state farm_state_begin(const char *cache_dir, const char *endpoint, uint64_t retry_s,
	uint64_t connect_ms, int *ret_probe);

/* Whether the stamp says that the farm answered last time; never waits. */
bool farm_state_is_up(const char *cache_dir, const char *endpoint);

/* Whether it says that the farm did not answer, less than retry_s ago; never waits. */
bool farm_state_is_down(const char *cache_dir, const char *endpoint, uint64_t retry_s);

/* What the stamp says, and since how many ms it has been so. False: there is none. */
bool farm_state_since(const char *cache_dir, const char *endpoint, bool *ret_up, uint64_t *ret_ms);

/* up: the coordinator has welcomed us. Failing to write it is harmless. */
void farm_state_set(const char *cache_dir, const char *endpoint, bool up);
/* Removes what is noted of an endpoint that will not come back. */
void farm_state_forget(const char *cache_dir, const char *endpoint);
/* Removes what is noted of endpoints that do not answer, and of which nothing was noted for an
 * hour: those that are found on the network come and go. */
void farm_state_expire(const char *cache_dir);

#endif
