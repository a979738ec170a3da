/* Invariant: what was given out never changes: another word of the coordinator makes another one.
 */
#include "config.h"

#include "client/far/believed.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "client/far/trusted.h"
#include "common/text/why.h"

struct state {
	struct believed_now now; /* first: it is what is given out */
	unsigned refs;
	char namespace[KEYS_NAME_MAX + 1];
	char *off;
};

struct believed {
	const struct conf *conf;
	struct trust_keys base; /* of the configuration, and the store's list */
	char *base_why;		/* why there is nobody in it */
	bool broken;		/* trust_keys: then nobody is believed, also not the coordinator */
	pthread_mutex_t asking;
	bool asked;	      /* for the store's list */
	pthread_mutex_t lock; /* of all below, and of changes above */
	struct trust_keys told;
	char told_namespace[KEYS_NAME_MAX + 1];
	bool is_told;
	struct state *state;
};

static void
state_free(struct state *s)
{
	if (!s)
		return;
	trust_keys_done(&s->now.trust.keys);
	free(s->off);
	free(s);
}

static bool
names_producer(const struct trust_keys *k, bool revoked_too)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->v[i].kind != TRUST_ADMIN && (revoked_too || !k->v[i].revoked))
			return true;
	return false;
}

static const char *
why_nobody(const struct believed *b)
{
	if (b->broken)
		return b->base_why ? b->base_why : "trust_keys cannot be read";
	if (b->is_told)
		return "nobody's results are trusted: the coordinator vouches for nobody, and "
		       "trust_keys name nobody";
	return b->base_why ? b->base_why : "nobody's results are trusted";
}

/* A revoked key of the user's own list is somebody, too: what it signed is refused, and counted. */
static bool
is_off(const struct believed *b)
{
	return b->broken || (!names_producer(&b->base, true) && !names_producer(&b->told, false));
}

/* The lock is held. Without memory it stays as it was. */
static int
make_state(struct believed *b)
{
	struct state *s = calloc(1, sizeof(*s));
	const char *namespace = b->conf->client.namespace;
	int r = s ? 0 : -ENOMEM;

	if (r == 0)
		r = trust_keys_add(&s->now.trust.keys, &b->base);
	if (r == 0 && !b->broken)
		r = trust_keys_add(&s->now.trust.keys, &b->told);
	if (r == 0 && is_off(b)) {
		s->off = strdup(why_nobody(b));
		r = s->off ? 0 : -ENOMEM;
	}
	if (r < 0) {
		state_free(s);
		return r;
	}
	s->refs = 1;
	snprintf(s->namespace, sizeof(s->namespace), "%s", b->told_namespace);
	s->now.trust.level = b->conf->client.trust == TRUST_IN_WORKERS ? TRUST_WORKERS
								       : TRUST_PUBLISHERS;
	s->now.namespace = namespace && *namespace ? namespace : s->namespace;
	s->now.off = s->off;
	if (b->state && --b->state->refs == 0)
		state_free(b->state);
	b->state = s;
	return 0;
}

static void
load(struct believed *b)
{
	const char *setting = b->conf->client.trust_keys;
	struct keys_fault fault;
	int r;

	if (!setting || !*setting) {
		why_set(&b->base_why, -ENOKEY,
			"nobody's results are trusted: trust_keys is not set");
		return;
	}
	r = trust_keys_load(setting, &b->base, &fault);
	b->broken = r < 0;
	if (r == -EBADMSG)
		why_set(&b->base_why, r, "trust_keys, line %u: %s", fault.line, fault.what);
	else if (r < 0)
		why_set(&b->base_why, r, "trust_keys cannot be read: %s", strerror(-r));
}

int
believed_open(const struct conf *conf, struct believed **ret)
{
	struct believed *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	b->conf = conf;
	pthread_mutex_init(&b->lock, NULL);
	pthread_mutex_init(&b->asking, NULL);
	load(b);
	r = make_state(b);
	if (r < 0)
		believed_closep(&b);
	else
		*ret = b;
	return r;
}

void
believed_closep(struct believed **ret)
{
	struct believed *b = *ret;

	*ret = NULL;
	if (!b)
		return;
	state_free(b->state);
	trust_keys_done(&b->base);
	trust_keys_done(&b->told);
	free(b->base_why);
	pthread_mutex_destroy(&b->lock);
	pthread_mutex_destroy(&b->asking);
	free(b);
}

struct believed_now *
believed_get(struct believed *b)
{
	struct state *s;

	pthread_mutex_lock(&b->lock);
	s = b->state;
	s->refs++;
	pthread_mutex_unlock(&b->lock);
	return &s->now;
}

void
believed_put(struct believed *b, struct believed_now *now)
{
	struct state *s;
	bool last;

	if (!now)
		return;
	pthread_mutex_lock(&b->lock);
	s = (struct state *)now;
	last = --s->refs == 0;
	pthread_mutex_unlock(&b->lock);
	if (last)
		state_free(s);
}

bool
believed_is_told(struct believed *b)
{
	bool is;

	pthread_mutex_lock(&b->lock);
	is = b->is_told;
	pthread_mutex_unlock(&b->lock);
	return is;
}

/* asking is held. */
static void
add_list(struct believed *b, struct stores *s)
{
	struct trust_keys base = { NULL, 0 };
	_cleanup_(freep) char *why = NULL;
	int r = trust_keys_add(&base, &b->base);

	if (r == 0)
		r = trusted_take(s, b->conf, &base, &why);
	pthread_mutex_lock(&b->lock);
	trust_keys_done(&b->base);
	b->base = base;
	if (!names_producer(&base, true)) {
		free(b->base_why);
		b->base_why = NULL;
		why_set(&b->base_why, r, "%s",
			why ? why : "nobody's results are trusted: the store has no list of keys");
	}
	(void)make_state(b);
	pthread_mutex_unlock(&b->lock);
}

void
believed_add_list(struct believed *b, struct stores *s)
{
	pthread_mutex_lock(&b->asking);
	if (!b->asked && !b->broken && b->base.n > 0)
		add_list(b, s);
	b->asked = true;
	pthread_mutex_unlock(&b->asking);
}

/* What its names are made of is shown as it is. */
static int
read_one(const Dray__Producer *p, const char *namespace, struct trust_key *ret)
{
	size_t n = strlen(p->name);

	if (p->key.len != SIGN_KEY_SIZE || (n > 0 && !keys_name_ok(p->name, n)))
		return -EBADMSG;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->key, p->key.data, SIGN_KEY_SIZE);
	ret->kind = p->kind == DRAY__PRODUCER_KIND__PRODUCER_WORKER ? TRUST_WORKER
								    : TRUST_PUBLISHER;
	memcpy(ret->name, p->name, n);
	snprintf(ret->namespace, sizeof(ret->namespace), "%s", namespace);
	ret->revoked = p->revoked;
	return 0;
}

int
believed_read(const Dray__Producers *m, char namespace[KEYS_NAME_MAX + 1], struct trust_keys *ret)
{
	_cleanup_(freep) struct trust_key *v = NULL;
	size_t n = 0, len = strlen(m->namespace_);
	int r = 0;

	if ((len > 0 && !keys_name_ok(m->namespace_, len)) || m->n_producer > TRUST_KEYS_MAX)
		return -EBADMSG;
	v = calloc(m->n_producer + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < m->n_producer; i++)
		if (m->producer[i]->kind == DRAY__PRODUCER_KIND__PRODUCER_WORKER ||
			m->producer[i]->kind == DRAY__PRODUCER_KIND__PRODUCER_PUBLISHER)
			r = read_one(m->producer[i], m->namespace_, &v[n++]);
	if (r == 0)
		r = trust_keys_make(v, n, ret);
	if (r == 0)
		snprintf(namespace, KEYS_NAME_MAX + 1, "%s", m->namespace_);
	return r;
}

void
believed_hear(struct believed *b, const Dray__Producers *m)
{
	struct trust_keys told = { NULL, 0 };
	char namespace[KEYS_NAME_MAX + 1] = "";

	if (believed_read(m, namespace, &told) == -ENOMEM)
		return;
	pthread_mutex_lock(&b->lock);
	trust_keys_done(&b->told);
	b->told = told;
	b->is_told = true;
	memcpy(b->told_namespace, namespace, sizeof(namespace));
	/* what was said before must not count when the new one cannot be made */
	if (make_state(b) < 0)
		(void)make_state(b);
	pthread_mutex_unlock(&b->lock);
}
