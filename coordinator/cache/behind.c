/* Invariants: a fetch is in the table while it is under way, and is the loop's but while a thread
 * has it: the clerk's, then a lane's. What it brings is on the disk before those that wait for it
 * are told. */
#include "config.h"

#include "coordinator/cache/behind_priv.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "cache/shared.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/text/why.h"
#include "coordinator/cache/purged.h"
#include "proto/wire.h"
#include "store/chain/chain.h"

struct behind_fetch {
	struct pool_work work; /* first: see of_work */
	struct table_node node;
	struct behind_space *sp;
	struct vault_space *space;
	enum store_kind kind;
	struct digest name;
	struct signers *signers; /* held */
	struct clerk_request request;
	struct store_reply reply; /* the lane's */
	int error;
	TAILQ_HEAD(, behind_wait) waits; /* the loop's */
};

static struct behind_fetch *
of_work(struct pool_work *w)
{
	return (struct behind_fetch *)w;
}

/* ---- in a lane */

/* What came, in its place on the disk. */
static int
keep_entry(struct behind_fetch *f)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	size_t n = (size_t)f->reply.size;
	ssize_t k;

	if (f->reply.size > WIRE_SHARED_ENTRY_MAX)
		return -EFBIG;
	if (buf_reserve(&b, n + 1) < 0)
		return -ENOMEM;
	k = fs_read_at(f->reply.fd, b.p, n, 0);
	if (k != (ssize_t)n)
		return k < 0 ? (int)k : -EIO;
	/* of one that was purged there is nothing left, there or here */
	if (shared_entry_decode(b.p, n, &f->name, &e) == 0) {
		_cleanup_(buf_done) struct buf left = BUF_INIT;
		size_t purged = purged_sift(f->space->purged, f->space->name, &e);
		int r = purged > 0 && e.n > 0 ? shared_entry_encode(&e, &left) : 0;

		if (e.n == 0)
			return -ENOENT;
		if (purged > 0)
			return r < 0 ? r
				     : vault_put_entry(f->space, &f->name, f->signers, NULL, left.p,
					       left.n, NULL);
	}
	return vault_put_entry(f->space, &f->name, f->signers, NULL, b.p, n, NULL);
}

static void
fetch_run(struct pool_work *w, struct chunk_coder *coder)
{
	struct behind_fetch *f = of_work(w);

	(void)coder;
	f->error = f->reply.error;
	if (f->error == 0 && f->kind == STORE_BLOB)
		f->error = vault_take_blob(f->space, f->reply.fd, &f->name, f->reply.size);
	else if (f->error == 0)
		f->error = keep_entry(f);
	closep(&f->reply.fd);
}

/* ---- in the clerk's thread */

static void
came(void *arg, const struct store_reply *r)
{
	struct behind_fetch *f = arg;
	/* an entry is changed by one thread, as by puts */
	unsigned lane = f->name.b[0] % POOL_LANES;

	f->reply = *r;
	pool_submit(f->sp->behind->pool, lane, &f->work);
}

/* ---- in the loop */

static uint64_t
hash_of(const struct behind *b, const struct behind_space *sp, enum store_kind kind,
	const struct digest *name)
{
	uint8_t p[sizeof(sp) + 1 + DIGEST_SIZE];

	memcpy(p, &sp, sizeof(sp));
	p[sizeof(sp)] = (uint8_t)kind;
	memcpy(p + sizeof(sp) + 1, name->b, DIGEST_SIZE);
	return table_hash(b->hash_key, p, sizeof(p));
}

static struct behind_fetch *
find_fetch(const struct behind *b, const struct behind_space *sp, enum store_kind kind,
	const struct digest *name)
{
	struct table_node *node = table_find(&b->fetches, hash_of(b, sp, kind, name));

	for (; node; node = table_find_next(node)) {
		struct behind_fetch *f = table_entry(node, struct behind_fetch, node);

		if (f->sp == sp && f->kind == kind && digest_eq(&f->name, name))
			return f;
	}
	return NULL;
}

static void
count(struct behind *b, const struct behind_fetch *f)
{
	bool refused = f->error == -EBADMSG || f->error == -EACCES || f->error == -EEXIST;

	pthread_mutex_lock(&b->lock);
	b->stats.asked++;
	b->stats.fetched += f->error == 0;
	b->stats.bytes += f->error == 0 ? f->reply.size : 0;
	b->stats.refused += refused;
	pthread_mutex_unlock(&b->lock);
	if (refused)
		log_throttled(&b->refused, 5,
			"shared cache: what a store has for namespace=%s is refused: %s",
			*f->space->name ? f->space->name : "-",
			f->error == -EACCES
				? "no result in it is signed by a key that the list of keys names"
			: f->error == -EEXIST ? "it is of another version"
					      : "it is damaged");
	else if (f->error < 0 && f->error != -ENOENT && f->error != -ECANCELED)
		log_throttled(&b->failed, 5, "shared cache: the stores of namespace=%s: %s",
			*f->space->name ? f->space->name : "-",
			*f->request.why ? f->request.why : strerror(-f->error));
}

static void
fetch_done(struct pool_work *w, bool cancelled)
{
	struct behind_fetch *f = of_work(w);
	struct behind *b = f->sp->behind;
	struct behind_wait *wait;

	table_del(&b->fetches, &f->node);
	b->under_way--;
	if (!cancelled)
		count(b, f);
	while ((wait = TAILQ_FIRST(&f->waits)) != NULL) {
		behind_leave(wait);
		if (!cancelled)
			wait->done(wait);
	}
	closep(&f->reply.fd);
	signers_release(f->signers);
	free(f);
}

static struct behind_fetch *
add_fetch(struct behind *b, struct vault_space *s, enum store_kind kind, const struct digest *name,
	struct signers *signers)
{
	struct behind_fetch *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->work.run = fetch_run;
	f->work.done = fetch_done;
	f->sp = s->behind;
	f->space = s;
	f->kind = kind;
	f->name = *name;
	f->signers = signers_hold(signers);
	f->reply.fd = -1;
	TAILQ_INIT(&f->waits);
	/* one of any who ask: no matter how large the first of them would have it. A blob takes as
	 * long as its place allows, and who asked gives up by itself; an entry is answered before
	 * that, so that a store that hangs makes no coordinator seem to */
	f->request = (struct clerk_request){ .what = CLERK_GET,
		.kind = kind,
		.name = *name,
		.max = kind == STORE_BLOB ? s->max / 4 : (uint64_t)WIRE_SHARED_ENTRY_MAX,
		.ms = kind == STORE_BLOB ? 0 : (unsigned)b->conf->coordinator.store_wait_ms,
		.done = came,
		.arg = f };
	table_put(&b->fetches, &f->node, hash_of(b, f->sp, kind, name));
	b->under_way++;
	return f;
}

int
behind_fetch(struct vault_space *s, enum store_kind kind, const struct digest *name,
	struct signers *signers, struct behind_wait *w)
{
	struct behind_space *sp = s->behind;
	struct behind *b = sp->behind;
	struct behind_fetch *f = find_fetch(b, sp, kind, name);
	bool is_new = !f;

	if (is_new && b->under_way >= BEHIND_FETCHES_MAX)
		return -EAGAIN;
	if (is_new)
		f = add_fetch(b, s, kind, name, signers);
	if (!f)
		return -ENOMEM;
	w->fetch = f;
	TAILQ_INSERT_TAIL(&f->waits, w, link);
	if (is_new)
		clerk_ask(sp->clerk, &f->request);
	return 0;
}

void
behind_leave(struct behind_wait *w)
{
	if (w->fetch)
		TAILQ_REMOVE(&w->fetch->waits, w, link);
	w->fetch = NULL;
}

void
behind_name(struct vault_space *s, struct signers *signers)
{
	struct behind_space *sp = s->behind;
	struct signers *old = NULL;

	if (!sp)
		return;
	pthread_mutex_lock(&sp->behind->lock);
	if (!sp->named || sp->signers != signers) {
		old = sp->signers;
		sp->signers = signers_hold(signers);
		sp->named = true;
		pthread_cond_broadcast(&sp->behind->cond);
	}
	pthread_mutex_unlock(&sp->behind->lock);
	signers_release(old);
}

void
behind_get_stats(struct behind *b, struct behind_stats *ret)
{
	pthread_mutex_lock(&b->lock);
	*ret = b->stats;
	for (const struct behind_space *sp = b->spaces; sp; sp = sp->next)
		ret->due += sp->n_due;
	pthread_mutex_unlock(&b->lock);
}

/* ---- a namespace */

static int
open_chain(struct behind_space *sp, char **ret_why)
{
	const struct behind *b = sp->behind;
	_cleanup_(chain_list_done) struct chain_list list = { .n = 0 };
	_cleanup_(freep) char *below = NULL;
	struct chain_in in = { .tmp = sp->tmp, .renews = true };
	struct store *chain = NULL;
	unsigned written = 0;
	int r = chain_list_parse(b->conf->coordinator.store, &list, ret_why);

	if (r == 0 && (!sp->tmp || asprintf(&below, "ns-%s", sp->space->name) < 0))
		r = -ENOMEM;
	if (r < 0)
		return r;
	/* the one without a name shares a place with clients that have none and use it directly */
	in.below = *sp->space->name ? below : NULL;
	for (size_t i = 0; i < list.n; i++)
		written += !list.read_only[i];
	sp->several = written > 1;
	r = chain_open(&list, &in, &chain, ret_why);
	if (r == 0)
		r = clerk_open(chain, &sp->clerk);
	if (r == 0 && written) {
		sp->dir = path_join(sp->space->dir, "behind");
		r = sp->dir ? fs_mkdir_p(sp->dir, 0700) : -ENOMEM;
	}
	return r;
}

static void
free_space(struct behind_space *sp)
{
	behind_up_done(sp);
	clerk_free(sp->clerk);
	signers_release(sp->signers);
	free(sp->dir);
	free(sp->tmp);
	free(sp);
}

/* One that nobody knows yet. */
static void
drop_space(struct behind_space *sp)
{
	if (sp->clerk)
		clerk_end(sp->clerk);
	free_space(sp);
}

void
behind_open(struct behind *b, struct vault_space *s)
{
	struct behind_space *sp = calloc(1, sizeof(*sp));
	_cleanup_(freep) char *why = NULL;
	bool ends;
	int r;

	if (!sp)
		return;
	sp->behind = b;
	sp->space = s;
	sp->tmp = path_join(s->dir, "tmp");
	for (size_t i = 0; i < ARRAY_LEN(sp->due); i++)
		STAILQ_INIT(&sp->due[i]);
	r = open_chain(sp, &why);
	if (r < 0) {
		log_warn("shared cache: no stores behind namespace=%s: %s",
			*s->name ? s->name : "-", why ? why : strerror(-r));
		drop_space(sp);
		return;
	}
	if (sp->dir)
		behind_up_scan(sp);
	pthread_mutex_lock(&b->lock);
	ends = b->ends;
	if (!ends) {
		sp->next = b->spaces;
		b->spaces = sp;
		s->behind = sp;
		pthread_cond_broadcast(&b->cond);
	}
	pthread_mutex_unlock(&b->lock);
	if (ends)
		drop_space(sp);
}

/* ---- its life */

static int
show_stores(struct behind *b, char **ret_error)
{
	_cleanup_(chain_list_done) struct chain_list list = { .n = 0 };
	_cleanup_(freep) char *why = NULL;
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r = chain_list_parse(b->conf->coordinator.store, &list, &why);

	if (r < 0)
		return why_set(ret_error, r, "[coordinator] store: %s", why ? why : strerror(-r));
	for (size_t i = 0; r == 0 && i < list.n; i++)
		r = buf_addf(&text, "%s%s%s", i ? ", " : "", list.shown[i],
			list.read_only[i] ? " (only read)" : "");
	if (r < 0)
		return r;
	log_info("shared cache: behind its disk: %s", (const char *)text.p);
	return 0;
}

int
behind_new(const struct conf *conf, struct pool *pool, struct behind **ret, char **ret_error)
{
	const char *stores = conf->coordinator.store;
	pthread_condattr_t cond;
	struct behind *b;
	int r;

	*ret = NULL;
	if (!stores || !*stores)
		return 0;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->conf = conf;
	b->pool = pool;
	table_key(b->hash_key);
	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&cond);
	pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
	pthread_cond_init(&b->cond, &cond);
	pthread_condattr_destroy(&cond);
	r = show_stores(b, ret_error);
	if (r == 0)
		r = table_init(&b->fetches);
	if (r == 0)
		r = behind_up_start(b);
	if (r < 0) {
		behind_end(b);
		behind_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

void
behind_end(struct behind *b)
{
	struct behind_space *sp;

	pthread_mutex_lock(&b->lock);
	b->ends = true;
	sp = b->spaces;
	pthread_cond_broadcast(&b->cond);
	pthread_mutex_unlock(&b->lock);
	/* what threads wait for there is answered by that */
	for (; sp; sp = sp->next)
		clerk_end(sp->clerk);
	behind_up_join(b);
}

void
behind_free(struct behind *b)
{
	struct behind_space *sp;

	if (!b)
		return;
	while ((sp = b->spaces) != NULL) {
		b->spaces = sp->next;
		free_space(sp);
	}
	table_done(&b->fetches);
	pthread_cond_destroy(&b->cond);
	pthread_mutex_destroy(&b->lock);
	free(b);
}
