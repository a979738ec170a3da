#include "config.h"

#include "client/dispatch/farm_purge.h"

#include <errno.h>
#include <stdlib.h>

#include "client/dispatch/farm.h"
#include "common/conf/coordinators.h"
#include "common/text/why.h"
#include "proto/socket.h"
#include "proto/wire.h"

static int
take(const Dray__CachePurged *m, struct farm_purged *ret, char **ret_why)
{
	ret->entries = m->entries;
	ret->results = m->results;
	if (m->verdict == DRAY__VERDICT__VERDICT_NONE)
		return 0;
	return why_set(ret_why, -EIO, "the coordinator says: %.200s", m->text);
}

static int
ask(struct farm *farm, const struct farm_purge *what, struct farm_purged *ret, char **ret_why)
{
	_cleanup_(wire_msg_done) struct wire_msg msg = WIRE_MSG_INIT;
	_cleanup_(freep) char *namespace = what->namespace ? strdup(what->namespace) : NULL;
	uint8_t producer[SIGN_KEY_SIZE];
	Dray__CachePurge m;
	int r;

	dray__cache_purge__init(&m);
	if (what->producer) {
		memcpy(producer, what->producer, sizeof(producer));
		m.producer = (ProtobufCBinaryData){ sizeof(producer), producer };
	}
	m.in_namespace = what->namespace != NULL;
	if (namespace)
		m.namespace_ = namespace;
	m.before_s = what->before_s;
	r = farm_ask_purge(farm, &m, FARM_PURGE_MS, &msg, ret_why);
	return r < 0 ? r : take((const Dray__CachePurged *)msg.body, ret, ret_why);
}

static int
ask_one(void *ctx, const struct conf *conf, size_t i, const struct farm_purge *what,
	struct farm_purged *ret, char **ret_why)
{
	_cleanup_(farm_closep) struct farm *farm = NULL;
	struct farm_purged n = { 0, 0 };
	int r = farm_open_at(ctx, conf, i, &farm, ret_why);

	if (r == 0)
		r = ask(farm, what, &n, ret_why);
	ret->entries += n.entries;
	ret->results += n.results;
	if (r < 0 && !*ret_why)
		why_set(ret_why, r, "%s", r == -ETIMEDOUT ? "no answer" : strerror(-r));
	return r;
}

/* Each has a cache of its own: one that cannot be asked keeps none from the others. */
static int
ask_all(void *ctx, const struct conf *conf, const struct coordinators *all,
	const struct farm_purge *what, struct farm_purged *ret, char **ret_why)
{
	int first = 0;

	for (size_t i = 0; i < all->n; i++) {
		_cleanup_(freep) char *why = NULL;
		int r = ask_one(ctx, conf, i, what, ret, &why);

		if (r < 0 && first == 0)
			first = why_set(ret_why, r, "%s%s%s", all->n > 1 ? all->v[i].endpoint : "",
				all->n > 1 ? ": " : "", why ? why : strerror(-r));
	}
	return first;
}

int
farm_purge(const struct conf *conf, const struct farm_purge *what, struct farm_purged *ret,
	char **ret_why)
{
	_cleanup_(coordinators_done) struct coordinators all = COORDINATORS_INIT;
	void *ctx = NULL;
	int r;

	*ret_why = NULL;
	*ret = (struct farm_purged){ 0, 0 };
	r = coordinators_parse(
		"client", conf->client.coordinator, conf->client.coordinator_key, &all, ret_why);
	if (r == 0 && all.n == 0)
		r = why_set(ret_why, -EINVAL, "no coordinator is configured");
	if (r == 0)
		r = zmq_ctx_open(&ctx);
	if (r == 0)
		r = ask_all(ctx, conf, &all, what, ret, ret_why);
	if (r < 0 && !*ret_why)
		why_set(ret_why, r, "%s", strerror(-r));
	zmq_ctx_termp(&ctx);
	return r;
}
