/* Invariants: a record is kept while a sample holds it, it is on its way to the cache, or it is
 * among the latest of its client; each order is answered once, but FORGET; directories of samples
 * go with them. */
#include "config.h"

#include "worker/share/loans.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/log/log.h"
#include "common/thread.h"
#include "worker/share/lend.h"

#define STACK_BYTES (1u << 20)
#define NICE 19
#define ORDERS_MAX 1024
#define WORDS_MAX 1024

/* A client whose jobs were shared. */
struct owner {
	TAILQ_ENTRY(owner) link;
	char client[CURVE_KEY_SIZE];
	size_t records, pinned, bytes; /* bytes: of those that are not pinned; pinned: of those that
					  are */
	size_t n_loose;
};

struct record {
	TAILQ_ENTRY(record) link; /* the latest first */
	struct loan *loan;
	struct owner *owner; /* while it is listed */
	size_t bytes;
	unsigned holds; /* samples */
	unsigned pins;	/* 1: it is on its way to the cache */
	bool listed;
};

struct held {
	TAILQ_ENTRY(held) link;
	char sample[33];
	struct record *record;
	char *dir;
	bool stop;   /* atomic */
	bool ready;  /* all is in the directory */
	bool giving; /* the other thread has it */
	bool gone;   /* forgotten: freed when nobody has it */
};

struct order {
	TAILQ_ENTRY(order) link;
	Dray__LendWhat what;
	char sample[33], job[33];
	struct loan want; /* KEEP: what names it */
	char worker[KEYS_NAME_MAX + 1], curve[CURVE_KEY_SIZE];
	char *endpoint;
	struct buf ticket, signature;
};
TAILQ_HEAD(orders, order);

struct word {
	TAILQ_ENTRY(word) link;
	struct loans_word word;
};

struct lend_thread {
	struct loans *loans;
	pthread_t thread;
	pthread_cond_t cond;
	struct orders orders;
	size_t n;
	bool started;
};

struct loans {
	struct loans_conf c;
	pthread_mutex_t lock; /* of all below */
	struct lend_thread keeper, giver;
	TAILQ_HEAD(records_head, record) records;
	TAILQ_HEAD(, owner) owners;
	TAILQ_HEAD(, held) held;
	TAILQ_HEAD(, word) words;
	size_t n_loose, n_held, n_words;
	size_t bytes, pinned; /* of records that are not pinned, and of those that are */
	bool ends;
	int fd;
};

/* ---- records */

static size_t
size_of(const struct loan *n)
{
	size_t bytes = sizeof(*n) + n->unit.n;

	for (size_t i = 0; i < n->asked.n; i++)
		bytes += strlen(n->asked.v[i]) + n->answers[i].n + 2 * sizeof(struct buf);
	return bytes;
}

static void
record_release(struct record *r)
{
	if (r->listed || r->holds > 0 || r->pins > 0)
		return;
	loan_free(r->loan);
	free(r);
}

/* ---- whose they are; the lock is held */

static struct owner *
find_owner(struct loans *l, const char *client)
{
	struct owner *o;

	TAILQ_FOREACH(o, &l->owners, link)
	if (streq(o->client, client))
		return o;
	o = calloc(1, sizeof(*o));
	if (!o)
		return NULL;
	snprintf(o->client, sizeof(o->client), "%s", client);
	TAILQ_INSERT_TAIL(&l->owners, o, link);
	return o;
}

static void
owner_release(struct loans *l, struct owner *o)
{
	if (o->records > 0)
		return;
	TAILQ_REMOVE(&l->owners, o, link);
	free(o);
}

/* It is counted where it belongs; by: 1 or -1. */
static void
reckon(struct loans *l, struct record *r, int by)
{
	struct owner *o = r->owner;
	size_t bytes = by > 0 ? r->bytes : 0 - r->bytes, one = by > 0 ? 1 : SIZE_MAX;

	if (r->pins > 0) {
		l->pinned += bytes;
		o->pinned += bytes;
		return;
	}
	l->bytes += bytes;
	l->n_loose += one;
	o->bytes += bytes;
	o->n_loose += one;
}

static void
unlist(struct loans *l, struct record *r)
{
	struct owner *o = r->owner;

	TAILQ_REMOVE(&l->records, r, link);
	reckon(l, r, -1);
	r->owner = NULL;
	r->listed = false;
	o->records--;
	owner_release(l, o);
	record_release(r);
}

/* How much of what there is room for is its client's. */
static size_t
weight_of(const struct owner *o)
{
	return o->bytes + o->n_loose * (LOANS_BYTES / LOANS_MAX);
}

/* Of the client that has the most the eldest goes, until there is room. */
static void
trim(struct loans *l)
{
	while (l->bytes > LOANS_BYTES || l->n_loose > LOANS_MAX) {
		struct owner *o, *most = NULL;
		struct record *r;

		TAILQ_FOREACH(o, &l->owners, link)
		if (!most || weight_of(o) > weight_of(most))
			most = o;
		TAILQ_FOREACH_REVERSE(r, &l->records, records_head, link)
		if (r->owner == most && r->pins == 0)
			break;
		if (!r)
			return;
		unlist(l, r);
	}
}

static bool
is_named(const struct loan *a, const struct loan *b)
{
	return digest_eq(&a->key, &b->key) && same_eq(&a->same, &b->same) &&
	       streq(a->namespace, b->namespace);
}

static struct record *
find_record(const struct loans *l, const struct loan *want)
{
	struct record *r;

	TAILQ_FOREACH(r, &l->records, link)
	if (is_named(r->loan, want))
		return r;
	return NULL;
}

/* The lock is held. 0 or -errno. */
static int
enlist(struct loans *l, struct record *r)
{
	struct record *old = find_record(l, r->loan);
	struct owner *o;

	if (old && old->pins == 0)
		unlist(l, old);
	o = find_owner(l, r->loan->client);
	if (!o)
		return -ENOMEM;
	if (r->bytes > LOANS_PINNED_KEY - o->pinned || r->bytes > LOANS_PINNED - l->pinned) {
		owner_release(l, o);
		return -ENOBUFS;
	}
	r->owner = o;
	r->listed = true;
	o->records++;
	reckon(l, r, 1);
	TAILQ_INSERT_HEAD(&l->records, r, link);
	return 0;
}

int
loans_note(struct loans *l, struct loan *n, struct record **ret)
{
	struct record *r = calloc(1, sizeof(*r));
	int e = r ? 0 : -ENOMEM;

	*ret = NULL;
	if (e == 0) {
		r->loan = n;
		r->bytes = size_of(n);
		r->pins = 1;
		e = r->bytes > LOANS_LARGEST ? -EFBIG : 0;
	}
	if (e == 0) {
		pthread_mutex_lock(&l->lock);
		e = enlist(l, r);
		pthread_mutex_unlock(&l->lock);
	}
	if (e == 0) {
		*ret = r;
		return 0;
	}
	loan_free(n);
	free(r);
	return e;
}

void
loans_release(struct loans *l, struct record *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&l->lock);
	if (r->listed) {
		/* the coordinator may choose it now, however long ago it was made */
		TAILQ_REMOVE(&l->records, r, link);
		TAILQ_INSERT_HEAD(&l->records, r, link);
		reckon(l, r, -1);
		r->pins = 0;
		reckon(l, r, 1);
		trim(l);
	} else {
		r->pins = 0;
		record_release(r);
	}
	pthread_mutex_unlock(&l->lock);
}

int
loans_check(struct loans *l, const struct record *r)
{
	/* it is pinned: nothing of it changes */
	return lend_check(r->loan, l->c.store);
}

/* ---- what is held for samples */

static struct held *
find_held(const struct loans *l, const char *sample)
{
	struct held *h;

	TAILQ_FOREACH(h, &l->held, link)
	if (streq(h->sample, sample))
		return h;
	return NULL;
}

/* The lock is held. Frees it if nobody has it; the directory is the caller's to remove: *ret_dir.
 */
static void
held_forget(struct loans *l, struct held *h, char **ret_dir)
{
	*ret_dir = NULL;
	__atomic_store_n(&h->stop, true, __ATOMIC_RELEASE);
	if (!h->gone) {
		TAILQ_REMOVE(&l->held, h, link);
		l->n_held--;
	}
	h->gone = true;
	if (h->giving)
		return;
	h->record->holds--;
	record_release(h->record);
	*ret_dir = h->dir;
	free(h);
}

static void
remove_dir(char *dir)
{
	if (dir)
		(void)fs_rm_rf(dir);
	free(dir);
}

/* The lock is held. A coordinator that is gone forgets none: the eldest goes, *ret_dir with it. */
static void
make_room(struct loans *l, char **ret_dir)
{
	struct held *h;

	*ret_dir = NULL;
	if (l->n_held < LOANS_HELD)
		return;
	TAILQ_FOREACH(h, &l->held, link)
	if (!h->giving)
		break;
	if (h)
		held_forget(l, h, ret_dir);
}

/* Likewise. */
static struct held *
held_new(struct loans *l, const struct order *o)
{
	struct record *r = find_record(l, &o->want);
	struct held *h = r && l->n_held < LOANS_HELD && !find_held(l, o->sample)
				 ? calloc(1, sizeof(*h))
				 : NULL;

	if (!h)
		return NULL;
	memcpy(h->sample, o->sample, sizeof(h->sample));
	if (asprintf(&h->dir, "%s/" LOANS_PREFIX "%s", l->c.tmp, o->sample) < 0) {
		free(h);
		return NULL;
	}
	h->record = r;
	h->giving = true; /* this thread has it */
	r->holds++;
	TAILQ_INSERT_TAIL(&l->held, h, link);
	l->n_held++;
	return h;
}

/* ---- words */

static void
tell(struct loans *l, const struct order *o, Dray__LendEnd end, const char *text)
{
	struct word *w = calloc(1, sizeof(*w));

	if (!w)
		return;
	memcpy(w->word.sample, o->sample, sizeof(w->word.sample));
	memcpy(w->word.job, o->job, sizeof(w->word.job));
	w->word.end = end;
	snprintf(w->word.text, sizeof(w->word.text), "%s", text);
	pthread_mutex_lock(&l->lock);
	if (l->n_words < WORDS_MAX) {
		TAILQ_INSERT_TAIL(&l->words, w, link);
		l->n_words++;
		w = NULL;
	}
	pthread_mutex_unlock(&l->lock);
	free(w);
	(void)!write(l->fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

bool
loans_next(struct loans *l, struct loans_word *ret)
{
	struct word *w;
	uint64_t rung;

	if (!l)
		return false;
	(void)!read(l->fd, &rung, sizeof(rung));
	pthread_mutex_lock(&l->lock);
	w = TAILQ_FIRST(&l->words);
	if (w) {
		TAILQ_REMOVE(&l->words, w, link);
		l->n_words--;
	}
	pthread_mutex_unlock(&l->lock);
	if (!w)
		return false;
	*ret = w->word;
	free(w);
	return true;
}

int
loans_fd(const struct loans *l)
{
	return l->fd;
}

/* ---- orders */

static void
order_free(struct order *o)
{
	if (!o)
		return;
	free(o->endpoint);
	buf_done(&o->ticket);
	buf_done(&o->signature);
	free(o);
}

static bool
take_digest(const ProtobufCBinaryData *b, struct digest *ret)
{
	if (b->len == DIGEST_SIZE)
		memcpy(ret->b, b->data, DIGEST_SIZE);
	return b->len == DIGEST_SIZE;
}

static bool
take_text(const char *text, char *to, size_t size)
{
	size_t n = strlen(text);

	if (n < size)
		memcpy(to, text, n + 1);
	return n < size;
}

static bool
is_sample(const char *s)
{
	return strlen(s) == 32 && strspn(s, "0123456789abcdef") == 32;
}

/* NULL: it makes no sense, or there is no memory. */
static struct order *
order_of(const Dray__WorkerLend *m)
{
	struct order *o = is_sample(m->sample) ? calloc(1, sizeof(*o)) : NULL;
	bool fine = o != NULL;

	if (!fine)
		return NULL;
	o->what = m->what;
	memcpy(o->sample, m->sample, sizeof(o->sample));
	if (m->what == DRAY__LEND_WHAT__LEND_KEEP) {
		fine = take_text(m->namespace_, o->want.namespace, sizeof(o->want.namespace)) &&
		       take_digest(&m->key, &o->want.key) &&
		       take_digest(&m->inputs, &o->want.same.inputs) &&
		       take_digest(&m->made, &o->want.same.made);
	} else if (m->what == DRAY__LEND_WHAT__LEND_GIVE) {
		o->endpoint = strdup(m->endpoint);
		fine = o->endpoint && take_text(m->worker, o->worker, sizeof(o->worker)) &&
		       take_text(m->job, o->job, sizeof(o->job)) &&
		       take_text(m->curve_public, o->curve, sizeof(o->curve)) &&
		       m->ticket.len > 0 && m->signature.len > 0 &&
		       buf_add(&o->ticket, m->ticket.data, m->ticket.len) == 0 &&
		       buf_add(&o->signature, m->signature.data, m->signature.len) == 0;
	} else {
		fine = m->what == DRAY__LEND_WHAT__LEND_FORGET;
	}
	if (fine)
		return o;
	order_free(o);
	return NULL;
}

/* What is wanted no more ends at once, whatever waits before it. */
static void
stop_giving(struct loans *l, const char *sample)
{
	struct held *h = find_held(l, sample);

	if (h)
		__atomic_store_n(&h->stop, true, __ATOMIC_RELEASE);
}

void
loans_hear(struct loans *l, const Dray__WorkerLend *m)
{
	struct order *o = l ? order_of(m) : NULL;
	struct lend_thread *t;

	if (!o)
		return;
	t = o->what == DRAY__LEND_WHAT__LEND_GIVE ? &l->giver : &l->keeper;
	pthread_mutex_lock(&l->lock);
	if (o->what == DRAY__LEND_WHAT__LEND_FORGET)
		stop_giving(l, o->sample);
	if (t->n < ORDERS_MAX) {
		TAILQ_INSERT_TAIL(&t->orders, o, link);
		t->n++;
		pthread_cond_signal(&t->cond);
		o = NULL;
	}
	pthread_mutex_unlock(&l->lock);
	order_free(o);
}

/* ---- the threads */

static void
keep(struct loans *l, const struct order *o)
{
	bool is_kept; /* since before the coordinator lost sight of this worker */
	struct held *h;
	char *dir = NULL;
	int r = -ENOENT;

	pthread_mutex_lock(&l->lock);
	h = find_held(l, o->sample);
	is_kept = h && h->ready;
	if (!h)
		make_room(l, &dir);
	h = h ? NULL : held_new(l, o);
	pthread_mutex_unlock(&l->lock);
	remove_dir(dir);
	if (is_kept) {
		tell(l, o, DRAY__LEND_END__LENT_KEPT, "");
		return;
	}
	if (h)
		r = lend_keep(h->record->loan, l->c.store, h->dir);
	if (r < 0 && r != -ENOENT)
		log_debug("sample=%s cannot be kept: %s", o->sample, strerror(-r));
	tell(l, o, r == 0 ? DRAY__LEND_END__LENT_KEPT : DRAY__LEND_END__LENT_LACKS,
		r == 0 ? ""
		: h    ? "its inputs are gone"
		       : "it is not known any more");
	if (!h)
		return;
	pthread_mutex_lock(&l->lock);
	h->giving = false;
	h->ready = r == 0;
	dir = NULL;
	if (r < 0 || h->gone)
		held_forget(l, h, &dir);
	pthread_mutex_unlock(&l->lock);
	remove_dir(dir);
}

static void
forget(struct loans *l, const struct order *o)
{
	struct held *h;
	char *dir = NULL;

	pthread_mutex_lock(&l->lock);
	h = find_held(l, o->sample);
	if (h)
		held_forget(l, h, &dir);
	pthread_mutex_unlock(&l->lock);
	remove_dir(dir);
}

static void
give(struct loans *l, const struct order *o)
{
	struct lend_in in = { .ctx = l->c.ctx,
		.identity = l->c.identity,
		.endpoint = o->endpoint,
		.curve = o->curve,
		.ticket = { o->ticket.n, o->ticket.p },
		.signature = { o->signature.n, o->signature.p } };
	char text[LEND_TEXT];
	Dray__LendEnd end;
	struct held *h;
	char *dir = NULL;

	pthread_mutex_lock(&l->lock);
	h = find_held(l, o->sample);
	if (h && (!h->ready || h->giving))
		h = NULL;
	if (h)
		h->giving = true;
	pthread_mutex_unlock(&l->lock);
	if (!h) {
		tell(l, o, DRAY__LEND_END__LENT_LACKS, "it is not held for this sample");
		return;
	}
	in.loan = h->record->loan;
	in.dir = h->dir;
	in.stop = &h->stop;
	end = lend_give(&in, text);
	log_debug("sample=%s was handed to worker=%s: end=%d %s", o->sample, o->worker, (int)end,
		text);
	pthread_mutex_lock(&l->lock);
	h->giving = false;
	if (h->gone)
		held_forget(l, h, &dir);
	pthread_mutex_unlock(&l->lock);
	remove_dir(dir);
	tell(l, o, end, text);
}

static struct order *
take_order(struct lend_thread *t)
{
	struct loans *l = t->loans;
	struct order *o;

	pthread_mutex_lock(&l->lock);
	while (!l->ends && TAILQ_EMPTY(&t->orders))
		pthread_cond_wait(&t->cond, &l->lock);
	o = l->ends ? NULL : TAILQ_FIRST(&t->orders);
	if (o) {
		TAILQ_REMOVE(&t->orders, o, link);
		t->n--;
	}
	pthread_mutex_unlock(&l->lock);
	return o;
}

static void *
work(void *arg)
{
	struct lend_thread *t = arg;
	struct order *o;

	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	while ((o = take_order(t)) != NULL) {
		if (o->what == DRAY__LEND_WHAT__LEND_KEEP)
			keep(t->loans, o);
		else if (o->what == DRAY__LEND_WHAT__LEND_GIVE)
			give(t->loans, o);
		else
			forget(t->loans, o);
		order_free(o);
	}
	return NULL;
}

static int
start(struct loans *l, struct lend_thread *t)
{
	int r;

	t->loans = l;
	r = thread_start(THREAD_JOINED, STACK_BYTES, work, t, &t->thread);
	t->started = r == 0;
	return r;
}

int
loans_open(const struct loans_conf *c, struct loans **ret)
{
	struct loans *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->c = *c;
	l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->keeper.cond, NULL);
	pthread_cond_init(&l->giver.cond, NULL);
	TAILQ_INIT(&l->keeper.orders);
	TAILQ_INIT(&l->giver.orders);
	TAILQ_INIT(&l->records);
	TAILQ_INIT(&l->owners);
	TAILQ_INIT(&l->held);
	TAILQ_INIT(&l->words);
	r = l->fd < 0 ? -errno : start(l, &l->keeper);
	if (r == 0)
		r = start(l, &l->giver);
	if (r < 0) {
		loans_closep(&l);
		return r;
	}
	*ret = l;
	return 0;
}

static void
end_thread(struct lend_thread *t)
{
	struct order *o;

	if (t->started)
		pthread_join(t->thread, NULL);
	while ((o = TAILQ_FIRST(&t->orders)) != NULL) {
		TAILQ_REMOVE(&t->orders, o, link);
		order_free(o);
	}
	pthread_cond_destroy(&t->cond);
}

void
loans_closep(struct loans **ret)
{
	struct loans *l = *ret;
	struct held *h;
	struct loans_word w;

	*ret = NULL;
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->ends = true;
	TAILQ_FOREACH(h, &l->held, link)
	__atomic_store_n(&h->stop, true, __ATOMIC_RELEASE);
	pthread_cond_signal(&l->keeper.cond);
	pthread_cond_signal(&l->giver.cond);
	pthread_mutex_unlock(&l->lock);
	end_thread(&l->keeper);
	end_thread(&l->giver);
	while ((h = TAILQ_FIRST(&l->held)) != NULL) {
		char *dir;

		held_forget(l, h, &dir);
		remove_dir(dir);
	}
	while (TAILQ_FIRST(&l->records))
		unlist(l, TAILQ_FIRST(&l->records));
	while (loans_next(l, &w))
		;
	closep(&l->fd);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
