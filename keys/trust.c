/* Lists of keys whose results are taken.
 *
 * Invariant: a list has each key once, and is sorted by it. */
#include "config.h"

#include "keys/trust.h"

#include <errno.h>
#include <stdlib.h>

#include "common/fs.h"
#include "keys/key_line.h"

#define TRUST_FILE_MAX (16u << 20)

static const char *const kind_names[TRUST_KINDS] = {
	[TRUST_NONE] = "none",
	[TRUST_WORKER] = "worker",
	[TRUST_PUBLISHER] = "publisher",
	[TRUST_ADMIN] = "admin",
};

const char *
trust_kind_name(enum trust_kind kind)
{
	return (size_t)kind < TRUST_KINDS ? kind_names[kind] : kind_names[TRUST_NONE];
}

static enum trust_kind
kind_of(struct file_span word)
{
	for (int k = TRUST_WORKER; k < TRUST_KINDS; k++)
		if (keys_span_is(word, kind_names[k]))
			return (enum trust_kind)k;
	return TRUST_NONE;
}

/* A key with the line it came from, so that a second one can be named. */
struct numbered_key {
	struct trust_key key;
	unsigned line;
};

static bool
take_key(struct file_span word, struct trust_key *ret, struct keys_fault *f)
{
	char shown[KEY_LINE_SHOWN];

	if (keys_take_hex(word, ret->key, SIGN_KEY_SIZE))
		return true;
	if (word.n == 0 || word.p[0] == '#')
		key_line_fault(f, "there is no key behind the kind");
	else
		key_line_fault(f,
			"\"%s\" is no signing key: that is 64 hex digits in small letters, the "
			"sign-public of an identity",
			key_line_shown(word, shown));
	return false;
}

static bool
parse_line(struct file_span line, struct trust_key *ret, struct keys_fault *f)
{
	struct file_span kind = keys_next_word(&line), key = keys_next_word(&line);
	struct key_words words;
	char shown[KEY_LINE_SHOWN];

	memset(ret, 0, sizeof(*ret));
	ret->kind = kind_of(kind);
	if (ret->kind == TRUST_NONE) {
		key_line_fault(f,
			"\"%s\" is none of worker, publisher, admin, with one of which a line "
			"begins",
			key_line_shown(kind, shown));
		return false;
	}
	if (!take_key(key, ret, f) || !key_line_words(&line, false, &words, f))
		return false;
	memcpy(ret->name, words.name, sizeof(ret->name));
	memcpy(ret->namespace, words.namespace, sizeof(ret->namespace));
	ret->revoked = words.revoked;
	return true;
}

static int
compare_numbered(const void *a, const void *b)
{
	const struct numbered_key *x = a, *y = b;
	int c = memcmp(x->key.key, y->key.key, SIGN_KEY_SIZE);

	return c != 0 ? c : (x->line > y->line) - (x->line < y->line);
}

/* The first line that gives a key again. Sorts v. */
static void
find_repeated(struct numbered_key *v, size_t n, struct keys_fault *f)
{
	if (n > 1)
		qsort(v, n, sizeof(*v), compare_numbered);
	for (size_t i = 1; i < n; i++) {
		if (memcmp(v[i - 1].key.key, v[i].key.key, SIGN_KEY_SIZE) != 0 ||
			(f->line && f->line <= v[i].line))
			continue;
		f->line = v[i].line;
		key_line_fault(f, "its key is in line %u already", v[i - 1].line);
	}
}

/* Reads lines until one is wrong. 0 or -ENOMEM. */
static int
read_lines(struct file_span rest, struct numbered_key **v, size_t *n, struct keys_fault *f)
{
	struct file_span line;
	unsigned number = 0;
	size_t cap = 0;

	while (keys_next_line(&rest, &line)) {
		number++;
		keys_trim(&line);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (*n == cap) {
			struct numbered_key *bigger;

			cap = cap == 0 ? 16 : cap * 2;
			bigger = reallocarray(*v, cap, sizeof(**v));
			if (!bigger)
				return -ENOMEM;
			*v = bigger;
		}
		(*v)[*n].line = number;
		if (*n == TRUST_KEYS_MAX)
			key_line_fault(f, "there are more than %d keys", TRUST_KEYS_MAX);
		if (*n == TRUST_KEYS_MAX || !parse_line(line, &(*v)[*n].key, f)) {
			f->line = number;
			return 0;
		}
		++*n;
	}
	return 0;
}

int
trust_keys_parse(const char *text, size_t n, struct trust_keys *ret, struct keys_fault *ret_fault)
{
	_cleanup_(freep) struct numbered_key *v = NULL;
	struct keys_fault fault = { .line = 0 };
	size_t used = 0;
	int r = read_lines((struct file_span){ text, n }, &v, &used, &fault);

	if (r == 0 && fault.line == 0)
		find_repeated(v, used, &fault);
	if (ret_fault)
		*ret_fault = fault;
	if (r < 0 || fault.line)
		return r < 0 ? r : -EBADMSG;
	if (used == 0)
		return 0;
	ret->v = calloc(used, sizeof(*ret->v));
	if (!ret->v)
		return -ENOMEM;
	for (size_t i = 0; i < used; i++)
		ret->v[i] = v[i].key;
	ret->n = used;
	return 0;
}

int
trust_keys_load(const char *setting, struct trust_keys *ret, struct keys_fault *ret_fault)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r;

	if (ret_fault)
		*ret_fault = (struct keys_fault){ .line = 0 };
	r = *setting == '/' ? fs_read_file(setting, TRUST_FILE_MAX, &text)
			    : buf_adds(&text, setting);
	if (r < 0)
		return r;
	for (size_t i = 0; *setting != '/' && i < text.n; i++)
		if (text.p[i] == ',')
			text.p[i] = '\n';
	return trust_keys_parse(text.n ? (const char *)text.p : "", text.n, ret, ret_fault);
}

static int
compare_key(const void *key, const void *k)
{
	return memcmp(key, ((const struct trust_key *)k)->key, SIGN_KEY_SIZE);
}

static int
compare_keys(const void *a, const void *b)
{
	return compare_key(((const struct trust_key *)a)->key, b);
}

int
trust_keys_make(const struct trust_key *v, size_t n, struct trust_keys *ret)
{
	_cleanup_(freep) struct trust_key *own = NULL;

	if (n > TRUST_KEYS_MAX)
		return -EBADMSG;
	if (n == 0)
		return 0;
	own = calloc(n, sizeof(*own));
	if (!own)
		return -ENOMEM;
	memcpy(own, v, n * sizeof(*own));
	qsort(own, n, sizeof(*own), compare_keys);
	for (size_t i = 1; i < n; i++)
		if (memcmp(own[i - 1].key, own[i].key, SIGN_KEY_SIZE) == 0)
			return -EBADMSG;
	ret->v = steal_ptr(own);
	ret->n = n;
	return 0;
}

static struct trust_key *
find(const struct trust_keys *k, size_t n, const uint8_t key[SIGN_KEY_SIZE])
{
	return n ? bsearch(key, k->v, n, sizeof(*k->v), compare_key) : NULL;
}

int
trust_keys_add(struct trust_keys *to, const struct trust_keys *more)
{
	size_t sorted = to->n;
	struct trust_key *v;

	if (more->n == 0)
		return 0;
	v = reallocarray(to->v, to->n + more->n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	to->v = v;
	for (size_t i = 0; i < more->n; i++) {
		struct trust_key *known = find(to, sorted, more->v[i].key);

		if (known)
			known->revoked |= more->v[i].revoked;
		else
			to->v[to->n++] = more->v[i];
	}
	qsort(to->v, to->n, sizeof(*to->v), compare_keys);
	return 0;
}

const struct trust_key *
trust_keys_find(const struct trust_keys *k, const uint8_t key[SIGN_KEY_SIZE])
{
	return find(k, k->n, key);
}

void
trust_keys_done(struct trust_keys *k)
{
	free(k->v);
	*k = (struct trust_keys){ NULL, 0 };
}

enum trust_verdict
trust_judge(const struct trust *t, const uint8_t key[SIGN_KEY_SIZE], enum trust_kind kind,
	const char *namespace)
{
	const struct trust_key *k = trust_keys_find(&t->keys, key);

	if (!k || k->kind == TRUST_ADMIN)
		return TRUST_UNKNOWN;
	if (k->revoked)
		return TRUST_REVOKED;
	if (k->kind != kind)
		return TRUST_OTHER_KIND;
	if (*k->namespace && !streq(k->namespace, namespace))
		return TRUST_OTHER_PLACE;
	return kind == TRUST_WORKER || t->level == TRUST_PUBLISHERS ? TRUST_OK : TRUST_NOT_ENOUGH;
}

const char *
trust_verdict_text(enum trust_verdict v)
{
	static const char *const texts[TRUST_VERDICTS] = {
		[TRUST_OK] = "it is trusted",
		[TRUST_UNKNOWN] = "its key is not known",
		[TRUST_REVOKED] = "its key is revoked",
		[TRUST_OTHER_KIND] = "its key is one of another kind",
		[TRUST_OTHER_PLACE] = "its key is for another namespace",
		[TRUST_NOT_ENOUGH] = "a publisher made it, and trust = workers",
	};

	return (size_t)v < TRUST_VERDICTS ? texts[v] : texts[TRUST_UNKNOWN];
}
