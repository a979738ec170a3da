/* Invariant: what was decoded is, when it is encoded, the same text again. */
#include "config.h"

#include "client/incremental/sums.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>

#include "common/fs.h"

#define MAGIC "dray-seed 1\n"
#define HEX_LEN (DIGEST_HEX_SIZE - 1)
#define PARTS_MIN 2
#define PARTS_MAX 3

void
sums_done(struct sums *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].name);
	free(s->v);
	*s = (struct sums)SUMS_INIT;
}

/* `name` has n bytes, and may have anything in it. */
static bool
is_name(const char *name, size_t n)
{
	const char *end = name + n, *part = name;
	unsigned parts = 0;

	if (n >= PATH_MAX || memchr(name, '\0', n) || memchr(name, '\n', n))
		return false;
	for (;;) {
		const char *slash = memchr(part, '/', (size_t)(end - part));
		size_t len = (size_t)((slash ? slash : end) - part);

		if (len == 0 || len > NAME_MAX || (len <= 2 && memcmp(part, "..", len) == 0) ||
			++parts > PARTS_MAX)
			return false;
		if (!slash)
			return parts >= PARTS_MIN;
		part = slash + 1;
	}
}

static int
add(struct sums *s, const char *name, size_t len, uint64_t size, const struct digest *d)
{
	char *copy;

	if (!is_name(name, len))
		return -EINVAL;
	if (s->n >= SUMS_FILES_MAX)
		return -E2BIG;
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 64;
		struct sum *v = reallocarray(s->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	copy = strndup(name, len);
	if (!copy)
		return -ENOMEM;
	s->v[s->n++] = (struct sum){ copy, size, *d };
	return 0;
}

int
sums_add(struct sums *s, const char *name, uint64_t size, const struct digest *d)
{
	return add(s, name, strlen(name), size, d);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(((const struct sum *)a)->name, ((const struct sum *)b)->name);
}

int
sums_encode(struct sums *s, struct buf *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char hex[DIGEST_HEX_SIZE];
	struct digest d;
	int r = buf_adds(&b, MAGIC);

	if (s->n > 0)
		qsort(s->v, s->n, sizeof(*s->v), compare);
	for (size_t i = 0; i < s->n && r == 0; i++) {
		if (i > 0 && streq(s->v[i - 1].name, s->v[i].name))
			return -EEXIST;
		digest_hex(&s->v[i].digest, hex);
		r = buf_addf(&b, "%s %" PRIu64 " %s\n", hex, s->v[i].size, s->v[i].name);
	}
	if (r == 0)
		r = digest_bytes(b.p, b.n, &d);
	if (r < 0)
		return r;
	digest_hex(&d, hex);
	if (b.n + HEX_LEN + 1 > SUMS_BYTES_MAX)
		return -E2BIG;
	r = buf_addf(&b, "%s\n", hex);
	return r < 0 ? r : buf_add(ret, b.p, b.n);
}

/* ---- decoding */

/* At most n bytes, of which the first HEX_LEN are taken. */
static int
parse_digest(const char *p, size_t n, struct digest *ret)
{
	char hex[DIGEST_HEX_SIZE] = "";

	if (n < HEX_LEN)
		return -EBADMSG;
	memcpy(hex, p, HEX_LEN);
	return digest_parse(hex, ret) < 0 ? -EBADMSG : 0;
}

/* Only as it is printed: no sign, no zero before it. Returns how many bytes it has; 0: it is none.
 */
static size_t
parse_size(const char *p, size_t n, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < n && p[i] >= '0' && p[i] <= '9'; i++) {
		unsigned digit = (unsigned)(p[i] - '0');

		if ((i == 1 && p[0] == '0') || v > (UINT64_MAX - digit) / 10)
			return 0;
		v = v * 10 + digit;
	}
	*ret = v;
	return i;
}

/* A line without its end. */
static int
decode_line(const char *p, size_t n, struct sums *s)
{
	struct digest d;
	uint64_t size;
	size_t at = HEX_LEN, len;
	int r = parse_digest(p, n, &d);

	if (r < 0)
		return r;
	if (at == n || p[at++] != ' ' || (len = parse_size(p + at, n - at, &size)) == 0)
		return -EBADMSG;
	at += len;
	if (at == n || p[at++] != ' ')
		return -EBADMSG;
	r = add(s, p + at, n - at, size, &d);
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	return s->n > 1 && compare(&s->v[s->n - 2], &s->v[s->n - 1]) >= 0 ? -EBADMSG : 0;
}

/* The lines up to the last one, which is checked before. */
static int
decode_lines(const char *p, const char *end, struct sums *s)
{
	int r = 0;

	while (r == 0 && p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));

		if (!newline)
			return -EBADMSG;
		r = decode_line(p, (size_t)(newline - p), s);
		p = newline + 1;
	}
	return r;
}

int
sums_decode(const void *p, size_t n, struct sums *ret)
{
	const char *text = p, *last;
	struct sums s = SUMS_INIT;
	struct digest said, is;
	int r;

	if (n < strlen(MAGIC) + HEX_LEN + 1 || n > SUMS_BYTES_MAX || text[n - 1] != '\n' ||
		memcmp(text, MAGIC, strlen(MAGIC)) != 0)
		return -EBADMSG;
	last = text + n - HEX_LEN - 1;
	r = parse_digest(last, HEX_LEN, &said);
	if (r == 0)
		r = digest_bytes(text, (size_t)(last - text), &is);
	if (r == 0 && !digest_eq(&said, &is))
		r = -EBADMSG;
	if (r == 0)
		r = decode_lines(text + strlen(MAGIC), last, &s);
	if (r < 0) {
		sums_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}
