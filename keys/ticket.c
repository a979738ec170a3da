/* Tickets: issued and signed by the coordinator, checked and used up by a worker.
 *
 * Invariant: nothing of a ticket is decoded before its signature over these very bytes was
 * verified; and a nonce is remembered until no clock within the allowed skew would still accept its
 * ticket, so none is accepted twice. When the book is full a ticket is refused, not a nonce
 * forgotten. */
#include "config.h"

#include "keys/ticket.h"

#include <errno.h>
#include <openssl/rand.h>

#include "common/table.h"
#include "proto/ticket.pb-c.h"

#define SKEW_MS 60000
#define TICKET_MAX 1024

/* A used nonce; in the book's table, and in its list in the order of use. */
struct used {
	struct table_node node;
	struct used *next;
	uint64_t forget_ms;
	uint8_t nonce[TICKET_NONCE_SIZE];
};

struct ticket_book {
	struct table table;
	size_t max;
	struct used *oldest, *newest;
};

void
ticket_clock_set(struct ticket_clock *c, uint64_t time_ms, uint64_t mono_ms)
{
	/* None that sums could overflow with: it came from another machine. */
	if (time_ms == 0 || time_ms > INT64_MAX)
		return;
	*c = (struct ticket_clock){ .known = true, .time_ms = time_ms, .mono_ms = mono_ms };
}

uint64_t
ticket_clock_get(const struct ticket_clock *c, uint64_t mono_ms, uint64_t wall_ms)
{
	return c->known ? c->time_ms + (mono_ms - c->mono_ms) : wall_ms;
}

int
ticket_book_new(struct ticket_book **ret)
{
	struct ticket_book *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->max = TICKET_BOOK_MAX;
	if (table_init(&b->table) < 0) {
		free(b);
		return -ENOMEM;
	}
	*ret = b;
	return 0;
}

void
ticket_book_free(struct ticket_book *b)
{
	if (!b)
		return;
	while (b->oldest) {
		struct used *u = b->oldest;

		b->oldest = u->next;
		free(u);
	}
	table_done(&b->table);
	free(b);
}

void
ticket_book_limit(struct ticket_book *b, size_t max)
{
	b->max = max;
}

/* Nonces are random and the coordinator's: their own bytes are the hash. */
static uint64_t
hash(const uint8_t *nonce)
{
	uint64_t h;

	memcpy(&h, nonce, sizeof(h));
	return h;
}

static bool
book_has(struct ticket_book *b, const uint8_t *nonce)
{
	struct table_node *node = table_find(&b->table, hash(nonce));

	for (; node; node = table_find_next(node))
		if (memcmp(table_entry(node, struct used, node)->nonce, nonce, TICKET_NONCE_SIZE) ==
			0)
			return true;
	return false;
}

/* Tickets live equally long, so the order of use is the order of expiry but for a few seconds; one
 * that is forgotten late does no harm. */
static void
book_expire(struct ticket_book *b, uint64_t now_ms)
{
	while (b->oldest && b->oldest->forget_ms < now_ms) {
		struct used *u = b->oldest;

		table_del(&b->table, &u->node);
		b->oldest = u->next;
		if (!b->oldest)
			b->newest = NULL;
		free(u);
	}
}

static int
book_add(struct ticket_book *b, const uint8_t *nonce, uint64_t forget_ms)
{
	struct used *u;

	if (b->table.n >= b->max)
		return -EBUSY;
	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	memcpy(u->nonce, nonce, TICKET_NONCE_SIZE);
	u->forget_ms = forget_ms;
	table_put(&b->table, &u->node, hash(nonce));
	if (b->newest)
		b->newest->next = u;
	else
		b->oldest = u;
	b->newest = u;
	return 0;
}

/* protobuf-c's strings are not const, though packing only reads them. */
static int
pack(const char *job, const char *client, const char *worker, const struct ticket_terms *terms,
	uint64_t expires_ms, uint8_t **ret, size_t *ret_n)
{
	_cleanup_(freep) char *job_copy = strdup(job);
	_cleanup_(freep) char *client_copy = strdup(client);
	_cleanup_(freep) char *worker_copy = strdup(worker);
	char namespace[KEYS_NAME_MAX + 1], owner[CURVE_KEY_SIZE];
	uint8_t nonce[TICKET_NONCE_SIZE];
	struct digest id;
	Dray__Ticket t;
	size_t n;
	uint8_t *p;

	if (!job_copy || !client_copy || !worker_copy)
		return -ENOMEM;
	if (RAND_bytes(nonce, sizeof(nonce)) != 1)
		return -EIO;
	dray__ticket__init(&t);
	t.job = job_copy;
	t.client = client_copy;
	t.worker = worker_copy;
	t.expires_ms = expires_ms;
	t.nonce.data = nonce;
	t.nonce.len = sizeof(nonce);
	if (terms) {
		id = terms->toolchain;
		memcpy(namespace, terms->namespace, sizeof(namespace));
		t.twin = terms->twin;
		t.sample = terms->sample;
		t.refill = terms->refill;
		t.push = terms->push;
		if (terms->one)
			t.toolchain = (ProtobufCBinaryData){ DIGEST_SIZE, id.b };
		t.namespace_ = namespace;
		memcpy(owner, terms->owner, sizeof(owner));
		t.blobs = terms->blobs;
		t.owner = owner;
	}
	n = dray__ticket__get_packed_size(&t);
	if (n > TICKET_MAX)
		return -EINVAL;
	p = malloc(n);
	if (!p)
		return -ENOMEM;
	dray__ticket__pack(&t, p);
	*ret = p;
	*ret_n = n;
	return 0;
}

bool
ticket_is_for(const struct ticket_terms *terms, const void *toolchain, size_t n)
{
	return !terms->one ||
	       (n == DIGEST_SIZE && memcmp(terms->toolchain.b, toolchain, DIGEST_SIZE) == 0);
}

int
ticket_issue(const struct identity *coordinator, const char *job, const char *client_curve,
	const char *worker_curve, const struct ticket_terms *terms, uint64_t now_ms,
	uint8_t **ret_ticket, size_t *ret_n, uint8_t sig[SIGNATURE_SIZE])
{
	_cleanup_(freep) uint8_t *p = NULL;
	size_t n;
	int r;

	r = pack(job, client_curve, worker_curve, terms, now_ms + TICKET_LIFE_MS, &p, &n);
	if (r < 0)
		return r;
	r = identity_sign(coordinator, p, n, sig);
	if (r < 0)
		return r;
	*ret_ticket = steal_ptr(p);
	*ret_n = n;
	return 0;
}

static void
ticket_freep(Dray__Ticket **t)
{
	if (*t)
		dray__ticket__free_unpacked(*t, NULL);
}

/* A key that either side does not have (ipc) is not compared; where there are two they are equal.
 */
static bool
key_matches(const char *named, const char *proved)
{
	return !named[0] || !proved[0] || streq(named, proved);
}

static bool
is_job_id(const char *s)
{
	return strlen(s) == 32 && strspn(s, "0123456789abcdef") == 32;
}

static int
check_fields(
	const Dray__Ticket *t, const char *client_curve, const char *worker_curve, uint64_t now_ms)
{
	if (t->nonce.len != TICKET_NONCE_SIZE || !is_job_id(t->job) ||
		strlen(t->namespace_) > KEYS_NAME_MAX || strlen(t->owner) >= CURVE_KEY_SIZE ||
		t->twin + t->sample + t->blobs + t->refill + t->push > 1 ||
		(t->toolchain.len != 0 && (t->toolchain.len != DIGEST_SIZE || !t->push)))
		return -EBADMSG;
	/* Nor may it live longer than any that is issued, or the book would keep its nonce for
	 * ever. */
	if (t->expires_ms > UINT64_MAX - SKEW_MS || t->expires_ms + SKEW_MS < now_ms)
		return -EKEYEXPIRED;
	if (t->expires_ms > now_ms + TICKET_LIFE_MS + SKEW_MS)
		return -EKEYEXPIRED;
	if (!key_matches(t->client, client_curve) || !key_matches(t->worker, worker_curve))
		return -EACCES;
	return 0;
}

/* NULL: it is none, or not the signer's: *ret_error. */
static Dray__Ticket *
open_signed(const uint8_t *ticket, size_t n, const uint8_t *sig, size_t sig_n,
	const uint8_t signer[SIGN_KEY_SIZE], int *ret_error)
{
	*ret_error = -EBADMSG;
	if (n == 0 || n > TICKET_MAX || sig_n != SIGNATURE_SIZE)
		return NULL;
	if (!identity_verify(signer, ticket, n, sig)) {
		*ret_error = -EKEYREJECTED;
		return NULL;
	}
	return dray__ticket__unpack(NULL, n, ticket);
}

/* 0, and the ticket; else -errno. */
static int
open_ticket(const uint8_t *ticket, size_t n, const uint8_t *sig, size_t sig_n,
	const uint8_t signer[SIGN_KEY_SIZE], const char *client_curve, const char *worker_curve,
	uint64_t now_ms, Dray__Ticket **ret)
{
	_cleanup_(ticket_freep) Dray__Ticket *t = NULL;
	int r;

	t = open_signed(ticket, n, sig, sig_n, signer, &r);
	if (!t)
		return r;
	r = check_fields(t, client_curve, worker_curve, now_ms);
	if (r == 0)
		*ret = steal_ptr(t);
	return r;
}

int
ticket_check_blobs(const uint8_t *ticket, size_t n, const uint8_t *sig, size_t sig_n,
	const uint8_t signer[SIGN_KEY_SIZE], const char *client_curve, const char *worker_curve,
	uint64_t now_ms, char ret_owner[CURVE_KEY_SIZE])
{
	_cleanup_(ticket_freep) Dray__Ticket *t = NULL;
	int r = open_ticket(ticket, n, sig, sig_n, signer, client_curve, worker_curve, now_ms, &t);

	if (r < 0)
		return r;
	/* over ipc nobody can tell whose they are */
	if (!t->blobs || !*t->client || !*t->worker || !*client_curve || !*worker_curve)
		return -EACCES;
	memcpy(ret_owner, t->owner, strlen(t->owner) + 1);
	return 0;
}

int
ticket_check(struct ticket_book *b, const uint8_t *ticket, size_t n, const uint8_t *sig,
	size_t sig_n, const uint8_t signer[SIGN_KEY_SIZE], const char *client_curve,
	const char *worker_curve, uint64_t now_ms, char **ret_job, struct ticket_terms *ret)
{
	_cleanup_(ticket_freep) Dray__Ticket *t = NULL;
	_cleanup_(freep) char *job = NULL;
	int r = open_ticket(ticket, n, sig, sig_n, signer, client_curve, worker_curve, now_ms, &t);

	if (r == 0 && t->blobs)
		r = -EACCES;
	if (r < 0)
		return r;
	book_expire(b, now_ms);
	if (book_has(b, t->nonce.data))
		return -EALREADY;
	job = strdup(t->job);
	if (!job)
		return -ENOMEM;
	r = book_add(b, t->nonce.data, t->expires_ms + SKEW_MS);
	if (r < 0)
		return r;
	*ret_job = steal_ptr(job);
	*ret = (struct ticket_terms){ .twin = t->twin,
		.sample = t->sample,
		.refill = t->refill,
		.push = t->push,
		.one = t->toolchain.len != 0 };
	if (ret->one)
		memcpy(ret->toolchain.b, t->toolchain.data, DIGEST_SIZE);
	memcpy(ret->namespace, t->namespace_, strlen(t->namespace_));
	return 0;
}

int
ticket_read(const uint8_t *ticket, size_t n, const uint8_t *sig, size_t sig_n,
	const uint8_t signer[SIGN_KEY_SIZE], const char *worker_curve, uint64_t now_ms,
	char ret_client[CURVE_KEY_SIZE])
{
	_cleanup_(ticket_freep) Dray__Ticket *t = NULL;
	int r;

	t = open_signed(ticket, n, sig, sig_n, signer, &r);
	if (!t)
		return r;
	if (t->sample || t->blobs || t->push || strlen(t->client) != CURVE_KEY_SIZE - 1)
		return -EBADMSG;
	if (!streq(t->worker, worker_curve))
		return -EACCES;
	/* by its own coordinator, so none is of the future, or without an end */
	if (t->expires_ms > now_ms + TICKET_LIFE_MS + SKEW_MS ||
		now_ms > t->expires_ms + TICKET_READ_MS)
		return -EKEYEXPIRED;
	memcpy(ret_client, t->client, CURVE_KEY_SIZE);
	return 0;
}
