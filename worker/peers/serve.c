/* Invariants: the lock is not held while a disk is waited for; a request that the thread has is
 * freed by it alone; what a request has on its way counts until it is acknowledged, or the request
 * is forgotten. */
#include "config.h"

#include "worker/peers/serve.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/thread.h"
#include "proto/chunk.h"

#define STACK_BYTES (1u << 20)
#define LOOK_MS 500

struct get {
	TAILQ_ENTRY(get) link;
	struct wire_peer peer;
	uint32_t number;
	char owner[41];
	unsigned credit, on_way;
	uint64_t moved_ms; /* when it last acknowledged something, or had nothing to */
	bool busy;	   /* the thread has it */
	bool gone;	   /* nobody wants it; the thread frees it */
	bool stopped, over;

	/* the thread's */
	struct digest *names;
	uint32_t n, item;
	uint64_t most, size, offset;
	bool look, compress;
	int fd; /* of the item; -1: it is not open */
	uint32_t *absent;
	uint64_t *sizes;
	uint32_t n_absent;
};

struct word {
	TAILQ_ENTRY(word) link;
	struct serve_word word;
};
TAILQ_HEAD(words, word);

struct serve {
	struct store *store;
	struct owners *owners;
	unsigned stall_ms;
	pthread_t thread;
	bool started;
	struct chunk_coder *coder; /* the thread's */
	int fd;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t cond;
	TAILQ_HEAD(, get) gets; /* whose turn it is comes first */
	struct words words;
	unsigned n_gets, on_way;
	bool ends;
};

/* ---- requests; the lock is held */

static void
get_free(struct get *g)
{
	closep(&g->fd);
	free(g->names);
	free(g->absent);
	free(g->sizes);
	free(g);
}

static void
forget(struct serve *s, struct get *g)
{
	TAILQ_REMOVE(&s->gets, g, link);
	s->n_gets--;
	s->on_way -= g->on_way;
	g->on_way = 0;
	g->gone = true;
	if (!g->busy)
		get_free(g);
}

static struct get *
find(struct serve *s, const struct wire_peer *peer, uint32_t number)
{
	struct get *g;

	TAILQ_FOREACH(g, &s->gets, link)
	if (g->number == number && wire_peer_eq(&g->peer, peer))
		return g;
	return NULL;
}

static unsigned
count_of_key(const struct serve *s, const char *curve)
{
	const struct get *g;
	unsigned n = 0;

	TAILQ_FOREACH(g, &s->gets, link)
	n += streq(g->peer.curve, curve);
	return n;
}

static int
fill(struct get *g, const Dray__SharedGet *m)
{
	g->names = calloc(m->n_name, sizeof(*g->names));
	g->absent = calloc(m->n_name, sizeof(*g->absent));
	g->sizes = calloc(m->n_name, sizeof(*g->sizes));
	if (!g->names || !g->absent || !g->sizes)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_name; i++) {
		if (m->name[i].len != DIGEST_SIZE)
			return -EBADMSG;
		memcpy(g->names[i].b, m->name[i].data, DIGEST_SIZE);
	}
	g->n = (uint32_t)m->n_name;
	g->most = m->most ? m->most : UINT64_MAX;
	g->look = m->look;
	g->compress = m->compress;
	g->credit = m->credit;
	return 0;
}

int
serve_get(struct serve *s, const struct wire_peer *peer, uint32_t number, const char *owner,
	const Dray__SharedGet *m)
{
	struct get *g;
	int r;

	if (m->entry || m->n_name < 1 || m->n_name > WIRE_SHARED_ITEMS_MAX || m->credit < 1 ||
		m->credit > WIRE_SHARED_CREDIT_MAX)
		return -EBADMSG;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->fd = -1;
	g->peer = *peer;
	g->number = number;
	snprintf(g->owner, sizeof(g->owner), "%s", owner);
	r = fill(g, m);
	if (r < 0) {
		get_free(g);
		return r;
	}
	g->moved_ms = clock_mono_ms();
	pthread_mutex_lock(&s->lock);
	if (find(s, peer, number))
		r = -EBADMSG;
	else if (s->n_gets >= SERVE_REQUESTS || count_of_key(s, peer->curve) >= SERVE_REQUESTS_KEY)
		r = -EBUSY;
	if (r == 0) {
		TAILQ_INSERT_TAIL(&s->gets, g, link);
		s->n_gets++;
		pthread_cond_signal(&s->cond);
	}
	pthread_mutex_unlock(&s->lock);
	if (r < 0)
		get_free(g);
	return r;
}

void
serve_credit(struct serve *s, const struct wire_peer *peer, uint32_t number, uint32_t n)
{
	struct get *g;

	pthread_mutex_lock(&s->lock);
	g = find(s, peer, number);
	if (g) {
		n = MIN2(n, g->on_way);
		g->on_way -= n;
		s->on_way -= n;
		g->credit += n;
		g->moved_ms = clock_mono_ms();
		if (g->over && g->on_way == 0)
			forget(s, g);
		pthread_cond_signal(&s->cond);
	}
	pthread_mutex_unlock(&s->lock);
}

void
serve_stop(struct serve *s, const struct wire_peer *peer, uint32_t number)
{
	struct get *g;

	pthread_mutex_lock(&s->lock);
	g = find(s, peer, number);
	if (g)
		g->stopped = true;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
}

void
serve_gone(struct serve *s, const struct wire_peer *peer)
{
	struct get *g, *next;

	pthread_mutex_lock(&s->lock);
	for (g = TAILQ_FIRST(&s->gets); g; g = next) {
		next = TAILQ_NEXT(g, link);
		if (wire_peer_eq(&g->peer, peer))
			forget(s, g);
	}
	pthread_mutex_unlock(&s->lock);
}

/* ---- words */

bool
serve_next(struct serve *s, struct serve_word *ret)
{
	struct word *w;
	uint64_t rung;

	(void)!read(s->fd, &rung, sizeof(rung));
	pthread_mutex_lock(&s->lock);
	w = TAILQ_FIRST(&s->words);
	if (w)
		TAILQ_REMOVE(&s->words, w, link);
	pthread_mutex_unlock(&s->lock);
	if (!w)
		return false;
	*ret = w->word;
	free(w);
	return true;
}

int
serve_fd(const struct serve *s)
{
	return s->fd;
}

/* ---- the thread */

/* The next chunk or the end of a request; NULL: no memory. */
static struct word *
word_new(const struct get *g, enum wire_type type, const ProtobufCMessage *body, zmq_msg_t *payload)
{
	struct word *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->word.peer = g->peer;
	w->word.data = payload != NULL;
	zmq_msg_init(&w->word.frames[0]);
	zmq_msg_init(&w->word.frames[1]);
	if (wire_encode_number(type, g->number, body, &w->word.frames[0]) < 0) {
		free(w);
		return NULL;
	}
	if (payload)
		zmq_msg_move(&w->word.frames[1], payload);
	return w;
}

static int
open_item(struct serve *s, struct get *g, const struct digest *name)
{
	/* that it is not here, and that it may not be had, is one answer */
	return owners_has(s->owners, g->owner, name)
		       ? store_get_now(s->store, STORE_BLOB, name, g->most, &g->size)
		       : -ENOENT;
}

/* Opens the next one that is here, or finds that there is none. */
static void
find_item(struct serve *s, struct get *g)
{
	while (g->item < g->n && g->fd < 0) {
		g->offset = 0;
		g->fd = open_item(s, g, &g->names[g->item]);
		if (g->fd < 0) {
			g->absent[g->n_absent++] = g->item++;
		} else if (g->look) {
			g->sizes[g->item++] = g->size;
			closep(&g->fd);
		}
	}
}

static struct word *
end_word(struct get *g, Dray__Verdict verdict, const char *why)
{
	Dray__SharedEnd m = DRAY__SHARED_END__INIT;
	char text[64];

	snprintf(text, sizeof(text), "%s", why);
	m.verdict = verdict;
	m.text = text;
	m.absent = g->absent;
	m.n_absent = g->n_absent;
	m.sizes = g->sizes;
	m.n_sizes = g->look ? g->n : 0;
	return word_new(g, WIRE_SHARED_END, &m.base, NULL);
}

/* 0 and the word; -errno. */
static int
read_chunk(struct serve *s, struct get *g, struct word **ret)
{
	size_t n = (size_t)MIN2(g->size - g->offset, (uint64_t)WIRE_CHUNK_MAX);
	_cleanup_(freep) uint8_t *p = malloc(n + 1);
	Dray__SharedData m = DRAY__SHARED_DATA__INIT;
	zmq_msg_t payload;
	bool zstd = false;
	int r;

	if (!p)
		return -ENOMEM;
	if (fs_read_at(g->fd, p, n, g->offset) != (ssize_t)n)
		return -EIO;
	r = chunk_encode(s->coder, p, n, g->compress, &payload, &zstd);
	if (r < 0)
		return r;
	m.item = g->item;
	m.offset = g->offset;
	m.total = g->size;
	m.size = (uint32_t)n;
	m.zstd = zstd;
	g->offset += n;
	m.last = g->offset == g->size;
	if (m.last) {
		closep(&g->fd);
		g->item++;
	}
	*ret = word_new(g, WIRE_SHARED_DATA, &m.base, &payload);
	zmq_msg_close(&payload);
	return *ret ? 0 : -ENOMEM;
}

/* One chunk, or the end. */
static struct word *
do_one(struct serve *s, struct get *g, bool stopped, bool *ret_over)
{
	struct word *w = NULL;
	int r;

	*ret_over = true;
	if (stopped)
		return end_word(g, DRAY__VERDICT__VERDICT_CANCELLED, "");
	find_item(s, g);
	if (g->item == g->n)
		return end_word(g, DRAY__VERDICT__VERDICT_NONE, "");
	r = read_chunk(s, g, &w);
	if (r < 0)
		return end_word(g, DRAY__VERDICT__VERDICT_NO_ROOM, "it cannot be read");
	*ret_over = false;
	return w;
}

/* The lock is held. Those that take nothing of what they were sent make room for others. */
static void
forget_stalled(struct serve *s)
{
	uint64_t now = clock_mono_ms();
	struct get *g, *next;

	for (g = TAILQ_FIRST(&s->gets); g; g = next) {
		next = TAILQ_NEXT(g, link);
		if (g->on_way == 0)
			g->moved_ms = now;
		else if (now - g->moved_ms >= s->stall_ms)
			forget(s, g);
	}
}

/* Likewise. The one whose turn it is, or NULL. */
static struct get *
choose(struct serve *s)
{
	struct get *g;

	TAILQ_FOREACH(g, &s->gets, link)
	if (!g->over && (g->stopped || (g->credit > 0 && s->on_way < SERVE_ON_WAY)))
		break;
	if (!g)
		return NULL;
	TAILQ_REMOVE(&s->gets, g, link);
	TAILQ_INSERT_TAIL(&s->gets, g, link);
	return g;
}

static void
wait_for_more(struct serve *s)
{
	struct timespec until;

	if (s->on_way == 0) {
		pthread_cond_wait(&s->cond, &s->lock);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pthread_cond_timedwait(&s->cond, &s->lock, &until);
}

/* The lock is held. */
static void
settle(struct serve *s, struct get *g, struct word *w, bool over)
{
	bool data = w && w->word.data;

	g->busy = false;
	if (w && !g->gone) {
		TAILQ_INSERT_TAIL(&s->words, w, link);
		if (g->on_way == 0)
			g->moved_ms = clock_mono_ms();
		g->on_way += data;
		s->on_way += data;
		g->credit -= data;
		w = NULL;
	}
	if (w) {
		zmq_msg_close(&w->word.frames[0]);
		zmq_msg_close(&w->word.frames[1]);
		free(w);
	}
	g->over = over;
	if (g->gone)
		get_free(g);
	else if (over && g->on_way == 0)
		forget(s, g);
}

static void *
work(void *arg)
{
	struct serve *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->ends) {
		struct get *g = choose(s);
		struct word *w;
		bool stopped, over;

		if (!g) {
			wait_for_more(s);
			forget_stalled(s);
			continue;
		}
		g->busy = true;
		stopped = g->stopped;
		pthread_mutex_unlock(&s->lock);
		w = do_one(s, g, stopped, &over);
		pthread_mutex_lock(&s->lock);
		settle(s, g, w, over);
		(void)!write(s->fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- its life */

static int
start(struct serve *s)
{
	pthread_condattr_t cond;
	int r;

	pthread_condattr_init(&cond);
	pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
	pthread_cond_init(&s->cond, &cond);
	pthread_condattr_destroy(&cond);
	r = thread_start(THREAD_JOINED, STACK_BYTES, work, s, &s->thread);
	s->started = r == 0;
	return r;
}

int
serve_open(struct store *store, struct owners *owners, unsigned stall_ms, struct serve **ret)
{
	struct serve *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->store = store;
	s->owners = owners;
	s->stall_ms = stall_ms;
	TAILQ_INIT(&s->gets);
	TAILQ_INIT(&s->words);
	pthread_mutex_init(&s->lock, NULL);
	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = s->fd < 0 ? -errno : chunk_coder_new(&s->coder);
	if (r == 0)
		r = start(s);
	if (r < 0)
		serve_closep(&s);
	else
		*ret = s;
	return r;
}

void
serve_closep(struct serve **ret)
{
	struct serve *s = *ret;
	struct serve_word w;

	*ret = NULL;
	if (!s)
		return;
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->ends = true;
		pthread_cond_signal(&s->cond);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
		pthread_cond_destroy(&s->cond);
	}
	while (TAILQ_FIRST(&s->gets))
		forget(s, TAILQ_FIRST(&s->gets));
	while (s->fd >= 0 && serve_next(s, &w)) {
		zmq_msg_close(&w.frames[0]);
		zmq_msg_close(&w.frames[1]);
	}
	chunk_coder_free(s->coder);
	closep(&s->fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
