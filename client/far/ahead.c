/* Invariant: nobody waits for this thread: a key that it has not got is asked for anew by who needs
 * it, and of a blob that it fetches, others are told by the claims. */
#include "config.h"

#include "client/far/ahead.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cache/result.h"
#include "cache/shared.h"
#include "client/far/half_priv.h"
#include "client/far/mail.h"
#include "client/far/queue.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/thread.h"

#define STACK_BYTES (1u << 20)
#define LISTS_MAX 8 /* of builds at a time: one that is done makes room */
#define ENTRIES_AT_ONCE 32
#define ENTRIES_BYTES (64u << 20) /* that nobody has asked for yet */
#define BLOBS_AT_ONCE 32
#define BLOBS_BYTES (4ull << 30)      /* for a list */
#define WINDOW_LEAST (2ull << 20)     /* bytes under way */
#define WINDOW_MOST (64ull << 20)     /* likewise */
#define FAILURES_MAX 3		      /* in a row */
#define ENTRIES_COME_MAX (256u << 20) /* bytes of entries for a list: it may be anybody's */
#define ITEM_MS 600000 /* so long an entry that was fetched ahead is as good as the store's */
#define QUIET_MS 300   /* after the last question a build may have ended */

enum what { IS_LIST, IS_ENTRY, IS_BLOB, WHATS };
enum item_state { ITEM_WAITS, ITEM_COMES, ITEM_HERE, ITEM_GONE };

struct item {
	struct digest key;
	uint64_t build; /* whose list named it first */
	enum item_state state;
	struct buf bytes;
	uint64_t at; /* when they came */
	char store[FAR_STORE_MAX];
};

struct build {
	uint64_t number; /* in this process's life: its place may be another's later */
	struct digest name;
	struct list before, asked;
	/* LOST: its list was asked for, and could not be read */
	enum { BUILD_NEW, BUILD_ASKED, BUILD_KNOWN, BUILD_LOST } state;
	bool noted; /* what was asked for is in the stores, or on its way */
	bool put;   /* it is on its way */
	uint64_t at;
	uint64_t used;	       /* the last of them has the highest */
	uint64_t entries_came; /* bytes, for its list */
	uint64_t blobs_begun;  /* likewise */
	char *note;	       /* for others that it is left, or on its way; NULL: it is not said */
	int note_fd;
};

struct blob {
	struct digest digest;
	uint64_t size;
};

struct ahead {
	struct far_half *h;
	struct mailbox *box;
	pthread_t thread;
	/* the thread's: */
	struct blob *blobs;
	size_t n_blobs, next_blob;
	size_t entries_open, blobs_open;
	uint64_t bytes_open, bytes_came, busy_us, busy_since;
	unsigned failures;
	pthread_mutex_t lock; /* of all below */
	bool ends;
	const char *notes; /* the directory; NULL: nothing is put */
	struct build builds[LISTS_MAX];
	size_t n_builds;
	uint64_t n_begun, n_used;
	bool stale; /* there are items of builds that are gone */
	struct item *items;
	size_t n_items, next_item;
	uint64_t items_bytes;
};

static size_t
number_of(enum what what, size_t i)
{
	return i * WHATS + what;
}

/* ---- entries */

/* With the lock. NULL: its place is another's. */
static struct build *
build_of(struct ahead *a, uint64_t number)
{
	for (size_t i = 0; i < a->n_builds; i++)
		if (a->builds[i].number == number)
			return &a->builds[i];
	return NULL;
}

static struct item *
find_item(struct ahead *a, const struct digest *key)
{
	for (size_t i = 0; i < a->n_items; i++)
		if (digest_eq(&a->items[i].key, key))
			return &a->items[i];
	return NULL;
}

static void
empty_item(struct ahead *a, struct item *item)
{
	a->items_bytes -= item->bytes.n;
	buf_done(&item->bytes);
	item->state = ITEM_GONE;
}

/* With the lock. */
static int
add_items(struct ahead *a, uint64_t build, const struct list *l)
{
	struct item *v = reallocarray(a->items, a->n_items + l->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	a->items = v;
	for (size_t i = 0; i < l->n; i++)
		if (!find_item(a, &l->v[i]))
			v[a->n_items++] = (struct item){
				.key = l->v[i], .build = build, .bytes = BUF_INIT
			};
	return 0;
}

/* Those of builds that are gone, and that nobody will take. With the lock, and while no entry is
 * under way: its answer has the item's number. */
static void
drop_items(struct ahead *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n_items; i++) {
		if (!build_of(a, a->items[i].build))
			empty_item(a, &a->items[i]);
		if (a->items[i].state != ITEM_GONE)
			a->items[n++] = a->items[i];
	}
	a->n_items = n;
	a->next_item = 0;
	a->stale = false;
}

static int
read_reply(struct mail *m, struct buf *ret)
{
	size_t n = (size_t)m->reply.size;

	if (buf_reserve(ret, n + 1) < 0)
		return -ENOMEM;
	if (fs_read_at(m->reply.fd, ret->p, n, 0) != (ssize_t)n)
		return -EIO;
	ret->n = n;
	return 0;
}

/* Counts what a build fetches for its list. False: it would be too much, or the build is gone. */
static bool
is_within(struct ahead *a, uint64_t build, uint64_t size)
{
	struct build *b;
	bool within;

	pthread_mutex_lock(&a->lock);
	b = build_of(a, build);
	within = b && size <= BLOBS_BYTES - b->blobs_begun;
	if (within)
		b->blobs_begun += size;
	pthread_mutex_unlock(&a->lock);
	return within;
}

static int
want_blob(struct ahead *a, uint64_t build, const struct output *o)
{
	struct blob *v;

	if (!is_within(a, build, o->size))
		return 0;
	if (a->n_blobs == 0 || (a->n_blobs & (a->n_blobs - 1)) == 0) {
		v = reallocarray(a->blobs, 2 * (a->n_blobs + 1), sizeof(*v));
		if (!v)
			return -ENOMEM;
		a->blobs = v;
	}
	a->blobs[a->n_blobs++] = (struct blob){ o->digest, o->size };
	return 0;
}

/* Those of the latest result that is believed. */
static void
want_blobs(struct ahead *a, uint64_t build, const struct digest *key, const struct buf *bytes)
{
	struct believed_now *now = believed_get(a->h->believed);
	const struct shared_reader reader = { &now->trust, now->namespace };
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	_cleanup_(result_done) struct result res = RESULT_INIT;
	const struct output *o;
	size_t at = 0;
	int r = shared_entry_decode(bytes->p, bytes->n, key, &e);

	for (size_t i = 0; r == 0 && i < e.n; i++) {
		result_done(&res);
		if (shared_open(&e, i, &reader, &res, NULL, NULL) < 0)
			continue;
		while (r == 0 && (o = result_next_blob(&res, &at)) != NULL)
			r = want_blob(a, build, o);
		break;
	}
	believed_put(a->h->believed, now);
}

static void
take_entry(struct ahead *a, size_t i, struct mail *m)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = m->reply.error;
	struct build *of;
	struct digest key;
	uint64_t build;

	a->entries_open--;
	if (r == 0)
		r = read_reply(m, &b);
	pthread_mutex_lock(&a->lock);
	key = a->items[i].key;
	build = a->items[i].build;
	of = build_of(a, build);
	if (of && r == 0)
		of->entries_came += m->reply.size;
	/* its wrapper may have asked the stores itself meanwhile */
	if (r < 0 || a->items[i].state != ITEM_COMES || b.n > ENTRIES_BYTES - a->items_bytes) {
		a->items[i].state = ITEM_GONE;
	} else if (buf_add(&a->items[i].bytes, b.p, b.n) < 0) {
		buf_done(&a->items[i].bytes);
		a->items[i].state = ITEM_GONE;
	} else {
		snprintf(a->items[i].store, sizeof(a->items[i].store), "%s", m->q.store);
		a->items[i].state = ITEM_HERE;
		a->items[i].at = clock_mono_ms();
		a->items_bytes += b.n;
	}
	pthread_mutex_unlock(&a->lock);
	if (r == 0)
		want_blobs(a, build, &key, &b);
}

/* ---- lists */

/* With the lock. */
static bool
is_left(const struct build *b)
{
	return b->state == BUILD_KNOWN && !b->noted && b->asked.n > 0;
}

/* Says it to others, or that it is so no more: with the lock. What cannot be said is no loss. */
static void
note_build(struct ahead *a, struct build *b)
{
	bool wanted = a->notes && (is_left(b) || b->put);

	if (wanted && !b->note) {
		b->note_fd = queue_note_list(a->notes, &b->note);
	} else if (!wanted && b->note) {
		queue_drop_list(b->note, b->note_fd);
		b->note = NULL;
	}
}

void
ahead_note_in(struct ahead *a, const char *dir)
{
	pthread_mutex_lock(&a->lock);
	a->notes = dir;
	for (size_t i = 0; i < a->n_builds; i++)
		note_build(a, &a->builds[i]);
	pthread_mutex_unlock(&a->lock);
}

static void
take_list(struct ahead *a, size_t i, struct mail *m)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = m->reply.error;
	struct list l = { NULL, 0 };

	if (r == 0)
		r = read_reply(m, &b);
	if (r == 0)
		r = list_decode(b.p, b.n, &l);
	pthread_mutex_lock(&a->lock);
	/* what could not be read is not written over by what this build asked for alone */
	a->builds[i].state = r == 0 || r == -ENOENT || r == -EBADMSG ? BUILD_KNOWN : BUILD_LOST;
	if (r == 0)
		(void)add_items(a, a->builds[i].number, &l);
	a->builds[i].before = l;
	note_build(a, &a->builds[i]);
	pthread_mutex_unlock(&a->lock);
}

/* ---- blobs */

/* What may be under way: a tenth of a second of what came so far. */
static uint64_t
window(const struct ahead *a)
{
	uint64_t us = a->busy_us + (a->busy_since ? clock_mono_us() - a->busy_since : 0);
	uint64_t n = us ? a->bytes_came * 100000 / us : 0;

	return MIN2(MAX2(n, WINDOW_LEAST), WINDOW_MOST);
}

static void
note_begun(struct ahead *a, const struct blob *b)
{
	if (a->blobs_open++ == 0)
		a->busy_since = clock_mono_us();
	a->bytes_open += b->size;
}

static void
note_ended(struct ahead *a, const struct blob *b)
{
	a->bytes_open -= b->size;
	a->bytes_came += b->size;
	if (--a->blobs_open > 0)
		return;
	a->busy_us += clock_mono_us() - a->busy_since;
	a->busy_since = 0;
}

static void
take_blob(struct ahead *a, size_t i, struct mail *m)
{
	const struct blob *b = &a->blobs[i];
	int r = m->reply.error;

	note_ended(a, b);
	if (r == 0)
		r = keep_take(a->h->keep, m->reply.fd, &b->digest, b->size);
	claims_end(a->h->claims, &b->digest);
	/* what is not there says nothing of the rest */
	if (r != -ENOENT)
		a->failures = r < 0 ? a->failures + 1 : 0;
	if (a->blobs_open == 0 && a->next_blob == a->n_blobs)
		keep_trim(a->h->keep);
}

static void
begin_blobs(struct ahead *a)
{
	for (; a->next_blob < a->n_blobs && a->blobs_open < BLOBS_AT_ONCE; a->next_blob++) {
		const struct blob *b = &a->blobs[a->next_blob];

		if (a->blobs_open > 0 && a->bytes_open + b->size > window(a))
			return;
		if (keep_has(a->h->keep, &b->digest, b->size) ||
			!claims_begin(a->h->claims, &b->digest, a->box))
			continue;
		if (mailbox_get(a->box, a->h->stores, STORE_BLOB, &b->digest, b->size, 0,
			    number_of(IS_BLOB, a->next_blob)) < 0)
			claims_end(a->h->claims, &b->digest);
		else
			note_begun(a, b);
	}
	/* an answer has its blob's number */
	if (a->blobs_open == 0 && a->next_blob == a->n_blobs)
		a->next_blob = a->n_blobs = 0;
}

/* ---- its thread */

/* The next request of an entry or a list: with the lock. */
static bool
next_request(struct ahead *a, struct digest *ret, size_t *ret_number)
{
	for (size_t i = 0; i < a->n_builds; i++)
		if (a->builds[i].state == BUILD_NEW) {
			a->builds[i].state = BUILD_ASKED;
			*ret = a->builds[i].name;
			*ret_number = number_of(IS_LIST, i);
			return true;
		}
	if (a->stale && a->entries_open == 0)
		drop_items(a);
	/* entries first: they say which blobs are to come */
	for (; a->next_item < a->n_items && a->entries_open < ENTRIES_AT_ONCE; a->next_item++) {
		struct item *item = &a->items[a->next_item];
		const struct build *b = build_of(a, item->build);

		if (item->state != ITEM_WAITS)
			continue;
		if (!b || b->entries_came >= ENTRIES_COME_MAX) {
			item->state = ITEM_GONE;
			continue;
		}
		item->state = ITEM_COMES;
		a->entries_open++;
		*ret = item->key;
		*ret_number = number_of(IS_ENTRY, a->next_item++);
		return true;
	}
	return false;
}

static void
begin_entries(struct ahead *a)
{
	struct digest name;
	size_t number;
	bool any;

	for (;;) {
		pthread_mutex_lock(&a->lock);
		any = next_request(a, &name, &number);
		pthread_mutex_unlock(&a->lock);
		if (!any)
			return;
		if (mailbox_get(a->box, a->h->stores, STORE_ENTRY, &name,
			    number % WHATS == IS_LIST ? LIST_BYTES_MAX : SHARED_MAX, 0,
			    number) < 0 &&
			number % WHATS == IS_ENTRY)
			a->entries_open--;
	}
}

static void
take_mail(struct ahead *a)
{
	static void (*const take[WHATS])(struct ahead *, size_t, struct mail *) = {
		[IS_LIST] = take_list, [IS_ENTRY] = take_entry, [IS_BLOB] = take_blob
	};
	struct mail *m;

	while ((m = mailbox_take(a->box)) != NULL) {
		if (m->number % WHATS != IS_BLOB && m->reply.error < 0 && m->reply.error != -ENOENT)
			a->failures++;
		take[m->number % WHATS](a, m->number / WHATS, m);
		mail_free(m);
	}
}

static bool
has_ended(struct ahead *a)
{
	bool ends;

	pthread_mutex_lock(&a->lock);
	ends = a->ends;
	pthread_mutex_unlock(&a->lock);
	return ends;
}

static void *
work(void *arg)
{
	struct ahead *a = arg;
	struct pollfd p = { mailbox_fd(a->box), POLLIN, 0 };

	for (;;) {
		uint64_t rest;

		/* it takes back the pokes of all that is looked at below */
		take_mail(a);
		if (has_ended(a))
			return NULL;
		rest = stores_rest(a->h->stores);
		if (a->failures < FAILURES_MAX && rest == 0) {
			begin_entries(a);
			begin_blobs(a);
		}
		(void)!poll(&p, 1, rest > 0 ? (int)rest : -1);
	}
}

/* ---- for others */

static void
build_done(struct build *b)
{
	list_done(&b->before);
	list_done(&b->asked);
}

/* Whether nothing is to come of it: its list came, or will not, and is not to be put. */
static bool
is_done(const struct ahead *a, const struct build *b)
{
	return (b->state == BUILD_KNOWN || b->state == BUILD_LOST) && !(a->notes && is_left(b)) &&
	       !b->put;
}

/* A place for one more: that of the build that was used the longest ago of those that are done. */
static struct build *
find_room(struct ahead *a)
{
	struct build *oldest = NULL;

	if (a->n_builds < LISTS_MAX)
		return &a->builds[a->n_builds++];
	for (size_t i = 0; i < a->n_builds; i++)
		if (is_done(a, &a->builds[i]) && (!oldest || a->builds[i].used < oldest->used))
			oldest = &a->builds[i];
	if (!oldest)
		return NULL;
	build_done(oldest);
	a->stale = true;
	return oldest;
}

static struct build *
find_build(struct ahead *a, const struct digest *name)
{
	static const struct digest none;
	struct build *b = NULL;

	if (digest_eq(name, &none))
		return NULL;
	for (size_t i = 0; !b && i < a->n_builds; i++)
		if (digest_eq(&a->builds[i].name, name))
			b = &a->builds[i];
	if (!b) {
		b = find_room(a);
		if (!b)
			return NULL;
		*b = (struct build){ .number = ++a->n_begun, .name = *name };
		mailbox_poke(a->box);
	}
	b->used = ++a->n_used;
	return b;
}

void
ahead_begin(struct ahead *a, const struct digest *list)
{
	pthread_mutex_lock(&a->lock);
	(void)find_build(a, list);
	pthread_mutex_unlock(&a->lock);
}

bool
ahead_take(struct ahead *a, const struct digest *list, const struct digest *key, struct buf *ret,
	char store[FAR_STORE_MAX])
{
	struct build *b;
	struct item *item;
	bool taken = false;

	pthread_mutex_lock(&a->lock);
	b = find_build(a, list);
	if (b && !list_has(&b->asked, key) && list_add(&b->asked, key) == 0) {
		b->noted = false;
		b->at = clock_mono_ms();
		note_build(a, b);
	}
	item = find_item(a, key);
	if (item && item->state == ITEM_HERE) {
		taken = clock_mono_ms() - item->at < ITEM_MS &&
			buf_add(ret, item->bytes.p, item->bytes.n) == 0;
		snprintf(store, FAR_STORE_MAX, "%s", item->store);
		empty_item(a, item);
	} else if (item && item->state == ITEM_WAITS) {
		item->state = ITEM_GONE;
	}
	pthread_mutex_unlock(&a->lock);
	return taken;
}

bool
ahead_next_list(struct ahead *a, struct digest *ret_name, struct list *ret)
{
	bool found = false;

	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; !found && i < a->n_builds; i++) {
		struct build *b = &a->builds[i];

		if (!is_left(b) || clock_mono_ms() - b->at < QUIET_MS)
			continue;
		b->noted = true;
		found = list_merge(&b->before, &b->asked, ret);
		*ret_name = b->name;
		if (!found)
			list_done(ret);
		b->put = found;
		note_build(a, b);
	}
	pthread_mutex_unlock(&a->lock);
	return found;
}

void
ahead_list_put(struct ahead *a, const struct digest *name)
{
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < a->n_builds; i++) {
		if (!digest_eq(&a->builds[i].name, name))
			continue;
		a->builds[i].put = false;
		note_build(a, &a->builds[i]);
	}
	pthread_mutex_unlock(&a->lock);
}

/* ---- its life */

static int
start(struct ahead *a)
{
	return thread_start(THREAD_JOINED, STACK_BYTES, work, a, &a->thread);
}

static void
ahead_free(struct ahead *a)
{
	for (size_t i = 0; i < a->n_items; i++)
		buf_done(&a->items[i].bytes);
	for (size_t i = 0; i < a->n_builds; i++)
		build_done(&a->builds[i]);
	pthread_mutex_destroy(&a->lock);
	free(a->items);
	free(a->blobs);
	free(a);
}

int
ahead_open(struct far_half *h, struct ahead **ret)
{
	struct ahead *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->h = h;
	pthread_mutex_init(&a->lock, NULL);
	a->box = mailbox_new();
	r = a->box ? start(a) : -ENOMEM;
	if (r < 0) {
		mailbox_close(a->box);
		ahead_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

void
ahead_closep(struct ahead **ret)
{
	struct ahead *a = *ret;

	*ret = NULL;
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->ends = true;
	pthread_mutex_unlock(&a->lock);
	mailbox_poke(a->box);
	pthread_join(a->thread, NULL);
	claims_leave(a->h->claims, a->box);
	mailbox_close(a->box);
	ahead_free(a);
}
