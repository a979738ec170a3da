/* An admin has tokens made and revoked, by which keys join. Invariant: the word of a token is in
 * the answer to who had it made, and nowhere else. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "common/clock.h"
#include "coordinator/server_priv.h"

#define MS_PER_S 1000

uint64_t
tokens_now(const struct server *s)
{
	return ticket_clock_get(&s->clock, clock_mono_ms(), clock_wall_ms()) / MS_PER_S;
}

int
tokens_start(struct server *s)
{
	const char *dir = s->conf->coordinator.cache_dir;

	return dir ? join_tokens_load(dir, &s->tokens) : 0;
}

int
tokens_save(struct server *s, char *why, size_t n)
{
	const char *dir = s->conf->coordinator.cache_dir;
	int r = dir ? join_tokens_save(dir, &s->tokens) : -ENOENT;

	if (r < 0)
		snprintf(why, n, "the tokens cannot be written to %s/%s: %s",
			dir ? dir : "(no directory: set [coordinator] cache_dir)", JOIN_TOKENS_FILE,
			strerror(-r));
	return r < 0 ? -EIO : 0;
}

/* A name as lists have them, of whatever a user is called. */
static void
plain_name(const char *from, char ret[KEYS_NAME_MAX + 1])
{
	size_t n = 0;

	for (; *from && n < KEYS_NAME_MAX; from++)
		ret[n++] = keys_name_ok(from, 1) ? *from : '_';
	ret[n] = '\0';
}

static bool
is_taken(const struct server *s, const char *name)
{
	for (size_t i = 0; i < s->keys.n; i++)
		if (streq(s->keys.v[i].name, name) && !s->keys.v[i].revoked)
			return true;
	return false;
}

static bool
text_ok(const char *text)
{
	return !*text || keys_name_ok(text, strlen(text));
}

/* What is wrong with what was asked for; NULL: nothing. */
static const char *
fault_of(const struct server *s, const Dray__AdminToken *m, enum role role)
{
	uint64_t most = role == ROLE_ADMIN ? JOIN_ADMIN_TTL_MAX_S : JOIN_TTL_MAX_S;

	if (s->local)
		return "this coordinator listens on a Unix socket, and has no keys";
	if (role == ROLE_NONE)
		return "the role is none of client, reader, publisher, worker, admin";
	if (!text_ok(m->name) || !text_ok(m->namespace_))
		return "a name, or namespace, is 1 to 64 of A-Z a-z 0-9 . _ -";
	if (m->ttl_s > most)
		return role == ROLE_ADMIN ? "an admin's token lives for one day at most"
					  : "a token lives for 30 days at most";
	if (m->uses > JOIN_USES_MAX)
		return "a token has 1000 uses at most";
	if (m->uses > 1 && *m->name)
		return "a token that has a name has one use: a name is one key's";
	if (m->uses > 1 && role == ROLE_ADMIN)
		return "an admin's token has one use";
	if (*m->name && is_taken(s, m->name))
		return "that name is another key's (drayctl key list)";
	return NULL;
}

static int
keep(struct server *s, const struct join_token *t, char *why, size_t n)
{
	int r = join_tokens_add(&s->tokens, t, t->made_s);

	if (r == -ENOSPC)
		snprintf(why, n,
			"there are %d tokens that can be used: revoke some (drayctl token "
			"list)",
			JOIN_TOKENS_MAX);
	else if (r < 0)
		snprintf(why, n, "%s", strerror(-r));
	if (r < 0)
		return r == -ENOSPC ? -EINVAL : -EIO;
	r = tokens_save(s, why, n);
	if (r < 0)
		s->tokens.n--; /* it is the last one */
	return r;
}

int
admin_token_create(struct server *s, const Dray__AdminToken *m, const char *by,
	struct token_made *ret, char *why, size_t n)
{
	_cleanup_(join_word_done) struct join_word word = { .curve_public = "" };
	struct join_token t = { .role = role_parse(m->role), .uses = MAX2(m->uses, 1u) };
	const char *fault = fault_of(s, m, t.role);
	char id[JOIN_ID_SIZE];
	int r;

	if (fault) {
		snprintf(why, n, "%s", fault);
		return -EINVAL;
	}
	snprintf(t.name, sizeof(t.name), "%s", m->name);
	snprintf(t.namespace, sizeof(t.namespace), "%s", m->namespace_);
	plain_name(by, t.by);
	t.made_s = tokens_now(s);
	t.expires_s = t.made_s + (m->ttl_s ? m->ttl_s : JOIN_TTL_S);
	r = join_word_make(s->id.curve_public, &word);
	if (r == 0)
		r = join_secret_digest(word.secret, &t.digest);
	if (r == 0)
		r = join_word_format(&word, ret->word);
	if (r < 0)
		snprintf(why, n, "%s", strerror(-r));
	else
		r = keep(s, &t, why, n);
	if (r < 0) {
		*ret->word = '\0';
		return r == -EINVAL ? r : -EIO;
	}
	ret->token = t;
	join_token_id(&t, id);
	snprintf(why, n, "the token %s lets %u join as %s", id, t.uses, role_name(t.role));
	return 0;
}

int
admin_token_revoke(struct server *s, const char *id, char *why, size_t n)
{
	struct join_token *t = join_tokens_named(&s->tokens, id), before;
	enum join_state state;
	int r;

	if (!t) {
		snprintf(why, n, "no token, or more than one, is \"%s\" (drayctl token list)",
			CLEAN(id));
		return -ENOENT;
	}
	state = join_token_state(t, tokens_now(s));
	if (state != JOIN_LIVE && state != JOIN_CLOCK) {
		snprintf(why, n, "the token %s is %s already", CLEAN(id), join_state_name(state));
		return -ENOENT;
	}
	before = *t;
	t->revoked = true;
	t->ended_s = MAX2(tokens_now(s), (uint64_t)1);
	r = tokens_save(s, why, n);
	if (r < 0)
		*t = before;
	else
		snprintf(why, n, "the token %s lets nobody join any more", CLEAN(id));
	return r;
}

void
token_say(const struct server *s, struct join_token *t, struct token_said *ret)
{
	Dray__AdminToken *m = &ret->m;

	dray__admin_token__init(m);
	join_token_id(t, ret->id);
	snprintf(ret->role, sizeof(ret->role), "%s", role_name(t->role));
	snprintf(ret->state, sizeof(ret->state), "%s",
		join_state_name(join_token_state(t, tokens_now(s))));
	m->id = ret->id;
	m->role = ret->role;
	m->state = ret->state;
	m->name = t->name;
	m->namespace_ = t->namespace;
	m->by = t->by;
	m->uses = t->uses;
	m->used = t->used;
	m->made_s = t->made_s;
	m->expires_s = t->expires_s;
	m->ttl_s = t->expires_s - t->made_s;
}
