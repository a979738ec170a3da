/* An admin changes the list of allowed keys, which is a file. Invariant: the file is the old list
 * or the new one, whole, whenever it is looked at; and the new one was read without a fault before.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/fs.h"
#include "coordinator/server_priv.h"
#include "keys/allowed_edit.h"

#define LIST_MAX (4u << 20) /* as keys/allowed.c reads it */
#define MODE_MASK 0777

struct list {
	char *path; /* of the file itself: a link to it stays one */
	mode_t mode;
	struct buf text;
};

static void
list_done(struct list *l)
{
	free(l->path);
	buf_done(&l->text);
}

static int
list_read(const struct server *s, struct list *l, char *why, size_t n)
{
	struct stat st;
	int r;

	if (s->local) {
		snprintf(why, n, "this coordinator listens on a Unix socket, and has no keys");
		return -EINVAL;
	}
	l->path = realpath(s->conf->coordinator.allowed_keys, NULL);
	r = l->path && stat(l->path, &st) == 0 ? 0 : -errno;
	if (r == 0) {
		l->mode = st.st_mode & MODE_MASK;
		r = fs_read_file(l->path, LIST_MAX, &l->text);
	}
	if (r < 0)
		snprintf(why, n, "%s cannot be read: %s", s->conf->coordinator.allowed_keys,
			strerror(-r));
	return r == -ENOENT || r == -EINVAL ? -EIO : r;
}

static int
list_write(const struct list *l, const struct buf *text, char *why, size_t n)
{
	int r = fs_write_atomic(l->path, text->p, text->n, l->mode);

	if (r < 0)
		snprintf(why, n,
			"%s cannot be written: %s; change it by hand as a user that may, it is "
			"read "
			"again within a second",
			l->path, strerror(-r));
	return r < 0 ? -EIO : 0;
}

static const char *
text_of(const struct list *l)
{
	return l->text.n ? (const char *)l->text.p : "";
}

/* What is wrong with the line that was sent, as far as the list's reader does not say so. */
static int
take_key(const Dray__AdminKey *m, struct allowed_key *k, char *why, size_t n)
{
	uint8_t raw[32];

	*k = (struct allowed_key){ .role = role_parse(m->role) };
	if (k->role == ROLE_NONE)
		snprintf(why, n, "\"%s\" is none of client, reader, publisher, worker, admin",
			CLEAN(m->role));
	else if (strlen(m->curve_public) != CURVE_KEY_SIZE - 1 ||
		 z85_decode32(m->curve_public, raw) < 0)
		snprintf(why, n, "a public key has 40 characters: curve-public of an identity");
	else if (*m->name && !keys_name_ok(m->name, strlen(m->name)))
		snprintf(why, n, "a name is 1 to 64 of A-Z a-z 0-9 . _ -");
	else if (*m->namespace_ && !keys_name_ok(m->namespace_, strlen(m->namespace_)))
		snprintf(why, n, "a namespace is 1 to 64 of A-Z a-z 0-9 . _ -");
	else if (m->sign_public.len != 0 && m->sign_public.len != SIGN_KEY_SIZE)
		snprintf(why, n, "a signing key has 32 bytes");
	else {
		memcpy(k->curve_public, m->curve_public, CURVE_KEY_SIZE);
		snprintf(k->name, sizeof(k->name), "%s", m->name);
		snprintf(k->namespace, sizeof(k->namespace), "%s", m->namespace_);
		k->signs = m->sign_public.len > 0;
		if (k->signs)
			memcpy(k->sign_public, m->sign_public.data, SIGN_KEY_SIZE);
		return 0;
	}
	return -EINVAL;
}

int
admin_key_add(struct server *s, const Dray__AdminKey *m, char *why, size_t n)
{
	_cleanup_(list_done) struct list l = { .text = BUF_INIT };
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	struct allowed_key k;
	struct keys_fault fault;
	int r = take_key(m, &k, why, n);

	if (r == 0)
		r = list_read(s, &l, why, n);
	if (r < 0)
		return r;
	r = allowed_list_add(text_of(&l), l.text.n, &k, &text, &fault);
	if (r < 0) {
		snprintf(why, n, "the list would be wrong in line %u: %s", fault.line,
			r == -EBADMSG ? fault.what : strerror(-r));
		return r;
	}
	r = list_write(&l, &text, why, n);
	if (r == 0)
		snprintf(why, n, "%s %s may connect as %s", k.curve_public, k.name,
			role_name(k.role));
	return r;
}

/* The key that is meant: itself, or the one that has that name. NULL: see why. */
static const char *
find_key(const struct server *s, const Dray__AdminKey *m, char *why, size_t n)
{
	const struct allowed_key *found = NULL;

	if (*m->curve_public)
		return m->curve_public;
	for (size_t i = 0; i < s->keys.n; i++) {
		const struct allowed_key *k = &s->keys.v[i];

		if (!*m->name || !streq(k->name, m->name) ||
			(*m->role && role_parse(m->role) != k->role) || (k->revoked && found))
			continue;
		if (found && !found->revoked) {
			snprintf(why, n,
				"%s is the name of several keys: say which (drayctl key list)",
				CLEAN(m->name));
			return NULL;
		}
		found = k;
	}
	if (!found)
		snprintf(why, n, "no key has the name \"%s\" (drayctl key list)", CLEAN(m->name));
	return found ? found->curve_public : NULL;
}

int
admin_key_revoke(struct server *s, const Dray__AdminKey *m, char *why, size_t n)
{
	_cleanup_(list_done) struct list l = { .text = BUF_INIT };
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	const char *curve;
	struct keys_fault fault = { .line = 0 };
	int r = list_read(s, &l, why, n);

	if (r < 0)
		return r;
	curve = find_key(s, m, why, n);
	if (!curve)
		return -ENOENT;
	r = allowed_list_revoke(text_of(&l), l.text.n, curve, &text, &fault);
	if (r == -EALREADY || r == -ENOENT) {
		snprintf(why, n, "the key %s is %s", CLEAN(curve),
			r == -ENOENT ? "not in the list (drayctl key list)" : "revoked already");
		return -ENOENT;
	}
	if (r < 0) {
		snprintf(why, n, "the list is wrong in line %u: %s", fault.line,
			r == -EBADMSG ? fault.what : strerror(-r));
		return r;
	}
	r = list_write(&l, &text, why, n);
	if (r == 0)
		snprintf(
			why, n, "%s may connect no more; what it had here has ended", CLEAN(curve));
	return r;
}
