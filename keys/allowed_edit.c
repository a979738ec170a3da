/* Changes of a list of allowed keys. */
#include "config.h"

#include "keys/allowed_edit.h"

#include <errno.h>
#include <inttypes.h>

#include "keys/key_line.h"

/* Whether it is a list, and what it is. */
static int
check(const struct buf *b, struct allowed_keys *ret, struct keys_fault *f)
{
	return allowed_keys_parse(b->n ? (const char *)b->p : "", b->n, ret, f);
}

static int
add_line(const struct allowed_key *k, struct buf *b)
{
	char hex[SIGN_HEX_SIZE];
	int r = buf_addf(b, "%s %s", role_name(k->role), k->curve_public);

	if (r == 0 && *k->name)
		r = buf_addf(b, " %s", k->name);
	if (r == 0 && *k->namespace)
		r = buf_addf(b, " namespace=%s", k->namespace);
	if (r == 0 && k->signs) {
		keys_hex(k->sign_public, SIGN_KEY_SIZE, hex);
		r = buf_addf(b, " sign=%s", hex);
	}
	if (r == 0 && k->until_s)
		r = buf_addf(b, " until=%" PRIu64, k->until_s);
	if (r == 0 && k->revoked)
		r = buf_adds(b, " revoked");
	return r == 0 ? buf_add(b, "\n", 1) : r;
}

int
allowed_list_add(const char *text, size_t n, const struct allowed_key *k, struct buf *ret,
	struct keys_fault *ret_fault)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(allowed_keys_done) struct allowed_keys keys = { NULL, 0 };
	int r = buf_add(&b, text, n);

	*ret_fault = (struct keys_fault){ .line = 0 };
	if (r == 0 && n > 0 && text[n - 1] != '\n')
		r = buf_add(&b, "\n", 1);
	if (r == 0)
		r = add_line(k, &b);
	if (r == 0)
		r = check(&b, &keys, ret_fault);
	if (r < 0)
		return r;
	*ret = b;
	b = (struct buf)BUF_INIT;
	return 0;
}

/* The end of the last word in front of a comment, in a line of that key; NULL: it is another's. */
static const char *
end_of_words(struct file_span line, const char *curve)
{
	struct file_span word, rest = line;
	const char *end;

	keys_trim(&rest);
	if (rest.n == 0 || rest.p[0] == '#')
		return NULL;
	(void)keys_next_word(&rest);
	word = keys_next_word(&rest);
	if (!keys_span_is(word, curve))
		return NULL;
	end = word.p + word.n;
	for (word = keys_next_word(&rest); word.n > 0 && word.p[0] != '#';
		word = keys_next_word(&rest))
		end = word.p + word.n;
	return end;
}

int
allowed_list_revoke(const char *text, size_t n, const char *curve_public, struct buf *ret,
	struct keys_fault *ret_fault)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(allowed_keys_done) struct allowed_keys before = { NULL, 0 }, after = { NULL, 0 };
	struct file_span rest = { text, n }, line;
	const char *at = NULL;
	int r = allowed_keys_parse(text, n, &before, ret_fault);

	if (r < 0)
		return r;
	if (allowed_keys_is_revoked(&before, curve_public))
		return -EALREADY;
	while (!at && keys_next_line(&rest, &line))
		at = end_of_words(line, curve_public);
	if (!at)
		return -ENOENT;
	r = buf_add(&b, text, (size_t)(at - text));
	if (r == 0)
		r = buf_adds(&b, " revoked");
	if (r == 0)
		r = buf_add(&b, at, n - (size_t)(at - text));
	if (r == 0)
		r = check(&b, &after, ret_fault);
	if (r < 0)
		return r;
	*ret = b;
	b = (struct buf)BUF_INIT;
	return 0;
}

/* Whether it is a line of that key. */
static bool
is_of(struct file_span line, const char *curve)
{
	return end_of_words(line, curve) != NULL;
}

/* One of its keys before, of which nothing is left that counts. */
static bool
is_spent(const struct allowed_key *k, const struct allowed_key *of, uint64_t now_s)
{
	return k->role == of->role && *k->name && streq(k->name, of->name) && !k->signs &&
	       !k->revoked && k->until_s && k->until_s <= now_s;
}

/* As the text has them, but without lines of those. */
static int
leave_out(const char *text, size_t n, const struct allowed_keys *keys,
	const struct allowed_key *fresh, uint64_t now_s, struct buf *ret)
{
	struct file_span rest = { text, n }, line;
	int r = 0;

	while (r == 0 && keys_next_line(&rest, &line)) {
		bool out = false;

		for (size_t i = 0; !out && i < keys->n; i++)
			out = is_spent(&keys->v[i], fresh, now_s) &&
			      is_of(line, keys->v[i].curve_public);
		if (!out)
			r = buf_add(ret, line.p, (size_t)(rest.p - line.p));
	}
	return r;
}

/* The line of that key with until=, and "revoked". */
static int
end_line(const char *text, size_t n, const char *curve, uint64_t until_s, bool revoked,
	struct buf *ret)
{
	struct file_span rest = { text, n }, line;
	const char *at = NULL;
	int r;

	while (!at && keys_next_line(&rest, &line))
		at = end_of_words(line, curve);
	if (!at)
		return -ENOENT;
	r = buf_add(ret, text, (size_t)(at - text));
	if (r == 0)
		r = buf_addf(ret, " until=%" PRIu64 "%s", until_s, revoked ? " revoked" : "");
	return r == 0 ? buf_add(ret, at, n - (size_t)(at - text)) : r;
}

int
allowed_list_rotate(const char *text, size_t n, const char *old_curve,
	const struct allowed_key *fresh, uint64_t now_s, uint64_t until_s, bool revoked,
	struct buf *ret, struct keys_fault *ret_fault)
{
	_cleanup_(buf_done) struct buf kept = BUF_INIT, ended = BUF_INIT;
	_cleanup_(allowed_keys_done) struct allowed_keys keys = { NULL, 0 };
	const struct allowed_key *old;
	int r = allowed_keys_parse(text, n, &keys, ret_fault);

	if (r < 0)
		return r;
	old = allowed_keys_find(&keys, old_curve);
	if (!old || old->until_s)
		return old || allowed_keys_is_revoked(&keys, old_curve) ? -EALREADY : -ENOENT;
	r = leave_out(text, n, &keys, fresh, now_s, &kept);
	if (r == 0)
		r = end_line((const char *)kept.p, kept.n, old_curve, until_s, revoked, &ended);
	return r == 0 ? allowed_list_add((const char *)ended.p, ended.n, fresh, ret, ret_fault) : r;
}
