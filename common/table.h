/* An intrusive hash table: the elements carry their node, so that putting one in cannot fail. Keys
 * that a peer chooses are hashed with a secret (SipHash-1-3), so that nobody makes chains long. */
#ifndef DRAY_COMMON_TABLE_H
#define DRAY_COMMON_TABLE_H

#include "common/base.h"

struct table_node {
	struct table_node *next;
	uint64_t hash;
};

struct table {
	struct table_node **bucket;
	size_t cap; /* a power of two */
	size_t n;
};

#define TABLE_KEY_SIZE 16

#define table_entry(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

/* 0 or -ENOMEM. A table of zeros can be searched and walked before: it is empty. */
int table_init(struct table *t);
void table_done(struct table *t); /* the elements are the caller's */
/* A secret of this process: the kernel's random numbers, or what it gave the process at its start
 * where getrandom is refused. */
void table_key(uint8_t ret[TABLE_KEY_SIZE]);
uint64_t table_hash(const uint8_t key[TABLE_KEY_SIZE], const void *p, size_t n);
/* Without a key, so the same in every process (FNV-1a): for names of files, not for a table. */
uint64_t text_hash(const char *text);
/* Never fails: where memory for more buckets is refused the chains grow instead. */
void table_put(struct table *t, struct table_node *node, uint64_t hash);
void table_del(struct table *t, struct table_node *node);
/* The first element with this hash, and the next one after it; the caller compares the keys. */
struct table_node *table_find(const struct table *t, uint64_t hash);
struct table_node *table_find_next(const struct table_node *node);
/* Walks all elements: NULL begins. One may be removed once the next was taken. */
struct table_node *table_walk(const struct table *t, const struct table_node *prev);

#endif
