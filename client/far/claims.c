/* Invariant: a blob is in the table once, from the claims_begin that was true to its claims_end. */
#include "config.h"

#include "client/far/claims.h"

#include <pthread.h>

struct claims {
	pthread_mutex_t lock; /* of all below */
	struct digest *blobs;
	size_t n, cap;
	struct mailbox **waiting; /* each once */
	size_t n_waiting, cap_waiting;
};

struct claims *
claims_new(void)
{
	struct claims *c = calloc(1, sizeof(*c));

	if (c)
		pthread_mutex_init(&c->lock, NULL);
	return c;
}

void
claims_free(struct claims *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c->blobs);
	free(c->waiting);
	free(c);
}

/* Room for one more of a list. */
static bool
grow(void **list, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? 2 * *cap : 64;
	void *v;

	if (n < *cap)
		return true;
	v = reallocarray(*list, more, size);
	if (!v)
		return false;
	*list = v;
	*cap = more;
	return true;
}

static size_t
find(const struct claims *c, const struct digest *blob)
{
	size_t i = 0;

	while (i < c->n && !digest_eq(&c->blobs[i], blob))
		i++;
	return i;
}

static void
add_waiting(struct claims *c, struct mailbox *box)
{
	for (size_t i = 0; i < c->n_waiting; i++)
		if (c->waiting[i] == box)
			return;
	if (grow((void **)&c->waiting, c->n_waiting, &c->cap_waiting, sizeof(*c->waiting)))
		c->waiting[c->n_waiting++] = box;
}

bool
claims_begin(struct claims *c, const struct digest *blob, struct mailbox *box)
{
	bool mine = false;

	pthread_mutex_lock(&c->lock);
	if (find(c, blob) < c->n) {
		add_waiting(c, box);
	} else if (grow((void **)&c->blobs, c->n, &c->cap, sizeof(*c->blobs))) {
		c->blobs[c->n++] = *blob;
		mine = true;
	}
	pthread_mutex_unlock(&c->lock);
	return mine;
}

void
claims_end(struct claims *c, const struct digest *blob)
{
	size_t i;

	pthread_mutex_lock(&c->lock);
	i = find(c, blob);
	if (i < c->n)
		c->blobs[i] = c->blobs[--c->n];
	for (size_t k = 0; k < c->n_waiting; k++)
		mailbox_poke(c->waiting[k]);
	pthread_mutex_unlock(&c->lock);
}

void
claims_leave(struct claims *c, struct mailbox *box)
{
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->n_waiting; i++)
		if (c->waiting[i] == box) {
			c->waiting[i] = c->waiting[--c->n_waiting];
			break;
		}
	pthread_mutex_unlock(&c->lock);
}
