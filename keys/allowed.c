/* Allowed-keys files: which key has which role, name and namespace.
 *
 * Invariant: a list that leaves this file has each key once, each signing key once, and each name
 * of a worker that is let in once, and is sorted by key. */
#include "config.h"

#include <errno.h>

#include "common/buf.h"
#include "common/fs.h"
#include "keys/identity.h"
#include "keys/key_line.h"

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

/* A key with the line it came from, so that a second one can be named. */
struct numbered_key {
	struct allowed_key key;
	unsigned line;
};

static bool
take_role(struct file_span word, struct allowed_key *ret, struct keys_fault *f)
{
	char shown[KEY_LINE_SHOWN];

	ret->role = role_of(word);
	if (ret->role == ROLE_NONE)
		key_line_fault(f,
			"\"%s\" is none of client, reader, publisher, worker, admin, with one of "
			"which a line begins",
			key_line_shown(word, shown));
	return ret->role != ROLE_NONE;
}

static bool
take_key(struct file_span word, struct allowed_key *ret, struct keys_fault *f)
{
	char shown[KEY_LINE_SHOWN];
	uint8_t raw[32];

	if (keys_take_curve(word, ret->curve_public, raw))
		return true;
	if (word.n == 0 || word.p[0] == '#')
		key_line_fault(f, "there is no public key behind the role");
	else
		key_line_fault(f,
			"\"%s\" is no public key: that is the 40 characters behind the role, "
			"the curve-public of an identity",
			key_line_shown(word, shown));
	return false;
}

static bool
parse_key_line(struct file_span line, struct allowed_key *ret, struct keys_fault *f)
{
	struct file_span role = keys_next_word(&line), key = keys_next_word(&line);
	struct key_words words;

	memset(ret, 0, sizeof(*ret));
	if (!take_role(role, ret, f) || !take_key(key, ret, f) ||
		!key_line_words(&line, true, &words, f))
		return false;
	memcpy(ret->name, words.name, sizeof(ret->name));
	memcpy(ret->namespace, words.namespace, sizeof(ret->namespace));
	ret->signs = words.signs;
	memcpy(ret->sign_public, words.sign, sizeof(ret->sign_public));
	ret->revoked = words.revoked;
	ret->until_s = words.until_s;
	return true;
}

static int
compare_numbered(const void *a, const void *b)
{
	const struct numbered_key *x = a, *y = b;
	int c = memcmp(x->key.curve_public, y->key.curve_public, CURVE_KEY_SIZE);

	return c != 0 ? c : (x->line > y->line) - (x->line < y->line);
}

/* The first of the lines that say again what is said before. */
static void
note_again(struct keys_fault *f, const struct numbered_key *first, const struct numbered_key *again,
	const char *what)
{
	if (f->line && f->line <= again->line)
		return;
	f->line = again->line;
	key_line_fault(f, "%s is in line %u already", what, first->line);
}

/* A key has one role. Sorts v. */
static void
find_repeated(struct numbered_key *v, size_t n, struct keys_fault *f)
{
	size_t i;

	if (n > 1)
		qsort(v, n, sizeof(*v), compare_numbered);
	for (i = 1; i < n; i++) {
		if (streq(v[i - 1].key.curve_public, v[i].key.curve_public))
			note_again(f, &v[i - 1], &v[i], "its public key");
	}
}

static int
compare_names(const void *a, const void *b)
{
	const struct numbered_key *x = a, *y = b;
	int c = strcmp(x->key.name, y->key.name);

	return c != 0 ? c : (x->line > y->line) - (x->line < y->line);
}

/* Two workers of one name. Leaves v in another order. */
static void
find_namesake(struct numbered_key *v, size_t n, struct keys_fault *f)
{
	const struct numbered_key *last = NULL;
	size_t i;

	if (n > 1)
		qsort(v, n, sizeof(*v), compare_names);
	for (i = 0; i < n; i++) {
		if (v[i].key.role != ROLE_WORKER || !v[i].key.name[0] || v[i].key.revoked ||
			v[i].key.until_s)
			continue;
		if (last && streq(last->key.name, v[i].key.name))
			note_again(f, last, &v[i], "the name of this worker");
		last = &v[i];
	}
}

static int
compare_signs(const void *a, const void *b)
{
	const struct numbered_key *x = a, *y = b;
	int c = memcmp(x->key.sign_public, y->key.sign_public, SIGN_KEY_SIZE);

	return c != 0 ? c : (x->line > y->line) - (x->line < y->line);
}

/* What a key signs is one node's. Leaves v in another order. */
static void
find_same_sign(struct numbered_key *v, size_t n, struct keys_fault *f)
{
	const struct numbered_key *last = NULL;

	if (n > 1)
		qsort(v, n, sizeof(*v), compare_signs);
	for (size_t i = 0; i < n; i++) {
		if (!v[i].key.signs)
			continue;
		if (last && memcmp(last->key.sign_public, v[i].key.sign_public, SIGN_KEY_SIZE) == 0)
			note_again(f, last, &v[i], "its sign=");
		last = &v[i];
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
			if (bigger == NULL)
				return -ENOMEM;
			*v = bigger;
		}
		(*v)[*n].line = number;
		if (!parse_key_line(line, &(*v)[*n].key, f)) {
			f->line = number;
			return 0;
		}
		++*n;
	}
	return 0;
}

int
allowed_keys_parse(
	const char *text, size_t n, struct allowed_keys *ret, struct keys_fault *ret_fault)
{
	_cleanup_(freep) struct numbered_key *v = NULL;
	struct keys_fault fault = { .line = 0 };
	size_t i, used = 0;
	int r = read_lines((struct file_span){ text, n }, &v, &used, &fault);

	*ret = (struct allowed_keys){ NULL, 0 };
	if (r == 0 && fault.line == 0) {
		find_namesake(v, used, &fault);
		find_same_sign(v, used, &fault);
		/* last, since it leaves them as allowed_keys_find wants them */
		find_repeated(v, used, &fault);
	}
	if (ret_fault != NULL)
		*ret_fault = fault;
	if (r < 0 || fault.line != 0)
		return r < 0 ? r : -EBADMSG;
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
allowed_keys_load(const char *path, struct allowed_keys *ret, struct keys_fault *ret_fault)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r;

	*ret = (struct allowed_keys){ NULL, 0 };
	if (ret_fault != NULL)
		*ret_fault = (struct keys_fault){ .line = 0 };
	r = fs_read_file(path, ALLOWED_FILE_MAX, &text);
	if (r < 0)
		return r;
	return allowed_keys_parse(text.n > 0 ? (const char *)text.p : "", text.n, ret, ret_fault);
}

static int
compare_key(const void *curve_public, const void *k)
{
	return strcmp(curve_public, ((const struct allowed_key *)k)->curve_public);
}

static const struct allowed_key *
find(const struct allowed_keys *a, const char *curve_public)
{
	return a->n ? bsearch(curve_public, a->v, a->n, sizeof(*a->v), compare_key) : NULL;
}

const struct allowed_key *
allowed_keys_find(const struct allowed_keys *a, const char *curve_public)
{
	const struct allowed_key *k = find(a, curve_public);

	return k && !k->revoked && !k->over ? k : NULL;
}

const char *
allowed_keys_newest(const struct allowed_keys *a, const char *curve_public)
{
	const struct allowed_key *old = find(a, curve_public);

	if (!old || !old->until_s || !old->name[0])
		return curve_public;
	for (size_t i = 0; i < a->n; i++) {
		const struct allowed_key *k = &a->v[i];

		if (!k->until_s && !k->revoked && k->role == old->role &&
			streq(k->name, old->name) && streq(k->namespace, old->namespace))
			return k->curve_public;
	}
	return curve_public;
}

bool
allowed_keys_is_revoked(const struct allowed_keys *a, const char *curve_public)
{
	const struct allowed_key *k = find(a, curve_public);

	return k && k->revoked;
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

bool
allowed_keys_end(struct allowed_keys *a, uint64_t now_s)
{
	bool any = false;

	for (size_t i = 0; i < a->n; i++) {
		struct allowed_key *k = &a->v[i];

		if (!k->until_s || k->over || now_s < k->until_s)
			continue;
		k->over = true;
		any |= !k->revoked;
	}
	return any;
}

void
allowed_keys_done(struct allowed_keys *a)
{
	free(a->v);
	*a = (struct allowed_keys){ NULL, 0 };
}
