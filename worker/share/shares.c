/* Results on their way to the coordinator's cache. Invariants: an entry is put only behind all of
 * its blobs; what waits is bounded in bytes and number; nothing of it is in a job's way. */
#include "config.h"

#include "worker/share/shares.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log/log.h"
#include "common/thread.h"
#include "common/text/why.h"
#include "discovery/whereabouts.h"
#include "store/tier/tier.h"
#include "worker/share/shares_priv.h"

#define QUEUE_MAX 2048
#define QUEUE_BYTES (64u << 20) /* of entries; blobs stay in the store. Of a key half of both */
#define STACK_BYTES (1u << 20)
#define NICE 10
#define CONNECT_MS 2000
#define LOOK_MS 250
#define FLUSH_MS 2000 /* at the end, for what waits */
#define REQUEST_MS 20000
#define AGAIN_MS 1000 /* after a failure; then ever longer */
#define AGAIN_MAX_MS 60000
#define TRIES 3

struct parcel {
	TAILQ_ENTRY(parcel) link;
	char job[33], namespace[65], client[CURVE_KEY_SIZE];
	struct digest key;
	struct buf entry, ticket, signature;
	struct shares_file *blobs; /* without names */
	size_t n;
	unsigned tries;
	struct loans *loans;
	struct record *loan; /* so that it can be handed over */
};
TAILQ_HEAD(parcels, parcel);

struct shares {
	struct shares_conf c;
	pthread_t thread;
	pthread_mutex_t lock; /* of all down to `ends` */
	pthread_cond_t cond;
	struct parcels queue;
	size_t n, bytes;
	uint64_t ends;			/* when it ends; 0: it goes on */
	Dray__WorkerUnshared *unshared; /* packages; NULL: none */
	struct log_throttle full, refused;
	struct loans *loans;
	/* the thread's */
	struct store *far;
	uint64_t again_ms, wait_until;
};

static void
parcel_free(struct parcel *p)
{
	if (!p)
		return;
	buf_done(&p->entry);
	buf_done(&p->ticket);
	buf_done(&p->signature);
	loans_release(p->loans, p->loan);
	free(p->blobs);
	free(p);
}

static void
parcel_freep(struct parcel **p)
{
	parcel_free(*p);
}

/* ---- a job */

struct shares_job *
shares_begin(struct shares *s, const char *namespace, const char *client)
{
	struct shares_job *j = s && namespace ? calloc(1, sizeof(*j)) : NULL;

	if (!j)
		return NULL;
	j->share = s;
	snprintf(j->client, sizeof(j->client), "%s", client);
	j->namespace = strdup(namespace);
	if (!j->namespace)
		shares_end(&j);
	return j;
}

void
shares_end(struct shares_job **ret)
{
	struct shares_job *j = *ret;

	*ret = NULL;
	if (!j)
		return;
	for (size_t i = 0; i < j->n; i++)
		free(j->v[i].name);
	free(j->v);
	for (size_t i = 0; i < j->asked.n; i++)
		buf_done(&j->answers[i]);
	free(j->answers);
	strv_done(&j->asked);
	free(j->namespace);
	buf_done(&j->out);
	buf_done(&j->err);
	free(j);
}

void
shares_text(struct shares_job *j, bool out, const void *p, size_t n)
{
	struct buf *to = j && out ? &j->out : j ? &j->err : NULL;

	if (!j || j->too_much)
		return;
	j->too_much = to->n + n > SHARES_TEXT_MAX || buf_add(to, p, n) < 0;
}

void
shares_output(struct shares_job *j, const char *name, unsigned mode, const struct digest *d,
	uint64_t size)
{
	struct shares_file *v;

	if (!j || j->too_much)
		return;
	v = reallocarray(j->v, j->n + 1, sizeof(*v));
	if (v) {
		j->v = v;
		v[j->n] = (struct shares_file){ strdup(name), mode, *d, size };
	}
	j->too_much = !v || !v[j->n].name;
	j->n += !j->too_much;
}

static int
add_answer(struct shares_job *j, const char *path, const Dray__FileAnswer *m)
{
	size_t n = dray__file_answer__get_packed_size(m);
	_cleanup_(freep) uint8_t *p = malloc(n ? n : 1);
	struct buf *v = reallocarray(j->answers, j->asked.n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	j->answers = v;
	v[j->asked.n] = (struct buf)BUF_INIT;
	if (!p)
		return -ENOMEM;
	dray__file_answer__pack(m, p);
	if (n > 0 && buf_add(&v[j->asked.n], p, n) < 0)
		return -ENOMEM;
	if (strv_add(&j->asked, path) == 0)
		return 0;
	buf_done(&v[j->asked.n]);
	return -ENOMEM;
}

void
shares_answer(struct shares_job *j, const char *path, const Dray__FileAnswer *m)
{
	if (!j || j->too_much)
		return;
	/* what is asked again is answered as the first time */
	for (size_t i = 0; i < j->asked.n; i++)
		if (streq(j->asked.v[i], path))
			return;
	j->too_much = j->asked.n >= SHARES_ANSWERS_MAX || add_answer(j, path, m) < 0;
}

/* ---- what is not to be shared */

static void
free_unshared(Dray__WorkerUnshared *m)
{
	if (m)
		dray__worker_unshared__free_unpacked(m, NULL);
}

/* A copy, by packing it. */
void
shares_unshared(struct shares *s, const Dray__WorkerUnshared *m)
{
	size_t n = s ? dray__worker_unshared__get_packed_size(m) : 0;
	_cleanup_(freep) uint8_t *p = malloc(n + 1);
	Dray__WorkerUnshared *copy;

	if (!s || !p)
		return;
	copy = dray__worker_unshared__unpack(NULL, dray__worker_unshared__pack(m, p), p);
	if (!copy)
		return;
	pthread_mutex_lock(&s->lock);
	free_unshared(s->unshared);
	s->unshared = copy;
	pthread_mutex_unlock(&s->lock);
}

static bool
are_unshared(struct shares *s, const char *namespace, const struct strv *recipe)
{
	struct same_unit u;
	bool are = false;

	(void)same_unit_of(recipe, &u);
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; s->unshared && !are && i < s->unshared->n_package; i++) {
		const Dray__UnsharedPackage *k = s->unshared->package[i];

		are = streq(k->crate, u.crate) && streq(k->source, u.source) &&
		      streq(k->namespace_, namespace);
	}
	pthread_mutex_unlock(&s->lock);
	return are;
}

/* ---- the queue */

static void
add_blobs(struct parcel *p, const struct output *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].is_blob)
			p->blobs[p->n++] = (struct shares_file){ .digest = v[i].digest,
				.size = v[i].size };
}

static int
copy_bytes(const ProtobufCBinaryData *from, struct buf *to)
{
	return from->len ? buf_add(to, from->data, from->len) : 0;
}

static int
parcel_make(const struct shares_job *j, const struct shares_made *made,
	const struct shared_entry *e, const struct result *res, struct parcel **ret)
{
	_cleanup_(parcel_freep) struct parcel *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	snprintf(p->job, sizeof(p->job), "%s", made->job);
	snprintf(p->namespace, sizeof(p->namespace), "%s", j->namespace);
	memcpy(p->client, j->client, sizeof(p->client));
	p->loans = j->share->loans;
	p->key = e->key;
	p->blobs = calloc(res->n_outputs + res->n_temporaries + 1, sizeof(*p->blobs));
	r = p->blobs ? shared_entry_encode(e, &p->entry) : -ENOMEM;
	if (r == 0)
		r = copy_bytes(&made->open->ticket, &p->ticket);
	if (r == 0)
		r = copy_bytes(&made->open->signature, &p->signature);
	if (r < 0)
		return r;
	add_blobs(p, res->outputs, res->n_outputs);
	add_blobs(p, res->temporaries, res->n_temporaries);
	*ret = steal_ptr(p);
	return 0;
}

/* One client cannot have others' results lost. */
static bool
has_room_for(const struct shares *s, const struct parcel *p)
{
	const struct parcel *k;
	size_t n = 1, bytes = p->entry.n;

	TAILQ_FOREACH(k, &s->queue, link)
	if (streq(k->client, p->client)) {
		n++;
		bytes += k->entry.n;
	}
	return s->n < QUEUE_MAX && p->entry.n <= QUEUE_BYTES - s->bytes && n <= QUEUE_MAX / 2 &&
	       bytes <= QUEUE_BYTES / 2;
}

/* False: there is no room for it. */
static bool
queue_add(struct shares *s, struct parcel *p)
{
	bool fits;

	pthread_mutex_lock(&s->lock);
	fits = !s->ends && has_room_for(s, p);
	if (fits) {
		TAILQ_INSERT_TAIL(&s->queue, p, link);
		s->n++;
		s->bytes += p->entry.n;
		pthread_cond_signal(&s->cond);
	}
	pthread_mutex_unlock(&s->lock);
	if (fits)
		return true;
	log_throttled(&s->full, 1,
		"the coordinator does not take results for its cache in time: some are not shared");
	parcel_free(p);
	return false;
}

/* Before it is put: the coordinator may choose it as soon as it is there. */
static int
note_loan(const struct shares_job *j, const struct shares_made *made, const struct digest *key,
	const struct result *res, struct parcel *p, char **ret_why)
{
	struct loan *n = loan_new(made->unit, &j->asked, j->answers);
	int r = n ? same_of(res, &n->same) : -ENOMEM;

	if (r < 0) {
		loan_free(n);
		return r;
	}
	snprintf(n->namespace, sizeof(n->namespace), "%s", j->namespace);
	memcpy(n->client, j->client, sizeof(n->client));
	n->key = *key;
	r = loans_note(p->loans, n, &p->loan);
	if (r == -EFBIG)
		return why_set(ret_why, r, "its unit is too large to be handed over to others");
	return r == -ENOBUFS ? why_set(ret_why, r, "too much is on its way to the coordinator") : r;
}

struct loans *
shares_loans(struct shares *s)
{
	return s ? s->loans : NULL;
}

static int
make(struct shares_job *j, const struct shares_made *made, struct shared_entry *ret,
	struct result *ret_result, char **ret_why)
{
	int r = shares_make(j, made, j->share->c.identity, ret, ret_result, ret_why);

	if (r == 0 && are_unshared(j->share, j->namespace, &ret->recipe))
		return why_set(ret_why, -ENOTSUP,
			"it comes out differently each time, as the coordinator says");
	return r;
}

bool
shares_sum(struct shares_job *j, const struct shares_made *made, struct shares_sum *ret)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	_cleanup_(result_done) struct result res = RESULT_INIT;
	_cleanup_(freep) char *why = NULL;
	int r;

	if (!j || made->result->status != 0 || made->result->verdict != DRAY__VERDICT__VERDICT_NONE)
		return false;
	r = make(j, made, &e, &res, &why);
	if (r == 0)
		r = same_of(&res, &ret->same);
	ret->key = e.key;
	if (r < 0)
		log_info("job=%s crate=%.64s of another worker has no result to compare: %s",
			made->job, made->unit->crate, why ? why : strerror(-r));
	return r == 0;
}

bool
shares_offer(struct shares_job *j, const struct shares_made *made)
{
	_cleanup_(shared_entry_done) struct shared_entry e = SHARED_ENTRY_INIT;
	_cleanup_(result_done) struct result res = RESULT_INIT;
	_cleanup_(freep) char *why = NULL;
	_cleanup_(parcel_freep) struct parcel *p = NULL;
	uint64_t start = clock_mono_us();
	char hex[DIGEST_HEX_SIZE];
	int r;

	if (!j || made->result->status != 0 || made->result->verdict != DRAY__VERDICT__VERDICT_NONE)
		return false;
	r = make(j, made, &e, &res, &why);
	if (r == 0)
		r = parcel_make(j, made, &e, &res, &p);
	if (r == 0)
		r = note_loan(j, made, &e.key, &res, p, &why);
	if (r < 0) {
		log_info("job=%s crate=%.64s is not shared: %s", made->job, made->unit->crate,
			why ? why : strerror(-r));
		return false;
	}
	digest_hex(&e.key, hex);
	log_debug("job=%s crate=%.64s is to be shared: key=%s bytes=%zu us=%llu", made->job,
		made->unit->crate, hex, p->entry.n, (unsigned long long)(clock_mono_us() - start));
	return queue_add(j->share, steal_ptr(p));
}

/* ---- the thread */

static bool
has_ended(struct shares *s)
{
	uint64_t ends;

	pthread_mutex_lock(&s->lock);
	ends = s->ends;
	pthread_mutex_unlock(&s->lock);
	return ends && clock_mono_ms() >= ends;
}

static int
connect_far(struct shares *s, char **ret_why)
{
	char now[FOUND_ENDPOINT_MAX], curve[CURVE_KEY_SIZE];
	const struct tier_dial dial = { .endpoint = s->c.moves ? now : s->c.at,
		.identity = s->c.identity,
		.coordinator = curve,
		.role = "worker",
		.connect_ms = CONNECT_MS };
	struct store_in in = { .tmp = s->c.tmp, .request_ms = REQUEST_MS };

	whereabouts_get_key(s->c.key, curve);
	if (s->c.moves)
		whereabouts_get(s->c.moves, now);
	return s->far ? 0 : tier_dial(s->c.ctx, &dial, &in, &s->far, ret_why);
}

struct waited {
	bool done;
	int error;
	struct digest name;
};

static void
on_put(void *arg, const struct store_reply *r)
{
	struct waited *w = arg;

	w->error = r->error;
	w->name = r->name;
	w->done = true;
}

/* It is answered, or the connection is given up. */
static int
await(struct shares *s, struct waited *w)
{
	while (!w->done && !has_ended(s))
		store_work(s->far, LOOK_MS);
	if (w->done)
		return w->error;
	store_closep(&s->far);
	return -ECANCELED;
}

static int
put_blob(struct shares *s, const struct shares_file *b)
{
	struct waited w = { .done = false };
	/* it may have been evicted meanwhile */
	int fd = store_get_now(s->c.store, STORE_BLOB, &b->digest, b->size, NULL), r;

	if (fd < 0)
		return fd == -EMFILE || fd == -ENFILE ? fd : -ESTALE;
	store_put_fd(s->far, fd, on_put, &w);
	r = await(s, &w);
	closep(&fd);
	return r < 0 ? r : digest_eq(&w.name, &b->digest) ? 0 : -ESTALE;
}

static int
put_parcel(struct shares *s, const struct parcel *p)
{
	struct waited w = { .done = false };
	int r = 0;

	tier_for(s->far, p->namespace);
	tier_of_job(s->far, p->ticket.p, p->ticket.n, p->signature.p, p->signature.n);
	for (size_t i = 0; r == 0 && i < p->n; i++)
		r = has_ended(s) ? -ECANCELED : put_blob(s, &p->blobs[i]);
	/* what cannot be handed over any more is not shared */
	if (r == 0)
		r = loans_check(s->loans, p->loan);
	if (r < 0)
		return r == -ENOENT ? -ESTALE : r;
	store_put_entry(s->far, &p->key, p->entry.p, p->entry.n, on_put, &w);
	return await(s, &w);
}

/* Whether it was the coordinator, or the way there, so that a later try may do. */
static bool
is_far(int err)
{
	return err != -ESTALE && err != -ECANCELED && err != -EFBIG && err != -EROFS &&
	       err != -EACCES;
}

static void
note_failure(struct shares *s, const struct parcel *p, int err, const char *why)
{
	store_closep(&s->far);
	s->again_ms = s->again_ms ? MIN2(2 * s->again_ms, (uint64_t)AGAIN_MAX_MS) : AGAIN_MS;
	s->wait_until = clock_mono_ms() + s->again_ms;
	log_throttled(&s->refused, 5, "job=%s cannot be put into the coordinator's cache: %s",
		p->job, why ? why : strerror(-err));
}

/* True: it is done with, in one way or the other. */
static bool
do_parcel(struct shares *s, struct parcel *p)
{
	_cleanup_(freep) char *why = NULL;
	int r = connect_far(s, &why);
	bool dialled = r == 0;

	if (r == 0)
		r = put_parcel(s, p);
	if (r == 0) {
		s->again_ms = s->wait_until = 0;
		log_debug("job=%s is shared: blobs=%zu", p->job, p->n);
		return true;
	}
	/* one without a cache, or that takes none of this worker, may be another one later */
	if (r == -EROFS || is_far(r))
		note_failure(s, p, r, dialled ? NULL : why);
	else if (r == -EACCES)
		log_throttled(&s->refused, 5,
			"job=%s may not be put into the namespace \"%s\" of its client: the "
			"coordinator's log says why",
			p->job, p->namespace);
	if (is_far(r) && ++p->tries < TRIES && !has_ended(s))
		return false;
	return true;
}

/* Waits for one whose time has come. NULL: it is the end. */
static struct parcel *
queue_take(struct shares *s)
{
	struct parcel *p = NULL;

	pthread_mutex_lock(&s->lock);
	while (!p) {
		uint64_t now = clock_mono_ms();

		if (s->ends && (now >= s->ends || now < s->wait_until || TAILQ_EMPTY(&s->queue)))
			break;
		if (!TAILQ_EMPTY(&s->queue) && now >= s->wait_until) {
			p = TAILQ_FIRST(&s->queue);
			TAILQ_REMOVE(&s->queue, p, link);
		} else if (TAILQ_EMPTY(&s->queue)) {
			pthread_cond_wait(&s->cond, &s->lock);
		} else {
			struct timespec until = { .tv_sec = (time_t)(s->wait_until / 1000),
				.tv_nsec = (long)(s->wait_until % 1000) * 1000000L };

			pthread_cond_timedwait(&s->cond, &s->lock, &until);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return p;
}

static void
queue_settle(struct shares *s, struct parcel *p, bool done)
{
	pthread_mutex_lock(&s->lock);
	if (done) {
		s->n--;
		s->bytes -= p->entry.n;
	} else {
		TAILQ_INSERT_HEAD(&s->queue, p, link);
	}
	pthread_mutex_unlock(&s->lock);
	if (done)
		parcel_free(p);
}

static void *
work(void *arg)
{
	struct shares *s = arg;
	struct parcel *p;

	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	while ((p = queue_take(s)))
		queue_settle(s, p, do_parcel(s, p));
	store_closep(&s->far);
	return NULL;
}

/* ---- its life */

static int
start(struct shares *s)
{
	pthread_condattr_t cond;

	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&cond);
	pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
	pthread_cond_init(&s->cond, &cond);
	pthread_condattr_destroy(&cond);
	return thread_start(THREAD_JOINED, STACK_BYTES, work, s, &s->thread);
}

int
shares_open(const struct shares_conf *c, struct shares **ret)
{
	struct shares *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->c = *c;
	TAILQ_INIT(&s->queue);
	r = loans_open(&(struct loans_conf){ c->ctx, c->identity, c->store, c->tmp }, &s->loans);
	if (r == 0)
		r = start(s);
	if (r < 0) {
		loans_closep(&s->loans);
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void
shares_closep(struct shares **ret)
{
	struct shares *s = *ret;
	struct parcel *p;

	*ret = NULL;
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->ends = clock_mono_ms() + FLUSH_MS;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	while ((p = TAILQ_FIRST(&s->queue))) {
		TAILQ_REMOVE(&s->queue, p, link);
		parcel_free(p);
	}
	loans_closep(&s->loans);
	free_unshared(s->unshared);
	pthread_cond_destroy(&s->cond);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
