/* Requests through a chain.
 *
 * Invariants: an ask is one request of the caller's; it has one try under way at most, and is
 * answered once. A try is one request to a place, and lives until that answers: its ask may be gone
 * by then. A spread is a put to several places; it goes with its last try. */
#include "config.h"

#include "store/chain/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/why.h"
#include "store/chain/breaker.h"
#include "store/outgoing.h"
#include "store/place.h"
#include "store/waiter.h"

/* What waits to be filled back; more is forgotten. */
#define FILLS_MAX 64u
#define FILLS_BYTES_MAX ((uint64_t)256 << 20)
/* What answers within this time is well, however little a caller could wait. */
#define SLOW_MS 1000u
/* So many that nobody waits for any more: no others are sent there. */
#define OVERDUE_MAX 3u

struct tier {
	struct store *store;
	char *shown;
	struct breaker reads, writes;
	unsigned overdue; /* tries without an ask that are not answered yet */
	struct chain_stats stats;
};

struct chain;

struct ask {
	struct ask *prev, *next;
	struct chain *chain;
	bool is_get;
	enum store_kind kind;
	struct digest name;
	uint64_t max;
	uint64_t until; /* 0: no limit */
	size_t at;	/* the tier that is asked */
	struct try *try;
	uint64_t try_until;
	bool starting; /* a try is being begun: its answer may come at once */
	bool hit;      /* reply is the answer */
	struct store_reply reply;
	int error;	 /* else: -ENOENT if one said so, or the first */
	unsigned lacked; /* a bit for each tier that said it has none, or a damaged one */
	store_done_fn done;
	void *arg;
};

struct spread {
	struct chain *chain;
	struct store_reply reply;
	unsigned left, taken, there;
	int error;	    /* the first */
	store_done_fn done; /* NULL: nobody waits */
	void *arg;
};

struct
try {
	struct try *prev, *next;
	struct chain *chain;
	struct tier *tier;
	struct ask *ask;       /* NULL: too late */
	struct spread *spread; /* of a put */
	uint64_t begun, bytes;
	bool judged; /* its lateness was counted already */
};

struct fill {
	struct fill *next;
	enum store_kind kind;
	struct digest name;
	int fd;
	uint64_t size;
	unsigned where; /* a bit for each tier */
};

struct chain {
	struct store base;
	struct waiter waiter;
	struct tier tiers[CHAIN_PLACES_MAX];
	size_t n;
	unsigned wait_ms;
	uint64_t budget, spent;
	struct ask *asks;
	struct try *tries;
	struct fill *fills, **fills_end;
	unsigned n_fills;
	uint64_t fills_bytes;
	bool working;
	char why[256];
};

static struct chain *
chain_of(struct store *s)
{
	return (struct chain *)s;
}

/* Whether an answer says that something is wrong with the place. */
static bool
is_fault(int error, bool of_put)
{
	switch (error) {
	case 0:
	case -ENOENT:
	case -EFBIG:
	case -EBADMSG: /* damaged, but it answers */
	case -ENOMEM:  /* ours */
	case -EMFILE:
	case -ECANCELED:
		return false;
	case -ENOSPC: /* ours, unless we wrote there */
	case -EDQUOT:
		return of_put;
	default:
		return true;
	}
}

static void
judge(struct tier *t, struct breaker *b, int error, const char *why)
{
	if (!is_fault(error, b == &t->writes)) {
		if (error == 0 || error == -ENOENT)
			breaker_ok(b);
		else
			breaker_unsure(b);
		return;
	}
	if (breaker_failed(b, clock_mono_ms()))
		log_warn("The store %s is left alone for a while when %s: %s.", t->shown,
			b == &t->writes ? "writing" : "reading", why);
}

static const char *
why_of(const struct tier *t, int error)
{
	const char *why = store_why(t->store);

	return error == -ETIMEDOUT || why[0] == '\0' ? strerror(-error) : why;
}

/* Tries. */

static struct try *
new_try(struct chain *c, struct tier *t)
{
	struct try *y = calloc(1, sizeof(*y));

	if (y == NULL)
		return NULL;
	y->chain = c;
	y->tier = t;
	y->begun = clock_mono_ms();
	y->next = c->tries;
	if (c->tries != NULL)
		c->tries->prev = y;
	c->tries = y;
	return y;
}

static void
free_try(struct try *y)
{
	*(y->prev != NULL ? &y->prev->next : &y->chain->tries) = y->next;
	if (y->next != NULL)
		y->next->prev = y->prev;
	free(y);
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
	a->try = new_try(a->chain, t);
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
want_fill(struct chain *c, const struct ask *a, int fd, uint64_t size)
{
	unsigned where = 0;
	struct fill *f;
	char path[64];

	for (size_t i = 0; i < a->at; i++)
		if ((a->lacked & 1u << i) && !c->tiers[i].stats.read_only)
			where |= 1u << i;
	if (where == 0 || c->n_fills >= FILLS_MAX || size > FILLS_BYTES_MAX - c->fills_bytes)
		return;
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return;
	/* another open file: an offset of its own */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	f->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0) {
		free(f);
		return;
	}
	f->kind = a->kind;
	f->name = a->name;
	f->size = size;
	f->where = where;
	*c->fills_end = f;
	c->fills_end = &f->next;
	c->n_fills++;
	c->fills_bytes += size;
}

static void
count(struct tier *t, const struct try *y, const struct store_reply *r)
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
is_slow(const struct try *y)
{
	return clock_mono_ms() - y->begun >= SLOW_MS;
}

static void
note_why(struct chain *c, const struct tier *t, int error)
{
	if (error != 0 && error != -ENOENT)
		snprintf(c->why, sizeof(c->why), "%s: %s", t->shown, why_of(t, error));
}

static void
on_answer(void *arg, const struct store_reply *r)
{
	struct try *y = arg;
	struct chain *c = y->chain;
	struct tier *t = y->tier;
	struct ask *a = y->ask;

	if (a != NULL) {
		count(t, y, r);
		note_why(c, t, r->error);
		judge(t, &t->reads, r->error, why_of(t, r->error));
	} else {
		t->overdue--;
		/* closing says nothing of it */
		if (!y->judged && r->error != -ECANCELED)
			judge(t, &t->reads, is_slow(y) ? -ETIMEDOUT : r->error,
				strerror(ETIMEDOUT));
	}
	free_try(y);
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
			want_fill(c, a, r->fd, r->size);
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
	struct try *y = a->try;
	struct tier *t = y->tier;

	t->stats.late++;
	t->stats.errors++;
	t->stats.ms += clock_mono_ms() - y->begun;
	t->overdue++;
	/* one that had little time will be judged by when it comes */
	y->judged = is_slow(y);
	if (y->judged)
		judge(t, &t->reads, -ETIMEDOUT, strerror(ETIMEDOUT));
	note_why(a->chain, t, -ETIMEDOUT);
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
	struct store_reply failed = { .error = -ENOMEM, .fd = -1 };
	struct ask *a = NULL;

	if (c->budget != 0 && c->spent >= c->budget)
		failed.error = -EDQUOT;
	else
		a = calloc(1, sizeof(*a));
	if (a == NULL) {
		done(arg, &failed);
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

/* Putting. */

static void
end_spread(struct spread *p)
{
	p->reply.was_there = p->taken > 0 && p->there == p->taken;
	if (p->taken == 0) {
		p->reply = (struct store_reply){ .error = p->error != 0 ? p->error : -EHOSTDOWN,
			.fd = -1 };
	}
	if (p->done != NULL)
		p->done(p->arg, &p->reply);
	free(p);
}

static void
on_put(void *arg, const struct store_reply *r)
{
	struct try *y = arg;
	struct tier *t = y->tier;
	struct spread *p = y->spread;

	t->stats.ms += clock_mono_ms() - y->begun;
	if (r->error == 0) {
		t->stats.puts++;
		t->stats.there += r->was_there;
		p->taken++;
		p->there += r->was_there;
	} else {
		t->stats.errors++;
		p->error = p->error != 0 ? p->error : r->error;
	}
	if (r->error == 0 && !r->was_there) {
		t->stats.bytes_out += y->bytes;
		y->chain->spent += y->bytes;
	}
	note_why(y->chain, t, r->error);
	judge(t, &t->writes, r->error, why_of(t, r->error));
	free_try(y);
	if (--p->left == 0)
		end_spread(p);
}

/* An object of its own for one place: the same bytes, another open file. */
static int
open_again(const struct chain *c, const struct object *o, struct object *ret)
{
	char path[64];
	int r = 0;

	*ret = *o;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", o->fd);
	ret->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (ret->fd >= 0)
		return 0;
	ret->fd = object_temp(c->base.tmp);
	if (ret->fd < 0)
		return ret->fd;
	if (lseek(o->fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r == 0)
		r = fs_copy_fd(o->fd, ret->fd);
	if (r == 0 && lseek(ret->fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r < 0)
		object_done(ret);
	return r;
}

static void
put_to(struct spread *p, struct tier *t, const struct object *o)
{
	struct store_reply failed = { .fd = -1 };
	struct object own = { .fd = -1 };
	struct chain *c = p->chain;
	struct try *y = new_try(c, t);
	int r;

	if (y == NULL) {
		breaker_unsure(&t->writes);
		p->error = p->error != 0 ? p->error : -ENOMEM;
		return;
	}
	y->spread = p;
	y->bytes = o->length;
	p->left++;
	r = open_again(c, o, &own);
	if (r == 0) {
		t->store->type->put(t->store, &own, on_put, y);
		return;
	}
	failed.error = r;
	on_put(y, &failed);
}

/* To those of these places (a bit for each) that may be written. The object stays the caller's. */
static void
spread(struct chain *c, unsigned where, const struct object *o, store_done_fn done, void *arg)
{
	struct store_reply failed = { .error = -ENOMEM, .fd = -1 };
	struct spread *p = NULL;
	uint64_t now = clock_mono_ms();

	if (c->budget != 0 && c->spent >= c->budget)
		failed.error = -EDQUOT;
	else
		p = calloc(1, sizeof(*p));
	if (p == NULL) {
		if (done != NULL)
			done(arg, &failed);
		return;
	}
	*p = (struct spread){ .chain = c,
		.reply = { .name = o->head.name, .size = o->head.size, .fd = -1 },
		.left = 1, /* this function's */
		.done = done,
		.arg = arg };
	for (size_t i = 0; i < c->n; i++) {
		struct tier *t = &c->tiers[i];

		if (!(where & 1u << i) || t->stats.read_only)
			continue;
		if (breaker_may(&t->writes, now))
			put_to(p, t, o);
		else
			t->stats.left_alone++;
	}
	if (--p->left == 0)
		end_spread(p);
}

static void
chain_put(struct store *s, const struct object *o, store_done_fn done, void *arg)
{
	struct chain *c = chain_of(s);
	struct object object = *o;

	spread(c, ~0u, &object, done, arg);
	object_done(&object);
}

static int
object_of(const struct chain *c, const struct fill *f, struct object *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	uint8_t chunk[4096];
	ssize_t k;
	int r = 0;

	if (f->kind == STORE_BLOB)
		return outgoing_blob(c->base.tmp, (enum object_coding)c->base.coding, f->fd, ret);
	while (r == 0 && (k = read(f->fd, chunk, sizeof(chunk))) != 0) {
		if (k > 0)
			r = buf_add(&b, chunk, (size_t)k);
		else if (errno != EINTR)
			r = -errno;
	}
	if (r < 0)
		return r;
	return outgoing_entry(
		c->base.tmp, (enum object_coding)c->base.coding, &f->name, b.p, b.n, ret);
}

/* One at a time: answers come first. */
static void
fill_one(struct chain *c)
{
	struct object o = { .fd = -1 };
	struct fill *f = c->fills;

	if (f == NULL)
		return;
	c->fills = f->next;
	if (c->fills == NULL)
		c->fills_end = &c->fills;
	c->n_fills--;
	c->fills_bytes -= f->size;
	if (object_of(c, f, &o) == 0)
		spread(c, f->where, &o, NULL, NULL);
	object_done(&o);
	close(f->fd);
	free(f);
}

/* The rest of the row. */

static void
chain_work(struct store *s, int ms)
{
	struct chain *c = chain_of(s);
	struct epoll_event events[CHAIN_PLACES_MAX + 1];
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
		fill_one(c);
	c->working = false;
	look_at_time(c, true);
}

static int
chain_fd(const struct store *s)
{
	return ((const struct chain *)s)->waiter.fd;
}

static const char *
chain_why(const struct store *s)
{
	return ((const struct chain *)s)->why;
}

static void
chain_trim(struct store *s, unsigned max_files)
{
	struct chain *c = chain_of(s);

	for (size_t i = 0; i < c->n; i++)
		store_trim(c->tiers[i].store, max_files);
}

static int
chain_no_stats(struct store *s, struct store_stats *ret)
{
	(void)s;
	(void)ret;
	return -EOPNOTSUPP;
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
		struct try *y = c->tries;

		if (y->spread != NULL && --y->spread->left == 0)
			free(y->spread);
		free_try(y);
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
	.write_begin = outgoing_write_begin,
	.write = outgoing_write,
	.write_commit = outgoing_write_commit,
	.write_abort = outgoing_write_abort,
	.put_fd = outgoing_put_fd,
	.put_entry = outgoing_put_entry,
	.put = chain_put,
	.trim = chain_trim,
	.get_stats = chain_no_stats,
	.why = chain_why,
	.fd = chain_fd,
	.work = chain_work,
};

static int
open_tier(struct chain *c, const struct chain_list *l, const struct chain_in *in, char **ret_why)
{
	const struct store_in i = {
		.tmp = in->tmp, .connect_ms = in->connect_ms, .request_ms = in->request_ms
	};
	struct tier *t = &c->tiers[c->n];
	int r = place_open(l->urls[c->n], &i, &t->store, ret_why);

	if (r < 0)
		return r;
	t->shown = strdup(l->shown[c->n]);
	t->stats.read_only = l->read_only[c->n];
	c->n++;
	if (t->shown == NULL)
		return -ENOMEM;
	return store_fd(t->store) < 0 ? 0 : waiter_add(&c->waiter, store_fd(t->store), EPOLLIN, t);
}

int
chain_open(
	const struct chain_list *l, const struct chain_in *in, struct store **ret, char **ret_why)
{
	struct chain *c;
	bool read_only = true;
	int r;

	if (l->n == 0)
		return why_set(ret_why, -EINVAL, "the list of stores is empty");
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->waiter = (struct waiter)WAITER_INIT;
	c->fills_end = &c->fills;
	c->wait_ms = in->wait_ms;
	c->budget = in->budget;
	r = waiter_init(&c->waiter);
	for (size_t i = 0; r == 0 && i < l->n; i++) {
		r = open_tier(c, l, in, ret_why);
		read_only = read_only && l->read_only[i];
	}
	c->base = (struct store){
		.type = &store_chain, .tmp = in->tmp, .coding = OBJECT_ZSTD, .read_only = read_only
	};
	if (r < 0)
		chain_close(&c->base);
	else
		*ret = &c->base;
	return r;
}
