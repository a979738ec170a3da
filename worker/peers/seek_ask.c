/* The thread that asks others for blobs. Invariants: a blob is "here" only when it is in the store,
 * where it got by its digest. Connections, and what is asked for on them, are this thread's alone.
 * A seek that its job has left is freed when nothing of it is on its way. */
#include "config.h"

#include "worker/peers/seek_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "discovery/whereabouts.h"
#include "proto/socket.h"
#include "store/disk.h"

#define TICK_MS 20	/* while something is on its way */
#define SOURCES_MAX 256 /* that are remembered */

/* One that is asked. */
struct source {
	LIST_ENTRY(source) link;
	char curve[CURVE_KEY_SIZE];
	char *endpoint;
	bool is_cache;
	struct store *store; /* NULL: there is no connection */
	unsigned open;	     /* of what it was asked for */
	uint64_t deadline;   /* for all of that */
	uint64_t used_ms;
	uint64_t shun_ms, shun_until;
	bool doomed; /* its connection is to be closed */
};

void
seek_free(struct seek *k)
{
	if (!k)
		return;
	if (k->found)
		dray__worker_found__free_unpacked(k->found, NULL);
	closep(&k->fd);
	free(k->items);
	free(k->out);
	free(k);
}

/* ---- sources */

static void
close_store(struct seeker *s, struct source *p)
{
	/* from within another one's work, an idle one may be closed for its place */
	struct source *outer = s->at_work;

	/* answers what is open, which then goes elsewhere */
	if (p->store)
		s->n_stores--;
	s->at_work = p;
	store_closep(&p->store);
	s->at_work = outer;
	p->doomed = false;
}

/* It is not asked for a while. Its connection is closed later: this may be said from within it. */
static void
shun(struct seeker *s, struct source *p, bool lies, const char *why)
{
	if (p->doomed)
		return;
	p->shun_ms = lies	  ? SEEK_SHUN_MAX_MS
		     : p->shun_ms ? MIN2(2 * p->shun_ms, (uint64_t)SEEK_SHUN_MAX_MS)
				  : SEEK_SHUN_MS;
	p->shun_until = clock_mono_ms() + p->shun_ms;
	p->doomed = true;
	log_debug("%s=%s is not asked for blobs for %llu s: %s", p->is_cache ? "cache" : "peer",
		p->endpoint, (unsigned long long)p->shun_ms / 1000, why);
	pthread_mutex_lock(&s->lock);
	s->counts.shunned++;
	pthread_mutex_unlock(&s->lock);
}

static void
source_free(struct seeker *s, struct source *p)
{
	close_store(s, p);
	LIST_REMOVE(p, link);
	s->n_sources--;
	free(p->endpoint);
	free(p);
}

/* One that nothing was asked of lately; NULL: there is none. */
static struct source *
idle_source(const struct seeker *s, bool connected)
{
	struct source *p, *found = NULL;

	LIST_FOREACH(p, &s->sources, link)
	if (p->open == 0 && p != s->at_work && (!connected || p->store) &&
		(!found || p->used_ms < found->used_ms))
		found = p;
	return found;
}

static struct source *
source_of(struct seeker *s, const char *curve, const char *endpoint, bool is_cache)
{
	struct source *p;

	LIST_FOREACH(p, &s->sources, link)
	if (streq(p->curve, curve) && streq(p->endpoint, endpoint) && p->is_cache == is_cache)
		return p;
	p = s->n_sources >= SOURCES_MAX ? idle_source(s, false) : NULL;
	if (p)
		source_free(s, p);
	if (s->n_sources >= SOURCES_MAX || strlen(curve) != CURVE_KEY_SIZE - 1)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (p)
		p->endpoint = strdup(endpoint);
	if (!p || !p->endpoint) {
		free(p);
		return NULL;
	}
	memcpy(p->curve, curve, CURVE_KEY_SIZE);
	p->is_cache = is_cache;
	LIST_INSERT_HEAD(&s->sources, p, link);
	s->n_sources++;
	return p;
}

static int
reach(struct seeker *s, struct source *p)
{
	const struct store_in in = { .tmp = s->c.tmp, .request_ms = s->c.wait_ms };
	const struct tier_dial dial = { .endpoint = p->endpoint,
		.identity = s->c.identity,
		.coordinator = p->curve,
		.role = p->is_cache ? "worker" : "client",
		.connect_ms = s->c.wait_ms,
		.worker = !p->is_cache };
	struct source *idle;
	int r;

	if (p->store)
		return 0;
	if (s->n_stores >= SEEK_CONNECTIONS && (idle = idle_source(s, true)))
		close_store(s, idle);
	if (s->n_stores >= SEEK_CONNECTIONS)
		return -EMFILE;
	r = tier_reach(s->c.ctx, &dial, &in, &p->store);
	if (r < 0)
		return r;
	s->n_stores++;
	tier_compress(p->store, !endpoint_is_this_machine(p->endpoint));
	return 0;
}

/* ---- items */

static void
tell(struct item *i, bool here, uint64_t *count, uint64_t *bytes)
{
	struct seek *k = i->seek;

	pthread_mutex_lock(&k->seeker->lock);
	k->out[k->n_out++] = i->index << 1 | here;
	++*count;
	if (bytes)
		*bytes += i->size;
	pthread_mutex_unlock(&k->seeker->lock);
	seek_ring(k->fd);
}

static void on_blob(void *arg, const struct store_reply *r);

/* False: it is not asked. */
static bool
ask_source(struct seeker *s, struct item *i, struct source *p, const struct tier_by *by)
{
	uint64_t now = clock_mono_ms();

	if (!p || s->ending || p->doomed || now < p->shun_until || reach(s, p) < 0)
		return false;
	if (p->open++ == 0)
		p->deadline = now + s->c.wait_ms;
	/* however much is asked of it */
	p->deadline = MIN2(p->deadline + i->size / SEEK_PER_MS, now + s->c.wait_ms + SEEK_MOST_MS);
	p->used_ms = now;
	i->at = p;
	i->seek->open++;
	tier_by(p->store, by);
	store_get(p->store, STORE_BLOB, &i->digest, i->seek->max, on_blob, i);
	return true;
}

static bool
ask_cache(struct seeker *s, struct item *i)
{
	bool may = i->made && !i->cache_asked && !i->seek->alone;
	const char *at = s->c.coordinator;
	char now[FOUND_ENDPOINT_MAX], curve[CURVE_KEY_SIZE];

	i->cache_asked = true;
	whereabouts_get_key(s->c.key, curve);
	if (s->c.moves) {
		whereabouts_get(s->c.moves, now);
		at = now;
	}
	return may && ask_source(s, i, source_of(s, curve, at, true), &i->seek->by_job);
}

/* The next one that may have it. */
static void
ask_next(struct seeker *s, struct item *i)
{
	struct seek *k = i->seek;

	while (i->next < i->n_holders) {
		uint8_t at = i->holders[i->next++];
		const Dray__Holder *h = k->found->holder[at];

		if (ask_source(s, i, source_of(s, h->curve_public, h->endpoint, false), &k->by[at]))
			return;
	}
	if (!ask_cache(s, i))
		tell(i, false, &s->counts.nowhere, NULL);
}

/* By a name of its own it goes where it belongs, without a copy. */
static int
take(struct seeker *s, const struct item *i, int fd)
{
	char path[PATH_MAX], from[64];
	struct digest d;
	uint64_t size;
	int r;

	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	if (snprintf(path, sizeof(path), "%s/seek-%u", s->c.tmp, s->serial++) >= PATH_MAX)
		return -ENAMETOOLONG;
	if (linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0) {
		r = store_put_fd_now(s->c.store, fd, &d, &size);
		return r < 0 ? r : digest_eq(&d, &i->digest) ? 0 : -EBADMSG;
	}
	r = disk_adopt_as(s->c.store, path, fd, &i->digest, i->size);
	if (r < 0)
		(void)unlink(path);
	return MIN2(r, 0);
}

/* What says nothing of the one that was asked. */
static bool
is_fair(int err)
{
	return err == -ENOENT || err == -ECANCELED || err == -EFBIG || err == -EAGAIN;
}

static bool
is_left(struct seek *k)
{
	bool left;

	pthread_mutex_lock(&k->seeker->lock);
	left = k->left;
	pthread_mutex_unlock(&k->seeker->lock);
	return left;
}

static void
on_blob(void *arg, const struct store_reply *r)
{
	struct item *i = arg;
	struct seek *k = i->seek;
	struct seeker *s = k->seeker;
	struct source *p = steal_ptr(i->at);
	_cleanup_(closep) int fd = r->fd;
	int err = r->error;

	p->open--;
	k->open--;
	if (err < 0 && !is_fair(err))
		shun(s, p, err == -EBADMSG, strerror(-err));
	if (err == 0)
		p->shun_ms = 0;
	/* its unit says another size: its client will be told */
	if (err == 0 && r->size != i->size)
		err = -EFBIG;
	if (err == 0)
		err = take(s, i, fd);
	if (err == 0)
		tell(i, true, p->is_cache ? &s->counts.cache : &s->counts.peers,
			p->is_cache ? &s->counts.cache_bytes : &s->counts.peers_bytes);
	else if (is_left(k))
		tell(i, false, &s->counts.nowhere, NULL);
	else
		ask_next(s, i);
}

/* ---- seeks */

/* Where each blob is, by the coordinator's word. */
static void
note_holders(struct seek *k)
{
	size_t most = MIN2(k->n, (size_t)WIRE_SEEK_MAX);

	for (size_t h = 0; k->found && h < k->found->n_holder; h++) {
		const Dray__Holder *m = k->found->holder[h];

		k->by[h] = (struct tier_by){ .ticket = m->ticket, .signature = m->signature };
		for (size_t b = 0; b < m->n_blob; b++) {
			struct item *i = m->blob[b] < most ? &k->items[m->blob[b]] : NULL;

			if (i && i->n_holders < SEEK_EACH)
				i->holders[i->n_holders++] = (uint8_t)h;
		}
	}
}

static void
plan(struct seeker *s, struct seek *k)
{
	k->asked = true;
	note_holders(k);
	for (size_t i = 0; i < k->n; i++)
		ask_next(s, &k->items[i]);
	pthread_mutex_lock(&s->lock);
	k->planned = true;
	pthread_mutex_unlock(&s->lock);
	seek_ring(k->fd);
}

static struct seek *
seek_of(struct seeker *s, const char *job)
{
	struct seek *k;

	TAILQ_FOREACH(k, &s->seeks, link)
	if (streq(k->job, job) && !k->asked && !is_left(k))
		return k;
	return NULL;
}

static void
take_heard(struct seeker *s)
{
	for (;;) {
		struct heard *h;
		struct seek *k, *next;

		pthread_mutex_lock(&s->lock);
		for (k = TAILQ_FIRST(&s->fresh); k; k = next) {
			next = TAILQ_NEXT(k, link);
			TAILQ_REMOVE(&s->fresh, k, link);
			TAILQ_INSERT_TAIL(&s->seeks, k, link);
		}
		h = TAILQ_FIRST(&s->heard);
		if (h)
			TAILQ_REMOVE(&s->heard, h, link);
		pthread_mutex_unlock(&s->lock);
		if (!h)
			return;
		k = seek_of(s, h->job);
		if (k) {
			k->found = steal_ptr(h->found);
			k->alone = !k->found;
			plan(s, k);
		}
		if (h->found)
			dray__worker_found__free_unpacked(h->found, NULL);
		free(h);
	}
}

/* Seeks whose coordinator is silent, and such as nobody wants. */
static void
see_to_seeks(struct seeker *s, uint64_t now)
{
	struct seek *k, *next;

	for (k = TAILQ_FIRST(&s->seeks); k; k = next) {
		next = TAILQ_NEXT(k, link);
		if (!k->asked && now >= k->until && !is_left(k)) {
			pthread_mutex_lock(&s->lock);
			s->ask_after = now + SEEK_SHUN_MS;
			pthread_mutex_unlock(&s->lock);
			log_debug(
				"job=%s the coordinator does not say where its blobs are", k->job);
			k->alone = true;
			plan(s, k);
		}
		if (k->open == 0 && is_left(k)) {
			TAILQ_REMOVE(&s->seeks, k, link);
			seek_free(k);
		}
	}
}

static void
see_to_sources(struct seeker *s, uint64_t now)
{
	struct source *p;

	LIST_FOREACH(p, &s->sources, link)
	{
		if (p->open > 0 && now >= p->deadline)
			shun(s, p, false, "it is slow");
		if (p->doomed || (p->store && p->open == 0 && now - p->used_ms >= SEEK_IDLE_MS))
			close_store(s, p);
	}
}

/* Without a request that is open it does not wait. */
static void
work_stores(struct seeker *s)
{
	struct source *p;

	LIST_FOREACH(p, &s->sources, link)
	{
		s->at_work = p;
		if (p->store)
			store_work(p->store, 0);
		s->at_work = NULL;
	}
}

/* How long nothing has to be looked at. */
static int
patience(const struct seeker *s)
{
	return !TAILQ_EMPTY(&s->seeks) ? TICK_MS : s->n_stores > 0 ? SEEK_IDLE_MS / 4 : -1;
}

static void
wait_for_more(struct seeker *s)
{
	struct pollfd fds[1 + SEEK_CONNECTIONS] = { { .fd = s->wake, .events = POLLIN } };
	const struct source *p;
	nfds_t n = 1;

	LIST_FOREACH(p, &s->sources, link)
	if (p->store && n < ARRAY_LEN(fds))
		fds[n++] = (struct pollfd){ .fd = store_fd(p->store), .events = POLLIN };
	(void)poll(fds, n, patience(s));
	seek_hush(s->wake);
}

static bool
has_ended(struct seeker *s)
{
	bool ends;

	pthread_mutex_lock(&s->lock);
	ends = s->ends;
	pthread_mutex_unlock(&s->lock);
	return ends;
}

void *
seek_work(void *arg)
{
	struct seeker *s = arg;
	struct source *p;
	struct seek *k;

	while (!has_ended(s)) {
		take_heard(s);
		work_stores(s);
		see_to_sources(s, clock_mono_ms());
		see_to_seeks(s, clock_mono_ms());
		wait_for_more(s);
	}
	s->ending = true;
	while ((p = LIST_FIRST(&s->sources)) != NULL)
		source_free(s, p);
	while ((k = TAILQ_FIRST(&s->seeks)) != NULL) {
		TAILQ_REMOVE(&s->seeks, k, link);
		seek_free(k);
	}
	return NULL;
}
