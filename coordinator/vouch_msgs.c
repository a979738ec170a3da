/* Whom the coordinator vouches for (proto/serve.proto, keys/vouch.h). Invariant: a peer is told of
 * the producers of its own namespace alone, and that is the list's for its key. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "coordinator/cache/signers.h"
#include "coordinator/server_priv.h"
#include "keys/vouch.h"

const char *
peer_namespace(const struct server *s, const struct peer *p)
{
	const struct allowed_key *k = p->wire.curve[0] ? allowed_keys_find(&s->keys, p->wire.curve)
						       : NULL;

	return k ? k->namespace : "";
}

bool
vouch_is_for(const struct peer *p)
{
	return p->role != ROLE_ADMIN;
}

void
vouch_fill(Dray__Producer *m, struct trust_key *k)
{
	dray__producer__init(m);
	m->key = (ProtobufCBinaryData){ SIGN_KEY_SIZE, k->key };
	m->kind = k->kind == TRUST_WORKER ? DRAY__PRODUCER_KIND__PRODUCER_WORKER
					  : DRAY__PRODUCER_KIND__PRODUCER_PUBLISHER;
	m->name = k->name;
	m->revoked = k->revoked;
}

/* Of what a revoked one compiled for clients they know its other key alone. One that only signs no
 * more goes on compiling for them. */
static void
name_revoked(struct server *s, Dray__Producer *m)
{
	for (size_t i = 0; m->revoked && i < s->keys.n; i++)
		if (s->keys.v[i].signs && s->keys.v[i].revoked &&
			memcmp(s->keys.v[i].sign_public, m->key.data, SIGN_KEY_SIZE) == 0)
			m->curve = s->keys.v[i].curve_public;
}

static void
tell(struct server *s, struct peer *p)
{
	_cleanup_(trust_keys_done) struct trust_keys keys = { NULL, 0 };
	_cleanup_(freep) Dray__Producer *v = NULL;
	_cleanup_(freep) Dray__Producer **list = NULL;
	char namespace[KEYS_NAME_MAX + 1];
	Dray__Producers m;

	snprintf(namespace, sizeof(namespace), "%s", peer_namespace(s, p));
	if (vouch_for(&s->keys, namespace, &keys) < 0)
		return;
	v = calloc(keys.n + 1, sizeof(*v));
	list = calloc(keys.n + 1, sizeof(*list));
	if (!v || !list)
		return;
	for (size_t i = 0; i < keys.n; i++) {
		list[i] = &v[i];
		vouch_fill(&v[i], &keys.v[i]);
		name_revoked(s, &v[i]);
	}
	dray__producers__init(&m);
	m.namespace_ = namespace;
	m.producer = list;
	m.n_producer = keys.n;
	server_send(s, p, WIRE_PRODUCERS, &m.base);
}

void
on_producers_ask(struct server *s, struct peer *p, const struct wire_peer *from,
	const ProtobufCMessage *body)
{
	(void)from;
	(void)body;
	/* once: what one may make of it is bounded */
	if (p->asks_producers)
		return;
	p->asks_producers = true;
	tell(s, p);
}

/* What a namespace's entries may hold is asked for with each put, and does not change meanwhile. */
struct vouched {
	struct vouched *next;
	char namespace[KEYS_NAME_MAX + 1];
	struct signers *signers; /* NULL: nobody is named */
};

static struct vouched *
find_vouched(struct server *s, const char *namespace)
{
	_cleanup_(trust_keys_done) struct trust_keys keys = { NULL, 0 };
	struct vouched *v;

	for (v = s->vouched; v; v = v->next)
		if (streq(v->namespace, namespace))
			return v;
	v = calloc(1, sizeof(*v));
	if (!v || vouch_for(&s->keys, namespace, &keys) < 0) {
		free(v);
		return NULL;
	}
	snprintf(v->namespace, sizeof(v->namespace), "%s", namespace);
	if (keys.n > 0 && !(v->signers = signers_new(&keys, namespace, &s->judged))) {
		free(v);
		return NULL;
	}
	v->next = s->vouched;
	s->vouched = v;
	return v;
}

int
vouch_signers(struct server *s, const struct peer *p, const char *namespace,
	struct signers **ret_signers, struct signer *ret)
{
	const struct allowed_key *k = p->wire.curve[0] ? allowed_keys_find(&s->keys, p->wire.curve)
						       : NULL;
	const struct vouched *v = find_vouched(s, namespace);

	if (!v)
		return -ENOMEM;
	memset(ret, 0, sizeof(*ret));
	ret->kind = p->role == ROLE_WORKER ? TRUST_WORKER : TRUST_PUBLISHER;
	ret->signs = k && k->signs;
	if (ret->signs)
		memcpy(ret->key, k->sign_public, SIGN_KEY_SIZE);
	*ret_signers = v->signers;
	return 0;
}

void
vouch_done(struct server *s)
{
	struct vouched *v;

	while ((v = s->vouched) != NULL) {
		s->vouched = v->next;
		signers_release(v->signers);
		free(v);
	}
}

void
vouch_changed(struct server *s)
{
	struct table_node *node, *next;

	vouch_done(s);
	for (node = table_walk(&s->peers, NULL); node; node = next) {
		struct peer *p = table_entry(node, struct peer, by_id);

		next = table_walk(&s->peers, node);
		if (p->asks_producers && p->state != ADMIT_DROPPED && !p->doomed)
			tell(s, p);
	}
}
