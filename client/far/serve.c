/* Invariant: a wrapper is answered by its deadline, whatever the stores do; what comes later is
 * thrown away. What it is given is sealed by who is trusted, and a blob that it is told of is in
 * the local store and is what its name says. */
#include "config.h"

#include "client/far/serve.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "cache/entry.h"
#include "cache/shared.h"
#include "client/far/half_priv.h"
#include "client/far/mail.h"
#include "client/far/messages.h"
#include "common/clock.h"
#include "common/fs.h"

#define AT_ONCE 64		  /* requests of a wrapper's that are open */
#define AHEAD_BLOBS 64		  /* that are fetched before they are asked for */
#define AHEAD_BYTES (64ull << 20) /* likewise */
#define SEND_MS 1000		  /* for a wrapper that does not read */
#define ASK_MS 600000		  /* longest wait that a wrapper may ask for */

/* OTHERS: another thread fetches it (claims.h). */
enum want_state { WANT_WAITS, WANT_COMES, WANT_OTHERS, WANT_HERE, WANT_FAILED };

struct want {
	struct digest digest;
	uint64_t size;
	enum want_state state;
	int error;
	bool asked; /* by the wrapper */
	bool told;
};

struct guest {
	struct far_half *h;
	int conn;
	struct mailbox *box;
	enum far_what active; /* FAR_FIND, FAR_BRING, or 0: it waits for nothing */
	uint64_t since, until;
	struct digest key; /* of the last FIND */
	struct want *wants;
	size_t n, begun, open;
	size_t n_asked, n_told;
	uint64_t bytes; /* that came since that */
	char store[FAR_STORE_MAX];
	uint32_t publishers;	  /* of the last FOUND */
	struct believed_now *now; /* while results are looked at */
};

/* ---- answers */

static int
send_message(struct guest *g, const struct far_message *m, int fd)
{
	struct pollfd p = { g->conn, POLLOUT, 0 };
	int r = far_send(g->conn, m, fd);

	if (r == -EAGAIN && poll(&p, 1, SEND_MS) == 1)
		r = far_send(g->conn, m, fd);
	return r;
}

/* Ends what is waited for. With -EBUSY nothing was asked for, nor where there is a coordinator
 * alone that is away, or has no cache. */
static int
answer(struct guest *g, int error, const char *why, int fd, unsigned refused)
{
	struct far_message m = { .what = g->active == FAR_FIND ? FAR_FOUND : FAR_ALL,
		.error = error,
		.bytes = g->bytes,
		.refused = refused,
		.publishers = g->publishers };
	bool in_vain = error < 0 && error != -ENOENT && error != -EACCES;
	bool asked = error != -EBUSY && error != -ENOTCONN && error != -ENOTSUP;

	snprintf(m.store, sizeof(m.store), "%s", g->store);
	snprintf(m.why, sizeof(m.why), "%s", error < 0 ? why : "");
	if (asked && g->h->stores)
		stores_note_wait(g->h->stores, clock_mono_ms() - g->since, in_vain);
	g->active = 0;
	return send_message(g, &m, fd);
}

static int
tell_here(struct guest *g, struct want *w)
{
	struct far_message m = { .what = FAR_HERE };

	memcpy(m.digest, w->digest.b, DIGEST_SIZE);
	w->told = true;
	g->n_told++;
	/* the wrapper may use it at once, and need not hash it */
	if (g->n_told < g->n_asked)
		keep_flush(g->h->keep);
	return send_message(g, &m, -1);
}

/* ---- blobs */

static void
drop_wants(struct guest *g)
{
	mailbox_forget(g->box);
	for (size_t i = 0; i < g->begun; i++)
		if (g->wants[i].state == WANT_COMES)
			claims_end(g->h->claims, &g->wants[i].digest);
	free(g->wants);
	g->wants = NULL;
	g->n = g->begun = g->open = g->n_asked = g->n_told = 0;
	g->bytes = 0;
}

static int
add_want(struct guest *g, const struct digest *digest, uint64_t size, bool asked)
{
	struct want *v = reallocarray(g->wants, g->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	g->wants = v;
	v[g->n++] = (struct want){ .digest = *digest, .size = size, .asked = asked };
	g->n_asked += asked;
	return 0;
}

static void
begin_want(struct guest *g, size_t i)
{
	struct want *w = &g->wants[i];
	int r;

	if (keep_has(g->h->keep, &w->digest, w->size)) {
		w->state = WANT_HERE;
		return;
	}
	if (!claims_begin(g->h->claims, &w->digest, g->box)) {
		w->state = WANT_OTHERS;
		return;
	}
	r = mailbox_get(g->box, g->h->stores, STORE_BLOB, &w->digest, w->size, 0, i);
	if (r < 0)
		claims_end(g->h->claims, &w->digest);
	w->state = r < 0 ? WANT_FAILED : WANT_COMES;
	w->error = r;
	g->open += r == 0;
}

static void
begin_more(struct guest *g)
{
	for (; g->begun < g->n && g->open < AT_ONCE; g->begun++)
		begin_want(g, g->begun);
}

/* Another thread's fetch has ended, perhaps one that is waited for, and perhaps in vain. */
static void
look_at_others(struct guest *g)
{
	for (size_t i = 0; i < g->begun; i++)
		if (g->wants[i].state == WANT_OTHERS)
			begin_want(g, i);
}

/* Tells what is news of those that were asked for, and ends the wait with the last, or the first
 * that cannot be had. */
static int
tell_news(struct guest *g)
{
	int r = 0;

	if (g->active != FAR_BRING)
		return 0;
	for (size_t i = 0; r == 0 && i < g->begun; i++) {
		struct want *w = &g->wants[i];

		if (!w->asked || w->told)
			continue;
		if (w->state == WANT_FAILED) {
			char why[128];

			snprintf(why, sizeof(why), "a file of it cannot be had: %s",
				w->error == -ENOENT    ? "it is not in the store"
				: w->error == -EBADMSG ? "it is damaged there"
						       : strerror(-w->error));
			return answer(g, w->error, why, -1, 0);
		}
		if (w->state == WANT_HERE)
			r = tell_here(g, w);
	}
	if (r < 0 || g->n_told < g->n_asked)
		return r;
	keep_flush(g->h->keep);
	return answer(g, 0, "", -1, 0);
}

static int
take_blob(struct guest *g, struct mail *m)
{
	struct want *w = &g->wants[m->number];
	int r;

	g->open--;
	w->error = m->reply.error;
	if (w->error == 0)
		w->error = keep_take(g->h->keep, m->reply.fd, &w->digest, w->size);
	w->state = w->error < 0 ? WANT_FAILED : WANT_HERE;
	claims_end(g->h->claims, &w->digest);
	if (w->error == 0)
		g->bytes += w->size;
	begin_more(g);
	r = tell_news(g);
	/* the wrapper goes on meanwhile */
	if (g->open == 0)
		keep_trim(g->h->keep);
	return r;
}

static int
bring(struct guest *g, int fd)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	size_t ahead = g->n, n;
	int r = fd < 0 ? -EBADMSG : far_file_read(fd, FAR_BLOBS_MAX * sizeof(struct far_blob), &b);

	if (r < 0 || b.n % sizeof(struct far_blob) || g->n_asked > 0)
		return -EBADMSG;
	n = b.n / sizeof(struct far_blob);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct far_blob blob;
		struct digest d;
		size_t k = 0;

		memcpy(&blob, b.p + i * sizeof(blob), sizeof(blob));
		memcpy(d.b, blob.digest, DIGEST_SIZE);
		while (k < ahead &&
			!(digest_eq(&g->wants[k].digest, &d) && g->wants[k].size == blob.size))
			k++;
		if (k == ahead)
			r = add_want(g, &d, blob.size, true);
		else if (!g->wants[k].asked) {
			g->wants[k].asked = true;
			g->n_asked++;
		}
	}
	if (r < 0)
		return r;
	if (!g->h->stores)
		return -EBADMSG;
	begin_more(g);
	return tell_news(g);
}

/* ---- results */

/* Before it is asked for, what probably will be: the blobs of the latest result. */
static void
fetch_ahead(struct guest *g, const struct result *res)
{
	const struct output *o;
	uint64_t bytes = 0;
	size_t at = 0;

	while (g->n < AHEAD_BLOBS && (o = result_next_blob(res, &at)) != NULL) {
		if (o->size > AHEAD_BYTES - bytes || keep_has(g->h->keep, &o->digest, o->size) ||
			add_want(g, &o->digest, o->size, false) < 0)
			continue;
		bytes += o->size;
	}
	begin_more(g);
}

/* Adds those results to *ret that are believed, the latest first. *first: it is empty, or that one.
 */
static int
open_results(struct guest *g, const struct shared_entry *from, struct entry *ret,
	struct result *first, unsigned *refused, char **why)
{
	const struct shared_reader reader = { &g->now->trust, g->now->namespace };
	int r = 0;

	ret->key = g->key;
	for (size_t i = from->n; r == 0 && i-- > 0;) {
		_cleanup_(freep) char *now = NULL;

		result_done(first);
		r = shared_open(from, i, &reader, first, NULL, &now);
		if (r == 0) {
			r = entry_add_result(ret, first);
		} else if (r != -ENOMEM) {
			++*refused;
			free(*why);
			*why = steal_ptr(now);
			r = 0;
		}
	}
	for (size_t i = 0; r == 0 && i < from->recipe.n; i++)
		r = strv_add(&ret->recipe, from->recipe.v[i]);
	return r;
}

/* Which of its results publishers have sealed: a key is one kind of producer's. */
static void
note_publishers(struct guest *g, const struct entry *e)
{
	for (size_t i = 0; i < e->n_results; i++) {
		_cleanup_(result_done) struct result res = RESULT_INIT;
		const struct trust_key *k = NULL;
		struct digest d;

		if (entry_result(e, i, &res) == 0 && res.producer &&
			digest_parse(res.producer, &d) == 0)
			k = trust_keys_find(&g->now->trust.keys, d.b);
		if (k && k->kind == TRUST_PUBLISHER)
			g->publishers |= 1u << i;
	}
}

/* bytes: the object. */
static int
make_found(struct guest *g, const struct buf *bytes, unsigned *refused, char **why, int *ret)
{
	_cleanup_(buf_done) struct buf made = BUF_INIT;
	_cleanup_(shared_entry_done) struct shared_entry from = SHARED_ENTRY_INIT;
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(result_done) struct result first = RESULT_INIT;
	int r = shared_entry_decode(bytes->p, bytes->n, &g->key, &from);

	g->bytes += bytes->n;
	if (r == 0)
		r = open_results(g, &from, &e, &first, refused, why);
	if (r == 0 && e.n_results == 0)
		return -EACCES;
	if (r == 0)
		r = entry_encode(&e, &made);
	if (r < 0)
		return r;
	note_publishers(g, &e);
	*ret = far_file_make(made.p, made.n);
	if (*ret >= 0) {
		result_done(&first);
		if (entry_result(&e, 0, &first) == 0)
			fetch_ahead(g, &first);
	}
	return MIN2(*ret, 0);
}

/* What the stores say of the key: bytes, or an error. text: of an error, what went wrong there. */
static int
answer_find(struct guest *g, int r, const struct buf *bytes, const char *text)
{
	_cleanup_(freep) char *why = NULL;
	_cleanup_(closep) int fd = -1;
	char said[FAR_WHY_MAX];
	unsigned refused = 0;

	if (r == 0) {
		g->now = believed_get(g->h->believed);
		r = make_found(g, bytes, &refused, &why, &fd);
		believed_put(g->h->believed, steal_ptr(g->now));
	}
	if (r == -EACCES)
		snprintf(said, sizeof(said), "%u of %u results are not believed: %s", refused,
			refused, why ? why : "");
	else
		snprintf(said, sizeof(said), "%s",
			r == -ENOENT	? "it is in no store"
			: r == -EBADMSG ? "what is in the store is damaged"
			: r == -EPROTONOSUPPORT
				? "what is in the store is of another version of dray"
			: r < 0 && *text ? text
			: r < 0		 ? strerror(-r)
					 : "");
	/* damage is not late */
	if (r == -EBADMSG || r == -EPROTONOSUPPORT)
		r = -EACCES;
	refused += r == -EACCES && refused == 0;
	/* what is here already the wrapper need not hash */
	if (r == 0)
		keep_flush(g->h->keep);
	return answer(g, r, said, fd, refused);
}

static int
take_entry(struct guest *g, struct mail *m)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = m->reply.error;

	if (g->active != FAR_FIND)
		return 0;
	if (r == 0) {
		snprintf(g->store, sizeof(g->store), "%s", m->q.store);
		r = buf_reserve(&b, (size_t)m->reply.size + 1);
	}
	if (r == 0 &&
		fs_read_at(m->reply.fd, b.p, (size_t)m->reply.size, 0) != (ssize_t)m->reply.size)
		r = -EIO;
	if (r == 0)
		b.n = (size_t)m->reply.size;
	return answer_find(g, r, &b, m->q.why);
}

/* Why nothing is asked for; "": it is. */
static void
find_off(struct guest *g, char *ret, size_t size)
{
	const struct far_farm *farm = g->h->farm;
	struct believed_now *now;
	const char *off = g->h->off;

	if (!off)
		believed_add_list(g->h->believed, g->h->stores);
	now = believed_get(g->h->believed);
	/* what the coordinator will say, it says before it gives a result */
	if (!off && !(farm && farm->will_vouch(farm->arg)))
		off = now->off;
	snprintf(ret, size, "%s", off ? off : "");
	believed_put(g->h->believed, now);
}

static int
find(struct guest *g, const struct far_message *m)
{
	_cleanup_(buf_done) struct buf ahead = BUF_INIT;
	struct digest list;
	uint64_t rest;
	char why[FAR_WHY_MAX];
	int r;

	drop_wants(g);
	*g->store = '\0';
	g->publishers = 0;
	memcpy(g->key.b, m->digest, DIGEST_SIZE);
	find_off(g, why, sizeof(why));
	if (*why)
		return answer(g, -EBUSY, why, -1, 0);
	memcpy(list.b, m->list, DIGEST_SIZE);
	if (ahead_take(g->h->ahead, &list, &g->key, &ahead, g->store))
		return answer_find(g, 0, &ahead, "");
	rest = stores_rest(g->h->stores);
	if (rest) {
		snprintf(why, sizeof(why),
			"the stores did not answer in time, and are left alone for %llu s",
			(unsigned long long)(rest / 1000 + 1));
		return answer(g, -EBUSY, why, -1, 0);
	}
	r = mailbox_get(g->box, g->h->stores, STORE_ENTRY, &g->key, SHARED_MAX, m->ms, MAIL_ENTRY);
	return r < 0 ? answer(g, r, strerror(-r), -1, 0) : 0;
}

/* ---- the conversation */

static int
flush_uploads(struct guest *g)
{
	struct far_message m = { .what = FAR_LEFT };

	if (g->h->upload && stores_puts(g->h->stores) == FAR_PUTS_NO) {
		m.error = -ENOKEY;
		snprintf(m.why, sizeof(m.why),
			"the coordinator takes no results of this client: its key is no "
			"publisher's");
	} else if (g->h->upload) {
		m.bytes = upload_kick(g->h->upload, m.why, sizeof(m.why));
	} else {
		m.error = -ENOKEY;
		snprintf(m.why, sizeof(m.why), "%s",
			g->h->stores ? "the identity cannot be read, or has no secret" : g->h->off);
	}
	g->active = 0;
	return send_message(g, &m, -1);
}

static int
take_message(struct guest *g)
{
	struct far_message m;
	_cleanup_(closep) int fd = -1;
	struct digest list;
	char why[FAR_WHY_MAX];
	int r = far_receive(g->conn,
		(1u << FAR_BUILD) | (1u << FAR_FIND) | (1u << FAR_BRING) | (1u << FAR_FLUSH) |
			(1u << FAR_WAIT),
		&m, &fd);

	if (r == -EAGAIN)
		return 0;
	/* the answer may have crossed it */
	if (r == 0 && m.what == FAR_WAIT && (!g->active || g->active == FAR_BRING)) {
		g->until = clock_mono_ms() + MIN2(m.ms, (uint32_t)ASK_MS);
		return 0;
	}
	if (r < 0 || g->active)
		return r < 0 ? r : -EBADMSG;
	if (m.what == FAR_BUILD) {
		memcpy(list.b, m.list, DIGEST_SIZE);
		find_off(g, why, sizeof(why));
		if (!*why)
			ahead_begin(g->h->ahead, &list);
		return 0;
	}
	g->active = (enum far_what)m.what;
	g->since = clock_mono_ms();
	g->until = g->since + MIN2(m.ms, (uint32_t)ASK_MS);
	if (m.what == FAR_FIND)
		return find(g, &m);
	return m.what == FAR_BRING ? bring(g, fd) : flush_uploads(g);
}

static int
take_mail(struct guest *g)
{
	struct mail *m;
	int r = 0;

	while (r == 0 && (m = mailbox_take(g->box)) != NULL) {
		r = m->number == MAIL_ENTRY ? take_entry(g, m) : take_blob(g, m);
		mail_free(m);
	}
	look_at_others(g);
	return r < 0 ? r : tell_news(g);
}

static int
step(struct guest *g)
{
	struct pollfd p[] = { { g->conn, POLLIN, 0 }, { mailbox_fd(g->box), POLLIN, 0 } };
	uint64_t now = clock_mono_ms();
	int r;

	if (poll(p, 2, g->active ? (int)(g->until - MIN2(now, g->until)) : -1) < 0)
		return errno == EINTR ? 0 : -errno;
	r = p[1].revents ? take_mail(g) : 0;
	if (r == 0 && p[0].revents)
		r = take_message(g);
	if (r == 0 && g->active && clock_mono_ms() >= g->until)
		r = answer(g, -ETIMEDOUT, "no answer in time", -1, 0);
	return r;
}

void
far_serve(struct far_half *h, int conn)
{
	struct guest g = { .h = h, .conn = conn };

	g.box = mailbox_new();
	if (!g.box)
		return;
	while (step(&g) == 0)
		;
	/* what it waited for when it left it has lost */
	if (g.active && h->stores)
		stores_note_wait(h->stores, clock_mono_ms() - g.since, true);
	drop_wants(&g);
	claims_leave(h->claims, g.box);
	mailbox_close(g.box);
}
