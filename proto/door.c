/* Keys at the door. Invariant: a key is remembered while it has a connection or unread content; of
 * the others the longest unused go first when there are too many. */
#include "config.h"

#include "proto/door.h"

#include <errno.h>
#include <sys/queue.h>

#include "common/table.h"

/* Full at first; one more every 1000 / rate ms. */
struct bucket {
	uint64_t at_ms;
	double left;
};

struct door_key {
	struct table_node node;
	TAILQ_ENTRY(door_key) link; /* by use, while nothing is open */
	bool listed;
	char curve[CURVE_KEY_SIZE];
	unsigned connections, unread;
	struct bucket handshakes, requests;
	struct bucket
		useful; /* what is left of the messages that may be of no use; below 0: a debt */
	uint64_t stranger_ms, seen_ms; /* first and last seen without a name; 0: never */
	uint64_t named_ms;	       /* named last; 0: never */
	enum role role;
	bool on_trial, shares;
	char namespace[65];
};

struct door {
	struct table keys;
	TAILQ_HEAD(, door_key) unused;
	uint8_t hash_key[TABLE_KEY_SIZE];
};

int
door_new(struct door **ret)
{
	struct door *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	TAILQ_INIT(&d->unused);
	table_key(d->hash_key);
	if (table_init(&d->keys) < 0) {
		free(d);
		return -ENOMEM;
	}
	*ret = d;
	return 0;
}

void
door_free(struct door *d)
{
	struct table_node *node, *next;

	if (!d)
		return;
	for (node = table_walk(&d->keys, NULL); node; node = next) {
		next = table_walk(&d->keys, node);
		free(table_entry(node, struct door_key, node));
	}
	table_done(&d->keys);
	free(d);
}

static uint64_t
hash(const struct door *d, const char *curve)
{
	return table_hash(d->hash_key, curve, strlen(curve));
}

static struct door_key *
find(struct door *d, const char *curve)
{
	struct table_node *node = table_find(&d->keys, hash(d, curve));

	for (; node; node = table_find_next(node))
		if (streq(table_entry(node, struct door_key, node)->curve, curve))
			return table_entry(node, struct door_key, node);
	return NULL;
}

static void
forget(struct door *d, struct door_key *k)
{
	TAILQ_REMOVE(&d->unused, k, link);
	table_del(&d->keys, &k->node);
	free(k);
}

/* Puts it where it belongs after a change. */
static void
touch(struct door *d, struct door_key *k)
{
	if (k->listed)
		TAILQ_REMOVE(&d->unused, k, link);
	k->listed = k->connections == 0 && k->unread == 0;
	if (k->listed)
		TAILQ_INSERT_TAIL(&d->unused, k, link);
}

static struct door_key *
get(struct door *d, const char *curve)
{
	struct door_key *k = find(d, curve);

	if (!k && strlen(curve) < sizeof(k->curve)) {
		if (d->keys.n >= DOOR_KEYS_MAX && !TAILQ_EMPTY(&d->unused))
			forget(d, TAILQ_FIRST(&d->unused));
		k = d->keys.n < DOOR_KEYS_MAX ? calloc(1, sizeof(*k)) : NULL;
		if (!k)
			return NULL;
		memcpy(k->curve, curve, strlen(curve) + 1);
		k->handshakes.left = DOOR_HANDSHAKES;
		k->requests.left = DOOR_REQUESTS;
		k->useful.left = DOOR_WASTE;
		table_put(&d->keys, &k->node, hash(d, curve));
	}
	if (k)
		touch(d, k);
	return k;
}

static void
fill(struct bucket *b, double most, double per_s, uint64_t now)
{
	if (b->at_ms && now > b->at_ms)
		b->left = MIN2(most, b->left + (double)(now - b->at_ms) * per_s / 1000);
	b->at_ms = now;
}

static bool
take(struct bucket *b, double most, double per_s, uint64_t now)
{
	fill(b, most, per_s, now);
	if (b->left < 1)
		return false;
	b->left--;
	return true;
}

static bool
is_named(const struct door_key *k, uint64_t now)
{
	return k->named_ms && now - k->named_ms < DOOR_NAMED_MS;
}

enum zap_answer
door_knock(struct door *d, const char *curve, bool known, uint64_t now)
{
	struct door_key *k = get(d, curve);

	if (!k)
		return ZAP_LATER;
	if (!take(&k->handshakes, DOOR_HANDSHAKES, DOOR_HANDSHAKES_PER_S, now))
		return ZAP_LATER;
	if (known || is_named(k, now))
		return k->connections < DOOR_CONNECTIONS_MAX ? ZAP_YES : ZAP_LATER;
	/* One that was away for a while comes for a job of its own, and has the same patience. */
	if (!k->stranger_ms || now - k->seen_ms >= 2 * DOOR_STRANGER_MS)
		k->stranger_ms = now;
	k->seen_ms = now;
	return now - k->stranger_ms < DOOR_STRANGER_MS ? ZAP_WAIT : ZAP_NO;
}

int
door_name(struct door *d, const char *curve, enum role role, const char *namespace, uint64_t now)
{
	struct door_key *k = get(d, curve);

	if (!k || strlen(namespace) >= sizeof(k->namespace))
		return -ENOMEM;
	k->named_ms = now;
	k->stranger_ms = 0;
	k->role = role;
	memcpy(k->namespace, namespace, strlen(namespace) + 1);
	return 0;
}

bool
door_is_named(struct door *d, const char *curve, uint64_t now)
{
	const struct door_key *k = find(d, curve);

	return k && is_named(k, now);
}

void
door_set_on_trial(struct door *d, const char *curve, bool on_trial)
{
	struct door_key *k = find(d, curve);

	if (k)
		k->on_trial = on_trial;
}

bool
door_is_on_trial(struct door *d, const char *curve)
{
	const struct door_key *k = find(d, curve);

	return k && k->on_trial;
}

void
door_set_shares(struct door *d, const char *curve, bool shares)
{
	struct door_key *k = find(d, curve);

	if (k)
		k->shares = shares;
}

bool
door_shares(struct door *d, const char *curve)
{
	const struct door_key *k = find(d, curve);

	return k && k->shares;
}

enum role
door_role(struct door *d, const char *curve)
{
	const struct door_key *k = find(d, curve);

	return k ? k->role : ROLE_NONE;
}

const char *
door_namespace(struct door *d, const char *curve)
{
	const struct door_key *k = find(d, curve);

	return k ? k->namespace : "";
}

bool
door_enter(struct door *d, const char *curve, uint64_t now)
{
	struct door_key *k = *curve ? get(d, curve) : NULL;

	if (!*curve)
		return true;
	if (!k)
		return false;
	k->connections++;
	touch(d, k);
	return k->connections <= DOOR_CONNECTIONS_MAX;
}

void
door_leave(struct door *d, const char *curve)
{
	struct door_key *k = *curve ? find(d, curve) : NULL;

	if (!k || k->connections == 0)
		return;
	k->connections--;
	touch(d, k);
}

bool
door_take_request(struct door *d, const char *curve, uint64_t now)
{
	struct door_key *k = *curve ? get(d, curve) : NULL;

	return !*curve || (k && take(&k->requests, DOOR_REQUESTS, DOOR_REQUESTS_PER_S, now));
}

unsigned
door_waste(struct door *d, const char *curve, uint64_t now)
{
	struct door_key *k = *curve ? get(d, curve) : NULL;

	if (!k)
		return 0;
	fill(&k->useful, DOOR_WASTE, DOOR_WASTE_PER_S, now);
	k->useful.left = MAX2(
		k->useful.left - 1, -(double)DOOR_HOLD_MAX_MS / 1000 * DOOR_WASTE_PER_S);
	return k->useful.left >= 0 ? 0 : (unsigned)(-k->useful.left * 1000 / DOOR_WASTE_PER_S);
}

unsigned
door_unread(struct door *d, const char *curve, int change)
{
	struct door_key *k = *curve ? get(d, curve) : NULL;

	if (!k)
		return 0;
	if (change < 0)
		k->unread -= MIN2(k->unread, (unsigned)-change);
	else
		k->unread += (unsigned)change;
	touch(d, k);
	return k->unread;
}
