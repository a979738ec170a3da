/* Invariant: of a toolchain at most one invitation is open, and a client is in `failed` once for
 * each. */
#include "config.h"

#include "coordinator/give/invites.h"

static void
expire(struct invite *v, size_t *n, uint64_t now_ms)
{
	for (size_t i = 0; i < *n;) {
		if (v[i].until_ms <= now_ms)
			v[i] = v[--*n];
		else
			i++;
	}
}

/* account: 0: anybody's. */
static struct invite *
find(struct invite *v, size_t n, const struct digest *toolchain, uint64_t account)
{
	for (size_t i = 0; i < n; i++)
		if (digest_eq(&v[i].toolchain, toolchain) &&
			(account == 0 || v[i].account == account))
			return &v[i];
	return NULL;
}

static unsigned
count_failed(const struct invites *v, const struct digest *toolchain)
{
	unsigned n = 0;

	for (size_t i = 0; i < v->n_failed; i++)
		n += digest_eq(&v->failed[i].toolchain, toolchain);
	return n;
}

bool
invites_ask(struct invites *v, const struct digest *toolchain, uint64_t account, uint64_t now_ms)
{
	expire(v->open, &v->n_open, now_ms);
	expire(v->failed, &v->n_failed, now_ms);
	if (v->n_open == INVITES_MAX || find(v->open, v->n_open, toolchain, 0) ||
		find(v->failed, v->n_failed, toolchain, account) ||
		count_failed(v, toolchain) >= INVITE_FAILURES)
		return false;
	v->open[v->n_open++] = (struct invite){ *toolchain, account, now_ms + INVITE_MS, now_ms };
	return true;
}

void
invites_hold(struct invites *v, const struct digest *toolchain, uint64_t account, uint64_t now_ms)
{
	struct invite *i;

	expire(v->open, &v->n_open, now_ms);
	expire(v->failed, &v->n_failed, now_ms);
	i = find(v->open, v->n_open, toolchain, 0);
	if (i && i->account == account && now_ms - i->since_ms >= INVITE_MOST_MS)
		invites_fail(v, toolchain, account, now_ms);
	else if (i && i->account == account)
		i->until_ms = now_ms + INVITE_MS;
	else if (!i && v->n_open < INVITES_MAX && !find(v->failed, v->n_failed, toolchain, account))
		v->open[v->n_open++] = (struct invite){ *toolchain, account, now_ms + INVITE_MS,
			now_ms };
}

void
invites_given(struct invites *v, const struct digest *toolchain, uint64_t account)
{
	struct invite *i = find(v->failed, v->n_failed, toolchain, account);

	if (i)
		*i = v->failed[--v->n_failed];
}

void
invites_fail(struct invites *v, const struct digest *toolchain, uint64_t account, uint64_t now_ms)
{
	struct invite *open = find(v->open, v->n_open, toolchain, account), *i;

	if (open)
		*open = v->open[--v->n_open];
	i = find(v->failed, v->n_failed, toolchain, account);
	if (!i && v->n_failed < INVITES_FAILED_MAX)
		i = &v->failed[v->n_failed++];
	if (!i) {
		i = &v->failed[0];
		for (size_t k = 1; k < v->n_failed; k++)
			if (v->failed[k].until_ms < i->until_ms)
				i = &v->failed[k];
	}
	*i = (struct invite){ *toolchain, account, now_ms + INVITE_FAILED_MS, now_ms };
}

const struct invite *
invites_failed(struct invites *v, size_t i, uint64_t now_ms)
{
	expire(v->failed, &v->n_failed, now_ms);
	return i < v->n_failed ? &v->failed[i] : NULL;
}
