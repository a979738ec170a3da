/* Coordinators of which the configuration says `coordinator = auto`: those of the network whose
 * keys `coordinator_key` names.
 *
 *   wrapper, worker ── reads ──▶ DIR/found ◀── writes ── dray-avahi, which asks the avahi-daemon
 *         └── starts it, where that is old, and goes on: nobody waits for the network ──┘
 *
 * DIR is the client's cache directory, or the worker's state directory. What the file says is
 * anybody's word: an endpoint is only tried, and counts when who answers has the key (CURVE). */
#ifndef DRAY_DISCOVERY_FIND_H
#define DRAY_DISCOVERY_FIND_H

#include "common/conf/conf.h"
#include "discovery/found.h"

#define FIND_FRESH_MS 300000 /* what was found is asked for again after so long; */
#define FIND_LACK_MS 10000   /* what was not found, or does not answer */
#define FIND_OLD_MS 86400000 /* an answer that is older counts for nothing */
#define FIND_LOOK_MS 2500    /* how long a command that was asked to looks */

/* Whether that is what the configuration says ("auto"). */
bool find_is_auto(const char *coordinator);

/* conf_load; of `[client] coordinator = auto` becomes what was found, and coordinator_key names the
 * key of each. Nothing found: there is no coordinator. client.discovers tells that it was so. */
int find_conf_load(struct conf **ret, char **ret_error);

/* The file's list, and its age. -ENOENT: there is none, or an old one; -EBADMSG. */
int find_read(const char *dir, struct found *ret, uint64_t *ret_age_ms);

/* Has it looked for again, unless that was begun less than older_ms ago, and does not wait. False:
 * nothing was started. *pid: who was started last (0: nobody), whom it collects; NULL: this process
 * ends soon. */
bool find_again(const char *dir, uint64_t older_ms, pid_t *pid);

/* The coordinator's public key of that file, as it is today, as people compare it: dir as of
 * successor_load (NULL: none). -errno. */
int find_fingerprint(const char *key_file, const char *dir, char ret[KEYS_FINGERPRINT_SIZE]);

/* Looks now, for wait_ms at most, and takes as long. -ENOENT: dray-avahi is not installed; -errno.
 * What it could not do stands in ret->why. */
int find_look(unsigned wait_ms, struct found *ret);

/* Chooses among what was found for a key that has been tried at `at` ("": nowhere) in vain: the
 * next one, in turn; the same where there is no other. NULL: there is none. */
const char *find_next(const struct found *f, const char *fingerprint, const char *at);
/* Whether it is among what was found. */
bool find_has(const struct found *f, const char *fingerprint, const char *at);

#endif
