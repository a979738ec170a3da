/* The file of keys that joined by OpenID Connect, on any text: what is taken is no worker's or
 * admin's, and the list that it becomes a part of is in order. */
#include "config.h"

#include "coordinator/oidc/passes.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(passes_done) struct passes passes = PASSES_INIT;
	_cleanup_(allowed_keys_done) struct allowed_keys keys = { NULL, 0 };
	int r = passes_parse((const char *)p, n, &passes);

	if (r < 0 && passes.n)
		abort();
	if (passes.n > PASSES_MAX || passes_apply(&passes, 1000, &keys) < 0)
		abort();
	for (size_t i = 0; i < keys.n; i++) {
		const struct allowed_key *k = &keys.v[i];

		if ((k->role != ROLE_CLIENT && k->role != ROLE_READER &&
			    k->role != ROLE_PUBLISHER) ||
			!keys_name_ok(k->name, strlen(k->name)) ||
			(i > 0 && strcmp(keys.v[i - 1].curve_public, k->curve_public) >= 0))
			abort();
	}
	return 0;
}
