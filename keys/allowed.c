/* Allowed-keys files: which key has which role, name and namespace.
 *
 * Invariant: a list that leaves this file has each key once, each signing key once, and each name
 * of a worker that is let in once, and is sorted by key. */
#include "config.h"

#include <errno.h>

#include "common/buf.h"
#include "common/fs.h"
#include "keys/identity.h"
#include "keys/keys_priv.h"

#define ALLOWED_FILE_MAX (4u * 1024 * 1024)

static const char *const ROLE_NAMES[] = {
	[ROLE_NONE] = "none",
	[ROLE_CLIENT] = "client",
	[ROLE_READER] = "reader",
	[ROLE_PUBLISHER] = "publisher",
	[ROLE_WORKER] = "worker",
	[ROLE_ADMIN] = "admin",
	[ROLE_LOCAL] = "local",
};

const char *
role_name(enum role r)
{
	return (size_t)r < ARRAY_LEN(ROLE_NAMES) ? ROLE_NAMES[r] : ROLE_NAMES[ROLE_NONE];
}

static enum role
role_of(struct file_span word)
{
	for (int r = ROLE_CLIENT; r <= ROLE_ADMIN; r++)
		if (keys_span_is(word, ROLE_NAMES[r]))
			return (enum role)r;
	return ROLE_NONE;
}

enum role
role_parse(const char *name)
{
	return role_of((struct file_span){ name, strlen(name) });
}

struct file_span
keys_next_word(struct file_span *rest)
{
	struct file_span w;

	keys_trim(rest);
	w = (struct file_span){ rest->p, 0 };
	while (w.n < rest->n && !keys_is_blank(rest->p[w.n]))
		w.n++;
	rest->p += w.n;
	rest->n -= w.n;
	return w;
}

bool
keys_take_namespace(struct file_span word, char out[KEYS_NAME_MAX + 1])
{
	static const char begin[] = "namespace=";
	size_t n = sizeof(begin) - 1;

	if (word.n <= n || memcmp(word.p, begin, n) != 0 || !keys_name_ok(word.p + n, word.n - n))
		return false;
	memcpy(out, word.p + n, word.n - n);
	out[word.n - n] = '\0';
	return true;
}

/* A key with the line it came from, so that a second one can be named. */
struct numbered_key {
	struct allowed_key key;
	unsigned line;
};

static bool
take_sign(struct file_span word, struct allowed_key *ret)
{
	static const char begin[] = "sign=";
	size_t n = sizeof(begin) - 1;

	if (word.n <= n || memcmp(word.p, begin, n) != 0)
		return false;
	ret->signs = keys_take_hex(
		(struct file_span){ word.p + n, word.n - n }, ret->sign_public, SIGN_KEY_SIZE);
	return ret->signs;
}

static bool
parse_key_line(struct file_span line, struct allowed_key *ret)
{
	struct file_span role = keys_next_word(&line), key = keys_next_word(&line), word;
	uint8_t raw[32];

	memset(ret, 0, sizeof(*ret));
	ret->role = role_of(role);
	if (ret->role == ROLE_NONE || !keys_take_curve(key, ret->curve_public, raw))
		return false;
	word = keys_next_word(&line);
	if (keys_name_ok(word.p, word.n) && !keys_span_is(word, "revoked")) {
		memcpy(ret->name, word.p, word.n);
		word = keys_next_word(&line);
	}
	if (keys_take_namespace(word, ret->namespace))
		word = keys_next_word(&line);
	if (take_sign(word, ret))
		word = keys_next_word(&line);
	ret->revoked = keys_span_is(word, "revoked");
	if (ret->revoked)
		word = keys_next_word(&line);
	return word.n == 0 || word.p[0] == '#';
}

static int
compare_numbered(const void *a, const void *b)
{
	const struct numbered_key *x = a, *y = b;
	int c = memcmp(x->key.curve_public, y->key.curve_public, CURVE_KEY_SIZE);

	return c != 0 ? c : (x->line > y->line) - (x->line < y->line);
}

/* A key has one role: the first line that gives a key again, or 0. Sorts v. */
static unsigned
find_repeated(struct numbered_key *v, size_t n)
{
	unsigned line = 0;
	size_t i;

	if (n > 1)
		qsort(v, n, sizeof(*v), compare_numbered);
	for (i = 1; i < n; i++) {
		if (streq(v[i - 1].key.curve_public, v[i].key.curve_public) &&
			(line == 0 || v[i].line < line))
			line = v[i].line;
	}
	return line;
}

static int
compare_names(const void *a, const void *b)
{
	const struct numbered_key *x = a, *y = b;
	int c = strcmp(x->key.name, y->key.name);

	return c != 0 ? c : (x->line > y->line) - (x->line < y->line);
}

/* Two workers of one name: the first such line, or 0. Leaves v in another order. */
static unsigned
find_namesake(struct numbered_key *v, size_t n)
{
	const struct numbered_key *last = NULL;
	unsigned line = 0;
	size_t i;

	if (n > 1)
		qsort(v, n, sizeof(*v), compare_names);
	for (i = 0; i < n; i++) {
		if (v[i].key.role != ROLE_WORKER || !v[i].key.name[0] || v[i].key.revoked)
			continue;
		if (last && streq(last->key.name, v[i].key.name) && (line == 0 || v[i].line < line))
			line = v[i].line;
		last = &v[i];
	}
	return line;
}

static int
compare_signs(const void *a, const void *b)
{
	const struct numbered_key *x = a, *y = b;
	int c = memcmp(x->key.sign_public, y->key.sign_public, SIGN_KEY_SIZE);

	return c != 0 ? c : (x->line > y->line) - (x->line < y->line);
}

/* What a key signs is one node's: the first line that gives one again, or 0. Leaves v in another
 * order. */
static unsigned
find_same_sign(struct numbered_key *v, size_t n)
{
	const struct numbered_key *last = NULL;
	unsigned line = 0;

	if (n > 1)
		qsort(v, n, sizeof(*v), compare_signs);
	for (size_t i = 0; i < n; i++) {
		if (!v[i].key.signs)
			continue;
		if (last &&
			memcmp(last->key.sign_public, v[i].key.sign_public, SIGN_KEY_SIZE) == 0 &&
			(line == 0 || v[i].line < line))
			line = v[i].line;
		last = &v[i];
	}
	return line;
}

int
allowed_keys_parse(const char *text, size_t n, struct allowed_keys *ret, unsigned *ret_line)
{
	_cleanup_(freep) struct numbered_key *v = NULL;
	struct file_span rest = { text, n }, line;
	size_t i, used = 0, cap = 0;
	unsigned number = 0, bad = 0;

	*ret = (struct allowed_keys){ NULL, 0 };
	if (ret_line != NULL)
		*ret_line = 0;
	while (bad == 0 && keys_next_line(&rest, &line)) {
		number++;
		keys_trim(&line);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (used == cap) {
			struct numbered_key *bigger;

			cap = cap == 0 ? 16 : cap * 2;
			bigger = reallocarray(v, cap, sizeof(*v));
			if (bigger == NULL)
				return -ENOMEM;
			v = bigger;
		}
		v[used].line = number;
		if (parse_key_line(line, &v[used].key))
			used++;
		else
			bad = number;
	}
	if (bad == 0)
		bad = find_namesake(v, used);
	if (bad == 0)
		bad = find_same_sign(v, used);
	/* last, since it leaves them as allowed_keys_find wants them */
	if (bad == 0)
		bad = find_repeated(v, used);
	if (bad != 0) {
		if (ret_line != NULL)
			*ret_line = bad;
		return -EBADMSG;
	}
	if (used == 0)
		return 0;
	ret->v = calloc(used, sizeof(*ret->v));
	if (ret->v == NULL)
		return -ENOMEM;
	for (i = 0; i < used; i++)
		ret->v[i] = v[i].key;
	ret->n = used;
	return 0;
}

int
allowed_keys_load(const char *path, struct allowed_keys *ret, unsigned *ret_line)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r;

	*ret = (struct allowed_keys){ NULL, 0 };
	if (ret_line != NULL)
		*ret_line = 0;
	r = fs_read_file(path, ALLOWED_FILE_MAX, &text);
	if (r < 0)
		return r;
	return allowed_keys_parse(text.n > 0 ? (const char *)text.p : "", text.n, ret, ret_line);
}

static int
compare_key(const void *curve_public, const void *k)
{
	return strcmp(curve_public, ((const struct allowed_key *)k)->curve_public);
}

const struct allowed_key *
allowed_keys_find(const struct allowed_keys *a, const char *curve_public)
{
	const struct allowed_key *k = a->n ? bsearch(curve_public, a->v, a->n, sizeof(*a->v),
						     compare_key)
					   : NULL;

	return k && !k->revoked ? k : NULL;
}

enum role
allowed_keys_role(const struct allowed_keys *a, const char *curve_public)
{
	const struct allowed_key *k = allowed_keys_find(a, curve_public);

	return k ? k->role : ROLE_NONE;
}

bool
allowed_keys_may_be(const struct allowed_keys *a, const char *curve_public, const char *name)
{
	const struct allowed_key *own = allowed_keys_find(a, curve_public);

	if (!own || own->role != ROLE_WORKER)
		return false;
	if (own->name[0])
		return streq(own->name, name);
	for (size_t i = 0; i < a->n; i++)
		if (a->v[i].role == ROLE_WORKER && !a->v[i].revoked && streq(a->v[i].name, name))
			return false;
	return true;
}

void
allowed_keys_done(struct allowed_keys *a)
{
	free(a->v);
	*a = (struct allowed_keys){ NULL, 0 };
}
