/* The table of messages: which role may send each, and in which state. A message that is not in the
 * table, or breaks its row, ends in a refusal of that peer, without effect on others. Invariant: a
 * handler is called only for a message of its row, from a peer whose role was proved. */
#include "config.h"

#include <errno.h>

#include "coordinator/server_priv.h"

#define R(role) (1u << (role))
#define CLIENTS (R(ROLE_CLIENT) | R(ROLE_ADMIN))
#define GREETED (PEER_GREETED | PEER_REGISTERED)

struct handler_row {
	enum wire_type type;
	unsigned roles;
	unsigned states;
	handler_fn handle;
	enum role
		greets; /* the role that a new peer without a key gets by it; NONE: it stays new */
};

static void on_hello(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);

/* Some messages may come before Hello: those that were meant for a coordinator which was restarted
 * meanwhile, or that follow a lost Hello. A request then stands for a Hello, a heartbeat is
 * answered by "register again", and an end needs no answer. */
static const struct handler_row rows[] = {
	{ WIRE_HELLO, CLIENTS | R(ROLE_WORKER), PEER_NEW | GREETED, on_hello, ROLE_NONE },
	{ WIRE_JOB_REQUEST, R(ROLE_CLIENT), PEER_NEW | PEER_GREETED, on_job_request, ROLE_CLIENT },
	{ WIRE_JOB_RETRY, R(ROLE_CLIENT), PEER_NEW | PEER_GREETED, on_job_retry, ROLE_CLIENT },
	{ WIRE_JOB_FINISHED, R(ROLE_CLIENT), PEER_NEW | PEER_GREETED, on_job_finished, ROLE_NONE },
	{ WIRE_JOB_CANCEL, R(ROLE_CLIENT), PEER_NEW | PEER_GREETED, on_job_cancel, ROLE_NONE },
	{ WIRE_STATUS_REQUEST, CLIENTS, PEER_NEW | PEER_GREETED, on_status_request, ROLE_CLIENT },
	{ WIRE_WORKER_REGISTER, R(ROLE_WORKER), PEER_NEW | GREETED, on_worker_register,
		ROLE_WORKER },
	{ WIRE_WORKER_HEARTBEAT, R(ROLE_WORKER), PEER_NEW | GREETED, on_worker_heartbeat,
		ROLE_NONE },
	{ WIRE_WORKER_JOB_STARTED, R(ROLE_WORKER), PEER_NEW | GREETED, on_worker_started,
		ROLE_NONE },
	{ WIRE_WORKER_JOB_ENDED, R(ROLE_WORKER), PEER_NEW | GREETED, on_worker_ended, ROLE_NONE },
	{ WIRE_WORKER_BYE, R(ROLE_WORKER), PEER_NEW | GREETED, on_worker_bye, ROLE_NONE },
};

static enum role
role_parse(const char *name)
{
	for (enum role r = ROLE_CLIENT; r <= ROLE_ADMIN; r++)
		if (streq(name, role_name(r)))
			return r;
	return ROLE_NONE;
}

/* The role that a Hello gives; ROLE_NONE when the peer was refused. */
static enum role
hello_role(struct server *s, struct peer *p, const struct wire_peer *from, const Dray__Hello *m)
{
	enum role said = role_parse(m->role), proved = peer_key_role(s, from);

	if (m->version_min > WIRE_VERSION || m->version_max < WIRE_VERSION) {
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_VERSION,
			"This coordinator (dray %s) speaks protocol version %u only, the other "
			"side (%.80s) "
			"versions %u to %u.",
			PACKAGE_VERSION, WIRE_VERSION, CLEAN(m->software), m->version_min,
			m->version_max);
		return ROLE_NONE;
	}
	if (said == ROLE_NONE) {
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_MALFORMED,
			"The role \"%.40s\" is none of client, worker, admin.", CLEAN(m->role));
		return ROLE_NONE;
	}
	if (s->local && !from->curve[0])
		return said;
	/* The programs that ask for the status are a client's. */
	if (proved == ROLE_ADMIN && said == ROLE_CLIENT)
		return proved;
	if (proved != said) {
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"The key %s is allowed as %s, not as %s.", from->curve,
			proved == ROLE_NONE ? "nothing" : role_name(proved), role_name(said));
		return ROLE_NONE;
	}
	return said;
}

static struct peer *
greet(struct server *s, const struct wire_peer *from, enum role role)
{
	struct peer *p = peer_add(s, from);

	if (p)
		p->role = role;
	else
		log_throttled(&s->bad_peer, 10, "out of memory for a new peer");
	return p;
}

static void
on_hello(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__Hello *m = (const Dray__Hello *)body;
	Dray__Welcome welcome;
	enum role role = hello_role(s, p, from, m);

	if (role == ROLE_NONE)
		return;
	if (p && p->role != role) {
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_MALFORMED,
			"A second Hello in another role.");
		return;
	}
	if (!p && !(p = greet(s, from, role)))
		return;
	dray__welcome__init(&welcome);
	welcome.version = WIRE_VERSION;
	welcome.name = s->id.name;
	welcome.now_ms = server_time(s);
	server_send(s, p, WIRE_WELCOME, &welcome.base);
}

static const struct handler_row *
find_row(enum wire_type type)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].type == type)
			return &rows[i];
	return NULL;
}

static void
refuse_undecoded(struct server *s, const struct wire_peer *from, struct peer *p, int err)
{
	switch (err) {
	case -EPROTO:
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_VERSION,
			"This coordinator (dray %s) speaks protocol version %u only; the message "
			"is of "
			"another.",
			PACKAGE_VERSION, WIRE_VERSION);
		return;
	case -EMSGSIZE:
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_TOO_LARGE,
			"The message is larger than its type may be.");
		return;
	case -EPERM:
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"A coordinator does not take this type of message.");
		return;
	default:
		server_refuse(s, from, p, wire_verdict_of(err), "The message cannot be decoded.");
	}
}

void
handle_message(struct server *s, const struct wire_peer *from, int err, struct wire_msg *m)
{
	struct peer *p = peer_find(s, from);
	enum peer_state state = p ? p->state : PEER_NEW;
	enum role role = p ? p->role : peer_key_role(s, from);
	const struct handler_row *row;

	if (state == PEER_DROPPED || (p && p->doomed))
		return;
	if (err < 0) {
		refuse_undecoded(s, from, p, err);
		return;
	}
	row = find_row(m->info->type);
	if (!row) {
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"%s is not for a coordinator.", m->info->name);
		return;
	}
	/* Over ipc a role is known only from Hello on; the messages that may come before it do no
	 * harm. The handler of Hello checks the role itself. */
	if (row->type != WIRE_HELLO && !(s->local && !p) && !(row->roles & R(role))) {
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"%s is not for the role %s.", m->info->name,
			role == ROLE_NONE ? "of an unknown key" : role_name(role));
		return;
	}
	if (!(row->states & state)) {
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_MALFORMED, "%s came %s.",
			m->info->name,
			state == PEER_NEW ? "before Hello" : "when it is not allowed");
		return;
	}
	if (!p && row->greets != ROLE_NONE &&
		!(p = greet(s, from, role == ROLE_NONE ? row->greets : role)))
		return;
	row->handle(s, p, from, m->body);
}
