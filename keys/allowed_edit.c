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
