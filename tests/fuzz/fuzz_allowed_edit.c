/* Changes of a list of allowed keys, which is any bytes: where a key can be revoked it is so after
 * that, and no other key's line means anything else. */
#include "config.h"

#include "keys/allowed_edit.h"

#include <errno.h>

#define NEW_KEY "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
same_but(const struct allowed_keys *a, const struct allowed_keys *b, const char *curve)
{
	if (a->n != b->n)
		abort();
	for (size_t i = 0; i < a->n; i++) {
		struct allowed_key x = a->v[i], y = b->v[i];

		if (streq(x.curve_public, curve))
			x.revoked = true;
		if (!streq(x.curve_public, y.curve_public) || x.role != y.role ||
			x.revoked != y.revoked || !streq(x.name, y.name) ||
			!streq(x.namespace, y.namespace) || x.signs != y.signs)
			abort();
	}
}

static void
revoke_each(const char *text, size_t n, const struct allowed_keys *keys)
{
	for (size_t i = 0; i < keys->n && i < 8; i++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		_cleanup_(allowed_keys_done) struct allowed_keys after = { NULL, 0 };
		struct keys_fault f;
		int r = allowed_list_revoke(text, n, keys->v[i].curve_public, &b, &f);

		if (r == -EALREADY && keys->v[i].revoked)
			continue;
		if (r < 0 || allowed_keys_parse((const char *)b.p, b.n, &after, &f) < 0)
			abort();
		same_but(keys, &after, keys->v[i].curve_public);
	}
}

/* Another key in the place of each: both have that role, and no other line is changed but those
 * that were over. */
static void
rotate_each(const char *text, size_t n, const struct allowed_keys *keys)
{
	for (size_t i = 0; i < keys->n && i < 8; i++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT;
		_cleanup_(allowed_keys_done) struct allowed_keys after = { NULL, 0 };
		struct allowed_key fresh = keys->v[i];
		const struct allowed_key *old;
		struct keys_fault f;
		int r;

		memcpy(fresh.curve_public, NEW_KEY, CURVE_KEY_SIZE);
		fresh.signs = fresh.revoked = false;
		fresh.until_s = 0;
		r = allowed_list_rotate(
			text, n, keys->v[i].curve_public, &fresh, 1000, 2000, false, &b, &f);
		if (r < 0)
			continue;
		if (keys->v[i].until_s || keys->v[i].revoked ||
			allowed_keys_parse((const char *)b.p, b.n, &after, &f) < 0 ||
			allowed_keys_role(&after, NEW_KEY) != fresh.role)
			abort();
		old = allowed_keys_find(&after, keys->v[i].curve_public);
		if (!old || old->until_s != 2000 || old->role != fresh.role ||
			after.n > keys->n + 1)
			abort();
		for (size_t k = 0; k < keys->n; k++)
			if (!allowed_keys_find(&after, keys->v[k].curve_public) &&
				!keys->v[k].revoked &&
				(!keys->v[k].until_s || keys->v[k].until_s > 1000 ||
					keys->v[k].signs))
				abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	_cleanup_(allowed_keys_done) struct allowed_keys keys = { NULL, 0 }, more = { NULL, 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct allowed_key k = { .role = ROLE_CLIENT, .curve_public = NEW_KEY, .name = "new" };
	struct keys_fault f;
	bool ok = allowed_keys_parse((const char *)p, n, &keys, &f) == 0;
	int r = allowed_list_add((const char *)p, n, &k, &b, &f);

	if (!ok) {
		if (r == 0 || b.n != 0)
			abort();
		return 0;
	}
	revoke_each((const char *)p, n, &keys);
	rotate_each((const char *)p, n, &keys);
	if (r == 0 &&
		(allowed_keys_parse((const char *)b.p, b.n, &more, &f) < 0 ||
			more.n != keys.n + 1 || allowed_keys_role(&more, NEW_KEY) != ROLE_CLIENT))
		abort();
	if (r < 0 && !allowed_keys_find(&keys, NEW_KEY) && !allowed_keys_is_revoked(&keys, NEW_KEY))
		abort();
	return 0;
}
