/* Invariant: each chunk is in the table and in the list, and `bytes` is the sum of their sizes and
 * costs. libzmq counts who has a message's content (zmq_msg_copy), so evicting one that is on its
 * way gives back its memory when it has left. */
#include "config.h"

#include "coordinator/cache/hot.h"

#include <errno.h>
#include <sys/queue.h>

#include "common/table.h"

#define COST 256   /* of a chunk, beside its bytes */
#define SEEN 4096u /* chunks that were read lately, by a part of their hash */

struct chunk {
	struct table_node node;
	TAILQ_ENTRY(chunk) link;
	struct digest name;
	uint64_t offset;
	bool compress, zstd;
	zmq_msg_t msg;
};

struct hot {
	struct table chunks;
	TAILQ_HEAD(used_head, chunk) used; /* the latest first */
	size_t bytes, max;
	uint8_t hash_key[TABLE_KEY_SIZE];
	uint32_t seen[SEEN];
};

int
hot_new(size_t max, struct hot **ret)
{
	struct hot *h = calloc(1, sizeof(*h));

	if (!h || table_init(&h->chunks) < 0) {
		free(h);
		return -ENOMEM;
	}
	TAILQ_INIT(&h->used);
	h->max = max;
	table_key(h->hash_key);
	*ret = h;
	return 0;
}

static void
drop(struct hot *h, struct chunk *c)
{
	h->bytes -= zmq_msg_size(&c->msg) + COST;
	TAILQ_REMOVE(&h->used, c, link);
	table_del(&h->chunks, &c->node);
	zmq_msg_close(&c->msg);
	free(c);
}

void
hot_free(struct hot *h)
{
	struct chunk *c;

	if (!h)
		return;
	while ((c = TAILQ_FIRST(&h->used)) != NULL)
		drop(h, c);
	table_done(&h->chunks);
	free(h);
}

static uint64_t
hash_of(const struct hot *h, const struct hot_place *at)
{
	uint8_t p[DIGEST_SIZE + sizeof(at->offset) + 1];

	memcpy(p, at->name->b, DIGEST_SIZE);
	memcpy(p + DIGEST_SIZE, &at->offset, sizeof(at->offset));
	p[sizeof(p) - 1] = at->compress;
	return table_hash(h->hash_key, p, sizeof(p));
}

static struct chunk *
find(const struct hot *h, const struct hot_place *at, uint64_t hash)
{
	struct table_node *node = table_find(&h->chunks, hash);

	for (; node; node = table_find_next(node)) {
		struct chunk *c = table_entry(node, struct chunk, node);

		if (c->offset == at->offset && c->compress == at->compress &&
			digest_eq(&c->name, at->name))
			return c;
	}
	return NULL;
}

bool
hot_has(const struct hot *h, const struct hot_place *at)
{
	return find(h, at, hash_of(h, at)) != NULL;
}

bool
hot_get(struct hot *h, const struct hot_place *at, zmq_msg_t *ret, bool *ret_zstd)
{
	struct chunk *c = find(h, at, hash_of(h, at));
	zmq_msg_t copy;

	if (!c)
		return false;
	zmq_msg_init(&copy);
	if (zmq_msg_copy(&copy, &c->msg) < 0)
		return false;
	*ret = copy;
	*ret_zstd = c->zstd;
	TAILQ_REMOVE(&h->used, c, link);
	TAILQ_INSERT_HEAD(&h->used, c, link);
	return true;
}

/* Whether it was read lately; from now on it was. Another one may have its place: then this one is
 * kept a time later, or that one a time too early. */
static bool
was_seen(struct hot *h, uint64_t hash)
{
	uint32_t *at = &h->seen[hash % SEEN], mark = (uint32_t)(hash >> 32) | 1;
	bool seen = *at == mark;

	*at = mark;
	return seen;
}

void
hot_put(struct hot *h, const struct hot_place *at, zmq_msg_t *msg, bool zstd)
{
	uint64_t hash = hash_of(h, at);
	size_t bytes = zmq_msg_size(msg) + COST;
	struct chunk *c;

	if (bytes > h->max || find(h, at, hash) || !was_seen(h, hash))
		return;
	c = calloc(1, sizeof(*c));
	if (!c)
		return;
	zmq_msg_init(&c->msg);
	if (zmq_msg_copy(&c->msg, msg) < 0) {
		free(c);
		return;
	}
	c->name = *at->name;
	c->offset = at->offset;
	c->compress = at->compress;
	c->zstd = zstd;
	table_put(&h->chunks, &c->node, hash);
	TAILQ_INSERT_HEAD(&h->used, c, link);
	h->bytes += bytes;
	while (h->bytes > h->max)
		drop(h, TAILQ_LAST(&h->used, used_head));
}

size_t
hot_bytes(const struct hot *h)
{
	return h->bytes;
}
