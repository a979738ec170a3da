/* Rules of who may join by a token, on any text: what is taken lets in no worker, no admin, nobody
 * for longer than a day, and nobody who says nothing. */
#include "config.h"

#include "coordinator/oidc/rules.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
look_at_rule(const struct oidc_allow *a)
{
	if (a->role != ROLE_CLIENT && a->role != ROLE_READER && a->role != ROLE_PUBLISHER)
		abort();
	if (a->ttl_s == 0 || a->ttl_s > OIDC_TTL_MAX_S || json_object_size(a->claims) == 0)
		abort();
	if (*a->namespace && !keys_name_ok(a->namespace, strlen(a->namespace)))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(oidc_rules_done) struct oidc_rules rules = OIDC_RULES_INIT;
	_cleanup_(freep) char *why = NULL;
	json_t *nothing = json_object();
	char name[KEYS_NAME_MAX + 1];
	int r = oidc_rules_parse((const char *)p, n, &rules, &why);

	if ((r == -EBADMSG) != (why != NULL) || (r == 0) != (rules.n > 0))
		abort();
	for (size_t i = 0; i < rules.n; i++) {
		const struct oidc_issuer *issuer = &rules.v[i];

		if (oidc_rules_issuer(&rules, issuer->url) != issuer ||
			oidc_rules_match(issuer, nothing))
			abort();
		for (size_t k = 0; k < issuer->n; k++) {
			look_at_rule(&issuer->v[k]);
			(void)oidc_rules_match(issuer, issuer->v[k].claims);
			oidc_rules_name(issuer->v[k].claims, name);
			if (!keys_name_ok(name, strlen(name)))
				abort();
		}
	}
	json_decref(nothing);
	return 0;
}
