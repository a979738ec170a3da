/* Several coordinators, for a process that asks for one unit: the first that answers. (The resident
 * half has hub_ways.c.) */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "client/dispatch/farm_priv.h"
#include "client/wrap/farm_state.h"
#include "common/conf/coordinators.h"
#include "common/text/why.h"

static int
all_of(const struct conf *conf, struct coordinators *ret, char **ret_why)
{
	return coordinators_parse(
		"client", conf->client.coordinator, conf->client.coordinator_key, ret, ret_why);
}

bool
farm_has_several(const struct conf *conf)
{
	_cleanup_(strv_done) struct strv all = STRV_INIT;

	return coordinators_split(conf->client.coordinator, false, &all) == 0 && all.n > 1;
}

static int
try_one(void *zctx, const struct conf *conf, size_t i, uint64_t wait_ms, struct tether *t,
	struct farm **ret)
{
	_cleanup_(farm_closep) struct farm *f = NULL;
	_cleanup_(freep) char *why = NULL;
	int r = farm_open_at(zctx, conf, i, &f, &why);

	if (r < 0)
		return r;
	f->connect_ms = wait_ms;
	free(steal_ptr(why));
	r = farm_greet(f, t, &why);
	if (r < 0)
		return tether_cut(t) ? -ECANCELED : r;
	f->connect_ms = conf->client.connect_ms;
	*ret = steal_ptr(f);
	return 0;
}

/* First those that are not known to be away, then these. */
static size_t
put_in_order(const struct conf *conf, const struct coordinators *all, size_t order[])
{
	size_t n = 0;

	for (int down = 0; down < 2; down++)
		for (size_t i = 0; i < all->n; i++)
			if (farm_state_is_down(conf->client.cache_dir, all->v[i].endpoint,
				    conf->client.retry_s) == (down == 1))
				order[n++] = i;
	return MIN2(n, all->n);
}

int
farm_open_first(
	void *zctx, const struct conf *conf, struct tether *t, struct farm **ret, char **ret_why)
{
	_cleanup_(coordinators_done) struct coordinators all = COORDINATORS_INIT;
	size_t order[2 * COORDINATORS_MAX], n;
	int r = all_of(conf, &all, ret_why);

	if (r < 0)
		return r;
	n = put_in_order(conf, &all, order);
	for (size_t k = 0; k < n; k++) {
		r = try_one(zctx, conf, order[k], conf->client.connect_ms / n, t, ret);
		if (r == -ECANCELED)
			return r;
		farm_state_set(conf->client.cache_dir, all.v[order[k]].endpoint, r == 0);
		if (r == 0)
			return 0;
	}
	return why_set(
		ret_why, -EHOSTUNREACH, "farm unreachable (none of %zu coordinators answers)", n);
}
