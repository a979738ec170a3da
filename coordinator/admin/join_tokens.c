/* Tokens by which keys join. Invariant: each that is in a list is within its bounds, and is there
 * once. */
#include "config.h"

#include "coordinator/admin/join_tokens.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "coordinator/admin/kept.h"

#define FILE_MAX (256u * 1024) /* more than JOIN_TOKENS_MAX lines have */
#define TIME_MAX (1ull << 48)

static const struct kept_form form = { "dray-tokens", "1", false };

void
join_tokens_done(struct join_tokens *t)
{
	free(t->v);
	*t = (struct join_tokens){ NULL, 0 };
}

enum join_state
join_token_state(const struct join_token *t, uint64_t now_s)
{
	if (t->revoked)
		return JOIN_REVOKED;
	if (t->used >= t->uses)
		return JOIN_USED;
	if (now_s >= t->expires_s)
		return JOIN_EXPIRED;
	return now_s + JOIN_APART_S < t->made_s ? JOIN_CLOCK : JOIN_LIVE;
}

const char *
join_state_name(enum join_state s)
{
	static const char *const names[] = { [JOIN_LIVE] = "live",
		[JOIN_EXPIRED] = "expired",
		[JOIN_USED] = "used",
		[JOIN_REVOKED] = "revoked",
		[JOIN_CLOCK] = "clock" };

	return (size_t)s < ARRAY_LEN(names) ? names[s] : "-";
}

void
join_token_id(const struct join_token *t, char ret[JOIN_ID_SIZE])
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(&t->digest, hex);
	memcpy(ret, hex, JOIN_ID_SIZE - 1);
	ret[JOIN_ID_SIZE - 1] = '\0';
}

/* ---- bounds */

static bool
name_ok(const char *s)
{
	return !*s || keys_name_ok(s, strlen(s));
}

static bool
is_within(const struct join_token *t)
{
	uint64_t ttl_max = t->role == ROLE_ADMIN ? JOIN_ADMIN_TTL_MAX_S : JOIN_TTL_MAX_S;

	return t->role > ROLE_NONE && t->role <= ROLE_ADMIN && name_ok(t->name) &&
	       name_ok(t->namespace) && name_ok(t->by) && t->made_s < TIME_MAX &&
	       t->expires_s > t->made_s && t->expires_s - t->made_s <= ttl_max &&
	       t->ended_s < TIME_MAX && t->uses > 0 && t->uses <= JOIN_USES_MAX &&
	       t->used <= t->uses && (t->uses == 1 || (!*t->name && t->role != ROLE_ADMIN)) &&
	       (t->ended_s != 0) == (t->revoked || t->used == t->uses);
}

/* ---- the file */

static bool
take_text(char **rest, const char *key, char *ret, size_t size)
{
	char *word = strsep(rest, " ");
	size_t n = strlen(key);

	if (!word || strncmp(word, key, n) != 0 || word[n] != '=' || strlen(word + n + 1) >= size)
		return false;
	memcpy(ret, word + n + 1, strlen(word + n + 1) + 1);
	return true;
}

static bool
take_number(char **rest, const char *key, uint64_t *ret)
{
	char text[24], *end;

	if (!take_text(rest, key, text, sizeof(text)) || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !errno && !*end && *ret < TIME_MAX;
}

static bool
parse_line(char *line, struct join_token *t)
{
	char *word = strsep(&line, " ");
	uint64_t uses, used, revoked;
	char role[16];

	if (digest_parse(word, &t->digest) < 0 || !take_text(&line, "role", role, sizeof(role)) ||
		!take_text(&line, "name", t->name, sizeof(t->name)) ||
		!take_text(&line, "namespace", t->namespace, sizeof(t->namespace)) ||
		!take_text(&line, "by", t->by, sizeof(t->by)) ||
		!take_number(&line, "made", &t->made_s) ||
		!take_number(&line, "expires", &t->expires_s) ||
		!take_number(&line, "uses", &uses) || !take_number(&line, "used", &used) ||
		!take_number(&line, "ended", &t->ended_s) ||
		!take_number(&line, "revoked", &revoked) || line || revoked > 1 ||
		uses > JOIN_USES_MAX || used > uses)
		return false;
	t->role = role_parse(role);
	t->uses = (unsigned)uses;
	t->used = (unsigned)used;
	t->revoked = revoked;
	return is_within(t);
}

static int
put(struct join_tokens *t, const struct join_token *k)
{
	struct join_token *v = reallocarray(t->v, t->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	t->v = v;
	v[t->n++] = *k;
	return 0;
}

static int
take_line(char *line, void *to)
{
	struct join_tokens *t = to;
	struct join_token k = { .role = ROLE_NONE };

	if (t->n == JOIN_TOKENS_MAX || !parse_line(line, &k) || join_tokens_find(t, &k.digest))
		return -EBADMSG;
	return put(t, &k);
}

int
join_tokens_parse(const char *text, size_t n, struct join_tokens *ret)
{
	int r = kept_lines(&form, text, n, take_line, ret);

	if (r < 0)
		join_tokens_done(ret);
	return r;
}

int
join_tokens_load(const char *dir, struct join_tokens *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = kept_read(dir, JOIN_TOKENS_FILE, FILE_MAX, &b);

	return r <= 0 ? r : join_tokens_parse((const char *)b.p, b.n, ret);
}

static int
add_line(struct buf *b, const struct join_token *t)
{
	char hex[DIGEST_HEX_SIZE];

	digest_hex(&t->digest, hex);
	return buf_addf(b,
		"%s role=%s name=%s namespace=%s by=%s made=%llu expires=%llu uses=%u used=%u "
		"ended=%llu revoked=%d\n",
		hex, role_name(t->role), t->name, t->namespace, t->by,
		(unsigned long long)t->made_s, (unsigned long long)t->expires_s, t->uses, t->used,
		(unsigned long long)t->ended_s, t->revoked);
}

int
join_tokens_save(const char *dir, const struct join_tokens *t)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = kept_begin(&form, &b);

	for (size_t i = 0; r == 0 && i < t->n; i++)
		r = add_line(&b, &t->v[i]);
	return r < 0 ? r : kept_write(dir, JOIN_TOKENS_FILE, &b);
}

/* ---- the list */

/* Since when it is of no use; UINT64_MAX: it still is. */
static uint64_t
end_of(const struct join_token *t, uint64_t now_s)
{
	if (t->ended_s)
		return t->ended_s;
	return now_s >= t->expires_s ? t->expires_s : UINT64_MAX;
}

/* The one that ended first goes. */
static bool
make_room(struct join_tokens *t, uint64_t now_s)
{
	size_t first = 0;

	for (size_t i = 1; i < t->n; i++)
		if (end_of(&t->v[i], now_s) < end_of(&t->v[first], now_s))
			first = i;
	if (t->n == 0 || end_of(&t->v[first], now_s) == UINT64_MAX)
		return false;
	t->n--;
	memmove(&t->v[first], &t->v[first + 1], (t->n - first) * sizeof(*t->v));
	return true;
}

int
join_tokens_add(struct join_tokens *t, const struct join_token *k, uint64_t now_s)
{
	if (!is_within(k) || join_tokens_find(t, &k->digest))
		return -EINVAL;
	if (t->n == JOIN_TOKENS_MAX && !make_room(t, now_s))
		return -ENOSPC;
	return put(t, k);
}

struct join_token *
join_tokens_find(struct join_tokens *t, const struct digest *d)
{
	struct join_token *found = NULL;

	for (size_t i = 0; i < t->n; i++)
		if (CRYPTO_memcmp(t->v[i].digest.b, d->b, DIGEST_SIZE) == 0)
			found = &t->v[i];
	return found;
}

struct join_token *
join_tokens_named(struct join_tokens *t, const char *id)
{
	struct join_token *found = NULL;
	char own[JOIN_ID_SIZE];

	if (!*id)
		return NULL;
	for (size_t i = 0; i < t->n; i++) {
		join_token_id(&t->v[i], own);
		if (!starts_with(own, id))
			continue;
		if (found)
			return NULL;
		found = &t->v[i];
	}
	return found;
}

void
join_token_use(struct join_token *t, uint64_t now_s)
{
	if (++t->used == t->uses)
		t->ended_s = MAX2(now_s, (uint64_t)1);
}

bool
join_tokens_open(const struct join_tokens *t, uint64_t now_s)
{
	for (size_t i = 0; i < t->n; i++) {
		uint64_t end = end_of(&t->v[i], now_s);

		if (end == UINT64_MAX || now_s < end || now_s - end < JOIN_LATE_S)
			return true;
	}
	return false;
}
