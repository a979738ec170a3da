/* allowed_keys_parse on any bytes: what comes out are whole, distinct keys with a role; a refusal
 * gives none, and names a line. */
#include "config.h"

#include "keys/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(const struct allowed_keys *a)
{
	uint8_t raw[32];
	char again[CURVE_KEY_SIZE];
	size_t i;

	for (i = 0; i < a->n; i++) {
		const struct allowed_key *k = &a->v[i];

		if (k->role == ROLE_NONE || z85_decode32(k->curve_public, raw) < 0)
			abort();
		z85_encode32(raw, again);
		if (!streq(again, k->curve_public))
			abort();
		if (strnlen(k->name, sizeof(k->name)) == sizeof(k->name))
			abort();
		if (allowed_keys_role(a, k->curve_public) != (k->revoked ? ROLE_NONE : k->role))
			abort();
		if (strnlen(k->namespace, sizeof(k->namespace)) == sizeof(k->namespace))
			abort();
		if (k->role == ROLE_WORKER && *k->name && !k->revoked &&
			!allowed_keys_may_be(a, k->curve_public, k->name))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(allowed_keys_done) struct allowed_keys a = { NULL, 0 };
	struct keys_fault fault = { .line = 0 };

	if (allowed_keys_parse((const char *)p, n, &a, &fault) == 0)
		check(&a);
	else if (a.v != NULL || a.n != 0 || fault.line == 0 || fault.what[0] == '\0')
		abort();
	return 0;
}
