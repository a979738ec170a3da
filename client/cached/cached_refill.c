/* What was compiled here is noted for an idle worker, that it compiles it again for the shared
 * cache; and is looked at once more before it goes there. */
#include "config.h"

#include <errno.h>

#include "cache/shared.h"
#include "client/cached/cached_priv.h"
#include "client/far/ask.h"
#include "client/far/refill.h"
#include "common/text/why.h"

/* Whether a worker could share what it makes of it, as far as that can be told here. Of what is
 * linked a worker shares another part. */
static bool
may_be_shared(struct cached *c, const struct result *res)
{
	static char *const none[] = { NULL };
	const struct strv *env = c->place.cargo_env;
	const struct shared_by by = {
		.kind = TRUST_WORKER, .namespace = "", .env = env->n ? env->v : none
	};
	_cleanup_(freep) char *why = NULL;

	return c->in.call->calls_linker || shared_may(&by, res, &why) == 0;
}

int
cached_sought(struct cached *c, struct digest *ret)
{
	int r = c->in.call->calls_linker ? cached_bundle_key(c) : 0;

	if (r == 0)
		*ret = c->in.call->calls_linker ? c->bundle_key.id : c->key.id;
	return r;
}

/* Any remap changes what is made, so that of a unit that is not mapped another place makes another
 * one. */
bool
cached_may_be_alike(struct cached *c, struct digest *ret_sought, struct digest *ret_called)
{
	return c->in.mapping && !c->in.conf->client.recache && far_has_farm(c->in.conf) &&
	       far_may_read(c->in.conf) && cached_sought(c, ret_sought) == 0 &&
	       cached_job_key(c, ret_called) == 0;
}

static int
make_call(struct cached *c, struct refill_call *ret)
{
	int r = cached_sought(c, &ret->sought);

	ret->umask = c->umask;
	ret->mapped = c->in.mapping != NULL;
	ret->cwd = strdup(c->cwd);
	if (r == 0)
		r = ret->cwd ? strv_add_all(&ret->argv, c->in.call->argv) : -ENOMEM;
	if (r == 0 && c->env.n)
		r = strv_add_all(&ret->env, c->env.v);
	return r < 0 ? r : refill_base(&c->env, &ret->base);
}

/* cargo's own calls have JSON; a build script's trials have not, and lie elsewhere. */
void
cached_note_refill(struct cached *c, const struct result *res)
{
	_cleanup_(refill_call_done) struct refill_call call = { .umask = 0 };
	const struct queue_item item = { c->key.id, c->kept };

	if (!refill_is_wanted(c->in.conf) || !c->in.call || !c->in.call->json || !res->from ||
		!streq(res->from, "local") || res->producer || res->status != 0 ||
		!may_be_shared(c, res) || make_call(c, &call) < 0)
		return;
	/* what is not noted is lost for nobody */
	(void)refill_note(c->in.conf, &item, &call);
}

static int
find_kept(struct cached *c, const struct digest *result, struct result *ret)
{
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	int r = cached_read_entry(c, &c->key.id, &e);

	for (size_t i = 0; r == 0 && i < e.n_results; i++) {
		struct digest d;

		r = digest_bytes(e.results[i].p, e.results[i].n, &d);
		if (r == 0 && digest_eq(&d, result))
			return entry_result(&e, i, ret);
	}
	return r < 0 ? r : -ENOENT;
}

int
cached_is_as_kept(
	struct cached *c, const struct digest *key, const struct digest *result, char **ret_why)
{
	_cleanup_(result_done) struct result res = RESULT_INIT;
	_cleanup_(freep) char *why = NULL;
	int r;

	*ret_why = NULL;
	if (!digest_eq(key, &c->key.id))
		return why_set(ret_why, -ESTALE, "what it is made of has changed");
	r = find_kept(c, result, &res);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return why_set(ret_why, -ESTALE, "its result is not in the cache any more");
	r = inputs_check(&res.inputs, &c->place, &why);
	return r < 0 ? why_set(ret_why, -ESTALE, "%s", why ? why : "an input has changed") : 0;
}
