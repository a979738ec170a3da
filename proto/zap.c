/* The authenticator: libzmq asks it, over inproc, about each client that has proved a CURVE key.
 *
 * Invariant: only a CURVE client whose key the program allows is answered 200; everything that is
 * not understood is answered 400. The User-Id that goes with a 200 is the proved key, and is what
 * wire_recv gives as the peer's. (RFC 27: https://rfc.zeromq.org/spec/27) */
#include "config.h"

#include <errno.h>

#include "proto/socket.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_FRAME_MAX 256

/* A request: version, request id, domain, address, identity, mechanism, credentials. */
enum { F_VERSION, F_REQUEST, F_DOMAIN, F_ADDRESS, F_IDENTITY, F_MECHANISM, F_CREDENTIALS, F_COUNT };

struct zap {
	void *socket;
	zap_decide_fn decide;
	void *arg;
};

struct zap_frame {
	char p[ZAP_FRAME_MAX];
	size_t n;
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
	_cleanup_(socket_closep) void *s = zmq_socket(ctx, ZMQ_REP);
	int linger = 0;
	struct zap *z;

	if (!s)
		return -zmq_errno();
	if (zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof(linger)) < 0)
		return -zmq_errno();
	if (zmq_bind(s, ZAP_ENDPOINT) < 0)
		return -zmq_errno();
	z = calloc(1, sizeof(*z));
	if (!z)
		return -ENOMEM;
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

static bool
allowed(struct zap *z, const struct zap_frame f[F_COUNT], char key[CURVE_KEY_SIZE])
{
	if (!frame_is(&f[F_VERSION], "1.0") || !frame_is(&f[F_DOMAIN], ZAP_DOMAIN) ||
		!frame_is(&f[F_MECHANISM], "CURVE") || f[F_CREDENTIALS].n != 32)
		return false;
	if (!zmq_z85_encode(key, (const uint8_t *)f[F_CREDENTIALS].p, 32))
		return false;
	return !z->decide || z->decide(z->arg, key);
}

/* A reply that cannot be sent (the client has gone meanwhile) is dropped by the REP socket. */
static void
reply(void *socket, const struct zap_frame *request, const char *code, const char *text,
	const char *user)
{
	const struct {
		const void *p;
		size_t n;
	} frames[] = {
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

void
zap_step(struct zap *z)
{
	for (;;) {
		struct zap_frame f[F_COUNT];
		char key[CURVE_KEY_SIZE] = "";
		int r;

		memset(f, 0, sizeof(f));
		r = read_request(z->socket, f);
		if (r < 0 && r != -EBADMSG)
			return;
		if (r == 0 && allowed(z, f, key))
			reply(z->socket, &f[F_REQUEST], "200", "OK", key);
		else
			reply(z->socket, &f[F_REQUEST], "400", "key not allowed", "");
	}
}
