/* What is known of each client key at a listening socket, and how much of it is let in: the same
 * bounds for coordinator and worker. A step function: the clock is passed in (monotonic ms).
 *
 * A coordinator has a list of keys. A worker hears from its coordinator which key will come, before
 * that client gets its ticket; the two messages may overtake each other, so a key that nobody has
 * named yet waits for a while, or is put off, and is refused then. */
#ifndef DRAY_PROTO_DOOR_H
#define DRAY_PROTO_DOOR_H

#include "keys/identity.h"
#include "proto/socket.h"

#define DOOR_CONNECTIONS_MAX 512 /* of one key, at a time */
#define DOOR_HANDSHAKES 512	 /* of one key at once, and so many a second: */
#define DOOR_HANDSHAKES_PER_S 128
#define DOOR_REQUESTS 64 /* for the status, likewise */
#define DOOR_REQUESTS_PER_S 16
#define DOOR_WASTE 512 /* messages of no use, likewise */
#define DOOR_WASTE_PER_S 64
#define DOOR_HOLD_MAX_MS 10000 /* the longest time that a connection is held back for them */
#define DOOR_STRANGER_MS 5000  /* how long a key that is not named is put off */
#define DOOR_NAMED_MS 600000   /* how long a name holds */
#define DOOR_KEYS_MAX 65536    /* that are remembered */

struct door;
struct door_key;

int door_new(struct door **ret);
void door_free(struct door *d);

/* A handshake. known: the key may come in any case. */
enum zap_answer door_knock(struct door *d, const char *curve, bool known, uint64_t now);
/* The coordinator names a key that will come. -ENOMEM. */
int door_name(
	struct door *d, const char *curve, enum role role, const char *namespace, uint64_t now);
/* Whether it was named, less than DOOR_NAMED_MS ago. */
bool door_is_named(struct door *d, const char *curve, uint64_t now);
/* Whether the coordinator has seen nothing good of that key lately, as it said last; it says so
 * before each of its jobs. Nothing for a key without a name. */
void door_set_on_trial(struct door *d, const char *curve, bool on_trial);
bool door_is_on_trial(struct door *d, const char *curve);
/* Likewise: what is made for it may go into the shared cache (worker.proto, WorkerExpect). */
void door_set_shares(struct door *d, const char *curve, bool shares);
bool door_shares(struct door *d, const char *curve);
/* Its role as it was named; ROLE_NONE. */
enum role door_role(struct door *d, const char *curve);
const char *door_namespace(struct door *d, const char *curve);

/* A connection of that key (a Z85 key; "" over ipc, which is not counted) begins; false: it is one
 * too many. Each is ended by door_leave, also one too many. */
bool door_enter(struct door *d, const char *curve, uint64_t now);
void door_leave(struct door *d, const char *curve);
/* A request that costs more than it looks. False: too many. */
bool door_take_request(struct door *d, const char *curve, uint64_t now);
/* A message that was of no use: it came too often, or where it means nothing. Returns for how many
 * ms nothing more should be read of the connection that it came on (monitor_hold): as long as the
 * key has said more of these than it may; 0: it goes on. */
unsigned door_waste(struct door *d, const char *curve, uint64_t now);
/* What was sent to that key, and not read, as far as its caller knows: a worker counts chunks that
 * were not acknowledged, a coordinator bytes. By how much it changes; the sum. */
unsigned door_unread(struct door *d, const char *curve, int change);

#endif
