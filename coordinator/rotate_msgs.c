/* A key has another one come in its place (link.proto, Rotate).
 *
 * Invariants: the list of keys says that of both in one writing, so that the new one has the old
 * one's role, name and namespace, or is not in it. What admins and samples have said of the old key
 * holds for the new one before that is let in. Each is written down before it is answered. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "coordinator/server_priv.h"
#include "keys/rotation.h"

/* Between two of one name, behind the first one's overlap: so that nobody sheds what a key owes
 * by having new ones. */
#define REST_S 600
#define KEPT_MAX 16 /* lines of keys that one name has had */

struct rotating {
	const Dray__Rotate *m;
	const struct wire_peer *from;
	struct allowed_key old, fresh; /* lines of the list: the old key's, and the new one's */
	uint64_t now_s, until_s;
	bool already, late; /* it was so before; but not yet that the old one is revoked */
	Dray__Verdict verdict;
	char why[400];
};

/* Returns false, for a step to return. */
static bool _printf_(2, 3) refuse(struct rotating *o, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(o->why, sizeof(o->why), fmt, ap);
	va_end(ap);
	if (o->verdict == DRAY__VERDICT__VERDICT_NONE)
		o->verdict = DRAY__VERDICT__VERDICT_NOT_ALLOWED;
	return false;
}

/* ---- the steps, in their order */

static bool
is_whole(const struct server *s, struct rotating *o)
{
	const Dray__Rotate *m = o->m;
	uint8_t raw[32];

	if (s->local || !o->from->curve[0])
		return refuse(o, "A connection without a key has none that could be another.");
	if (strlen(m->curve_public) == CURVE_KEY_SIZE - 1 &&
		z85_decode32(m->curve_public, raw) == 0 && m->sign_public.len == SIGN_KEY_SIZE &&
		m->by_new.len == SIGNATURE_SIZE && m->by_old.len == SIGNATURE_SIZE &&
		m->mac.len == ROTATION_MAC_SIZE && m->overlap_s <= ROTATION_OVERLAP_MAX_S)
		return true;
	o->verdict = DRAY__VERDICT__VERDICT_MALFORMED;
	return refuse(o, "It is no whole Rotate.");
}

static bool
is_same_node(const struct allowed_key *a, const struct allowed_key *b)
{
	return a->role == b->role && *a->name && streq(a->name, b->name) &&
	       streq(a->namespace, b->namespace);
}

static bool
find_own(struct server *s, struct rotating *o)
{
	const struct allowed_key *k, *next;

	keys_check(s);
	k = allowed_keys_find(&s->keys, o->from->curve);
	if (!k)
		return refuse(o, "This key is not in the list any more.");
	if (k->by_pass)
		return refuse(o, "This key has joined by a token of a CI: it ends by itself, and "
				 "dray login brings another one.");
	if (!*k->name)
		return refuse(o, "This key has no name in the list, by which its next one would be "
				 "known: have an admin write one behind it.");
	o->old = *k;
	next = allowed_keys_find(&s->keys, o->m->curve_public);
	o->already = k->until_s && next && !next->until_s && is_same_node(k, next);
	if (o->already) {
		o->fresh = *next;
		o->until_s = o->m->stolen ? MIN2(o->now_s, k->until_s) : k->until_s;
		o->late = o->m->stolen && !k->revoked;
	}
	if (o->already || !k->until_s)
		return true;
	return refuse(o,
		"Another key has come in the place of this one already: if that was not you, tell "
		"an admin (drayctl key revoke %s); audit.log has who it was.",
		k->name);
}

/* Whether enough time has passed since the one before. */
static bool
is_time(const struct server *s, struct rotating *o)
{
	unsigned n = 0;

	for (size_t i = 0; i < s->keys.n; i++) {
		const struct allowed_key *k = &s->keys.v[i];

		if (!k->until_s || k->role != o->old.role || !streq(k->name, o->old.name))
			continue;
		n += k->signs || k->revoked;
		if ((k->revoked || !o->m->stolen) && o->now_s < k->until_s + REST_S)
			return refuse(o,
				"Another key came in the place of an earlier one of %s a short "
				"time ago, which holds for %" PRIu64 " s more: wait, or have an "
				"admin revoke the key.",
				k->name, k->until_s + REST_S - o->now_s);
	}
	return n < KEPT_MAX ||
	       refuse(o,
		       "There are %u lines of keys that %s has had: have an admin take some out of "
		       "the list.",
		       n, o->old.name);
}

static bool
is_proved(const struct server *s, struct rotating *o)
{
	const Dray__Rotate *m = o->m;
	struct rotation r;
	int err;

	memcpy(r.curve_public, m->curve_public, sizeof(r.curve_public));
	memcpy(r.sign_public, m->sign_public.data, SIGN_KEY_SIZE);
	memcpy(r.by_new, m->by_new.data, SIGNATURE_SIZE);
	memcpy(r.by_old, m->by_old.data, SIGNATURE_SIZE);
	memcpy(r.mac, m->mac.data, ROTATION_MAC_SIZE);
	err = rotation_check(&r, &s->id, o->from->curve, o->old.signs ? o->old.sign_public : NULL);
	return err == 0 || refuse(o, "It is not proved that both keys are of one node.");
}

static void
make_line(struct rotating *o)
{
	struct allowed_key *k = &o->fresh;

	*k = (struct allowed_key){ .role = o->old.role, .signs = o->old.signs };
	memcpy(k->curve_public, o->m->curve_public, sizeof(k->curve_public));
	memcpy(k->name, o->old.name, sizeof(k->name));
	memcpy(k->namespace, o->old.namespace, sizeof(k->namespace));
	if (k->signs)
		memcpy(k->sign_public, o->m->sign_public.data, SIGN_KEY_SIZE);
	o->until_s = o->now_s + (o->m->stolen ? 0 : o->m->overlap_s);
}

/* What was said of the old key. */
static int
take_along(struct server *s, const struct rotating *o)
{
	const char *dir = s->conf->coordinator.cache_dir, *curve = o->fresh.curve_public;
	enum standing is = standings_get(&s->standings, o->old.name, o->old.curve_public);
	_cleanup_(freep) char *path = judged_path(s);
	int r = judged_follow(&s->judged, path, o->old.curve_public, &o->fresh);

	if (r < 0 || o->old.role != ROLE_WORKER || is == STANDING_FREE)
		return r;
	r = standings_set(&s->standings, o->old.name, curve, is);
	return r == 0 && dir ? standings_save(dir, &s->standings) : r;
}

static bool
put_in_place(struct server *s, struct rotating *o)
{
	char why[300] = "";
	int r;

	make_line(o);
	r = take_along(s, o);
	if (r < 0)
		snprintf(why, sizeof(why), "what is known of the old key cannot be kept: %s",
			strerror(-r));
	else
		r = key_list_rotate(s,
			&(struct key_change){ .old_curve = o->old.curve_public,
				.fresh = &o->fresh,
				.now_s = o->now_s,
				.until_s = o->until_s,
				.revoked = o->m->stolen },
			why, sizeof(why));
	if (r == 0)
		return true;
	o->verdict = r == -EBADMSG ? DRAY__VERDICT__VERDICT_NOT_ALLOWED
				   : DRAY__VERDICT__VERDICT_NO_ROOM;
	return refuse(o, "The key cannot be put in the place of the other: %s.", why);
}

/* A thief who has the old key ends by this that one alone. */
static bool
revoke_old(struct server *s, struct rotating *o)
{
	char why[300] = "";

	if (key_list_revoke(s, o->old.curve_public, why, sizeof(why)) == 0)
		return true;
	o->verdict = DRAY__VERDICT__VERDICT_NO_ROOM;
	return refuse(o, "The old key cannot be revoked: %s.", why);
}

static bool
rotate(struct server *s, struct rotating *o)
{
	if (!is_whole(s, o) || !find_own(s, o))
		return false;
	if (o->late)
		return revoke_old(s, o);
	return o->already || (is_time(s, o) && is_proved(s, o) && put_in_place(s, o));
}

/* ---- what is said of it */

static void
describe(const struct rotating *o, char *ret, size_t n)
{
	char old[KEYS_FINGERPRINT_SIZE], fresh[KEYS_FINGERPRINT_SIZE];

	keys_fingerprint(o->from->curve, old);
	keys_fingerprint(o->m->curve_public, fresh);
	snprintf(ret, n, "%s %s old=%s new=%s until=%" PRIu64 "%s", role_name(o->old.role),
		*o->old.name ? o->old.name : "-", *old ? old : "-", *fresh ? fresh : "-",
		o->until_s, o->m->stolen ? " stolen" : "");
}

static void
answer(struct server *s, struct peer *p, struct rotating *o)
{
	Dray__Rotated m = DRAY__ROTATED__INIT;
	char role[16];

	snprintf(role, sizeof(role), "%s", role_name(o->fresh.role));
	m.role = role;
	m.name = o->fresh.name;
	m.namespace_ = o->fresh.namespace;
	m.until_s = o->until_s;
	m.already = o->already;
	m.revoked = o->m->stolen;
	server_part(s, o->from, p, WIRE_ROTATED, &m.base);
}

void
on_rotate(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	struct rotating o = {
		.m = (const Dray__Rotate *)body, .from = from, .now_s = tokens_now(s)
	};
	char what[400];
	bool done = rotate(s, &o);

	describe(&o, what, sizeof(what));
	if (!done) {
		admin_rotate_refused(s, from, what, o.why);
		server_refuse(s, from, p, o.verdict, "%s", o.why);
		return;
	}
	if (!o.already || o.late)
		admin_rotated(s, from, what);
	answer(s, p, &o);
	if (!o.already || o.late)
		keys_reload(s);
}
