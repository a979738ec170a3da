/* Two tables of fixed size: the new one takes what is added and what is asked for; when it is full
 * it becomes the old one, and what was in that is forgotten. Invariant: a pair that is found was
 * added: its mark is the better part of a digest over both, which nobody can aim at. */
#include "config.h"

#include "worker/job/owners.h"

#include <errno.h>
#include <pthread.h>

#define KEY_MAX 64 /* in Z85 it has 40 characters */

struct mark {
	uint64_t a, b; /* both 0: none */
};

struct owners {
	pthread_mutex_t lock;
	size_t size, n; /* of each table; in the new one */
	struct mark *fresh, *old;
};

int
owners_new(size_t most, struct owners **ret)
{
	_cleanup_(owners_freep) struct owners *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	pthread_mutex_init(&o->lock, NULL);
	o->size = 2 * MAX2(most, (size_t)1);
	o->fresh = calloc(o->size, sizeof(*o->fresh));
	o->old = calloc(o->size, sizeof(*o->old));
	if (!o->fresh || !o->old)
		return -ENOMEM;
	*ret = steal_ptr(o);
	return 0;
}

void
owners_freep(struct owners **o)
{
	if (*o) {
		pthread_mutex_destroy(&(*o)->lock);
		free((*o)->fresh);
		free((*o)->old);
	}
	free(*o);
	*o = NULL;
}

static int
mark_of(const char *client, const struct digest *blob, struct mark *ret)
{
	uint8_t text[DIGEST_SIZE + 1 + KEY_MAX];
	size_t n = client ? strnlen(client, KEY_MAX) : 0;
	struct digest d;
	int r;

	memcpy(text, blob->b, DIGEST_SIZE);
	text[DIGEST_SIZE] = client ? '=' : '*';
	memcpy(text + DIGEST_SIZE + 1, client ? client : "", n);
	r = digest_bytes(text, DIGEST_SIZE + 1 + n, &d);
	if (r < 0)
		return r;
	memcpy(ret, d.b, sizeof(*ret));
	ret->a |= 1;
	return 0;
}

/* Its place, or the first one that is free. Never is a table more than half full. */
static struct mark *
place(struct mark *v, size_t size, const struct mark *m)
{
	size_t i = m->b % size;

	while (v[i].a && (v[i].a != m->a || v[i].b != m->b))
		i = (i + 1) % size;
	return &v[i];
}

static void
add(struct owners *o, const struct mark *m)
{
	struct mark *at = place(o->fresh, o->size, m);

	if (at->a)
		return;
	*at = *m;
	if (++o->n < o->size / 2)
		return;
	at = o->old;
	o->old = o->fresh;
	o->fresh = at;
	o->n = 0;
	memset(o->fresh, 0, o->size * sizeof(*o->fresh));
}

void
owners_add(struct owners *o, const char *client, const struct digest *blob)
{
	struct mark m;

	if (mark_of(client, blob, &m) < 0)
		return;
	pthread_mutex_lock(&o->lock);
	add(o, &m);
	pthread_mutex_unlock(&o->lock);
}

static bool
has(struct owners *o, const char *client, const struct digest *blob)
{
	struct mark m;
	bool found;

	if (mark_of(client, blob, &m) < 0)
		return false;
	pthread_mutex_lock(&o->lock);
	found = place(o->fresh, o->size, &m)->a != 0;
	if (!found && place(o->old, o->size, &m)->a) {
		found = true;
		add(o, &m);
	}
	pthread_mutex_unlock(&o->lock);
	return found;
}

bool
owners_has(struct owners *o, const char *client, const struct digest *blob)
{
	return has(o, client, blob) || has(o, NULL, blob);
}
