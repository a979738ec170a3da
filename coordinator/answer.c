/* Messages to a peer: an answer, a denial, a refusal. This file is below all that read messages.
 * Invariant: a peer that cannot be sent to is marked for removal and is sent nothing more; a
 * refused peer is DROPPED, and all that it had here has ended. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "coordinator/server_priv.h"

/* What one client's key may leave unread, over all its connections, and what each may before the
 * system is asked. Of workers it is asked little, and they owe heartbeats. */
#define UNREAD_MAX (8u * 1024 * 1024)
#define UNREAD_LEAST (16u * 1024)
#define ANSWER_COST 200 /* of a message, beside its body */

uint64_t
server_time(const struct server *s)
{
	return ticket_clock_get(&s->clock, s->now, 0);
}

static bool
takes_more(const struct peer *p)
{
	struct pollfd fd = { p->wire.fd, POLLOUT, 0 };

	return poll(&fd, 1, 0) != 0;
}

/* libzmq writes while the system takes it; so of what was sent it has nothing when the system takes
 * more. Else all that was sent since is thought to wait. False: too much of that key does. */
static bool
reads_enough(struct server *s, struct peer *p, const ProtobufCMessage *body)
{
	size_t n = protobuf_c_message_get_packed_size(body) + ANSWER_COST;

	if (p->role == ROLE_WORKER || !p->wire.curve[0])
		return true;
	if (p->unread + n > UNREAD_LEAST && p->unread > 0 && takes_more(p)) {
		door_unread(s->door, p->wire.curve, -(int)p->unread);
		p->unread = 0;
	}
	p->unread += (unsigned)n;
	return door_unread(s->door, p->wire.curve, (int)n) <= UNREAD_MAX ||
	       p->unread <= UNREAD_LEAST;
}

void
server_send(struct server *s, struct peer *p, enum wire_type type, const ProtobufCMessage *body)
{
	server_send_number(s, p, 0, type, body, NULL);
}

/* What has a payload is sent on credit (coordinator/cache/turns.h), which bounds it. */
void
server_send_number(struct server *s, struct peer *p, uint32_t number, enum wire_type type,
	const ProtobufCMessage *body, zmq_msg_t *payload)
{
	int r;

	if (p->doomed)
		return;
	if (!payload && !reads_enough(s, p, body)) {
		log_throttled(&s->slow_peer, 5,
			"key=%s does not read what it is sent; its connection ends", p->wire.curve);
		monitor_end(peer_monitor(s, &p->wire), &p->wire, s->now);
		peer_doom(s, p);
		return;
	}
	r = wire_send_job(peer_socket(s, &p->wire), &p->wire, number, type, body, payload);
	if (r == 0)
		return;
	if (r == -EAGAIN) {
		log_throttled(&s->slow_peer, 5,
			"peer=%s role=%s does not read what it is sent; its connection ends",
			p->wire.curve, role_name(p->role));
		monitor_end(peer_monitor(s, &p->wire), &p->wire, s->now);
	} else if (r != -EHOSTUNREACH) {
		log_throttled(&s->slow_peer, 5, "cannot send %s: %s", wire_info(type)->name,
			strerror(-r));
	}
	peer_doom(s, p);
}

void
server_waste(struct server *s, const struct wire_peer *wire)
{
	unsigned ms = door_waste(s->door, wire->curve, s->now);

	if (ms == 0)
		return;
	log_throttled(&s->crowd, 5, "key=%s says too much that is of no use; it is held back",
		wire->curve);
	monitor_hold(peer_monitor(s, wire), wire, ms, s->now);
}

/* Ends all that a peer has here, but keeps the peer itself, so that its messages can be ignored. */
static void
drop(struct server *s, struct peer *p)
{
	peer_end(s, p, "it was refused");
	p->state = ADMIT_DROPPED;
}

void
server_part(struct server *s, const struct wire_peer *wire, struct peer *p, enum wire_type type,
	const ProtobufCMessage *body)
{
	int r = wire_send(peer_socket(s, wire), wire, type, body, NULL, 0);

	/* A peer that is gone already gets no record, since nothing would ever remove it. */
	if (!p && (r == -EHOSTUNREACH || !(p = peer_add(s, wire))))
		return;
	drop(s, p);
	/* A worker comes back by itself in a while, and would at once on a new connection. */
	if (p->role != ROLE_WORKER && peer_key_role(s, wire) != ROLE_WORKER)
		monitor_end(peer_monitor(s, &p->wire), &p->wire, s->now);
	if (r < 0)
		peer_doom(s, p);
}

void
server_refuse(struct server *s, const struct wire_peer *wire, struct peer *p, Dray__Verdict verdict,
	const char *fmt, ...)
{
	Dray__Refused refused;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	server_waste(s, wire);
	tally_failed(s->tally, TALLY_REFUSED_PEER, &(struct tally_words){ .text = text },
		clock_wall_ms());
	log_throttled(&s->bad_peer, 10, "peer refused: key=%s role=%s: %s",
		wire->curve[0] ? wire->curve : "-", p ? role_name(p->role) : "-", text);
	tell_fault(s, wire->curve, text);
	dray__refused__init(&refused);
	refused.verdict = verdict;
	refused.text = text;
	server_part(s, wire, p, WIRE_REFUSED, &refused.base);
}

void
send_denied_as(struct server *s, struct peer *p, const char *job, Dray__Verdict verdict,
	const char *text, const struct denied_more *more)
{
	Dray__JobDenied denied;
	char job_copy[JOB_ID_HEX_SIZE] = "", text_copy[1024];

	clean_text(job, job_copy, sizeof(job_copy));
	clean_text(text, text_copy, sizeof(text_copy));
	dray__job_denied__init(&denied);
	denied.job = job_copy;
	denied.verdict = verdict;
	denied.text = text_copy;
	denied.having = more->having;
	denied.give = more->give;
	log_debug("job=%s denied: %s", job_copy, text_copy);
	tally_denied(s->tally, verdict);
	if (verdict == DRAY__VERDICT__VERDICT_QUEUE_FULL || verdict == DRAY__VERDICT__VERDICT_QUOTA)
		server_waste(s, &p->wire);
	server_send(s, p, WIRE_JOB_DENIED, &denied.base);
}

void
send_denied(
	struct server *s, struct peer *p, const char *job, Dray__Verdict verdict, const char *text)
{
	send_denied_as(s, p, job, verdict, text, &(struct denied_more){ .having = 0 });
}

void
join_answer(struct server *s, struct peer *p, const struct wire_peer *to,
	const struct allowed_key *key, bool already)
{
	Dray__Joined m = DRAY__JOINED__INIT;
	struct allowed_key k = *key;
	char role[16];

	snprintf(role, sizeof(role), "%s", role_name(k.role));
	m.role = role;
	m.name = k.name;
	m.namespace_ = k.namespace;
	m.already = already;
	m.coordinator = s->id.name;
	m.sign_public = (ProtobufCBinaryData){ SIGN_KEY_SIZE, s->id.sign_public };
	server_part(s, to, p, WIRE_JOINED, &m.base);
}
