/* A node asks to be let in. Invariant: the secret goes to nobody but the one that has proved the
 * key of the token. */
#include "config.h"

#include "join/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/text/why.h"
#include "keys/rotation.h"
#include "proto/socket.h"
#include "proto/wire.h"

#define HEARTBEAT_MS 1000
#define POLL_MS 200
#define AGAIN_MS 300 /* after one that was put off */

enum step {
	STEP_ON,    /* nothing yet */
	STEP_AGAIN, /* another connection is to be made */
	STEP_END
};

struct asking;

struct question {
	enum step (*begin)(struct asking *a); /* the connection is there */
	enum step (*take)(struct asking *a, const struct wire_msg *m);
	const char *refused; /* what it means that the coordinator does not let the key in, */
	int refused_as;	     /* and the error of it */
	const char *known;   /* what says the coordinator's key */
	const char *if_new;  /* what helps if the coordinator's key is another one by now */
};

struct asking {
	const struct question *question;
	const char *endpoint, *server; /* the coordinator's CURVE key */
	const struct identity *id;
	const struct join_in *in; /* of one that joins; as the next one */
	struct joined *ret;
	const struct rotate_in *rotate; /* of one that has another key, */
	struct rotated *rotated;	/* unless it asks whether that is let in: NULL */
	char **ret_why;
	void *ctx, *socket;
	struct monitor *monitor;
	bool sent, put_off;
	int result;
};

static void
asking_done(struct asking *a)
{
	monitor_freep(&a->monitor);
	socket_closep(&a->socket);
	zmq_ctx_termp(&a->ctx);
}

static enum step _printf_(3, 4) end(struct asking *a, int err, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	a->result = why_set(a->ret_why, err, "%s", text ? text : "out of memory");
	return STEP_END;
}

static int
connect_anew(struct asking *a)
{
	monitor_freep(&a->monitor);
	socket_closep(&a->socket);
	a->sent = false;
	return socket_connect_monitored(
		a->ctx, a->endpoint, a->id, a->server, HEARTBEAT_MS, &a->socket, &a->monitor);
}

static enum step
send_join(struct asking *a)
{
	static char software[] = "dray " PACKAGE_VERSION;
	Dray__Join m = DRAY__JOIN__INIT;
	struct join_word word = *a->in->word;
	struct identity id = *a->in->id;
	uint8_t proof[SIGNATURE_SIZE];
	char text[JOIN_PROOF_SIZE], name[KEYS_NAME_MAX + 1];
	_cleanup_(freep) char *token = a->in->id_token ? strdup(a->in->id_token) : NULL;
	int r;

	if (a->in->id_token && !token)
		return end(a, -ENOMEM, "out of memory");

	snprintf(name, sizeof(name), "%s", a->in->name);
	join_proof_text(word.curve_public, id.curve_public, text);
	r = identity_sign(&id, text, sizeof(text), proof);
	if (r == 0) {
		if (token)
			m.id_token = token;
		else
			m.secret = (ProtobufCBinaryData){ sizeof(word.secret), word.secret };
		m.sign_public = (ProtobufCBinaryData){ SIGN_KEY_SIZE, id.sign_public };
		m.proof = (ProtobufCBinaryData){ sizeof(proof), proof };
		m.name = name;
		m.software = software;
		m.worker = a->in->worker;
		r = wire_send(a->socket, NULL, WIRE_JOIN, &m.base, NULL, 0);
	}
	join_word_done(&word);
	identity_done(&id);
	a->sent = r == 0;
	return r < 0 ? end(a, r, "cannot ask: %s", strerror(-r)) : STEP_ON;
}

static enum step
take_events(struct asking *a)
{
	for (;;) {
		switch (monitor_next(a->monitor, NULL)) {
		case MONITOR_NONE:
		case MONITOR_PEER_GONE:
			return STEP_ON;
		case MONITOR_CONNECTED:
			if (!a->sent && a->question->begin(a) == STEP_END)
				return STEP_END;
			break;
		case MONITOR_REFUSED:
			return end(a, a->question->refused_as, "the coordinator at %s %s",
				a->endpoint, a->question->refused);
		case MONITOR_PUT_OFF:
			a->put_off = true;
			return STEP_AGAIN;
		case MONITOR_DISCONNECTED:
			/* What was sent may have been heard: whose key is in the list then is told
			 * so. */
			return STEP_AGAIN;
		}
	}
}

static bool
name_ok(const char *s)
{
	return !*s || keys_name_ok(s, strlen(s));
}

static enum step
take_joined(struct asking *a, const Dray__Joined *m)
{
	struct joined *j = a->ret;

	*j = (struct joined){ .role = role_parse(m->role), .already = m->already };
	if (j->role == ROLE_NONE || !name_ok(m->name) || !name_ok(m->namespace_) ||
		!keys_name_ok(m->coordinator, strlen(m->coordinator)) ||
		m->sign_public.len != SIGN_KEY_SIZE)
		return end(
			a, -EPROTO, "the coordinator answers what this dray does not understand");
	snprintf(j->name, sizeof(j->name), "%s", m->name);
	snprintf(j->namespace, sizeof(j->namespace), "%s", m->namespace_);
	snprintf(j->coordinator.name, sizeof(j->coordinator.name), "%s", m->coordinator);
	memcpy(j->coordinator.curve_public, a->in->word->curve_public, CURVE_KEY_SIZE);
	memcpy(j->coordinator.sign_public, m->sign_public.data, SIGN_KEY_SIZE);
	a->result = 0;
	return STEP_END;
}

static enum step
take_to_join(struct asking *a, const struct wire_msg *m)
{
	return m->info->type == WIRE_JOINED ? take_joined(a, (const Dray__Joined *)m->body)
					    : STEP_ON;
}

static const struct question to_join = {
	.begin = send_join,
	.take = take_to_join,
	.refused = "lets in no key that it does not know: the token has expired, or was used or "
		   "revoked, some time ago, or this key was revoked; ask an admin for a new token "
		   "(drayctl token create)",
	.refused_as = -EACCES,
	.known = "the token says",
	.if_new = "If the coordinator's key is new, ask an admin for a new token",
};

/* ---- another key in the place of one */

static enum step
send_hello(struct asking *a)
{
	char role[16];
	Dray__Hello m;
	int r;

	snprintf(role, sizeof(role), "%s", a->rotate->worker ? "worker" : "client");
	wire_hello(&m, role);
	r = wire_send(a->socket, NULL, WIRE_HELLO, &m.base, NULL, 0);
	a->sent = r == 0;
	return r < 0 ? end(a, r, "cannot ask: %s", strerror(-r)) : STEP_ON;
}

static enum step
send_rotate(struct asking *a)
{
	const struct rotate_in *in = a->rotate;
	Dray__Rotate m = DRAY__ROTATE__INIT;
	struct rotation p;
	int r = rotation_make(in->old, in->fresh, a->server, &p);

	if (r == 0) {
		m.curve_public = p.curve_public;
		m.sign_public = (ProtobufCBinaryData){ SIGN_KEY_SIZE, p.sign_public };
		m.by_new = (ProtobufCBinaryData){ SIGNATURE_SIZE, p.by_new };
		m.by_old = (ProtobufCBinaryData){ SIGNATURE_SIZE, p.by_old };
		m.mac = (ProtobufCBinaryData){ ROTATION_MAC_SIZE, p.mac };
		m.overlap_s = in->overlap_s;
		m.stolen = in->stolen;
		r = wire_send(a->socket, NULL, WIRE_ROTATE, &m.base, NULL, 0);
	}
	return r < 0 ? end(a, r, "cannot ask: %s", strerror(-r)) : STEP_ON;
}

static enum step
take_welcome(struct asking *a, const Dray__Welcome *m)
{
	a->result = 0;
	if (!a->rotated)
		return STEP_END;
	for (size_t i = 0; i < m->n_features; i++)
		if (streq(m->features[i], WIRE_ROTATES))
			return send_rotate(a);
	return end(a, -EOPNOTSUPP,
		"the coordinator is older than this dray, and knows of no keys that others come in "
		"the place of: upgrade it first");
}

static enum step
take_rotated(struct asking *a, const Dray__Rotated *m)
{
	struct rotated *d = a->rotated;

	*d = (struct rotated){ .role = role_parse(m->role),
		.until_s = m->until_s,
		.already = m->already,
		.revoked = m->revoked };
	if (d->role == ROLE_NONE || !name_ok(m->name) || !name_ok(m->namespace_))
		return end(
			a, -EPROTO, "the coordinator answers what this dray does not understand");
	snprintf(d->name, sizeof(d->name), "%s", m->name);
	snprintf(d->namespace, sizeof(d->namespace), "%s", m->namespace_);
	a->result = 0;
	return STEP_END;
}

static enum step
take_to_rotate(struct asking *a, const struct wire_msg *m)
{
	if (m->info->type == WIRE_WELCOME)
		return take_welcome(a, (const Dray__Welcome *)m->body);
	return m->info->type == WIRE_ROTATED && a->rotated
		       ? take_rotated(a, (const Dray__Rotated *)m->body)
		       : STEP_ON;
}

static const struct question to_rotate = {
	.begin = send_hello,
	.take = take_to_rotate,
	.refused = "does not let this key in: it was revoked, or another one has come in its place "
		   "and its time is over",
	.refused_as = -ENOKEY,
	.known = "[client], or [worker], coordinator_key",
	.if_new = "If the coordinator has a new key, an admin knows what to do (drayctl key "
		  "rotate)",
};

/* ---- any of them */

static enum step
take_message(struct asking *a)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	int r = wire_recv(a->socket, NULL, WIRE_FROM_COORDINATOR, &m);

	if (r == -EAGAIN)
		return STEP_ON;
	if (r < 0)
		return end(a, -EPROTO,
			"the coordinator says what this dray does not understand: it is of another "
			"version");
	if (m.info->type == WIRE_REFUSED)
		return end(a, -EACCES, "the coordinator refuses: %.400s",
			((const Dray__Refused *)m.body)->text);
	return a->question->take(a, &m);
}

/* A message first: the end of its connection is behind it. */
static enum step
step(struct asking *a)
{
	zmq_pollitem_t items[] = { { a->socket, 0, ZMQ_POLLIN, 0 },
		{ monitor_socket(a->monitor), 0, ZMQ_POLLIN, 0 } };
	enum step s;

	(void)zmq_poll(items, (int)ARRAY_LEN(items), POLL_MS);
	s = take_message(a);
	return s == STEP_ON ? take_events(a) : s;
}

static enum step
say_late(struct asking *a)
{
	if (a->put_off)
		return end(a, -ENOTCONN,
			"what answers at %s has another key than %s, or is too busy: is it the "
			"right endpoint? %s",
			a->endpoint, a->question->known, a->question->if_new);
	return end(a, -ETIMEDOUT,
		"no coordinator answers at %s: is it the right endpoint, does the coordinator run, "
		"and does no firewall stand in between?",
		a->endpoint);
}

static int
ask(struct asking *a, uint64_t wait_ms)
{
	uint64_t until = clock_mono_ms() + wait_ms;
	enum step s = STEP_ON;
	int r = zmq_ctx_open(&a->ctx);

	if (r == 0)
		r = connect_anew(a);
	if (r < 0)
		return why_set(
			a->ret_why, r, "%s: cannot connect: %s", a->endpoint, zmq_strerror(-r));
	while (s != STEP_END) {
		s = step(a);
		if (s != STEP_END && clock_mono_ms() >= until)
			s = say_late(a);
		if (s != STEP_AGAIN)
			continue;
		poll(NULL, 0, AGAIN_MS);
		r = connect_anew(a);
		if (r < 0)
			s = end(a, r, "%s: cannot connect: %s", a->endpoint, zmq_strerror(-r));
	}
	return a->result;
}

int
join_ask(const struct join_in *in, struct joined *ret, char **ret_why)
{
	_cleanup_(asking_done) struct asking a = { .question = &to_join,
		.endpoint = in->endpoint,
		.server = in->word->curve_public,
		.id = in->id,
		.in = in,
		.ret = ret,
		.ret_why = ret_why };

	return ask(&a, in->wait_ms);
}

int
rotate_ask(const struct rotate_in *in, struct rotated *ret, char **ret_why)
{
	_cleanup_(asking_done) struct asking a = { .question = &to_rotate,
		.endpoint = in->endpoint,
		.server = in->coordinator->curve_public,
		.id = in->old,
		.rotate = in,
		.rotated = ret,
		.ret_why = ret_why };

	return ask(&a, in->wait_ms);
}

int
rotate_is_done(const struct rotate_in *in, char **ret_why)
{
	_cleanup_(asking_done) struct asking a = { .question = &to_rotate,
		.endpoint = in->endpoint,
		.server = in->coordinator->curve_public,
		.id = in->fresh,
		.rotate = in,
		.ret_why = ret_why };

	return ask(&a, in->wait_ms);
}
