/* Writing. A put waits for its turn, is given credit, and its chunks go to one thread, in order.
 *
 * Invariants: what is announced is within what was asked for before a thread sees it. SharedEnd
 * says that it is kept only when its name is in the store: a coordinator that is killed then has
 * it. What was begun and not ended leaves nothing. */
#include "config.h"

#include <errno.h>

#include "common/buf.h"
#include "coordinator/cache/desk_priv.h"

enum step { STEP_BEGIN, STEP_DATA, STEP_ABORT };

struct put_step {
	struct pool_work work;
	struct desk_request *r;
	enum step step;
	bool zstd, last;
	uint32_t size;
	zmq_msg_t payload;
};

int
desk_hear_put(struct desk_request *r, const Dray__SharedPut *m, const struct desk_who *who,
	const char **ret_why)
{
	struct desk_put *p = &r->put;

	*ret_why = "SharedPut has a name of 32 bytes";
	if (m->name.len != DIGEST_SIZE)
		return -EBADMSG;
	memcpy(p->name.b, m->name.data, DIGEST_SIZE);
	p->entry = m->entry;
	p->size = m->size;
	/* An entry is changed by one thread, no matter which peer puts it. */
	p->lane = (m->entry ? p->name.b[0] : r->desk->lane++) % POOL_LANES;
	if (p->entry)
		p->signers = signers_hold(who->signers);
	p->signer = who->signer;
	r->desk->stats.puts++;
	if (!r->space)
		return -ENOMEM;
	return p->size > (p->entry ? (uint64_t)WIRE_SHARED_ENTRY_MAX : r->space->max / 4) ? -EFBIG
											  : 0;
}

/* ---- in a thread */

static int
put_begin(struct desk_request *r)
{
	struct desk_put *p = &r->put;

	if (p->entry)
		return 0;
	p->was_there = vault_look(r->space, STORE_BLOB, &p->name, NULL) == 0;
	return p->was_there ? 0 : store_write_begin(r->space->store, &p->writer);
}

static int
put_commit(struct desk_request *r)
{
	struct desk_put *p = &r->put;
	int err;

	if (atomic_load(&p->revoked))
		return -EACCES;
	if (p->entry) {
		err = vault_put_entry(
			r->space, &p->name, p->signers, &p->signer, p->buf.p, p->buf.n, &p->note);
		if (err == 0)
			behind_note(r->space, &p->name);
		return err;
	}
	err = store_write_commit_now(steal_ptr(p->writer), &p->name, p->size);
	p->was_there = err > 0;
	return MIN2(err, 0);
}

static int
put_data(struct put_step *s, struct chunk_coder *coder)
{
	struct desk_put *p = &s->r->put;
	const uint8_t *content;
	int err;

	if (p->error)
		return p->error;
	err = chunk_decode(coder, &s->payload, s->zstd, s->size, &content);
	if (err == 0 && p->entry)
		err = buf_add(&p->buf, content, s->size);
	else if (err == 0)
		err = store_write(p->writer, content, s->size);
	return err == 0 && s->last ? put_commit(s->r) : err;
}

static void
put_run(struct pool_work *w, struct chunk_coder *coder)
{
	struct put_step *s = (struct put_step *)w;
	struct desk_put *p = &s->r->put;

	if (s->step == STEP_BEGIN)
		p->error = put_begin(s->r);
	else if (s->step == STEP_DATA)
		p->error = put_data(s, coder);
	if (s->step == STEP_ABORT || p->error)
		store_write_abort(steal_ptr(p->writer));
}

/* ---- in the loop */

struct trimming {
	struct pool_work work;
	struct desk *desk;
	struct vault_space *space;
	struct store_stats after;
};

static void
trim_run(struct pool_work *w, struct chunk_coder *coder)
{
	struct trimming *t = (struct trimming *)w;

	(void)coder;
	vault_trim(t->space);
	vault_count(t->space, &t->after);
}

static void
trim_done(struct pool_work *w, bool cancelled)
{
	struct trimming *t = (struct trimming *)w;
	struct vault_space *space = t->space;
	struct desk *c = t->desk;
	bool again = space->again && !cancelled;

	if (!cancelled)
		space->stats = t->after;
	space->trimming = space->again = false;
	free(t);
	if (again)
		desk_trim(c, space);
}

/* One at a time; what is put meanwhile is seen to by another one. */
void
desk_trim(struct desk *c, struct vault_space *space)
{
	struct trimming *t = space->trimming ? NULL : calloc(1, sizeof(*t));

	space->again = space->trimming;
	if (!t)
		return;
	t->desk = c;
	t->work.run = trim_run;
	t->work.done = trim_done;
	t->space = space;
	space->trimming = true;
	pool_submit(c->pool, POOL_KEEPER, &t->work);
}

static void
give_credit(struct desk_request *r, unsigned n)
{
	Dray__SharedCredit m;

	dray__shared_credit__init(&m);
	m.n = n;
	r->put.granted += n;
	r->put.moved_ms = r->desk->now;
	desk_say(r, WIRE_SHARED_CREDIT, &m.base, NULL);
}

static void
say_failed(struct desk_request *r, int err)
{
	struct desk *c = r->desk;

	if (err == -EBADMSG) {
		desk_end(r, DRAY__VERDICT__VERDICT_INPUT_CHANGED,
			"the content is not what its name says, or its chunks are damaged");
		return;
	}
	if (err == -EACCES) {
		desk_end(r, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"no result in it is signed by a key that the list of keys names for this "
			"client");
		return;
	}
	if (err == -EPERM) {
		desk_end(r, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"its package comes out differently each time, and is not shared");
		return;
	}
	if (err == -EOPNOTSUPP) {
		log_throttled(&c->failed, 5,
			"shared cache: a worker's result is not taken: no other worker has its "
			"toolchain, and as new a glibc, to compile it again");
		desk_end(r, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"no other worker has its toolchain, and as new a glibc: nobody could "
			"compile it again");
		return;
	}
	log_throttled(&c->failed, 5, "shared cache: namespace=%s cannot be written: %s",
		*r->space->name ? r->space->name : "-", strerror(-err));
	desk_end(r, DRAY__VERDICT__VERDICT_NO_ROOM, strerror(-err));
}

/* Whether its namespace may put so much now. NO_ROOM, since older peers know that it is none of
 * theirs to mend. */
static bool
within_quota(struct desk_request *r)
{
	if (allowance_take(&r->space->uploads, r->put.size, r->desk->now)) {
		r->put.allowed = r->put.size;
		return true;
	}
	r->desk->stats.over_quota++;
	log_throttled(&r->desk->quota, 1,
		"shared cache: namespace=%s has put as much within the hour as it may "
		"(quota_upload)",
		*r->space->name ? r->space->name : "-");
	desk_end(r, DRAY__VERDICT__VERDICT_NO_ROOM,
		"its namespace has put as many bytes into the shared cache within the hour as it "
		"may (quota_upload)");
	return false;
}

static void
went_well(struct desk_request *r, const struct put_step *s)
{
	struct desk *c = r->desk;

	if (s->step == STEP_BEGIN && !r->put.was_there) {
		if (!within_quota(r))
			return;
		r->stage = DESK_AT_WORK;
		give_credit(r, DESK_PUT_CREDIT);
	} else if (s->step == STEP_BEGIN || s->last) {
		c->stats.stored += s->step == STEP_DATA;
		if (s->step == STEP_DATA)
			desk_trim(c, r->space);
		desk_end(r, DRAY__VERDICT__VERDICT_NONE, "");
	} else {
		give_credit(r, 1);
	}
}

/* Whether its peer is still there or not: it is on the disk. */
static void
tell_kept(struct desk_request *r)
{
	const struct desk_host *host = &r->desk->host;

	if (r->put.note.is && host->kept)
		host->kept(host->arg, r->space->name, &r->put.name, &r->put.note);
	r->put.note.is = false;
}

static void
put_done(struct pool_work *w, bool cancelled)
{
	struct put_step *s = (struct put_step *)w;
	struct desk_request *r = s->r;

	r->works--;
	if (cancelled && r->put.writer)
		store_write_abort(steal_ptr(r->put.writer));
	if (!cancelled && s->step == STEP_DATA && s->last && !r->put.error)
		tell_kept(r);
	if (r->stage == DESK_FINISHED || !r->peer || s->step == STEP_ABORT || cancelled)
		desk_release(r);
	else if (r->put.error)
		say_failed(r, r->put.error);
	else if (r->stopped && !(s->step == STEP_DATA && s->last))
		desk_end(r, DRAY__VERDICT__VERDICT_CANCELLED, "");
	else
		went_well(r, s);
	zmq_msg_close(&s->payload);
	free(s);
}

/* *payload: its content is taken; may be NULL. */
static int
submit(struct desk_request *r, enum step step, const Dray__SharedData *m, zmq_msg_t *payload)
{
	struct put_step *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->work.run = put_run;
	s->work.done = put_done;
	s->r = r;
	s->step = step;
	zmq_msg_init(&s->payload);
	if (m) {
		s->zstd = m->zstd;
		s->last = m->last;
		s->size = m->size;
		zmq_msg_move(&s->payload, payload);
	}
	r->works++;
	pool_submit(r->desk->pool, r->put.lane, &s->work);
	return 0;
}

void
desk_put_begin(struct desk_request *r)
{
	TAILQ_INSERT_TAIL(&r->desk->puts, r, put.queue);
	r->put.queued = true;
}

static void
leave_queue(struct desk_request *r)
{
	if (r->put.queued)
		TAILQ_REMOVE(&r->desk->puts, r, put.queue);
	r->put.queued = false;
}

static void
open_put(struct desk_request *r)
{
	leave_queue(r);
	r->put.open = true;
	r->desk->puts_open++;
	r->account->puts_open++;
	if (submit(r, STEP_BEGIN, NULL, NULL) < 0)
		desk_end(r, DRAY__VERDICT__VERDICT_FULL, "the coordinator is out of memory");
}

void
desk_puts_step(struct desk *c)
{
	struct desk_request *r, *next;

	for (r = TAILQ_FIRST(&c->puts); r && !c->closing; r = next) {
		next = TAILQ_NEXT(r, put.queue);
		if (c->puts_open >= DESK_PUTS_OPEN)
			return;
		if (r->account->puts_open < DESK_PUTS_KEY)
			open_put(r);
	}
}

static bool
data_fits(const struct desk_put *p, const Dray__SharedData *m)
{
	if (p->granted == 0 || p->last_came || m->offset != p->came || m->size > WIRE_CHUNK_MAX ||
		m->size > p->size - p->came)
		return false;
	return m->last == (p->came + m->size == p->size) && (m->size > 0 || p->size == 0);
}

int
desk_put_data(
	struct desk_request *r, const Dray__SharedData *m, zmq_msg_t *payload, const char **ret_why)
{
	struct desk_put *p = &r->put;

	*ret_why = "SharedData that was not asked for, or does not fit";
	if (!r->is_put)
		return -EBADMSG;
	if (r->stage == DESK_FINISHED || r->stopped)
		return 0;
	if (r->stage != DESK_AT_WORK || !data_fits(p, m))
		return -EBADMSG;
	p->granted--;
	p->came += m->size;
	p->last_came = m->last;
	p->moved_ms = r->desk->now;
	if (submit(r, STEP_DATA, m, payload) < 0)
		desk_end(r, DRAY__VERDICT__VERDICT_FULL, "the coordinator is out of memory");
	return 0;
}

void
desk_put_stop(struct desk_request *r)
{
	leave_queue(r);
}

static bool
put_abort(struct desk_request *r)
{
	if (!r->put.writer)
		return false;
	if (!r->desk->closing && submit(r, STEP_ABORT, NULL, NULL) == 0)
		return true;
	store_write_abort(steal_ptr(r->put.writer));
	return false;
}

static void
put_end(struct desk_request *r)
{
	leave_queue(r);
	/* what did not come was not put; what came was carried, no matter what became of it */
	if (r->space)
		allowance_give_back(
			&r->space->uploads, r->put.allowed - MIN2(r->put.came, r->put.allowed));
	buf_done(&r->put.buf);
	signers_release(steal_ptr(r->put.signers));
	if (!r->put.open)
		return;
	r->desk->puts_open--;
	r->account->puts_open--;
}

const struct desk_kind desk_kind_put = { .abort = put_abort, .done = put_end };

void
desk_puts_check(struct desk *c)
{
	uint64_t most = TAILQ_EMPTY(&c->puts) ? DESK_STALL_MS : DESK_STALL_WANTED_MS;
	struct table_node *node, *next;

	if (c->puts_open == 0)
		return;
	for (node = table_walk(&c->requests, NULL); node; node = next) {
		struct desk_request *r = table_entry(node, struct desk_request, by_number);

		next = table_walk(&c->requests, node);
		if (r->is_put && r->stage == DESK_AT_WORK && r->works == 0 &&
			c->now - r->put.moved_ms >= most)
			desk_end(r, DRAY__VERDICT__VERDICT_CANCELLED,
				"nothing was sent for too long");
	}
}
