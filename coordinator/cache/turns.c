/* Invariant: a key's bytes are the sum of its requests' rings and reservations, and `all` is the
 * sum over the keys. A request is in its key's list when it wants a turn and has credit for it, and
 * a key in the list of those that take turns when it has such a request. */
#include "config.h"

#include "coordinator/cache/turns.h"

#include <errno.h>

TAILQ_HEAD(jobs, turns_job);

struct turns_key {
	struct table_node node; /* its hash is the account */
	TAILQ_ENTRY(turns_key) link;
	bool listed;
	struct jobs ready;
	uint64_t bytes;
	unsigned requests;
};

struct turns {
	struct table keys;
	TAILQ_HEAD(, turns_key) turn;
	uint64_t all;
	bool wanted;
};

int
turns_new(struct turns **ret)
{
	struct turns *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	TAILQ_INIT(&t->turn);
	if (table_init(&t->keys) < 0) {
		free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

void
turns_free(struct turns *t)
{
	struct table_node *node, *next;

	if (!t)
		return;
	for (node = table_walk(&t->keys, NULL); node; node = next) {
		next = table_walk(&t->keys, node);
		free(table_entry(node, struct turns_key, node));
	}
	table_done(&t->keys);
	free(t);
}

static struct turns_key *
key_of(struct turns *t, uint64_t account)
{
	struct table_node *node = table_find(&t->keys, account);
	struct turns_key *k;

	if (node)
		return table_entry(node, struct turns_key, node);
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	TAILQ_INIT(&k->ready);
	table_put(&t->keys, &k->node, account);
	return k;
}

/* Puts a request, and its key, where they belong after a change. */
static void
settle(struct turns *t, struct turns_job *job)
{
	struct turns_key *k = job->key;
	bool ready = job->wants && !job->reading && job->n < job->credit, wants;

	if (ready && !job->ready)
		TAILQ_INSERT_TAIL(&k->ready, job, link);
	else if (!ready && job->ready)
		TAILQ_REMOVE(&k->ready, job, link);
	job->ready = ready;
	wants = !TAILQ_EMPTY(&k->ready);

	if (wants == k->listed)
		return;
	if (wants)
		TAILQ_INSERT_TAIL(&t->turn, k, link);
	else
		TAILQ_REMOVE(&t->turn, k, link);
	k->listed = wants;
}

int
turns_add(struct turns *t, struct turns_job *job, uint64_t account, unsigned credit)
{
	struct turns_key *k = key_of(t, account);

	if (!k)
		return -ENOMEM;
	*job = (struct turns_job){ .key = k, .wants = true };
	job->credit = MIN2(credit, (unsigned)WIRE_SHARED_CREDIT_MAX);
	k->requests++;
	settle(t, job);
	return 0;
}

void
turns_rest(struct turns *t, struct turns_job *job)
{
	if (!job->key)
		return;
	job->wants = false;
	settle(t, job);
}

void
turns_want(struct turns *t, struct turns_job *job)
{
	if (!job->key)
		return;
	job->wants = true;
	settle(t, job);
}

static void
give_back(struct turns *t, struct turns_job *job, uint64_t bytes)
{
	job->key->bytes -= bytes;
	t->all -= bytes;
}

void
turns_remove(struct turns *t, struct turns_job *job)
{
	struct turns_key *k = job->key;

	if (!k)
		return;
	turns_rest(t, job);
	(void)turns_acked(t, job, job->n);
	if (job->reading)
		turns_read(t, job, 0);
	job->key = NULL;
	if (--k->requests > 0)
		return;
	table_del(&t->keys, &k->node);
	free(k);
}

/* Each key may have its part of all; one chunk in any case. */
static uint64_t
part_of(const struct turns *t)
{
	uint64_t part = TURNS_ALL_MAX / MAX2(t->keys.n, (size_t)1);

	return MAX2(MIN2(part, (uint64_t)TURNS_KEY_MAX), (uint64_t)TURNS_CHUNK);
}

struct turns_job *
turns_next(struct turns *t)
{
	uint64_t part = part_of(t);
	struct turns_key *k;

	t->wanted = t->all + TURNS_CHUNK > TURNS_ALL_MAX && !TAILQ_EMPTY(&t->turn);
	if (t->wanted)
		return NULL;
	TAILQ_FOREACH(k, &t->turn, link)
	{
		struct turns_job *job = TAILQ_FIRST(&k->ready);

		if (k->bytes + TURNS_CHUNK > part && k->bytes > 0)
			continue;
		TAILQ_REMOVE(&t->turn, k, link);
		TAILQ_INSERT_TAIL(&t->turn, k, link);
		job->reading = true;
		settle(t, job);
		k->bytes += TURNS_CHUNK;
		t->all += TURNS_CHUNK;
		return job;
	}
	return NULL;
}

void
turns_read(struct turns *t, struct turns_job *job, size_t bytes)
{
	uint32_t size = (uint32_t)MIN2(bytes + 512, (size_t)TURNS_CHUNK);

	job->reading = false;
	give_back(t, job, bytes ? TURNS_CHUNK - size : TURNS_CHUNK);
	if (bytes)
		job->sizes[(job->first + job->n++) % WIRE_SHARED_CREDIT_MAX] = size;
	settle(t, job);
}

int
turns_acked(struct turns *t, struct turns_job *job, unsigned n)
{
	if (n > job->n || !job->key)
		return -EINVAL;
	for (; n > 0; n--) {
		give_back(t, job, job->sizes[job->first]);
		job->first = (job->first + 1) % WIRE_SHARED_CREDIT_MAX;
		job->n--;
	}
	settle(t, job);
	return 0;
}

uint64_t
turns_all(const struct turns *t)
{
	return t->all;
}

uint64_t
turns_of(const struct turns_job *job)
{
	return job->key ? job->key->bytes : 0;
}

bool
turns_wanted(const struct turns *t)
{
	return t->wanted;
}
