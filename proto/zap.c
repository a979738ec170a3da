/* The authenticator: libzmq asks it, over inproc, about each client that has proved a CURVE key.
 *
 * Invariant: only a CURVE client whose key the program allows is answered 200; everything that is
 * not understood is answered 400.
 *
 * A key that is not known yet may become so a moment later, so its request is kept for a while. (A
 * 300, "try again", does not do for that: libzmq then often leaves the connection as it is until
 * the handshake's time is over.) Requests come by a ROUTER, so that one that waits holds up no
 * other. The User-Id that goes with a 200 is the proved key, and is what wire_recv gives as the
 * peer's. (RFC 27: https://rfc.zeromq.org/spec/27) */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>

#include "common/clock.h"
#include "proto/socket.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_FRAME_MAX 256
#define WAITING_MAX 256

/* A request: routing id, delimiter, version, request id, domain, address, identity, mechanism,
 * credentials. */
enum {
	F_ROUTE,
	F_EMPTY,
	F_VERSION,
	F_REQUEST,
	F_DOMAIN,
	F_ADDRESS,
	F_IDENTITY,
	F_MECHANISM,
	F_CREDENTIALS,
	F_COUNT
};

struct zap_frame {
	char p[ZAP_FRAME_MAX];
	size_t n;
};

/* A request that is not answered yet. */
struct waiting {
	struct zap_frame route, request;
	char key[CURVE_KEY_SIZE];
	uint64_t until_ms;
};

struct zap {
	void *socket;
	zap_decide_fn decide;
	void *arg;
	struct waiting *waiting; /* WAITING_MAX of them, the first n_waiting in use; oldest first */
	size_t n_waiting;
	struct gate_address from; /* of the one that is decided on */
};

bool
zap_present(void *ctx)
{
	_cleanup_(socket_closep) void *s = zmq_socket(ctx, ZMQ_REP);

	/* One name, one owner: it is taken exactly when an authenticator is there. */
	if (!s)
		return false;
	if (zmq_bind(s, ZAP_ENDPOINT) < 0)
		return zmq_errno() == EADDRINUSE;
	/* Given back now: closing does it later, in another thread. */
	zmq_unbind(s, ZAP_ENDPOINT);
	return false;
}

int
zap_new(void *ctx, zap_decide_fn decide, void *arg, struct zap **ret)
{
	_cleanup_(socket_closep) void *s = zmq_socket(ctx, ZMQ_ROUTER);
	int linger = 0;
	struct zap *z;

	if (!s)
		return -zmq_errno();
	if (zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof(linger)) < 0)
		return -zmq_errno();
	if (zmq_bind(s, ZAP_ENDPOINT) < 0)
		return -zmq_errno();
	z = calloc(1, sizeof(*z));
	if (z)
		z->waiting = calloc(WAITING_MAX, sizeof(*z->waiting));
	if (!z || !z->waiting) {
		free(z);
		return -ENOMEM;
	}
	z->socket = steal_ptr(s);
	z->decide = decide;
	z->arg = arg;
	*ret = z;
	return 0;
}

void
zap_free(struct zap *z)
{
	if (!z)
		return;
	socket_closep(&z->socket);
	free(z->waiting);
	free(z);
}

void
zap_freep(struct zap **z)
{
	zap_free(*z);
	*z = NULL;
}

void *
zap_socket(struct zap *z)
{
	return z->socket;
}

struct gate_address
zap_from(const struct zap *z)
{
	return z->from;
}

/* libzmq's word of the other end's address. */
static struct gate_address
address_in(const struct zap_frame *f)
{
	char text[INET6_ADDRSTRLEN + 1] = "";

	if (f->n < sizeof(text) && !memchr(f->p, '\0', f->n))
		memcpy(text, f->p, f->n);
	return gate_address_parse(text);
}

static bool
frame_is(const struct zap_frame *f, const char *text)
{
	return f->n == strlen(text) && memcmp(f->p, text, f->n) == 0;
}

/* Reads one request whole. Frames beyond those of the RFC are dropped and make it unusable, as does
 * one that does not fit. -EAGAIN: none waits; -EBADMSG: it must be refused. */
static int
read_request(void *socket, struct zap_frame f[F_COUNT])
{
	unsigned count = 0;
	bool fits = true;
	int more = 1;

	while (more) {
		zmq_msg_t m;

		zmq_msg_init(&m);
		if (zmq_msg_recv(&m, socket, ZMQ_DONTWAIT) < 0) {
			int err = zmq_errno();

			zmq_msg_close(&m);
			if (err == EINTR)
				continue;
			return -err;
		}
		more = zmq_msg_more(&m);
		if (count < F_COUNT && zmq_msg_size(&m) <= sizeof(f[0].p)) {
			f[count].n = zmq_msg_size(&m);
			memcpy(f[count].p, zmq_msg_data(&m), f[count].n);
		} else {
			fits = false;
		}
		count++;
		zmq_msg_close(&m);
	}
	return fits && count == F_COUNT ? 0 : -EBADMSG;
}

static enum zap_answer
answer_to(struct zap *z, const struct zap_frame f[F_COUNT], char key[CURVE_KEY_SIZE])
{
	if (!frame_is(&f[F_VERSION], "1.0") || !frame_is(&f[F_DOMAIN], ZAP_DOMAIN) ||
		!frame_is(&f[F_MECHANISM], "CURVE") || f[F_CREDENTIALS].n != 32)
		return ZAP_NO;
	if (!zmq_z85_encode(key, (const uint8_t *)f[F_CREDENTIALS].p, 32))
		return ZAP_NO;
	z->from = address_in(&f[F_ADDRESS]);
	return z->decide ? z->decide(z->arg, key) : ZAP_YES;
}

/* A reply that cannot be sent (the client has gone meanwhile) is dropped by the socket. */
static void
reply(void *socket, const struct zap_frame *route, const struct zap_frame *request,
	const char *code, const char *text, const char *user)
{
	const struct {
		const void *p;
		size_t n;
	} frames[] = {
		{ route->p, route->n },
		{ "", 0 },
		{ "1.0", 3 },
		{ request->p, request->n },
		{ code, strlen(code) },
		{ text, strlen(text) },
		{ user, strlen(user) },
		{ "", 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
		int flags = ZMQ_DONTWAIT | (i + 1 < ARRAY_LEN(frames) ? ZMQ_SNDMORE : 0);

		while (zmq_send(socket, frames[i].p, frames[i].n, flags) < 0)
			if (zmq_errno() != EINTR)
				return;
	}
}

static void
answer(struct zap *z, const struct zap_frame *route, const struct zap_frame *request,
	enum zap_answer what, const char *key)
{
	if (what == ZAP_YES)
		reply(z->socket, route, request, "200", "OK", key);
	else if (what == ZAP_NO)
		reply(z->socket, route, request, "400", "key not allowed", "");
	else
		reply(z->socket, route, request, "300", "not yet", "");
}

static void
keep(struct zap *z, const struct zap_frame f[F_COUNT], const char *key, uint64_t now)
{
	struct waiting *w = &z->waiting[z->n_waiting++];

	w->route = f[F_ROUTE];
	w->request = f[F_REQUEST];
	memcpy(w->key, key, sizeof(w->key));
	w->until_ms = now + ZAP_WAIT_MS;
}

static void
take_waiting(struct zap *z, size_t i)
{
	z->n_waiting--;
	memmove(&z->waiting[i], &z->waiting[i + 1], (z->n_waiting - i) * sizeof(*z->waiting));
}

static void
expire(struct zap *z, uint64_t now)
{
	z->from = (struct gate_address){ 0 };
	while (z->n_waiting > 0 && now >= z->waiting[0].until_ms) {
		struct waiting *w = &z->waiting[0];

		answer(z, &w->route, &w->request, z->decide(z->arg, w->key), w->key);
		take_waiting(z, 0);
	}
}

void
zap_again(struct zap *z, const char *curve_public)
{
	z->from = (struct gate_address){ 0 };
	for (size_t i = 0; i < z->n_waiting;) {
		struct waiting *w = &z->waiting[i];
		enum zap_answer what = ZAP_WAIT;

		if (streq(w->key, curve_public))
			what = z->decide(z->arg, w->key);
		if (what == ZAP_WAIT) {
			i++;
			continue;
		}
		answer(z, &w->route, &w->request, what, w->key);
		take_waiting(z, i);
	}
}

long
zap_wait(const struct zap *z, uint64_t now)
{
	if (z->n_waiting == 0)
		return -1;
	return z->waiting[0].until_ms > now ? (long)(z->waiting[0].until_ms - now) : 0;
}

void
zap_step(struct zap *z)
{
	uint64_t now = clock_mono_ms();

	for (;;) {
		struct zap_frame f[F_COUNT];
		char key[CURVE_KEY_SIZE] = "";
		enum zap_answer what = ZAP_NO;
		int r;

		memset(f, 0, sizeof(f));
		r = read_request(z->socket, f);
		if (r < 0 && r != -EBADMSG)
			break;
		if (r == 0)
			what = answer_to(z, f, key);
		if (what == ZAP_WAIT && z->n_waiting < WAITING_MAX)
			keep(z, f, key, now);
		else
			answer(z, &f[F_ROUTE], &f[F_REQUEST], what, key);
	}
	expire(z, now);
}
