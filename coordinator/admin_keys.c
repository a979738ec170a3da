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

#define TRIES 4 /* while somebody else writes to it at the same time */

struct list {
	char *path; /* of the file itself: a link to it stays one */
	struct stat st;
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
	int r;

	if (s->local) {
		snprintf(why, n, "this coordinator listens on a Unix socket, and has no keys");
		return -EINVAL;
	}
	l->path = realpath(s->conf->coordinator.allowed_keys, NULL);
	/* the stat comes before the read, so that a later change is seen */
	r = l->path && stat(l->path, &l->st) == 0 ? 0 : -errno;
	if (r == 0)
		r = fs_read_file(l->path, LIST_MAX, &l->text);
	if (r < 0)
		snprintf(why, n, "%s cannot be read: %s", s->conf->coordinator.allowed_keys,
			strerror(-r));
	return r == -ENOENT || r == -EINVAL ? -EIO : r;
}

/* -ESTALE: it is another one than was read. */
static int
list_write(const struct list *l, const struct buf *text, char *why, size_t n)
{
	int r = fs_replace(l->path, text->p, text->n, l->st.st_mode & MODE_MASK, &l->st);

	if (r == -ESTALE)
		snprintf(why, n, "%s is being changed by somebody else; try again", l->path);
	else if (r < 0)
		snprintf(why, n,
			"%s cannot be written: %s; change it by hand as a user that may, it is "
			"read again within a second",
			l->path, strerror(-r));
	return r < 0 && r != -ESTALE ? -EIO : r;
}

static const char *
text_of(const struct list *l)
{
	return l->text.n ? (const char *)l->text.p : "";
}

/* The list as it is to be. 0; or an error, and why. */
typedef int (*change_fn)(
	const struct list *l, const void *arg, struct buf *ret, char *why, size_t n);

static int
change_once(struct server *s, change_fn change, const void *arg, char *why, size_t n)
{
	_cleanup_(list_done) struct list l = { .text = BUF_INIT };
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	int r = list_read(s, &l, why, n);

	if (r == 0)
		r = change(&l, arg, &text, why, n);
	return r < 0 ? r : list_write(&l, &text, why, n);
}

static int
change_list(struct server *s, change_fn change, const void *arg, char *why, size_t n)
{
	int r = -ESTALE;

	for (unsigned i = 0; i < TRIES && r == -ESTALE; i++)
		r = change_once(s, change, arg, why, n);
	return r == -ESTALE ? -EIO : r;
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

static int
with_line(const struct list *l, const void *arg, struct buf *ret, char *why, size_t n)
{
	struct keys_fault fault;
	int r = allowed_list_add(text_of(l), l->text.n, arg, ret, &fault);

	if (r < 0)
		snprintf(why, n, "the list would be wrong in line %u: %s", fault.line,
			r == -EBADMSG ? fault.what : strerror(-r));
	return r;
}

int
key_list_add(struct server *s, const struct allowed_key *k, char *why, size_t n)
{
	return change_list(s, with_line, k, why, n);
}

static int
with_rotated(const struct list *l, const void *arg, struct buf *ret, char *why, size_t n)
{
	const struct key_change *c = arg;
	struct keys_fault fault = { .line = 0 };
	int r = allowed_list_rotate(text_of(l), l->text.n, c->old_curve, c->fresh, c->now_s,
		c->until_s, c->revoked, ret, &fault);

	if (r == -EBADMSG)
		snprintf(why, n, "the list would be wrong in line %u: %s", fault.line, fault.what);
	else if (r < 0)
		snprintf(why, n, "its line is another one by now");
	return r == -EALREADY || r == -ENOENT ? -EBADMSG : r;
}

int
key_list_rotate(struct server *s, const struct key_change *c, char *why, size_t n)
{
	return change_list(s, with_rotated, c, why, n);
}

int
admin_key_add(struct server *s, const Dray__AdminKey *m, char *why, size_t n)
{
	struct allowed_key k;
	int r = take_key(m, &k, why, n);

	if (r == 0)
		r = key_list_add(s, &k, why, n);
	if (r == 0)
		snprintf(why, n, "%s %s may connect as %s", k.curve_public, k.name,
			role_name(k.role));
	return r;
}

/* The key that is meant: itself, or the one that has that name; of one that has come in the place
 * of others (until_s) the last. NULL: see why. */
static const char *
find_key(const struct server *s, const Dray__AdminKey *m, char *why, size_t n)
{
	const struct allowed_key *found = NULL;

	if (*m->curve_public)
		return m->curve_public;
	for (size_t i = 0; i < s->keys.n; i++) {
		const struct allowed_key *k = &s->keys.v[i];

		if (!*m->name || !streq(k->name, m->name) ||
			(*m->role && role_parse(m->role) != k->role) ||
			((k->revoked || k->until_s) && found))
			continue;
		if (found && !found->revoked && !found->until_s) {
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

/* Whether without that key no admin could come but by the socket. */
static bool
is_last_admin(const struct server *s, const char *curve)
{
	const struct allowed_key *own = allowed_keys_find(&s->keys, curve);

	if (!own || own->role != ROLE_ADMIN)
		return false;
	for (size_t i = 0; i < s->keys.n; i++) {
		const struct allowed_key *k = &s->keys.v[i];

		if (k != own && k->role == ROLE_ADMIN && !k->revoked && !k->over && !k->until_s)
			return false;
	}
	return true;
}

static int
with_revoked(const struct list *l, const void *arg, struct buf *ret, char *why, size_t n)
{
	const char *curve = arg;
	struct keys_fault fault = { .line = 0 };
	int r = allowed_list_revoke(text_of(l), l->text.n, curve, ret, &fault);

	if (r == -EALREADY || r == -ENOENT)
		snprintf(why, n, "the key %s is %s", CLEAN(curve),
			r == -ENOENT ? "not in the list (drayctl key list)" : "revoked already");
	else if (r < 0)
		snprintf(why, n, "the list is wrong in line %u: %s", fault.line,
			r == -EBADMSG ? fault.what : strerror(-r));
	return r == -EALREADY ? -ENOENT : r;
}

/* A key that has joined as a run of a CI is in no list: a line says that it is revoked, so that it
 * does not come back by the next run's token. */
static int
bar_run(struct server *s, const char *curve, char *why, size_t n)
{
	for (size_t i = 0; i < s->keys.n; i++) {
		struct allowed_key line = s->keys.v[i];

		line.revoked = true;
		if (streq(line.curve_public, curve))
			return key_list_add(s, &line, why, n);
	}
	return 0;
}

/* Its node's keys before it, which are not named by themselves. */
static void
revoke_earlier(struct server *s, const char *curve)
{
	const struct allowed_key *k = NULL;
	char why[300];

	for (size_t i = 0; i < s->keys.n && !k; i++)
		if (streq(s->keys.v[i].curve_public, curve))
			k = &s->keys.v[i];
	for (size_t i = 0; k && i < s->keys.n; i++) {
		const struct allowed_key *old = &s->keys.v[i];

		if (old->until_s && !old->revoked && old->role == k->role && *k->name &&
			streq(old->name, k->name) &&
			change_list(s, with_revoked, old->curve_public, why, sizeof(why)) < 0)
			log_error("an earlier key of %s is not revoked: %s", k->name, why);
	}
}

int
key_list_revoke(struct server *s, const char *curve, char *why, size_t n)
{
	return change_list(s, with_revoked, curve, why, n);
}

int
admin_key_revoke(struct server *s, const struct wire_peer *from, const Dray__AdminKey *m, char *why,
	size_t n)
{
	char curve[CURVE_KEY_SIZE];
	const char *meant = s->local ? "" : find_key(s, m, why, n);
	int r, run;

	if (!meant)
		return -ENOENT;
	snprintf(curve, sizeof(curve), "%s", meant); /* it may lie in the list */
	if (*from->curve && is_last_admin(s, curve)) {
		snprintf(why, n,
			"it is the last admin's key: let another one in first, or revoke it on the "
			"coordinator's machine, by its socket");
		return -EINVAL;
	}
	run = oidc_revoke(s, curve, why, n);
	r = change_list(s, with_revoked, curve, why, n);
	if (r == -ENOENT && run != -ENOENT)
		r = bar_run(s, curve, why, n);
	if (r == 0 && !*m->curve_public)
		revoke_earlier(s, curve);
	/* whatever became of the list: as long as its pass is known it is let in no more */
	if (r < 0 && run != -ENOENT)
		keys_reload(s);
	if (r == 0)
		snprintf(
			why, n, "%s may connect no more; what it had here has ended", CLEAN(curve));
	return r;
}
