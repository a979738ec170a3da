/* One connection with the coordinator for many jobs (farm.h), each in a thread of its own. Where
 * the configuration names several it is with the first that answers; if that goes, what waits is
 * asked for at the next one, and it comes back to the first when that has answered for a while.
 *
 *   a unit's thread                     the thread that calls hub_step
 *     hub_sit ──▶ a seat
 *     send ────────── outbox ─────────▶   the socket
 *     receive ◀────── the seat's mail ──  messages, by the job that they name
 *     event ◀──────── its events ───────  connected, refused, lost: to all seats
 *
 * libzmq's sockets belong to one thread, which waits for them; so nobody else touches them. */
#ifndef DRAY_CLIENT_DISPATCH_HUB_H
#define DRAY_CLIENT_DISPATCH_HUB_H

#include "common/conf/conf.h"
#include "common/conf/coordinators.h"
#include "store/tier/tier.h"
#include "keys/identity.h"
#include "proto/socket.h"
#include "proto/wire.h"

#define HUB_ITEMS (3 + 2 * COORDINATORS_MAX)
#define HUB_STEADY_MS 10000 /* how long one has to answer before it is preferred again */

struct hub;
struct farm;
struct store;
struct store_in;

/* Begins to connect. 0; -errno with a sentence in *ret_why (caller frees). */
int hub_open(void *zctx, const struct conf *conf, struct hub **ret, char **ret_why);
void hub_closep(struct hub **h); /* when nobody sits there any more */

/* For the poll loop: fills items (HUB_ITEMS); does all that is due. */
size_t hub_items(const struct hub *h, zmq_pollitem_t *items);
void hub_step(struct hub *h);
/* For how many ms there is nothing to do but what the items tell. now in ms. */
uint64_t hub_wait(const struct hub *h, uint64_t now);
/* Since when there has been no connection, in ms of the monotonic clock; 0: there is one. */
uint64_t hub_away_since(const struct hub *h);
/* Whether a job that comes now should sit down here: there is a connection, or one may stand soon.
 * libzmq tries in ever longer intervals, and one that begins now may be quicker. now in ms. */
bool hub_serves(const struct hub *h, uint64_t now);
/* For tests: another time than HUB_STEADY_MS. */
void hub_set_steady(struct hub *h, uint64_t ms);
/* The configuration names several coordinators. */
bool hub_has_several(const struct hub *h);
/* No coordinator knows this client's key, or is the one: no unit gets through. */
bool hub_is_refused(const struct hub *h);

/* One more job on the connection: farm_close leaves it. 0 or -errno. */
int hub_sit(struct hub *h, const struct conf *conf, struct farm **ret);

/* Called in hub_step for each word of the coordinator on whom it vouches for. */
typedef void (*hub_producers_fn)(void *arg, const Dray__Producers *m);
void hub_on_producers(struct hub *h, hub_producers_fn fn, void *arg);

/* Whether it may still be the first word on that: it is being connected to, or was asked. */
bool hub_will_vouch(struct hub *h);

/* Whether the coordinator takes refills (proto/client.proto) on this connection. */
bool hub_takes_refills(struct hub *h);

/* The coordinator's shared cache as a store (tier.h), for one thread; it is closed before the hub.
 * Whether there is a connection, and such a cache, may change at any time. read_only: as of
 * tier_open. 0 or -errno. */
int hub_share(struct hub *h, bool read_only, const struct store_in *in, struct store **ret);
/* What can be asked for there now. */
enum tier_state hub_share_state(struct hub *h);
/* From now on, whatever is asked for: nothing; hub_step is called no more. */
void hub_end_shares(struct hub *h);

#endif
