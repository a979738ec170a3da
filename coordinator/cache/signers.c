/* Invariant: what is held does not change: another list of keys makes others. */
#include "config.h"

#include "coordinator/cache/signers.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

struct signers {
	atomic_uint refs;
	struct trust trust;
	char namespace[KEYS_NAME_MAX + 1];
	struct judged judged; /* packages of this namespace */
};

static int
take_packages(struct judged *to, const struct judged *from, const char *namespace)
{
	to->packages = calloc(from->n_packages + 1, sizeof(*to->packages));
	if (!to->packages)
		return -ENOMEM;
	for (size_t i = 0; i < from->n_packages; i++)
		if (streq(from->packages[i].namespace, namespace))
			to->packages[to->n_packages++] = from->packages[i];
	return 0;
}

struct signers *
signers_new(struct trust_keys *keys, const char *namespace, const struct judged *judged)
{
	struct signers *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (judged && take_packages(&s->judged, judged, namespace) < 0) {
		free(s);
		return NULL;
	}
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
	judged_done(&s->judged);
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

bool
signers_varies(const struct signers *s, const struct strv *recipe)
{
	struct same_unit u;

	if (s->judged.n_packages == 0)
		return false;
	(void)same_unit_of(recipe, &u);
	return judged_varies(&s->judged, s->namespace, &u);
}

const struct trust *
signers_trust(const struct signers *s)
{
	return &s->trust;
}
