/* What a farm half has for the stores, from its begin to its end. */
#include "config.h"

#include <errno.h>

#include "client/far/half_priv.h"
#include "client/far/trusted.h"
#include "common/fs.h"
#include "common/why.h"

/* Without the store's list those of the configuration count. */
static void
add_trusted(struct far_half *h)
{
	_cleanup_(freep) char *why = NULL;
	int r = trusted_take(h->stores, h->conf, &h->trust.keys, &why);

	for (size_t i = 0; i < h->trust.keys.n; i++)
		if (h->trust.keys.v[i].kind != TRUST_ADMIN)
			return;
	why_set(&h->off, r, "%s",
		why ? why : "nobody's results are trusted: the store has no list of keys");
}

static void
load_trust(struct far_half *h)
{
	const char *setting = h->conf->client.trust_keys;
	unsigned line = 0;
	int r;

	h->trust.level = h->conf->client.trust == TRUST_IN_WORKERS ? TRUST_WORKERS
								   : TRUST_PUBLISHERS;
	if (!setting || !*setting) {
		why_set(&h->off, -ENOKEY, "nobody's results are trusted: trust_keys is not set");
		return;
	}
	r = trust_keys_load(setting, &h->trust.keys, &line);
	if (r == -EBADMSG)
		why_set(&h->off, r, "trust_keys: line %u is none of such a list", line);
	else if (r < 0)
		why_set(&h->off, r, "trust_keys cannot be read: %s", strerror(-r));
	else
		add_trusted(h);
}

int
far_half_open(const struct conf *conf, struct memo_stay *memo, struct far_half **ret)
{
	_cleanup_(far_half_closep) struct far_half *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->conf = conf;
	h->tmp = path_join(conf->client.cache_dir, "tmp");
	r = h->tmp ? fs_mkdir_p(h->tmp, 0700) : -ENOMEM;
	if (r == 0)
		r = keep_open(conf, memo, &h->keep);
	if (r == 0)
		r = stores_open(conf, h->tmp, &h->stores, &h->off);
	if (r == -ENOENT || r == -ENOMEM)
		return r == -ENOENT ? 0 : r;
	if (r < 0 && !h->off)
		why_set(&h->off, r, "the stores cannot be opened: %s", strerror(-r));
	if (r == 0)
		load_trust(h);
	r = h->stores ? upload_open(h, &h->upload) : 0;
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
	upload_closep(&h->upload);
	stores_closep(&h->stores);
	keep_closep(&h->keep);
	trust_keys_done(&h->trust.keys);
	free(h->off);
	free(h->tmp);
	free(h);
}

bool
far_half_is_busy(struct far_half *h)
{
	return h->upload && upload_is_busy(h->upload);
}
