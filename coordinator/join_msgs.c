/* A key that is in no list joins by a token (link.proto, Join).
 *
 * Invariants: a token is spent, on the disk, before the key is in the list; so of two that come
 * with one use one joins, also where this process is killed in between. Role and namespace are the
 * token's. Nothing is spent for one that is refused. Each that joined, or tried with a token, is
 * written down before it is answered. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>

#include "coordinator/server_priv.h"

/* What a wrong token costs its address, in connections that say nothing (proto/gate.h): after 16 of
 * them it is shut out for some seconds. */
#define WRONG_COST 16

/* One that comes, and what is made of it. */
struct joiner {
	const Dray__Join *m;
	const struct wire_peer *from;
	struct join_token *token; /* NULL: there is none */
	struct allowed_key key;	  /* the line that it is to have */
	bool already;
	char address[GATE_TEXT_SIZE];
	Dray__Verdict verdict; /* of a refusal, */
	char why[400];	       /* and what it says */
};

/* Returns false, for a step to return. */
static bool _printf_(2, 3) refuse(struct joiner *j, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(j->why, sizeof(j->why), fmt, ap);
	va_end(ap);
	j->verdict = DRAY__VERDICT__VERDICT_NOT_ALLOWED;
	return false;
}

/* ---- the steps, in their order */

static bool
is_whole(const struct server *s, struct joiner *j)
{
	const Dray__Join *m = j->m;

	if (s->local || !j->from->curve[0])
		return refuse(j,
			"This coordinator listens on a Unix socket, and has no keys: nobody "
			"needs to join.");
	if (m->secret.len == (*m->id_token ? 0 : JOIN_SECRET_SIZE) &&
		m->sign_public.len == SIGN_KEY_SIZE && m->proof.len == SIGNATURE_SIZE &&
		keys_name_ok(m->name, strlen(m->name)))
		return true;
	(void)refuse(j, "It is no whole Join.");
	j->verdict = DRAY__VERDICT__VERDICT_MALFORMED;
	return false;
}

static bool
find_token(struct server *s, struct joiner *j)
{
	struct digest d;

	if (join_secret_digest(j->m->secret.data, &d) < 0)
		return refuse(j, "Out of memory.");
	j->token = join_tokens_find(&s->tokens, &d);
	return true;
}

/* One that is in the list has what it wants, unless the token is for something else. */
static bool
look_at_list(struct server *s, struct joiner *j)
{
	const struct allowed_key *k = allowed_keys_find(&s->keys, j->from->curve);
	const struct join_token *t = j->token;

	if (!k && allowed_keys_is_revoked(&s->keys, j->from->curve))
		return refuse(j, "This key was revoked: join with another one (remove the identity "
				 "file, or name another).");
	if (!k)
		return true;
	if (t && join_token_state(t, tokens_now(s)) == JOIN_LIVE &&
		(t->role != k->role || !streq(t->namespace, k->namespace)))
		return refuse(j,
			"This key is %s's already, as %s%s%s: a key has one role; join with "
			"another identity. The token was not spent.",
			*k->name ? k->name : "another", role_name(k->role),
			*k->namespace ? " of the namespace " : "", k->namespace);
	j->already = true;
	j->key = *k;
	return true;
}

static bool
token_lives(struct server *s, struct joiner *j)
{
	static const char again[] = "ask an admin for a new one (drayctl token create)";

	if (!j->token)
		return refuse(j, "This coordinator does not know that token: %s.", again);
	switch (join_token_state(j->token, tokens_now(s))) {
	case JOIN_LIVE:
		return true;
	case JOIN_EXPIRED:
		return refuse(j, "That token has expired: %s.", again);
	case JOIN_USED:
		return refuse(j,
			"That token was used already: %s. If it was not you, tell the admin: "
			"audit.log has who it was.",
			again);
	case JOIN_REVOKED:
		return refuse(j, "That token was revoked: %s.", again);
	case JOIN_CLOCK:
		return refuse(j, "The coordinator's clock is behind the time when that token was "
				 "made: an admin has to set it.");
	}
	return false;
}

static bool
is_proved(const struct server *s, struct joiner *j)
{
	char text[JOIN_PROOF_SIZE];

	join_proof_text(s->id.curve_public, j->from->curve, text);
	return identity_verify(j->m->sign_public.data, text, sizeof(text), j->m->proof.data) ||
	       refuse(j, "Its signature is not of the key that it wants to sign by.");
}

static bool
name_is_free(struct server *s, struct joiner *j)
{
	const char *name = *j->token->name ? j->token->name : j->m->name;

	keys_check(s);
	for (size_t i = 0; i < s->keys.n; i++)
		if (streq(s->keys.v[i].name, name) && !s->keys.v[i].revoked)
			return refuse(j,
				"%s is another key's name: choose one (--name NAME), or have an "
				"admin revoke that key. The token was not spent.",
				name);
	snprintf(j->key.name, sizeof(j->key.name), "%s", name);
	return true;
}

static bool
is_of_its_kind(const struct server *s, struct joiner *j)
{
	bool worker = j->token->role == ROLE_WORKER;

	(void)s;
	return worker == (bool)j->m->worker ||
	       refuse(j, "That token is for %s: %s. It was not spent.",
		       worker ? "a worker" : "a user", worker ? "dray-worker join" : "dray login");
}

static void
make_line(struct joiner *j)
{
	struct allowed_key *k = &j->key;

	k->role = j->token->role;
	snprintf(k->curve_public, sizeof(k->curve_public), "%s", j->from->curve);
	snprintf(k->namespace, sizeof(k->namespace), "%s", j->token->namespace);
	/* of others it says nothing (dray-coordinator(8)) */
	k->signs = k->role == ROLE_WORKER || k->role == ROLE_PUBLISHER;
	if (k->signs)
		memcpy(k->sign_public, j->m->sign_public.data, SIGN_KEY_SIZE);
}

/* First the token, then the list: what is lost in between is a token. */
static bool
let_in(struct server *s, struct joiner *j)
{
	struct join_token before = *j->token;
	char why[300], lost[300];

	make_line(j);
	join_token_use(j->token, tokens_now(s));
	if (tokens_save(s, why, sizeof(why)) < 0) {
		*j->token = before;
		j->verdict = DRAY__VERDICT__VERDICT_NO_ROOM;
	} else if (key_list_add(s, &j->key, why, sizeof(why)) < 0) {
		*j->token = before;
		j->verdict = DRAY__VERDICT__VERDICT_NO_ROOM;
		if (tokens_save(s, lost, sizeof(lost)) < 0)
			log_error("%s; the token of one that could not join is spent", lost);
	}
	if (j->verdict != DRAY__VERDICT__VERDICT_NONE)
		snprintf(j->why, sizeof(j->why), "The coordinator cannot let you in: %s.", why);
	return j->verdict == DRAY__VERDICT__VERDICT_NONE;
}

static bool
join(struct server *s, struct joiner *j)
{
	if (!is_whole(s, j) || !find_token(s, j) || !look_at_list(s, j))
		return false;
	return j->already || (token_lives(s, j) && is_of_its_kind(s, j) && is_proved(s, j) &&
				     name_is_free(s, j) && let_in(s, j));
}

/* ---- what is said of it */

/* Role, name, by which token of whom, and from where. */
static void
describe(const struct joiner *j, char *ret, size_t size)
{
	char id[JOIN_ID_SIZE] = "-";

	if (j->token)
		join_token_id(j->token, id);
	snprintf(ret, size, "%s %s%s%s token=%s by=%s address=%s",
		j->token ? role_name(j->token->role) : "-",
		*j->key.name ? j->key.name : CLEAN(j->m->name),
		j->token && *j->token->namespace ? " namespace=" : "",
		j->token ? j->token->namespace : "", id,
		j->token && *j->token->by ? j->token->by : "-", *j->address ? j->address : "-");
}

/* By a token of OpenID Connect. False: it is refused; true: it is answered, or will be. */
static bool
join_by_identity(struct server *s, struct peer *p, struct joiner *j)
{
	const struct allowed_key *k;

	if (!is_whole(s, j))
		return false;
	if (!oidc_open(s))
		return refuse(j, "Nobody joins this farm by OpenID Connect: [coordinator] oidc is "
				 "not set.");
	if (j->m->worker)
		return refuse(j,
			"No worker joins by OpenID Connect: it needs a token of an admin's "
			"(drayctl token create).");
	if (allowed_keys_is_revoked(&s->keys, j->from->curve))
		return refuse(j, "This key was revoked: join with another one (remove the identity "
				 "file, or name another).");
	if (!is_proved(s, j))
		return false;
	k = allowed_keys_find(&s->keys, j->from->curve);
	if (k && !oidc_has(s, j->from->curve))
		join_answer(s, p, j->from, k, true);
	else
		oidc_join(s, j->from, j->m);
	return true;
}

void
on_join(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	struct joiner j = { .m = (const Dray__Join *)body, .from = from };
	unsigned cost;
	char what[400];
	bool in;

	if (*j.m->id_token && join_by_identity(s, p, &j))
		return;
	in = !*j.m->id_token && join(s, &j);
	cost = in || (j.token && j.verdict != DRAY__VERDICT__VERDICT_MALFORMED) ? 0 : WRONG_COST;
	if (*from->curve)
		(void)monitor_charge(peer_monitor(s, from), from, cost, j.address, s->now);
	describe(&j, what, sizeof(what));
	if (!in) {
		admin_join_refused(s, from, what, j.why);
		server_refuse(s, from, p, j.verdict, "%s", j.why);
		return;
	}
	if (!j.already)
		admin_joined(s, from, what);
	join_answer(s, p, from, &j.key, j.already);
	if (!j.already)
		keys_reload(s);
}
