/* The file of tokens by which keys join: any bytes. What is read is within its bounds, and is
 * written as it was read. */
#include "config.h"

#include "coordinator/admin/join_tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(struct join_tokens *all, struct join_token *t)
{
	char id[JOIN_ID_SIZE];

	join_token_id(t, id);
	if (join_tokens_find(all, &t->digest) != t || t->role <= ROLE_NONE ||
		t->role > ROLE_ADMIN || t->uses == 0 || t->uses > JOIN_USES_MAX ||
		t->used > t->uses || t->expires_s <= t->made_s ||
		t->expires_s - t->made_s > JOIN_TTL_MAX_S ||
		(*t->name && !keys_name_ok(t->name, strlen(t->name))) ||
		(*t->namespace && !keys_name_ok(t->namespace, strlen(t->namespace))) ||
		(*t->by && !keys_name_ok(t->by, strlen(t->by))) ||
		(join_token_state(t, t->made_s) == JOIN_LIVE) != (t->ended_s == 0))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(join_tokens_done) struct join_tokens t = { NULL, 0 };

	if (join_tokens_parse((const char *)p, n, &t) < 0) {
		if (t.n != 0 || t.v)
			abort();
		return 0;
	}
	if (t.n > JOIN_TOKENS_MAX)
		abort();
	for (size_t i = 0; i < t.n; i++)
		check(&t, &t.v[i]);
	return 0;
}
