/* Invariant: a container names only blobs that were in the store before. A result leaves the queue
 * when it is in its container, or can never be; what a store refuses is tried again, ever later. */
#include "config.h"

#include "client/far/upload.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cache/entry.h"
#include "cache/shared.h"
#include "client/far/half_priv.h"
#include "client/far/messages.h"
#include "client/far/queue.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/thread.h"
#include "store/outgoing.h"

#define STACK_BYTES (1u << 20)
#define LOOK_MS 250
#define WAIT_MS 1000
#define WAIT_MAX_MS 60000
#define NICE 10 /* a build comes first */
#define THREADS 6

struct upload {
	struct far_half *h;
	char *dir; /* of the queue */
	struct identity id;
	pthread_t thread;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t cond;
	bool ends, kicked;
	uint64_t left;		      /* results that wait */
	uint64_t wait_ms, wait_until; /* after a failure; 0: none */
	char why[FAR_WHY_MAX];
};

/* A result on its way. */
struct parcel {
	struct upload *u;
	struct queue_item item;
	struct result res;
	struct strv recipe;
	struct buf sealed;
	bool far; /* it was the store that failed */
	char why[200];
};

static bool
has_ended(struct upload *u)
{
	bool ends;

	pthread_mutex_lock(&u->lock);
	ends = u->ends;
	pthread_mutex_unlock(&u->lock);
	return ends;
}

/* Until it is to end, or, where that is asked for, a kick. */
static void
sleep_ms(struct upload *u, uint64_t ms, bool kicks)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&u->lock);
	if (!u->ends && !(kicks && u->kicked))
		pthread_cond_timedwait(&u->cond, &u->lock, &until);
	pthread_mutex_unlock(&u->lock);
}

/* ---- one result */

/* The result as it was when it was queued. */
static int
find_result(struct parcel *p)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	int r = keep_read_entry(p->u->h->keep, &p->item.key, &b);

	if (r == 0)
		r = entry_decode(b.p, b.n, &p->item.key, &e);
	for (size_t i = 0; r == 0 && i < e.n_results; i++) {
		struct digest d;

		r = digest_bytes(e.results[i].p, e.results[i].n, &d);
		if (r < 0 || !digest_eq(&d, &p->item.result))
			continue;
		r = entry_result(&e, i, &p->res);
		for (size_t k = 0; r == 0 && k < e.recipe.n; k++)
			r = strv_add(&p->recipe, e.recipe.v[k]);
		return r;
	}
	return r < 0 ? r : -ENOENT;
}

static int
seal(struct parcel *p)
{
	const struct conf *conf = p->u->h->conf;
	struct believed *believed = p->u->h->believed;
	struct believed_now *now = believed_get(believed);
	_cleanup_(strv_done) struct strv env = STRV_INIT;
	_cleanup_(freep) char *why = NULL;
	static char *const none[] = { NULL };
	struct shared_by by = { .id = &p->u->id,
		.kind = TRUST_PUBLISHER,
		.namespace = now->namespace,
		.any_env = conf->client.share_env == SHARE_ENV_ALL,
		.time_s = p->res.time_s };
	int r = queue_read(p->u->dir, &p->item, &env);

	by.env = env.n ? env.v : none;
	if (r == 0)
		r = shared_seal(&by, &p->item.key, &p->res, &p->sealed, &why);
	believed_put(believed, now);
	return r;
}

static int
count_bytes(const struct parcel *p)
{
	uint64_t max = p->u->h->conf->client.upload_max, bytes = 0;

	for (size_t i = 0; i < p->res.n_outputs; i++)
		bytes += p->res.outputs[i].size;
	return bytes > max ? -EFBIG : 0;
}

/* What a request that changes the stores has come to. */
static int
note_far(struct parcel *p, const struct clerk_request *q, int r)
{
	p->far = r < 0;
	if (r < 0)
		snprintf(p->why, sizeof(p->why), "%.199s", *q->why ? q->why : strerror(-r));
	return r;
}

/* By the rate that is allowed. */
static void
pace(struct upload *u, uint64_t bytes, uint64_t since_ms)
{
	uint64_t rate = u->h->conf->client.upload_rate, took = clock_mono_ms() - since_ms, ms;

	if (!rate)
		return;
	for (ms = bytes * 1000 / rate; ms > took && !has_ended(u);
		took = clock_mono_ms() - since_ms)
		sleep_ms(u, MIN2(ms - took, (uint64_t)LOOK_MS), false);
}

static int
put_blob(struct parcel *p, const struct output *o)
{
	struct far_half *h = p->u->h;
	struct clerk_request has = { .what = CLERK_HAS, .kind = STORE_BLOB, .name = o->digest };
	struct object object = { .fd = -1 };
	struct clerk_request put = { .what = CLERK_PUT_OBJECT, .object = &object };
	_cleanup_(closep) int fd = -1;
	struct store_reply reply;
	uint64_t since = clock_mono_ms();
	int r = stores_are_several(h->stores) ? -ENOENT : stores_ask_now(h->stores, &has, &reply);

	if (r == 0)
		return 0;
	fd = keep_open_blob(h->keep, &o->digest, o->size);
	if (fd < 0)
		return fd;
	/* here, and not by the stores' thread, for which others wait */
	r = outgoing_blob(h->tmp, OBJECT_ZSTD, fd, &object);
	if (r == 0 && !digest_eq(&object.head.name, &o->digest)) {
		object_done(&object);
		return -EBADMSG;
	}
	if (r == 0)
		r = stores_ask_now(h->stores, &put, &reply);
	if (r == 0)
		pace(p->u, o->size, since);
	return note_far(p, &put, r);
}

static int
put_blobs(struct parcel *p, const struct output *v, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		if (v[i].is_blob)
			r = has_ended(p->u) ? -ECANCELED : put_blob(p, &v[i]);
	return r;
}

/* What is in the store of its key. What is damaged there is as nothing. */
static int
get_container(struct parcel *p, struct shared_entry *ret)
{
	struct clerk_request get = {
		.what = CLERK_GET, .kind = STORE_ENTRY, .name = p->item.key, .max = SHARED_MAX
	};
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(closep) int fd = -1;
	struct store_reply reply;
	int r = stores_ask_now(p->u->h->stores, &get, &reply);

	if (r == 0) {
		fd = reply.fd;
		r = buf_reserve(&b, (size_t)reply.size + 1);
		if (r == 0 && fs_read_at(fd, b.p, (size_t)reply.size, 0) != (ssize_t)reply.size)
			r = -EIO;
		if (r == 0)
			r = shared_entry_decode(b.p, (size_t)reply.size, &p->item.key, ret);
	}
	if (r != -ENOENT && r != -EBADMSG) {
		if (r != -EPROTONOSUPPORT)
			note_far(p, &get, r);
		return r;
	}
	ret->key = p->item.key;
	r = 0;
	for (size_t i = 0; r == 0 && i < p->recipe.n; i++)
		r = strv_add(&ret->recipe, p->recipe.v[i]);
	return r;
}

static int
put_container(struct parcel *p)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct clerk_request put = { .what = CLERK_PUT_ENTRY, .name = p->item.key };
	struct store_reply reply;
	int r = get_container(p, &e);

	if (r == 0)
		r = shared_entry_add(&e, &p->sealed);
	if (r == 0)
		r = shared_entry_encode(&e, &b);
	if (r < 0)
		return r;
	put.p = b.p;
	put.n = b.n;
	r = stores_ask_now(p->u->h->stores, &put, &reply);
	return note_far(p, &put, r);
}

static int
upload_one(struct parcel *p)
{
	int r = find_result(p);

	if (r == 0)
		r = count_bytes(p);
	if (r == 0)
		r = seal(p);
	if (r == 0)
		r = put_blobs(p, p->res.outputs, p->res.n_outputs);
	if (r == 0)
		r = put_blobs(p, p->res.temporaries, p->res.n_temporaries);
	return r < 0 ? r : put_container(p);
}

/* ---- the queue */

static void
note(struct upload *u, int error, const char *why)
{
	pthread_mutex_lock(&u->lock);
	if (error == 0) {
		u->wait_ms = u->wait_until = 0;
		*u->why = '\0';
	} else {
		u->wait_ms = u->wait_ms ? MIN2(2 * u->wait_ms, (uint64_t)WAIT_MAX_MS) : WAIT_MS;
		u->wait_until = clock_mono_ms() + u->wait_ms;
		snprintf(u->why, sizeof(u->why), "a store refuses it: %s", why);
	}
	pthread_mutex_unlock(&u->lock);
}

/* True: go on with the next one. *failed: a store has refused it. */
static bool
do_item(struct upload *u, const struct queue_item *i, bool *failed)
{
	struct parcel p = { .u = u, .item = *i, .res = RESULT_INIT };
	int r = upload_one(&p);
	bool done = r == 0 || !(p.far || r == -ECANCELED || r == -ENOMEM || r == -EMFILE);

	if (done)
		queue_remove(u->dir, i);
	*failed = p.far;
	if (p.far)
		note(u, r, p.why);
	result_done(&p.res);
	strv_done(&p.recipe);
	buf_done(&p.sealed);
	/* too large for a store: that is so of this one alone */
	return done || r == -EFBIG;
}

static void
set_left(struct upload *u, uint64_t left)
{
	pthread_mutex_lock(&u->lock);
	u->left = left;
	pthread_mutex_unlock(&u->lock);
}

static bool
keeps_lists(const struct upload *u)
{
	return u->h->ahead && stores_puts(u->h->stores) == FAR_PUTS;
}

/* Those who wait for uploads wait for lists, where these are put. */
static void
note_lists(struct upload *u)
{
	if (u->h->ahead)
		ahead_note_in(u->h->ahead, keeps_lists(u) ? u->dir : NULL);
}

/* What builds have asked for, as lists for those that come (list.h). One that a store does not
 * take, as a coordinator of an earlier version, is no loss. */
static void
put_lists(struct upload *u)
{
	struct digest name;
	struct list l = { NULL, 0 };

	while (!has_ended(u) && ahead_next_list(u->h->ahead, &name, &l)) {
		struct clerk_request put = { .what = CLERK_PUT_ENTRY, .name = name };
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		struct store_reply reply;

		if (list_encode(&l, &b) == 0) {
			put.p = b.p;
			put.n = b.n;
			(void)stores_ask_now(u->h->stores, &put, &reply);
		}
		list_done(&l);
		ahead_list_put(u->h->ahead, &name);
	}
}

/* One round through the queue, by several threads: most of the time one waits for a store. */
struct round {
	struct upload *u;
	const struct queue_item *v;
	size_t n;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t cond;  /* an item is done */
	size_t next, done;
	bool stops; /* a store refuses: the rest waits for the next round */
	bool failed;
	const struct queue_item *active[THREADS];
};

/* Two at once would each replace the object that the other one has just put. */
static bool
is_active(const struct round *o, const struct digest *key)
{
	for (size_t i = 0; i < THREADS; i++)
		if (o->active[i] && digest_eq(&o->active[i]->key, key))
			return true;
	return false;
}

/* The next item, which is active then in *ret_slot; NULL: there is none. */
static const struct queue_item *
next_item(struct round *o, size_t *ret_slot)
{
	const struct queue_item *i = NULL;

	pthread_mutex_lock(&o->lock);
	while (!o->stops && o->next < o->n && is_active(o, &o->v[o->next].key))
		pthread_cond_wait(&o->cond, &o->lock);
	if (!o->stops && o->next < o->n && !has_ended(o->u)) {
		i = &o->v[o->next++];
		for (*ret_slot = 0; o->active[*ret_slot]; ++*ret_slot)
			;
		o->active[*ret_slot] = i;
	}
	pthread_mutex_unlock(&o->lock);
	return i;
}

static void *
do_items(void *arg)
{
	struct round *o = arg;
	const struct queue_item *i;
	size_t slot = 0;

	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	while ((i = next_item(o, &slot)) != NULL) {
		bool failed, goes_on = do_item(o->u, i, &failed);

		pthread_mutex_lock(&o->lock);
		o->failed |= failed;
		o->active[slot] = NULL;
		o->stops |= !goes_on;
		if (goes_on)
			set_left(o->u, o->n - ++o->done);
		pthread_cond_broadcast(&o->cond);
		pthread_mutex_unlock(&o->lock);
	}
	return NULL;
}

/* At a rate that is bounded one thread does it. */
static void
do_round(struct round *o)
{
	size_t most = o->u->h->conf->client.upload_rate ? 1 : MIN2((size_t)THREADS, o->n), n = 0;
	pthread_t threads[THREADS];

	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->cond, NULL);
	while (n + 1 < most &&
		thread_start(THREAD_JOINED, STACK_BYTES, do_items, o, &threads[n]) == 0)
		n++;
	(void)do_items(o);
	while (n > 0)
		pthread_join(threads[--n], NULL);
	pthread_cond_destroy(&o->cond);
	pthread_mutex_destroy(&o->lock);
	if (o->done > 0 && !o->failed)
		note(o->u, 0, "");
}

/* Whether a result is to be sealed for a namespace that the coordinator has not said yet. */
static bool
waits_for_namespace(const struct upload *u)
{
	const struct far_farm *farm = u->h->farm;
	const char *own = u->h->conf->client.namespace;

	return farm && !(own && *own) && !believed_is_told(u->h->believed) &&
	       (farm->will_vouch(farm->arg) || farm->puts(farm->arg) == FAR_PUTS_LATER);
}

static void
do_queue(struct upload *u)
{
	enum far_puts puts = waits_for_namespace(u) ? FAR_PUTS_LATER : stores_puts(u->h->stores);
	_cleanup_(freep) struct queue_item *v = NULL;
	_cleanup_(closep) int lock = -1;
	struct round o = { .u = u };

	if (queue_list(u->dir, &v, &o.n) < 0)
		return;
	o.v = v;
	set_left(u, o.n);
	if (o.n && puts != FAR_PUTS) {
		note(u, -ENOTCONN,
			puts == FAR_PUTS_NO ? "the coordinator takes none of this client"
					    : "the coordinator is away");
		return;
	}
	lock = o.n ? queue_lock(u->dir) : -1;
	if (lock >= 0)
		do_round(&o);
}

static bool
is_due(struct upload *u)
{
	bool due;

	pthread_mutex_lock(&u->lock);
	due = u->kicked || clock_mono_ms() >= u->wait_until;
	u->kicked = false;
	/* from now on it is busy */
	if (due)
		u->wait_until = 0;
	pthread_mutex_unlock(&u->lock);
	return due;
}

static void *
work(void *arg)
{
	struct upload *u = arg;

	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	while (!has_ended(u)) {
		if (is_due(u))
			do_queue(u);
		note_lists(u);
		if (keeps_lists(u))
			put_lists(u);
		sleep_ms(u, LOOK_MS, true);
	}
	return NULL;
}

/* ---- its life */

static int
start(struct upload *u)
{
	pthread_condattr_t cond;

	pthread_mutex_init(&u->lock, NULL);
	pthread_condattr_init(&cond);
	pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
	pthread_cond_init(&u->cond, &cond);
	pthread_condattr_destroy(&cond);
	return thread_start(THREAD_JOINED, STACK_BYTES, work, u, &u->thread);
}

int
upload_open(struct far_half *h, struct upload **ret)
{
	_cleanup_(freep) struct upload *u = NULL;
	_cleanup_(freep) char *dir = NULL;
	const char *identity = h->conf->client.identity;
	int r;

	if (!identity || !*identity || !stores_are_written(h->stores))
		return 0;
	u = calloc(1, sizeof(*u));
	if (!u || queue_dir(h->conf, &dir) < 0)
		return -ENOMEM;
	/* one that cannot sign uploads nothing: doctor says so */
	r = identity_load(identity, &u->id, NULL);
	if (r < 0 || !u->id.has_secret)
		return r == -ENOMEM ? r : 0;
	u->h = h;
	u->dir = dir;
	note_lists(u);
	r = start(u);
	if (r < 0) {
		if (h->ahead)
			ahead_note_in(h->ahead, NULL);
		identity_done(&u->id);
		return r;
	}
	dir = NULL;
	*ret = steal_ptr(u);
	return 0;
}

void
upload_closep(struct upload **ret)
{
	struct upload *u = *ret;

	*ret = NULL;
	if (!u)
		return;
	pthread_mutex_lock(&u->lock);
	u->ends = true;
	pthread_cond_signal(&u->cond);
	pthread_mutex_unlock(&u->lock);
	pthread_join(u->thread, NULL);
	if (u->h->ahead)
		ahead_note_in(u->h->ahead, NULL);
	pthread_cond_destroy(&u->cond);
	pthread_mutex_destroy(&u->lock);
	identity_done(&u->id);
	free(u->dir);
	free(u);
}

bool
upload_is_busy(struct upload *u)
{
	bool busy;

	pthread_mutex_lock(&u->lock);
	busy = u->left > 0 && !u->wait_until;
	pthread_mutex_unlock(&u->lock);
	return busy;
}

uint64_t
upload_kick(struct upload *u, char *why, size_t size)
{
	_cleanup_(freep) struct queue_item *v = NULL;
	size_t n = 0;
	uint64_t left;

	pthread_mutex_lock(&u->lock);
	u->kicked = true;
	pthread_cond_signal(&u->cond);
	snprintf(why, size, "%s", u->why);
	left = u->left;
	pthread_mutex_unlock(&u->lock);
	/* what came since the last look, too */
	if (queue_list(u->dir, &v, &n) == 0)
		left = n;
	return left + queue_count_lists(u->dir);
}
