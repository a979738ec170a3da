/* Requests to the coordinator's shared cache.
 *
 * Invariants: each question is answered once: a get by content that was checked, or by an error. A
 * request keeps its number until SharedEnd has come, also when nobody waits for it any more, and
 * each SharedData is acknowledged, whatever became of it. Nothing that comes is written beyond what
 * was asked for. */
#include "config.h"

#include "store/tier/tier.h"

#include <errno.h>
#include <stdio.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/fs.h"
#include "proto/chunk.h"
#include "store/outgoing.h"
#include "store/waiter.h"

enum want { WANT_LOOK, WANT_GET, WANT_PUT };

struct ask {
	TAILQ_ENTRY(ask) link;
	enum want want;
	enum store_kind kind;
	struct digest name;
	uint64_t max;
	const struct tier_by *by;
	store_done_fn done;
	void *arg;
	/* what came of a get */
	int fd;
	struct hasher *hasher;
	uint64_t size, got;
	int error; /* the content is not to be used: then the rest is thrown away */
	/* of a put */
	struct object object;
	struct object_reader *reader;
};
TAILQ_HEAD(asks, ask);

struct request {
	LIST_ENTRY(request) link;
	uint32_t number;
	enum want want;
	struct ask **v; /* NULL: answered */
	uint32_t n, item;
	uint64_t until;
	unsigned owed; /* SharedData that came and were not acknowledged yet */
	/* of a put */
	uint64_t sent;
	unsigned credit;
};

struct tier {
	struct store base;
	const struct tier_line *line;
	void *arg;
	struct waiter waiter;
	uint32_t first, next;
	uint64_t request_ms;
	struct asks asks; /* not sent yet */
	LIST_HEAD(, request) requests;
	struct chunk_coder *coder;
	char namespace[65];
	const struct tier_by *by; /* of what is asked for now */
	uint8_t ticket[TIER_TICKET_MAX], sig[TIER_TICKET_MAX];
	size_t ticket_n, sig_n;
	bool compress;
	bool read_only; /* always */
	bool coming;	/* what is asked for waits for the line */
};

static struct tier *
tier_of(struct store *s)
{
	return (struct tier *)s;
}

static void
answer(struct ask *a, const struct store_reply *reply)
{
	store_done_fn done = a->done;
	void *arg = a->arg;

	closep(&a->fd);
	hasher_free(a->hasher);
	object_reader_free(a->reader);
	if (a->want == WANT_PUT)
		object_done(&a->object);
	free(a);
	done(arg, reply);
}

static void
answer_error(struct ask *a, int error)
{
	const struct store_reply reply = { .error = error, .fd = -1 };

	answer(a, &reply);
}

/* ---- questions */

/* NULL: no memory, and it was answered. */
static struct ask *
ask_for(struct store *s, enum want want, enum store_kind kind, const struct digest *name,
	uint64_t max, store_done_fn done, void *arg)
{
	struct tier *t = tier_of(s);
	struct ask *a = calloc(1, sizeof(*a));

	if (!a) {
		store_answer_error(done, arg, -ENOMEM);
		return NULL;
	}
	a->want = want;
	a->kind = kind;
	a->name = *name;
	a->max = max;
	a->by = want == WANT_PUT ? NULL : t->by;
	a->done = done;
	a->arg = arg;
	a->fd = -1;
	TAILQ_INSERT_TAIL(&t->asks, a, link);
	/* it is to be sent */
	waiter_alarm(&t->waiter, 1);
	return a;
}

static void
tier_has(struct store *s, enum store_kind kind, const struct digest *name, store_done_fn done,
	void *arg)
{
	(void)ask_for(s, WANT_LOOK, kind, name, UINT64_MAX, done, arg);
}

static void
tier_get(struct store *s, enum store_kind kind, const struct digest *name, uint64_t max,
	store_done_fn done, void *arg)
{
	(void)ask_for(s, WANT_GET, kind, name, max, done, arg);
}

static void
tier_put(struct store *s, const struct object *o, store_done_fn done, void *arg)
{
	struct ask *a = ask_for(s, WANT_PUT, o->head.kind, &o->head.name, UINT64_MAX, done, arg);

	if (a)
		a->object = *o;
	else
		close(o->fd);
}

static void
end_request(struct request *r)
{
	LIST_REMOVE(r, link);
	free(r->v);
	free(r);
}

static bool
in_use(const struct tier *t, uint32_t number)
{
	const struct request *r;

	LIST_FOREACH(r, &t->requests, link)
	if (r->number == number)
		return true;
	return false;
}

static struct request *
new_request(struct tier *t, enum want want, uint32_t n)
{
	struct request *r = calloc(1, sizeof(*r));

	if (r)
		r->v = calloc(n, sizeof(struct ask *));
	if (!r || !r->v) {
		free(r);
		return NULL;
	}
	do
		r->number = t->first + t->next++ % TIER_NUMBERS;
	while (in_use(t, r->number));
	r->want = want;
	r->until = clock_mono_ms() + t->request_ms;
	LIST_INSERT_HEAD(&t->requests, r, link);
	return r;
}

static void
fail_request(struct request *r, int error)
{
	for (uint32_t i = 0; i < r->n; i++) {
		struct ask *a = steal_ptr(r->v[i]);

		if (a)
			answer_error(a, error);
	}
}

static int
send_get(struct tier *t, struct request *r)
{
	ProtobufCBinaryData names[WIRE_SHARED_ITEMS_MAX];
	const struct tier_by *by = r->v[0]->by;
	Dray__SharedGet m;
	char job[64];

	dray__shared_get__init(&m);
	for (uint32_t i = 0; i < r->n; i++)
		names[i] = (ProtobufCBinaryData){ DIGEST_SIZE, r->v[i]->name.b };
	m.entry = r->v[0]->kind == STORE_ENTRY;
	m.name = names;
	m.n_name = r->n;
	m.credit = TIER_CREDIT;
	m.look = r->want == WANT_LOOK;
	m.compress = t->compress;
	m.most = r->v[0]->max;
	if (by) {
		m.ticket = by->ticket;
		m.signature = by->signature;
		m.near = by->near;
		snprintf(job, sizeof(job), "%s", by->job ? by->job : "");
		m.job = job;
	}
	return t->line->send(t->arg, r->number, WIRE_SHARED_GET, &m.base, NULL);
}

static int
send_put(struct tier *t, struct request *r)
{
	struct ask *a = r->v[0];
	Dray__SharedPut m;

	dray__shared_put__init(&m);
	m.entry = a->kind == STORE_ENTRY;
	m.name = (ProtobufCBinaryData){ DIGEST_SIZE, a->name.b };
	m.size = a->object.head.size;
	m.namespace_ = t->namespace;
	if (m.entry) {
		m.ticket = (ProtobufCBinaryData){ t->ticket_n, t->ticket };
		m.signature = (ProtobufCBinaryData){ t->sig_n, t->sig };
	}
	return t->line->send(t->arg, r->number, WIRE_SHARED_PUT, &m.base, NULL);
}

/* The first questions that may go in one message. */
static void
flush_some(struct tier *t)
{
	struct ask *first = TAILQ_FIRST(&t->asks), *a = first;
	uint32_t n = 0, most = first->want == WANT_PUT ? 1 : WIRE_SHARED_ITEMS_MAX;
	struct request *r;
	int err;

	for (; a && n < most && a->want == first->want && a->kind == first->kind &&
		a->max == first->max && a->by == first->by;
		a = TAILQ_NEXT(a, link))
		n++;
	r = new_request(t, first->want, n);
	if (!r) {
		TAILQ_REMOVE(&t->asks, first, link);
		answer_error(first, -ENOMEM);
		return;
	}
	for (; r->n < n; r->n++) {
		r->v[r->n] = TAILQ_FIRST(&t->asks);
		TAILQ_REMOVE(&t->asks, r->v[r->n], link);
	}
	err = r->want == WANT_PUT ? send_put(t, r) : send_get(t, r);
	if (err < 0) {
		fail_request(r, err);
		end_request(r);
	}
}

static void
fail_asks(struct tier *t, int error, const char *why)
{
	struct ask *a;

	snprintf(t->base.why, sizeof(t->base.why), "%s", why);
	while ((a = TAILQ_FIRST(&t->asks)) != NULL) {
		TAILQ_REMOVE(&t->asks, a, link);
		answer_error(a, error);
	}
}

static void
flush(struct tier *t)
{
	enum tier_state now = t->line->state	  ? t->line->state(t->arg)
			      : t->base.read_only ? TIER_READS
						  : TIER_WRITES;

	t->base.read_only = t->read_only || now != TIER_WRITES;
	t->coming = now == TIER_COMING;
	if (TAILQ_EMPTY(&t->asks) || t->coming)
		return;
	if (now == TIER_AWAY)
		fail_asks(t, -ENOTCONN, "there is no connection with the coordinator");
	else if (now == TIER_NONE)
		fail_asks(t, -ENOTSUP, "the coordinator has no shared cache");
	while (!TAILQ_EMPTY(&t->asks))
		flush_some(t);
}

/* ---- what comes */

static void
stop_request(struct tier *t, struct request *r)
{
	Dray__SharedStop m;

	dray__shared_stop__init(&m);
	(void)t->line->send(t->arg, r->number, WIRE_SHARED_STOP, &m.base, NULL);
}

static int
begin_item(struct tier *t, struct ask *a, const Dray__SharedData *m)
{
	if (m->total > a->max)
		return -EFBIG;
	a->fd = object_temp(t->base.tmp);
	if (a->fd < 0)
		return a->fd;
	a->hasher = a->kind == STORE_BLOB ? hasher_new() : NULL;
	if (a->kind == STORE_BLOB && !a->hasher)
		return -ENOMEM;
	a->size = m->total;
	return 0;
}

static int
take_chunk(struct tier *t, struct ask *a, const Dray__SharedData *m, zmq_msg_t *payload)
{
	const uint8_t *p;
	int r = a->fd < 0 ? begin_item(t, a, m) : 0;

	if (r == 0 && (m->offset != a->got || m->total != a->size || m->size > a->size - a->got ||
			      m->last != (a->got + m->size == a->size)))
		r = -EBADMSG;
	if (r == 0)
		r = chunk_decode(t->coder, payload, m->zstd, m->size, &p);
	if (r == 0)
		r = fs_write_all(a->fd, p, m->size);
	if (r < 0)
		return r;
	if (a->hasher)
		hasher_update(a->hasher, p, m->size);
	a->got += m->size;
	return 0;
}

static void
end_item(struct ask *a)
{
	struct store_reply reply = { .name = a->name, .size = a->size, .fd = -1 };
	struct digest found = a->name;

	if (a->hasher)
		hasher_final(a->hasher, &found);
	if (!a->error && !digest_eq(&found, &a->name))
		a->error = -EBADMSG;
	if (!a->error && lseek(a->fd, 0, SEEK_SET) < 0)
		a->error = -errno;
	if (a->error) {
		answer_error(a, a->error);
		return;
	}
	reply.fd = steal_fd(&a->fd);
	answer(a, &reply);
}

static void
acknowledge(struct tier *t, uint32_t number, unsigned n)
{
	Dray__SharedCredit m;

	dray__shared_credit__init(&m);
	m.n = n;
	(void)t->line->send(t->arg, number, WIRE_SHARED_CREDIT, &m.base, NULL);
}

static void
pay(struct tier *t, struct request *r)
{
	if (r->owed > 0)
		acknowledge(t, r->number, r->owed);
	r->owed = 0;
}

static void
on_data(struct tier *t, struct request *r, const Dray__SharedData *m, zmq_msg_t *payload)
{
	struct ask *a = r->want == WANT_GET && m->item < r->n ? r->v[m->item] : NULL;

	/* Some at once; and when nothing more is here (take_all), since the coordinator's bound on
	 * a key may let no other one go before. */
	if (++r->owed >= TIER_CREDIT / 4)
		pay(t, r);
	r->until = clock_mono_ms() + t->request_ms;
	if (!a)
		return;
	if (!a->error)
		a->error = take_chunk(t, a, m, payload);
	if (!m->last)
		return;
	r->v[m->item] = NULL;
	end_item(a);
}

static int
error_of(Dray__Verdict verdict)
{
	switch (verdict) {
	case DRAY__VERDICT__VERDICT_NONE:
		return -ENOENT;
	case DRAY__VERDICT__VERDICT_TOO_LARGE:
		return -EFBIG;
	case DRAY__VERDICT__VERDICT_INPUT_CHANGED:
		return -EBADMSG;
	case DRAY__VERDICT__VERDICT_NOT_ALLOWED:
		return -EACCES;
	case DRAY__VERDICT__VERDICT_FULL:
		return -EAGAIN;
	case DRAY__VERDICT__VERDICT_NO_ROOM:
		return -ENOSPC;
	default:
		return -EIO;
	}
}

static void
end_put(struct request *r, const Dray__SharedEnd *m)
{
	struct ask *a = steal_ptr(r->v[0]);
	const struct store_reply reply = {
		.was_there = m->was_there, .name = a->name, .size = a->object.head.size, .fd = -1
	};

	if (m->verdict)
		answer_error(a, error_of(m->verdict));
	else
		answer(a, &reply);
}

static void
end_look(struct request *r, const Dray__SharedEnd *m)
{
	for (size_t i = 0; i < m->n_absent; i++) {
		struct ask *a = m->absent[i] < r->n ? steal_ptr(r->v[m->absent[i]]) : NULL;

		if (a)
			answer_error(a, -ENOENT);
	}
	for (uint32_t i = 0; i < r->n; i++) {
		struct ask *a = r->v[i];
		struct store_reply reply = { .fd = -1 };

		if (!a || m->verdict || i >= m->n_sizes)
			continue;
		r->v[i] = NULL;
		reply.name = a->name;
		reply.size = m->sizes[i];
		answer(a, &reply);
	}
}

static void
on_end(struct tier *t, struct request *r, const Dray__SharedEnd *m)
{
	if (m->verdict && m->verdict != DRAY__VERDICT__VERDICT_CANCELLED)
		snprintf(t->base.why, sizeof(t->base.why), "the coordinator: %s", m->text);
	if (r->want == WANT_PUT && r->v[0])
		end_put(r, m);
	else if (r->want == WANT_LOOK)
		end_look(r, m);
	fail_request(r, error_of(m->verdict));
	pay(t, r);
	end_request(r);
}

static int
send_chunk(struct tier *t, struct request *r)
{
	struct ask *a = r->v[0];
	size_t n = (size_t)MIN2(a->object.head.size - r->sent, (uint64_t)WIRE_CHUNK_MAX);
	_cleanup_(freep) uint8_t *p = malloc(n + 1);
	Dray__SharedData m;
	zmq_msg_t payload;
	bool zstd;
	int err = !p ? -ENOMEM : a->reader ? 0 : object_reader_new(&a->object, &a->reader);

	if (err == 0)
		err = object_reader_read(a->reader, p, n);
	if (err < 0)
		return err;
	err = chunk_encode(t->coder, p, n, t->compress, &payload, &zstd);
	if (err < 0)
		return err;
	dray__shared_data__init(&m);
	m.offset = r->sent;
	m.size = (uint32_t)n;
	m.zstd = zstd;
	r->sent += n;
	m.last = r->sent == a->object.head.size;
	r->credit--;
	err = t->line->send(t->arg, r->number, WIRE_SHARED_DATA, &m.base, &payload);
	zmq_msg_close(&payload);
	return err;
}

static void
on_credit(struct tier *t, struct request *r, const Dray__SharedCredit *m)
{
	bool begun = r->credit > 0 || r->sent > 0;
	int err = 0;

	if (r->want != WANT_PUT || !r->v[0])
		return;
	r->until = clock_mono_ms() + t->request_ms;
	r->credit = MIN2(r->credit + m->n, 64u);
	while (err == 0 && r->credit > 0 &&
		(r->sent < r->v[0]->object.head.size || (r->sent == 0 && !begun))) {
		begun = true;
		err = send_chunk(t, r);
	}
	if (err == 0)
		return;
	stop_request(t, r);
	fail_request(r, err);
}

static void
on_message(struct tier *t, struct wire_msg *m)
{
	struct request *r;

	LIST_FOREACH(r, &t->requests, link)
	if (r->number == m->job)
		break;
	if (!r) {
		if (m->info->type == WIRE_SHARED_DATA)
			acknowledge(t, m->job, 1);
		return;
	}
	if (m->info->type == WIRE_SHARED_DATA)
		on_data(t, r, (const Dray__SharedData *)m->body, &m->payload);
	else if (m->info->type == WIRE_SHARED_CREDIT)
		on_credit(t, r, (const Dray__SharedCredit *)m->body);
	else if (m->info->type == WIRE_SHARED_END)
		on_end(t, r, (const Dray__SharedEnd *)m->body);
}

static void
forget_requests(struct tier *t, int error)
{
	struct request *r;

	while ((r = LIST_FIRST(&t->requests)) != NULL) {
		fail_request(r, error);
		end_request(r);
	}
}

/* False: there was nothing. */
static bool
take_message(struct tier *t)
{
	struct wire_msg m = WIRE_MSG_INIT;
	int r = t->line->receive(t->arg, &m);

	if (r == 0) {
		on_message(t, &m);
	} else if (r == -ENOTCONN) {
		snprintf(t->base.why, sizeof(t->base.why),
			"the connection with the coordinator was lost");
		forget_requests(t, r);
	}
	wire_msg_done(&m);
	return r != -EAGAIN;
}

/* All that is here. False: nothing was. */
static bool
take_all(struct tier *t)
{
	struct request *r;
	bool any = false;

	while (take_message(t))
		any = true;
	LIST_FOREACH(r, &t->requests, link)
	pay(t, r);
	return any;
}

/* ---- the row */

/* The next time at which a request is late; those that are get their answer. */
static uint64_t
see_to_late(struct tier *t)
{
	uint64_t now = clock_mono_ms(), next = 0;
	struct request *r, *after;

	for (r = LIST_FIRST(&t->requests); r; r = after) {
		after = LIST_NEXT(r, link);
		if (!r->v)
			continue;
		if (now >= r->until) {
			snprintf(t->base.why, sizeof(t->base.why), "the coordinator is silent");
			stop_request(t, r);
			r->until = UINT64_MAX;
			fail_request(r, -ETIMEDOUT);
		} else if (r->until != UINT64_MAX) {
			next = next ? MIN2(next, r->until) : r->until;
		}
	}
	return next;
}

static bool
is_idle(const struct tier *t)
{
	const struct request *r;

	LIST_FOREACH(r, &t->requests, link)
	if (r->until != UINT64_MAX)
		return false;
	return TAILQ_EMPTY(&t->asks);
}

static void
tier_work(struct store *s, int ms)
{
	struct tier *t = tier_of(s);
	struct epoll_event events[2];
	bool any;

	flush(t);
	any = take_all(t);
	flush(t);
	if (!any && ms != 0 && !is_idle(t)) {
		waiter_alarm(&t->waiter, see_to_late(t));
		if (!is_idle(t) && (t->coming || TAILQ_EMPTY(&t->asks))) {
			(void)waiter_wait(&t->waiter,
				t->line->ready && t->line->ready(t->arg) ? 0 : ms, events,
				ARRAY_LEN(events));
			(void)take_all(t);
			flush(t);
		}
	}
	waiter_alarm(&t->waiter, see_to_late(t));
	if ((!TAILQ_EMPTY(&t->asks) && !t->coming) || (t->line->ready && t->line->ready(t->arg)))
		waiter_alarm(&t->waiter, 1);
}

static void
tier_close(struct store *s)
{
	struct tier *t = tier_of(s);

	forget_requests(t, -ECANCELED);
	fail_asks(t, -ECANCELED, "");
	if (t->line)
		t->line->close(t->arg);
	chunk_coder_free(t->coder);
	waiter_done(&t->waiter);
	free(t);
}

static const struct store_type store_tier = {
	.name = "coordinator",
	.close = tier_close,
	.has = tier_has,
	.get = tier_get,
	OUTGOING_FUNCTIONS,
	.put = tier_put,
	.work = tier_work,
};

int
tier_open(const struct tier_line *line, void *arg, uint32_t first, bool read_only,
	const struct store_in *in, struct store **ret)
{
	struct tier *t = calloc(1, sizeof(*t));
	int r;

	if (!t) {
		line->close(arg);
		return -ENOMEM;
	}
	outgoing_init(&t->base, &store_tier, in);
	t->base.coding = OBJECT_RAW;
	t->base.read_only = t->read_only = read_only;
	t->line = line;
	t->arg = arg;
	t->waiter = (struct waiter)WAITER_INIT;
	t->first = first;
	t->request_ms = in->request_ms ? in->request_ms : TIER_REQUEST_MS;
	TAILQ_INIT(&t->asks);
	r = waiter_init(&t->waiter);
	t->base.fd = t->waiter.fd;
	if (r == 0)
		r = waiter_add(&t->waiter, line->fd(arg), EPOLLIN, t);
	if (r == 0)
		r = chunk_coder_new(&t->coder);
	if (r < 0) {
		tier_close(&t->base);
		return r;
	}
	*ret = &t->base;
	return 0;
}

void
tier_of_job(struct store *s, const uint8_t *ticket, size_t n, const uint8_t *sig, size_t sig_n)
{
	struct tier *t = tier_of(s);
	bool fits = n <= sizeof(t->ticket) && sig_n <= sizeof(t->sig);

	t->ticket_n = fits ? n : 0;
	t->sig_n = fits ? sig_n : 0;
	if (t->ticket_n > 0)
		memcpy(t->ticket, ticket, n);
	if (t->sig_n > 0)
		memcpy(t->sig, sig, sig_n);
}

void
tier_for(struct store *s, const char *namespace)
{
	struct tier *t = tier_of(s);

	snprintf(t->namespace, sizeof(t->namespace), "%s", namespace ? namespace : "");
}

void
tier_compress(struct store *s, bool compress)
{
	tier_of(s)->compress = compress;
}

void
tier_by(struct store *s, const struct tier_by *by)
{
	tier_of(s)->by = by;
}
