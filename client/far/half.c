/* What a farm half has for the stores, from its begin to its end. */
#include "config.h"

#include <errno.h>

#include "client/far/half_priv.h"
#include "common/fs.h"
#include "common/text/why.h"

int
far_half_open(const struct conf *conf, struct memo_stay *memo, const struct far_farm *farm,
	struct far_half **ret)
{
	_cleanup_(far_half_closep) struct far_half *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->conf = conf;
	h->farm = farm;
	h->tmp = path_join(conf->client.cache_dir, "tmp");
	r = h->tmp ? fs_mkdir_p(h->tmp, 0700) : -ENOMEM;
	if (r == 0)
		r = keep_open(conf, memo, &h->keep);
	if (r == 0)
		r = stores_open(conf, farm, h->tmp, &h->stores, &h->off);
	if (r == -ENOENT || r == -ENOMEM)
		return r == -ENOENT ? 0 : r;
	if (r < 0 && !h->off)
		why_set(&h->off, r, "the stores cannot be opened: %s", strerror(-r));
	r = believed_open(conf, &h->believed);
	if (r < 0)
		return r;
	h->claims = claims_new();
	if (!h->claims)
		return -ENOMEM;
	r = h->stores ? ahead_open(h, &h->ahead) : 0;
	if (r == 0 && h->stores)
		r = upload_open(h, &h->upload);
	if (r == 0 && h->stores)
		r = refiller_open(h, &h->refiller);
	if (r < 0)
		return r;
	*ret = steal_ptr(h);
	return 0;
}

void
far_half_closep(struct far_half **ret)
{
	struct far_half *h = *ret;

	*ret = NULL;
	if (!h)
		return;
	/* nobody turns its connection any more, so nothing would come of what is asked there */
	if (h->farm && h->stores)
		h->farm->end(h->farm->arg);
	refiller_closep(&h->refiller);
	upload_closep(&h->upload);
	ahead_closep(&h->ahead);
	stores_closep(&h->stores);
	claims_free(h->claims);
	keep_closep(&h->keep);
	believed_closep(&h->believed);
	free(h->off);
	free(h->tmp);
	free(h);
}

bool
far_half_has_stores(const struct far_half *h)
{
	return h->conf->client.store && *h->conf->client.store;
}

bool
far_half_is_busy(struct far_half *h)
{
	return (h->upload && upload_is_busy(h->upload)) ||
	       (h->refiller && refiller_is_busy(h->refiller));
}

void
far_half_say_quiet(struct far_half *h, bool quiet)
{
	if (h->refiller)
		refiller_say_quiet(h->refiller, quiet);
}

void
far_half_hear(struct far_half *h, const Dray__Producers *m)
{
	believed_hear(h->believed, m);
}
