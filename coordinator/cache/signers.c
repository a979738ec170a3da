/* Invariant: what is held does not change: another list of keys makes others. */
#include "config.h"

#include "coordinator/cache/signers.h"

#include <stdatomic.h>
#include <stdio.h>

struct signers {
	atomic_uint refs;
	struct trust trust;
	char namespace[KEYS_NAME_MAX + 1];
};

struct signers *
signers_new(struct trust_keys *keys, const char *namespace)
{
	struct signers *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	atomic_init(&s->refs, 1);
	s->trust.keys = *keys;
	s->trust.level = TRUST_PUBLISHERS;
	*keys = (struct trust_keys){ NULL, 0 };
	snprintf(s->namespace, sizeof(s->namespace), "%s", namespace);
	return s;
}

struct signers *
signers_hold(struct signers *s)
{
	if (s)
		atomic_fetch_add(&s->refs, 1);
	return s;
}

void
signers_release(struct signers *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	trust_keys_done(&s->trust.keys);
	free(s);
}

void
signers_releasep(struct signers **s)
{
	signers_release(*s);
	*s = NULL;
}

const char *
signers_namespace(const struct signers *s)
{
	return s->namespace;
}

const struct trust *
signers_trust(const struct signers *s)
{
	return &s->trust;
}
