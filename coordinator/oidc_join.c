/* A key joins by a token of OpenID Connect (link.proto, Join; coordinator/oidc/).
 *
 *   Join ──▶ whole? its issuer known? ──▶ its key here? ──no──▶ wait for the issuer's keys, once
 * more │yes verify, check, a rule ▼ ──▶ a pass, on the disk ──▶ Joined
 *
 * Invariants: a token makes one pass, which is on the disk before the key is let in. Role,
 * namespace and time are the rule's. What waits is bounded, in number and time; each connection
 * waits once. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "coordinator/oidc_priv.h"

#define WAIT_MS 12000 /* less than a connection may say nothing (server.c) */
#define TAG_SIZE 9    /* eight digits that tell two keys of a name apart */

/* What is made of it. */
struct verdict {
	bool waits, already;
	struct pass pass;
	char why[400];	/* "": it is let in */
	char what[400]; /* for the log */
};

static void _printf_(2, 3) refuse(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v->why, sizeof(v->why), fmt, ap);
	va_end(ap);
}

/* ---- the steps, in their order */

/* The keys of its issuer. NULL: see v. */
static const struct oidc_keys *
find_keys(struct server *s, const struct oidc_issuer *i, const struct oidc_token *t,
	struct verdict *v)
{
	const struct oidc_keys *keys = NULL;
	const char *why = "";

	switch (oidc_sets_find(s->oidc->sets, i, oidc_token_key_id(t), s->now, &keys, &why)) {
	case 0:
		return keys;
	case -EINPROGRESS:
		v->waits = true;
		break;
	case -ENOKEY:
		refuse(v, "Its issuer has no such key; if that key is new, try again in a minute.");
		break;
	default:
		refuse(v, "The keys of its issuer could not be got (%s); try again in a minute.",
			why);
		break;
	}
	return NULL;
}

/* NULL: see v. */
static const struct oidc_allow *
find_rule(struct server *s, struct oidc_token *t, struct verdict *v)
{
	const struct oidc_issuer *i = oidc_rules_issuer(&s->oidc->rules, oidc_token_issuer(t));
	const struct oidc_keys *keys;
	const struct oidc_allow *a;
	const char *why = "";

	if (!i) {
		refuse(v, "This coordinator does not know its issuer (%s).",
			CLEAN(oidc_token_issuer(t)));
		return NULL;
	}
	keys = find_keys(s, i, t, v);
	if (!keys)
		return NULL;
	if (oidc_token_verify(t, keys, &why) < 0 ||
		oidc_token_check(t, i->url, i->audience, oidc_now(s), &why) < 0) {
		refuse(v, "That token does not count: %s.", why);
		return NULL;
	}
	a = oidc_rules_match(i, oidc_token_claims(t));
	if (!a)
		refuse(v, "No rule of this coordinator's lets in such a run: its admin has to name "
			  "its claims in [coordinator] oidc.");
	return a;
}

/* The name: of the run, and eight digits of the key. */
static void
name_key(const json_t *claims, struct allowed_key *k)
{
	char name[KEYS_NAME_MAX + 1], hex[DIGEST_HEX_SIZE] = "00000000";
	struct digest d;

	oidc_rules_name(claims, name);
	if (digest_bytes(k->curve_public, strlen(k->curve_public), &d) == 0)
		digest_hex(&d, hex);
	snprintf(k->name, sizeof(k->name), "%.*s-%.8s", KEYS_NAME_MAX - TAG_SIZE, name, hex);
}

/* Of what is signed: of one token there may be several right signatures. */
static int
digest_token(const struct oidc_guest *g, struct digest *ret)
{
	const char *dot = memrchr(g->token, '.', g->token_n);

	return digest_bytes(g->token, dot ? (size_t)(dot - g->token) : g->token_n, ret);
}

static int
make_pass(const struct server *s, const struct oidc_guest *g, const struct oidc_token *t,
	const struct oidc_allow *a, struct pass *ret)
{
	uint64_t now = oidc_now(s);

	memset(ret, 0, sizeof(*ret));
	snprintf(ret->key.curve_public, sizeof(ret->key.curve_public), "%s", g->from.curve);
	memcpy(ret->key.sign_public, g->sign, SIGN_KEY_SIZE);
	ret->key.role = a->role;
	ret->key.signs = a->role == ROLE_PUBLISHER;
	snprintf(ret->key.namespace, sizeof(ret->key.namespace), "%s", a->namespace);
	name_key(oidc_token_claims(t), &ret->key);
	ret->expires_s = now + a->ttl_s;
	ret->until_s = ret->expires_s + (ret->key.signs ? PASSES_KEEP_S : 0);
	return digest_token(g, &ret->token);
}

static void
refuse_pass(struct verdict *v, int error)
{
	switch (error) {
	case -EEXIST:
		refuse(v, "That token has joined before: get another one for this run.");
		break;
	case -EKEYREVOKED:
		refuse(v, "This key was revoked: join with another one.");
		break;
	case -EADDRINUSE:
		refuse(v, "What it signs by is another key's: join with an identity of its own.");
		break;
	default:
		refuse(v, "The coordinator cannot let it in: %s.", strerror(-error));
		break;
	}
}

/* On the disk, or not at all. */
static void
keep(struct server *s, const struct oidc_token *t, struct verdict *v)
{
	_cleanup_(passes_done) struct passes before = PASSES_INIT;
	struct passes *p = &s->oidc->passes;
	const struct pass *own = passes_find(p, v->pass.key.curve_public);
	uint64_t now = oidc_now(s);
	int r;

	/* it did not hear the answer */
	v->already = own && digest_eq(&own->token, &v->pass.token) && !own->key.revoked &&
		     own->expires_s > now;
	if (v->already)
		return;
	r = passes_copy(p, &before);
	if (r == 0)
		r = passes_add(p, &v->pass, oidc_token_expires(t) + OIDC_SKEW_S, now);
	if (r < 0) {
		refuse_pass(v, r);
		return;
	}
	r = oidc_save(s);
	if (r == 0)
		return;
	passes_done(p);
	*p = before;
	before = (struct passes)PASSES_INIT;
	refuse(v, "The coordinator cannot let it in: %s/%s: %s.", s->conf->coordinator.cache_dir,
		PASSES_FILE, strerror(-r));
}

static void
describe(const struct oidc_token *t, struct verdict *v)
{
	const char *sub = t ? json_string_value(json_object_get(oidc_token_claims(t), "sub"))
			    : NULL;

	snprintf(v->what, sizeof(v->what), "%s %s issuer=%s sub=%s",
		*v->pass.key.name ? role_name(v->pass.key.role) : "-",
		*v->pass.key.name ? v->pass.key.name : "-", t ? CLEAN(oidc_token_issuer(t)) : "-",
		sub ? CLEAN(sub) : "-");
}

static void
look(struct server *s, const struct oidc_guest *g, struct verdict *v)
{
	_cleanup_(oidc_token_freep) struct oidc_token *t = NULL;
	const struct oidc_allow *a;
	const char *why = "out of memory";

	if (oidc_token_parse(g->token, g->token_n, &t, &why) < 0) {
		refuse(v, "That token does not count: %s.", why);
		describe(NULL, v);
		return;
	}
	a = find_rule(s, t, v);
	if (a && make_pass(s, g, t, a, &v->pass) == 0)
		keep(s, t, v);
	else if (a)
		refuse(v, "Out of memory.");
	describe(t, v);
}

/* ---- messages */

static void
finish(struct server *s, const struct wire_peer *from, struct verdict *v)
{
	struct peer *p = peer_find(s, from);

	if (v->why[0]) {
		admin_join_refused(s, from, v->what, v->why);
		server_refuse(s, from, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED, "%s", v->why);
		return;
	}
	if (!v->already)
		admin_joined(s, from, v->what);
	join_answer(s, p, from, &v->pass.key, v->already);
	if (!v->already)
		keys_reload(s);
}

static struct oidc_guest *
place_for(struct oidc *o, const struct wire_peer *from)
{
	struct oidc_guest *place = NULL;

	for (size_t i = 0; i < OIDC_WAITING_MAX; i++) {
		struct oidc_guest *g = &o->waiting[i];

		if (!g->token)
			place = place ? place : g;
		else if (g->from.id_len == from->id_len && g->from.door == from->door &&
			 memcmp(g->from.id, from->id, from->id_len) == 0)
			return NULL;
	}
	return place;
}

void
oidc_join(struct server *s, const struct wire_peer *from, const Dray__Join *m)
{
	struct oidc_guest g = { .from = *from, .until_ms = s->now + WAIT_MS }, *place;
	struct verdict v;

	memset(&v, 0, sizeof(v));
	g.token = m->id_token;
	g.token_n = strlen(m->id_token);
	memcpy(g.sign, m->sign_public.data, SIGN_KEY_SIZE);
	look(s, &g, &v);
	if (!v.waits) {
		finish(s, from, &v);
		return;
	}
	place = place_for(s->oidc, from);
	g.token = place ? strdup(m->id_token) : NULL;
	if (g.token) {
		*place = g;
		return;
	}
	refuse(&v, "Too many want to join at once; try again in a minute.");
	finish(s, from, &v);
}

static void
look_again(struct server *s, struct oidc_guest *g)
{
	struct wire_peer from = g->from;
	struct verdict v;

	memset(&v, 0, sizeof(v));
	look(s, g, &v);
	if (v.waits && s->now < g->until_ms)
		return;
	oidc_guest_done(g);
	if (v.waits)
		refuse(&v, "The keys of its issuer did not come in time; try again in a minute.");
	finish(s, &from, &v);
}

void
oidc_step(struct server *s)
{
	uint64_t now = oidc_now(s), was;

	if (!s->oidc)
		return;
	oidc_sets_work(s->oidc->sets);
	for (size_t i = 0; i < OIDC_WAITING_MAX; i++)
		if (s->oidc->waiting[i].token)
			look_again(s, &s->oidc->waiting[i]);
	was = s->oidc->looked_s;
	s->oidc->looked_s = now;
	if (was != now && passes_expire(&s->oidc->passes, was, now)) {
		(void)oidc_save(s);
		keys_reload(s);
	}
}
