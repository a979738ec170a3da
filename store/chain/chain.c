/* Requests through a chain.
 *
 * Invariants: an ask is one request of the caller's; it has one try under way at most, and is
 * answered once. A try is one request to a place, and lives until that answers: its ask may be gone
 * by then. A spread is a put to several places; it goes with its last try. */
#include "config.h"

#include "store/chain/chain.h"

#include <errno.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/text/why.h"
#include "store/chain/chain_priv.h"
#include "store/place.h"

/* What answers within this time is well, however little a caller could wait. */
#define SLOW_MS 1000u
/* So many that nobody waits for any more: no others are sent there. */
#define OVERDUE_MAX 3u

static struct chain *
chain_of(struct store *s)
{
	return (struct chain *)s;
}

/* Asks. */

static void
answer(struct ask *a, const struct store_reply *reply)
{
	*(a->prev != NULL ? &a->prev->next : &a->chain->asks) = a->next;
	if (a->next != NULL)
		a->next->prev = a->prev;
	a->done(a->arg, reply);
	free(a);
}

static void
answer_error(struct ask *a, int error)
{
	const struct store_reply reply = { .error = error, .fd = -1 };

	answer(a, &reply);
}

static void
keep_error(struct ask *a, int error)
{
	if (a->error == 0 || (error == -ENOENT && a->error != -ENOENT))
		a->error = error;
}

/* Its part of the time that is left. */
static uint64_t
part_until(const struct ask *a, uint64_t now)
{
	uint64_t left = a->chain->n - a->at;

	return a->until == 0 ? 0 : now + (a->until - MIN2(a->until, now)) / left;
}

static void on_answer(void *arg, const struct store_reply *r);

/* Begins a try at the tier a->at, if that may be asked. */
static bool
try_tier(struct ask *a, uint64_t now)
{
	struct tier *t = &a->chain->tiers[a->at];

	if (t->overdue >= OVERDUE_MAX || !breaker_may(&t->reads, now)) {
		t->stats.left_alone++;
		return false;
	}
	a->try = chain_new_attempt(a->chain, t);
	if (a->try == NULL) {
		breaker_unsure(&t->reads);
		keep_error(a, -ENOMEM);
		return false;
	}
	a->try->ask = a;
	a->try_until = part_until(a, now);
	if (a->is_get)
		store_get(t->store, a->kind, &a->name, a->max, on_answer, a->try);
	else
		store_has(t->store, a->kind, &a->name, on_answer, a->try);
	return true;
}

/* Asks one place after another, until a try is under way or there is an answer. */
static void
go_on(struct ask *a)
{
	struct chain *c = a->chain;
	uint64_t now = clock_mono_ms();

	/* an answer that comes at once: the loop below sees it */
	if (a->starting)
		return;
	a->starting = true;
	while (!a->hit && a->at < c->n && a->try == NULL) {
		if (a->until != 0 && now >= a->until) {
			keep_error(a, -ETIMEDOUT);
			break;
		}
		if (!try_tier(a, now))
			a->at++;
	}
	a->starting = false;
	if (a->hit)
		answer(a, &a->reply);
	else if (a->try == NULL)
		answer_error(a, a->error != 0 ? a->error : -EHOSTDOWN);
}

static void
count(struct tier *t, const struct attempt *y, const struct store_reply *r)
{
	t->stats.ms += clock_mono_ms() - y->begun;
	if (r->error == 0)
		t->stats.hits++;
	else if (r->error == -ENOENT)
		t->stats.misses++;
	else
		t->stats.errors++;
}

static bool
is_slow(const struct attempt *y)
{
	return clock_mono_ms() - y->begun >= SLOW_MS;
}

static void
on_answer(void *arg, const struct store_reply *r)
{
	struct attempt *y = arg;
	struct chain *c = y->chain;
	struct tier *t = y->tier;
	struct ask *a = y->ask;

	if (a != NULL) {
		count(t, y, r);
		chain_note_why(c, t, r->error);
		chain_judge(t, &t->reads, r->error, chain_why_of(t, r->error));
	} else {
		t->overdue--;
		/* closing says nothing of it */
		if (!y->judged && r->error != -ECANCELED)
			chain_judge(t, &t->reads, is_slow(y) ? -ETIMEDOUT : r->error,
				strerror(ETIMEDOUT));
	}
	chain_free_attempt(y);
	if (a == NULL) {
		if (r->fd >= 0)
			close(r->fd);
		return;
	}
	a->try = NULL;
	if (r->error == 0) {
		if (a->is_get) {
			t->stats.bytes_in += r->size;
			c->spent += r->size;
			chain_want_fill(c, a, r->fd, r->size);
		}
		a->reply = *r;
		a->hit = true;
	} else {
		if (r->error == -ENOENT || r->error == -EBADMSG)
			a->lacked |= 1u << a->at;
		keep_error(a, r->error);
		a->at++;
	}
	go_on(a);
}

/* The try takes too long: the next place. */
static void
too_late(struct ask *a)
{
	struct attempt *y = a->try;
	struct tier *t = y->tier;

	t->stats.late++;
	t->stats.errors++;
	t->stats.ms += clock_mono_ms() - y->begun;
	t->overdue++;
	/* one that had little time will be judged by when it comes */
	y->judged = is_slow(y);
	if (y->judged)
		chain_judge(t, &t->reads, -ETIMEDOUT, strerror(ETIMEDOUT));
	chain_note_why(a->chain, t, -ETIMEDOUT);
	y->ask = NULL;
	a->try = NULL;
	keep_error(a, -ETIMEDOUT);
	a->at++;
	go_on(a);
}

/* polled: the places were just asked for answers. A caller that was busy for long may find that all
 * is late, and all answered. */
static void
look_at_time(struct chain *c, bool polled)
{
	uint64_t now = clock_mono_ms(), next = 0;

	for (struct ask *a = c->asks, *after; a != NULL; a = after) {
		after = a->next;
		if (polled && a->try_until != 0 && a->try != NULL && now >= a->try_until) {
			too_late(a);
			/* the function may have asked for anything */
			after = c->asks;
			continue;
		}
		if (a->try_until != 0 && (next == 0 || a->try_until < next))
			next = a->try_until;
	}
	if (c->fills != NULL)
		next = now;
	waiter_alarm(&c->waiter, next);
}

static void
ask(struct chain *c, bool is_get, enum store_kind kind, const struct digest *name, uint64_t max,
	unsigned ms, store_done_fn done, void *arg)
{
	bool spent = c->budget != 0 && c->spent >= c->budget;
	struct ask *a = spent ? NULL : calloc(1, sizeof(*a));

	if (a == NULL) {
		store_answer_error(done, arg, spent ? -EDQUOT : -ENOMEM);
		return;
	}
	if (ms == 0)
		ms = c->wait_ms;
	*a = (struct ask){ .next = c->asks,
		.chain = c,
		.is_get = is_get,
		.kind = kind,
		.name = *name,
		.max = max,
		.until = ms != 0 ? clock_mono_ms() + ms : 0,
		.done = done,
		.arg = arg };
	if (c->asks != NULL)
		c->asks->prev = a;
	c->asks = a;
	go_on(a);
	if (!c->working)
		look_at_time(c, false);
}

void
chain_has_within(struct store *s, enum store_kind kind, const struct digest *name, unsigned ms,
	store_done_fn done, void *arg)
{
	ask(chain_of(s), false, kind, name, 0, ms, done, arg);
}

void
chain_get_within(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
	unsigned ms, store_done_fn done, void *arg)
{
	ask(chain_of(s), true, kind, name, max, ms, done, arg);
}

static void
chain_has(struct store *s, enum store_kind kind, const struct digest *name, store_done_fn done,
	void *arg)
{
	ask(chain_of(s), false, kind, name, 0, 0, done, arg);
}

static void
chain_get(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
	store_done_fn done, void *arg)
{
	ask(chain_of(s), true, kind, name, max, 0, done, arg);
}

/* The rest of the row. */

static void
chain_work(struct store *s, int ms)
{
	struct chain *c = chain_of(s);
	struct epoll_event events[CHAIN_TIERS_MAX + 1];
	size_t n;

	if (c->tries == NULL || c->fills != NULL)
		ms = 0;
	n = waiter_wait(&c->waiter, ms, events, ARRAY_LEN(events));
	c->working = true;
	for (size_t i = 0; i < n; i++) {
		struct tier *t = events[i].data.ptr;

		store_work(t->store, 0);
	}
	if (n == 0)
		chain_fill_one(c);
	c->working = false;
	look_at_time(c, true);
}

static void
chain_trim(struct store *s, unsigned max_files)
{
	struct chain *c = chain_of(s);

	for (size_t i = 0; i < c->n; i++)
		store_trim(c->tiers[i].store, max_files);
}

void
chain_cancel(struct store *s)
{
	struct chain *c = chain_of(s);

	while (c->asks != NULL) {
		if (c->asks->try != NULL)
			c->asks->try->ask = NULL;
		answer_error(c->asks, -ECANCELED);
	}
	chain_cancel_puts(c);
}

bool
chain_is_idle(const struct store *s)
{
	const struct chain *c = (const struct chain *)s;

	return c->tries == NULL && c->fills == NULL;
}

void
chain_begin_build(struct store *s)
{
	chain_of(s)->spent = 0;
}

int
chain_get_stats(const struct store *s, size_t i, struct chain_stats *ret)
{
	const struct chain *c = (const struct chain *)s;

	if (i >= c->n)
		return -ENOENT;
	*ret = c->tiers[i].stats;
	ret->name = c->tiers[i].shown;
	ret->open = breaker_is_open(&c->tiers[i].reads);
	return 0;
}

static void
chain_close(struct store *s)
{
	struct chain *c = chain_of(s);

	for (size_t i = 0; i < c->n; i++) {
		if (c->tiers[i].store != NULL && store_fd(c->tiers[i].store) >= 0)
			waiter_remove(&c->waiter, store_fd(c->tiers[i].store));
		store_close(c->tiers[i].store);
		free(c->tiers[i].shown);
	}
	/* of what was late, and of fills: places need not tell of these when they are closed */
	while (c->tries != NULL) {
		struct attempt *y = c->tries;

		if (y->spread != NULL && --y->spread->left == 0)
			free(y->spread);
		chain_free_attempt(y);
	}
	while (c->fills != NULL) {
		struct fill *f = c->fills;

		c->fills = f->next;
		close(f->fd);
		free(f);
	}
	waiter_done(&c->waiter);
	free(c);
}

static const struct store_type store_chain = {
	.name = "chain",
	.close = chain_close,
	.has = chain_has,
	.get = chain_get,
	OUTGOING_FUNCTIONS,
	.put = chain_put,
	.trim = chain_trim,
	.work = chain_work,
};

/* The store is the chain's. */
static int
add_tier(struct chain *c, struct store *s, const char *shown, bool read_only)
{
	struct tier *t = &c->tiers[c->n++];

	t->store = s;
	t->shown = strdup(shown);
	t->stats.read_only = read_only;
	if (t->shown == NULL)
		return -ENOMEM;
	return store_fd(s) < 0 ? 0 : waiter_add(&c->waiter, store_fd(s), EPOLLIN, t);
}

static int
open_tier(struct chain *c, const struct chain_list *l, size_t n, const struct chain_in *in,
	char **ret_why)
{
	const struct store_in i = { .below = in->below,
		.tmp = in->tmp,
		.connect_ms = in->connect_ms,
		.request_ms = in->request_ms,
		.renews = in->renews && !l->read_only[n] };
	struct store *s = NULL;
	int r = place_open(l->urls[n], &i, &s, ret_why);

	if (r == 0)
		r = add_tier(c, s, l->shown[n], l->read_only[n]);
	if (s != NULL)
		c->tiers[c->n - 1].own = l->own[n];
	return r;
}

int
chain_open(
	const struct chain_list *l, const struct chain_in *in, struct store **ret, char **ret_why)
{
	struct chain *c;
	bool read_only = in->first == NULL;
	int r;

	if (l->n == 0 && in->first == NULL)
		return why_set(ret_why, -EINVAL, "the list of stores is empty");
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		store_close(in->first);
		return -ENOMEM;
	}
	c->waiter = (struct waiter)WAITER_INIT;
	c->fills_end = &c->fills;
	c->wait_ms = in->wait_ms;
	c->budget = in->budget;
	outgoing_init(&c->base, &store_chain, &(struct store_in){ .tmp = in->tmp });
	r = waiter_init(&c->waiter);
	c->base.fd = c->waiter.fd;
	if (in->first != NULL) {
		int e = add_tier(c, in->first, in->first_name, false);

		c->tiers[0].connected = true;
		r = r < 0 ? r : e;
	}
	for (size_t i = 0; r == 0 && i < l->n; i++) {
		r = open_tier(c, l, i, in, ret_why);
		read_only = read_only && l->read_only[i];
	}
	c->base.read_only = read_only;
	if (r < 0)
		chain_close(&c->base);
	else
		*ret = &c->base;
	return r;
}
