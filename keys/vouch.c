/* Invariant: a namespace's producers are those that its own lines name, and workers of none. */
#include "config.h"

#include "keys/vouch.h"

#include <errno.h>
#include <stdio.h>

static enum trust_kind
kind_of(enum role role)
{
	return role == ROLE_WORKER	? TRUST_WORKER
	       : role == ROLE_PUBLISHER ? TRUST_PUBLISHER
					: TRUST_NONE;
}

/* namespace: NULL: any. */
static bool
is_of(const struct allowed_key *k, const char *namespace)
{
	if (!k->signs || kind_of(k->role) == TRUST_NONE)
		return false;
	return !namespace || streq(k->namespace, namespace) ||
	       (k->role == ROLE_WORKER && !*k->namespace);
}

static int
vouch(const struct allowed_keys *a, const char *namespace, struct trust_keys *ret)
{
	_cleanup_(freep) struct trust_key *v = NULL;
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		n += is_of(&a->v[i], namespace);
	v = calloc(n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < a->n; i++) {
		const struct allowed_key *k = &a->v[i];
		struct trust_key *t = &v[n];

		if (!is_of(k, namespace))
			continue;
		memcpy(t->key, k->sign_public, SIGN_KEY_SIZE);
		t->kind = kind_of(k->role);
		memcpy(t->name, k->name, sizeof(t->name));
		snprintf(t->namespace, sizeof(t->namespace), "%s",
			namespace ? namespace : k->namespace);
		t->revoked = k->revoked || k->sign_revoked;
		n++;
	}
	return trust_keys_make(v, n, ret);
}

int
vouch_for(const struct allowed_keys *a, const char *namespace, struct trust_keys *ret)
{
	return vouch(a, namespace, ret);
}

int
vouch_all(const struct allowed_keys *a, struct trust_keys *ret)
{
	return vouch(a, NULL, ret);
}
