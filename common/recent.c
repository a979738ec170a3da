/* Two tables: the new one takes what is added and what is asked for; when it is full it becomes the
 * old one, and what was in that is forgotten. They grow as they fill. Invariant: a pair that is
 * found was added: its mark is the better part of a digest over both, which nobody can aim at. */
#include "config.h"

#include "common/recent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 64
#define FIRST 1024
#define MARK 2 /* numbers of a mark, before its values */

struct half {
	uint64_t *v; /* `size` of MARK + values numbers; a mark of zeros: none */
	size_t size, n;
};

struct recent {
	size_t most;
	unsigned width;
	struct half fresh, old;
};

int
recent_new(size_t most, unsigned n_values, struct recent **ret)
{
	struct recent *r;

	if (n_values > RECENT_VALUES_MAX)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->most = MAX2(most, (size_t)1);
	r->width = MARK + n_values;
	*ret = r;
	return 0;
}

void
recent_freep(struct recent **r)
{
	if (*r) {
		free((*r)->fresh.v);
		free((*r)->old.v);
	}
	free(*r);
	*r = NULL;
}

static int
mark_of(const char *name, const struct digest *blob, uint64_t ret[MARK])
{
	uint8_t text[DIGEST_SIZE + NAME_MAX_BYTES];
	size_t n = strnlen(name, NAME_MAX_BYTES);
	struct digest d;
	int r;

	memcpy(text, blob->b, DIGEST_SIZE);
	memcpy(text + DIGEST_SIZE, name, n);
	r = digest_bytes(text, DIGEST_SIZE + n, &d);
	if (r < 0)
		return r;
	memcpy(ret, d.b, MARK * sizeof(*ret));
	ret[0] |= 1;
	return 0;
}

/* Its place, or the first one that is free. Never is a table more than half full. */
static uint64_t *
place(const struct recent *r, const struct half *h, const uint64_t mark[MARK])
{
	size_t i = mark[1] % h->size;

	for (;; i = (i + 1) % h->size) {
		uint64_t *at = h->v + i * r->width;

		if (!at[0] || (at[0] == mark[0] && at[1] == mark[1]))
			return at;
	}
}

static int
grow(struct recent *r)
{
	size_t size = MIN2(r->fresh.size ? 2 * r->fresh.size : FIRST, 2 * r->most);
	struct half h = { calloc(size * r->width, sizeof(uint64_t)), size, r->fresh.n };

	if (!h.v)
		return -ENOMEM;
	for (size_t i = 0; i < r->fresh.size; i++) {
		uint64_t *from = r->fresh.v + i * r->width;

		if (from[0])
			memcpy(place(r, &h, from), from, r->width * sizeof(uint64_t));
	}
	free(r->fresh.v);
	r->fresh = h;
	return 0;
}

/* Before one more. */
static int
make_room(struct recent *r)
{
	struct half h = r->fresh;

	if (r->fresh.n < r->fresh.size / 2)
		return 0;
	if (r->fresh.size < 2 * r->most)
		return grow(r);
	/* of one size, as it is full */
	r->fresh = r->old.size == h.size ? r->old : (struct half){ NULL, 0, 0 };
	r->old = h;
	r->fresh.n = 0;
	if (!r->fresh.v)
		return grow(r);
	memset(r->fresh.v, 0, r->fresh.size * r->width * sizeof(uint64_t));
	return 0;
}

static uint64_t *
find(struct recent *r, const uint64_t mark[MARK])
{
	uint64_t *at = r->fresh.size ? place(r, &r->fresh, mark) : NULL, old[RECENT_VALUES_MAX];

	if (at && at[0])
		return at + MARK;
	at = r->old.size ? place(r, &r->old, mark) : NULL;
	if (!at || !at[0])
		return NULL;
	/* the old table may become the new one by this */
	memcpy(old, at + MARK, (r->width - MARK) * sizeof(uint64_t));
	if (make_room(r) < 0)
		return at + MARK;
	at = place(r, &r->fresh, mark);
	memcpy(at, mark, MARK * sizeof(uint64_t));
	memcpy(at + MARK, old, (r->width - MARK) * sizeof(uint64_t));
	r->fresh.n++;
	return at + MARK;
}

uint64_t *
recent_find(struct recent *r, const char *name, const struct digest *digest)
{
	uint64_t mark[MARK];

	return mark_of(name, digest, mark) < 0 ? NULL : find(r, mark);
}

uint64_t *
recent_add(struct recent *r, const char *name, const struct digest *digest)
{
	uint64_t mark[MARK], *at;

	if (mark_of(name, digest, mark) < 0)
		return NULL;
	at = find(r, mark);
	if (at)
		return at;
	if (make_room(r) < 0)
		return NULL;
	at = place(r, &r->fresh, mark);
	memcpy(at, mark, sizeof(mark));
	r->fresh.n++;
	return at + MARK;
}
