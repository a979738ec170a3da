/* The hash table. Invariant: cap is a power of two, and each element is in the chain of hash & (cap
 * - 1). */
#include "config.h"

#include <errno.h>
#include <sys/auxv.h>
#include <sys/random.h>

#include "common/table.h"

#define FIRST_CAP 64

static uint64_t
rotl(uint64_t x, unsigned b)
{
	return x << b | x >> (64 - b);
}

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

void
table_key(uint8_t ret[TABLE_KEY_SIZE])
{
	/* 16 bytes, of every process (getauxval(3)) */
	unsigned long given = getauxval(AT_RANDOM);

	if (getrandom(ret, TABLE_KEY_SIZE, 0) == TABLE_KEY_SIZE)
		return;
	if (given != 0)
		memcpy(ret, (const void *)given, TABLE_KEY_SIZE);
	else
		memset(ret, 0, TABLE_KEY_SIZE);
}

/* SipHash-1-3 (Aumasson, Bernstein). The words are read in host order: hashes stay in this process.
 */
uint64_t
table_hash(const uint8_t key[TABLE_KEY_SIZE], const void *p, size_t n)
{
	const uint8_t *s = p;
	uint64_t k[2], m, last = (uint64_t)n << 56;
	uint64_t v[4];
	size_t i;

	memcpy(k, key, sizeof(k));
	v[0] = k[0] ^ 0x736f6d6570736575u;
	v[1] = k[1] ^ 0x646f72616e646f6du;
	v[2] = k[0] ^ 0x6c7967656e657261u;
	v[3] = k[1] ^ 0x7465646279746573u;
	for (i = 0; i + 8 <= n; i += 8) {
		memcpy(&m, s + i, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	for (unsigned shift = 0; i < n; i++, shift += 8)
		last |= (uint64_t)s[i] << shift;
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
text_hash(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return h;
}

int
table_init(struct table *t)
{
	t->bucket = calloc(FIRST_CAP, sizeof(*t->bucket));
	if (!t->bucket)
		return -ENOMEM;
	t->cap = FIRST_CAP;
	t->n = 0;
	return 0;
}

void
table_done(struct table *t)
{
	free(t->bucket);
	t->bucket = NULL;
	t->cap = t->n = 0;
}

static void
grow(struct table *t)
{
	size_t cap = t->cap * 2;
	struct table_node **bucket = calloc(cap, sizeof(*bucket));

	if (!bucket)
		return;
	for (size_t i = 0; i < t->cap; i++) {
		struct table_node *node = t->bucket[i], *next;

		for (; node; node = next) {
			next = node->next;
			node->next = bucket[node->hash & (cap - 1)];
			bucket[node->hash & (cap - 1)] = node;
		}
	}
	free(t->bucket);
	t->bucket = bucket;
	t->cap = cap;
}

void
table_put(struct table *t, struct table_node *node, uint64_t hash)
{
	struct table_node **head;

	if (t->n >= t->cap)
		grow(t);
	head = &t->bucket[hash & (t->cap - 1)];
	node->hash = hash;
	node->next = *head;
	*head = node;
	t->n++;
}

void
table_del(struct table *t, struct table_node *node)
{
	struct table_node **at = &t->bucket[node->hash & (t->cap - 1)];

	while (*at && *at != node)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = node->next;
	node->next = NULL;
	t->n--;
}

struct table_node *
table_find(const struct table *t, uint64_t hash)
{
	struct table_node *node = t->cap ? t->bucket[hash & (t->cap - 1)] : NULL;

	while (node && node->hash != hash)
		node = node->next;
	return node;
}

struct table_node *
table_find_next(const struct table_node *node)
{
	struct table_node *next = node->next;

	while (next && next->hash != node->hash)
		next = next->next;
	return next;
}

struct table_node *
table_walk(const struct table *t, const struct table_node *prev)
{
	size_t i = 0;

	if (prev) {
		if (prev->next)
			return prev->next;
		i = (prev->hash & (t->cap - 1)) + 1;
	}
	for (; i < t->cap; i++)
		if (t->bucket[i])
			return t->bucket[i];
	return NULL;
}
