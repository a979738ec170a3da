/* The table of messages and their handlers. A message that proto/admit.c does not allow ends in a
 * refusal of that peer, without effect on others, and nothing of it is decoded. Invariant: a
 * handler is called only for a message of its row, from a peer whose role was proved. */
#include "config.h"

#include <errno.h>

#include "coordinator/server_priv.h"

struct handler_row {
	enum wire_type type;
	handler_fn handle;
	enum role
		greets; /* the role that a new peer without a key gets by it; NONE: it stays new */
	/* instead of `handle`: of a message with a number, or a payload */
	void (*take)(
		struct server *s, struct peer *p, const struct wire_peer *from, struct wire_msg *m);
};

static void on_hello(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body);

/* proto/admit.c says which peer may send each, and when. */
static const struct handler_row rows[] = {
	{ WIRE_HELLO, on_hello, ROLE_NONE, NULL },
	{ WIRE_JOIN, on_join, ROLE_NONE, NULL },
	{ WIRE_ROTATE, on_rotate, ROLE_NONE, NULL },
	{ WIRE_JOB_REQUEST, on_job_request, ROLE_CLIENT, NULL },
	{ WIRE_JOB_RETRY, on_job_retry, ROLE_CLIENT, NULL },
	{ WIRE_JOB_FINISHED, on_job_finished, ROLE_CLIENT, NULL },
	{ WIRE_JOB_CANCEL, on_job_cancel, ROLE_CLIENT, NULL },
	{ WIRE_PUSH_PROGRESS, on_push_progress, ROLE_NONE, NULL },
	{ WIRE_STATUS_REQUEST, on_status_request, ROLE_CLIENT, NULL },
	{ WIRE_PRODUCERS_ASK, on_producers_ask, ROLE_NONE, NULL },
	{ WIRE_WORKER_REGISTER, on_worker_register, ROLE_WORKER, NULL },
	{ WIRE_WORKER_HEARTBEAT, on_worker_heartbeat, ROLE_NONE, NULL },
	{ WIRE_WORKER_JOB_STARTED, on_worker_started, ROLE_NONE, NULL },
	{ WIRE_WORKER_JOB_ENDED, on_worker_ended, ROLE_NONE, NULL },
	{ WIRE_WORKER_JOB_REFUSED, on_worker_refused, ROLE_NONE, NULL },
	{ WIRE_WORKER_BYE, on_worker_bye, ROLE_NONE, NULL },
	{ WIRE_WORKER_LENT, on_worker_lent, ROLE_NONE, NULL },
	{ WIRE_WORKER_HOLDS, on_worker_holds, ROLE_NONE, NULL },
	{ WIRE_WORKER_SEEK, on_worker_seek, ROLE_NONE, NULL },
	{ WIRE_CACHE_PURGE, on_cache_purge, ROLE_NONE, NULL },
	{ WIRE_SHARED_GET, NULL, ROLE_NONE, on_shared },
	{ WIRE_SHARED_PUT, NULL, ROLE_NONE, on_shared },
	{ WIRE_SHARED_DATA, NULL, ROLE_NONE, on_shared },
	{ WIRE_SHARED_CREDIT, NULL, ROLE_NONE, on_shared },
	{ WIRE_SHARED_STOP, NULL, ROLE_NONE, on_shared },
	{ WIRE_ADMIN_LOOK, NULL, ROLE_NONE, on_admin_look },
	{ WIRE_ADMIN_ACT, NULL, ROLE_NONE, on_admin_act },
	{ WIRE_ADMIN_FOLLOW, NULL, ROLE_NONE, on_admin_follow },
};

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
			"The role \"%.40s\" is none of client, reader, publisher, worker, admin.",
			CLEAN(m->role));
		return ROLE_NONE;
	}
	if (s->local && from->door == DOOR_FARM && !from->curve[0])
		return said;
	/* The programs are a client's, whatever more, or less, their key may do. */
	if (said == ROLE_CLIENT && proved != ROLE_WORKER && proved != ROLE_NONE)
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

	if (!p) {
		log_throttled(&s->bad_peer, 10, "out of memory for a new peer");
		return NULL;
	}
	p->role = role;
	if (!p->crowded)
		return p;
	server_refuse(s, from, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
		"The key %s has too many connections.", from->curve);
	return NULL;
}

static void
on_hello(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	const Dray__Hello *m = (const Dray__Hello *)body;
	static char vouches[] = WIRE_VOUCHES, peers[] = WIRE_PEERS, admins[] = WIRE_ADMIN;
	static char refills[] = WIRE_REFILLS, pushes[] = WIRE_PUSHES, rotates[] = WIRE_ROTATES,
		    progress[] = WIRE_PROGRESS;
	char *features[CACHE_FEATURES_MAX + 7];
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
	welcome.n_features = cache_features(s, p, features);
	if (vouch_is_for(p))
		features[welcome.n_features++] = vouches;
	if (p->role == ROLE_WORKER)
		features[welcome.n_features++] = peers;
	if (p->role == ROLE_ADMIN)
		features[welcome.n_features++] = admins;
	if (s->desk)
		features[welcome.n_features++] = refills;
	features[welcome.n_features++] = pushes;
	if (!s->local)
		features[welcome.n_features++] = rotates;
	features[welcome.n_features++] = progress;
	welcome.features = features;
	server_send(s, p, WIRE_WELCOME, &welcome.base);
	p->hears = false;
	for (size_t i = 0; i < m->n_features; i++)
		p->hears |= streq(m->features[i], WIRE_HEARS);
	succeed_tell(s, p);
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

static bool
is_admins(enum wire_type type)
{
	return type == WIRE_ADMIN_LOOK || type == WIRE_ADMIN_ACT || type == WIRE_ADMIN_FOLLOW ||
	       type == WIRE_CACHE_PURGE;
}

static void
refuse_unheard(struct server *s, const struct wire_peer *from, struct peer *p,
	const struct wire_info *info, enum admit why, enum role role)
{
	char no_admin[64];

	snprintf(no_admin, sizeof(no_admin), "it is no admin, but %s",
		role == ROLE_NONE ? "unknown" : role_name(role));
	switch (why) {
	case ADMIT_NOT_HERE:
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"%s is not for a coordinator.", info->name);
		return;
	case ADMIT_NOT_OF_ROLE:
		if (is_admins(info->type))
			admin_refused(s, from, info->name, no_admin);
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
			"%s is not for the role %s.", info->name,
			role == ROLE_NONE ? "of an unknown key" : role_name(role));
		return;
	default:
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_MALFORMED, "%s came %s.",
			info->name, p ? "when it is not allowed" : "before Hello");
	}
}

void
handle_message(struct server *s, const struct wire_peer *from, int err, struct wire_raw *raw)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	struct peer *p = peer_find(s, from);
	enum admit_state state = p ? p->state : ADMIT_NEW;
	enum role role = p ? p->role : peer_key_role(s, from);
	const struct handler_row *row;
	enum admit admit;

	if (state == ADMIT_DROPPED || (p && p->doomed)) {
		server_waste(s, from);
		return;
	}
	if (err < 0) {
		refuse_undecoded(s, from, p, err);
		return;
	}
	admit = admit_look(ADMIT_COORDINATOR, state, role, raw->info->type);
	if (admit == ADMIT_UNHEARD)
		return;
	if (admit != ADMIT_YES) {
		refuse_unheard(s, from, p, raw->info, admit, role);
		return;
	}
	err = wire_open(raw, &m);
	if (err < 0) {
		if (is_admins(raw->info->type))
			admin_refused(s, from, raw->info->name, "it cannot be decoded");
		refuse_undecoded(s, from, p, err);
		return;
	}
	row = find_row(m.info->type);
	if (!row)
		return;
	if (!p && row->greets != ROLE_NONE &&
		!(p = greet(s, from, role == ROLE_LOCAL ? row->greets : role)))
		return;
	if (row->take)
		row->take(s, p, from, &m);
	else
		row->handle(s, p, from, m.body);
}
