/* Which runs of a CI may join, and which have. Invariant: what is in memory of those that have is
 * in the file. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/fs.h"
#include "common/text/why.h"
#include "coordinator/oidc_priv.h"

#define MS_PER_S 1000

void
oidc_guest_done(struct oidc_guest *g)
{
	free(g->token);
	*g = (struct oidc_guest){ .token = NULL };
}

uint64_t
oidc_now(const struct server *s)
{
	return server_time(s) / MS_PER_S;
}

/* ---- rules and passes */

static int
load_rules(const char *path, struct oidc *o, char **ret_error)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT;
	_cleanup_(freep) char *why = NULL;
	int r = fs_read_file(path, OIDC_FILE_MAX, &text);

	if (r < 0)
		return why_set(
			ret_error, r, "%s: cannot read who may join: %s.", path, strerror(-r));
	r = oidc_rules_parse(text.n ? (const char *)text.p : "", text.n, &o->rules, &why);
	return r < 0 ? why_set(ret_error, r, "%s: %s.", path, why ? why : strerror(-r)) : 0;
}

static void
oidc_free(struct oidc *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < OIDC_WAITING_MAX; i++)
		oidc_guest_done(&o->waiting[i]);
	oidc_sets_free(o->sets);
	oidc_rules_done(&o->rules);
	passes_done(&o->passes);
	free(o);
}

static void
oidc_freep(struct oidc **o)
{
	oidc_free(*o);
	*o = NULL;
}

static int
make(const struct conf *conf, struct oidc **ret, char **ret_error)
{
	_cleanup_(oidc_freep) struct oidc *o = calloc(1, sizeof(*o));
	_cleanup_(freep) char *why = NULL;
	int r = o ? load_rules(conf->coordinator.oidc, o, ret_error) : -ENOMEM;

	if (r < 0)
		return r;
	r = oidc_sets_new(&o->rules, conf->coordinator.oidc_ca, &o->sets, &why);
	if (r < 0)
		return why_set(ret_error, r, "[coordinator] oidc: %s.", why ? why : strerror(-r));
	*ret = steal_ptr(o);
	return 0;
}

int
oidc_start(struct server *s, char **ret_error)
{
	if (!s->conf->coordinator.oidc)
		return 0;
	if (s->local)
		return why_set(ret_error, -EINVAL,
			"[coordinator] oidc is set, but this coordinator listens on a Unix socket, "
			"and "
			"has no keys.");
	if (!s->conf->coordinator.cache_dir)
		return why_set(ret_error, -EINVAL,
			"[coordinator] oidc is set, and cache_dir is not: who has joined is kept "
			"there.");
	return make(s->conf, &s->oidc, ret_error);
}

int
oidc_load(struct server *s)
{
	return s->oidc ? passes_load(s->conf->coordinator.cache_dir, &s->oidc->passes) : 0;
}

void
oidc_end(struct server *s)
{
	oidc_free(steal_ptr(s->oidc));
}

bool
oidc_open(const struct server *s)
{
	return s->oidc != NULL;
}

/* The passes stay; what waits comes again by itself. */
void
oidc_reload(struct server *s)
{
	_cleanup_(freep) char *error = NULL;
	struct oidc *o = NULL;

	if (!s->oidc)
		return;
	if (make(s->conf, &o, &error) < 0) {
		log_error("who may join stays as it was: %s", error ? error : "out of memory");
		return;
	}
	for (size_t i = 0; i < OIDC_WAITING_MAX; i++) {
		o->waiting[i] = s->oidc->waiting[i];
		s->oidc->waiting[i] = (struct oidc_guest){ .token = NULL };
	}
	o->passes = s->oidc->passes;
	s->oidc->passes = (struct passes)PASSES_INIT;
	o->looked_s = s->oidc->looked_s;
	oidc_free(s->oidc);
	s->oidc = o;
}

int
oidc_apply(const struct server *s, struct allowed_keys *keys)
{
	return s->oidc ? passes_apply(&s->oidc->passes, oidc_now(s), keys) : 0;
}

bool
oidc_update(struct server *s)
{
	return s->oidc && passes_update(&s->oidc->passes, oidc_now(s), &s->keys);
}

int
oidc_save(struct server *s)
{
	return passes_save(s->conf->coordinator.cache_dir, &s->oidc->passes);
}

bool
oidc_has(const struct server *s, const char *curve_public)
{
	return s->oidc && passes_find(&s->oidc->passes, curve_public);
}

int
oidc_revoke(struct server *s, const char *curve_public, char *why, size_t n)
{
	struct pass *k = s->oidc ? passes_find(&s->oidc->passes, curve_public) : NULL;

	int r;

	if (!k)
		return -ENOENT;
	k->key.revoked = true;
	r = oidc_save(s);
	if (r < 0)
		snprintf(why, n,
			"the key is let in no more, but would be after a restart: %s/%s cannot be "
			"written: %s",
			s->conf->coordinator.cache_dir, PASSES_FILE, strerror(-r));
	return r < 0 ? -EIO : 0;
}

int
oidc_fd(const struct server *s)
{
	return s->oidc && oidc_sets_busy(s->oidc->sets) ? oidc_sets_fd(s->oidc->sets) : -1;
}
