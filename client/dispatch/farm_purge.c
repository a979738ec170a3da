#include "config.h"

#include "client/dispatch/farm_purge.h"

#include <errno.h>
#include <stdlib.h>

#include "client/dispatch/farm.h"
#include "common/why.h"
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

int
farm_purge(const struct conf *conf, const struct farm_purge *what, struct farm_purged *ret,
	char **ret_why)
{
	void *ctx = NULL;
	struct farm *farm = NULL;
	int r = zmq_ctx_open(&ctx);

	*ret_why = NULL;
	if (r == 0)
		r = farm_open(ctx, conf, &farm, ret_why);
	if (r == 0)
		r = ask(farm, what, ret, ret_why);
	if (r < 0 && !*ret_why)
		why_set(ret_why, r, "%s", r == -ETIMEDOUT ? "no answer" : strerror(-r));
	farm_closep(&farm);
	zmq_ctx_termp(&ctx);
	return r;
}
