/* What a node has of a farm on its own disk. */
#include "config.h"

#include "join/settle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/conf/edit.h"
#include "common/conf/coordinators.h"
#include "common/fs.h"
#include "common/text/why.h"
#include "keys/join_word.h"

#define FILE_MAX (1u << 20) /* as common/conf/conf.c reads it */
#define TRIES 4
#define MODE_MASK 0777
#define SHORT_SIZE 5 /* of a fingerprint, with NUL */

void
settle_done(struct settle *s)
{
	free(s->config);
	free(s->dir);
	free(s->identity_path);
	free(s->coordinator_path);
	free(s->endpoints);
	free(s->keys);
	coordinators_done(&s->all);
}

static bool
is_worker(const struct settle *s)
{
	return streq(s->section, "worker");
}

static const char *
set_identity(const struct settle *s)
{
	return is_worker(s) ? s->conf->worker.identity : s->conf->client.identity;
}

static const char *
set_coordinator_key(const struct settle *s)
{
	return is_worker(s) ? s->conf->worker.coordinator_key : s->conf->client.coordinator_key;
}

static const char *
set_coordinator(const struct settle *s)
{
	return is_worker(s) ? s->conf->worker.coordinator : s->conf->client.coordinator;
}

/* The user's own file; a worker of root's has the machine's. */
static int
find_config(struct settle *s)
{
	_cleanup_(strv_done) struct strv files = STRV_INIT;
	int r = conf_files(&files);

	if (r < 0 || files.n == 0)
		return r < 0 ? r : -ENOENT;
	s->config = strdup(is_worker(s) && geteuid() == 0 ? files.v[0] : files.v[files.n - 1]);
	return s->config ? 0 : -ENOMEM;
}

/* A link stays one: what it leads to is changed. */
static int
follow_link(struct settle *s)
{
	char *real = realpath(s->config, NULL);

	if (!real)
		return errno == ENOENT ? 0 : -errno;
	free(s->config);
	s->config = real;
	return 0;
}

int
settle_begin(struct settle *s, char **ret_why)
{
	const char *set = set_identity(s);
	int r = find_config(s);

	if (r == 0)
		s->dir = path_dirname(s->config);
	if (r == 0)
		r = s->dir ? follow_link(s) : -ENOMEM;
	if (r < 0)
		return why_set(ret_why, r, "%s: %s",
			s->config ? s->config : "there is no place for a configuration file",
			strerror(-r));
	if (s->config[0] != '/')
		return why_set(ret_why, -EINVAL, "%s: name it by its whole path", s->config);
	s->identity_path = s->given_identity ? strdup(s->given_identity)
			   : set && *set     ? strdup(set)
					     : path_join(s->dir, s->identity);
	return s->identity_path ? 0 : why_set(ret_why, -ENOMEM, "out of memory");
}

/* ---- the identity */

static int
make_identity(struct settle *s, const char *name, struct identity *ret, char **ret_why)
{
	int r = fs_mkdir_parent(s->identity_path, is_worker(s) && geteuid() == 0 ? 0755 : 0700);

	if (r == 0)
		r = identity_generate(name, ret);
	if (r == -EINVAL)
		return why_set(ret_why, r,
			"a name is 1 to 64 letters, digits, '.', '_' or '-', not \"%s\"", name);
	if (r == 0)
		r = identity_save(ret, s->identity_path);
	s->made = r == 0;
	return r < 0 ? why_set(ret_why, r, "%s: cannot make an identity: %s", s->identity_path,
			       strerror(-r))
		     : 0;
}

int
settle_identity(struct settle *s, const char *name, struct identity *ret, char **ret_why)
{
	unsigned line = 0;
	int r = identity_load(s->identity_path, ret, &line);

	if (r == -ENOENT)
		return make_identity(s, name, ret, ret_why);
	if (r == -EPERM)
		return why_set(ret_why, r, "%s: others can read these secret keys (chmod 600)",
			s->identity_path);
	if (r == -EBADMSG)
		return why_set(ret_why, r, "%s: line %u: this is not an identity file",
			s->identity_path, line);
	if (r < 0)
		return why_set(ret_why, r, "%s: %s", s->identity_path, strerror(-r));
	if (!ret->has_secret)
		return why_set(ret_why, -EINVAL,
			"%s: that is the public file; the one with the secrets is needed",
			s->identity_path);
	return 0;
}

int
settle_name(struct settle *s, struct identity *id, const char *name, char **ret_why)
{
	int r;

	if (!*name || streq(id->name, name) || (!s->made && !is_worker(s)))
		return 0;
	r = identity_rename(s->identity_path, name);
	if (r < 0)
		return why_set(ret_why, r,
			"%s: cannot write the name %s, by which the farm knows it: %s (dray-worker "
			"--name %s goes by it)",
			s->identity_path, name, strerror(-r), name);
	snprintf(id->name, sizeof(id->name), "%s", name);
	return 0;
}

/* ---- the coordinator's key */

static bool
holds(const char *path, const struct identity *coordinator)
{
	_cleanup_(identity_done) struct identity id = { .has_secret = false };

	return path && *path && identity_load(path, &id, NULL) == 0 &&
	       streq(id.curve_public, coordinator->curve_public) &&
	       memcmp(id.sign_public, coordinator->sign_public, SIGN_KEY_SIZE) == 0;
}

/* Beside the configuration; where another coordinator's is there already, by its fingerprint. */
static char *
place_for(const struct settle *s, const struct identity *coordinator)
{
	_cleanup_(freep) char *usual = path_join(s->dir, "coordinator.pub");
	char finger[KEYS_FINGERPRINT_SIZE], name[64];

	if (!usual || !fs_exists(usual) || holds(usual, coordinator))
		return steal_ptr(usual);
	keys_fingerprint(coordinator->curve_public, finger);
	snprintf(name, sizeof(name), "coordinator-%.4s%.4s.pub", finger, finger + SHORT_SIZE);
	return path_join(s->dir, name);
}

int
settle_coordinator(struct settle *s, const struct identity *coordinator, char **ret_why)
{
	int r = coordinators_parse(
		s->section, set_coordinator(s), set_coordinator_key(s), &s->all, ret_why);

	if (r < 0)
		return r;
	/* in the file that has it already, or in one of its own */
	for (size_t i = 0; !s->coordinator_path && i < s->all.n; i++)
		if (holds(s->all.v[i].key, coordinator))
			r = str_copy(s->all.v[i].key, &s->coordinator_path);
	if (!s->coordinator_path && r == 0)
		s->coordinator_path = place_for(s, coordinator);
	if (!s->coordinator_path)
		return why_set(ret_why, -ENOMEM, "out of memory");
	if (holds(s->coordinator_path, coordinator))
		return 0;
	r = fs_mkdir_parent(s->coordinator_path, 0755);
	if (r == 0)
		r = identity_save_public(coordinator, s->coordinator_path);
	return r < 0 ? why_set(ret_why, r, "%s: cannot write the coordinator's key: %s",
			       s->coordinator_path, strerror(-r))
		     : 0;
}

/* ---- the configuration */

static void
say_line(struct settle_line *l, const char *key, const char *value, const char *was)
{
	*l = (struct settle_line){ .key = key, .value = value };
	snprintf(l->was, sizeof(l->was), "%s", was ? was : "");
	l->changed = !was || !streq(was, value);
}

static int
add_item(struct buf *b, const char *item)
{
	return buf_addf(b, "%s%s", b->n ? ", " : "", item);
}

/* Whether that one of the configuration is the coordinator that was joined: at the same place, or
 * with the same key. */
static bool
is_own(const struct settle *s, const struct coordinator_at *c, const char *endpoint)
{
	return streq(c->endpoint, endpoint) || (c->key && streq(c->key, s->coordinator_path));
}

/* One on TCP whose key is not named is of no use to anybody. */
static bool
is_usable(const struct coordinator_at *c)
{
	return c->key || starts_with(c->endpoint, "ipc://");
}

/* Its key's file stands for none, or as many are named as there are coordinators. */
static int
add_both(struct buf *endpoints, const char *endpoint, struct buf *keys, const char *key)
{
	int r = add_item(endpoints, endpoint);

	return r < 0 ? r : add_item(keys, key);
}

/* The lists with this one in them: at its own place, or behind the others. -ENOSPC: there are too
 * many. */
static int
join_lists(struct settle *s, const char *endpoint)
{
	_cleanup_(buf_done) struct buf endpoints = BUF_INIT, keys = BUF_INIT;
	bool there = false;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && !s->only && i < s->all.n; i++) {
		const struct coordinator_at *c = &s->all.v[i];
		bool own = is_own(s, c, endpoint);

		if ((own && there) || (!own && !is_usable(c)))
			continue;
		there |= own;
		n++;
		r = add_both(&endpoints, own ? endpoint : c->endpoint, &keys,
			own || !c->key ? s->coordinator_path : c->key);
	}
	if (r == 0 && !there)
		r = n < COORDINATORS_MAX
			    ? add_both(&endpoints, endpoint, &keys, s->coordinator_path)
			    : -ENOSPC;
	if (r < 0)
		return r;
	s->endpoints = (char *)endpoints.p;
	s->keys = (char *)keys.p;
	endpoints = keys = (struct buf)BUF_INIT;
	return 0;
}

int
settle_lines(struct settle *s, const char *endpoint, struct settle_line ret[SETTLE_LINES],
	char **ret_why)
{
	int r = join_lists(s, endpoint);

	if (r < 0)
		return why_set(ret_why, r, "%s: [%s] coordinator: %s", s->config, s->section,
			r == -ENOSPC ? "it names as many as it may; --only names this one alone"
				     : strerror(-r));
	say_line(&ret[0], "coordinator", s->endpoints, set_coordinator(s));
	say_line(&ret[1], "coordinator_key", s->keys, set_coordinator_key(s));
	say_line(&ret[2], "identity", s->identity_path, set_identity(s));
	return 0;
}

int
settle_lines_found(struct settle *s, const char *endpoint, struct settle_line ret[SETTLE_LINES],
	char **ret_why)
{
	_cleanup_(strv_done) struct strv files = STRV_INIT;
	_cleanup_(buf_done) struct buf keys = BUF_INIT;
	const char *set = set_coordinator(s);
	int r = 0;

	if (set && *set && !streq(set, COORDINATORS_AUTO))
		return settle_lines(s, endpoint, ret, ret_why);
	if (set && *set)
		r = coordinators_split(set_coordinator_key(s), true, &files);
	if (r == 0 && !strv_has(&files, s->coordinator_path))
		r = files.n < COORDINATORS_MAX ? strv_add(&files, s->coordinator_path) : -ENOSPC;
	for (size_t i = 0; r == 0 && i < files.n; i++)
		r = buf_addf(&keys, "%s%s", i ? ", " : "", files.v[i]);
	if (r == 0)
		r = str_copy(COORDINATORS_AUTO, &s->endpoints);
	if (r < 0)
		return why_set(ret_why, r, "%s: [%s] coordinator_key: %s", s->config, s->section,
			strerror(-r));
	s->keys = (char *)steal_ptr(keys.p);
	say_line(&ret[0], "coordinator", s->endpoints, set);
	say_line(&ret[1], "coordinator_key", s->keys, set_coordinator_key(s));
	say_line(&ret[2], "identity", s->identity_path, set_identity(s));
	return 0;
}

struct text {
	struct stat st; /* of the file; st_mode 0: there is none */
	struct buf b;
};

static int
read_config(const struct settle *s, struct text *t)
{
	if (stat(s->config, &t->st) < 0) {
		t->st.st_mode = 0;
		return errno == ENOENT ? 0 : -errno;
	}
	return fs_read_file(s->config, FILE_MAX, &t->b);
}

static int
edit(const struct settle *s, const struct settle_line *lines, struct buf *b)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < SETTLE_LINES; i++) {
		_cleanup_(buf_done) struct buf next = BUF_INIT;
		struct buf before = *b;

		if (!lines[i].changed)
			continue;
		r = conf_edit_set(b->n ? (const char *)b->p : "", b->n, s->section, lines[i].key,
			lines[i].value, &next);
		if (r < 0)
			break;
		*b = next;
		next = before;
	}
	return r;
}

/* What is written is read before. */
static int
check(const struct settle *s, const struct buf *b, char **ret_why)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;

	return conf_parse(b->n ? (const char *)b->p : "", b->n, s->config, &conf, ret_why);
}

static int
write_once(const struct settle *s, const struct settle_line *lines, char **ret_why)
{
	struct text t = { .b = BUF_INIT };
	mode_t mode = is_worker(s) ? 0644 : 0600;
	int r = read_config(s, &t);

	if (r == 0)
		r = edit(s, lines, &t.b);
	if (r < 0)
		(void)why_set(ret_why, r, "%s: %s", s->config, strerror(-r));
	if (r == 0)
		r = check(s, &t.b, ret_why);
	if (r == 0) {
		bool there = t.st.st_mode != 0;

		r = fs_mkdir_parent(s->config, 0755);
		if (r == 0)
			r = fs_replace(s->config, t.b.p, t.b.n,
				there ? t.st.st_mode & MODE_MASK : mode, there ? &t.st : NULL);
		if (r < 0 && r != -ESTALE)
			(void)why_set(
				ret_why, r, "%s: cannot be written: %s", s->config, strerror(-r));
	}
	buf_done(&t.b);
	return r;
}

int
settle_write(const struct settle *s, struct settle_line lines[SETTLE_LINES], char **ret_why)
{
	bool any = false;
	int r = -ESTALE;

	for (size_t i = 0; i < SETTLE_LINES; i++)
		any |= lines[i].changed;
	for (unsigned i = 0; any && i < TRIES && r == -ESTALE; i++)
		r = write_once(s, lines, ret_why);
	if (any && r == -ESTALE)
		return why_set(
			ret_why, r, "%s: somebody else is changing it; try again", s->config);
	return any ? r : 0;
}
