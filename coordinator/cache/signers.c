/* Invariant: what is held does not change: another list of keys makes others. */
#include "config.h"

#include "coordinator/cache/signers.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "coordinator/cache/blame.h"

struct signers {
	atomic_uint refs;
	struct trust trust;
	char namespace[KEYS_NAME_MAX + 1];
	struct judged judged; /* packages of this namespace */
};

static int
take_packages(struct judged *to, const struct judged *from, const char *namespace)
{
	_cleanup_(freep) const struct judged_package **v = calloc(
		from->n_packages + from->n_notes + 1, sizeof(*v));
	size_t n = v ? blame_packages(from, v) : 0;

	to->packages = calloc(n + 1, sizeof(*to->packages));
	if (!v || !to->packages)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (streq(v[i]->namespace, namespace))
			to->packages[to->n_packages++] = *v[i];
	return 0;
}

struct signers *
signers_new(struct trust_keys *keys, const char *namespace, const struct judged *judged)
{
	struct signers *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (judged && take_packages(&s->judged, judged, namespace) < 0) {
		judged_done(&s->judged);
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

bool
signer_may_make(const struct signer *s, const struct strv *recipe)
{
	struct same_unit u;

	if (!s->limited)
		return true;
	if (same_unit_of(recipe, &u) < 0)
		return false;
	for (size_t i = 0; i < s->n_toolchains; i++)
		if (digest_eq(&s->toolchains[i], &u.toolchain))
			return true;
	return false;
}
