/* Invariant: the depot is open with the memo that is current, and used by who holds the lock. */
#include "config.h"

#include "client/far/keep.h"

#include <errno.h>

#define TRIM_FILES 4096 /* depot_trim has a limit of time, too */

struct keep {
	const struct conf *conf;
	struct memo_stay *memos;
	pthread_mutex_t lock; /* of all below */
	struct depot *depot;  /* NULL: to be opened */
	struct memo_stay_one *memo;
};

static void
close_depot(struct keep *k)
{
	depot_closep(&k->depot);
	memo_stay_put(k->memos, steal_ptr(k->memo));
}

static int
open_depot(struct keep *k)
{
	struct depot_in in = { .dir = k->conf->client.store_dir,
		.max = k->conf->client.cache_max,
		.group = k->conf->client.cache_group };
	int r;

	if (k->depot && memo_stay_is_current(k->memos, k->memo))
		return 0;
	close_depot(k);
	k->memo = memo_stay_get(k->memos);
	in.memo = memo_stay_memo(k->memo);
	r = depot_open(&in, &k->depot);
	if (r < 0)
		close_depot(k);
	return r;
}

int
keep_open(const struct conf *conf, struct memo_stay *memo, struct keep **ret)
{
	struct keep *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->conf = conf;
	k->memos = memo;
	pthread_mutex_init(&k->lock, NULL);
	*ret = k;
	return 0;
}

void
keep_closep(struct keep **ret)
{
	struct keep *k = *ret;

	*ret = NULL;
	if (!k)
		return;
	close_depot(k);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

/* 0 with the lock, or -errno without. */
static int
take(struct keep *k)
{
	int r;

	pthread_mutex_lock(&k->lock);
	r = open_depot(k);
	if (r < 0)
		pthread_mutex_unlock(&k->lock);
	return r;
}

bool
keep_has(struct keep *k, const struct digest *digest, uint64_t size)
{
	bool has;

	if (take(k) < 0)
		return false;
	has = depot_has(k->depot, digest, size);
	pthread_mutex_unlock(&k->lock);
	return has;
}

int
keep_take(struct keep *k, int fd, const struct digest *digest, uint64_t size)
{
	int r = take(k);

	if (r < 0)
		return r;
	r = depot_take_checked(k->depot, fd, digest, size);
	pthread_mutex_unlock(&k->lock);
	return r;
}

int
keep_open_blob(struct keep *k, const struct digest *digest, uint64_t size)
{
	int r = take(k);

	if (r < 0)
		return r;
	r = depot_open_blob(k->depot, digest, size);
	pthread_mutex_unlock(&k->lock);
	return r;
}

int
keep_read_entry(struct keep *k, const struct digest *key, struct buf *ret)
{
	int r = take(k);

	if (r < 0)
		return r;
	r = depot_read_entry(k->depot, key, ret);
	pthread_mutex_unlock(&k->lock);
	return r;
}

void
keep_flush(struct keep *k)
{
	pthread_mutex_lock(&k->lock);
	if (k->depot)
		memo_flush(memo_stay_memo(k->memo));
	pthread_mutex_unlock(&k->lock);
}

void
keep_trim(struct keep *k)
{
	if (take(k) < 0)
		return;
	depot_trim(k->depot, TRIM_FILES);
	pthread_mutex_unlock(&k->lock);
}
