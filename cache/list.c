#include "config.h"

#include "cache/list.h"

#include <errno.h>

#define MAGIC "draylst1"
#define MAGIC_SIZE 8

void
list_done(struct list *l)
{
	free(l->v);
	*l = (struct list){ NULL, 0 };
}

bool
list_has(const struct list *l, const struct digest *key)
{
	for (size_t i = 0; i < l->n; i++)
		if (digest_eq(&l->v[i], key))
			return true;
	return false;
}

int
list_add(struct list *l, const struct digest *key)
{
	struct digest *v;

	if (l->n >= LIST_MAX || list_has(l, key))
		return 0;
	/* room for twice as many, whenever there are a power of two */
	if (l->n == 0 || (l->n & (l->n - 1)) == 0) {
		v = reallocarray(l->v, 2 * (l->n + 1), sizeof(*v));
		if (!v)
			return -ENOMEM;
		l->v = v;
	}
	l->v[l->n++] = *key;
	return 0;
}

bool
list_is(const void *p, size_t n)
{
	return n >= MAGIC_SIZE && memcmp(p, MAGIC, MAGIC_SIZE) == 0;
}

int
list_decode(const void *p, size_t n, struct list *ret)
{
	const uint8_t *b = p;
	int r = 0;

	if (n < MAGIC_SIZE || n > LIST_BYTES_MAX || memcmp(b, MAGIC, MAGIC_SIZE) != 0 ||
		(n - MAGIC_SIZE) % DIGEST_SIZE)
		return -EBADMSG;
	for (size_t at = MAGIC_SIZE; r == 0 && at < n; at += DIGEST_SIZE) {
		struct digest d;

		memcpy(d.b, b + at, DIGEST_SIZE);
		r = list_add(ret, &d);
	}
	if (r < 0)
		list_done(ret);
	return r;
}

int
list_encode(const struct list *l, struct buf *ret)
{
	int r = buf_add(ret, MAGIC, MAGIC_SIZE);

	for (size_t i = 0; r == 0 && i < l->n; i++)
		r = buf_add(ret, l->v[i].b, DIGEST_SIZE);
	return r;
}

bool
list_merge(const struct list *before, const struct list *asked, struct list *ret)
{
	const struct list *parts[] = { before, asked };
	bool whole = 2 * asked->n >= before->n;
	int r = 0;

	for (size_t k = whole; r == 0 && k < ARRAY_LEN(parts); k++)
		for (size_t i = 0; r == 0 && i < parts[k]->n; i++)
			r = list_add(ret, &parts[k]->v[i]);
	/* the order is a matter of chance: it is the same list */
	for (size_t i = 0; i < ret->n && r == 0; i++)
		if (!list_has(before, &ret->v[i]))
			return true;
	return r == 0 && ret->n != before->n;
}
