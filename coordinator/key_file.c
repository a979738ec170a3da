/* The file of allowed keys: read at the start, on SIGHUP, and when it has changed.
 *
 * Invariant: the keys in use are those of one whole, valid file. A peer that a new file does not
 * allow any more is refused at once. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "common/fs.h"
#include "coordinator/server_priv.h"

static int
fail(char **ret_error, int err, const char *text, const char *path)
{
	if (asprintf(ret_error, "%s: %s: %s.", path, text, strerror(-err)) < 0)
		*ret_error = NULL;
	return err;
}

char *
judged_path(const struct server *s)
{
	const char *dir = s->conf->coordinator.cache_dir;

	return dir ? path_join(dir, JUDGED_FILE) : NULL;
}

/* Reads what earlier samples have shown, and applies it to these keys. */
static void
apply_judged(struct server *s, struct allowed_keys *keys)
{
	_cleanup_(freep) char *path = judged_path(s);
	struct judged j = JUDGED_INIT;
	int r = path ? judged_load(path, &j) : 0;

	if (r < 0)
		log_error("%s cannot be read: %s", path, strerror(-r));
	else if (s->judged_unsaved)
		judged_done(&j);
	else {
		judged_done(&s->judged);
		s->judged = j;
	}
	judged_expire(&s->judged, (uint64_t)time(NULL));
	judged_apply(&s->judged, keys);
}

int
keys_load(struct server *s, char **ret_error)
{
	const char *path = s->conf->coordinator.allowed_keys;
	struct allowed_keys keys = { NULL, 0 };
	struct stat st;
	struct keys_fault fault;
	int r;

	/* The stat comes before the read, so that a later change is seen at the next look. */
	if (stat(path, &st) < 0)
		return fail(ret_error, -errno, "cannot read the allowed keys", path);
	s->keys_stat = st;
	r = allowed_keys_load(path, &keys, &fault);
	if (r == -EBADMSG) {
		if (asprintf(ret_error,
			    "%s: line %u: %s. A line is: ROLE PUBLIC-KEY [NAME] "
			    "[namespace=NAMESPACE] [sign=KEY] [until=SECONDS] [revoked].",
			    path, fault.line, fault.what) < 0)
			*ret_error = NULL;
		return r;
	}
	if (r < 0)
		return fail(ret_error, r, "cannot read the allowed keys", path);
	(void)allowed_keys_end(&keys, tokens_now(s));
	r = oidc_apply(s, &keys);
	if (r < 0) {
		allowed_keys_done(&keys);
		return fail(ret_error, r, "cannot keep the allowed keys", path);
	}
	apply_judged(s, &keys);
	allowed_keys_done(&s->keys);
	s->keys = keys;
	return 0;
}

/* Refuses peers whose role was changed or removed. */
static void
drop_disallowed(struct server *s)
{
	struct table_node *node, *next;

	for (node = table_walk(&s->peers, NULL); node; node = next) {
		struct peer *p = table_entry(node, struct peer, by_id);

		next = table_walk(&s->peers, node);
		if (p->state != ADMIT_DROPPED && p->wire.curve[0] &&
			peer_key_role(s, &p->wire) != p->role)
			server_refuse(s, &p->wire, p, DRAY__VERDICT__VERDICT_NOT_ALLOWED,
				"The key %s is no longer allowed as %s.", p->wire.curve,
				role_name(p->role));
	}
}

void
keys_changed(struct server *s)
{
	drop_disallowed(s);
	vouch_changed(s);
}

void
keys_reload(struct server *s)
{
	_cleanup_(freep) char *error = NULL;
	int r;

	if (s->local)
		return;
	r = keys_load(s, &error);
	if (r < 0) {
		/* a file that cannot be read is looked at each second */
		if (r != -EBADMSG)
			log_throttled(&s->bad_keys, 1, "the keys in use stay as they were: %s",
				error ? error : "out of memory");
		else
			log_error("the keys in use stay as they were: %s",
				error ? error : "out of memory");
		/* what has ended of keys that are in no list has ended all the same */
		if (oidc_update(s))
			keys_changed(s);
		/* a file that could not be read is looked at again; one that is wrong when it is
		 * another */
		if (r != -EBADMSG)
			memset(&s->keys_stat, 0, sizeof(s->keys_stat));
		return;
	}
	log_info("allowed keys read again: file=%s keys=%zu", s->conf->coordinator.allowed_keys,
		s->keys.n);
	keys_changed(s);
}

void
keys_check(struct server *s)
{
	struct stat st;

	/* A file that is missing for a moment is being replaced. */
	if (s->local || stat(s->conf->coordinator.allowed_keys, &st) < 0)
		return;
	if (!fs_same_file(&st, &s->keys_stat))
		keys_reload(s);
	else if (allowed_keys_end(&s->keys, tokens_now(s)))
		keys_changed(s);
}
