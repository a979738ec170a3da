/* The row: requests, and what each asks of the server.
 *
 * Invariants: each open request is in `open`, in the order of coming; all have the same limit of
 * time, so the first is the first to be late. A request has one command under way at most. It can
 * begin again at any time: what it did before does no harm. */
#include "config.h"

#include "store/redis/redis.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "common/text/why.h"
#include "store/incoming.h"
#include "store/outgoing.h"
#include "store/redis/link.h"
#include "store/redis/settings.h"
#include "store/waiter.h"

#define PIECE ((uint64_t)4 << 20)
#define VALUE_MAX ((uint64_t)512 << 20)
/* Below this, to ask whether it is there costs more than to send it. */
#define ASK_FIRST ((uint64_t)16 << 10)
#define TRIES 2u
#define UNFINISHED_S "600"
#define KEY_SIZE 512

enum step {
	STEP_HEAD,   /* has */
	STEP_GET,    /* a piece */
	STEP_ASK,    /* put: whether it is there */
	STEP_SET,    /* all of it */
	STEP_BEGIN,  /* the first piece */
	STEP_APPEND, /* another */
	STEP_KEEP,   /* it no longer ends by itself, or later */
	STEP_NAME,   /* it gets its name */
	STEP_NOTE    /* nobody waits for the answer */
};

struct redis;

struct request {
	struct link_command command; /* first: a command is its request */
	struct redis *redis;
	struct request *prev, *next; /* in open */
	enum step first, step;
	enum store_kind kind;
	struct digest name;
	char key[KEY_SIZE];
	char temp[KEY_SIZE]; /* of what is not whole on the server */
	uint64_t at;	     /* in the object: the piece */
	uint64_t until;	     /* clock_mono_ms() */
	unsigned tries;
	bool at_link; /* the link has the command */
	bool answered;
	struct incoming *in;  /* get */
	struct object object; /* put */
	store_done_fn done;
	void *arg;
};

struct redis {
	struct store base;
	struct waiter waiter;
	struct link *link;
	struct redis_settings settings;
	struct request *first, *last; /* open */
	bool working;
};

static struct redis *
redis_of(struct store *s)
{
	return (struct redis *)s;
}

static struct request *
request_of(struct link_command *c)
{
	return (struct request *)c;
}

static void
free_request(struct request *q)
{
	incoming_free(q->in);
	object_done(&q->object);
	buf_done(&q->command.head);
	free(q);
}

static void
unlink_request(struct request *q)
{
	struct redis *r = q->redis;

	*(q->prev != NULL ? &q->prev->next : &r->first) = q->next;
	*(q->next != NULL ? &q->next->prev : &r->last) = q->prev;
}

/* Answers it. While the link has its command it stays, and nobody waits for it any more: it holds
 * nothing of what came, since a server may owe its answer for ever. */
static void
answer(struct request *q, const struct store_reply *reply)
{
	q->answered = true;
	unlink_request(q);
	q->done(q->arg, reply);
	if (!q->at_link) {
		free_request(q);
		return;
	}
	incoming_free(q->in);
	q->in = NULL;
}

static void
answer_error(struct request *q, int error)
{
	const struct store_reply reply = { .error = error, .fd = -1 };

	answer(q, &reply);
}

static void
answer_put(struct request *q, bool was_there)
{
	const struct store_reply reply = { .was_there = was_there,
		.name = q->object.head.name,
		.size = q->object.head.size,
		.fd = -1 };

	answer(q, &reply);
}

/* Commands. */

static void
new_temp(struct request *q)
{
	uint8_t random[12] = { 0 };
	int n = snprintf(q->temp, sizeof(q->temp), "%stmp/", q->redis->settings.prefix);

	/* two that are equal, of two clients at once, would be a damaged object: no more */
	(void)getrandom(random, sizeof(random), GRND_NONBLOCK);
	for (size_t i = 0; i < sizeof(random); i++)
		n += snprintf(q->temp + n, sizeof(q->temp) - (size_t)n, "%02x", random[i]);
}

static uint64_t
piece_of(const struct request *q)
{
	return MIN2(PIECE, q->object.length - q->at);
}

static int
write_range(struct request *q, uint64_t from, uint64_t to)
{
	char a[24], b[24];
	const char *const words[] = { "GETRANGE", q->key, a, b, NULL };

	snprintf(a, sizeof(a), "%llu", (unsigned long long)from);
	snprintf(b, sizeof(b), "%llu", (unsigned long long)to);
	return link_words(&q->command.head, words, 0);
}

/* "SET key <all of it> [NX] [EX n]" */
static int
write_set(struct request *q)
{
	const char *const words[] = { "SET", q->key, NULL };
	struct link_command *c = &q->command;
	bool blob = q->kind == STORE_BLOB;
	char seconds[24], ex[40] = "";
	int n = snprintf(
		seconds, sizeof(seconds), "%llu", (unsigned long long)q->redis->settings.expire_s);
	int r;

	if (q->redis->settings.expire_s > 0)
		snprintf(ex, sizeof(ex), "$2\r\nEX\r\n$%d\r\n%s\r\n", n, seconds);
	snprintf(c->tail, sizeof(c->tail), "\r\n%s%s", blob ? "$2\r\nNX\r\n" : "", ex);
	r = link_words(&c->head, words, 1u + blob + (ex[0] != '\0' ? 2u : 0u));
	if (r == 0)
		r = link_value(&c->head, NULL, q->object.length);
	c->fd = q->object.fd;
	c->at = 0;
	c->n = q->object.length;
	return r;
}

static int
write_piece(struct request *q)
{
	const char *const begin[] = { "SET", q->temp, NULL };
	const char *const append[] = { "APPEND", q->temp, NULL };
	bool first = q->step == STEP_BEGIN;
	int r = link_words(&q->command.head, first ? begin : append, first ? 3 : 1);

	if (r == 0)
		r = link_value(&q->command.head, NULL, piece_of(q));
	q->command.fd = q->object.fd;
	q->command.at = q->at;
	q->command.n = piece_of(q);
	snprintf(q->command.tail, sizeof(q->command.tail), "%s",
		first ? "\r\n$2\r\nEX\r\n$3\r\n" UNFINISHED_S "\r\n" : "\r\n");
	return r;
}

static int
write_expiry(struct request *q, const char *key)
{
	char seconds[24];
	const char *const words[] = { "EXPIRE", key, seconds, NULL };

	snprintf(seconds, sizeof(seconds), "%llu", (unsigned long long)q->redis->settings.expire_s);
	return link_words(&q->command.head, words, 0);
}

static int
write_command(struct request *q)
{
	const char *const touch[] = { "TOUCH", q->key, NULL };
	const char *const keep[] = { "PERSIST", q->temp, NULL };
	const char *const name[] = { q->kind == STORE_BLOB ? "RENAMENX" : "RENAME", q->temp, q->key,
		NULL };
	struct link_command *c = &q->command;

	c->head.n = 0;
	c->n = 0;
	c->tail[0] = '\0';
	c->is_download = q->step == STEP_GET;
	c->is_upload = q->step == STEP_SET || q->step == STEP_BEGIN || q->step == STEP_APPEND;
	switch (q->step) {
	case STEP_HEAD:
		return write_range(q, 0, OBJECT_HEAD_SIZE - 1);
	case STEP_GET:
		return write_range(q, q->at, q->at + PIECE - 1);
	case STEP_ASK:
		return link_words(&c->head, touch, 0);
	case STEP_SET:
		return write_set(q);
	case STEP_BEGIN:
	case STEP_APPEND:
		return write_piece(q);
	case STEP_KEEP:
		return q->redis->settings.expire_s > 0 ? write_expiry(q, q->temp)
						       : link_words(&c->head, keep, 0);
	case STEP_NAME:
		return link_words(&c->head, name, 0);
	case STEP_NOTE:
		break;
	}
	return -EINVAL;
}

static void
send_step(struct request *q, enum step step)
{
	int r;

	q->step = step;
	r = write_command(q);
	if (r == 0)
		r = link_send(q->redis->link, &q->command);
	if (r < 0)
		answer_error(q, r);
	else
		q->at_link = true;
}

static enum step
begin_put(struct request *q)
{
	if (q->object.length <= PIECE)
		return STEP_SET;
	new_temp(q);
	return STEP_BEGIN;
}

/* From its beginning. */
static void
start(struct request *q)
{
	int r = 0;

	q->at = 0;
	if (q->in != NULL)
		r = incoming_restart(q->in);
	if (r < 0)
		answer_error(q, r);
	else if (q->object.fd < 0)
		send_step(q, q->first);
	else if (q->kind == STORE_BLOB && q->object.length > ASK_FIRST)
		send_step(q, STEP_ASK);
	else
		send_step(q, begin_put(q));
}

/* Commands that nobody waits for: to renew a key, to delete one. They have no part in open. */

static void
noted(struct link_command *c, const struct reply *reply)
{
	struct request *q = request_of(c);

	(void)reply;
	free_request(q);
}

static void
not_noted(struct link_command *c, int error)
{
	(void)error;
	free_request(request_of(c));
}

static void
note(struct redis *r, const char *const *words)
{
	struct request *q;

	if (r->base.read_only)
		return;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return;
	q->redis = r;
	q->step = STEP_NOTE;
	q->object.fd = -1;
	q->command.replied = noted;
	q->command.lost = not_noted;
	if (link_words(&q->command.head, words, 0) < 0 || link_send(r->link, &q->command) < 0)
		free_request(q);
}

/* The server's time. INFO answers by one text, as all other commands here do; TIME by a list. */
static void
told_clock(struct link_command *c, const struct reply *reply)
{
	static const char name[] = "server_time_usec:";
	struct request *q = request_of(c);
	struct redis *r = q->redis;
	const char *at = NULL;
	uint64_t us = 0;

	if (reply->kind == REPLY_BYTES)
		at = memmem(reply->p, reply->n, name, strlen(name));
	at = at ? at + strlen(name) : NULL;
	for (; at && at < reply->p + reply->n && *at >= '0' && *at <= '9' && us < INT64_MAX / 100;
		at++)
		us = 10 * us + (uint64_t)(*at - '0');
	if (us > 0) {
		r->base.has_clock = true;
		r->base.clock_ahead_ms = (int64_t)(us / 1000) - (int64_t)clock_wall_ms();
	}
	free_request(q);
}

static void
redis_ask_clock(struct store *s)
{
	static const char *const words[] = { "INFO", "server", NULL };
	struct redis *r = redis_of(s);
	struct request *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return;
	q->redis = r;
	q->step = STEP_NOTE;
	q->object.fd = -1;
	q->command.replied = told_clock;
	q->command.lost = not_noted;
	if (link_words(&q->command.head, words, 0) < 0 || link_send(r->link, &q->command) < 0)
		free_request(q);
}

static void
note_use(struct request *q)
{
	char seconds[24];
	const char *const words[] = { "EXPIRE", q->key, seconds, NULL };

	snprintf(seconds, sizeof(seconds), "%llu", (unsigned long long)q->redis->settings.expire_s);
	if (q->redis->settings.expire_s > 0)
		note(q->redis, words);
}

static void
note_damage(struct request *q)
{
	const char *const words[] = { "DEL", q->key, NULL };

	log_debug("redis: what %s holds is damaged", q->key);
	note(q->redis, words);
}

static void
note_unfinished(struct request *q)
{
	const char *const words[] = { "DEL", q->temp, NULL };

	note(q->redis, words);
}

/* Replies. */

/* Of an error only its first word is looked at, and shown. */
static int
error_of(struct redis *r, const struct reply *reply)
{
	static const struct {
		const char *word;
		int error;
	} WORDS[] = { { "OOM", -ENOSPC }, { "NOAUTH", -EACCES }, { "WRONGPASS", -EACCES },
		{ "NOPERM", -EACCES }, { "READONLY", -EROFS }, { "MISCONF", -EROFS },
		{ "NOREPLICAS", -EROFS }, { "LOADING", -EAGAIN }, { "BUSY", -EAGAIN },
		{ "MASTERDOWN", -EAGAIN }, { "TRYAGAIN", -EAGAIN }, { "CLUSTERDOWN", -EAGAIN },
		{ "MOVED", -EREMOTE }, { "ASK", -EREMOTE }, { "CROSSSLOT", -EREMOTE },
		{ "WRONGTYPE", -EBADMSG } };
	size_t n = 0;

	while (n < reply->n && n < 20 && reply->p[n] >= 'A' && reply->p[n] <= 'Z')
		n++;
	snprintf(r->base.why, sizeof(r->base.why), "it answers with the error %.*s", (int)n,
		reply->p);
	for (size_t i = 0; i < ARRAY_LEN(WORDS); i++)
		if (strlen(WORDS[i].word) == n && memcmp(WORDS[i].word, reply->p, n) == 0)
			return WORDS[i].error;
	return -EPROTO;
}

static void
on_head(struct request *q, const struct reply *reply)
{
	struct object_head h;

	if (reply->n == 0) {
		answer_error(q, -ENOENT);
	} else if (reply->n < OBJECT_HEAD_SIZE ||
		   object_head_read((const uint8_t *)reply->p, &h) < 0 || h.kind != q->kind ||
		   !digest_eq(&h.name, &q->name)) {
		note_damage(q);
		answer_error(q, -ENOENT);
	} else {
		const struct store_reply is_here = { .size = h.size, .fd = -1 };

		note_use(q);
		answer(q, &is_here);
	}
}

static void
on_piece(struct request *q, const struct reply *reply)
{
	struct store_reply got = { .fd = -1 };
	int r;

	if (reply->n == 0 && q->at == 0) {
		answer_error(q, -ENOENT);
		return;
	}
	r = incoming_add(q->in, reply->p, reply->n);
	q->at += reply->n;
	if (r == 0 && reply->n == PIECE && q->at < VALUE_MAX) {
		send_step(q, STEP_GET);
		return;
	}
	got.fd = r == 0 ? incoming_end(q->in, &got.size) : r;
	if (got.fd >= 0) {
		note_use(q);
		answer(q, &got);
		return;
	}
	if (got.fd == -EBADMSG)
		note_damage(q);
	answer_error(q, got.fd);
}

static void
on_put(struct request *q, const struct reply *reply)
{
	bool is_there = reply->kind == REPLY_INTEGER && reply->integer > 0;

	switch (q->step) {
	case STEP_ASK:
		if (!is_there) {
			send_step(q, begin_put(q));
			return;
		}
		note_use(q);
		answer_put(q, true);
		return;
	case STEP_SET:
		if (reply->kind == REPLY_NOTHING)
			note_use(q);
		answer_put(q, reply->kind == REPLY_NOTHING);
		return;
	case STEP_BEGIN:
	case STEP_APPEND:
		q->at += piece_of(q);
		send_step(q, q->at < q->object.length ? STEP_APPEND : STEP_KEEP);
		return;
	case STEP_KEEP:
		send_step(q, STEP_NAME);
		return;
	default:
		break;
	}
	/* RENAME says OK, RENAMENX 1 or 0: then what is there stays */
	if (reply->kind == REPLY_INTEGER && !is_there)
		note_unfinished(q);
	answer_put(q, reply->kind == REPLY_INTEGER && !is_there);
}

static void
replied(struct link_command *c, const struct reply *reply)
{
	struct request *q = request_of(c);
	int r;

	q->at_link = false;
	if (q->answered) {
		free_request(q);
		return;
	}
	if (reply->kind == REPLY_ERROR) {
		r = error_of(q->redis, reply);
		if (q->step > STEP_BEGIN)
			note_unfinished(q);
		answer_error(q, r);
	} else if (q->step == STEP_HEAD && reply->kind == REPLY_BYTES) {
		on_head(q, reply);
	} else if (q->step == STEP_GET && reply->kind == REPLY_BYTES) {
		on_piece(q, reply);
	} else if (q->object.fd >= 0) {
		on_put(q, reply);
	} else {
		answer_error(q, -EPROTO);
	}
}

static void
lost(struct link_command *c, int error)
{
	struct request *q = request_of(c);
	struct redis *r = q->redis;

	q->at_link = false;
	snprintf(r->base.why, sizeof(r->base.why), "%s", link_why(r->link));
	if (q->answered)
		free_request(q);
	/* it has had its time */
	else if (error == -ETIMEDOUT || error == -ECANCELED || ++q->tries >= TRIES)
		answer_error(q, error);
	else
		start(q);
}

/* Requests. */

static void
step(struct redis *r, uint32_t events)
{
	uint64_t now = clock_mono_ms(), next;

	/* from within: the outermost call does it */
	if (r->working)
		return;
	r->working = true;
	if (events == 0 && r->first != NULL && r->first->until <= now)
		events = link_ready(r->link);
	link_step(r->link, events, now);
	while (r->first != NULL && r->first->until <= now) {
		snprintf(r->base.why, sizeof(r->base.why), "it takes longer than %u ms",
			r->settings.request_ms);
		answer_error(r->first, -ETIMEDOUT);
	}
	/* what the functions have asked for goes out at once */
	link_step(r->link, 0, now);
	next = link_next(r->link);
	if (r->first != NULL && (next == 0 || r->first->until < next))
		next = r->first->until;
	waiter_alarm(&r->waiter, next);
	r->working = false;
}

static struct request *
new_request(struct redis *r, enum step first, enum store_kind kind, const struct digest *name,
	store_done_fn done, void *arg)
{
	struct request *q = calloc(1, sizeof(*q));
	char path[OBJECT_PATH_SIZE];

	if (q == NULL)
		return NULL;
	q->redis = r;
	q->first = first;
	q->kind = kind;
	q->name = *name;
	q->object.fd = -1;
	q->done = done;
	q->arg = arg;
	q->command.replied = replied;
	q->command.lost = lost;
	q->until = clock_mono_ms() + r->settings.request_ms;
	object_path(kind, name, path);
	snprintf(q->key, sizeof(q->key), "%s%s", r->settings.prefix, path);
	q->prev = r->last;
	*(r->last != NULL ? &r->last->next : &r->first) = q;
	r->last = q;
	return q;
}

static void
redis_has(struct store *s, enum store_kind kind, const struct digest *name, store_done_fn done,
	void *arg)
{
	struct request *q = new_request(redis_of(s), STEP_HEAD, kind, name, done, arg);

	if (q == NULL) {
		store_answer_error(done, arg, -ENOMEM);
		return;
	}
	start(q);
	step(redis_of(s), 0);
}

static void
redis_get(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
	store_done_fn done, void *arg)
{
	_cleanup_(incoming_freep) struct incoming *in = NULL;
	struct request *q;
	int r = incoming_new(s->tmp, kind, name, max, &in);

	q = r == 0 ? new_request(redis_of(s), STEP_GET, kind, name, done, arg) : NULL;
	if (q == NULL) {
		store_answer_error(done, arg, r < 0 ? r : -ENOMEM);
		return;
	}
	q->in = steal_ptr(in);
	start(q);
	step(redis_of(s), 0);
}

static void
redis_put(struct store *s, const struct object *o, store_done_fn done, void *arg)
{
	struct object object = *o;
	struct request *q = NULL;

	if (o->length <= VALUE_MAX)
		q = new_request(redis_of(s), STEP_SET, o->head.kind, &o->head.name, done, arg);
	if (q == NULL) {
		object_done(&object);
		store_answer_error(done, arg, o->length > VALUE_MAX ? -EFBIG : -ENOMEM);
		return;
	}
	q->object = object;
	start(q);
	step(redis_of(s), 0);
}

static void
redis_work(struct store *s, int ms)
{
	struct redis *r = redis_of(s);
	struct epoll_event e = { .events = 0 };

	if (r->first == NULL)
		ms = 0;
	if (waiter_wait(&r->waiter, ms, &e, 1) > 0)
		step(r, e.events);
	else
		step(r, 0);
}

/* Opening. */

static void
redis_close(struct store *s)
{
	struct redis *r = redis_of(s);

	/* what nobody waits for may still have to go out */
	if (r->link != NULL)
		step(r, 0);
	link_free(r->link);
	redis_settings_done(&r->settings);
	waiter_done(&r->waiter);
	free(r);
}

static int
redis_open(const struct store_in *in, struct store **ret)
{
	struct redis *r;
	int e = replies_load(in->ret_why);

	if (e < 0)
		return e;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	r->waiter = (struct waiter)WAITER_INIT;
	outgoing_init(&r->base, &store_redis, in);
	e = waiter_init(&r->waiter);
	r->base.fd = r->waiter.fd;
	if (e == 0)
		e = redis_settings_read(in, KEY_SIZE - OBJECT_PATH_SIZE, &r->settings);
	if (e == 0)
		e = link_new(&r->settings.link, &r->waiter, &r->link);
	if (e < 0)
		redis_close(&r->base);
	else
		*ret = &r->base;
	return e;
}

const struct store_type store_redis = {
	.name = "redis",
	.open = redis_open,
	.close = redis_close,
	.has = redis_has,
	.get = redis_get,
	OUTGOING_FUNCTIONS,
	.put = redis_put,
	.ask_clock = redis_ask_clock,
	.work = redis_work,
};
